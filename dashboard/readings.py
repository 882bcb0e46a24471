"""What the pages on training read, kept as long as the files are as they were: runs, plans, results."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import streamlit as st

from ..benchmark import scaling
from ..benchmark.results import Result
from ..benchmark.tables import newest_versions
from ..training.mixture_plan import MixturePlan
from . import mixtures, queries, runs, scored, state


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


def newest_results() -> list[Result]:
    """Return the results here with all that their files say."""
    table = state.results()
    return [scored.result(path) for path in dict.fromkeys(newest_versions(table)["path"])] if len(table) else []


def measured_points() -> pd.DataFrame:
    """Return the measured numbers with their places on the axes of scaling."""
    return scaling.measured_points(newest_results(), scored.known_protocols())
