"""Every check sees the mistake that it is for, and lets sound people pass."""

from dataclasses import replace

import numpy as np
import pytest

from ehps.body.cameras import Distortion, project
from ehps.body.joints import SMPLX_INDEX, SMPLX_JOINTS, mirrored_name
from ehps.body.posing import PosingModel
from ehps.cards import Checks
from ehps.converters import batch, boxes, checks
from ehps.converters.bodies import Bodies, joints_of
from ehps.errors import RecordError
from ehps.shards.record import Camera, Frame, Labels, Person, Provenance

MIRROR = [SMPLX_INDEX[mirrored_name(name)] for name in SMPLX_JOINTS]
HERE = Provenance(file="labels.npz", row="0")


@pytest.fixture
def bodies(standin_dir):
    return Bodies(standin_dir)


@pytest.fixture
def crowd(toy):
    """Joints, pixels and keypoints of six people; confidence one everywhere."""
    rows = toy.people(6)
    return rows["keypoints_3d"][..., :3], rows["keypoints"][..., :2], rows["keypoints"]


def person(**fields) -> Person:
    return Person(provenance=HERE, labels=Labels(), **fields)


def posed(rows, row=0, **fields) -> Person:
    names = ("global_orient", "body_pose", "left_hand_pose", "right_hand_pose", "jaw_pose", "betas", "transl")
    parts = {"body_model": "smplx", "gender": "neutral", **{name: rows[name][row] for name in names}}
    return person(**parts | fields)


def frame_of(toy, *people, **fields) -> Frame:
    size = {"width": toy.WIDTH, "height": toy.HEIGHT}
    return Frame(
        **{"key": "f", "image": b"", "people": people, "camera": Camera(K=toy.K, kind="measured"), **size, **fields}
    )


def examine(toy, bodies, *people, bounds=None, **fields):
    return batch.examine([frame_of(toy, *people, **fields)], bodies, bounds or Checks())


# Depth, reprojection, sides


def test_one_joint_behind_the_camera_is_enough(crowd):
    joints = crowd[0].copy()
    joints[2, SMPLX_INDEX["left_pinky_3"], 2] = -0.2
    assert checks.is_behind_camera(joints).tolist() == [False, False, True, False, False, False]
    assert checks.min_depth(joints)[2] == pytest.approx(-0.2)


def test_unknown_joints_are_not_behind_the_camera():
    assert not checks.is_behind_camera(np.full((1, 144, 3), np.nan)).any()


def test_reprojection_is_the_median_over_confident_points(crowd):
    _, pixels, keypoints = crowd
    shifted = keypoints + np.float32([3, 4, 0])
    shifted[:, 70:, :2] += 1000
    shifted[:, 70:, 2] = 0
    np.testing.assert_allclose(checks.reprojection_px(pixels, shifted), 5, rtol=1e-4)


def test_a_person_without_confident_points_has_no_reprojection_error(crowd):
    _, pixels, keypoints = crowd
    assert np.isnan(checks.reprojection_px(pixels, keypoints * np.float32([1, 1, 0]))).all()


def test_joint_error_is_in_millimetres_and_sees_a_single_arm(crowd):
    joints, _, _ = crowd
    given = np.concatenate([joints, np.ones((6, 144, 1), joints.dtype)], axis=2)
    given[1, SMPLX_INDEX["left_elbow"], 0] += 0.144
    np.testing.assert_allclose(checks.joint_error_mm(joints, given), [0, 1, 0, 0, 0, 0], atol=1e-3)


def test_swapped_names_fit_better_swapped(crowd):
    _, pixels, keypoints = crowd
    side = np.full(6, 100.0)
    swapped = keypoints.copy()
    swapped[3] = keypoints[3, MIRROR]
    gain = checks.swap_gain(pixels, swapped, side)
    assert (gain > checks.SWAP_MARGIN).tolist() == [False, False, False, True, False, False]
    assert gain[3] == pytest.approx(-checks.swap_gain(pixels, keypoints, side)[3])


def test_sides_are_not_judged_by_points_of_one_side_only(crowd):
    _, pixels, keypoints = crowd
    for name in SMPLX_JOINTS:
        if name.startswith("left_"):
            keypoints[:, SMPLX_INDEX[name], 2] = 0
    assert np.isnan(checks.swap_gain(pixels, keypoints, np.full(6, 100.0))).all()


