"""The joint tables agree with one another and with the smplx package."""

from smplx.joint_names import JOINT_NAMES

from ehps.body import joints
from ehps.body.keypoints import CONVENTIONS


def test_the_144_names_are_those_of_smplx_in_its_order():
    renamed = {"left_eye_smplhf": "left_eyeball", "right_eye_smplhf": "right_eyeball"}
    renamed |= {f"nose{i}": f"nosebridge_{i}" for i in range(1, 5)}
    theirs = [renamed.get(name, name).replace("_", "") for name in JOINT_NAMES]
    assert [name.replace("_", "") for name in joints.SMPLX_JOINTS] == theirs


def test_human_data_begins_with_the_smplx_joints_and_names_are_unique():
    assert joints.HUMAN_DATA_JOINTS[:144] == joints.SMPLX_JOINTS
    assert len(set(joints.HUMAN_DATA_JOINTS)) == 190


def test_pose_joints_are_the_vector_of_53():
    assert len(joints.POSE_JOINTS) == 53
    assert joints.POSE_JOINTS[22] == "left_index_1"
    assert joints.POSE_JOINTS[37] == "right_index_1"
    assert joints.POSE_JOINTS[52] == "jaw"
    assert set(joints.POSE_FLIP_PAIRS) == (
        {(1, 2), (4, 5), (7, 8), (10, 11), (13, 14), (16, 17), (18, 19), (20, 21)}
        | {(22 + i, 37 + i) for i in range(15)}
    )


def test_supervision_joints_are_the_published_137():
    index = joints.SUPERVISION_INDEX
    assert len(index) == 137
    assert index[:14] == (0, 1, 2, 4, 5, 7, 8, 12, 16, 17, 18, 19, 20, 21)
    assert index[25:33] == (37, 38, 39, 66, 25, 26, 27, 67)
    assert index[65:69] == (22, 15, 57, 56)
    assert index[69:] == tuple(range(76, 144))


def test_supervision_flip_pairs_are_the_published_ones():
    pairs = set(joints.SUPERVISION_FLIP_PAIRS)
    assert {(14, 17), (22, 23), (67, 68), (69, 78), (83, 87), (92, 99), (107, 111), (117, 119), (120, 136)} <= pairs
    assert len(pairs) == 11 + 20 + 30
    assert {(25 + i, 45 + i) for i in range(20)} <= pairs


def test_released_targets_swap_only_the_eyes():
    differing = [
        i for i, (a, b) in enumerate(zip(joints.SUPERVISION_INDEX, joints.RELEASED_TARGET_INDEX, strict=True)) if a != b
    ]
    assert differing == [67, 68]


def test_parents_come_before_children_and_fingers_hang_on_their_own_wrist():
    for child, parent in enumerate(joints.SMPLX_PARENTS):
        assert parent < child
    for i in range(25, 55):
        joint = i
        while joint > 21:
            joint = joints.SMPLX_PARENTS[joint]
        assert joints.SMPLX_JOINTS[joint] == ("left_wrist" if i < 40 else "right_wrist")


def test_conventions_have_the_sizes_of_their_names_and_no_joint_twice():
    sizes = {"coco_17": 17, "coco_wholebody": 133, "openpose_137": 137, "smplx_127": 127, "smplx_144": 144}
    for name, size in sizes.items():
        assert len(CONVENTIONS[name]) == size
        assert len(set(CONVENTIONS[name])) == size
