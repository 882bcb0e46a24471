"""Where the face landmarks of the stand-in lie: 51 inner points and the contour of the jaw for 79 head turns.

Order of the points is iBUG's (brows, nose, eyes, mouth), from the person's right to the left. The contour table
has the row order of `smplx`: rows 0..39 for a head turned 0..39 degrees to its right, 40..78 for 1..39 to its left.
"""

import numpy as np
from jaxtyping import Float, Int

from .head import ORIGIN

Landmarks = tuple[Int[np.ndarray, "*points"], Float[np.ndarray, "*points 3"]]
# Positions seen from the front (x to the person's left, y up), metres, for the left half.
BROW = ((0.052, 0.2960), (0.044, 0.3010), (0.034, 0.3030), (0.024, 0.3020), (0.014, 0.2990))
BRIDGE = ((0, 0.2880), (0, 0.2750), (0, 0.2620), (0, 0.2500))
NOSTRILS = ((0.0130, 0.2410), (0.0065, 0.2385), (0, 0.2375))
EYELIDS = ((0.0460, 0.2795), (0.0385, 0.2850), (0.0255, 0.2850), (0.0180, 0.2780), (0.0255, 0.2745), (0.0385, 0.2745))
LIPS = (
    (0.0235, 0.2075),
    (0.0150, 0.2130),
    (0.0060, 0.2162),
    (0, 0.2155),
    (0.0150, 0.2005),
    (0.0070, 0.1975),
    (0, 0.1965),
)
INNER_LIPS = ((0.0200, 0.2080), (0.0080, 0.2090), (0, 0.2092), (0.0080, 0.2060), (0, 0.2057))
# The contour on one side from ear to chin: azimuth (degrees), height and distance from the head's axis (metres).
CONTOUR = (
    (80, 0.278, 0.074), (79, 0.262, 0.072), (78, 0.245, 0.069), (75, 0.228, 0.067), (66, 0.213, 0.068),
    (50, 0.199, 0.074), (33, 0.188, 0.079), (16, 0.181, 0.083), (0, 0.178, 0.085),
)  # fmt: skip
MAX_TURN = 39  # degrees
NEAR_RAY = 0.04  # metres; no face of the head is larger


def right(points: tuple) -> list[tuple[float, float]]:
    """Return points of the left half on the person's right."""
    return [(-x, y) for x, y in points]


def inner_points() -> list[tuple[float, float]]:
    """Return the 51 inner landmarks as seen from the front, metres."""
    left_eye = [EYELIDS[i] for i in (3, 2, 1, 0, 5, 4)]
    upper, lower = LIPS[:4], LIPS[4:]
    outer = [*right(upper), *upper[2::-1], *lower, *right(lower[1::-1])]
    in_up, in_down = INNER_LIPS[:3], INNER_LIPS[3:]
    inner = [*right(in_up), *in_up[1::-1], *in_down, *right(in_down[:1])]
    nose = [*right(NOSTRILS), *NOSTRILS[1::-1]]
    return [*right(BROW), *BROW[::-1], *BRIDGE, *nose, *right(EYELIDS), *left_eye, *outer, *inner]


def first_hits(
    corners: Float[np.ndarray, "faces 3 3"],
    origins: Float[np.ndarray, "rays 3"],
    directions: Float[np.ndarray, "rays 3"],
) -> tuple[Int[np.ndarray, "rays"], Float[np.ndarray, "rays 3"]]:
    """Return the face that each ray leaves through last and the barycentric place on it."""
    middles = corners.mean(axis=1)
    hit, place = np.zeros(len(origins), np.int64), np.zeros((len(origins), 3))
    for i, (origin, direction) in enumerate(zip(origins, directions, strict=True)):
        direction = direction / np.linalg.norm(direction)
        offset = middles - origin
        along = offset @ direction
        near = np.flatnonzero((along > 0) & ((offset**2).sum(axis=1) - along**2 < NEAR_RAY**2))
        share, distance = ray_shares(corners[near], origin, direction)
        best = int(np.argmax(np.where((share >= -1e-9).all(axis=1), distance, -1)))
        hit[i], place[i] = near[best], share[best]
    return hit, np.clip(place, 0, 1)


def ray_shares(
    corners: Float[np.ndarray, "faces 3 3"], origin: Float[np.ndarray, "3"], direction: Float[np.ndarray, "3"]
) -> tuple[Float[np.ndarray, "faces 3"], Float[np.ndarray, "faces"]]:
    """Return where a ray meets the planes of faces: barycentric coordinates and distances (Moeller, Trumbore)."""
    edge1, edge2 = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    side = np.cross(direction, edge2)
    scale = (edge1 * side).sum(axis=1)
    scale = 1 / np.where(np.abs(scale) < 1e-15, 1e-15, scale)
    offset = origin - corners[:, 0]
    turned = np.cross(offset, edge1)
    second, third = (offset * side).sum(axis=1) * scale, turned @ direction * scale
    return np.column_stack([1 - second - third, second, third]), (edge2 * turned).sum(axis=1) * scale


def inner_landmarks(vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]) -> Landmarks:
    """Return faces (51,) and barycentric coordinates (51, 3) of the inner landmarks among these faces."""
    flat = np.array(inner_points())
    origins = np.column_stack([flat, np.zeros(len(flat))])
    return first_hits(vertices[faces], origins, np.broadcast_to([0.0, 0, 1], origins.shape))


def contour_directions(turn: float) -> Float[np.ndarray, "17 3"]:
    """Return rays from the head's centre to the contour of a head turned by `turn` degrees to its left."""
    rays = []
    for sign, count in ((-1, 9), (1, 8)):
        limit = np.clip(80 - sign * turn, 46, 82) / 80
        side = [(sign * np.radians(azimuth * limit), height, reach) for azimuth, height, reach in CONTOUR[:count]]
        rays += side if sign < 0 else side[::-1]
    return np.array([[reach * np.sin(a), height - ORIGIN[1], reach * np.cos(a)] for a, height, reach in rays])


def contour_landmarks(vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]) -> Landmarks:
    """Return faces (79, 17) and barycentric coordinates (79, 17, 3) of the contour for every row of smplx's table."""
    turns = [-row if row <= MAX_TURN else row - MAX_TURN for row in range(2 * MAX_TURN + 1)]
    rays = np.concatenate([contour_directions(turn) for turn in turns])
    hit, place = first_hits(vertices[faces], np.broadcast_to(ORIGIN, rays.shape), rays)
    return hit.reshape(79, 17), place.reshape(79, 17, 3)
