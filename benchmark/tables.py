"""The cross-dataset matrix and what stands beside it, as pure functions of result rows.

Rows are models, columns are (protocol, measure). A cell is one measured number with its marks; a mean over protocols
exists only where all of its protocols were measured, otherwise the cell says how many were. Results of an older
protocol version than the newest at hand do not enter. Published numbers are a table of their own.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .measures import MeanOfPrimaries, lower_is_better

Column = tuple[str, str]  # protocol, measure
_LEVELS = ["protocol", "measure"]
HOLE = "\N{EN DASH}"
# Letter of a mark in Matrix.marks, and what it means.
MARKS = {
    "t": "trained on this data set",
    "f": "fine-tuned on this data set",
    "b": "ground-truth boxes",
    "m": "predictions are missing",
}


@dataclass(frozen=True, eq=False)
class Matrix:
    """Numbers, marks and words for holes, three frames of one shape: models by (protocol, measure)."""

    values: pd.DataFrame  # NaN where nothing was measured
    marks: pd.DataFrame  # letters of MARKS
    holes: pd.DataFrame  # what to print instead of NaN


def build_matrix(results: pd.DataFrame, columns: Sequence[Column] | None = None) -> Matrix:
    """Return the matrix of the rows of ``results.load_results``; by default each protocol's primary measure.

    A protocol with the rule ``penalise`` shows its penalised mean.
    """
    current = newest_versions(results).assign(row=lambda table: row_labels(table))
    if columns is None:
        primaries = current[current["is_primary"].astype(bool)]
        columns = sorted(set(zip(primaries["protocol"], primaries["measure"], strict=True)))
    rows = list(dict.fromkeys(current["row"]))
    matrix = _empty(rows, columns)
    for cell in current.to_dict("records"):
        column = (cell["protocol"], cell["measure"])
        if column in matrix.values.columns:
            shown = cell["penalised_mean"] if cell["missing_rule"] == "penalise" else cell["mean"]
            matrix.values.loc[cell["row"], column] = np.nan if shown is None else shown
            matrix.marks.loc[cell["row"], column] = marks_of(cell)
    return matrix


def newest_versions(results: pd.DataFrame) -> pd.DataFrame:
    """Return the rows whose protocol version is the newest among the rows of that protocol."""
    newest = results.groupby("protocol")["protocol_version"].transform("max")
    return results.loc[results["protocol_version"] == newest]


def row_labels(results: pd.DataFrame) -> list[str]:
    """Return the model of each row, with its revision where the model has several."""
    pairs = list(zip(results["model"], results["revision"], strict=True))
    count = Counter(model for model, _ in set(pairs))
    return [f"{model} ({revision})" if count[model] > 1 else model for model, revision in pairs]


def add_mean(matrix: Matrix, mean: MeanOfPrimaries, primaries: Mapping[str, str]) -> Matrix:
    """Return the matrix with one more column: the mean over a list of protocols, for the rows that have them all.

    ``primaries`` names the primary measure of each known protocol, which counts unless the mean names a measure. Other
    rows say how many of the protocols they have.
    """
    columns = [(protocol, mean.measure or primaries.get(protocol, "")) for protocol in mean.protocols]
    numbers = pd.DataFrame({column: matrix.values.get(column, np.nan) for column in columns}, index=matrix.values.index)
    measured = numbers.notna().sum(axis=1)
    label = (mean.name, mean.name)
    means = numbers.mean(axis=1).where(measured == len(columns))
    holes = [f"{count}/{len(columns)}" if count else HOLE for count in measured]
    marks = _joint_marks(matrix.marks, [column for column in columns if column in matrix.marks.columns])
    return Matrix(
        _with_column(matrix.values, label, list(means)),
        _with_column(matrix.marks, label, marks),
        _with_column(matrix.holes, label, holes),
    )


def sort_rows(matrix: Matrix, column: Column) -> Matrix:
    """Return the matrix with its best row of a column first; rows without a value come last, in their old order."""
    key = matrix.values[column].to_numpy(float) * (1 if lower_is_better(column[1]) else -1)
    order = np.argsort(key, kind="stable")  # NaN sorts last
    return Matrix(matrix.values.iloc[order], matrix.marks.iloc[order], matrix.holes.iloc[order])


def ranks(values: pd.DataFrame) -> pd.DataFrame:
    """Return 1 for the best number of each column, 2 for the second, 0 elsewhere; equal numbers share a rank."""
    signs = [1 if lower_is_better(measure) else -1 for _, measure in values.columns]
    placed = (values * signs).rank(method="dense")
    return placed.where(placed <= 2, 0).fillna(0).astype(int)


def published_block(published: pd.DataFrame, columns: Sequence[Column], *, kind: str = "published") -> pd.DataFrame:
    """Return the published numbers of some columns with source and table, best first: a table of its own."""
    pairs = zip(published["protocol"], published["measure"], published["kind"], strict=True)
    wanted = [(protocol, measure) in columns and own == kind for protocol, measure, own in pairs]
    shown = published.loc[
        wanted, ["protocol", "measure", "method", "train_set", "value", "unit", "paper", "table", "note", "source"]
    ]
    return shown.sort_values(by=["protocol", "measure", "value"], kind="stable").reset_index(drop=True)


def reproduction_gap(
    results: pd.DataFrame, published: pd.DataFrame, methods: Mapping[str, str], *, kind: str = "published"
) -> pd.DataFrame:
    """Return measured beside published numbers of the same protocol and measure, one row per published source.

    ``methods`` says under which name each of our models is published. The gap is measured minus published, in mm and as
    a share of the published number; ``has_missing`` warns that the measured mean leaves people out.
    """
    keys = ["protocol", "measure", "method"]
    measured = newest_versions(results).rename(columns={"mean": "measured"})
    measured = measured.assign(
        method=[methods.get(model) for model in measured["model"]], has_missing=measured["missing"] > 0
    )
    known = published.loc[published["kind"] == kind].rename(columns={"value": "published"})
    ours = measured.loc[:, ["model", "revision", *keys, "measured", "has_missing"]].dropna(subset=[*keys, "measured"])
    both = ours.merge(known.loc[:, [*keys, "published", "paper", "table", "source"]], on=keys)
    gap = both["measured"].astype(float) - both["published"].astype(float)
    both = both.assign(gap=gap, gap_share=gap / both["published"].astype(float))
    order = ["model", "revision", *keys, "measured", "published", "gap", "gap_share", "has_missing"]
    return both.loc[:, [*order, "paper", "table", "source"]]


def _empty(rows: Sequence[str], columns: Sequence[Column]) -> Matrix:
    """Return a matrix of holes."""
    index = pd.Index(rows, name="model", dtype=object)
    labels = pd.MultiIndex.from_arrays([list(level) for level in zip(*columns, strict=True)] or [[], []], names=_LEVELS)

    def filled(value: float | str) -> pd.DataFrame:
        return pd.DataFrame(value, index=index, columns=labels, dtype=float if isinstance(value, float) else object)

    return Matrix(filled(np.nan), filled(""), filled(HOLE))


def marks_of(cell: Mapping) -> str:
    """Return the letters of the marks of one result row, see ``MARKS``."""
    flags = {
        "t": cell["is_trained_on"],
        "f": cell["is_finetuned_on"],
        "b": cell["box_source"] == "ground_truth",
        "m": cell["missing"] > 0,
    }
    return "".join(letter for letter, is_set in flags.items() if is_set)


def _joint_marks(marks: pd.DataFrame, columns: Sequence[Column]) -> list[str]:
    """Return, a row, every mark that any of the columns carries."""
    rows = ["".join(row) for row in marks.loc[:, list(columns)].to_numpy()] if columns else [""] * len(marks)
    return ["".join(letter for letter in MARKS if letter in row) for row in rows]


def _with_column(table: pd.DataFrame, label: Column, column: Sequence) -> pd.DataFrame:
    wider = table.copy()
    wider[label] = column
    return wider
