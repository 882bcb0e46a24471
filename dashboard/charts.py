"""Figures as Altair charts: a DataFrame goes in, a chart comes out, nothing here knows Streamlit.

Colours come from the Okabe-Ito set (``theme``) so that they hold for every colour vision; grey is everyone else.
Fonts, axes and background are left to Streamlit's theme.
"""

from typing import Any

import altair as alt
import pandas as pd

from .theme import BLUE, GREY, VERMILION

Chart = alt.Chart | alt.LayerChart | alt.FacetChart
LEGEND = alt.Legend(orient="top", offset=6, padding=0, rowPadding=2, columns=6, labelLimit=170)
BAR = 24  # px, a bar with its gap
_LEGEND_HEIGHT, _AXIS_HEIGHT, _TITLE_HEIGHT = 40, 30, 24  # px
_PADDING = {"left": 0, "top": 4, "right": 4, "bottom": 4}  # px; Streamlit would leave more


def framed(chart: Any, height: int) -> Chart:
    """Return a chart of a height in px, axes and legend included, without a margin below it."""
    return chart.properties(height=height, padding=_PADDING)


def bars_height(bars: int, *, has_legend: bool = False, has_title: bool = False, size: int = BAR) -> int:
    """Return the height of a chart of horizontal bars with its axis, px."""
    return size * max(bars, 1) + _AXIS_HEIGHT + _LEGEND_HEIGHT * has_legend + _TITLE_HEIGHT * has_title


def rejects_by_reason(rejects: pd.DataFrame) -> Chart:
    """Return bars of rejected people by reason; columns ``reason``, ``people``."""
    bars = (
        alt.Chart(rejects)
        .mark_bar(color=VERMILION, cornerRadiusEnd=2)
        .encode(
            x=alt.X("people:Q", title="people left out", axis=alt.Axis(format="~s", tickCount=5, tickMinStep=1)),
            y=alt.Y("reason:N", sort="-x", title=None, axis=alt.Axis(labelLimit=260)),
            tooltip=["reason", alt.Tooltip("people:Q", format=",")],
        )
    )
    return framed(bars, bars_height(len(rejects), has_title=True))


def error_distribution(curves: pd.DataFrame, chosen: str, title: str) -> Chart:
    """Return cumulative distributions of errors: the chosen model in colour, the others in grey.

    Columns: ``model``, ``error``, ``share`` (of the people asked: who was not answered never counts as reached).
    """
    base = alt.Chart(curves).encode(
        x=alt.X("error:Q", title=title, axis=alt.Axis(tickCount=6)),
        y=alt.Y("share:Q", title="share of people asked", axis=alt.Axis(format="%")).scale(domain=[0, 1]),
        detail="model:N",
        tooltip=["model:N", alt.Tooltip("error:Q", format=".1f"), alt.Tooltip("share:Q", format=".1%")],
    )
    is_chosen = alt.datum.model == chosen
    others = base.transform_filter(~is_chosen).mark_line(
        color=GREY, opacity=0.55, strokeWidth=1.2, interpolate="step-after"
    )
    own = base.transform_filter(is_chosen).mark_line(color=BLUE, strokeWidth=2.5, interpolate="step-after")
    return framed(alt.layer(others, own), 220)


def error_by_factor(points: pd.DataFrame, factor: str, title: str) -> Chart:
    """Return the median error over bins of a factor with its middle half; columns ``low``, ``high``, quartiles."""
    base = alt.Chart(points).encode(x=alt.X("middle:Q", title=factor, axis=alt.Axis(tickCount=6)))
    band = base.mark_area(color=BLUE, opacity=0.18).encode(y=alt.Y("q25:Q", title=title), y2="q75:Q")
    line = base.mark_line(color=BLUE, point=alt.OverlayMarkDef(size=28, color=BLUE)).encode(
        y="median:Q",
        tooltip=[alt.Tooltip("low:Q", format=".0f"), alt.Tooltip("high:Q", format=".0f")]
        + [alt.Tooltip("median:Q", format=".1f"), alt.Tooltip("people:Q", format=",")],
    )
    return framed(alt.layer(band, line), 220)
