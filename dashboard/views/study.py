"""The study of data sets: how alike they are, how much their hands do, and what each is worth alone."""

import pandas as pd
import streamlit as st

from ...benchmark.published import load_published
from .. import curve_charts, readings, state, study

_TABS = ("Similarity", "Poses", "Orientation", "Hands", "Worth alone")
_CHOSEN = 4


def render() -> None:
    """Show the page."""
    tabs = st.tabs(_TABS, key="study_tab", bind="query-params")
    drawers = (_similarity, _poses, _orientation, _hands, _worth)
    for tab, draw in zip(tabs, drawers, strict=True):
        if tab.open:
            with tab:
                draw() if draw is _worth or state.has_catalog() else _welcome()


def _welcome() -> None:
    """Say which command to run where nothing is converted."""
    st.markdown("##### Nothing is converted here yet")
    st.markdown("Data sets are compared by their people. Convert at least two:")
    st.code(f"ehps convert DATASET --raw DIR --out {state.here().catalog}", language="shell")


def _similarity() -> None:
    """Draw each data set against each."""
    what = st.segmented_control(
        "By", ("body pose", "orientation"), default="body pose", required=True, key="study_by", bind="query-params"
    )
    is_pose = what == "body pose"
    table = readings.study_of("similar_pose" if is_pose else "similar_orientation")
    if table.empty:
        st.caption("No source here has people with a labelled body.")
        return
    titles = ("people of", "nearest in") if is_pose else ("", "")
    order = study.ordered(table)
    nearest, farthest = min(table["value"]), max(table["value"])
    domain = (nearest, max(farthest, 1.5 * nearest)) if is_pose else (1.0, 0.0)
    chart = curve_charts.pairs(table, order, titles, ".2f" if is_pose else ".0%", domain)
    st.altair_chart(chart, width="content", alt=f"Similarity of data sets by {what}")
    if is_pose:
        st.caption(
            "How far the nearest body pose of the column's source is from a person of the row's (median, root mean "
            "square over 21 joints, rad): strong where the column covers the row. A benchmark's row shows which "
            "sources come close to it. The diagonal: the nearest other person."
        )
    else:
        st.caption(
            "Share of people who face and lean alike: the overlap of yaw and tilt in bins of 30\N{DEGREE SIGN}; 100 % "
            "for like distributions."
        )
    _looked_at()


def _looked_at() -> None:
    st.caption(f":gray[From {study.PEOPLE:,} people of each source at most, evenly spread.]")


def _choice(names: list[str], key: str) -> list[str]:
    """Draw the choice of sources that stand out; the first few are chosen at first."""
    return st.multiselect(
        "Sources", names, default=names[:_CHOSEN], key=key, bind="query-params", max_selections=8, placeholder="None"
    )


def _poses() -> None:
    """Draw body poses in their main plane."""
    points, explained = readings.study_of("pose_plane")
    if points.empty:
        st.caption("No source here has people with a labelled body.")
        return
    chosen = _choice(list(dict.fromkeys(points["dataset"])), "study_poses")
    st.altair_chart(
        curve_charts.pose_plane(points, chosen, explained), alt="Body poses in the plane of two main components"
    )
    st.caption(
        "Body poses (21 joints, axis-angle) along their two main directions, every source counted the same. Grey: the "
        "other sources."
    )
    _looked_at()


def _orientation() -> None:
    """Draw which way the people of each source face."""
    samples = {name: sample for name, sample in readings.samples().items() if len(sample.yaw)}
    if not samples:
        st.caption("No source here has people with an orientation.")
        return
    chosen = _choice(list(samples), "study_orientation")
    with st.grid(2, min_column_width=320, gap="medium") as grid:
        for name in chosen:
            with grid.cell():
                cells = study.orientation_cells(samples[name])
                st.altair_chart(curve_charts.orientations(cells, name), alt=f"Orientation of the people of {name}")
    st.caption(
        "From left to right: which way the body faces, seen from the camera. From below: how far it leans, "
        "0\N{DEGREE SIGN} upright, 180\N{DEGREE SIGN} head down."
    )
    _looked_at()


def _hands() -> None:
    """Draw how far hands are from the relaxed hand."""
    table = readings.study_of("hand_table")
    if table.empty:
        st.caption("No source here has labelled hands.")
        return
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.altair_chart(curve_charts.hand_spread(table), alt="Distance of hands from the relaxed hand, by data set")
        st.caption("Mark: the median hand; box: the middle half; line: nine in ten. Labelled hands of both sides.")
    with right:
        number = st.column_config.NumberColumn
        columns = {"dataset": "Source", "hands": number("Hands", format="localized")}
        columns |= {name: number(name, format="%.2f") for name in ("p05", "median", "p95")}
        st.dataframe(table, hide_index=True, column_order=["dataset", "hands", "p05", "median", "p95"],
                     column_config=columns, alt="Distance of hands from the relaxed hand (rad)")  # fmt: skip
        st.caption(
            "Root mean square over the 15 joints of the difference to MANO's mean hand (rad). A source whose hands all "
            "lie near zero was labelled with relaxed hands and not by looking at them."
        )
    _looked_at()


def _worth() -> None:
    """Draw what networks reach that were trained on one data set each."""
    table = study.single_source_ranks(readings.newest_results(), load_published())
    measured = table.loc[table["rank"].notna()]
    if measured.empty:
        folders = state.here()
        st.markdown("No network here was trained on one source alone. Such a run for each source ranks them:")
        st.code(
            f"ehps train smplestx_s5 --catalog {folders.catalog} --out {folders.runs}/DATASET mixture=DATASET.yaml\n"
            f"ehps bench {folders.runs}/DATASET --catalog {folders.catalog} --out {folders.results}",
            language="shell",
        )
    else:
        _ranks(measured)
    papers = table.loc[table["rank"].isna()]
    if len(papers):
        st.markdown("###### Published")
        _plain_table(papers, ["dataset", "protocol", "measure", "value", "from"])


def _ranks(measured: pd.DataFrame) -> None:
    """Draw the measured ranks, the best mean rank first."""
    wide = measured.pivot_table(index="dataset", columns="protocol", values="rank", aggfunc="min")
    wide.insert(0, "mean rank", wide.mean(axis=1).where(wide.notna().all(axis=1)))
    st.markdown("###### Ranks of training sources")
    st.dataframe(wide.sort_values(by="mean rank"), placeholder="\N{EN DASH}", alt="Ranks of sources by protocol")
    _plain_table(measured, ["dataset", "protocol", "measure", "value", "rank", "from"])


def _plain_table(table: pd.DataFrame, columns: list[str]) -> None:
    number = st.column_config.NumberColumn
    config = {"dataset": "Trained on", "protocol": "Measured on", "measure": "Measure", "from": "From"}
    st.dataframe(
        table, hide_index=True, column_order=columns, alt="Networks trained on one source each",
        column_config=config | {"value": number("mm", format="%.1f"), "rank": number("Rank", format="%d")},
    )  # fmt: skip
