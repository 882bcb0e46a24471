"""``ehps add`` and docs/adding_a_dataset.md: a new source works before and after its facts are filled in."""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

import ehps
from ehps.cards import card_ids, parse_card
from ehps.cli.add import FILES, MARK, places_to_fill, write_source
from ehps.cli.main import app
from ehps.errors import CardError

ROOT = Path(ehps.__file__).parent
PAGE = (ROOT / "docs" / "adding_a_dataset.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"```\w+ file=(\S+)\n(.*?)```", PAGE, re.DOTALL))
COMMANDS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A copy of this checkout that imports as ehps."""
    root = tmp_path_factory.mktemp("checkout") / "ehps"
    shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(".*", "*.egg-info"))
    return root


@pytest.fixture
def empty(tmp_path) -> Path:
    """As much of a checkout as ``ehps add`` asks for."""
    for folder in ("converters/formats", "datasets", "tests/raw", "tests/converters"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


def run_in(checkout: Path, *command: str) -> str:
    """Run a command as somebody who works in that checkout, and return what it prints."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(checkout.parent), "COLUMNS": "120"}
    environment.pop("EHPS_BODY_MODELS", None)
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def suite_of(*datasets: str) -> list[str]:
    files = [f"tests/converters/test_{kind}{name}.py" for name in datasets for kind in ("", "mutations_")]
    options = ["-q", "-rs", "-p", "no:cacheprovider", "-k", " or ".join(datasets)]
    return [sys.executable, "-m", "pytest", "tests/converters/test_contract.py", *files, *options]


def test_a_new_source_is_green_before_and_after_the_page_was_followed(checkout):
    for name in ("brand_new", "dancefloor"):
        write_source(name, checkout, name="Some Name", splits=("train", "test"))
    for place, content in BLOCKS.items():
        (checkout / place).write_text(content, encoding="utf-8")
    report = run_in(checkout, *suite_of("brand_new", "dancefloor"))
    assert "1 skipped" in report, "the one that lists what to fill in"
    assert "datasets/brand_new/card.yaml:3 summary: FILL IN" in report
    passed = re.search(r"(\d+) passed", report)
    assert passed
    assert int(passed[1]) > 2 * 20
    linted = [str(checkout / place) for place in BLOCKS if place.endswith(".py")]
    linted += [str(path) for path in checkout.rglob("*brand_new*.py")]
    assert len(linted) == 2 * 4
    for check in (["check"], ["format", "--check"]):
        run_in(checkout, "ruff", *check, *linted)


@pytest.mark.slow
def test_the_commands_of_the_page_run_from_top_to_bottom(tmp_path):
    root = tmp_path / "ehps"
    shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(".*", "*.egg-info"))
    first, *others = COMMANDS
    assert "FILL IN" in run_in(root, "bash", "-ec", first)
    for place, content in BLOCKS.items():
        assert (root / place).is_file(), "ehps add wrote it"
        (root / place).write_text(content, encoding="utf-8")
    assert places_to_fill("dancefloor", root) == []
    printed = "".join(run_in(root, "bash", "-ec", command) for command in others)
    assert "skipped" not in printed
    assert "neutral body from the gendered one" in printed
    assert re.search(r"female +40", printed)


def test_the_page_leads_through_every_file():
    assert set(BLOCKS) == {place.replace("$id", "dancefloor") for place in FILES.values()}
    assert COMMANDS[0].startswith("ehps add dancefloor ")


def test_files_land_where_their_kind_belongs_and_say_what_to_fill_in(empty):
    result = CliRunner().invoke(app, ["add", "one_take", "--split", "val", "--into", str(empty), "--name", "One Take"])
    assert result.exit_code == 0, result.output
    written = [empty / place.replace("$id", "one_take") for place in FILES.values()]
    assert [Path(line) for line in result.stdout.split()] == written
    assert all(path.is_file() for path in written)
    card = parse_card(empty / "datasets" / "one_take" / "card.yaml")
    assert (card.id, card.name, card.splits) == ("one_take", "One Take", ["val"])
    assert "labels/val/take_00.npz" in card.raw.tree
    places = places_to_fill("one_take", empty)
    files = Counter(place.partition(":")[0] for place in places)
    assert files["datasets/one_take/card.yaml"] > 10
    assert files["converters/one_take.py"] > 2
    assert f"{len(places)} places say {MARK}" in result.stderr
    for path in written[1:]:
        ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "name", ["", "Dance", "dance-floor", "3dpw", "dance floor", "../dance", "class", "_dance", "tänze", "a/b"]
)
def test_names_that_no_module_can_have_are_refused(empty, name):
    with pytest.raises(CardError, match="cannot name a source"):
        write_source(name, empty, name="x", splits=("train",))
    assert not [path for path in empty.rglob("*") if path.is_file()]


def test_nothing_that_exists_is_overwritten(empty):
    write_source("twice", empty, name="x", splits=("train",))
    before = {path: path.read_bytes() for path in empty.rglob("*") if path.is_file()}
    with pytest.raises(CardError, match=r"card\.yaml: is there already"):
        write_source("twice", empty, name="y", splits=("val",))
    assert {path: path.read_bytes() for path in empty.rglob("*") if path.is_file()} == before
    (empty / "converters" / "engine.py").write_text("")
    with pytest.raises(CardError, match=r"engine.py: is there already, so 'engine' is taken"):
        write_source("engine", empty, name="x", splits=("train",))
    assert not (empty / "datasets" / "engine").exists()


@pytest.mark.parametrize("name", [*card_ids()[:2], "raw"])
def test_the_names_of_this_checkout_are_taken(name):
    result = CliRunner().invoke(app, ["add", name])
    assert isinstance(result.exception, CardError)
    assert "nothing was written" in str(result.exception)


@pytest.mark.parametrize(("splits", "text"), [(("train", "trian"), "not trian"), (("val", "val"), "named twice")])
def test_splits_that_are_none_are_refused(empty, splits, text):
    with pytest.raises(CardError, match=text):
        write_source("dance", empty, name="x", splits=splits)


def test_a_folder_that_is_no_checkout_is_refused(tmp_path):
    with pytest.raises(CardError, match="is no checkout of ehps"):
        write_source("dance", tmp_path, name="x", splits=("train",))
    assert not list(tmp_path.iterdir())
