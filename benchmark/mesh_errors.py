"""Mean distances of many parts of many pairs of meshes in one compiled pass (shards/native/mesh_errors.c).

A mesh is read once while it lies in the processor's cache; its points are regressed, rooted and aligned there in double
precision, whatever the precision of the vertices. Chunks of people are shared out over threads; a person's numbers
depend neither on the chunk nor on the processor.
"""

import ctypes
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int32, Int64

from ..shards.native import library

library.ehps_mesh_errors.restype = ctypes.c_int32
library.ehps_mesh_errors.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64]

_CHUNK = 16  # people a call: long enough for threads to be worth their start, short enough to share out evenly
_MAP = [(name, np.int64) for name in ("columns", "weights", "starts", "count")]
_PART = np.dtype([("points", _MAP, (2,)), ("roots", _MAP, (2,)), ("rooted", np.int64), ("aligned", np.int64)])
_MESHES = np.dtype([(name, np.int64) for name in ("vertices", "per_mesh", "is_double", "is_finite")])


@dataclass(frozen=True, eq=False)
class PointMap:
    """From vertices to points: all (no columns), some (no weights), or weighted sums (rows of a sparse matrix)."""

    count: int  # points
    columns: Int32[np.ndarray, " entries"] | None = None
    weights: Float[np.ndarray, " entries"] | None = None
    starts: Int64[np.ndarray, " rows"] | None = None  # where the entries of each point begin, and the end of the last

    @property
    def num_vertices(self) -> int:
        """Return how many vertices a mesh needs to have."""
        return self.count if self.columns is None else int(self.columns.max(initial=-1)) + 1


@dataclass(frozen=True, eq=False)
class PartMaps:
    """A part's points and root on the predicted and on the true mesh."""

    points: tuple[PointMap, PointMap]
    roots: tuple[PointMap, PointMap]


@dataclass(frozen=True, eq=False)
class MeshErrors:
    """Mean distances in the unit of the vertices, a row a part; and whose meshes are free of NaN and infinity."""

    rooted: Float[np.ndarray, "parts people"]
    aligned: Float[np.ndarray, "parts people"]
    is_finite: Bool[np.ndarray, "2 people"]  # predicted, true


def mesh_errors(
    predicted: Float[np.ndarray, "people predicted_vertices 3"],
    truth: Float[np.ndarray, "people true_vertices 3"],
    parts: Sequence[PartMaps],
    *,
    threads: int | None = None,
) -> MeshErrors:
    """Return every part's mean distance with roots brought together, and after its best similarity.

    A part without points has NaN. IndexError when a part needs a vertex that the meshes do not have, or other points of
    one mesh than of the other. Uses all processors unless ``threads`` says otherwise.
    """
    _require_fitting(parts, predicted.shape[1], truth.shape[1])
    people = len(predicted)
    rooted, aligned = (np.full((len(parts), people), np.nan) for _ in range(2))
    out = MeshErrors(rooted, aligned, np.zeros((2, people), np.bool_))
    rows = _rows(parts, out)

    def run(start: int) -> None:
        here = slice(start, start + _CHUNK)
        _run_chunk(_in_memory(predicted[here]), _in_memory(truth[here]), rows, out, start)

    starts = range(0, people, _CHUNK)
    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        for _ in pool.map(run, starts) if len(starts) > 1 else map(run, starts):
            pass
    return out


def _require_fitting(parts: Sequence[PartMaps], *num_vertices: int) -> None:
    """Raise IndexError unless all vertices exist and both sides of each part have the same points."""
    for part in parts:
        for maps in (part.points, part.roots):
            if maps[0].count != maps[1].count:
                raise IndexError(f"a part has {maps[0].count} predicted points and {maps[1].count} true ones")
            for points, given in zip(maps, num_vertices, strict=True):
                if points.num_vertices > given:
                    raise IndexError(f"a part needs {points.num_vertices} vertices, found meshes of {given}")


def _rows(parts: Sequence[PartMaps], out: MeshErrors) -> np.ndarray:
    """Return the parts that have points as the compiled code reads them."""
    filled = [number for number, part in enumerate(parts) if part.points[0].count]
    rows = np.zeros(len(filled), _PART)
    for row, number in zip(rows, filled, strict=True):
        for side in range(2):
            row["points"][side] = _addresses(parts[number].points[side])
            row["roots"][side] = _addresses(parts[number].roots[side])
        row["rooted"], row["aligned"] = out.rooted[number].ctypes.data, out.aligned[number].ctypes.data
    return rows


def _addresses(points: PointMap) -> tuple[int, int, int, int]:
    arrays = (points.columns, points.weights, points.starts)
    columns, weights, starts = (0 if array is None else array.ctypes.data for array in arrays)
    return columns, weights, starts, points.count


def _in_memory(meshes: np.ndarray) -> np.ndarray:
    """Return meshes as one block of floats or doubles."""
    known = meshes.dtype in (np.float32, np.float64)
    return np.ascontiguousarray(meshes, meshes.dtype if known else np.float64)


def _run_chunk(predicted: np.ndarray, truth: np.ndarray, rows: np.ndarray, out: MeshErrors, start: int) -> None:
    """Fill in the columns of a few people, the first of whom is at ``start``."""
    sides = np.zeros(2, _MESHES)
    for side, meshes, is_finite in zip(sides, (predicted, truth), out.is_finite, strict=True):
        side["vertices"], side["per_mesh"] = meshes.ctypes.data, meshes.shape[1]
        side["is_double"], side["is_finite"] = meshes.dtype == np.float64, is_finite.ctypes.data + start
    here = rows.copy()
    here["rooted"] += start * out.rooted.itemsize
    here["aligned"] += start * out.aligned.itemsize
    if library.ehps_mesh_errors(here.ctypes.data, len(here), sides.ctypes.data, len(predicted)):
        raise MemoryError(f"no memory for the points of a mesh of {predicted.shape[1]} vertices")
