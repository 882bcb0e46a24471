"""The two sides of a comparison: where the predicted and the true points of a part come from.

A measure compares points of a part with the same points on the other side. The sides may differ: a SMPL-X mesh on one
and a SMPL mesh, a hand or bare joints on the other, as long as each gives the same points in the same order.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
from array_api_compat import array_namespace, device
from jaxtyping import Float, Int

from .mesh_errors import PointMap


@runtime_checkable
class Side(Protocol):
    """What is compared: the points of people's parts (m), and each part's root."""

    def points(self, part: str, kind: str) -> Float[Any, "people points 3"]:
        """Return the points of a part; on the true side a point with NaN is not labelled."""
        ...

    def root(self, part: str, kind: str) -> Float[Any, "people 3"]:
        """Return the point that is brought together for measures of this part."""
        ...


def pick(points: Float[Any, "people points 3"], ids: Any) -> Float[Any, "people picked 3"]:
    """Return some of the points of everyone, where the points lie (processor or accelerator)."""
    xp = array_namespace(points)
    return xp.take(points, xp.asarray(ids, device=device(points)), axis=1)


@dataclass(frozen=True, eq=False)
class Regressor:
    """A linear map from vertices to points that touches only the vertices it needs."""

    columns: Int[np.ndarray, " columns"]
    weights: Float[np.ndarray, "points columns"]

    @classmethod
    def from_dense(cls, matrix: Float[np.ndarray, "points vertices"]) -> "Regressor":
        """Return the map of a full regressor matrix."""
        columns = np.flatnonzero((matrix != 0).any(axis=0))
        return cls(columns, matrix[:, columns].astype(np.float64))

    def __call__(self, vertices: Float[Any, "people vertices 3"]) -> Float[Any, "people points 3"]:
        """Return the regressed points."""
        xp = array_namespace(vertices)
        weights = xp.asarray(self.weights, dtype=vertices.dtype, device=device(vertices))
        return weights @ pick(vertices, self.columns)

    @cached_property
    def point_map(self) -> PointMap:
        """Return the map as compiled code reads it."""
        points, columns = np.nonzero(self.weights)
        starts = np.searchsorted(points, np.arange(len(self.weights) + 1))
        weights = np.ascontiguousarray(self.weights[points, columns])
        return PointMap(len(self.weights), self.columns[columns].astype(np.int32), weights, starts.astype(np.int64))


@dataclass(frozen=True, eq=False)
class PointSet:
    """The points of one part that a kind of measure compares, and the part's root."""

    root: str  # key of Geometry.roots
    vertex_ids: Int[np.ndarray, " points"] | None = None  # None: the whole mesh, or the points of the regressor
    regressor: Regressor | None = None

    def of(self, vertices: Float[Any, "people vertices 3"]) -> Float[Any, "people points 3"]:
        """Return the points on these meshes."""
        if self.regressor is not None:
            return self.regressor(vertices)
        return vertices if self.vertex_ids is None else pick(vertices, self.vertex_ids)

    def point_map(self, num_vertices: int) -> PointMap:
        """Return the map as compiled code reads it."""
        if self.regressor is not None:
            return self.regressor.point_map
        return PointMap(num_vertices) if self.vertex_ids is None else self._picked

    @cached_property
    def _picked(self) -> PointMap:
        ids = np.zeros(0) if self.vertex_ids is None else self.vertex_ids
        return PointMap(len(ids), ids.astype(np.int32))


@dataclass(frozen=True, eq=False)
class Geometry:
    """Everything that turns a mesh into the points that are scored (see ``geometry.build_geometry``)."""

    roots: Mapping[str, Regressor]  # one point each
    points: Mapping[tuple[str, str], PointSet]  # (part, kind of points)


@dataclass(frozen=True, eq=False)
class MeshSide:
    """Meshes of one topology, numpy or torch, measured in double precision."""

    vertices: Float[Any, "people vertices 3"]
    geometry: Geometry

    @cached_property
    def _doubles(self) -> Any:
        xp = array_namespace(self.vertices)
        return xp.astype(self.vertices, xp.float64)

    def points(self, part: str, kind: str) -> Float[Any, "people points 3"]:
        """Return the points of a part."""
        return self.geometry.points[part, kind].of(self._doubles)

    def root(self, part: str, kind: str) -> Float[Any, "people 3"]:
        """Return the root of a part."""
        return self.geometry.roots[self.geometry.points[part, kind].root](self._doubles)[:, 0]
