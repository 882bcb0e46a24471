"""What the study of data sets reads, kept as long as the shards are as they were: samples, distances, maps.

A sample is kept by the fingerprint of its own source, so that one more source costs one more sample.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import streamlit as st

from ..shards.analyses.clouds import Cloud, feature_clouds, pose_clouds
from ..shards.analyses.components import plane
from ..shards.analyses.distances import distance_table
from ..shards.analyses.feature_files import FOLDER, feature_sets, feature_states, group_features
from ..shards.analyses.samples import Group, PoseSample, draw_sample, groups_of
from . import queries, state


class Compared(NamedTuple):
    """What is compared, and by what."""

    by: str  # a name of analyses.clouds.TITLES
    by_split: bool = False
    features: str = ""  # name of a set


def groups(by_split: bool = False) -> list[Group]:
    """Return the sources here that have people, or their splits; none where nothing is converted."""
    return _groups(state.catalog(), by_split) if state.has_catalog() else []


@st.cache_data(max_entries=8, show_spinner=False)
def _groups(snapshot: state.Snapshot, by_split: bool) -> list[Group]:
    return groups_of(Path(snapshot.path), by_split=by_split)


def samples(by_split: bool = False) -> dict[str, PoseSample]:
    """Return some people of every source here, or of every split; not to be changed."""
    out = str(state.here().catalog)
    named = [(state.Snapshot(out, f"{group.name} {group.fingerprint}"), group) for group in groups(by_split)]
    return {group.name: _sample(snapshot, group) for snapshot, group in named}


@st.cache_resource(max_entries=160, show_spinner="Reading poses")
def _sample(snapshot: state.Snapshot, _group: Group) -> PoseSample:
    return draw_sample(Path(snapshot.path), _group)


def sets() -> list[str]:
    """Return the sets of image features beside the catalog."""
    return feature_sets(state.here().catalog)


def states_of_features(name: str) -> pd.DataFrame:
    """Return the state of a set of image features by source and split, see ``analyses.feature_files``."""
    every = [partition for group in groups() for partition in group.partitions]
    return feature_states(state.here().catalog, name, every)


def distances(compared: Compared, kind: str) -> pd.DataFrame:
    """Return how far apart the sources are: ``a``, ``b``, ``value`` and the people looked at."""
    return _distances(_snapshot(compared), compared, kind)


@st.cache_data(max_entries=32, show_spinner="Comparing")
def _distances(snapshot: state.Snapshot, compared: Compared, kind: str) -> pd.DataFrame:
    return distance_table(_clouds(Path(snapshot.path), compared), kind)


def points(compared: Compared) -> tuple[pd.DataFrame, tuple[float, float]]:
    """Return people in the plane of two components, and the share of the variance along each."""
    return _points(_snapshot(compared), compared)


@st.cache_data(max_entries=16, show_spinner="Comparing")
def _points(snapshot: state.Snapshot, compared: Compared) -> tuple[pd.DataFrame, tuple[float, float]]:
    return plane(_clouds(Path(snapshot.path), compared))


def _snapshot(compared: Compared) -> state.Snapshot:
    """Return the catalog with what changes with its shards, and with the files of features where they are asked for."""
    out = state.here().catalog
    words = [f"{group.name} {group.fingerprint}" for group in groups(compared.by_split)]
    if compared.by == "features":
        words.append(queries.file_fingerprint(sorted((out / FOLDER / compared.features).glob("*/*.parquet"))))
    return state.Snapshot(str(out), hashlib.sha256("\n".join(words).encode()).hexdigest())


def _clouds(out: Path, compared: Compared) -> Mapping[str, Cloud]:
    """Return the people of every source as points."""
    if compared.by != "features":
        return pose_clouds(samples(compared.by_split), compared.by)
    found = {group.name: group_features(out, compared.features, group)[0] for group in groups(compared.by_split)}
    return feature_clouds({name: numbers for name, numbers in found.items() if numbers is not None})
