"""Who of a source was left out and why: counts by reason, examples down to the owner's row, and their pictures."""

from typing import Any

import pandas as pd
import streamlit as st

from .. import queries, state
from ..amounts import counted
from . import tiles

_EXAMPLES, _PICTURES = 25, 8
_EXAMPLE = {
    "split": "Split",
    "key": "Key",
    "detail": st.column_config.TextColumn("Why", width="large"),
    "provenance_file": "File",
    "provenance_row": "Row",
    "people": "People",
}


def show(dataset: str, row: dict[str, Any]) -> None:
    """Show who was left out and why, with places in the owner's files."""
    reasons = state.ask(queries.rejects_by_reason, dataset)
    if reasons.empty:
        st.markdown("Nobody was left out.")
        return
    _headline(row)
    st.dataframe(reasons, hide_index=True, column_config=_reason_columns(reasons), alt="People left out by reason")
    reason = st.selectbox("Examples of", list(reasons["reason"]), key="card_reason", bind="query-params", width=320)
    records = dict(zip(reasons["reason"], reasons["records"], strict=True))[reason]
    if records > _EXAMPLES:
        st.caption(f"{_EXAMPLES} of {records:,} records, spread over the source.")
    examples = state.ask(queries.reject_examples, dataset, reason, _EXAMPLES)
    st.dataframe(examples, hide_index=True, column_config=_EXAMPLE, alt=f"Examples of {reason}")
    _pictures(dataset, examples)


def _reason_columns(reasons: pd.DataFrame) -> dict[str, Any]:
    column = st.column_config
    most = max(reasons["people"].tolist())
    return {
        "reason": column.TextColumn("Reason", pinned=True),
        "people": column.ProgressColumn("People", format="localized", min_value=0, max_value=most, color="orange"),
        "records": column.NumberColumn("Records", format="localized", help="A record may stand for a whole frame."),
        "example": column.TextColumn("For example", width="large"),
    }


def _headline(row: dict[str, Any]) -> None:
    who = counted(row["rejected"], "person was", "people were")
    st.markdown(f"{who} left out, {row['reject_share']:.1%} of all in the raw files.")


def _pictures(dataset: str, examples: pd.DataFrame) -> None:
    """Draw the frames of examples that are here because others in them were kept, these with their boxes."""
    places = tuple(examples.loc[:, ["split", "key"]].itertuples(index=False, name=None))
    frames = state.ask(queries.frames_of_rejects, dataset, places, _PICTURES)
    if frames.empty or not tiles.may_show(dataset):
        return
    st.markdown("###### Pictures of these examples")
    st.caption("Of frames in which somebody else was kept. Boxes are of those who were: the others are left out.")
    keys = frames["person_key"].tolist()
    drawn = tiles.drawn("frames", keys, "boxes", 1.0)
    tiles.show(drawn, columns=tiles.frame_columns(drawn), links=keys)
    st.markdown(tiles.licence_line(dataset))