def test_truncation_is_the_share_of_body_joints_outside(crowd):
    joints, pixels, _ = crowd
    pixels = pixels.copy()
    pixels[0, :11] = -5
    pixels[0, 60:] = -5
    assert checks.truncation(pixels, joints, np.full((6, 2), 1000.0))[:2].tolist() == [0.5, 0.0]


def test_a_hand_is_judged_relative_to_a_wrist_that_is_marked(crowd):
    _, pixels, keypoints = crowd
    moved = keypoints + np.float32([7, -5, 0])
    np.testing.assert_allclose(checks.hand_residuals(pixels, moved, "left"), 0, atol=1e-4)
    moved[2, SMPLX_INDEX["left_wrist"], 2] = 0
    moved[3, list(checks.HAND_POINTS["left"][1:12]), 2] = 0
    unknown = np.isnan(checks.hand_residuals(pixels, moved, "left")).all(axis=1)
    assert unknown.tolist() == [False, False, True, True, False, False]


# Boxes


def test_tight_boxes_ignore_unknown_points():
    points = np.array([[[3.0, 4], [np.nan, 9], [7, 1]], [[np.nan] * 2] * 3])
    np.testing.assert_array_equal(boxes.tight_boxes(points), [[3, 1, 7, 4], [np.nan] * 4])


@pytest.mark.parametrize(
    ("box", "empty"),
    [([10, 10, 40, 60], False), ([-50, 10, 1.5, 60], True), ([120, 0, 150, 50], True), ([5, 5, 5, 90], True)],
)
def test_a_box_is_degenerate_when_it_shows_nothing_of_the_picture(box, empty):
    assert boxes.is_degenerate(np.array([box], float), np.array([[100.0, 100.0]])).tolist() == [empty]


def test_a_missing_box_is_not_degenerate():
    assert not boxes.is_degenerate(np.full((1, 4), np.nan), np.array([[100.0, 100.0]])).any()


def test_part_boxes_have_a_margin_and_end_at_the_picture():
    points = np.array([[[10.0, 20], [30, 20], [10, 40], [30, 40]], [[90.0, 90], [110, 90], [90, 110], [110, 110]]])
    found = boxes.part_boxes(points, np.full((2, 2), 100.0))
    np.testing.assert_allclose(found, [[8, 18, 32, 42], [88, 88, 99, 99]])
    points[0, 3] = np.nan  # three points say too little
    points[1] += 20  # two pixels in the corner of the picture remain
    assert np.isnan(boxes.part_boxes(points, np.full((2, 2), 100.0))).all()


def test_coverage_counts_visible_joints_only():
    points = np.array([[[98.0, 50], [92, 50], [101, 50], [10, 90]]])
    assert boxes.coverage(points, np.array([[90.0, 40, 110, 60]]), np.array([[100.0, 100]])) == pytest.approx(2 / 3)


# Joints


def test_people_of_different_models_keep_their_places(toy, bodies, standin_dir):
    rows = toy.people(4)
    short = posed(rows, 2, betas=rows["betas"][2, :4])
    mixed = [short, posed(rows, 0), person(), posed(rows, 3)]
    joints = joints_of(mixed, bodies)
    np.testing.assert_allclose(joints[[1, 3]], rows["keypoints_3d"][[0, 3], :, :3], atol=1e-5)
    parameters = {name: rows[name][2:3] for name in toy.PARTS} | {"betas": short.betas[None]}
    alone = PosingModel.load(standin_dir, num_betas=4).joints(parameters)
    np.testing.assert_allclose(joints[0], alone[0], atol=1e-6)
    assert np.isnan(joints[2]).all()


def test_a_hand_or_face_that_nobody_labelled_has_no_joints(toy, bodies):
    rows = toy.people(1)
    joints = joints_of([posed(rows, left_hand_pose=None, jaw_pose=None)], bodies)[0]
    unknown = {SMPLX_JOINTS[i] for i in np.flatnonzero(np.isnan(joints[:, 0]))}
    assert {"left_index_1", "left_thumb", "left_pinky", "mouth_top", "contour_middle"} <= unknown
    assert not unknown & {"left_wrist", "right_thumb", "right_ring_3", "nose", "left_ear", "jaw", "left_bigtoe"}


