"""MPJAE: how far the global orientations of joints are off, as the 3DPW challenge measures it (degrees).

Facts: 3dpw-eval (von Marcard et al., ECCV 2018 challenge): the angle of R_predicted R_true^T, its mean over nine joints
of SMPL; PA-MPJAE turns the prediction by the rotation that aligns its 24 joints best. EMDB's evaluation has the same.
The nine are joints of SMPL and of SMPL-X alike, with the same parents. A mesh has no orientations: they come from the
predicted pose, or are predicted themselves. numpy or torch.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from jaxtyping import Float

from ..body.joints import SMPLX_PARENTS
from ..body.rotations import axis_angle_to_matrix
from .align import similarity_transform
from .interface import BenchmarkPerson, PersonPrediction, Predicted, PredictedPose
from .measures import Measure
from .sides import Side

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
    predicted: Float[Any, "people nine 3 3"], truth: Float[Any, "people nine 3 3"]
) -> Float[Any, "people"]:
    """Return the mean angle (degrees) between the global orientations of the same joints: MPJAE."""
    return array_namespace(predicted, truth).mean(angles(predicted, truth), axis=-1)


def aligned_orientation_error(
    predicted: Float[Any, "people nine 3 3"],
    truth: Float[Any, "people nine 3 3"],
    predicted_points: Float[Any, "people points 3"],
    true_points: Float[Any, "people points 3"],
) -> Float[Any, "people"]:
    """Return MPJAE (degrees) once the prediction is turned as its points (24 joints, m) are aligned: PA-MPJAE."""
    rotation = similarity_transform(predicted_points, true_points).rotation
    return orientation_error(rotation[:, None] @ predicted, truth)


def global_orientations(
    local: Float[Any, "people joints 3 3"], parents: tuple[int, ...]
) -> Float[Any, "people joints 3 3"]:
    """Return each joint's orientation in camera space from the rotations relative to its parent (-1: the root)."""
    xp = array_namespace(local)
    found: list[Any] = []
    for joint, parent in enumerate(parents):
        found.append(local[:, joint] if parent < 0 else found[parent] @ local[:, joint])
    return xp.stack(found, axis=1)


def challenge_orientations(parameters: Mapping[str, np.ndarray]) -> Float[np.ndarray, "9 3 3"]:
    """Return the orientations of ``CHALLENGE_JOINTS`` in camera space, from the pose of one SMPL or SMPL-X body."""
    pose = np.concatenate([np.reshape(parameters[name], (-1, 3)) for name in ("global_orient", "body_pose")])
    count = max(CHALLENGE_JOINTS) + 1
    local = axis_angle_to_matrix(pose[:count].astype(np.float64))
    return global_orientations(local[None], SMPLX_PARENTS[:count])[0, list(CHALLENGE_JOINTS)]


def predicted_orientations(prediction: Predicted) -> Float[np.ndarray, "9 3 3"]:
    """Return the orientations that a prediction says or poses; NaN where it is a mesh or joints alone."""
    if isinstance(prediction, PersonPrediction) and prediction.orientations is not None:
        return prediction.orientations
    if isinstance(prediction, PredictedPose):
        return challenge_orientations(prediction.parameters)
    return np.full((len(CHALLENGE_JOINTS), 3, 3), np.nan)


def measure_orientations(
    measures: Sequence[Measure],
    predictions: Sequence[Predicted],
    people: Sequence[BenchmarkPerson],
    sides: tuple[Side, Side],
) -> dict[str, Float[np.ndarray, " people"]]:
    """Return each measure of angles (degrees); NaN for whom no body is labelled or no orientation predicted.

    The true orientations are those of the recorded pose; ``sides`` give the joints that PA-MPJAE aligns.
    """
    predicted = np.stack([predicted_orientations(prediction) for prediction in predictions])
    truth = np.stack([challenge_orientations(person.parameters or {}) for person in people])
    has_body = np.array([person.has_body for person in people])
    out = {}
    for measure in measures:
        if measure.alignment == "similarity":
            points = [np.asarray(side.points(measure.part, measure.points)) for side in sides]
            values = aligned_orientation_error(predicted, truth, points[0], points[1])
        else:
            values = orientation_error(predicted, truth)
        out[measure.name] = np.where(has_body, values, np.nan)
    return out
