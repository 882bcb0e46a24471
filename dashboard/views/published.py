"""What papers report, beside the matrix and never in it."""

from typing import Any

import pandas as pd
import streamlit as st

from ...benchmark.measures import digits, get_measure
from ...benchmark.published import load_published
from ...benchmark.render import SIGNS
from ...benchmark.tables import Column, published_block, reproduction_gap, row_labels
from .. import board, scored, state
from ..theme import GREY

_ALERT = 2.0  # per cent of the published number; a larger gap is no reproduction


def block(columns: list[Column]) -> None:
    """Show what papers report for the same columns, in grey and with its source."""
    table = _table(tuple(columns))
    if table.empty:
        return
    st.markdown("##### Published")
    st.caption("From papers and read-mes, on the real data sets; never mixed with what was measured here.")
    known = scored.known_protocols()
    numbers = {board.published_title(column, known): digits(column[1]) for column in columns}
    numbers = {title: count for title, count in numbers.items() if title in table}
    config: dict[str, Any] = {
        title: st.column_config.NumberColumn(title, format=f"%.{count}f") for title, count in numbers.items()
    }
    config |= {"method": "Method", "train_set": st.column_config.TextColumn("Trained on", width=160)}
    st.dataframe(
        table.style.set_properties(color=GREY),
        hide_index=True,
        column_order=["method", *numbers, "train_set", "paper", "table", "source"],
        column_config=config | {"paper": "Paper", "table": "Table", "source": "Source"},
        height=min(35 * (len(table) + 1) + 3, 420),
        placeholder="",
        alt="Published numbers with their sources",
    )


@st.cache_resource(max_entries=16, show_spinner=False)
def _table(columns: tuple[Column, ...]) -> pd.DataFrame:
    numbers = board.with_published_means(load_published())
    return board.published_table(published_block(numbers, columns), columns, scored.known_protocols())


def gaps() -> None:
    """Show measured beside published numbers of the models that papers name."""
    table = _gaps(scored.results_snapshot())
    if table.empty:
        return
    large = sum(abs(share) > _ALERT for share in table["gap_share"])
    st.markdown("##### Reproduction")
    if large:
        said = f"{large} of {len(table)} numbers differ by more than {_ALERT:g} % from what was published."
        st.markdown(f":orange[:material/warning:] {said}")
    number = st.column_config.NumberColumn
    st.dataframe(
        table,
        hide_index=True,
        height=min(35 * (len(table) + 1) + 3, 320),
        column_order=["model", "protocol", "measure", "measured", "published", "gap", "gap_share", "paper", "table"],
        column_config={
            "model": st.column_config.TextColumn("Model", pinned=True),
            "protocol": "Protocol",
            "measure": "Measure",
            "measured": number("Measured", format="%.1f"),
            "published": number("Published", format="%.1f"),
            "gap": number("Gap", format="%+.1f"),
            "gap_share": number("Gap (%)", format="%+.1f"),
            "paper": "Paper",
            "table": "Table",
        },
        alt="Measured beside published numbers",
    )
    if any(table["has_missing"]):
        st.caption(f"{SIGNS['m']} people were not answered, and are not in the measured mean.")


@st.cache_resource(max_entries=2, show_spinner=False)
def _gaps(snapshot: state.Snapshot) -> pd.DataFrame:
    """Return the gaps in mm and per cent, named as everywhere on the page."""
    results, published, known = scored.results(snapshot), load_published(), scored.known_protocols()
    names = board.published_names(list(results["model"].unique()), list(published["method"].unique()))
    table = reproduction_gap(results, published, names)
    signs = [f" {SIGNS['m']}" if is_missing else "" for is_missing in table["has_missing"]]
    return table.assign(
        model=[f"{model}{sign}" for model, sign in zip(row_labels(table), signs, strict=True)],
        protocol=[known[name].display_name if name in known else name for name in table["protocol"]],
        measure=[get_measure(name).display_name for name in table["measure"]],
        gap_share=100 * table["gap_share"],
    )
