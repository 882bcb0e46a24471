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


def test_the_131_points_are_those_of_coco_wholebody_without_roots_of_hands():
    names = CONVENTIONS["wholebody_131"]
    assert set(CONVENTIONS["coco_wholebody"]) - set(names) == {"left_hand_root", "right_hand_root"}
    slots = [CONVENTIONS["human_data"].index(name.replace("hip_extra", "hip")) for name in names]
    assert slots == sorted(slots)
    assert len(names) == 131


def test_the_131_points_begin_with_the_hips_and_end_with_the_face():
    names = CONVENTIONS["wholebody_131"]
    # MMHuman3D's coco_wholebody has plain left_hip and right_hip: slots 1 and 2 of HumanData, before the knees (4, 5).
    assert names[:4] == ("left_hip_extra", "right_hip_extra", "left_knee", "right_knee")
    # Whoever read the files found the 68 points of the face at [63, 131), 13 before their slots of HumanData.
    assert names[63:131] == CONVENTIONS["human_data"][76:144]
    assert names[42] == "nose"


def test_human36m_has_the_right_leg_first():
    names = CONVENTIONS["h36m_17"]
    assert [names.index(f"{side}_knee") for side in ("right", "left")] == [2, 5]
    assert [names.index(f"{side}_wrist") for side in ("right", "left")] == [16, 13]
    out = convert_keypoints(numbered("h36m_17"), "h36m_17", "smplx_144", approximate=True)
    assert [out[CONVENTIONS["smplx_144"].index(name), 0] for name in ("pelvis", "left_hip", "neck")] == [0, 4, 8]


def test_points_of_coco_survive_the_way_through_spin():
    there = convert_keypoints(numbered("coco_17"), "coco_17", "spin_24")
    assert there[:, 2].sum() == 17
    assert (convert_keypoints(there, "spin_24", "coco_17") == numbered("coco_17")).all()
