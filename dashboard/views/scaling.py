"""Scaling: how errors fall with training people, data sets and the size of the network."""

import numpy as np
import pandas as pd
import streamlit as st

from ...benchmark.protocol import protocols
from ...benchmark.published import load_published
from .. import curve_charts, readings, scaling, state


def render() -> None:
    """Show the page."""
    points = _points()
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        axis = st.segmented_control(
            "Along",
            list(scaling.AXES),
            default="people",
            required=True,
            key="scale_axis",
            bind="query-params",
            format_func=lambda name: scaling.AXES[name],
        )
        curves = scaling.curves_along(points, axis)
        if st.session_state.get("scale_curve", curves[0]) not in curves:
            del st.session_state["scale_curve"]
        curve = st.selectbox("Error", curves, key="scale_curve", bind="query-params", width=300)
        is_log = st.toggle("Log axes", value=True, key="scale_log", bind="query-params")
    shown = scaling.along(points, curve, axis)
    with st.container(border=True):
        st.markdown(f"##### {curve} (mm), lower is better")
        chart = curve_charts.scaling(shown, scaling.line_through(shown), scaling.AXES[axis], is_log)
        st.altair_chart(chart, alt=f"{curve} over {scaling.AXES[axis]}")
        _notes(points, shown, curve, axis)
    _table(shown, axis)


def _points() -> pd.DataFrame:
    """Return published and measured points."""
    known = protocols()
    published, measured = scaling.published_points(load_published(), known), readings.measured_points()
    return pd.concat([part for part in (published, measured) if len(part)], ignore_index=True)


def _notes(points: pd.DataFrame, shown: pd.DataFrame, curve: str, axis: str) -> None:
    """Say what the marks mean and what is not drawn."""
    silent = int(np.sum(points["curve"] == curve)) - len(shown)
    notes = ["Circles: published, from papers and read-mes, on the real data; diamonds: measured here."]
    notes += ["Lines run through the best of each place."]
    if axis == "people":
        notes += ["Published people: what an epoch of the release's mixture draws."]
    if axis == "parameters":
        notes += ["Parameters are those of the encoder, counted from its width and depth."]
    if silent:
        notes += [f"{silent} of the numbers do not tell, and are left out."]
    st.caption(" ".join(notes))
    if "measured" not in set(points["kind"]):
        folders = state.here()
        st.caption(
            f"Nothing is measured here yet: `ehps bench MODEL --catalog {folders.catalog} --out {folders.results}`."
        )


def _table(shown: pd.DataFrame, axis: str) -> None:
    """Draw the points as a table."""
    number = st.column_config.NumberColumn
    st.dataframe(
        shown.sort_values(by=["x", "value"]),
        hide_index=True,
        column_order=["method", "x", "value", "kind", "where", "note"],
        column_config={
            "method": st.column_config.TextColumn("Network", width=240),
            "x": number(scaling.AXES[axis].capitalize(), format="compact"),
            "value": number("Error (mm)", format="%.1f"),
            "kind": "Kind",
            "where": "Where",
            "note": st.column_config.TextColumn("Note", width="large"),
        },
        placeholder="",
        alt="The points of the curve with their sources",
    )
