"""What the catalog counts of a source: splits, distributions against all other sources, and who was left out."""

from typing import Any

import pandas as pd
import streamlit as st

from .. import charts, queries, recorded, state, study_charts, study_readings
from ..distributions import Spread, spread_of
from ..durations import hours

_EXAMPLES = 25
_EXAMPLE = {
    "split": "Split",
    "key": "Key",
    "detail": st.column_config.TextColumn("Why", width="large"),
    "provenance_file": "File",
    "provenance_row": "Row",
    "people": "People",
}


def show_distributions(dataset: str, row: dict[str, Any]) -> None:
    """Show counts by split and histograms against all other sources."""
    splits, number = state.ask(queries.by_split, dataset), st.column_config.NumberColumn
    st.dataframe(
        splits,
        hide_index=True,
        column_order=["split", "units", "sequences", "frames", "people", "rejected", "box_height", "bytes"],
        column_config={
            "split": "Split",
            **{
                name: number(name.capitalize(), format="localized")
                for name in ("units", "sequences", "frames", "people")
            },
            "rejected": number("Left out", format="localized"),
            "box_height": number("Median box height (px)", format="%.0f"),
            "bytes": number("Size", format="bytes"),
        },
        alt="Counts by split",
    )
    _video(dataset)
    spread = _spread(state.catalog(), dataset)
    with st.grid(3, min_column_width=300, gap="medium") as grid:
        for name, variable in queries.VARIABLES.items():
            with grid.cell():
                _histogram(state.ask(queries.histogram, dataset, name), variable.title, row["name"])
        with grid.cell():
            title = "hand articulation: angle from the relaxed hand (rad)"
            _histogram(spread.hands, title, row["name"])
    _orientation(spread, row["name"])
    _shape(spread, row["name"])


@st.cache_resource(max_entries=64, show_spinner="Reading poses")
def _spread(snapshot: state.Snapshot, dataset: str) -> Spread:  # noqa: ARG001 - the cache's key
    """Return the distributions of the samples, worked out once for each state of the catalog."""
    return spread_of(study_readings.samples(), dataset)


def _video(dataset: str) -> None:
    """Say how much recorded time the source covers, where that is known."""
    clips = state.answer(recorded.CLIPS)
    found = recorded.recorded(clips, [dataset], recorded.frame_rates())
    if found.total is not None:
        count = dict(zip(clips["dataset"], clips["clips"], strict=True))[dataset]
        rate = recorded.frame_rates()[dataset]
        st.markdown(
            f"**{hours(found.total)}** of video in **{count:,}** clips, each camera on its own "
            f":gray[(first to last converted frame, {rate:g} pictures a second)]"
        )
    elif found.unknown:
        st.markdown(":gray[Video, whose frame rate the card does not name: how long it is, is not known.]")


def _histogram(bins: pd.DataFrame, title: str, name: str) -> None:
    """Draw one distribution, or say that nobody here has it."""
    if True in set(bins["is_this"]):
        st.altair_chart(charts.against_others(bins, title, name), alt=f"{title} in this source and in all others")
        return
    st.markdown(f"**{title}**")
    st.caption("Nobody in this source has it.")


def _orientation(spread: Spread, name: str) -> None:
    """Draw from where the camera sees the people of the source, and those of all others."""
    if spread.seen_from.empty:
        return
    st.markdown("###### Orientation: from where the camera sees people, on the sphere around the body")
    with st.grid(2, min_column_width=340, gap="medium") as grid:
        for cells, title in ((spread.seen_from, name), (spread.others_seen_from, charts.OTHERS)):
            with grid.cell():
                if len(cells):
                    st.altair_chart(
                        study_charts.sphere(cells, title), alt=f"Camera directions around people of {title}"
                    )
    st.caption(
        "Elevation over direction around the body; the map keeps areas, so an even sphere is evenly blue. "
        f"{_looked_at(spread.oriented)}"
    )


def _shape(spread: Spread, name: str) -> None:
    """Draw how the shape coefficients are spread."""
    if not spread.shaped:
        return
    st.markdown("###### Shape: the first ten betas")
    st.altair_chart(
        charts.shape_spread(spread.shape, name), alt="Spread of the shape coefficients, here and in all others"
    )
    st.caption(
        "Box: the middle half; line: nine tenths; tick: the median. Neutral betas where there are, else as "
        f"distributed: those of different body models mean different shapes. {_looked_at(spread.shaped)}"
    )


def _looked_at(count: int) -> str:
    """Say how many people a picture rests on."""
    return f"From {count:,} people of this source, drawn with a fixed seed; every other source counts the same."


def show_rejects(dataset: str, row: dict[str, Any]) -> None:
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
        st.dataframe(examples, hide_index=True, column_config=_EXAMPLE, alt=f"Examples of {reason}")
