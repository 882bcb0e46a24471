"""Killed at any moment and started again, a conversion ends with the bytes of an undisturbed one."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ehps.converters.engine import convert

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


def _until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
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
    # Slow enough to be killed after the first batch of a unit is written and before its last.
    environment = {**os.environ, "TOY_SLEEP": "0.03", "TOY_BATCH": "16"}
    process = subprocess.Popen([sys.executable, script], env=environment)
    try:
        _until(lambda: any(out.glob(".tmp/*/*.tar")) and {p.name for p in out.glob("toy/*/*")} == done_before)
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
