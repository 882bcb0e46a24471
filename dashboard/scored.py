"""Results and kept predictions as pages read them: once for each state of their files.

What poses and measures bodies loads much of SciPy, so it is loaded when a page first asks for bodies.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from ..benchmark.protocol import PROTOCOL_DIR, Protocol, load_protocol, protocols
from ..benchmark.results import Result, load_results, read_people, read_result, result_files
from . import posed, queries, state

if TYPE_CHECKING:
    from .fits import Measured
    from .predicted import Predicted


def snapshot(path: str) -> state.Snapshot:
    """Return the JSON of a result as it is now."""
    return state.Snapshot(path, queries.file_fingerprint([Path(path)]))


def known_protocols() -> dict[str, Protocol]:
    """Return every protocol by its id, read once for each state of their files."""
    files = queries.file_fingerprint(sorted(PROTOCOL_DIR.glob("*.yaml")))
    return dict(_protocols(state.Snapshot(str(PROTOCOL_DIR), files)))


@st.cache_resource(max_entries=2, show_spinner=False)
def _protocols(own: state.Snapshot) -> dict[str, Protocol]:
    return protocols(Path(own.path))


def results_snapshot() -> state.Snapshot:
    """Return the folder of results as it is now."""
    directory = state.here().results
    return state.Snapshot(str(directory), queries.file_fingerprint(result_files(directory)))


@st.cache_resource(max_entries=4, show_spinner=False)
def results(own: state.Snapshot) -> pd.DataFrame:
    """Return the table of results of a folder in a state, which all pages share: nobody may change it."""
    return load_results(Path(own.path))


def result(path: str) -> Result:
    """Return a result, given the path of its JSON."""
    return _result(snapshot(path))


@st.cache_resource(max_entries=128, show_spinner=False)
def _result(own: state.Snapshot) -> Result:
    return read_result(Path(own.path))


def people(path: str) -> pd.DataFrame:
    """Return the rows of the people of a result, which all pages share: nobody may change them."""
    return _people(snapshot(path))


@st.cache_resource(max_entries=32, show_spinner=False)
def _people(own: state.Snapshot) -> pd.DataFrame:
    return read_people(Path(own.path))


def predictions(path: str, person_keys: Sequence[str]) -> "dict[str, Predicted]":
    """Return what the model of a result predicted for some people (``predicted.predictions``)."""
    return _predictions(snapshot(path), tuple(person_keys))


@st.cache_resource(max_entries=64, show_spinner="Posing")
def _predictions(own: state.Snapshot, person_keys: tuple[str, ...]) -> "dict[str, Predicted]":
    from . import predicted

    return predicted.predictions(own.path, person_keys)


def measured(protocol: str) -> "Measured | None":
    """Return how a protocol looks at whole bodies (``fits.Measured.of``) with the body models at hand."""
    return _measured(protocol, str(posed.body_folder()))


@st.cache_resource(max_entries=32, show_spinner=False)
def _measured(protocol: str, folder: str) -> "Measured | None":
    from . import fits

    return fits.Measured.of(load_protocol(protocol), Path(folder))
