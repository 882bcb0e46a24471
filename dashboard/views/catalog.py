"""The page of all sources: facets at the side, search above, one table with counts and state."""

import pandas as pd
import streamlit as st

from .. import facets, inventory, state
from ..plaintext import plain
from . import facet_boxes

_STATES = {"converted": "converted", "partly": "partly", "stale": "stale", "absent": "", inventory.PLANNED: "planned"}
_FLAGS = ("is_video", "is_commercial", "is_redistributable")
_ROW, _MAX_HEIGHT = 34, 850  # px


def render() -> None:
    """Show the page."""
    table = inventory.with_planned(state.sources())
    text = _search_box()
    found = table.loc[facets.search(table, text)] if text else table
    choice = _sidebar(found)
    shown = found.loc[facets.keep(found, choice)].reset_index(drop=True)
    _headline(shown, table)
    if shown.empty:
        st.info("No source passes all filters. Clear one at the side, or the search.", icon=":material/filter_alt_off:")
        return
    _table(shown)


def _search_box() -> str:
    return st.text_input(
        "Search",
        key="cat_search",
        bind="query-params",
        type="search",
        live="300ms",
        placeholder="Search name, summary and pitfalls",
        label_visibility="collapsed",
        icon=":material/search:",
    )


def _sidebar(table: pd.DataFrame) -> dict[str, list[str]]:
    """Draw the facets with the number of sources behind each option, and return what is chosen."""
    choice = {facet.key: facet_boxes.chosen("cat", facet) for facet in facets.FACETS}
    counts = facets.count(table, choice)
    for title, keys in facets.GROUPS:
        with st.sidebar.container(gap="xxsmall"):
            st.caption(f"**{title}**")
            for facet in (facets.BY_KEY[key] for key in keys):
                facet_boxes.draw("cat", facet, counts)
    return choice


def _headline(shown: pd.DataFrame, table: pd.DataFrame) -> None:
    planned = table["state"].tolist().count(inventory.PLANNED)
    parts = [f"**{len(shown)}** of {len(table)} sources" + (f" ({planned} planned)" if planned else "")]
    people, frames = sum(shown["people"]), sum(shown["frames"])
    if people:
        parts.append(f"**{people:,}** people in **{frames:,}** frames on this machine")
    st.markdown(" :gray[\N{MIDDLE DOT}] ".join(parts))


def _table(shown: pd.DataFrame) -> None:
    """Draw the table; choosing a row leads to the card."""
    view = shown.assign(
        state=[_STATES[value] for value in shown["state"]],
        reject_share=[None if value is None else 100 * value for value in shown["reject_share"]],
        **{name: ["\N{CHECK MARK}" if value else "" for value in shown[name]] for name in _FLAGS},
        **{name: [value or None for value in shown[name]] for name in ("frames", "people")},
    )
    picked = st.dataframe(
        view,
        key=f"cat_table_{state.table_key(shown['id'])}",
        on_select="rerun",
        selection_mode="single-cell",
        hide_index=True,
        height="content" if _ROW * len(view) < _MAX_HEIGHT - 80 else _MAX_HEIGHT,
        row_height=_ROW,
        column_order=_ORDER,
        column_config=_columns(),
        placeholder="",
        alt="All sources with their labels, licence and state on this machine",
    )
    for position, _ in picked.selection.cells:
        row = shown.iloc[position]
        if row["state"] != inventory.PLANNED:
            state.go("card", card_id=row["id"])
        st.info(f"**{plain(row['name'])}** has no card yet. {plain(row['summary'])}", icon=":material/pending:")
    st.caption("Click a row to open its card.")


_ORDER = (
    ["id", "kind", "scene", "labels", "body_model", "year", "splits", "is_video", "is_commercial"]
    + ["is_redistributable", "state", "frames", "people", "reject_share", "mix", "name"]
)  # fmt: skip


def _columns() -> dict:
    column = st.column_config
    return {
        "id": column.TextColumn("Source", pinned=True),
        "kind": column.TextColumn("Kind"),
        "scene": column.TextColumn("Scene"),
        "labels": column.ListColumn("Labels", width=212),
        "body_model": column.TextColumn("Model"),
        "year": column.NumberColumn("Year", format="%d"),
        "splits": column.ListColumn("Splits", width=140),
        "is_video": column.TextColumn("Video", alignment="center"),
        "is_commercial": column.TextColumn("Com.", alignment="center", help="The licence allows commercial use."),
        "is_redistributable": column.TextColumn("Red.", alignment="center", help="It allows redistribution."),
        "state": column.TextColumn("Here"),
        "frames": column.NumberColumn("Frames", format="compact"),
        "people": column.NumberColumn("People", format="compact"),
        "reject_share": column.NumberColumn("Left out", format="%.1f%%"),
        "mix": column.TextColumn("Mix", alignment="right", help="Smallest mixture of the papers that has it."),
        "name": column.TextColumn("Name", width=320),
    }
