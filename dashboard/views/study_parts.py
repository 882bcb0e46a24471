"""The tabs of the study that show one thing each: from where people are seen, their hands, what a source is worth."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from ...benchmark.measures import digits
from ...benchmark.published import load_published
from ...shards.analyses.hands import JOINT_NAMES, SIDES, finger_table, hand_table
from ...shards.analyses.samples import PoseSample
from ...shards.analyses.sphere import direction_cells, lean_table, orientation_table
from .. import figures, readings, scored, state, study, study_charts, study_readings

_CHOSEN, _MOST = 4, 8


def splits_apart() -> bool:
    """Draw whether splits count as sources of their own."""
    return st.toggle("Splits apart", key="study_splits", bind="query-params")


def looked_at(least: int, most: int, more: str = "") -> None:
    """Say how many people of a source a figure is made from."""
    count = f"{most:,}" if least == most else f"{least:,} to {most:,}"
    st.caption(f":gray[A sample with a fixed seed: {count} people of a source.{more}]")


def _unread(samples: Mapping[str, PoseSample]) -> None:
    """Say how many of the shards that were drawn could not be looked at."""
    count = sum(sample.unread for sample in samples.values())
    if count:
        st.caption(f":gray[{count:,} shards more were drawn, whose sidecars are not beside the catalog.]")


def choice(names: list[str], key: str) -> list[str]:
    """Draw the choice of sources that stand out; the first few are chosen at first."""
    if any(name not in names for name in st.session_state.get(key, ())):
        del st.session_state[key]  # names of splits where sources are shown, or the other way round
    return st.multiselect(
        "Sources", names, default=names[:_CHOSEN], key=key, bind="query-params", max_selections=_MOST,
        placeholder="None",
    )  # fmt: skip


def orientation() -> None:
    """Draw from where the camera sees the people of each source."""
    by_split = splits_apart()
    samples = {name: sample for name, sample in study_readings.samples(by_split).items() if len(sample.orients)}
    if not samples:
        st.caption("No source here has people with an orientation.")
        return
    chosen = choice(list(samples), "study_orientation")
    shown = {name: samples[name] for name in chosen}
    counts = [len(sample.orients) for sample in samples.values()]
    with st.container(border=True):
        st.markdown("##### From where the camera sees people")
        cells = direction_cells(shown)
        st.html(figures.STYLE)
        with st.grid(3, min_column_width=300, gap="medium") as grid:
            for name in chosen:
                with grid.cell():
                    st.html(figures.sphere(cells.loc[cells["name"] == name], name))
        st.caption(
            "The sphere around the body on Mollweide's map, which keeps areas. From left to right the camera goes "
            "round the person; from below to above it rises over the body's own equator."
        )
        looked_at(min(counts), max(counts))
        _unread(samples)
    with st.container(border=True):
        st.markdown("##### How far people lean")
        st.altair_chart(study_charts.leans(lean_table(samples), chosen), alt="How far people lean, by data set")
        st.caption("0\N{DEGREE SIGN}: upright in the picture, 90\N{DEGREE SIGN}: lying, 180\N{DEGREE SIGN}: head down.")
    _orientation_table(orientation_table(samples))


def _orientation_table(table: pd.DataFrame) -> None:
    number = st.column_config.NumberColumn
    columns = {"name": "Source", "people": number("People", format="localized")}
    shares = ["front", "side", "back", "above", "below", "lying"]
    columns |= {name: number(name, format="%.0f %%") for name in shares}
    columns |= {"spread": number("spread", format="%.2f")}
    table = table.assign(**{name: 100 * table[name] for name in shares})
    st.dataframe(table, hide_index=True, column_config=columns, alt="Orientation of people, by data set")
    st.caption(
        "Camera in front, beside or behind (45\N{DEGREE SIGN} each way); above or below by more than "
        "30\N{DEGREE SIGN}; lying: leaning by more than 60\N{DEGREE SIGN}. Spread: 0 all from one direction, 1 from "
        "everywhere."
    )


def hands() -> None:
    """Draw how far hands are from the relaxed hand."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        side = st.segmented_control(
            "Hands", SIDES, default="both", required=True, key="study_side", bind="query-params"
        )
        by_split = splits_apart()
    samples = study_readings.samples(by_split)
    table = hand_table(samples, side)
    if table.empty:
        st.caption("No source here has labelled hands.")
        return
    with st.container(border=True):
        st.markdown("##### Distance from the relaxed hand")
        st.altair_chart(study_charts.hand_spread(table), alt="Distance of hands from the relaxed hand, by data set")
        st.caption(
            "Mean over the 15 joints of the angle from MANO's mean hand. Mark: the median hand; box: the middle half; "
            "line: nine in ten."
        )
        count = table["hands"]
        st.caption(f":gray[A sample with a fixed seed: {count.min():,} to {count.max():,} hands of a source.]")
        _unread(samples)
    with st.container(border=True):
        st.markdown("##### By joint (mean angle, rad)")
        names = list(table["name"])
        chart = study_charts.fingers(finger_table(samples, side), names, list(JOINT_NAMES))
        st.altair_chart(chart, alt="Mean angle of each joint of the hand from the relaxed hand, by data set")
    _hand_table(table)


