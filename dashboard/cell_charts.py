"""Charts of the matrix, of one of its cells and of two models on the same people; nothing here knows Streamlit."""

import altair as alt
import numpy as np
import pandas as pd

from ..benchmark.measures import Measure
from .charts import Chart, bars_height, framed
from .theme import BLUE, GREY, ORANGE, VERMILION

_BINS = 60
_FORM = ".4~g"  # of numbers with any unit or none
_UPRIGHT = 5  # columns of a heat map whose headings have room side by side
_TILES, _INK = ["#9CCBE8", "#EEF0F3", "#F2BC97"], "#1B1F24"  # best, middle, worst; dark words hold on all of them


def heatmap(cells: pd.DataFrame) -> Chart:
    """Return the matrix as tiles, coloured by the place between the best and the worst of each column.

    Columns ``model``, ``column`` (what to call it), ``text``, ``badness`` (0 best to 1 worst, NaN for none), ``row``
    and ``place`` (where the model and the column stand).
    """
    slant = -35 if len(set(cells["place"])) > _UPRIGHT else 0
    wide = alt.Axis(
        orient="top", labelAngle=slant, labelLimit=190, labelOverlap=False, title=None, domain=False, ticks=False
    )
    base = alt.Chart(cells).encode(
        x=alt.X("column:N", sort=alt.SortField("place"), axis=wide),
        y=alt.Y(
            "model:N",
            sort=alt.SortField("row"),
            axis=alt.Axis(title=None, labelLimit=220, domain=False, ticks=False),
        ),
        tooltip=["model:N", "column:N", "text:N"],
    )
    colour = alt.Color("badness:Q", legend=None).scale(domain=[0, 0.5, 1], range=_TILES, interpolate="rgb")
    tiles = base.transform_filter("isValid(datum.badness)").mark_rect(cornerRadius=2).encode(color=colour)
    ink = alt.condition("isValid(datum.badness)", alt.value(_INK), alt.value(GREY))
    words = base.mark_text(fontSize=12).encode(text="text:N", color=ink)
    return framed(alt.layer(tiles, words), (150 if slant else 46) + 34 * len(set(cells["model"])))


def quantity(measure: Measure, of: str = "") -> str:
    """Return the title of an axis of a measure, of somebody: ``error of a person (mm)``, ``PCK@0.05 of a person``."""
    words = "error" if measure.lower_is_better and measure.unit else measure.display_name
    return f"{words}{of and f' of {of}'}{measure.unit and f' ({measure.unit})'}"


def histogram(errors: np.ndarray, title: str, mean: float | None) -> Chart:
    """Return the histogram of errors with their mean; what lies past the 99.5th percentile is in the last bar."""
    known = np.asarray(errors, float)
    known = known[np.isfinite(known)]
    end = float(np.quantile(known, 0.995)) if len(known) else 1.0
    edges = np.linspace(min(0.0, float(known.min(initial=0.0))), max(end, 1e-9), _BINS + 1)
    counts, _ = np.histogram(np.minimum(known, edges[-1]), edges)
    table = pd.DataFrame({"low": edges[:-1], "high": edges[1:], "people": counts})
    bars = (
        alt.Chart(table)
        .mark_bar(color=BLUE, opacity=0.75, binSpacing=0.5)
        .encode(
            x=alt.X("low:Q", bin="binned", title=title, axis=alt.Axis(tickCount=6)),
            x2="high:Q",
            y=alt.Y("people:Q", title="people", axis=alt.Axis(tickCount=5, tickMinStep=1, format="~s")),
            tooltip=[alt.Tooltip("low:Q", format=_FORM), alt.Tooltip("high:Q", format=_FORM), "people:Q"],
        )
    )
    if mean is None or not np.isfinite(mean):
        return framed(bars, 220)
    rule = alt.Chart(pd.DataFrame({"mean": [mean]})).mark_rule(color=VERMILION, strokeWidth=1.5)
    return framed(alt.layer(bars, rule.encode(x="mean:Q", tooltip=[alt.Tooltip("mean:Q", format=_FORM)])), 220)