@pytest.mark.parametrize(("kind", "pose_joints"), [("smpl", 23), ("smplh", 21)])
def test_other_bodies_give_the_22_shared_joints(toy, bodies, standin_dir, kind, pose_joints):
    rows = toy.people(1)
    pose = np.concatenate([rows["body_pose"][0], np.zeros((2, 3), np.float32)])[:pose_joints]
    body = posed(rows, body_model=kind, gender="male", body_pose=pose, left_hand_pose=None, right_hand_pose=None)
    joints = joints_of([replace(body, jaw_pose=None)], bodies)[0]
    parameters = {"betas": body.betas[None], "body_pose": pose[None]}
    parameters |= {"global_orient": body.global_orient[None], "transl": body.transl[None]}
    expected = PosingModel.load(standin_dir, kind, "male").joints(parameters)[0, :22]
    np.testing.assert_allclose(joints[:22], expected, atol=1e-6)
    assert np.isnan(joints[22:]).all()
    assert list(bodies.used) == [f"{kind}/male"]


def test_a_mesh_gives_the_joints_of_its_body_but_for_the_contour(toy, bodies, standin_dir):
    rows = toy.people(1)
    model = PosingModel.load(standin_dir)
    mesh = model.vertices({name: rows[name] for name in toy.PARTS})[0]
    joints = joints_of([person(vertices=mesh)], bodies)[0]
    np.testing.assert_allclose(joints[:55], model.joint_regressor @ mesh, atol=1e-9)
    np.testing.assert_allclose(joints[55:127], rows["keypoints_3d"][0, 55:127, :3], atol=1e-5)
    assert np.isnan(joints[127:]).all()


def test_a_whole_kid_has_the_kids_template(toy, bodies, standin_dir):
    zeros = {name: np.zeros((1, *shape), np.float32) for name, shape in toy.PARTS.items()}
    kid = np.load(standin_dir / "smplx" / "smplx_kid_template.npy")
    expected = PosingModel.load(standin_dir).joint_regressor @ (kid - kid.mean(axis=0))
    joints = joints_of([posed(zeros), posed(zeros, kid_weight=1.0), posed(zeros, kid_weight=0.5)], bodies)[:, :55]
    np.testing.assert_allclose(joints[1], expected, atol=1e-6)
    np.testing.assert_allclose(joints[2], (joints[0] + joints[1]) / 2, atol=1e-6)
    assert set(bodies.used) == {"smplx/neutral", "smplx/kid"}


def test_without_models_nothing_is_posed_and_the_lack_is_noted(toy):
    bodies = Bodies(None)
    assert np.isnan(joints_of([posed(toy.people(1))], bodies)).all()
    assert bodies.missing == ["smplx/neutral"]


# A whole batch


def test_a_sound_person_gets_joints_boxes_and_measures(toy, bodies):
    rows = toy.people(1)
    marked = {"keypoints_2d": rows["keypoints"][0], "keypoints_2d_convention": "smplx_144"}
    (frame,) = examine(toy, bodies, posed(rows, **marked)).frames
    (found,) = frame.people
    np.testing.assert_allclose(found.joints_3d, rows["keypoints_3d"][0, :, :3], atol=1e-5)
    pixels = rows["keypoints"][0, :, :2]
    np.testing.assert_allclose(found.bbox_xyxy, [*pixels.min(axis=0), *pixels.max(axis=0)], atol=1e-3)
    assert found.left_hand_bbox_xyxy[0] > found.right_hand_bbox_xyxy[2]  # seen from the front
    assert found.face_bbox_xyxy[3] < pixels[0, 1]
    assert found.quality["reprojection_px"] == 0
    assert found.quality["distance_m"] == pytest.approx(3, abs=0.3)
    assert found.quality["box_coverage"] == 1


def test_what_the_owner_gave_is_kept(toy, bodies):
    box = np.float32([10, 10, 60, 100])
    (frame,) = examine(toy, bodies, posed(toy.people(1), bbox_xyxy=box, quality={"owner": 2.0})).frames
    assert frame.people[0].bbox_xyxy is box
    assert frame.people[0].quality["owner"] == 2.0


