"""Targets and validity of a training sample."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ehps.body.cameras import Distortion
from ehps.body.hands import LEFT_HAND_MEAN, RIGHT_HAND_MEAN
from ehps.body.joints import (
    POSE_JOINTS,
    POSE_PARTS,
    SMPLX_INDEX,
    SUPERVISION_JOINTS,
    SUPERVISION_PARTS,
)
from ehps.body.keypoints import CONVENTIONS
from ehps.body.rotations import axis_angle_to_matrix
from ehps.shards.record import ARRAY_FIELDS, Camera
from ehps.training import targets as of_people
from ehps.training.augment import Augmentation
from ehps.training.compat import PAPER, SMPLESTX_RELEASED, Quirks, truncation_mask
from ehps.training.crops import FULL_SIZE, crop_affine, move_points
from ehps.training.losses import Targets, Validity
from ehps.training.targets import PersonLabels, part_relative

K = np.array([[600.0, 0, 320], [0, 600, 180], [0, 0, 1]])
IDENTITY = np.array([[1.0, 0, 0], [0, 1, 0]])


def person(**labels):
    """A person in a picture of 640 x 360 who carries only what is given."""
    absent = dict.fromkeys((*ARRAY_FIELDS, "keypoints_2d_convention", "keypoints_3d_convention", "kid_weight"))
    picture = {"camera": Camera(K=K, kind="measured"), "width": 640, "height": 360}
    return SimpleNamespace(**absent | picture | {"body_model": "smplx", "gender": "neutral"} | labels)


def full_person(**changes):
    """A person with every label, no two numbers alike."""
    random = np.random.default_rng(5)
    shapes = {"global_orient": (3,), "body_pose": (21, 3), "left_hand_pose": (15, 3), "right_hand_pose": (15, 3)}
    shapes |= {"jaw_pose": (3,), "betas": (10,), "expression": (10,), "transl": (3,)}
    labels = {name: random.normal(0, 0.4, shape).astype(np.float32) for name, shape in shapes.items()}
    joints = (random.normal(0, 0.3, (144, 3)) + [0, 0, 4]).astype(np.float32)
    return person(**labels | {"joints_3d": joints} | changes)


def one(labels):
    """The labels of the first person."""
    return PersonLabels(**{name: np.asarray(values[0]) for name, values in vars(labels).items()})


def many(labels):
    """The labels of one person as those of several."""
    return PersonLabels(**{name: values[None] for name, values in vars(labels).items()})


def labels_of(someone, quirks=PAPER):
    return one(of_people.labels_of([someone], quirks))


def augmented(labels, change, quirks=PAPER):
    changes = np.array([change.is_flipped]), np.array([change.rotation])
    return one(of_people.augmented(many(labels), *changes, quirks))


def rows(someone, augmentation=None, quirks=PAPER, affine=IDENTITY, size=(640, 360)):
    labels = labels_of(someone, quirks)
    if augmentation is not None:
        labels = augmented(labels, augmentation, quirks)
    found = of_people.training_rows(many(labels), affine[None], size, quirks)
    return tuple({name: values[0] for name, values in part.items()} for part in found)


@pytest.fixture
def golden(golden_dir):
    with np.load(golden_dir / "transforms_a.npz", allow_pickle=False) as file:
        return {name: file[name] for name in file.files if name.startswith(("aug.", "crop."))}


def golden_labels(golden, i):
    """The inputs of a released augmentation as labels."""
    has = golden["aug.in.joint_valid"][i, :, 0] > 0
    has_pose = np.ones(53, bool)
    has_pose[POSE_PARTS["left_hand"]] = golden["aug.in.lhand_valid"][i]
    return PersonLabels(
        joints_2d=golden["aug.in.joint_img"][i, :, :2],
        has_2d=has,
        is_positive=np.ones(137, bool),
        joints_3d=golden["aug.in.joint_cam"][i],
        has_3d=has,
        pose=golden["aug.in.pose_53x3"][i] * has_pose[:, None],
        has_pose=has_pose,
        betas=np.zeros(10),
        has_betas=np.array(False),
        expression=np.zeros(10),
        has_expression=np.array(False),
        hand_orients=np.zeros((2, 3)),
        part_boxes=np.zeros((3, 4)),
        has_part_boxes=np.zeros(3, bool),
    )


def golden_case(golden, i):
    crop = golden["aug.crop_index"][i]
    scale, rotation, flip = golden["crop.scale_rot_flip"][crop]
    change = Augmentation(scale=float(scale), rotation=float(rotation), is_flipped=bool(flip))
    affine = crop_affine(golden["crop.bbox_xywh"][crop].astype(np.float64), FULL_SIZE, change, 640)
    return augmented(golden_labels(golden, i), change), affine


@pytest.mark.parametrize("i", range(8))
def test_augmented_labels_are_those_of_the_released_code(golden, i):
    labels, affine = golden_case(golden, i)
    np.testing.assert_allclose(labels.joints_3d, golden["aug.out.joint_cam"][i], atol=1e-5)
    np.testing.assert_allclose(
        part_relative(labels.joints_3d)[25:], golden["aug.out.joint_cam_part_aligned"][i][25:], atol=1e-5
    )
    np.testing.assert_array_equal(labels.has_3d, golden["aug.out.joint_valid"][i, :, 0])
    np.testing.assert_array_equal(labels.has_pose, golden["aug.out.rotation_valid"][i])
    turned = axis_angle_to_matrix(golden["aug.out.pose"][i].reshape(53, 3))
    np.testing.assert_allclose(axis_angle_to_matrix(labels.pose), turned, atol=1e-5)
    grid = move_points(affine, labels.joints_2d) * np.array([12 / 384, 16 / 512])
    depth = golden["aug.out.joint_img"][i, :, 2:]
    np.testing.assert_allclose(grid, golden["aug.out.joint_img"][i, :, :2], atol=2e-3)
    inside = truncation_mask(np.concatenate([grid, depth], axis=1), SMPLESTX_RELEASED)
    np.testing.assert_array_equal(inside & labels.has_2d, golden["aug.out.joint_trunc"][i, :, 0])


def test_shapes_far_out_are_not_supervised_as_in_the_released_code(golden):
    for given, kept in zip(golden["aug.in.shape"], golden["aug.out.shape"], strict=True):
        labels = labels_of(person(betas=given))
        np.testing.assert_array_equal(labels.betas, kept.astype(np.float64))
        assert labels.has_betas == kept.any()


def test_hands_become_deviations_and_every_slice_finds_its_place():
    someone = full_person()
    targets, validity = rows(someone)
    np.testing.assert_allclose(targets["pose"][0], someone.global_orient, rtol=1e-6)
    np.testing.assert_allclose(targets["pose"][1:22], someone.body_pose, rtol=1e-6)
    np.testing.assert_allclose(targets["pose"][22:37] + LEFT_HAND_MEAN, someone.left_hand_pose, atol=1e-6)
    np.testing.assert_allclose(targets["pose"][37:52] + RIGHT_HAND_MEAN, someone.right_hand_pose, atol=1e-6)
    np.testing.assert_allclose(targets["pose"][52], someone.jaw_pose, rtol=1e-6)
    assert validity["pose"].all()
    assert validity["betas"] == validity["expression"] == 1
    assert validity["joints_3d"].all()


def test_rows_make_the_batches_of_the_losses():
    targets, validity = rows(full_person())
    batch = Targets(**{name: torch.as_tensor(value)[None] for name, value in targets.items()})
    assert batch.pose.shape == (1, 53, 3)
    masks = Validity(**{name: torch.as_tensor(value)[None] for name, value in validity.items()})
    assert masks.joints.shape == (1, 137)


def test_an_absent_label_stays_masked():
    targets, validity = rows(full_person(left_hand_pose=None, expression=None, jaw_pose=None, betas=None))
    masked = validity["pose"] == 0
    assert [name for name, off in zip(POSE_JOINTS, masked, strict=True) if off] == [
        *POSE_JOINTS[POSE_PARTS["left_hand"]],
        "jaw",
    ]
    assert validity["betas"] == validity["expression"] == 0
    assert all(np.isfinite(value).all() for value in targets.values())


def test_a_flat_hand_is_a_label_and_not_an_absence():
    targets, validity = rows(full_person(right_hand_pose=np.zeros((15, 3), np.float32)))
    assert validity["pose"][37:52].all()
    np.testing.assert_allclose(targets["pose"][37:52], -RIGHT_HAND_MEAN, atol=1e-6)


@pytest.mark.parametrize(
    "change", [{"gender": "female"}, {"body_model": "smpl"}, {"kid_weight": 0.3}, {"betas": np.full(10, 3.5)}]
)
def test_only_shapes_of_the_networks_own_space_are_supervised(change):
    assert rows(full_person(**change))[1]["betas"] == 0


def test_a_gendered_shape_counts_as_what_it_is_of_the_neutral_body():
    neutral = np.linspace(-1, 1, 12, dtype=np.float32)
    targets, validity = rows(full_person(gender="male", betas_neutral=neutral))
    np.testing.assert_allclose(targets["betas"], neutral[:10], rtol=1e-6)
    assert validity["betas"] == 1
    assert rows(full_person(gender="male", kid_weight=0.3, betas_neutral=neutral))[1]["betas"] == 0
    assert rows(full_person(gender="male", body_model="smplh", betas_neutral=neutral))[1]["betas"] == 0


def test_boxes_of_the_parts_follow_the_crop_and_change_sides_in_a_mirror():
    boxes = {
        "left_hand_bbox_xyxy": np.array([110.0, 100, 130, 140], np.float32),
        "right_hand_bbox_xyxy": np.array([150.0, 90, 190, 110], np.float32),
        "face_bbox_xyxy": np.array([900.0, 0, 940, 40], np.float32),  # outside of the crop
    }
    affine, size = np.array([[2.0, 0, -200], [0, 2.0, -160]]), (192, 256)
    targets, validity = rows(person(**boxes), affine=affine, size=size)
    assert validity["boxes"].tolist() == [1, 1, 0]
    np.testing.assert_allclose(targets["box_centres"][0], [40 / 16, 80 / 16])
    np.testing.assert_allclose(targets["box_sizes"][:2], [[40 / 16, 80 / 16], [80 / 16, 40 / 16]])
    mirror = np.array([[-2.0, 0, 391], [0, 2.0, -160]])
    targets, validity = rows(person(**boxes), Augmentation(is_flipped=True), affine=mirror, size=size)
    assert validity["boxes"].tolist() == [1, 1, 0]
    np.testing.assert_allclose(targets["box_centres"][1], [(391 - 240) / 16, 80 / 16])
    np.testing.assert_allclose(targets["box_sizes"][:2], [[80 / 16, 40 / 16], [40 / 16, 80 / 16]])


def test_without_boxes_of_its_own_a_part_has_one_about_its_joints():
    targets, validity = rows(full_person())
    hand = slice(25, 45)
    low, high = targets["joints_grid"][hand].min(0), targets["joints_grid"][hand].max(0)
    assert validity["boxes"][0] == 1
    np.testing.assert_allclose(targets["box_centres"][0], (low + high) / 2, rtol=1e-5)
    np.testing.assert_allclose(targets["box_sizes"][0], (high - low) * 1.2, rtol=1e-5)
    joints = full_person().joints_3d.copy()
    joints[[37, 38, 39, *range(25, 36), 66, 67, 68]] = np.nan
    assert rows(full_person(joints_3d=joints))[1]["boxes"].tolist() == [0, 1, 1]


def test_joints_known_in_the_picture_alone_count_there_unless_one_mask_serves_both():
    joints = full_person().joints_3d.copy()
    joints[SMPLX_INDEX["nose"]] = np.nan
    keypoints = np.tile(np.array([300.0, 200.0, 1.0], np.float32), (17, 1))
    someone = full_person(joints_3d=joints, keypoints_2d=keypoints, keypoints_2d_convention="coco_17")
    nose = SUPERVISION_JOINTS.index("nose")
    validity = rows(someone)[1]
    assert (validity["joints"][nose], validity["joints_3d"][nose]) == (1, 0)
    assert rows(someone, quirks=Quirks(one_joint_mask=True))[1]["joints"][nose] == 0


def test_more_than_ten_betas_are_cut_and_fewer_filled():
    targets, _ = rows(full_person(betas=np.arange(11, dtype=np.float32) / 10))
    np.testing.assert_allclose(targets["betas"], np.arange(10) / 10, rtol=1e-6)
    targets, validity = rows(full_person(betas=np.ones(4, np.float32)))
    np.testing.assert_allclose(targets["betas"], [1, 1, 1, 1, 0, 0, 0, 0, 0, 0])
    assert validity["betas"] == 1


def test_projected_joints_are_used_where_known_and_keypoints_elsewhere():
    someone = full_person()
    joints = someone.joints_3d.copy()
    joints[SMPLX_INDEX["nose"]] = np.nan
    keypoints = np.column_stack([np.arange(17.0), np.arange(17.0) + 100, np.ones(17)]).astype(np.float32)
    keypoints[2, 2] = 0  # the right eye was not marked
    labels = labels_of(full_person(joints_3d=joints, keypoints_2d=keypoints, keypoints_2d_convention="coco_17"))
    nose, hip = SUPERVISION_JOINTS.index("nose"), SUPERVISION_JOINTS.index("left_hip")
    np.testing.assert_allclose(labels.joints_2d[nose], [0, 100])
    expected = K[0, 0] * joints[1, :2] / joints[1, 2] + K[:2, 2]
    np.testing.assert_allclose(labels.joints_2d[hip], expected, rtol=1e-5)
    assert labels.has_2d[nose]
    assert not labels.has_3d[nose]


def test_a_person_with_2d_keypoints_only_is_supervised_in_2d_only():
    keypoints = np.tile(np.array([300.0, 200.0, 1.0], np.float32), (17, 1))
    keypoints[9, 2] = 0.0  # left wrist unmarked
    someone = person(keypoints_2d=keypoints, keypoints_2d_convention="coco_17")
    _, validity = rows(someone)
    names = [name for name, on in zip(SUPERVISION_JOINTS, validity["joints"], strict=True) if on]
    assert not validity["joints_3d"].any()
    assert "left_shoulder" in names
    assert "left_hip" in names  # through its accepted neighbour
    assert "left_wrist" not in names


def test_3d_keypoints_serve_where_no_joints_were_computed():
    names = CONVENTIONS["smplx_144"]
    points = np.concatenate([full_person().joints_3d, np.ones((144, 1), np.float32)], axis=1)
    points[names.index("left_knee"), 3] = 0
    targets, validity = rows(person(keypoints_3d=points, keypoints_3d_convention="smplx_144"))
    knee, ankle = SUPERVISION_JOINTS.index("left_knee"), SUPERVISION_JOINTS.index("left_ankle")
    assert (validity["joints"][knee], validity["joints"][ankle]) == (0, 1)
    expected = points[names.index("left_ankle"), :3] - points[names.index("pelvis"), :3]
    np.testing.assert_allclose(targets["joints_root"][ankle], expected, atol=1e-6)


def test_a_hand_without_a_body_is_supervised_from_its_wrist():
    joints = np.full((144, 3), np.nan, np.float32)
    hand = [SMPLX_INDEX[name] for name in ("right_wrist", *SUPERVISION_JOINTS[SUPERVISION_PARTS["right_hand"]])]
    joints[hand] = np.random.default_rng(0).normal(0, 0.05, (len(hand), 3)) + [0, 0, 1]
    orient = np.array([0.3, -0.2, 0.1], np.float32)
    someone = person(joints_3d=joints, right_hand_pose=np.ones((15, 3), np.float32), right_hand_orient=orient)
    targets, validity = rows(someone)
    valid = np.flatnonzero(validity["joints"])
    hand = list(range(*SUPERVISION_PARTS["right_hand"].indices(137)))
    assert valid.tolist() == [SUPERVISION_JOINTS.index("right_wrist"), *hand]
    assert np.flatnonzero(validity["joints_3d"]).tolist() == hand
    wrist = joints[SMPLX_INDEX["right_wrist"]]
    np.testing.assert_allclose(targets["joints_part"][45], joints[SMPLX_INDEX["right_thumb_1"]] - wrist, atol=1e-6)
    np.testing.assert_allclose(targets["hand_orients"][1], orient, rtol=1e-6)


def test_a_hand_without_orientation_loses_only_its_thumb_base():
    _, validity = rows(person(right_hand_pose=np.ones((15, 3), np.float32)))
    off = [POSE_JOINTS[i] for i in range(37, 52) if not validity["pose"][i]]
    assert off == ["right_thumb_1"]


def test_an_arm_whose_root_is_not_labelled_gives_no_orientation_to_its_hand():
    """The losses would chain its rotations from a root of zeros; all other rotations of it count."""
    someone = full_person()
    _, validity = rows(person(body_pose=someone.body_pose, left_hand_pose=someone.left_hand_pose))
    known = {POSE_JOINTS[i] for i in np.flatnonzero(validity["pose"])}
    arms = {f"{side}_{joint}" for side in ("left", "right") for joint in ("shoulder", "elbow")}
    assert arms <= known
    assert not known & {"pelvis", "left_wrist", "right_wrist", "left_thumb_1"}
    assert len(known) == 19 + 14


def test_a_body_without_a_place_is_not_projected():
    joints = full_person().joints_3d - np.array([0, 0, 4], np.float32)
    assert not labels_of(full_person(joints_3d=joints)).has_2d.any()


def test_a_lens_puts_no_joint_into_the_picture_that_lies_far_beside_it():
    """Polynomials turn back beyond the picture; a wrist 67 degrees off the axis would be labelled in it."""
    joints = full_person().joints_3d.copy()
    joints[SMPLX_INDEX["left_wrist"]] = (2.4, 0, 1)
    lens = Distortion("brown_conrady", (-0.3, 0.02, 0.0, 0.0))
    folded = -0.5 < 600 * 2.4 * (1 - 0.3 * 2.4**2 + 0.02 * 2.4**4) + 320 < 640
    assert folded
    labels = labels_of(full_person(joints_3d=joints, camera=Camera(K=K, kind="measured", distortion=lens)))
    wrist = SUPERVISION_JOINTS.index("left_wrist")
    assert labels.has_3d[wrist]
    assert np.flatnonzero(~labels.has_2d).tolist() == [wrist]


def test_flipping_swaps_and_mirrors_the_hand_orientations_unless_released():
    orients = np.array([[0.1, 0.2, 0.3], [0.5, 0.6, 0.7]], np.float32)
    someone = full_person(left_hand_orient=orients[0], right_hand_orient=orients[1])
    flipped, _ = rows(someone, Augmentation(is_flipped=True))
    np.testing.assert_allclose(flipped["hand_orients"], orients[::-1] * [1, -1, -1], rtol=1e-6)
    released, _ = rows(someone, Augmentation(is_flipped=True), SMPLESTX_RELEASED)
    np.testing.assert_allclose(released["hand_orients"], orients, rtol=1e-6)


def test_turning_the_crop_turns_labels_as_it_turns_pixels():
    """A body turned in space and its turned picture must agree: projection of the one is the other."""
    someone, change = full_person(), Augmentation(rotation=40.0)
    box = np.array([280.0, 120.0, 90.0, 120.0])  # centred on the principal point but for half a box
    box[:2] = [320 - 45, 180 - 60]
    affine = crop_affine(box, FULL_SIZE, change, 640)
    labels = augmented(labels_of(someone), change)
    seen = move_points(affine, labels.joints_2d)
    straight = crop_affine(box, FULL_SIZE, Augmentation(), 640)
    projected = labels.joints_3d @ K.T
    expected = move_points(straight, projected[:, :2] / projected[:, 2:])
    np.testing.assert_allclose(seen, expected, atol=0.1)


def test_the_released_code_reads_the_eyes_crosswise():
    someone = full_person()
    left_eye = someone.joints_3d[SMPLX_INDEX["left_eye"]]
    np.testing.assert_allclose(labels_of(someone).joints_3d[67], left_eye, rtol=1e-6)
    np.testing.assert_allclose(labels_of(someone, SMPLESTX_RELEASED).joints_3d[68], left_eye, rtol=1e-6)
