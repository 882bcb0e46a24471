"""The SMPL-X pose vector of 165 numbers, as the ``smplx`` package and AMASS write it.

Axis-angle in radians: global_orient 3, body 63, jaw 3, left eye 3, right eye 3, left hand 45, right hand 45.
Hands are passed on as they are: whether they are absolute is the source's business.
"""

import numpy as np
from jaxtyping import Float

POSE_SLICES: dict[str, slice] = {
    "global_orient": slice(0, 3),
    "body_pose": slice(3, 66),
    "jaw_pose": slice(66, 69),
    "leye_pose": slice(69, 72),
    "reye_pose": slice(72, 75),
    "left_hand_pose": slice(75, 120),
    "right_hand_pose": slice(120, 165),
}


def cut_pose(pose: Float[np.ndarray, "*people 165"]) -> dict[str, np.ndarray]:
    """Return the parts of pose vectors by name: (3,) for single joints, (21, 3) and (15, 3) for body and hands."""
    parts = {name: pose[..., where].astype(np.float32) for name, where in POSE_SLICES.items()}
    return {name: part.reshape(*part.shape[:-1], -1, 3) if part.shape[-1] > 3 else part for name, part in parts.items()}


def join_pose(parts: dict[str, np.ndarray]) -> Float[np.ndarray, "165"]:
    """Return the pose vector of parts by name; parts that are not given rest at zero."""
    pose = np.zeros(165)
    for name, where in POSE_SLICES.items():
        if name in parts:
            pose[where] = np.asarray(parts[name]).reshape(-1)
    return pose
