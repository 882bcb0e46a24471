"""Where does a model fail? Errors by anything that the catalog knows about a person, and the worst people.

The rows of a result and the catalog are joined by ``person_key`` in one statement (``STATEMENT``), which ``ehps sql
--results`` can run as well. A slice is a value of a text, a truth value or a number with few values, else a range of a
number: quarters of the people by default. Means have the interval of ``aggregate``: whole sequences are resampled.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict

from ..errors import ProtocolError
from ..shards.catalog import query
from .aggregate import bootstrap_intervals
from .measures import get_measure, measures
from .results import read_people, read_result

# What every person of a result is like, and how far off the model was.
STATEMENT = """
select r.person_key, r.measure, r.value, ({by}) as slice
from person_results r join people p using (person_key)
order by r.measure, r.person_key
"""
_FEW = 12  # different numbers up to which each is a slice of its own
_UNKNOWN = "unknown"


class Slice(BaseModel):
    """One measure over the people of one slice, in the measure's unit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    measure: str
    slice: str
    people: int  # asked
    answered: int  # with a value
    mean: float | None
    median: float | None
    ci_low: float | None  # 95 %; None with values in fewer than two sequences
    ci_high: float | None


def sliced_people(result: Path, catalog: Path, by: str, names: Sequence[str] = ()) -> pd.DataFrame:
    """Return one row a person and measure: key, sequence, ``value`` and ``slice``, the value of an SQL expression.

    ``names`` of measures default to the protocol's primary one. ProtocolError when nobody of the result is in the
    catalog; QueryError says what DuckDB objects to in the expression.
    """
    facts, people = read_result(result), read_people(result)
    wanted = list(names) or [facts.primary]
    require_measures(result, people, wanted)
    errors = people.melt("person_key", wanted, var_name="measure", value_name="value")
    errors = errors.assign(model=facts.model, revision=facts.revision, protocol=facts.protocol)
    brought = {"person_results": pa.Table.from_pandas(errors, preserve_index=False)}
    joined = query(catalog, STATEMENT.format(by=by), tables=brought)
    if joined.empty:
        raise ProtocolError(result, f"none of its {len(people)} people is in {catalog}", "name the data it was made on")
    return joined.merge(people[["person_key", "sequence"]], on="person_key")


def require_measures(result: Path, people: pd.DataFrame, names: Sequence[str]) -> None:
    """Raise ProtocolError unless a result has each of some measures for every person."""
    for name in names:
        get_measure(name)
        if name not in people:
            held = ", ".join(column for column in people if column in measures())
            raise ProtocolError(result, f"has no {name} for each person", f"it has {held}")


def slice_errors(joined: pd.DataFrame, *, bins: int = 4, edges: Sequence[float] = ()) -> list[Slice]:
    """Return each measure over each slice of ``sliced_people``; ranges are half open, the last one closed.

    ``edges`` name the borders of ranges; else a number with many values falls into ``bins`` of about as many people.
    """
    people = joined.drop_duplicates("person_key")
    names, borders = _names(pd.Series(people["slice"]), bins, edges)
    labels = _labels(pd.Series(joined["slice"]), names, borders)
    out = []
    for measure, rows in joined.groupby("measure", sort=False):
        for name in (*names, _UNKNOWN):
            chosen = rows.loc[labels[rows.index] == name, :]
            if len(chosen):
                out.append(_slice(str(measure), name, chosen))
    return out


def worst_people(joined: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return the people with the worst values of each measure, the worst first; ties in the order of their keys."""
    found = []
    for measure, rows in joined.dropna(subset=["value"]).groupby("measure", sort=False):
        is_ascending = not get_measure(str(measure)).lower_is_better
        found.append(rows.sort_values(["value", "person_key"], ascending=[is_ascending, True]).head(count))
    return pd.concat(found, ignore_index=True) if found else joined.iloc[:0]


def _names(values: pd.Series, bins: int, edges: Sequence[float]) -> tuple[list[str], Float[np.ndarray, " borders"]]:
    """Return the slices in their order, and the borders of ranges; no borders where each value is a slice."""
    known = values.dropna()
    is_number = pd.api.types.is_numeric_dtype(known) and not pd.api.types.is_bool_dtype(known)
    if edges:
        borders = np.unique(np.asarray(edges, float))
    elif is_number and known.nunique() > _FEW:
        borders = np.unique(np.quantile(known.astype(float), np.linspace(0, 1, bins + 1)))
    else:
        return [_text(value) for value in sorted(known.unique())], np.zeros(0)
    last = len(borders) - 2
    names = [f"{a:g} to {b:g}{'' if row == last else ', excluded'}" for row, (a, b) in enumerate(_pairs(borders))]
    return names, borders


def _pairs(borders: np.ndarray) -> list[tuple[float, float]]:
    return list(zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True))


def _labels(values: pd.Series, names: Sequence[str], borders: Float[np.ndarray, " borders"]) -> pd.Series:
    """Return the slice of each row; people without a value, or outside of the borders, are unknown."""
    if not len(borders):
        return values.map(_text, na_action="ignore").fillna(_UNKNOWN)
    numbers = values.astype(float).to_numpy()
    row = np.searchsorted(borders, numbers, side="right") - 1
    row = np.where(numbers == borders[-1], len(names) - 1, row)
    is_inside = (row >= 0) & (row < len(names)) & np.isfinite(numbers)
    found = np.where(is_inside, np.array([*names, _UNKNOWN], object)[np.where(is_inside, row, -1)], _UNKNOWN)
    return pd.Series(found, index=values.index)


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float | np.floating) else str(value)


def _slice(measure: str, name: str, rows: pd.DataFrame) -> Slice:
    values = rows["value"].to_numpy(float)
    known = values[np.isfinite(values)]
    low, high = bootstrap_intervals(values[:, None], pd.factorize(rows["sequence"])[0])[:, 0]
    numbers = [known.mean(), np.median(known)] if len(known) else [np.nan, np.nan]
    mean, median, low, high = (float(number) if np.isfinite(number) else None for number in (*numbers, low, high))
    return Slice(
        measure=measure,
        slice=name,
        people=len(rows),
        answered=len(known),
        mean=mean,
        median=median,
        ci_low=low,
        ci_high=high,
    )
