"""Figures of the study of data sets as Altair charts; see ``charts`` for the house rules."""

import altair as alt
import pandas as pd

from .charts import LEGEND, Chart, bars_height, framed
from .curve_charts import COLOURS
from .theme import BLUE, GREY, VERMILION

_PALE, _STRONG, _INK = "#E3EEF7", "#0B4F8A", "#17212F"
_WRITTEN = 16  # data sets up to which each cell says its number
_SMALL = 7  # data sets up to which a heat map fits half a page
_SLANTED = alt.Axis(labelAngle=-50, labelLimit=130, labelOverlap=False)
_BAR = 26  # px


def pairs(table: pd.DataFrame, order: list[str], titles: tuple[str, str], unit: str) -> Chart:
    """Return a heat map of each data set against each, strong where they are near; columns ``a``, ``b``, ``value``."""
    nearest, farthest = _limits(table)
    tooltip = [alt.Tooltip("a:N", title=titles[0] or "one"), alt.Tooltip("b:N", title=titles[1] or "other")]
    tooltip += [alt.Tooltip("value:Q", title=unit, format=".3f")]
    tooltip += [alt.Tooltip(f"people_{side}:Q", title=f"people of {name}", format=",")
                for side, name in (("a", "the first"), ("b", "the second"))]  # fmt: skip
    base = alt.Chart(table).encode(
        x=alt.X("b:N", sort=order, title=titles[1] or None, axis=_SLANTED),
        y=alt.Y("a:N", sort=order, title=titles[0] or None, axis=alt.Axis(labelLimit=150)),
        tooltip=tooltip,
    )
    scale = alt.Scale(domain=[nearest, farthest], range=[_STRONG, _PALE], clamp=True)
    layers = [base.mark_rect(cornerRadius=2).encode(color=alt.Color("value:Q", legend=None, scale=scale))]
    if len(order) <= _WRITTEN:
        is_pale = alt.datum.value > (nearest + farthest) / 2
        ink = alt.condition(is_pale, alt.value(_INK), alt.value("white"))
        layers.append(base.mark_text(fontSize=12).encode(text=alt.Text("value:Q", format=".2f"), color=ink))
    chart = alt.layer(*layers)
    width = pairs_width(len(order))
    return framed(chart if width is None else chart.properties(width=width), min(36 * len(order), 840) + 120)


def pairs_width(sources: int) -> int | None:
    """Return the width of the heat map of so many data sets, px; None where it takes all that there is."""
    return 62 * sources + 150 if sources <= _SMALL else None


def _limits(table: pd.DataFrame) -> tuple[float, float]:
    """Return the distances with the strongest and the palest colour: what chance alone makes never looks far."""
    is_same = (table["a"] == table["b"]).to_numpy()
    values = table["value"].to_numpy()
    chance, apart = values[is_same].max(), values[~is_same].max(initial=0)
    farthest = max(float(apart), 2 * float(chance), 1e-3)
    return min(float(values.min()), 0.8 * farthest), farthest


def closest(table: pd.DataFrame, unit: str, chance: float) -> Chart:
    """Return bars of distances from one data set, nearest first, and a rule where chance alone is.

    Columns ``b``, ``value``.
    """
    bars = (
        alt.Chart(table)
        .mark_bar(color=BLUE, cornerRadiusEnd=2, size=14)
        .encode(
            x=alt.X("value:Q", title=unit, axis=alt.Axis(tickCount=5, format="~g")),
            y=alt.Y("b:N", sort=list(table["b"]), title=None, axis=alt.Axis(labelLimit=170)),
            tooltip=[alt.Tooltip("b:N", title="source"), alt.Tooltip("value:Q", title=unit, format=".3f")],
        )
    )
    rule = alt.Chart(pd.DataFrame({"chance": [chance]})).mark_rule(color=VERMILION, strokeDash=[4, 3], strokeWidth=1.5)
    shown = rule.encode(x="chance:Q", tooltip=[alt.Tooltip("chance:Q", title="by chance", format=".3f")])
    return framed(alt.layer(bars, shown), bars_height(len(table), size=_BAR, has_title=True))


def _of_chosen(chosen: list[str]) -> alt.Color:
    """Return a colour for each chosen data set."""
    return alt.Color("name:N", title=None, legend=LEGEND).scale(
        domain=chosen, range=[COLOURS[i % len(COLOURS)] for i in range(len(chosen))]
    )


