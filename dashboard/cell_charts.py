"""Charts of the matrix, of one of its cells and of two models on the same people; nothing here knows Streamlit."""

import altair as alt
import numpy as np
import pandas as pd

from .charts import Chart, bars_height, framed
from .theme import BLUE, GREY, ORANGE, VERMILION

_BINS = 60
_TILES, _INK = ["#9CCBE8", "#EEF0F3", "#F2BC97"], "#1B1F24"  # best, middle, worst; dark words hold on all of them


def heatmap(cells: pd.DataFrame) -> Chart:
    """Return the matrix as tiles, coloured by the place between the best and the worst of each column.

    Columns ``model``, ``column`` (what to call it), ``text``, ``badness`` (0 best to 1 worst, NaN for none), ``row``
    and ``place`` (where the model and the column stand).
    """
    wide = alt.Axis(orient="top", labelAngle=0, labelLimit=150, title=None, domain=False, ticks=False)
    base = alt.Chart(cells).encode(
        x=alt.X("column:N", sort=alt.SortField("place"), axis=wide),
        y=alt.Y(
            "model:N",
            sort=alt.SortField("row"),
            axis=alt.Axis(title=None, labelLimit=220, domain=False, ticks=False),
        ),
        tooltip=["model:N", "column:N", "text:N"],
    )
    colour = alt.Color("badness:Q", legend=None).scale(domain=[0, 0.5, 1], range=_TILES)
    tiles = base.transform_filter("isValid(datum.badness)").mark_rect(cornerRadius=2).encode(color=colour)
    ink = alt.condition("isValid(datum.badness)", alt.value(_INK), alt.value(GREY))
    words = base.mark_text(fontSize=12).encode(text="text:N", color=ink)
    return framed(alt.layer(tiles, words), 46 + 34 * len(set(cells["model"])))


def histogram(errors: np.ndarray, unit: str, mean: float | None) -> Chart:
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
            x=alt.X("low:Q", bin="binned", title=f"error of a person ({unit})", axis=alt.Axis(tickCount=6)),
            x2="high:Q",
            y=alt.Y("people:Q", title="people", axis=alt.Axis(tickCount=5, tickMinStep=1, format="~s")),
            tooltip=[alt.Tooltip("low:Q", format=".1f"), alt.Tooltip("high:Q", format=".1f"), "people:Q"],
        )
    )
    if mean is None or not np.isfinite(mean):
        return framed(bars, 220)
    rule = alt.Chart(pd.DataFrame({"mean": [mean]})).mark_rule(color=VERMILION, strokeWidth=1.5)
    return framed(alt.layer(bars, rule.encode(x="mean:Q", tooltip=[alt.Tooltip("mean:Q", format=".1f")])), 220)


def error_by_bins(bins: pd.DataFrame, factor: str, unit: str) -> Chart:
    """Return the median of errors over bins of a factor, with the middle half and the mean of each bin.

    Columns are those of ``slices.bins_sql``.
    """
    base = alt.Chart(bins).encode(
        x=alt.X("middle:Q", title=factor, axis=alt.Axis(tickCount=6)).scale(zero=False),
        tooltip=[
            alt.Tooltip("low:Q", title="from", format=".3~g"),
            alt.Tooltip("high:Q", title="to", format=".3~g"),
            alt.Tooltip("median:Q", format=".1f"),
            alt.Tooltip("mean:Q", format=".1f"),
            alt.Tooltip("people:Q", format=","),
        ],
    )
    band = base.mark_area(color=BLUE, opacity=0.16).encode(y=alt.Y("q25:Q", title=f"error ({unit})"), y2="q75:Q")
    line = base.mark_line(color=BLUE, strokeWidth=2, point=alt.OverlayMarkDef(size=36, color=BLUE)).encode(y="median:Q")
    means = base.mark_point(color=ORANGE, shape="diamond", size=46, filled=True).encode(y="mean:Q")
    return framed(alt.layer(band, line, means), 300)


def error_by_slice(slices: pd.DataFrame, factor: str, unit: str) -> Chart:
    """Return the median of errors in each slice, with the middle half; columns are those of ``slices.slices_sql``."""
    base = alt.Chart(slices).encode(
        y=alt.Y("slice:N", title=None, sort=alt.SortField("median", "descending"), axis=alt.Axis(labelLimit=240)),
        tooltip=[
            alt.Tooltip("slice:N", title=factor),
            alt.Tooltip("median:Q", format=".1f"),
            alt.Tooltip("mean:Q", format=".1f"),
            alt.Tooltip("people:Q", format=","),
        ],
    )
    bars = base.mark_bar(color=BLUE, opacity=0.25, cornerRadius=2, height=10).encode(
        x=alt.X("q25:Q", title=f"error ({unit})"), x2="q75:Q"
    )
    points = base.mark_point(color=BLUE, size=48, filled=True, opacity=1).encode(x="median:Q")
    means = base.mark_point(color=ORANGE, shape="diamond", size=46, filled=True, opacity=1).encode(x="mean:Q")
    return framed(alt.layer(bars, points, means), bars_height(len(slices), has_title=True))


def scatter(pairs: pd.DataFrame, names: tuple[str, str], unit: str) -> Chart:
    """Return the errors of two models on the same people as points; columns ``person_key``, ``a``, ``b``."""
    end = float(pairs[["a", "b"]].to_numpy(float).max(initial=1e-9)) * 1.03
    points = (
        alt.Chart(pairs.loc[:, ["person_key", "a", "b"]])
        .mark_circle(color=BLUE, opacity=0.45, size=26)
        .encode(
            x=alt.X("a:Q", title=_title(names[0], unit), axis=alt.Axis(tickCount=6)).scale(domain=[0, end], nice=False),
            y=alt.Y("b:Q", title=_title(names[1], unit), axis=alt.Axis(tickCount=6)).scale(domain=[0, end], nice=False),
            tooltip=["person_key:N", alt.Tooltip("a:Q", format=".1f"), alt.Tooltip("b:Q", format=".1f")],
        )
    )
    return framed(alt.layer(_diagonal(end), points), 380)


def plane(squares: pd.DataFrame, names: tuple[str, str], unit: str) -> Chart:
    """Return how many people lie where in the plane of two models' errors; columns are those of ``versus.squares``."""
    end = float(squares[["a1", "b1"]].to_numpy(float).max(initial=1e-9))
    colour = alt.Color("people:Q", title="people", legend=alt.Legend(orient="right", gradientLength=160))
    rectangles = (
        alt.Chart(squares)
        .mark_rect()
        .encode(
            x=alt.X("a0:Q", bin="binned", title=_title(names[0], unit), scale=alt.Scale(domain=[0, end])),
            x2="a1:Q",
            y=alt.Y("b0:Q", bin="binned", title=_title(names[1], unit), scale=alt.Scale(domain=[0, end])),
            y2="b1:Q",
            color=colour.scale(scheme="blues", type="log"),
            tooltip=[
                alt.Tooltip("a0:Q", title="a from", format=".0f"),
                alt.Tooltip("b0:Q", title="b from", format=".0f"),
                alt.Tooltip("people:Q", format=","),
            ],
        )
    )
    return framed(alt.layer(rectangles, _diagonal(end)), 380)


def _title(model: str, unit: str) -> str:
    return f"error of {model} ({unit})"


def _diagonal(end: float) -> Chart:
    """Return the line on which both models are equally wrong."""
    line = pd.DataFrame({"a": [0.0, end], "b": [0.0, end]})
    return alt.Chart(line).mark_line(color=GREY, strokeDash=[4, 4], strokeWidth=1.2).encode(x="a:Q", y="b:Q")
