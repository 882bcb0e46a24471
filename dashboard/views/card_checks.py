"""Whether the labels of a source are sound: what the engine measured, found odd and left out, and who is worst."""

from typing import Any
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from ...cards import card_ids, load_card
from .. import browse, health, queries, soundness, state
from ..amounts import counted
from ..plaintext import plain
from ..soundness import Row

_OBJECTIONS = 8


def show(dataset: str, _row: dict[str, Any]) -> None:
    """Show the checks of a converted source."""
    _objections(dataset)
    meanings = dict(state.ask(queries.people_columns).itertuples(index=False, name=None))
    spread = state.ask(queries.measures, dataset, soundness.names_of(meanings))
    reasons = state.ask(queries.rejects_by_reason, dataset)
    rejected = dict(zip(reasons["reason"], reasons["people"].astype(int).tolist(), strict=True))
    card = load_card(dataset) if dataset in card_ids() else None
    _measures(dataset, soundness.rows(spread, meanings, rejected, card), browse.measure_titles(meanings))
    _hands(dataset)
    _repeated(dataset)


def _objections(dataset: str) -> None:
    """Draw what the engine objected to, or that it did not."""
    told = state.answer(health.CHECKS)
    told = told.loc[told["dataset"] == dataset]
    if told.empty:
        st.markdown(":green[:material/check_circle:] The engine's checks object to no unit of this source.")
        return
    st.markdown(f":orange[:material/warning:] The engine's checks object {counted(len(told), 'time')}:")
    lines = [
        f"- {plain(row.split)} {plain(row.unit)}: {plain(row.text)}" for row in told.head(_OBJECTIONS).itertuples()
    ]
    more = [f"- and {len(told) - _OBJECTIONS:,} more"] if len(told) > _OBJECTIONS else []
    st.markdown("\n".join(lines + more))


def _measures(dataset: str, found: list[Row], titles: dict[str, str]) -> None:
    """Draw how measures are spread, and ways to who is worst; ``titles`` are how the page of people calls them."""
    st.markdown("###### Measured on everybody who was kept")
    if not found:
        st.caption("Nothing could be measured: nobody here has joints and keypoints, a box or a camera.")
        return
    first = {row.measure: row for row in reversed(found)}
    table = [_cells(row, dataset, titles[soundness.PREFIX + row.measure], first[row.measure] is row) for row in found]
    st.table(pd.DataFrame(table).set_index("Measure"), border="horizontal")
    st.caption("One person in twenty is worse than *5 % beyond*. A measure leads to these people, the worst first.")


def _cells(row: Row, dataset: str, order: str, is_first: bool) -> dict[str, str]:
    """Return one row of the table as Markdown; ``order`` is how the page of people calls the measure.

    The meaning stands in the first row of a measure.
    """
    choice = {f"people_source_{dataset}": "true", f"people_split_{row.split}": "true", "people_sort": order}
    choice |= {"people_direction": "low first"} if row.low_is_odd else {}
    allowed = "" if row.bound is None else f"up to {row.bound:g}"
    return {
        "Measure": f"[{row.title}](people?{urlencode(choice)})",
        "Split": plain(row.split),
        "People": f"{row.people:,}",
        "Median": _number(row.median),
        "5 % beyond": _number(row.odd),
        "Worst": _number(row.worst),
        "Card allows": allowed,
        "Left out for it": "" if row.left_out is None else f"{row.left_out:,}",
        "Meaning": f":small[:gray[{plain(row.meaning)}]]" if is_first else "",
    }


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _hands(dataset: str) -> None:
    """Say how hands read against the keypoints of the source."""
    found = state.ask(queries.hand_verdicts, dataset)
    if found.empty:
        return
    st.markdown("###### Hands against their keypoints")
    lines = [
        f"- {plain(row['split'])}, {row['kind'].upper()}: {soundness.reading(row['verdict'])} in "
        f"{counted(row['units'], 'unit')}, by {counted(row['people'], 'person', 'people')}"
        for row in found.to_dict("records")
    ]
    st.markdown("\n".join(lines))
    st.caption(
        "Read anew with the mean hand added, removed and sides swapped: right labels fit best as stored. A unit of "
        "fewer than five people reads as stored, whatever it holds."
    )


def _repeated(dataset: str) -> None:
    """Say whether pictures stand in several splits."""
    count = int(state.ask(queries.repeated_pictures, dataset)["pictures"].iloc[0])
    icon = ":orange[:material/warning:]" if count else ":green[:material/check_circle:]"
    said = f"{counted(count, 'picture')} of this source" if count else "No picture"
    st.markdown(f"{icon} {said} stand{'s' * (count < 2)} in more than one split, equal to the last byte.")
