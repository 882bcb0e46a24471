"""What the catalog counts of a source: splits, distributions against all other sources, and who was left out."""

from typing import Any

import streamlit as st

from .. import charts, queries, state

_EXAMPLES = 25


def distributions(dataset: str, row: dict[str, Any]) -> None:
    """Show counts by split and histograms against all other sources."""
    splits = state.ask(queries.by_split, dataset)
    st.dataframe(
        splits,
        hide_index=True,
        column_order=["split", "units", "sequences", "frames", "people", "rejected", "box_height", "bytes"],
        column_config={
            "rejected": "left out",
            "box_height": st.column_config.NumberColumn("median box height (px)", format="%.0f"),
            "bytes": st.column_config.NumberColumn("size", format="bytes"),
        },
        alt="Counts by split",
    )
    with st.grid(3, min_column_width=320, gap="medium") as grid:
        for name, variable in queries.VARIABLES.items():
            with grid.cell():
                bins = state.ask(queries.histogram, dataset, name)
                if True not in set(bins["is_this"]):
                    st.markdown(f"**{variable.title}**")
                    st.caption("Nobody in this source has it.")
                else:
                    chart = charts.against_others(bins, variable.title, row["name"])
                    st.altair_chart(chart, alt=f"{variable.title} in this source and in all others")


def rejects(dataset: str, row: dict[str, Any]) -> None:
    """Show who was left out and why, with places in the owner's files."""
    reasons = state.ask(queries.rejects_by_reason, dataset)
    if reasons.empty:
        st.markdown("Nobody was left out.")
        return
    st.markdown(f"**{row['rejected']:,}** people were left out, {row['reject_share']:.1%} of all in the raw files.")
    left, right = st.columns([2, 3], gap="large")
    with left:
        st.altair_chart(charts.rejects_by_reason(reasons), alt="People left out by reason")
    with right:
        reason = st.selectbox("Examples of", list(reasons["reason"]), key="card_reason", bind="query-params")
        examples = state.ask(queries.reject_examples, dataset, reason, _EXAMPLES)
        st.dataframe(examples, hide_index=True, alt=f"Examples of {reason}")