def plane(points: pd.DataFrame, chosen: list[str], explained: tuple[float, float], unit: str) -> Chart:
    """Return people in their main plane: chosen data sets in colour, all others grey behind."""
    titles = [f"component {i + 1} ({unit}; {share:.0%} of the variance)" for i, share in enumerate(explained)]
    base = alt.Chart(points).encode(
        x=alt.X("x:Q", title=titles[0], axis=alt.Axis(tickCount=6)),
        y=alt.Y("y:Q", title=titles[1], axis=alt.Axis(tickCount=6)),
        tooltip=[alt.Tooltip("name:N", title="source")],
    )
    is_chosen = alt.FieldOneOfPredicate("name", chosen)
    grey = base.transform_filter(alt.LogicalNotPredicate(**{"not": is_chosen})).mark_circle(
        color=GREY, size=14, opacity=0.25
    )
    own = base.transform_filter(is_chosen).mark_circle(size=24, opacity=0.65).encode(color=_of_chosen(chosen))
    return framed(alt.layer(grey, own), 440)


def leans(table: pd.DataFrame, chosen: list[str]) -> Chart:
    """Return how far people lean as shares in steps of unequal width; columns of ``analyses.sphere.lean_table``."""
    steps = list(dict.fromkeys(f"{low}-{high}" for low, high in zip(table["lean"], table["lean_to"], strict=True)))
    shown = table.loc[table["name"].isin(chosen)]
    shown = shown.assign(step=[f"{a}-{b}" for a, b in zip(shown["lean"], shown["lean_to"], strict=True)])
    bars = (
        alt.Chart(shown)
        .mark_bar(cornerRadiusEnd=1)
        .encode(
            x=alt.X("step:N", sort=steps, title="lean (\N{DEGREE SIGN})", axis=alt.Axis(labelAngle=0)),
            xOffset=alt.XOffset("name:N", sort=chosen),
            y=alt.Y("share:Q", title="share of people", axis=alt.Axis(format="~%", tickCount=4)),
            color=_of_chosen(chosen),
            tooltip=[alt.Tooltip("name:N", title="source"), "step:N", alt.Tooltip("share:Q", format=".1%")],
        )
    )
    return framed(bars, 230)


def hand_spread(table: pd.DataFrame) -> Chart:
    """Return how far hands are from the relaxed hand: median, middle half and nine tenths a data set."""
    base = alt.Chart(table).encode(
        y=alt.Y("name:N", sort=list(table["name"]), title=None, axis=alt.Axis(labelLimit=150)),
        tooltip=[alt.Tooltip("name:N", title="source"), alt.Tooltip("hands:Q", format=",")]
        + [alt.Tooltip(f"{level}:Q", format=".2f") for level in ("p05", "p25", "median", "p75", "p95")],
    )
    x = alt.X("p05:Q", title="distance from the relaxed hand (rad)", axis=alt.Axis(tickCount=8, format="~g"))
    whisker = base.mark_rule(color=BLUE, opacity=0.5, strokeWidth=1.5).encode(x=x, x2="p95:Q")
    box = base.mark_bar(color=BLUE, opacity=0.4, size=13, cornerRadius=2).encode(x="p25:Q", x2="p75:Q")
    middle = base.mark_tick(color=VERMILION, thickness=3, size=17).encode(x="median:Q")
    return framed(alt.layer(whisker, box, middle), bars_height(len(table), size=28, has_title=True))


def fingers(table: pd.DataFrame, names: list[str], joints: list[str]) -> Chart:
    """Return the mean angle of each joint of the hand by data set; columns ``name``, ``joint``, ``angle``."""
    cells = (
        alt.Chart(table)
        .mark_rect(cornerRadius=2)
        .encode(
            x=alt.X("joint:N", sort=joints, title=None, axis=alt.Axis(labelAngle=-40)),
            y=alt.Y("name:N", sort=names, title=None, axis=alt.Axis(labelLimit=150)),
            color=alt.Color("angle:Q", legend=None).scale(domainMin=0, range=[_PALE, _STRONG]),
            tooltip=[alt.Tooltip("name:N", title="source"), "joint:N", alt.Tooltip("angle:Q", format=".2f")],
        )
    )
    return framed(cells, bars_height(len(names), size=28, has_title=True) + 40)
