"""Filtering the table of sources: facets are joined by AND, the options of one facet by OR.

A facet counts, for each of its options, the sources that remain if that option alone is chosen in it: what all other
facets say applies, what it says itself does not.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import pandas as pd

from ..cards import Mix
from .inventory import PLANNED, STATES


@dataclass(frozen=True)
class Facet:
    """One question about a source and its possible answers, each the value of a column (or a column of truths)."""

    key: str  # part of the URL
    title: str
    options: Mapping[str, str]  # label by value
    column: str | None = None  # None: every option is a boolean column of its own

    def matches(self, table: pd.DataFrame, option: str) -> pd.Series:
        """Return which sources give an answer."""
        return table.loc[:, option].astype(bool) if self.column is None else table.loc[:, self.column].eq(option)


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


def _flag(column: str, label: str) -> Facet:
    """Return a facet of one answer: chosen, it keeps the sources of which a column is true."""
    return Facet(column, "", {column: label})


FACETS: tuple[Facet, ...] = (
    Facet(
        "state",
        "On this machine",
        STATES | {PLANNED: "planned, no converter yet"},
        "state",
    ),
    Facet("kind", "Kind", _same("mocap", "scan", "pseudo", "synthetic"), "kind"),
    Facet("mix", "In the papers' mixture of", {str(size): f"{size} sources" for size in get_args(Mix)}, "mix"),
    Facet("scene", "Scene", _same("indoor", "outdoor", "studio", "mixed", "in-the-wild"), "scene"),
    Facet("model", "Body model", _same("smplx", "smplh", "smpl", "mano", "mesh", "none"), "body_model"),
    _flag("has_hands", "hands"),
    _flag("has_face", "face"),
    _flag("has_shape", "shape"),
    _flag("is_video", "video"),
    _flag("has_test", "test split"),
    _flag("is_commercial", "commercial use"),
    _flag("is_redistributable", "redistribution"),
    _flag("is_open", "open access, no form"),
)

# How the sidebar groups them: a title and the facets under it.
GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("On this machine", ("state",)),
    ("Has", ("has_hands", "has_face", "has_shape", "is_video", "has_test")),
    ("Licence allows", ("is_commercial", "is_redistributable", "is_open")),
    ("Kind", ("kind",)),
    ("Scene", ("scene",)),
    ("First in the papers' mixture of", ("mix",)),
    ("Body model", ("model",)),
)

BY_KEY: dict[str, Facet] = {facet.key: facet for facet in FACETS}

Choice = Mapping[str, Collection[str]]  # chosen options by facet key; a facet without any does not filter


def keep(
    table: pd.DataFrame, choice: Choice, except_facet: str | None = None, among: Sequence[Facet] = FACETS
) -> pd.Series:
    """Return which sources pass all facets, leaving one out if asked."""
    kept = pd.Series(True, index=table.index)
    for facet in among:
        options = [option for option in choice.get(facet.key, ()) if option in facet.options]
        if options and facet.key != except_facet:
            kept &= pd.concat([facet.matches(table, option) for option in options], axis=1).any(axis=1)
    return kept


def count(
    table: pd.DataFrame, choice: Choice, among: Sequence[Facet] = FACETS, weight: str | None = None
) -> dict[tuple[str, str], int]:
    """Return the number of sources behind every (facet, option), given what the other facets say.

    With the name of a column as ``weight``, its sum is counted in place of rows.
    """
    out = {}
    for facet in among:
        rest = table.loc[keep(table, choice, facet.key, among)]
        size = pd.Series(1, index=rest.index) if weight is None else rest[weight]
        if facet.column is None:
            found = {option: int(size[facet.matches(rest, option)].sum()) for option in facet.options}
        else:
            sums = pd.Series(size.groupby(rest[facet.column].to_numpy()).sum())
            found = dict(zip(sums.index, sums.astype(int).tolist(), strict=True))
        out |= {(facet.key, option): found.get(option, 0) for option in facet.options}
    return out


def search(table: pd.DataFrame, text: str) -> pd.Series:
    """Return which sources hold every word of a text in their id, name, summary, licence, citation or pitfalls."""
    kept = pd.Series(True, index=table.index)
    for word in text.lower().split():
        kept &= table["search_text"].str.contains(word, regex=False)
    return kept
