"""MANO hands in JSON: a pose of 48 numbers and a shape of 10 for each hand, and joints in metres.

The pose is the orientation of the root, which is the wrist, and 15 fingers as deviations from the mean hand
(``flat_hand_mean=False``), which become absolute here. Left hands belong to MANO's left model: nothing is mirrored.
Facts: InterHand2.6M ``tool/MANO_world_to_camera/convert.py``; freihand ``utils/model.py``.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from ...body.cameras import project
from ...body.hands import Side, to_absolute
from ...body.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from ...shards.record import Labels, Origin
from ..raw import with_confidence

NUM_POSE, NUM_BETAS = 48, 10


class Hand(NamedTuple):
    """The parameters of one hand, as the owner wrote them."""

    pose: Float[np.ndarray, "48"]
    betas: Float[np.ndarray, "10"]


def numbers(value: Any, *shape: int) -> np.ndarray | None:
    """Return a JSON value as an array, or None unless it has this shape and finite numbers throughout."""
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):  # no numbers, or lists of different lengths
        return None
    return array if array.shape == shape and np.isfinite(array).all() else None


def hand_fields(
    hands: Mapping[Side, Hand],
    *,
    fits: Origin,
    keypoints_2d: Origin,
    R_camera_owner: Float[np.ndarray, "3 3"] | None = None,
) -> dict[str, Any]:
    """Return the Person fields of the fitted hands of one person, with labels that say how fits and points were made.

    ``R_camera_owner`` turns the owner's space into the camera's; None: it is the camera's. A record has room for one
    set of betas, so they are kept where one hand is fitted and absent where both are.
    """
    fields: dict[str, Any] = {"body_model": "mano", "gender": "neutral"} if hands else {}
    for side, hand in hands.items():
        root = axis_angle_to_matrix(hand.pose[:3])
        turned = root if R_camera_owner is None else R_camera_owner @ root
        fields[f"{side}_hand_orient"] = matrix_to_axis_angle(turned).astype(np.float32)
        fields[f"{side}_hand_pose"] = to_absolute(hand.pose[3:].reshape(15, 3), side).astype(np.float32)
    if len(hands) == 1:
        fields["betas"] = next(iter(hands.values())).betas.astype(np.float32)
    fields["labels"] = Labels(
        left_hand=fits if "left" in hands else None,
        right_hand=fits if "right" in hands else None,
        shape=fits if "betas" in fields else None,
        keypoints_2d=keypoints_2d,
    )
    return fields


def joint_fields(
    joints: Float[np.ndarray, "joints 3"],
    K: Float[np.ndarray, "3 3"],
    convention: str,
    known: Bool[np.ndarray, " joints"],
    seen: Bool[np.ndarray, " joints"],
) -> dict[str, Any]:
    """Return the Person fields of joints in camera space (m), and of their pixels where they are ``seen``, too."""
    return {
        "keypoints_3d": with_confidence(np.where(known[:, None], joints, np.nan)),
        "keypoints_3d_convention": convention,
        "keypoints_2d": with_confidence(np.where((known & seen)[:, None], project(joints, K), np.nan)),
        "keypoints_2d_convention": convention,
    }
