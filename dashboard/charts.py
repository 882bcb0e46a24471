"""Figures as Altair charts: a DataFrame goes in, a chart comes out, nothing here knows Streamlit.

Colours come from the Okabe-Ito set (``theme``) so that they hold for every colour vision; grey is everyone else.
Fonts, axes and background are left to Streamlit's theme.
"""

import altair as alt
import pandas as pd

from .theme import BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION

KIND_COLOURS = {"mocap": BLUE, "scan": GREEN, "pseudo": ORANGE, "synthetic": PURPLE}
Chart = alt.Chart | alt.LayerChart | alt.FacetChart


def people_by_dataset(counts: pd.DataFrame) -> Chart:
    """Return bars of people by source, coloured by kind; columns ``id``, ``name``, ``kind``, ``people``, ``frames``."""
    kinds = [kind for kind in KIND_COLOURS if kind in set(counts["kind"])]
    colour = alt.Color("kind:N", title=None, legend=alt.Legend(orient="top", offset=2)).scale(
        domain=kinds, range=[KIND_COLOURS[kind] for kind in kinds]
    )
    return (
        alt.Chart(counts)
        .mark_bar(cornerRadiusEnd=2)
        .encode(
            x=alt.X("people:Q", title=None, axis=alt.Axis(format="~s", tickCount=5)),
            y=alt.Y("id:N", sort="-x", title=None, axis=alt.Axis(labelLimit=140)),
            color=colour,
            tooltip=["name", "kind", alt.Tooltip("people:Q", format=","), alt.Tooltip("frames:Q", format=",")],
        )
        .properties(height=_bars_height(len(counts), 110))
    )


def _bars_height(bars: int, frame: int) -> int:
    """Return the height of a chart of horizontal bars, px; ``frame`` is what axis and legend take."""
    return 24 * max(bars, 1) + frame


def against_others(bins: pd.DataFrame, title: str, name: str) -> Chart:
    """Return two distributions on one axis: one source in colour, all others in grey.

    Columns: ``low``, ``high`` (edges of a bin, in the unit of the title), ``is_this``, ``share`` (of the group).
    """
    others = "all other sources"
    table = bins.assign(who=[name if is_this else others for is_this in bins["is_this"]])
    colour = alt.Color("who:N", title=None, legend=alt.Legend(orient="top", offset=2, symbolOpacity=0.7)).scale(
        domain=[name, others], range=[BLUE, GREY]
    )
    base = alt.Chart(table).encode(
        x=alt.X("low:Q", bin="binned", title=title, axis=alt.Axis(tickCount=6)),
        x2="high:Q",
        y=alt.Y("share:Q", title="share of people", axis=alt.Axis(format="~%", tickCount=4), stack=None),
        color=colour,
        tooltip=["who:N", alt.Tooltip("low:Q", format=".3~g"), alt.Tooltip("high:Q", format=".3~g")]
        + [alt.Tooltip("share:Q", format=".2%")],
    )
    grey = base.transform_filter("!datum.is_this").mark_bar(opacity=0.5, binSpacing=0)
    blue = base.transform_filter("datum.is_this").mark_bar(opacity=0.6, binSpacing=0.5)
    return alt.layer(grey, blue).properties(height=240)


def rejects_by_reason(rejects: pd.DataFrame) -> Chart:
    """Return bars of rejected people by reason; columns ``reason``, ``people``."""
    return (
        alt.Chart(rejects)
        .mark_bar(color=VERMILION, cornerRadiusEnd=2)
        .encode(
            x=alt.X("people:Q", title=None, axis=alt.Axis(format="~s", tickCount=5)),
            y=alt.Y("reason:N", sort="-x", title=None, axis=alt.Axis(labelLimit=200)),
            tooltip=["reason", alt.Tooltip("people:Q", format=",")],
        )
        .properties(height=_bars_height(len(rejects), 70))
    )


def error_distribution(curves: pd.DataFrame, chosen: str, unit: str) -> Chart:
    """Return cumulative distributions of errors: the chosen model in colour, the others in grey.

    Columns: ``model``, ``error``, ``share`` (of the people asked: who was not answered never counts as reached).
    """
    base = alt.Chart(curves).encode(
        x=alt.X("error:Q", title=f"error of a person ({unit})", axis=alt.Axis(tickCount=6)),
        y=alt.Y("share:Q", title="share of people asked", axis=alt.Axis(format="%")).scale(domain=[0, 1]),
        detail="model:N",
        tooltip=["model:N", alt.Tooltip("error:Q", format=".1f"), alt.Tooltip("share:Q", format=".1%")],
    )
    is_chosen = alt.datum.model == chosen
    others = base.transform_filter(~is_chosen).mark_line(
        color=GREY, opacity=0.55, strokeWidth=1.2, interpolate="step-after"
    )
    own = base.transform_filter(is_chosen).mark_line(color=BLUE, strokeWidth=2.5, interpolate="step-after")
    return alt.layer(others, own).properties(height=240)


def error_by_factor(points: pd.DataFrame, factor: str, unit: str) -> Chart:
    """Return the median error over bins of a factor with its middle half; columns ``low``, ``high``, quartiles."""
    base = alt.Chart(points).encode(x=alt.X("middle:Q", title=factor, axis=alt.Axis(tickCount=6)))
    band = base.mark_area(color=BLUE, opacity=0.18).encode(y=alt.Y("q25:Q", title=f"error ({unit})"), y2="q75:Q")
    line = base.mark_line(color=BLUE, point=alt.OverlayMarkDef(size=28, color=BLUE)).encode(
        y="median:Q",
        tooltip=[alt.Tooltip("low:Q", format=".0f"), alt.Tooltip("high:Q", format=".0f")]
        + [alt.Tooltip("median:Q", format=".1f"), alt.Tooltip("people:Q", format=",")],
    )
    return alt.layer(band, line).properties(height=240)
