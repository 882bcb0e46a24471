"""The joints of MANO hands that belong to no body, so that they can be measured like everyone else's.

A MANO-only source says how a hand is turned and bent, and its 3D keypoints say where the wrist is, which is the joint
that MANO turns about. The hand is hung there. It serves the engine's measures alone: the record keeps the owner's own
points.
Facts: the order of joints is that of the ``smplx`` package; its issue 48 tells of the left hand's shape directions.
"""

from dataclasses import replace
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float, Int

from ..body.hands import Side
from ..body.joints import LEFT_HAND_21, RIGHT_HAND_21
from ..body.posing import PosingModel
from .bodies import NUM_JOINTS, Bodies
from .columns import Columns

HAND_POINTS: dict[Side, tuple[int, ...]] = {"left": LEFT_HAND_21, "right": RIGHT_HAND_21}  # wrist, thumb to pinky
NUM_MANO_BETAS = 10
# Sum over all vertices (m) below which the x of both hands is the same: the bound of the owners' own loaders.
_SAME_X = 1.0
# MANO numbers its fingers index, middle, pinky, ring, thumb, and its picked tips come last, the thumb's first.
_THUMB_FIRST = [0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20]


def hung_hands(
    columns: Columns,
    keypoints_3d: Float[np.ndarray, "people 144 4"],
    bodies: Bodies,
    *,
    of_mean_shape: bool = False,
) -> Float[np.ndarray, "people 144 3"]:
    """Return the joints (m, camera space) of MANO hands on the wrists of the keypoints, NaN for all else.

    A hand without betas is left out, or, on request, takes the mean shape: its bones are some millimetres off.
    """
    joints = np.full((len(columns), NUM_JOINTS, 3), np.nan)
    is_mano = np.array([person.body_model == "mano" for person in columns.people], bool)
    if not of_mean_shape:
        is_mano &= columns.has("betas")
    for side, points in HAND_POINTS.items():
        rows = np.flatnonzero(is_mano & _are_hung(columns, keypoints_3d, side))
        model = mano_model(bodies, side) if len(rows) else None
        if model is not None:
            wrists = keypoints_3d[rows, points[0], :3]
            found = model.joints(_parameters(columns, rows, side))[:, _THUMB_FIRST]
            joints[rows[:, None], list(points)] = found - found[:, :1] + wrists[:, None]
    return joints


def mano_model(bodies: Bodies, side: Side) -> PosingModel | None:
    """Return the MANO of a side, None when the user has not got it.

    The released left model has the x of its shape directions from the right one, unmirrored; owners of hand labels turn
    its sign before they fit, and so does this. The left hand therefore asks for both files.
    """
    model = bodies.model("mano", side, NUM_MANO_BETAS)
    other = bodies.model("mano", "right", NUM_MANO_BETAS) if side == "left" else None
    return model if model is None or other is None else _sound_left(model, other)


@lru_cache(maxsize=4)
def _sound_left(left: PosingModel, right: PosingModel) -> PosingModel:
    """Return the left model with mirrored shape directions, whether or not its file has them."""
    x = left.shape_directions[:, 0]
    if np.abs(x - right.shape_directions[:, 0]).sum() >= _SAME_X:
        return left
    return replace(left, shape_directions=left.shape_directions * np.array([-1.0, 1.0, 1.0])[:, None])


def _are_hung(columns: Columns, keypoints_3d: np.ndarray, side: Side) -> Bool[np.ndarray, " people"]:
    """Return who has pose, orientation and wrist of a hand."""
    is_posed = columns.has(f"{side}_hand_pose") & columns.has(f"{side}_hand_orient")
    return is_posed & (keypoints_3d[:, HAND_POINTS[side][0], 3] > 0)


def _parameters(columns: Columns, rows: Int[np.ndarray, " rows"], side: Side) -> dict[str, np.ndarray]:
    """Return the parameters of some hands of a side as MANO takes them."""
    return {
        "global_orient": columns.filled(f"{side}_hand_orient", (3,))[rows],
        "hand_pose": columns.filled(f"{side}_hand_pose", (15, 3))[rows],
        "betas": columns.filled("betas", (NUM_MANO_BETAS,))[rows],
    }
