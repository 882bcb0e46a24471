"""Implicit solids: round cones and ellipsoids melted together, the flesh of the stand-in body.

A solid is a list of primitives; its value at a point is a distance in metres, negative inside. Primitives are
melted with a soft minimum, so that limbs join without a crease. The soft minimum and the ellipsoid bound are
those of Inigo Quilez's public notes on distance functions.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from jaxtyping import Float

Points = Float[np.ndarray, "points 3"]
Values = Float[np.ndarray, "points"]
Primitive = Callable[[np.ndarray], np.ndarray]


def lengths(vectors: Points) -> Values:
    """Return the lengths of vectors, faster than numpy.linalg.norm."""
    return np.sqrt(np.einsum("pd,pd->p", vectors, vectors))


def round_cone(a: tuple, b: tuple, radius_a: float, radius_b: float, squash: tuple = (1, 1, 1)) -> Primitive:
    """Return a capsule from `a` to `b` whose radius runs from one value to the other, metres.

    `squash` divides the coordinates first: 1.5 along y gives a section that is wider than it is high.
    """
    scale = np.array(squash, float)
    start, axis = np.array(a) * scale, (np.array(b) - np.array(a)) * scale
    length = max(float(axis @ axis), 1e-12)

    def distance(points: np.ndarray) -> np.ndarray:
        offset = points * scale - start
        along = np.clip(offset @ axis / length, 0, 1)
        gap = lengths(offset - along[:, None] * axis)
        return (gap - (radius_a + along * (radius_b - radius_a))) / scale.max()

    return distance


def chain(*stops: tuple[tuple[float, float, float], float]) -> Primitive:
    """Return round cones through (point, radius) stops, joined without swelling where they meet."""
    cones = [round_cone(a, b, p, q) for (a, p), (b, q) in pairwise(stops)]

    def distance(points: np.ndarray) -> np.ndarray:
        return np.min([cone(points) for cone in cones], axis=0)

    return distance


def ellipsoid(centre: tuple, radii: tuple) -> Primitive:
    """Return an axis-aligned ellipsoid, metres."""
    middle, size = np.array(centre), np.array(radii)

    def distance(points: np.ndarray) -> np.ndarray:
        offset = (points - middle) / size
        near = lengths(offset)
        return near * (near - 1) / np.maximum(lengths(offset / size), 1e-9)

    return distance


CAST_STEPS = 50


@dataclass
class Solid:
    """Primitives melted over `melt` metres, minus the ones in `carved`, above the plane y = `floor`."""

    primitives: list[Primitive]
    melt: float = 0.01
    carved: list[tuple[Primitive, float]] = field(default_factory=list)
    floor: float | None = None

    def __call__(self, points: Points) -> Values:
        """Return the distance of points to the surface, negative inside."""
        value = soft_minimum(np.stack([one(points) for one in self.primitives]), self.melt)
        for one, melt in self.carved:
            value = -soft_minimum(np.stack([-value, one(points)]), melt)
        if self.floor is not None:
            value = -soft_minimum(np.stack([-value, points[:, 1] - self.floor]), 0.004)
        return value

    def normals(self, points: Points, step: float = 5e-4) -> Points:
        """Return the outward unit normals of the level sets at points."""
        corners = np.array([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]], float)
        slope = sum(corner * self(points + step * corner)[:, None] for corner in corners)
        return slope / np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-12)

    def snapped(self, points: Points, rounds: int = 1) -> Points:
        """Return points moved along the normals towards the surface."""
        for _ in range(rounds):
            points = points - np.clip(self(points), -0.03, 0.03)[:, None] * self.normals(points)
        return points

    def cast(self, origin: Points, direction: Points, nearest: float, farthest: float) -> Points:
        """Return where rays that start inside first leave the solid, at most `farthest` metres out."""
        reach = np.full(len(origin), farthest)
        open_rays = np.ones(len(origin), bool)
        for distance in np.linspace(nearest, farthest, CAST_STEPS):
            outside = open_rays.copy()
            outside[open_rays] = self(origin[open_rays] + distance * direction[open_rays]) > 0
            reach[outside], open_rays = distance, open_rays & ~outside
        step = (farthest - nearest) / (CAST_STEPS - 1)
        low, high = reach - step, reach
        for _ in range(10):
            middle = (low + high) / 2
            inside = self(origin + middle[:, None] * direction) < 0
            low, high = np.where(inside, middle, low), np.where(inside, high, middle)
        return origin + ((low + high) / 2)[:, None] * direction


def soft_minimum(values: Float[np.ndarray, "parts points"], melt: float) -> Values:
    """Return the smallest value over the parts, rounded off where two lie within `melt` metres of each other."""
    total = values[0]
    for value in values[1:]:
        overlap = np.maximum(melt - np.abs(total - value), 0)
        total = np.minimum(total, value) - overlap * overlap / (4 * melt)
    return total
