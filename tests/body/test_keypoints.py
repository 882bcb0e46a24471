"""Keypoints travel between conventions by name."""

import numpy as np
import pytest

from ehps.body.keypoints import CONVENTIONS, convention, convert_keypoints
from ehps.errors import UnknownNameError


def numbered(name: str) -> np.ndarray:
    """Keypoints whose x is their own position, confidence one."""
    out = np.ones((len(CONVENTIONS[name]), 3))
    out[:, 0] = np.arange(len(out))
    return out


def test_whole_body_hands_are_left_first_and_faces_follow_ibug():
    out = convert_keypoints(numbered("coco_wholebody"), "coco_wholebody", "smplx_144")
    names = CONVENTIONS["smplx_144"]
    assert out[names.index("left_thumb_1"), 0] == 92
    assert out[names.index("right_pinky"), 0] == 132
    assert out[names.index("right_contour_1"), 0] == 23
    assert out[names.index("left_contour_1"), 0] == 39
    assert out[names.index("right_eyebrow_1"), 0] == 40
    assert out[names.index("right_lip_3"), 0] == 90


def test_a_point_that_the_source_lacks_has_no_confidence():
    out = convert_keypoints(numbered("coco_17"), "coco_17", "smplx_144")
    names = CONVENTIONS["smplx_144"]
    assert out[names.index("pelvis"), 2] == 0
    assert out[names.index("left_knee"), 2] == 1


def test_hips_of_coco_serve_as_joints_only_as_an_approximation():
    names = CONVENTIONS["smplx_144"]
    strict = convert_keypoints(numbered("coco_17"), "coco_17", "smplx_144")
    loose = convert_keypoints(numbered("coco_17"), "coco_17", "smplx_144", approximate=True)
    assert strict[names.index("left_hip"), 2] == 0
    assert loose[names.index("left_hip"), 0] == 11


def test_openpose_lands_in_its_own_slots_of_human_data():
    out = convert_keypoints(numbered("openpose_137"), "openpose_137", "human_data")
    names = CONVENTIONS["human_data"]
    assert out[names.index("nose_openpose"), 2] == 1
    assert out[names.index("nose"), 2] == 0
    assert out[names.index("left_thumb_1"), 0] == 26


def test_an_unknown_convention_names_the_nearest():
    with pytest.raises(UnknownNameError, match="coco_wholebody"):
        convention("coco_whole_body")
