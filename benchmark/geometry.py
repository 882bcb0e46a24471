"""From index sets and regressors to the points that the measures compare.

The whole mesh and the body are rooted at the pelvis, each hand at its wrist, the head at the neck; all are rows of
SMPL-X's ``J_regressor`` applied to the mesh. Hand joints are the rows of wrist and fingers with the five fingertip
vertices of the ``smplx`` package (``vertex_ids``), in the order thumb, index, middle, ring, little.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from ..body.assets import EvaluationAssets
from ..body.joints import LEFT_HAND_21, RIGHT_HAND_21, SMPLX_INDEX
from ..body.posing import smplx_vertex_ids
from .metrics import Geometry, PointSet, Regressor

# Rows of SMPL-X's J_regressor.
PELVIS, NECK, LEFT_WRIST, RIGHT_WRIST = (SMPLX_INDEX[name] for name in ("pelvis", "neck", "left_wrist", "right_wrist"))
_FINGERS = ("thumb", "index", "middle", "ring", "pinky")
# Wrist, then finger by finger three kinematic joints and the tip, which is a vertex.
_HANDS = {"left_hand": LEFT_HAND_21, "right_hand": RIGHT_HAND_21}


def fingertip_ids() -> dict[str, tuple[int, ...]]:
    """Return the SMPL-X vertices of the five fingertips of each hand, as the ``smplx`` package names them."""
    table = smplx_vertex_ids()["smplx"]
    return {side: tuple(int(table[side[0] + finger]) for finger in _FINGERS) for side in _HANDS}


def hand_regressor(
    J_regressor: Float[np.ndarray, "55 vertices"], side: str, tips: Sequence[int]
) -> Float[np.ndarray, "21 vertices"]:
    """Return the map from mesh to wrist and, finger by finger, three joints and the tip."""
    fingertips = iter(tips)
    rows = [
        J_regressor[joint] if joint < len(J_regressor) else np.eye(1, J_regressor.shape[1], next(fingertips))[0]
        for joint in _HANDS[side]
    ]
    return np.stack(rows).astype(np.float64)


def build_geometry(assets: EvaluationAssets, tips: Mapping[str, Sequence[int]] | None = None) -> Geometry:
    """Return the roots and point sets of every measure; ``tips`` default to those of the ``smplx`` package."""
    tips = tips or fingertip_ids()
    rows = {"pelvis": PELVIS, "neck": NECK, "left_wrist": LEFT_WRIST, "right_wrist": RIGHT_WRIST}
    points = {
        ("all", "vertices"): PointSet("pelvis"),
        ("face", "vertices"): PointSet("neck", vertex_ids=assets.face_ids),
        ("body", "joints14"): PointSet("pelvis", regressor=Regressor.from_dense(assets.J14)),
    }
    for side, ids in (("left_hand", assets.left_hand_ids), ("right_hand", assets.right_hand_ids)):
        root = side.replace("hand", "wrist")
        joints = hand_regressor(assets.J_regressor, side, tips[side])
        points[side, "vertices"] = PointSet(root, vertex_ids=ids)
        points[side, "joints21"] = PointSet(root, regressor=Regressor.from_dense(joints))
        points[side, "joints20"] = PointSet(root, regressor=Regressor.from_dense(joints[1:]))
    roots = {name: Regressor.from_dense(assets.J_regressor[row : row + 1]) for name, row in rows.items()}
    return Geometry(roots, points)
