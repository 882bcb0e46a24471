"""Pages beside a conversion: nobody waits for anybody, and a page tells of one state of the catalog."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from ehps.body.posing import PosingModel
from ehps.dashboard import settings, state
from ehps.shards.catalog import build_catalog
from ehps.tests.dashboard.conftest import write_results, write_unit
from ehps.tests.dashboard.test_pages import open_page, texts

# A source comes and goes, as renames of a converter would have it, and the catalog follows, as fast as it can.
WRITER = """
import sys
from pathlib import Path
from ehps.shards.catalog import build_catalog
there, aside = Path(sys.argv[1]) / "mscoco", Path(sys.argv[2])
build_catalog(there.parent)
print("ready", flush=True)
while True:
    (there if there.exists() else aside).rename(aside if there.exists() else there)
    build_catalog(there.parent)
"""
KEY = "bedlam-train-scene_a-000001#1"
FEW, MANY = (12, 8), (19, 13)  # people and frames without and with the source that comes and goes
WITHIN = 1.0  # seconds for which a page is looked at again and again


@pytest.fixture(scope="module")
def changing(tmp_path_factory, standin_dir) -> Path:
    """A folder of two sources, results and an empty place where one of the sources may lie aside."""
    root = tmp_path_factory.mktemp("changing")
    model = PosingModel.load(standin_dir)
    write_unit(root / "data", model, "bedlam", "train", "scene_a", 8, "synthetic")
    write_unit(root / "data", model, "mscoco", "train", "part_0", 5, "pseudo")
    write_results(root / "results", [KEY])
    build_catalog(root / "data")
    return root


def writer(root: Path) -> subprocess.Popen:
    """A process that changes what is converted; it has looked at everything when this returns."""
    arguments = [sys.executable, "-c", WRITER, str(root / "data"), str(root / "aside")]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def stop(process: subprocess.Popen, how: signal.Signals) -> None:
    process.send_signal(how)
    process.communicate(timeout=10)


@pytest.fixture(scope="module")
def busy(changing) -> Iterator[Path]:
    """The same folder while a writer is at it, from here to the end of this file."""
    process = writer(changing)
    yield changing
    assert process.poll() is None, process.communicate()[1]
    stop(process, signal.SIGKILL)


@pytest.fixture(autouse=True)
def folders(changing, monkeypatch):
    for name, value in settings.environment(changing / "data", changing / "results", changing / "runs").items():
        monkeypatch.setenv(name, value)


def numbers(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def of_overview(app: AppTest) -> tuple[int, int]:
    return int(numbers(app)["People"]), int(numbers(app)["Frames"])


def of_datasets(app: AppTest) -> tuple[int, int]:
    shown = app.dataframe[0].value
    return int(shown["people"].fillna(0).sum()), int(shown["frames"].fillna(0).sum())


def of_people(app: AppTest) -> tuple[int, int]:
    """The headline, the facets and the tiles agree, so that they come from one catalog."""
    told = FEW if "**12** of 12 people" in texts(app) else MANY
    assert f"**{told[0]}** of {told[0]} people" in texts(app)
    labels = [box.label for box in app.checkbox if str(box.key).startswith("people_source_")]
    assert sum(int(label.rpartition("[")[2].rstrip("]")) for label in labels) == told[0]
    assert len(app.get("image")) == told[0]
    return told


def of_mixture(app: AppTest) -> tuple[int, int]:
    people, sources = int(numbers(app)["People"]), app.dataframe[0].value
    assert sources["people"].sum() == people
    return {12: FEW, 19: MANY}[people]


def of_card(app: AppTest) -> tuple[int, int]:
    said = [element.value for element in app.markdown]
    [head] = [text for text in said if text.startswith("**12** people in")]
    [splits] = [text for text in said if text.startswith("| Split |")]
    assert head.startswith("**12** people in **8** frames")
    assert [row.split(" | ")[3:5] for row in splits.splitlines()[2:]] == [["8", "12"]]
    return FEW


def of_person(app: AppTest) -> tuple[int, int]:
    assert len(app.get("bidi_component")) == 1
    return FEW


def of_benchmark(app: AppTest) -> tuple[int, int]:
    assert list(app.dataframe[0].value.index) == ["alpha", "beta"]
    return FEW


PAGES: dict[str, tuple[dict[str, str], Callable[[AppTest], tuple[int, int]]]] = {
    "overview": ({}, of_overview),
    "datasets": ({}, of_datasets),
    "people": ({"people_sort": "catalog order"}, of_people),
    "mixture": ({}, of_mixture),
    "card": ({"card_id": "bedlam", "card_tab": "Distributions"}, of_card),
    "person": ({"person_key": KEY}, of_person),
    "benchmark": ({}, of_benchmark),
}


def look(path: str) -> tuple[int, int]:
    """What a page tells now."""
    parameters, told = PAGES[path]
    app = open_page(path, **parameters)
    assert not app.exception, app.exception[0].stack_trace
    assert not app.error, app.error[0].value
    return told(app)


def test_a_writer_that_is_killed_leaves_pages_and_the_next_build_as_they_were(changing):
    for delay in (0.05, 0.15):
        process = writer(changing)
        time.sleep(delay)
        stop(process, signal.SIGKILL)
        assert look("people") in (FEW, MANY)
    there, aside = changing / "data" / "mscoco", changing / "aside"
    if aside.exists():
        aside.rename(there)
    command = [Path(sys.executable).with_name("ehps"), "catalog", "--catalog", changing / "data"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    assert look("overview") == MANY
    assert look("people") == MANY


@pytest.mark.parametrize("path", PAGES)
def test_a_page_tells_of_one_state_while_the_catalog_is_built_again_and_again(path, busy):
    seen, end = set(), time.monotonic() + WITHIN
    while time.monotonic() < end and len(seen) < 2:
        seen.add(look(path))
    assert seen <= {FEW, MANY}


def test_a_catalog_that_changes_during_a_run_makes_the_run_begin_again(changing, monkeypatch):
    """The change comes when the page has counted and before it has listed."""
    states = iter(("a", "a", "b", "b", "b", "b"))
    asked = []
    monkeypatch.setattr(state, "_catalog_now", lambda: asked.append(1) or state.Snapshot("x", next(states, "b")))
    begun = []
    monkeypatch.setattr(state.st, "rerun", lambda: begun.append(1))
    with state.steady():
        assert state.catalog().fingerprint == "a"
        assert state.catalog().fingerprint == "a"
        next(states)
    assert begun == [1]
    with state.steady():
        assert state.catalog().fingerprint == "b"
    assert begun == [1]
