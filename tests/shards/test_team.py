"""Workers do not get in one another's way."""

import os

import pytest

from ehps.errors import EhpsError
from ehps.shards.team import open_team

NAME = "OPENBLAS_NUM_THREADS"


@pytest.mark.parametrize(("own", "inside"), [(None, "1"), ("3", "3")])
def test_processes_do_their_linear_algebra_in_one_thread_unless_told_otherwise(monkeypatch, own, inside):
    monkeypatch.delenv(NAME, raising=False)
    if own is not None:
        monkeypatch.setenv(NAME, own)
    with open_team(2, None) as team:
        assert team.executor.submit(os.getenv, NAME).result() == inside
    assert os.environ.get(NAME) == own


def test_a_scheduler_that_does_not_answer_is_one_sentence():
    pytest.importorskip("distributed")  # its defaults go with the settings below if it is first loaded under them
    dask = pytest.importorskip("dask")
    quickly = dask.config.set({"distributed.comm.timeouts.connect": "0.2s"})
    sentence = r"no Dask scheduler answers at tcp://127\.0\.0\.1:9; start one"
    with quickly, pytest.raises(EhpsError, match=sentence), open_team(1, "tcp://127.0.0.1:9"):
        pass
