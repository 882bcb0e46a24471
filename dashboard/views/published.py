"""What papers report, beside the matrix and never in it."""

import pandas as pd
import streamlit as st

from ...benchmark.published import load_published
from ...benchmark.tables import Column, published_block, reproduction_gap
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
    numbers = [name for name in table.columns if name not in ("method", "paper", "table", "source")]
    config = {name: st.column_config.NumberColumn(name, format="%.1f") for name in numbers}
    config |= {"method": "Method", "source": "Source"}
    st.dataframe(
        table.style.set_properties(color=GREY),
        hide_index=True,
        column_order=["method", *numbers, "paper", "table", "source"],
        column_config=config | {"paper": "Paper", "table": "Table"},
        height=min(35 * (len(table) + 1) + 3, 420),
        placeholder="",
        alt="Published numbers with their sources",
    )


@st.cache_resource(max_entries=16, show_spinner=False)
def _table(columns: tuple[Column, ...]) -> pd.DataFrame:
    return board.published_table(published_block(load_published(), columns), columns, scored.known_protocols())


def gaps() -> None:
    """Show measured beside published numbers of the models that papers name."""
    table = _gaps(scored.results_snapshot())
    if table.empty:
        return
    table = table.assign(gap_share=100 * table["gap_share"])
    large = sum(abs(share) > _ALERT for share in table["gap_share"])
    st.markdown("##### Reproduction")
    if large:
        st.warning(f"{large} of {len(table)} numbers differ by more than {_ALERT:g} % from what was published.")
    number = st.column_config.NumberColumn
    st.dataframe(
        table,
        hide_index=True,
        column_order=["model", "protocol", "measure", "measured", "published", "gap", "gap_share", "paper", "table"],
        column_config={
            "measured": number("Measured", format="%.1f"),
            "published": number("Published", format="%.1f"),
            "gap": number("Gap", format="%+.1f"),
            "gap_share": number("Gap (%)", format="%+.1f"),
        },
        alt="Measured beside published numbers",
    )


@st.cache_resource(max_entries=2, show_spinner=False)
def _gaps(snapshot: state.Snapshot) -> pd.DataFrame:
    results, published = scored.results(snapshot), load_published()
    names = board.published_names(list(results["model"].unique()), list(published["method"].unique()))
    return reproduction_gap(results, published, names)
