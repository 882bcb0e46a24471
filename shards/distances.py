"""How far the values of two columns, or of two arrays, lie apart.

A distance is that of the numbers (in a list: the largest of its entries), 0 for equal texts, and infinite where a value
is on one side only or cannot be told in numbers. NaN is like NaN, and null like null.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float64

Distances = Float64[np.ndarray, " people"]


def column_distances(a: pa.Array, b: pa.Array) -> Distances:
    """Return how far the values of two columns of one type lie apart, row by row."""
    if pa.types.is_list(a.type):
        return _list_distances(a, b)
    if pa.types.is_floating(a.type):
        return gaps(_floats(a), _floats(b))
    is_same = pc.call_function("equal", [a, b]).fill_null(False).to_numpy(zero_copy_only=False)
    is_same |= ~(_is_there(a) | _is_there(b))
    apart = np.where(is_same, 0.0, np.inf)
    if pa.types.is_integer(a.type):
        return np.where(is_same, 0.0, np.maximum(gaps(_floats(a), _floats(b)), 1.0))
    return apart


def gaps(a: Float64[np.ndarray, "*shape"], b: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
    """Return the absolute differences; infinite where only one side is a number."""
    with np.errstate(invalid="ignore"):
        apart = np.where(a == b, 0.0, np.abs(a - b))
    return np.where(np.isnan(apart), np.where(np.isnan(a) & np.isnan(b), 0.0, np.inf), apart)


def array_distance(a: np.ndarray | None, b: np.ndarray | None) -> float:
    """Return the largest difference of two arrays; infinite when only one is there or their shapes differ."""
    if a is None or b is None:
        return 0.0 if a is b else np.inf
    if a.shape != b.shape:
        return np.inf
    return float(gaps(a.astype(np.float64), b.astype(np.float64)).max(initial=0.0))


def _floats(values: pa.Array) -> Distances:
    """Return numbers as float64, NaN where they are null."""
    return values.cast(pa.float64(), safe=False).fill_null(float("nan")).to_numpy(zero_copy_only=False)


def _is_there(values: pa.Array) -> Bool[np.ndarray, " people"]:
    return values.is_valid().to_numpy(zero_copy_only=False)


def _list_distances(a: pa.Array, b: pa.Array) -> Distances:
    """Return the largest difference of the entries of lists; infinite where lists differ in length."""
    lengths, others = (x.value_lengths().fill_null(-1).to_numpy(zero_copy_only=False) for x in (a, b))
    apart = np.where(lengths == others, 0.0, np.inf)
    rows = np.flatnonzero((lengths == others) & (lengths > 0))
    if len(rows):
        entries = gaps(*(_floats(x.take(pa.array(rows)).flatten()) for x in (a, b)))
        begin = np.concatenate([[0], np.cumsum(lengths[rows])[:-1]])
        apart[rows] = np.maximum.reduceat(entries, begin)
    return apart
