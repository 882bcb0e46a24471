"""Figures as Altair charts: a DataFrame goes in, a chart comes out, nothing here knows Streamlit.

Colours come from the Okabe-Ito set (``theme``) so that they hold for every colour vision; grey is everyone else.
Fonts, axes and background are left to Streamlit's theme.
"""

from typing import Any

import altair as alt
import pandas as pd

from .theme import BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION

KIND_COLOURS = {"mocap": BLUE, "scan": GREEN, "pseudo": ORANGE, "synthetic": PURPLE}
Chart = alt.Chart | alt.LayerChart | alt.FacetChart
NO_CARD = "no card"
OTHERS = "all other sources"
LEGEND = alt.Legend(orient="top", offset=6, padding=0, rowPadding=2, columns=6, labelLimit=170)
BAR = 24  # px, a bar with its gap
_LEGEND_HEIGHT, _AXIS_HEIGHT, _TITLE_HEIGHT = 26, 30, 24  # px
_PADDING = {"left": 0, "top": 4, "right": 4, "bottom": 4}  # px; Streamlit would leave more


def framed(chart: Any, height: int) -> Chart:
    """Return a chart of a height in px, axes and legend included, without a margin below it."""
    return chart.properties(height=height, padding=_PADDING)


def bars_height(bars: int, *, has_legend: bool = False, has_title: bool = False, size: int = BAR) -> int:
    """Return the height of a chart of horizontal bars with its axis, px."""
    return size * max(bars, 1) + _AXIS_HEIGHT + _LEGEND_HEIGHT * has_legend + _TITLE_HEIGHT * has_title


def people_by_dataset(counts: pd.DataFrame) -> Chart:
    """Return bars of people by source, coloured by kind; columns ``id``, ``name``, ``kind``, ``people``, ``frames``."""
    counts = counts.assign(kind=counts["kind"].where(counts["kind"].isin(KIND_COLOURS), NO_CARD))
    colours = {**KIND_COLOURS, NO_CARD: GREY}
    kinds = [kind for kind in colours if kind in set(counts["kind"])]
    colour = alt.Color("kind:N", title=None, legend=LEGEND).scale(domain=kinds, range=[colours[kind] for kind in kinds])
    bars = (
        alt.Chart(counts)
        .mark_bar(cornerRadiusEnd=2)
        .encode(
            x=alt.X("people:Q", title="people", axis=alt.Axis(format="~s", tickCount=5)),
            y=alt.Y("id:N", sort="-x", title=None, axis=alt.Axis(labelLimit=140)),
            color=colour,
            tooltip=["name", "kind", alt.Tooltip("people:Q", format=","), alt.Tooltip("frames:Q", format=",")],
        )
    )
    return framed(bars, bars_height(len(counts), has_legend=True, has_title=True))


def against_others(bins: pd.DataFrame, title: str, name: str) -> Chart:
    """Return two distributions on one axis: one source in colour, all others in grey.

    Columns: ``low``, ``high`` (edges of a bin, in the unit of the title), ``is_this``, ``share`` (of the group).
    """
    table = bins.assign(who=[name if is_this else OTHERS for is_this in bins["is_this"]])
    colour = alt.Color("who:N", title=None, legend=LEGEND).scale(domain=[name, OTHERS], range=[BLUE, GREY])
    base = alt.Chart(table).encode(
        x=alt.X("low:Q", bin="binned", title=title, axis=alt.Axis(tickCount=6)),
        x2="high:Q",
        y=alt.Y("share:Q", title="share of people", axis=alt.Axis(format="~%", tickCount=4), stack=None),
        color=colour,
        tooltip=["who:N", alt.Tooltip("low:Q", format=".3~g"), alt.Tooltip("high:Q", format=".3~g")]
        + [alt.Tooltip("share:Q", format=".2%")],
    )
    grey = base.transform_filter("!datum.is_this").mark_bar(opacity=0.5, binSpacing=0)
    blue = base.transform_filter("datum.is_this").mark_bar(opacity=0.7, binSpacing=0.5)
    return framed(alt.layer(grey, blue), 220)


def shape_spread(table: pd.DataFrame, name: str) -> Chart:
    """Return boxes of each shape coefficient: one source in colour, all others in grey.

    Columns of ``distributions.shape_spread``: boxes hold the middle half, whiskers nine tenths.
    """
    shown = table.assign(who=[name if is_this else OTHERS for is_this in table["is_this"]])
    colour = alt.Color("who:N", title=None, legend=LEGEND).scale(domain=[name, OTHERS], range=[BLUE, GREY])
    offset = alt.XOffset("who:N", sort=[name, OTHERS])
    tooltip = ["who:N", alt.Tooltip("beta:O", title="coefficient")]
    tooltip += [alt.Tooltip(f"{level}:Q", format=".2f") for level in ("p05", "p25", "median", "p75", "p95")]
    x = alt.X("beta:O", title="shape coefficient", axis=alt.Axis(labelAngle=0))
    base = alt.Chart(shown).encode(x=x, xOffset=offset, color=colour, tooltip=tooltip)
    scale = alt.Scale(domain=[min(table["p05"]), max(table["p95"])], nice=True)
    y = alt.Y("p05:Q", title="value (standard deviations)", axis=alt.Axis(tickCount=5, format="~g"), scale=scale)
    whiskers = base.mark_rule(strokeWidth=1.5).encode(y=y, y2="p95:Q")
    boxes = base.mark_bar(size=12, opacity=0.65).encode(y="p25:Q", y2="p75:Q")
    middles = base.mark_tick(size=14, thickness=2.5, color=VERMILION).encode(y="median:Q", color=alt.value(VERMILION))
    return framed(alt.layer(whiskers, boxes, middles), 240)


def rejects_by_reason(rejects: pd.DataFrame) -> Chart:
    """Return bars of rejected people by reason; columns ``reason``, ``people``."""
    bars = (
        alt.Chart(rejects)
        .mark_bar(color=VERMILION, cornerRadiusEnd=2)
        .encode(
            x=alt.X("people:Q", title="people left out", axis=alt.Axis(format="~s", tickCount=5)),
            y=alt.Y("reason:N", sort="-x", title=None, axis=alt.Axis(labelLimit=200)),
            tooltip=["reason", alt.Tooltip("people:Q", format=",")],
        )
    )
    return framed(bars, bars_height(len(rejects), has_title=True))


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
    return framed(alt.layer(others, own), 220)


def error_by_factor(points: pd.DataFrame, factor: str, unit: str) -> Chart:
    """Return the median error over bins of a factor with its middle half; columns ``low``, ``high``, quartiles."""
    base = alt.Chart(points).encode(x=alt.X("middle:Q", title=factor, axis=alt.Axis(tickCount=6)))
    band = base.mark_area(color=BLUE, opacity=0.18).encode(y=alt.Y("q25:Q", title=f"error ({unit})"), y2="q75:Q")
    line = base.mark_line(color=BLUE, point=alt.OverlayMarkDef(size=28, color=BLUE)).encode(
        y="median:Q",
        tooltip=[alt.Tooltip("low:Q", format=".0f"), alt.Tooltip("high:Q", format=".0f")]
        + [alt.Tooltip("median:Q", format=".1f"), alt.Tooltip("people:Q", format=",")],
    )
    return framed(alt.layer(band, line), 220)