def error_by_bins(bins: pd.DataFrame, factor: str, title: str) -> Chart:
    """Return the median of errors over bins of a factor, with the middle half and the mean of each bin.

    Columns are those of ``slices.bins_sql``.
    """
    base = alt.Chart(bins).encode(
        x=alt.X("middle:Q", title=factor, axis=alt.Axis(tickCount=6)).scale(zero=False),
        tooltip=[
            alt.Tooltip("low:Q", title="from", format=".3~g"),
            alt.Tooltip("high:Q", title="to", format=".3~g"),
            alt.Tooltip("median:Q", format=_FORM),
            alt.Tooltip("mean:Q", format=_FORM),
            alt.Tooltip("people:Q", format=","),
        ],
    )
    band = base.mark_area(color=BLUE, opacity=0.16).encode(y=alt.Y("q25:Q", title=title), y2="q75:Q")
    line = base.mark_line(color=BLUE, strokeWidth=2, point=alt.OverlayMarkDef(size=36, color=BLUE)).encode(y="median:Q")
    means = base.mark_point(color=ORANGE, shape="diamond", size=46, filled=True).encode(y="mean:Q")
    return framed(alt.layer(band, line, means), 300)


def error_by_slice(slices: pd.DataFrame, factor: str, title: str) -> Chart:
    """Return the median of errors in each slice, with the middle half; columns are those of ``slices.slices_sql``."""
    base = alt.Chart(slices).encode(
        y=alt.Y("slice:N", title=None, sort=alt.SortField("median", "descending"), axis=alt.Axis(labelLimit=240)),
        tooltip=[
            alt.Tooltip("slice:N", title=factor),
            alt.Tooltip("median:Q", format=_FORM),
            alt.Tooltip("mean:Q", format=_FORM),
            alt.Tooltip("people:Q", format=","),
        ],
    )
    bars = base.mark_bar(color=BLUE, opacity=0.25, cornerRadius=2, height=10).encode(
        x=alt.X("q25:Q", title=title), x2="q75:Q"
    )
    points = base.mark_point(color=BLUE, size=48, filled=True, opacity=1).encode(x="median:Q")
    means = base.mark_point(color=ORANGE, shape="diamond", size=46, filled=True, opacity=1).encode(x="mean:Q")
    return framed(alt.layer(bars, points, means), bars_height(len(slices), has_title=True))


def scatter(pairs: pd.DataFrame, titles: tuple[str, str]) -> Chart:
    """Return the errors of two models on the same people as points; columns ``person_key``, ``a``, ``b``."""
    end = float(pairs[["a", "b"]].to_numpy(float).max(initial=1e-9)) * 1.03
    points = (
        alt.Chart(pairs.loc[:, ["person_key", "a", "b"]])
        .mark_circle(color=BLUE, opacity=0.45, size=26)
        .encode(
            x=alt.X("a:Q", title=titles[0], axis=alt.Axis(tickCount=6)).scale(domain=[0, end], nice=False),
            y=alt.Y("b:Q", title=titles[1], axis=alt.Axis(tickCount=6)).scale(domain=[0, end], nice=False),
            tooltip=["person_key:N", alt.Tooltip("a:Q", format=_FORM), alt.Tooltip("b:Q", format=_FORM)],
        )
    )
    return framed(alt.layer(_diagonal(end), points), 380)


def plane(squares: pd.DataFrame, titles: tuple[str, str]) -> Chart:
    """Return how many people lie where in the plane of two models' errors; columns are those of ``versus.squares``."""
    end = float(squares[["a1", "b1"]].to_numpy(float).max(initial=1e-9))
    colour = alt.Color("people:Q", title="people", legend=alt.Legend(orient="right", gradientLength=160))
    rectangles = (
        alt.Chart(squares)
        .mark_rect()
        .encode(
            x=alt.X("a0:Q", bin="binned", title=titles[0], scale=alt.Scale(domain=[0, end])),
            x2="a1:Q",
            y=alt.Y("b0:Q", bin="binned", title=titles[1], scale=alt.Scale(domain=[0, end])),
            y2="b1:Q",
            color=colour.scale(scheme="blues", type="log"),
            tooltip=[
                alt.Tooltip("a0:Q", title="a from", format=_FORM),
                alt.Tooltip("b0:Q", title="b from", format=_FORM),
                alt.Tooltip("people:Q", format=","),
            ],
        )
    )
    return framed(alt.layer(rectangles, _diagonal(end)), 380)


def _diagonal(end: float) -> Chart:
    """Return the line on which both models are equally wrong."""
    line = pd.DataFrame({"a": [0.0, end], "b": [0.0, end]})
    return alt.Chart(line).mark_line(color=GREY, strokeDash=[4, 4], strokeWidth=1.2).encode(x="a:Q", y="b:Q")
