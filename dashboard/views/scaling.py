"""Scaling: how errors fall with training people, data sets and the size of the network."""

import numpy as np
import pandas as pd
import streamlit as st

from ...benchmark import scaling
from ...benchmark.published import load_published
from ...training.mixture_spec import PAPER_MIXTURES, load_mixture
from .. import curve_charts, readings, scored, state


def render() -> None:
    """Show the page."""
    points = _points()
    with st.container(horizontal=True, vertical_alignment="top", gap="medium"):
        axis = st.segmented_control(
            "Along",
            list(scaling.AXES),
            default="parameters",
            required=True,
            key="scale_axis",
            bind="query-params",
            format_func=lambda name: scaling.AXES[name],
        )
        curves = scaling.curves_along(points, axis)
        if st.session_state.get("scale_curve", curves[0]) not in curves:
            del st.session_state["scale_curve"]
        curve = st.selectbox("Error", curves, key="scale_curve", bind="query-params", width=260)
        axes = st.segmented_control(
            "Axes", ("log", "linear"), default="log", required=True, key="scale_axes", bind="query-params"
        )
    shown = scaling.along(points, curve, axis)
    with st.container(border=True):
        st.markdown(f"##### {curve} (mm), lower is better")
        chart = curve_charts.scaling(shown, scaling.line_through(shown), scaling.AXES[axis], axes == "log")
        st.altair_chart(chart, alt=f"{curve} over {scaling.AXES[axis]}")
        _notes(points, shown, curve, axis)
    _table(shown, axis)


def _points() -> pd.DataFrame:
    """Return published and measured points."""
    measured = readings.measured_points()
    return pd.concat([part for part in (_published(), measured) if len(part)], ignore_index=True)


@st.cache_data(show_spinner=False)
def _published() -> pd.DataFrame:
    """Return what papers say; it belongs to the installed version and never changes."""
    lengths = {sources: load_mixture(name).epoch_length for sources, name in PAPER_MIXTURES.items()}
    epochs = {sources: length for sources, length in lengths.items() if length is not None}
    return scaling.published_points(load_published(), scored.known_protocols(), epochs)


def _notes(points: pd.DataFrame, shown: pd.DataFrame, curve: str, axis: str) -> None:
    """Say what the marks mean and what is not drawn."""
    silent = int(np.sum(points["curve"] == curve)) - len(shown)
    notes = ["Circles: published, from papers and read-mes, on the real data; diamonds: measured here."]
    notes += ["Lines run through the best of each place."]
    if axis == "people":
        notes += ["Published instances: what an epoch draws; measured: the different people of the training set."]
    if axis == "parameters":
        notes += ["Published sizes are those of the releases."]
    if silent:
        notes += [f"{silent} of the numbers of this curve do not tell their place on this axis, and are left out."]
    is_measured = "measured" in set(points["kind"])
    if is_measured and "measured" not in set(shown["kind"]):
        notes += ["No network that was measured here is on this curve."]
    st.caption(" ".join(notes))
    if not is_measured:
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
