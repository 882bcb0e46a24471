"""The house rules that a machine can check: who may import whom, what loads when, what never appears."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BASE = {"errors", "cards", "yaml_text"}  # modules of the root: every room may use them
ALLOWED = {
    "body": set(),
    "shards": {"body"},
    "converters": {"shards", "body"},
    "training": {"shards", "body"},
    "benchmark": {"shards", "body"},
    "studies": {"training", "benchmark", "shards", "body"},
    "dashboard": {"shards", "benchmark", "training", "body"},  # what needs no torch: see below
    "cli": {"shards", "body", "converters", "training", "benchmark", "studies", "dashboard", "tests"},
}
FILES = sorted(path for room in ALLOWED for path in (ROOT / room).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """The rooms (or root modules) of ehps that a file imports."""
    package = ["ehps", *path.relative_to(ROOT).parts[:-1]]
    out = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{stem}.{alias.name}" for alias in node.names] if stem == "ehps" else [stem]
        out |= {name.split(".")[1] for name in names if name.startswith("ehps.")}
    return out - {"__version__"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_what_lies_below_it(path):
    room = path.relative_to(ROOT).parts[0]
    stray = imported(path) - ALLOWED[room] - BASE - {room}
    assert not stray, f"{path.relative_to(ROOT)} imports {sorted(stray)}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_inside_the_package_are_relative(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"^\s*(from|import) ehps\b", text, re.MULTILINE)


def test_the_import_table_catches_a_stray_import(tmp_path):
    source = "from ..training.loop import train\nfrom . import engine\nfrom ..errors import EhpsError\n"
    stray = ROOT / "converters" / "__stray_for_test.py"
    try:
        stray.write_text(source, encoding="utf-8")
        assert imported(stray) == {"training", "converters", "errors"}
    finally:
        stray.unlink()


def loaded_after(statement: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after a statement."""
    code = f"import sys\n{statement}\nprint(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(result.stdout.splitlines()[-1].split())


def test_help_loads_no_heavy_library():
    statement = (
        "from ehps.cli.main import app\n"
        "from typer.testing import CliRunner\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0"
    )
    assert not loaded_after(statement) & {"torch", "duckdb", "streamlit", "smplx", "cv2", "pandas", "scipy", "numpy"}


@pytest.mark.parametrize("room", ["converters", "shards", "dashboard"])
def test_these_rooms_start_without_torch(room):
    modules = [
        ".".join(["ehps", *path.relative_to(ROOT).with_suffix("").parts]).removesuffix(".__init__")
        for path in FILES
        if path.relative_to(ROOT).parts[0] == room
        and "views" not in path.parts
        and path.name not in ("app.py", "__main__.py")
    ]
    assert "torch" not in loaded_after("\n".join(f"import {module}" for module in modules))


WITHOUT_TORCH = (
    "ehps.training.recipes",  # what a run is,
    "ehps.training.mixture",  # whom it trains on
    "ehps.training.run_record",  # and how far it is;
    "ehps.studies.declaration",  # the same of a study
    "ehps.studies.standing",
    "ehps.studies.printing",
)


def test_recipes_runs_and_studies_are_read_without_torch():
    assert "torch" not in loaded_after("\n".join(f"import {module}" for module in WITHOUT_TORCH))


def test_datasets_holds_no_python():
    assert not list((ROOT / "datasets").rglob("*.py"))


def test_no_dashboard_file_shadows_a_room():
    names = {path.stem for path in (ROOT / "dashboard").glob("*.py")}
    assert not names & (set(ALLOWED) | {"datasets", "tests"})


def tracked_text_files() -> list[Path]:
    result = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in result.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_is_large_and_none_names_a_place_of_one_machine():
    places = re.compile("/" + r"(?:work|root|farm)/\S")
    for path in tracked_text_files():
        assert path.stat().st_size < 512 * 1024, f"{path} is larger than 512 KiB"
        if path.suffix in {".py", ".md", ".yaml", ".toml", ".csv", ""}:
            assert not places.search(path.read_text(encoding="utf-8")), f"{path} names a place of one machine"
