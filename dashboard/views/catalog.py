"""The page of all sources: facets at the side, search above, one table with counts and state."""

import pandas as pd
import streamlit as st

from .. import facets, inventory, state
from ..plaintext import plain
from . import chips, facet_boxes

_FLAGS = ("is_video", "is_commercial", "is_redistributable")
_ROW, _MAX_HEIGHT = 34, 850  # px


def render() -> None:
    """Show the page."""
    table = inventory.with_planned(state.sources())
    text = _search_box()
    found = table.loc[facets.search(table, text)] if text else table
    choice = _sidebar(found)
    shown = found.loc[facets.keep(found, choice)].reset_index(drop=True)
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        _headline(shown, table)
        is_set = bool(text) or any(choice.values())
        facet_boxes.clear_button("cat", facets.FACETS, {"cat_search": ""}, is_set=is_set)
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
        placeholder="Search name, summary, licence, authors and pitfalls",
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
    st.markdown(" :gray[\N{MIDDLE DOT}] ".join(parts), width="content")


def _table(shown: pd.DataFrame) -> None:
    """Draw the table; choosing a row leads to the card."""
    view = shown.assign(
        state=chips.states(shown["state"]),
        kind=chips.kinds(shown["kind"]),
        labels=[", ".join(parts) for parts in shown["labels"]],
        splits=[", ".join(names) for names in shown["splits"]],
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
    st.caption("Click a row to open its card. Frames, licences and full names stand further right.")


# What decides comes first, and its widths fit half a screen; what is left fits a whole one.
_ORDER = (
    ["id", "state", "people", "labels", "kind", "scene"]
    + ["is_video", "is_commercial", "is_redistributable", "body_model", "year", "splits", "reject_share"]
    + ["frames", "people_per_image", "mix", "licence", "name"]
)  # fmt: skip


def _columns() -> dict:
    column = st.column_config
    return {
        "id": column.TextColumn("Source", pinned=True, width=148),
        "state": chips.state_column("Here", 86),
        "people": column.NumberColumn("People", format="compact", width=62),
        "labels": column.TextColumn("Labels", width=156),
        "kind": chips.kind_column(82),
        "scene": column.TextColumn("Scene", width=84),
        "is_video": column.TextColumn("Video", alignment="center", width=62),
        "is_commercial": column.TextColumn(
            "Com.", alignment="center", width=62, help="The licence allows commercial use."
        ),
        "is_redistributable": column.TextColumn(
            "Red.", alignment="center", width=62, help="The licence allows redistribution."
        ),
        "body_model": column.TextColumn("Model", width=70),
        "year": column.NumberColumn("Year", format="%d", width=62),
        "splits": column.TextColumn("Splits", width=116),
        "people_per_image": column.TextColumn("Crowd", width=68, help="People in a picture."),
        "reject_share": column.NumberColumn(
            "Left out", format="%.1f%%", width=79, help="Share of the people that were not converted, with reasons."
        ),
        "frames": column.NumberColumn("Frames", format="compact", width=70),
        "mix": column.TextColumn("Mix", alignment="right", width=50, help="Smallest mixture of the papers with it."),
        "licence": column.TextColumn("Licence", width=280),
        "name": column.TextColumn("Name", width=320),
    }
