"""Figures of runs, scaling and the study of data sets as Altair charts; see ``charts`` for the house rules."""

import altair as alt
import pandas as pd

from .charts import Chart
from .theme import BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION

COLOURS = [BLUE, VERMILION, GREEN, PURPLE, ORANGE, "#56B4E9", "#9C7A00", GREY]
_PALE, _STRONG, _INK = "#E3EEF7", "#0B4F8A", "#17212F"
_WRITTEN = 16  # data sets up to which each cell says its number
_TOP = alt.Legend(orient="top", offset=2, columns=6, labelLimit=170)


def losses(curves: pd.DataFrame, is_log: bool, height: int = 330) -> Chart:
    """Return curves of loss terms: smoothed in colour, raw pale behind; columns of ``runs.loss_curves``."""
    scale = alt.Scale(type="log" if is_log else "linear", zero=False, nice=not is_log)
    terms = list(dict.fromkeys(curves["term"]))
    base = alt.Chart(curves).encode(
        x=alt.X("step:Q", title="step", axis=alt.Axis(tickCount=6, format="~s")),
        color=alt.Color("term:N", title=None, sort=terms, legend=_TOP if len(terms) > 1 else None).scale(
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
    return alt.layer(raw, smooth).properties(height=height)


def _points(rows: int) -> bool | alt.OverlayMarkDef:
    """Return marks for curves of so few points that a line alone would not be seen."""
    return alt.OverlayMarkDef(size=28) if rows < 12 else False


def rate(curve: pd.DataFrame, title: str, form: str, height: int = 190) -> Chart:
    """Return a small curve of one rate; columns ``step``, ``value``; ``form`` writes its numbers."""
    axis, is_share = alt.Axis(tickCount=4, format=form), form.endswith("%")
    scale = alt.Scale(domainMin=0) if is_share else alt.Scale(zero=False)
    return (
        alt.Chart(curve, title=alt.TitleParams(title, fontSize=12, anchor="start", fontWeight=500))
        .mark_line(color=BLUE, strokeWidth=1.6, point=_points(len(curve)))
        .encode(
            x=alt.X("step:Q", title=None, axis=alt.Axis(tickCount=4, format="~s")),
            y=alt.Y("value:Q", title=None, axis=axis, scale=scale),
            tooltip=[alt.Tooltip("step:Q", format=","), alt.Tooltip("value:Q", format=".2%" if is_share else ".4~g")],
        )
        .properties(height=height)
    )


def shares(members: pd.DataFrame, target: str, titles: tuple[str, str]) -> Chart:
    """Return bars of shares with a tick where each should be; columns ``member``, ``share``, ``target``, ``people``."""
    bar, tick = titles
    order = list(members["member"])
    base = alt.Chart(members).encode(y=alt.Y("member:N", sort=order, title=None, axis=alt.Axis(labelLimit=180)))
    tooltip = ["member:N", alt.Tooltip("people:Q", format=","), alt.Tooltip("share:Q", title=bar, format=".2%")]
    tooltip += [alt.Tooltip(f"{target}:Q", title=tick, format=".2%")]
    bars = base.mark_bar(cornerRadiusEnd=2, size=13).encode(
        x=alt.X("share:Q", title=None, axis=alt.Axis(format="~%", tickCount=5)),
        color=alt.datum(bar),
        tooltip=tooltip,
    )
    ticks = base.mark_tick(thickness=3, size=20).encode(x=f"{target}:Q", color=alt.datum(tick), tooltip=tooltip)
    layers = [bars, ticks] if bool(members[target].notna().to_numpy().any()) else [bars]
    scale = alt.Scale(domain=[bar, tick][: len(layers)], range=[BLUE, ORANGE][: len(layers)])
    return (
        alt.layer(*layers)
        .encode(color=alt.Color(title=None, legend=_TOP, scale=scale))
        .properties(height=26 * max(len(members), 1) + 100)
    )


def unit_states(splits: pd.DataFrame, states: dict[str, str]) -> Chart:
    """Return a bar a source and split, divided by the state of its units; ``states`` gives each a colour."""
    table = splits.assign(place=splits["dataset"] + " " + splits["split"])
    long = table.melt(["place"], list(states), var_name="state", value_name="count")
    long = long.loc[long["count"] > 0].assign(order=lambda rows: rows["state"].map(list(states).index))
    present = [state for state in states if state in set(long["state"])]
    return (
        alt.Chart(long)
        .mark_bar(size=14)
        .encode(
            x=alt.X("count:Q", title="units", axis=alt.Axis(tickMinStep=1, tickCount=6)),
            y=alt.Y("place:N", title=None, sort=list(table["place"]), axis=alt.Axis(labelLimit=180)),
            color=alt.Color("state:N", title=None, legend=_TOP).scale(
                domain=present, range=[states[s] for s in present]
            ),
            order="order:Q",
            tooltip=["place:N", "state:N", alt.Tooltip("count:Q", format=",")],
        )
        .properties(height=24 * max(len(table), 1) + 120)
    )


def scaling(points: pd.DataFrame, line: pd.DataFrame, axis: str, is_log: bool) -> Chart:
    """Return errors along an axis: published in circles, measured in filled diamonds, lines through the best."""
    kind = "log" if is_log else "linear"
    lines = list(dict.fromkeys(points["line"]))
    colour = alt.Color("line:N", title=None, legend=_TOP).scale(
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
    return alt.layer(drawn, dots.encode(x=x, y=y, color=colour, shape=shape, tooltip=tooltip)).properties(height=420)


def pairs(
    table: pd.DataFrame, order: list[str], titles: tuple[str, str], form: str, domain: tuple[float, float]
) -> Chart:
    """Return a heat map of each data set against each; ``domain`` runs from numbers that are alike to the others."""
    base = alt.Chart(table).encode(
        x=alt.X("b:N", sort=order, title=titles[1], axis=alt.Axis(labelAngle=-40, labelLimit=120)),
        y=alt.Y("a:N", sort=order, title=titles[0], axis=alt.Axis(labelLimit=140)),
        tooltip=["a:N", "b:N", alt.Tooltip("value:Q", format=form)],
    )
    colour = alt.Color("value:Q", legend=None).scale(domain=list(domain), range=[_STRONG, _PALE])
    layers = [base.mark_rect(cornerRadius=2).encode(color=colour)]
    if len(order) <= _WRITTEN:
        middle = sum(domain) / 2
        is_pale = alt.datum.value > middle if domain[0] < domain[1] else alt.datum.value < middle
        ink = alt.condition(is_pale, alt.value(_INK), alt.value("white"))
        layers.append(base.mark_text(fontSize=12).encode(text=alt.Text("value:Q", format=form), color=ink))
    side = len(order)
    return alt.layer(*layers).properties(width=_side(side, 64) + 130, height=_side(side, 40) + 110)


def _side(cells: int, largest: int) -> int:
    """Return the length of a side of so many cells, px."""
    return min(largest * cells, max(900, 22 * cells))


def orientations(cells: pd.DataFrame, name: str) -> Chart:
    """Return which way people face as cells of yaw and tilt; columns ``yaw``, ``tilt``, ``share``."""
    table = cells.assign(yaw_to=cells["yaw"] + 30, tilt_to=cells["tilt"] + 30)
    ticks = alt.Axis(values=[-180, -90, 0, 90, 180], labelExpr=_FACING, grid=False)
    return (
        alt.Chart(table, title=alt.TitleParams(name, fontSize=12, anchor="start", fontWeight=500))
        .mark_rect(color=BLUE)
        .encode(
            x=alt.X("yaw:Q", title=None, axis=ticks, scale=alt.Scale(domain=[-180, 180])),
            x2="yaw_to:Q",
            y=alt.Y("tilt:Q", title="lean (\N{DEGREE SIGN})", axis=alt.Axis(values=[0, 60, 120, 180], grid=False)),
            y2="tilt_to:Q",
            opacity=alt.Opacity("share:Q", legend=None).scale(range=[0.04, 1], type="sqrt"),
            tooltip=["yaw:Q", "tilt:Q", alt.Tooltip("share:Q", format=".1%")],
        )
        .properties(height=210)
    )


_FACING = "{'-180': 'away', '-90': 'left', '0': 'camera', '90': 'right', '180': 'away'}[datum.value]"


def pose_plane(points: pd.DataFrame, chosen: list[str], explained: tuple[float, float]) -> Chart:
    """Return body poses in their main plane: chosen data sets in colour, all others grey behind."""
    titles = [f"component {i + 1} ({share:.0%} of the variance)" for i, share in enumerate(explained)]
    base = alt.Chart(points).encode(
        x=alt.X("x:Q", title=titles[0], axis=alt.Axis(tickCount=6)),
        y=alt.Y("y:Q", title=titles[1], axis=alt.Axis(tickCount=6)),
        tooltip=["dataset:N"],
    )
    is_chosen = alt.FieldOneOfPredicate("dataset", chosen)
    grey = base.transform_filter(alt.LogicalNotPredicate(**{"not": is_chosen})).mark_circle(
        color=GREY, size=14, opacity=0.25
    )
    colour = alt.Color("dataset:N", title=None, legend=_TOP).scale(
        domain=chosen, range=[COLOURS[i % len(COLOURS)] for i in range(len(chosen))]
    )
    own = base.transform_filter(is_chosen).mark_circle(size=24, opacity=0.65).encode(color=colour)
    return alt.layer(grey, own).properties(height=400)


def hand_spread(table: pd.DataFrame) -> Chart:
    """Return how far hands are from the relaxed hand: median, middle half and nine tenths a data set."""
    base = alt.Chart(table).encode(
        y=alt.Y("dataset:N", sort=list(table["dataset"]), title=None, axis=alt.Axis(labelLimit=150)),
        tooltip=["dataset:N", alt.Tooltip("hands:Q", format=",")]
        + [alt.Tooltip(f"{name}:Q", format=".2f") for name in ("p05", "p25", "median", "p75", "p95")],
    )
    x = alt.X("p05:Q", title="distance from the relaxed hand (rad)", scale=alt.Scale(zero=True))
    whisker = base.mark_rule(color=BLUE, opacity=0.5, strokeWidth=1.5).encode(x=x, x2="p95:Q")
    box = base.mark_bar(color=BLUE, opacity=0.4, size=13, cornerRadius=2).encode(x="p25:Q", x2="p75:Q")
    middle = base.mark_tick(color=VERMILION, thickness=3, size=17).encode(x="median:Q")
    return alt.layer(whisker, box, middle).properties(height=28 * max(len(table), 1) + 90)


def schedule(table: pd.DataFrame) -> Chart:
    """Return shares of the members over the training, stacked; columns ``people``, ``member``, ``share``."""
    return (
        alt.Chart(table)
        .mark_area(opacity=0.75)
        .encode(
            x=alt.X("people:Q", title="people seen", axis=alt.Axis(format="~s", tickCount=6)),
            y=alt.Y("share:Q", stack="normalize", title=None, axis=alt.Axis(format="%")),
            color=alt.Color("member:N", title=None, legend=_TOP),
            tooltip=["member:N", alt.Tooltip("people:Q", format=","), alt.Tooltip("share:Q", format=".1%")],
        )
        .properties(height=220)
    )
