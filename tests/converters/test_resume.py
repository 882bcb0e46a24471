"""A conversion does nothing twice; killed at any moment it goes on and ends with the bytes of an undisturbed one."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ehps.converters.engine import convert
from ehps.converters.units import ENGINE_VERSION
from ehps.shards.tree import read_unit

FRAMES = 24  # three batches of 16 people
SCRIPT = """
import sys
sys.path.insert(0, {folder!r})
if __name__ == "__main__":
    import toy_converter
    toy_converter.register(max_reject=0.2)
    from pathlib import Path
    from ehps.converters.engine import convert
    convert("toy", Path({raw!r}), Path({out!r}), "train", jobs={jobs}, catalog=False)
"""


def unit(out, name="scene_0", split="train"):
    return read_unit(out / "toy" / split / name)


def states(report):
    return {unit.unit: unit.state for unit in report.units}


def _until(condition, process=None, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        assert process is None or process.poll() is None, "it ended before"
        time.sleep(0.005)


def _is_abandoned(folder: Path) -> bool:
    """Whether the process that was writing into a folder is gone for good."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


@pytest.mark.parametrize(("jobs", "done_before"), [(1, {"scene_0"}), (2, set())])
def test_a_killed_conversion_goes_on_and_ends_with_the_same_bytes(toy, tree, tmp_path, monkeypatch, jobs, done_before):
    raw, out = toy.build(tmp_path / "raw", units=2, frames=FRAMES), tmp_path / "out"
    script = tmp_path / "run.py"
    script.write_text(SCRIPT.format(folder=str(Path(__file__).parent), raw=str(raw), out=str(out), jobs=jobs))
    # Held after the first batch of a unit is written and before its last: no machine is too slow or too quick.
    held = " ".join({"scene_0", "scene_1"} - done_before)
    environment = {**os.environ, "TOY_HOLD": held, "TOY_BATCH": "16"}
    process = subprocess.Popen([sys.executable, script], env=environment)
    try:
        # In this order: the tar of the unit before may be seen just before that unit is done.
        _until(lambda: {p.name for p in out.glob("toy/*/*")} == done_before and any(out.glob(".tmp/*/*.tar")), process)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    leftovers = list((out / ".tmp").iterdir())
    assert leftovers, "it was not killed in the middle of a unit: nothing was tested"
    _until(lambda: all(map(_is_abandoned, leftovers)))  # workers follow their parent

    monkeypatch.setattr("ehps.converters.units.BATCH_PEOPLE", 16)
    (report,) = convert("toy", raw, out, "train", catalog=False)
    assert {unit.unit for unit in report.units if unit.state == "skipped"} == done_before
    convert("toy", raw, tmp_path / "undisturbed", "train", catalog=False)
    assert tree(out) == tree(tmp_path / "undisturbed")
    assert len(tree(out)) == 8
    assert not list((out / ".tmp").iterdir())


def test_ctrl_c_leaves_what_is_done_and_goes_on_later(raw, out, run, tree, tmp_path):
    def interrupt(event):
        if (event.unit, event.state) == ("scene_1", "running"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(progress=interrupt)
    assert not list((out / ".tmp").glob("*"))
    assert "interrupted" in json.loads((out / ".log" / "toy-train" / "scene_1.json").read_text())["message"]
    assert states(run()[0]) == {"scene_0": "skipped", "scene_1": "done"}
    convert("toy", raw, tmp_path / "undisturbed", "train", catalog=False)
    assert tree(out) == tree(tmp_path / "undisturbed")


def test_what_stands_is_not_converted_again(run, out):
    run()
    before = {path: path.stat().st_mtime_ns for path in (out / "toy").rglob("*")}
    (report,) = run()
    assert set(states(report).values()) == {"skipped"}
    assert (report.people, report.people_raw, report.units[0].measures["truncation"]["count"]) == (12, 12, 6)
    assert {path: path.stat().st_mtime_ns for path in (out / "toy").rglob("*")} == before


def _newer_version(toy, raw, out, monkeypatch):
    monkeypatch.setattr(toy, "VERSION", 2)
    return "converter_version was 1, is 2"


def _newer_engine(toy, raw, out, monkeypatch):
    monkeypatch.setattr("ehps.converters.units.ENGINE_VERSION", 99)
    return f"engine_version was {ENGINE_VERSION}, is 99"


def _other_bounds(toy, raw, out, monkeypatch):
    toy.register(monkeypatch.setattr, max_reject=0.2, max_reprojection_px=9)
    return "bounds was"


def _no_body(toy, raw, out, monkeypatch):
    monkeypatch.delenv("EHPS_BODY_MODELS")
    return "body model smplx/neutral is another one"


def _more_people(toy, raw, out, monkeypatch):
    toy.change(raw, 0, more=np.zeros(9))
    return "raw was"


def _cut_tar(toy, raw, out, monkeypatch):
    for tar in out.rglob("*.tar"):
        tar.write_bytes(tar.read_bytes()[:-512])
    return "is missing or cut off"


def _no_summary(toy, raw, out, monkeypatch):
    for path in out.rglob("unit.json"):
        path.write_text("{")
    return "not valid JSON"


@pytest.mark.parametrize(
    "change", [_newer_version, _newer_engine, _other_bounds, _no_body, _more_people, _cut_tar, _no_summary]
)
def test_what_would_come_out_otherwise_is_converted_again_and_says_why(toy, raw, out, run, monkeypatch, change):
    run(only="scene_0")
    why = change(toy, raw, out, monkeypatch)
    told = []
    (report,) = run(only="scene_0", progress=told.append)
    assert set(states(report).values()) == {"done"}
    assert all(unit.message.startswith("again: ") and why in unit.message for unit in report.units)
    assert why in next(event.text for event in told if event.state == "queued")
    assert states(run(only="scene_0")[0]) == {"scene_0": "skipped"}


def test_other_options_convert_again(run):
    run()
    (report,) = run(options={"mistake": "mean_twice"})
    assert set(states(report).values()) == {"done"}


def test_a_trial_with_a_limit_does_not_shrink_what_is_whole(run, out):
    run()
    assert set(states(run(limit=1)[0]).values()) == {"skipped"}
    assert unit(out)["people"] == 6


def test_units_that_the_raw_tree_no_longer_has_are_pointed_out(raw, run):
    run()
    (raw / "train" / "scene_1.npz").unlink()
    (report,) = run()
    assert any("scene_1" in text and "remove" in text for text in report.warnings)
