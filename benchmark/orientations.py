"""MPJAE: how far the global orientations of joints are off, as the 3DPW challenge measures it (degrees).

Facts: 3dpw-eval (von Marcard et al., ECCV 2018 challenge): the angle of R_predicted R_true^T, its mean over nine joints
of SMPL; PA-MPJAE turns the prediction by the rotation that aligns its 24 joints best. numpy or torch.
"""

from typing import Any

from array_api_compat import array_namespace
from jaxtyping import Float

from .align import similarity_transform

CHALLENGE_JOINTS = (0, 1, 2, 4, 5, 16, 17, 18, 19)  # pelvis, hips, knees, shoulders, elbows
_DEGREES = 57.29577951308232


def angles(predicted: Float[Any, "*joints 3 3"], truth: Float[Any, "*joints 3 3"]) -> Float[Any, "*joints"]:
    """Return the angle (degrees, 0 to 180) between two orientations."""
    xp = array_namespace(predicted, truth)
    between = predicted @ xp.matrix_transpose(truth)
    cosine = (between[..., 0, 0] + between[..., 1, 1] + between[..., 2, 2] - 1) / 2
    axis = [between[..., 2, 1] - between[..., 1, 2], between[..., 0, 2] - between[..., 2, 0]]
    axis.append(between[..., 1, 0] - between[..., 0, 1])
    sine = xp.sqrt(axis[0] ** 2 + axis[1] ** 2 + axis[2] ** 2) / 2
    # The arc cosine alone loses half the digits near zero.
    return xp.atan2(sine, cosine) * _DEGREES


def orientation_error(
    predicted: Float[Any, "people joints 3 3"],
    truth: Float[Any, "people joints 3 3"],
    joints: tuple[int, ...] = CHALLENGE_JOINTS,
) -> Float[Any, "people"]:
    """Return the mean angle (degrees) between global orientations of some joints: MPJAE."""
    xp = array_namespace(predicted, truth)
    some = xp.asarray(joints)
    return xp.mean(angles(xp.take(predicted, some, axis=1), xp.take(truth, some, axis=1)), axis=-1)


def aligned_orientation_error(
    predicted: Float[Any, "people joints 3 3"],
    truth: Float[Any, "people joints 3 3"],
    predicted_points: Float[Any, "people points 3"],
    true_points: Float[Any, "people points 3"],
    joints: tuple[int, ...] = CHALLENGE_JOINTS,
) -> Float[Any, "people"]:
    """Return MPJAE (degrees) once the prediction is turned as its points (24 joints, m) are aligned: PA-MPJAE."""
    rotation = similarity_transform(predicted_points, true_points).rotation
    return orientation_error(rotation[:, None] @ predicted, truth, joints)


def global_orientations(
    local: Float[Any, "people joints 3 3"], parents: tuple[int, ...]
) -> Float[Any, "people joints 3 3"]:
    """Return each joint's orientation in camera space from the rotations relative to its parent (-1: the root)."""
    xp = array_namespace(local)
    found: list[Any] = []
    for joint, parent in enumerate(parents):
        found.append(local[:, joint] if parent < 0 else found[parent] @ local[:, joint])
    return xp.stack(found, axis=1)
