"""Workers do not get in one another's way."""

import os

import pytest

from ehps.converters.workers import open_team

NAME = "OPENBLAS_NUM_THREADS"


@pytest.mark.parametrize(("own", "inside"), [(None, "1"), ("3", "3")])
def test_processes_do_their_linear_algebra_in_one_thread_unless_told_otherwise(monkeypatch, own, inside):
    monkeypatch.delenv(NAME, raising=False)
    if own is not None:
        monkeypatch.setenv(NAME, own)
    with open_team(2, None) as team:
        assert team.executor.submit(os.getenv, NAME).result() == inside
    assert os.environ.get(NAME) == own