def _hand_table(table: pd.DataFrame) -> None:
    number = st.column_config.NumberColumn
    columns = {"name": "Source", "hands": number("Hands", format="localized")}
    columns |= {name: number(name, format="%.2f") for name in ("p05", "p25", "median", "p75", "p95")}
    columns |= {name: number(f"{name} itself", format="%.0f %%") for name in ("relaxed", "flat")}
    table = table.assign(relaxed=100 * table["relaxed"], flat=100 * table["flat"])
    st.dataframe(table, hide_index=True, column_config=columns, alt="Distance of hands from the relaxed hand (rad)")
    st.caption("Relaxed or flat itself: such hands were given a default and not looked at when they were labelled.")


def worth() -> None:
    """Draw what networks reach that were trained on one data set each."""
    rows = study.single_source_rows(readings.newest_results(), state.results())
    if rows.empty:
        folders = state.here()
        st.markdown("##### No network here was trained on one source alone")
        st.markdown("This trains a small network for each source, scores it and ranks the sources:")
        st.code(
            f"ehps study datasets --catalog {folders.catalog} --out STUDY --results {folders.results}",
            language="shell",
        )
    else:
        _ranking(rows)
    papers = study.published_alone(load_published())
    if len(papers):
        st.markdown("###### Published")
        columns = {"source": "Trained on", "test set": "Measured on", "measure": "Measure", "place": "From"}
        number = st.column_config.NumberColumn("mm", format="%.1f")
        st.dataframe(papers, hide_index=True, column_config=columns | {"value": number},
                     alt="Published networks trained on one source each")  # fmt: skip


def _ranking(rows: pd.DataFrame) -> None:
    """Draw the networks of a study, the best first."""
    names = study.studies(rows)
    if st.session_state.get("study_name", names[0]) not in names:
        del st.session_state["study_name"]
    with st.container(horizontal=True, vertical_alignment="top", gap="medium"):
        name = st.selectbox("Study", names, key="study_name", bind="query-params", width=260)
        show = st.segmented_control(
            "Show", ("errors", "ranks"), default="errors", required=True, key="study_show", bind="query-params"
        )
    known = scored.known_protocols()
    primaries = {own.id: own.primary for own in known.values()}
    table = study.ranking(rows.loc[rows["study"] == name], primaries)
    overall = table.columns[3]
    shown = study.protocol_ranks(table, primaries) if show == "ranks" else table
    number = st.column_config.NumberColumn
    columns: dict[str, Any] = {"rank": number("Rank", format="%d"), "source": "Trained on", "network": "Network"}
    for name in shown.columns[3:]:
        title = known[name].display_name if name in known else {"mean": "Mean (mm)"}.get(name, name)
        form = "%d" if show == "ranks" else f"%.{digits(primaries.get(name, study.MPE))}f"
        columns[name] = number(title, format=form)
    st.dataframe(shown, hide_index=True, column_config=columns, placeholder="\N{EN DASH}",
                 alt=f"Networks trained on one source each: {show}")  # fmt: skip
    by = "MPE" if overall == study.MPE else "the mean of those in mm; nobody is scored under all of MPE's"
    st.caption(f"Each protocol's primary measure; ranked by {by}. Rows with a gap have no rank.")
