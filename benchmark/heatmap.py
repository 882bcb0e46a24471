"""The cross-dataset matrix as a picture: a cell is coloured by its place between the best and worst of its column."""

from pathlib import Path
from textwrap import wrap

import numpy as np
from jaxtyping import Float

from ..errors import MissingExtraError
from .measures import digits, lower_is_better
from .render import column_title
from .tables import Matrix

_CELL = (1.15, 0.42)  # inches
_DPI = 200
_LINE = 18  # letters of a heading in a line
_FAR = 3.0  # times the median's distance from the best, behind which all count as worst


def write_heatmap(matrix: Matrix, path: Path, *, decimals: int = 1) -> Path:
    """Write the matrix as PNG (light is good, dark is bad; the best of a column is bold) and return its path.

    MissingExtraError without matplotlib (``ehps[report]``).
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "report") from error

    values = matrix.values.to_numpy(float)
    rows, columns = values.shape
    longest = max((len(str(name)) for name in matrix.values.index), default=0)
    figure = Figure(figsize=(1 + 0.085 * longest + _CELL[0] * columns, 1.6 + _CELL[1] * rows), dpi=_DPI)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    shades = badness(matrix)
    axes.imshow(np.ma.masked_invalid(shades), cmap="Blues", vmin=-0.15, vmax=1.6, aspect="auto")
    titles = ["\n".join(wrap(_whole_arrow(column_title(*column)), _LINE)) for column in matrix.values.columns]
    axes.set_xticks(range(columns), titles, fontsize=7)
    axes.set_yticks(range(rows), [str(name) for name in matrix.values.index], fontsize=8)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    behind = [digits(measure, decimals) for _, measure in matrix.values.columns]
    for row, column in np.ndindex(rows, columns):
        known = np.isfinite(values[row, column])
        text = f"{values[row, column]:.{behind[column]}f}" if known else str(matrix.holes.iloc[row, column])
        weight = "bold" if known and shades[row, column] == 0 else "normal"
        axes.text(column, row, text, ha="center", va="center", fontsize=8, fontweight=weight)
    figure.savefig(path, bbox_inches="tight", metadata={"Software": None})
    return path


def _whole_arrow(title: str) -> str:
    """Return a heading whose arrow is not parted from the word before it."""
    words, _, arrow = title.rpartition(" ")
    return f"{words}\N{NO-BREAK SPACE}{arrow}"


def badness(matrix: Matrix) -> Float[np.ndarray, "rows columns"]:
    """Return where each number lies between the best (0) and the worst (1) of its column; NaN where there is none.

    What is far behind, more than three times as far from the best as the median is, counts as the worst: beside a model
    that diverged all others would look the same.
    """
    values = matrix.values.to_numpy(float)
    signs = np.array([1.0 if lower_is_better(measure) else -1.0 for _, measure in matrix.values.columns])
    out = np.full(values.shape, np.nan)
    for column, own in enumerate((values * signs).T):
        known = np.isfinite(own)
        if known.any():
            low, high = own[known].min(), own[known].max()
            far = low + _FAR * (np.median(own[known]) - low)
            high = min(high, far) if far > low else high
            out[known, column] = np.clip((own[known] - low) / (high - low), 0, 1) if high > low else 0.0
    return out
