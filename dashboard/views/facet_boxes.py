"""Checkboxes of facets, which live in the address: ``<page>_<option>`` for flags, ``<page>_<facet>_<option>`` else."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import streamlit as st

from ..facets import Facet
from ..plaintext import plain


def chosen(page: str, facet: Facet) -> list[str]:
    """Return the chosen options of a facet as of the last interaction, or of the address on the first run."""
    first = st.query_params
    keys = {option: _key(page, facet, option) for option in facet.options}
    return [option for option, key in keys.items() if st.session_state.get(key, first.get(key) == "true")]


def draw(page: str, facet: Facet, counts: Mapping[tuple[str, str], int]) -> None:
    """Draw a checkbox for each option with what lies behind it; an option without anything cannot be chosen."""
    taken = chosen(page, facet)
    for option, label in facet.options.items():
        count = counts[facet.key, option]
        text = f"{plain(label)} :gray[{_short(count)}]"
        is_dead = count == 0 and option not in taken
        st.checkbox(text, key=_key(page, facet, option), bind="query-params", disabled=is_dead)


def clear_button(page: str, among: Iterable[Facet], others: Mapping[str, Any], *, is_set: bool) -> None:
    """Draw a button that takes all filters back, where some are set; ``others`` are keys of widgets as they begin."""
    if is_set:
        st.button(
            "Clear filters",
            icon=":material/filter_alt_off:",
            key=f"{page}_clear",
            type="tertiary",
            on_click=_clearing(page, list(among), dict(others)),
        )


def _clearing(page: str, among: list[Facet], others: dict[str, Any]) -> Callable[[], None]:
    def clear() -> None:
        taken = {_key(page, facet, option): False for facet in among for option in chosen(page, facet)}
        st.session_state.update(taken | {key: value for key, value in others.items() if key in st.session_state})

    return clear


def _key(page: str, facet: Facet, option: str) -> str:
    """Return the name of a checkbox in the address."""
    return f"{page}_{option}" if facet.column is None else f"{page}_{facet.key}_{option}"


def _short(count: int) -> str:
    """Return a count in at most five characters."""
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if count >= 10 * size:
            return f"{count / size:.0f}{letter}" if count >= 100 * size else f"{count / size:.1f}{letter}"
    return str(count)
