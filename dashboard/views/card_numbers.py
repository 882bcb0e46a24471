"""What the catalog counts of a source: splits, recorded time, and distributions against all other sources."""

from typing import Any

import pandas as pd
import streamlit as st

from .. import figures, queries, recorded, state, study_readings
from ..amounts import counted, stored
from ..distributions import Spread, spread_of
from ..durations import hours
from ..plaintext import plain


def show_distributions(dataset: str, row: dict[str, Any]) -> None:
    """Show counts by split and histograms against all other sources."""
    st.markdown(_splits(state.ask(queries.by_split, dataset)))
    _video(dataset)
    spread = _spread(state.catalog(), dataset)
    st.html(figures.STYLE)
    with st.grid(3, min_column_width=300, gap="medium") as grid:
        for name, variable in queries.VARIABLES.items():
            with grid.cell():
                _histogram(state.ask(queries.histogram, dataset, name), variable.title, row["name"])
        with grid.cell():
            title = "hand articulation: angle from the relaxed hand (rad)"
            _histogram(spread.hands, title, row["name"])
    st.caption("The last bar of those that count everybody also holds all beyond, half a per cent of the catalog.")
    _orientation(spread, row["name"])
    _shape(spread, row["name"])


_SPLIT_COLUMNS = {
    "units": "Units",
    "sequences": "Sequences",
    "frames": "Frames",
    "people": "People",
    "rejected": "Left out",
    "box_height": "Median box height (px)",
}


def _splits(splits: pd.DataFrame) -> str:
    """Return the counts by split as a table in Markdown: a few rows need no table that scrolls."""
    lines = ["| Split | " + " | ".join([*_SPLIT_COLUMNS.values(), "Size"]) + " |", "|---|" + "---:|" * 7]
    for row in splits.to_dict("records"):
        counts = [f"{row[name]:,.0f}" if pd.notna(row[name]) else "\N{EN DASH}" for name in _SPLIT_COLUMNS]
        lines.append(f"| {plain(row['split'])} | {' | '.join(counts)} | {stored(int(row['bytes']))} |")
    return "\n".join(lines)


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
        st.html(figures.histogram(bins, title, name))
        return
    st.markdown(f"**{title}**")
    st.caption("Nobody in this source has it.")


def _orientation(spread: Spread, name: str) -> None:
    """Draw from where the camera sees the people of the source, and those of all others."""
    if spread.seen_from.empty:
        return
    st.markdown("###### Orientation: from where the camera sees people, on the sphere around the body")
    with st.grid(3, min_column_width=300, gap="medium") as grid:
        for cells, title in ((spread.seen_from, name), (spread.others_seen_from, figures.OTHERS)):
            with grid.cell():
                if len(cells):
                    st.html(figures.sphere(cells, title))
        with grid.cell(), st.container(height="stretch", vertical_alignment="center"):
            st.caption(
                "Mollweide's map of the sphere: it keeps areas, so people seen evenly from everywhere make it evenly "
                f"blue. {_looked_at(spread.oriented)}"
            )


def _shape(spread: Spread, name: str) -> None:
    """Draw how the shape coefficients are spread."""
    if not spread.shaped:
        return
    st.markdown("###### Shape: the first ten betas")
    st.html(figures.shape_spread(spread.shape, name))
    st.caption(
        "Box: the middle half; line: nine tenths; tick: the median. Neutral betas where there are, else as "
        f"distributed: those of different body models mean different shapes. {_looked_at(spread.shaped)}"
    )


def _looked_at(count: int) -> str:
    """Say how many people a picture rests on."""
    people = counted(count, "person", "people").replace("*", "")
    return f"From {people} of this source, drawn with a fixed seed; every other source counts the same."
