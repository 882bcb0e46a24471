"""What the pages on training read, kept as long as the files are as they were: runs, plans, samples, results."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from ..benchmark.protocol import protocols
from ..benchmark.results import Result, read_result
from ..training.mixture_plan import MixturePlan
from . import mixtures, queries, runs, scaling, state, study


def found_runs() -> list[runs.Run]:
    """Return the runs of this machine as they are now."""
    return runs.find_runs(state.here().runs)


def reports(run: runs.Run) -> list[runs.Report]:
    """Return every report of a run."""
    log = run.path / runs.LOG
    return _reports(state.Snapshot(str(log), queries.file_fingerprint([log])))


@st.cache_data(max_entries=8, show_spinner=False)
def _reports(snapshot: state.Snapshot) -> list[runs.Report]:
    return runs.read_reports(Path(snapshot.path))


def wanted_shares(run: runs.Run, positions: Sequence[int]) -> dict[str, float]:
    """Return the share of each member of a run's mixture that this catalog gives it, over some positions."""
    total = run.recipe["steps"] * run.recipe["batch_size"]
    return _wanted(state.catalog(), run.recipe["mixture"], tuple(positions), total)


@st.cache_data(max_entries=32, show_spinner=False)
def _wanted(snapshot: state.Snapshot, mixture: str, positions: tuple[int, ...], total: int) -> dict[str, float]:
    return mixtures.wanted_shares(mixture, Path(snapshot.path), positions, total)


def planned(text: str, name: str, epochs: int) -> MixturePlan:
    """Return what a mixture, given as JSON, will show of this catalog."""
    return _planned(state.catalog(), text, name, epochs)


@st.cache_data(max_entries=16, show_spinner="Planning")
def _planned(snapshot: state.Snapshot, text: str, name: str, epochs: int) -> MixturePlan:
    return mixtures.planned(text, name, Path(snapshot.path), epochs)


def leakage(text: str, name: str, epochs: int, benchmarks: Sequence[tuple[str, str]]) -> list[str]:
    """Return what a mixture shares with benchmarks of this catalog."""
    return _leakage(state.catalog(), text, name, epochs, tuple(benchmarks))


@st.cache_data(max_entries=16, show_spinner="Comparing pictures")
def _leakage(
    snapshot: state.Snapshot, text: str, name: str, epochs: int, benchmarks: tuple[tuple[str, str], ...]
) -> list[str]:
    return mixtures.leakage(_planned(snapshot, text, name, epochs), benchmarks, Path(snapshot.path))


def samples() -> dict[str, study.Sample]:
    """Return some people of every source here."""
    snapshot = state.catalog()
    names = state.counts()["dataset"] if snapshot.fingerprint else ()
    return {name: _sample(snapshot, name) for name in names}


@st.cache_data(max_entries=128, show_spinner="Reading poses")
def _sample(snapshot: state.Snapshot, dataset: str) -> study.Sample:
    paths = state.ask(queries.shard_paths, dataset)["path"].tolist()
    return study.sample(Path(snapshot.path), dataset, paths)


def study_of(what: str) -> Any:
    """Return the answer of a function of ``study`` over the samples of this catalog."""
    return _study(state.catalog(), what)


@st.cache_data(max_entries=16, show_spinner="Comparing")
def _study(snapshot: state.Snapshot, what: str) -> Any:
    return getattr(study, what)({name: _sample(snapshot, name) for name in state.counts()["dataset"]})


def newest_results() -> list[Result]:
    """Return the results here with all that their files say."""
    return scaling.newest(state.results(), _result)


def _result(path: str) -> Result:
    return _read_result(state.Snapshot(path, queries.file_fingerprint([Path(path)])))


@st.cache_data(max_entries=512, show_spinner=False)
def _read_result(snapshot: state.Snapshot) -> Result:
    return read_result(Path(snapshot.path))


def measured_points() -> pd.DataFrame:
    """Return the measured numbers with their places on the axes of scaling."""
    people = dict(zip(state.counts()["dataset"], state.counts()["people"], strict=True))
    return scaling.measured_points(newest_results(), found_runs(), people, protocols())
