"""Figures of runs, conversions and scaling as Altair charts; see ``charts`` for the house rules."""

import altair as alt
import pandas as pd

from .charts import LEGEND, Chart, bars_height, framed
from .theme import BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION

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


def shares(members: pd.DataFrame, target: str, titles: tuple[str, str]) -> Chart:
    """Return bars of shares with a tick where each should be; columns ``member``, ``share``, ``target``, ``people``."""
    bar, tick = titles
    order = list(members["member"])
    base = alt.Chart(members).encode(y=alt.Y("member:N", sort=order, title=None, axis=alt.Axis(labelLimit=180)))
    tooltip = ["member:N", alt.Tooltip("people:Q", format=","), alt.Tooltip("share:Q", title=bar, format=".2%")]
    tooltip += [alt.Tooltip(f"{target}:Q", title=tick, format=".2%")]
    bars = base.mark_bar(cornerRadiusEnd=2, size=13).encode(
        x=alt.X("share:Q", title="share of the people", axis=alt.Axis(format="~%", tickCount=5)),
        color=alt.datum(bar),
        tooltip=tooltip,
    )
    ticks = base.mark_tick(thickness=3, size=20).encode(x=f"{target}:Q", color=alt.datum(tick), tooltip=tooltip)
    layers = [bars, ticks] if bool(members[target].notna().to_numpy().any()) else [bars]
    scale = alt.Scale(domain=[bar, tick][: len(layers)], range=[BLUE, ORANGE][: len(layers)])
    drawn = alt.layer(*layers).encode(color=alt.Color(title=None, legend=LEGEND, scale=scale))
    return framed(drawn, bars_height(len(members), has_legend=True, has_title=True, size=26))


def unit_states(splits: pd.DataFrame, states: dict[str, str]) -> Chart:
    """Return a bar a source and split, divided by the state of its units; ``states`` gives each a colour."""
    table = splits.assign(place=splits["dataset"] + " " + splits["split"])
    long = table.melt(["place"], list(states), var_name="state", value_name="count")
    long = long.loc[long["count"] > 0].assign(order=lambda rows: rows["state"].map(list(states).index))
    present = [state for state in states if state in set(long["state"])]
    bars = (
        alt.Chart(long)
        .mark_bar(size=14)
        .encode(
            x=alt.X("count:Q", title="units", axis=alt.Axis(tickMinStep=1, tickCount=6)),
            y=alt.Y("place:N", title=None, sort=list(table["place"]), axis=alt.Axis(labelLimit=180)),
            color=alt.Color("state:N", title=None, legend=LEGEND).scale(
                domain=present, range=[states[s] for s in present]
            ),
            order="order:Q",
            tooltip=["place:N", "state:N", alt.Tooltip("count:Q", format=",")],
        )
    )
    return framed(bars, bars_height(len(table), has_legend=True, has_title=True))


def scaling(points: pd.DataFrame, line: pd.DataFrame, axis: str, is_log: bool) -> Chart:
    """Return errors along an axis: published in circles, measured in filled diamonds, lines through the best."""
    kind = "log" if is_log else "linear"
    lines = list(dict.fromkeys(points["line"]))
    colour = alt.Color("line:N", title=None, legend=LEGEND).scale(
        domain=lines, range=[COLOURS[i % len(COLOURS)] for i in range(len(lines))]
    )
    places = points["x"].to_numpy(float)
    spread = places.max() / places.min() if len(places) else 1
    pad = alt.Scale(type=kind, nice=False, padding=26, zero=False)
    x = alt.X("x:Q", title=axis, scale=pad, axis=alt.Axis(format="~s", tickCount=6 if spread > 5 else 4))
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
