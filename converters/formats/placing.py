"""Where a posed body stands, solved from 2D keypoints: for sources that tell pose and camera but no translation.

With known rotations the projection is linear in the translation, so a few limb joints settle it in closed form. Its
scale is that of the body model: true metres only if the labelled body is the one that was photographed.
"""

import numpy as np
from jaxtyping import Bool, Float

from ...body.joints import SMPLX_INDEX, SMPLX_JOINTS
from ...body.keypoints import convert_keypoints

_LIMBS = [
    SMPLX_INDEX[f"{side}_{limb}"]
    for side in ("left", "right")
    for limb in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
]
# Three points determine a translation twice over; with fewer than six a detector's slip moves it by decimetres.
_MIN_POINTS = 6
_ROUNDS = 3  # of weighing by depth: the equations are in metres, the errors in pixels


def solve_transl(
    joints: Float[np.ndarray, "people joints 3"],
    keypoints: Float[np.ndarray, "people points 3"],
    convention: str,
    K: Float[np.ndarray, "people 3 3"],
) -> Float[np.ndarray, "people 3"]:
    """Return the translations (m) that bring limb joints nearest to their keypoints; NaN with too few or behind.

    ``joints`` are SMPL-family joints in camera axes, their body's transl zero; keypoints weigh by confidence.
    """
    marked = convert_keypoints(keypoints, convention, SMPLX_JOINTS, approximate=True)[:, _LIMBS].astype(np.float64)
    points, pixels, weights = joints[:, _LIMBS], marked[..., :2], marked[..., 2]
    # f x + c z = u z for each pixel coordinate: a row of coefficients times (point + transl) is zero.
    rows = K[:, None, :2] - pixels[..., None] * K[:, None, 2:]
    transl, solvable = np.zeros((len(joints), 3)), (weights > 0).sum(axis=1) >= _MIN_POINTS
    scale = np.ones_like(weights)
    for _ in range(_ROUNDS):
        transl[solvable] = _least_squares(rows[solvable], points[solvable], (weights * scale)[solvable])
        depth = points[..., 2] + transl[:, None, 2]
        scale = 1 / np.where(depth > 0.1, depth, 0.1) ** 2
    solvable &= _is_ahead(points, transl)
    return np.where(solvable[:, None], transl, np.nan)


def _least_squares(
    rows: Float[np.ndarray, "people points 2 3"],
    points: Float[np.ndarray, "people points 3"],
    weights: Float[np.ndarray, "people points"],
) -> Float[np.ndarray, "people 3"]:
    """Return t for which the weighted sum of squares of rows . (point + t) is least."""
    normal = np.einsum("pj,pjki,pjkl->pil", weights, rows, rows)
    right = -np.einsum("pj,pjki,pjkl,pjl->pi", weights, rows, rows, points)
    return np.linalg.solve(normal, right[..., None])[..., 0]


def _is_ahead(
    points: Float[np.ndarray, "people points 3"], transl: Float[np.ndarray, "people 3"]
) -> Bool[np.ndarray, " people"]:
    """Return who stands in front of the camera as a whole."""
    return (points[..., 2] + transl[:, None, 2]).min(axis=1, initial=np.inf) > 0
