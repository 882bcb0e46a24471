"""The demo's study, killed in the middle: eight sources and five protocols end in a matrix."""

import os
import signal
import subprocess
import sys
import time

import pytest

from ehps.studies.declaration import read_study
from ehps.studies.standing import standings
from ehps.studies.tables import columns_of, study_matrix

PATIENCE = 900  # seconds until the first checkpoint


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_demos_study_is_killed_goes_on_and_ranks_eight_sources(tmp_path):
    command = [sys.executable, "-m", "ehps.cli.main", "study", "demo", "--out", str(tmp_path)]
    process = subprocess.Popen(command, start_new_session=True)
    last = time.monotonic() + PATIENCE
    while not list(tmp_path.glob("study/runs/*/checkpoints/*.pt")) and time.monotonic() < last:
        assert process.poll() is None
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    study = read_study(tmp_path / "study")
    assert "stopped" in {one.state for one in standings(study, tmp_path / "study")}
    assert subprocess.run(command, check=False).returncode == 0
    found = standings(study, tmp_path / "study")
    assert [one.state for one in found] == ["done"] * 8
    numbers = study_matrix(study, found).values[columns_of(study)]
    assert numbers.shape == (8, 5)
    assert numbers.notna().all().all()
    # Sources differ in what a network learns from them: the best and the worst are far apart.
    means = numbers.mean(axis=1)
    assert means.is_monotonic_increasing
    assert means.iloc[-1] > 1.2 * means.iloc[0]
