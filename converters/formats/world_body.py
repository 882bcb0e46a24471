"""SMPL-X parameters in a world, brought to a camera.

The change of space needs the rest pelvis, which depends on the shape. Sources that ship no joints to tell it by need
the user's body model; without one the translation is absent in every camera but that of the world itself.
"""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from ...body.cameras import parameters_to_camera
from ..bodies import Bodies

# Calibrations are written with six digits or so; anything further off is no rotation.
_TOLERANCE = 1e-3


def rest_pelvis(
    betas: Float[np.ndarray, " num_betas"], gender: str, directory: Path | None
) -> Float[np.ndarray, "3"] | None:
    """Return the rest pelvis (m) of a SMPL-X body of the user's model of that gender; None without the model."""
    model = Bodies(directory).model("smplx", gender, len(betas))
    return None if model is None else model.pelvis_offset(betas[None])[0]


def in_camera(
    fields: dict[str, Any], T_camera_world: Float[np.ndarray, "4 4"], pelvis: Float[np.ndarray, "3"] | None
) -> dict[str, Any]:
    """Return the Person fields of one body in camera space, arrays as float32.

    Without the rest pelvis the translation becomes None, unless the camera is where the world is.
    """
    moved = dict(fields)
    if not np.array_equal(T_camera_world, np.eye(4)):
        offset = np.zeros(3) if pelvis is None else pelvis
        orient, transl = parameters_to_camera(fields["global_orient"], fields["transl"], offset, T_camera_world)
        moved |= {"global_orient": orient, "transl": None if pelvis is None else transl}
    return {name: v.astype(np.float32) if isinstance(v, np.ndarray) else v for name, v in moved.items()}


def are_rigid(T: Float[np.ndarray, "*n 4 4"]) -> Bool[np.ndarray, "*n"]:
    """Return which matrices are finite and rigid: a rotation, a translation, and (0, 0, 0, 1) below."""
    R = T[..., :3, :3]
    with np.errstate(invalid="ignore"):
        is_rotation = np.abs(R @ np.swapaxes(R, -1, -2) - np.eye(3)).max(axis=(-2, -1)) < _TOLERANCE
        is_affine = np.abs(T[..., 3, :] - np.array([0.0, 0.0, 0.0, 1.0])).max(axis=-1) < _TOLERANCE
        is_proper = np.linalg.det(np.nan_to_num(R, posinf=0, neginf=0)) > 0
    return np.asarray(np.isfinite(T).all(axis=(-2, -1)) & is_rotation & is_affine & is_proper)
