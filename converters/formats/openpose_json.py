"""OpenPose's keypoint files: one JSON a picture, ``people`` with flat lists of x, y, confidence.

Body 25, hands 21 each, face 70, pixels of the picture, 0-indexed; a point that was not found is 0, 0 with confidence 0.
Facts: OpenPose output documentation.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from ...errors import RawSchemaError
from ..raw import load_json, require

CONVENTION = "openpose_137"
# In the order of the convention.
_PARTS = {"pose_keypoints_2d": 25, "hand_left_keypoints_2d": 21, "hand_right_keypoints_2d": 21, "face_keypoints_2d": 70}


def read_openpose(path: Path) -> list[Float[np.ndarray, "137 3"]]:
    """Return the keypoints of everyone whom OpenPose found in a picture: u, v in pixels, confidence."""
    content = load_json(path)
    require(path, content, "people")
    return [_whole_body(path, person) for person in content["people"]]


def _whole_body(path: Path, person: dict[str, list[float]]) -> Float[np.ndarray, "137 3"]:
    """Return the parts of one person, one below the other."""
    require(path, person, *_PARTS)
    for name, points in _PARTS.items():
        if len(person[name]) != 3 * points:
            raise RawSchemaError(path, name, f"{3 * points} numbers", str(len(person[name])))
    return np.concatenate([np.array(person[name], np.float32).reshape(-1, 3) for name in _PARTS])
