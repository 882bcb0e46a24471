"""Columns of tables whose words are chips of one colour each: the kind of a source, and its state on this machine."""

from collections.abc import Iterable, Mapping
from typing import Any

import streamlit as st

from .. import inventory

KINDS = {"mocap": "blue", "scan": "green", "pseudo": "orange", "synthetic": "violet"}
STATES = {"converted": "green", "partly": "orange", "stale": "red", inventory.PLANNED: "gray"}


def of(values: Iterable[str], colours: Mapping[str, str]) -> list[list[str]]:
    """Return the cells of a column of chips; a word without a colour has none."""
    return [[value] if value in colours else [] for value in values]


def kinds(values: Iterable[str]) -> list[list[str]]:
    """Return the cells of a column of kinds."""
    return of(values, KINDS)


def states(values: Iterable[str]) -> list[list[str]]:
    """Return the cells of a column of states; what is not here has no chip."""
    return of(values, STATES)


def kind_column(width: int) -> Any:
    """Return how a column of kinds is shown."""
    return _column("Kind", KINDS, width, "How its labels came to be.")


def state_column(title: str, width: int) -> Any:
    """Return how a column of states is shown."""
    return _column(title, STATES, width, "On this machine; stale: the converter is newer than the shards.")


def _column(title: str, colours: Mapping[str, str], width: int, meaning: str) -> Any:
    column = st.column_config.MultiselectColumn
    return column(title, options=list(colours), color=list(colours.values()), width=width, help=meaning)  # type: ignore[arg-type]
