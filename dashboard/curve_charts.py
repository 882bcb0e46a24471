"""Figures of runs, conversions and scaling as Altair charts; see ``charts`` for the house rules."""

import math

import altair as alt
import pandas as pd

from .charts import LEGEND, Chart, framed
from .theme import BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION

_LONG = 8.0  # times the first place of a logarithmic axis is its last, from which on it counts in 1, 2, 5
COLOURS = [BLUE, VERMILION, GREEN, PURPLE, ORANGE, "#56B4E9", "#9C7A00", GREY]


def losses(curves: pd.DataFrame, is_log: bool, height: int = 310) -> Chart:
    """Return curves of loss terms: smoothed in colour, raw pale behind; columns of ``runs.loss_curves``."""
    scale = alt.Scale(type="log" if is_log else "linear", zero=False, nice=not is_log)
    terms = list(dict.fromkeys(curves["term"]))
    base = alt.Chart(curves).encode(
        x=alt.X("step:Q", title="step", axis=alt.Axis(tickCount=6, format="~s")),
        color=alt.Color("term:N", title=None, sort=terms, legend=LEGEND if len(terms) > 1 else None).scale(
            domain=terms, range=[COLOURS[i % len(COLOURS)] for i in range(len(terms))]
        ),
        tooltip=["term:N", alt.Tooltip("step:Q", format=","), alt.Tooltip("raw:Q", format=".4~g")]
        + [alt.Tooltip("smooth:Q", format=".4~g")],
    )
    y_axis = alt.Axis(tickCount=5, format="~g")
    raw = base.mark_line(opacity=0.4, strokeWidth=1).encode(y=alt.Y("raw:Q", title="loss", scale=scale, axis=y_axis))
    smooth = base.mark_line(strokeWidth=2, point=_points(len(curves))).encode(
        y=alt.Y("smooth:Q", title="loss", scale=scale, axis=y_axis)
    )
    return framed(alt.layer(raw, smooth), height)


def _points(rows: int) -> bool | alt.OverlayMarkDef:
    """Return marks for curves of so few points that a line alone would not be seen."""
    return alt.OverlayMarkDef(size=28) if rows < 12 else False


def rate(curve: pd.DataFrame, title: str, form: str, height: int = 190) -> Chart:
    """Return a small curve of one rate; columns ``step``, ``value``; ``form`` writes its numbers."""
    axis, is_share = alt.Axis(tickCount=4, format=form), form.endswith("%")
    scale = alt.Scale(domainMin=0) if is_share else alt.Scale(zero=False)
    line = (
        alt.Chart(curve, title=alt.TitleParams(title, fontSize=12, anchor="start", fontWeight=500))
        .mark_line(color=BLUE, strokeWidth=1.6, point=_points(len(curve)))
        .encode(
            x=alt.X("step:Q", title="step", axis=alt.Axis(tickCount=4, format="~s")),
            y=alt.Y("value:Q", title=None, axis=axis, scale=scale),
            tooltip=[alt.Tooltip("step:Q", format=","), alt.Tooltip("value:Q", format=".2%" if is_share else ".4~g")],
        )
    )
    return framed(line, height)


def scaling(points: pd.DataFrame, line: pd.DataFrame, axis: str, is_log: bool) -> Chart:
    """Return errors along an axis: published in circles, measured in filled diamonds, lines through the best."""
    kind = "log" if is_log else "linear"
    lines = _in_order(points)
    colour = alt.Color("line:N", title=None, legend=LEGEND, sort=lines).scale(
        domain=lines, range=[COLOURS[i % len(COLOURS)] for i in range(len(lines))]
    )
    places = points["x"].to_numpy(float)
    values = round_steps(places.min(), places.max()) if is_log and len(places) else alt.Undefined
    pad = alt.Scale(type=kind, nice=False, padding=26, zero=False)
    x = alt.X("x:Q", title=axis, scale=pad, axis=alt.Axis(format="~s", tickCount=6, values=values))
    y = alt.Y("value:Q", title="error (mm)", axis=alt.Axis(tickCount=6, format="~g"))
    y = y.scale(type=kind, zero=False, nice=False, padding=18)
    shape = alt.Shape("kind:N", legend=None).scale(domain=["published", "measured"], range=["circle", "diamond"])
    tooltip = [
        "method:N",
        "kind:N",
        alt.Tooltip("value:Q", format=".1f"),
        alt.Tooltip("x:Q", title=axis, format=",.0f"),
    ]
    tooltip += ["where:N", "note:N"]
    dots = alt.Chart(points).mark_point(filled=True, size=85, opacity=0.9)
    drawn = alt.Chart(line).mark_line(strokeWidth=1.6, opacity=0.55).encode(x=x, y=y, color=colour, detail="line:N")
    return framed(alt.layer(drawn, dots.encode(x=x, y=y, color=colour, shape=shape, tooltip=tooltip)), 400)


def _in_order(points: pd.DataFrame) -> list[str]:
    """Return the lines by family and size of the network, measured ones last."""
    rows = points.drop_duplicates("line").sort_values("line", kind="stable")
    sizes = {size: place for place, size in enumerate("SBLH")}
    own = zip(*(rows[name].tolist() for name in ("kind", "family", "size", "line")), strict=True)
    keys = [(kind == "measured", family, sizes.get(size, -1), line) for kind, family, size, line in own]
    return [line for *_, line in sorted(keys)]


def round_steps(low: float, high: float) -> list[float]:
    """Return round numbers over a logarithmic axis: 1, 2 and 5 times powers of ten, or all digits of a short one."""
    digits = (1, 2, 5) if high / low >= _LONG else (1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9)
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    return [step for power in powers for digit in digits if low / 2 <= (step := digit * 10.0**power) <= 2 * high]


def schedule(table: pd.DataFrame) -> Chart:
    """Return shares of the members over the training, stacked; columns ``people``, ``member``, ``share``."""
    areas = (
        alt.Chart(table)
        .mark_area(opacity=0.75)
        .encode(
            x=alt.X("people:Q", title="people seen", axis=alt.Axis(format="~s", tickCount=6)),
            y=alt.Y("share:Q", stack="normalize", title="share of the people", axis=alt.Axis(format="%")),
            color=alt.Color("member:N", title=None, legend=LEGEND),
            tooltip=["member:N", alt.Tooltip("people:Q", format=","), alt.Tooltip("share:Q", format=".1%")],
        )
    )
    return framed(areas, 210)