@pytest.mark.parametrize(
    ("change", "bounds", "reason", "sentence"),
    [
        ({"transl": np.float32([0, 0, -3])}, {}, "behind_camera", "in front of the camera"),
        ({"transl": np.float32([0.3, 0.1, 3])}, {"max_reprojection_px": 5}, "reprojection", "the card allows 5"),
        ({"transl": np.float32([0, 0.1, 3.2])}, {"max_joint_error_mm": 80}, "joint_error", "mm from its 3D joints"),
        ({"bbox_xyxy": np.float32([-30, 0, -1, 50])}, {}, "empty_box", "shows nothing"),
    ],
)
def test_a_bad_person_becomes_a_reject_and_the_others_stay(toy, bodies, change, bounds, reason, sentence):
    rows = toy.people(3)
    rows["transl"][:] = [0, 0.1, 3]
    joints = PosingModel.load(bodies.directory).joints({name: rows[name] for name in toy.PARTS})
    one = np.ones((3, 144, 1))
    rows["keypoints"] = np.concatenate([project(joints, toy.K), one], axis=2).astype(np.float32)
    rows["keypoints_3d"] = np.concatenate([joints, one], axis=2).astype(np.float32)
    people = [
        posed(
            rows,
            row,
            keypoints_2d=rows["keypoints"][row],
            keypoints_2d_convention="smplx_144",
            keypoints_3d=rows["keypoints_3d"][row],
            keypoints_3d_convention="smplx_144",
        )
        for row in range(3)
    ]
    people[1] = replace(people[1], provenance=Provenance(file="x", row="7"), **change)
    outcome = examine(toy, bodies, *people, bounds=Checks(**bounds))
    (reject,) = outcome.rejects
    assert (reject.reason, reject.key, reject.provenance.row) == (reason, "f", "7")
    assert sentence in reject.detail
    assert [p.provenance.row for p in outcome.frames[0].people] == ["0", "0"]


def test_the_first_reason_of_a_person_counts(toy, bodies):
    lost = posed(toy.people(1), transl=np.float32([0, 0, -3]), bbox_xyxy=np.float32([-9, -9, -1, -1]))
    assert [reject.reason for reject in examine(toy, bodies, lost).rejects] == ["behind_camera"]


def test_the_own_camera_of_a_person_goes_before_that_of_the_frame(toy, bodies):
    rows = toy.people(1)
    virtual = Camera(K=toy.K @ np.diag([2.0, 2.0, 1.0]), kind="virtual_crop")
    marked = {"keypoints_2d": rows["keypoints"][0], "keypoints_2d_convention": "smplx_144"}
    (frame,) = examine(toy, bodies, posed(rows, camera=virtual, **marked)).frames
    assert frame.people[0].quality["reprojection_px"] > 5


def test_a_lens_bends_unless_the_stored_picture_is_straight(toy):
    points = np.array([[[0.4, 0.5, 2.0]]])
    lens = Distortion("brown_conrady", (-0.3, 0.0, 0.0, 0.0))
    cameras = [Camera(K=toy.K, distortion=lens, is_undistorted=straight) for straight in (False, True)]
    sizes = np.full((2, 2), 128.0)
    bent, straight = batch.project_people(np.repeat(points, 2, axis=0), cameras, sizes)
    np.testing.assert_allclose(straight, project(points[0], toy.K))
    np.testing.assert_allclose(bent, project(points[0], toy.K, lens))
    assert np.abs(bent - straight).max() > 1


def test_a_lens_does_not_fold_far_points_into_the_picture(toy):
    far = np.array([[[6.0, 0.0, 1.0]]])
    lens = Distortion("brown_conrady", (-0.3, 0.0, 0.0, 0.0))
    pixels = batch.project_people(far, [Camera(K=toy.K, distortion=lens)], np.array([[192.0, 256.0]]))
    assert pixels[0, 0, 0] > 192


def test_keypoints_alone_make_boxes(toy):
    rows = toy.people(1)
    points = rows["keypoints"][0].copy()
    points[:20, 2] = 0
    lone = person(keypoints_2d=points, keypoints_2d_convention="smplx_144")
    (frame,) = examine(toy, Bodies(None), lone).frames
    np.testing.assert_allclose(frame.people[0].bbox_xyxy[:2], points[20:, :2].min(axis=0))
    assert frame.people[0].left_hand_bbox_xyxy[0] > 100
    assert frame.people[0].joints_3d is None


def test_a_person_out_of_contract_is_a_bug_and_not_a_reject(toy, bodies):
    broken = posed(toy.people(1), transl=np.float32([0, np.nan, 3]))
    with pytest.raises(RecordError, match=r"record f: transl should be finite"):
        examine(toy, bodies, broken)
