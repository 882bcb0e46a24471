"""Formats that several sources share."""

import json

import numpy as np
import pytest

from ehps.body.hands import LEFT_HAND_MEAN, RIGHT_HAND_MEAN
from ehps.converters.formats.coco_json import clipped_box, keypoints
from ehps.converters.formats.neuralannot_json import LENGTHS, crop_mismatch, fit_camera, fit_fields, fit_problem
from ehps.converters.formats.openpose_json import read_openpose
from ehps.converters.formats.ply import read_vertices
from ehps.converters.formats.smplx_pose import cut_pose, join_pose
from ehps.errors import RawFileError, RawSchemaError
from ehps.tests.raw.ehf import write_ply

PLY = "ply\nformat ascii 1.0\ncomment hello\nelement vertex 2\n{}end_header\n{}"
XYZ = "property float x\nproperty float y\nproperty float z\n"


def test_a_pose_vector_is_cut_at_the_right_joints():
    parts = cut_pose(np.arange(165.0))
    starts = {name: float(part.flat[0]) for name, part in parts.items()}
    assert starts == {
        "global_orient": 0,
        "body_pose": 3,
        "jaw_pose": 66,
        "leye_pose": 69,
        "reye_pose": 72,
        "left_hand_pose": 75,
        "right_hand_pose": 120,
    }
    assert parts["body_pose"].shape == (21, 3)
    assert parts["right_hand_pose"].shape == (15, 3)
    np.testing.assert_array_equal(join_pose(parts), np.arange(165.0))


@pytest.mark.parametrize("binary", [True, False])
def test_ply_vertices_come_back(tmp_path, binary):
    points = np.random.default_rng(0).normal(0, 1, (50, 3)).astype(np.float32)
    write_ply(tmp_path / "a.ply", points, binary=binary)
    np.testing.assert_allclose(read_vertices(tmp_path / "a.ply"), points, atol=1e-6)


def test_ply_columns_are_found_by_name(tmp_path):
    header = "property uchar red\nproperty double z\nproperty float y\nproperty float x\n"
    (tmp_path / "a.ply").write_text(PLY.format(header, "9 3 2 1\n9 6 5 4\n"))
    np.testing.assert_array_equal(read_vertices(tmp_path / "a.ply"), [[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("OFF\n", "is not a PLY file"),
        (PLY.format(XYZ, "1 2 3\n"), "1 complete vertices of 2"),
        (PLY.format("property float x\nproperty float y\n", "1 2\n1 2\n"), "without z"),
        (PLY.format(XYZ + "property list uchar int ids\n", ""), "'ids' of type 'list'"),
        (PLY.replace("vertex", "face").format(XYZ, ""), "does not begin with its vertices"),
        (PLY.replace("ascii", "binary_big_endian").format(XYZ, ""), "binary_big_endian"),
        (PLY.replace("ascii", "binary_little_endian").format(XYZ, "x" * 12), "ends after 1 of 2"),
    ],
)
def test_a_damaged_ply_says_what_is_wrong(tmp_path, content, problem):
    (tmp_path / "a.ply").write_text(content)
    with pytest.raises(RawFileError, match=problem):
        read_vertices(tmp_path / "a.ply")


def test_openpose_parts_take_their_places(tmp_path):
    sizes = {
        "pose_keypoints_2d": 25,
        "hand_left_keypoints_2d": 21,
        "hand_right_keypoints_2d": 21,
        "face_keypoints_2d": 70,
    }
    person = {name: [float(n)] * (3 * size) for n, (name, size) in enumerate(sizes.items())}
    (tmp_path / "a.json").write_text(json.dumps({"people": [person, person]}))
    found = read_openpose(tmp_path / "a.json")
    assert len(found) == 2
    assert [float(found[0][row, 0]) for row in (0, 25, 46, 67, 136)] == [0, 1, 2, 3, 3]
    person["face_keypoints_2d"].pop()
    (tmp_path / "a.json").write_text(json.dumps({"people": [person]}))
    with pytest.raises(RawSchemaError, match="face_keypoints_2d should be 210 numbers, found 209"):
        read_openpose(tmp_path / "a.json")


def fit(**changes):
    numbers = {name: np.full(length, 0.1 * n) for n, (name, length) in enumerate(LENGTHS.items())}
    return {
        "smplx_param": {**numbers, **changes},
        "cam_param": {"focal": np.array([5000.0, 5001.0]), "princpt": np.array([-3.0, 40.0])},
    }


def test_deviation_hands_become_absolute():
    fields = fit_fields(fit(lhand_valid=True, rhand_valid=True, face_valid=True), {})
    np.testing.assert_allclose(fields["left_hand_pose"], 0.4 + LEFT_HAND_MEAN, atol=1e-6)
    np.testing.assert_allclose(fields["right_hand_pose"], 0.5 + RIGHT_HAND_MEAN, atol=1e-6)
    assert fields["transl_is_metric"] is False


def test_the_fit_s_own_flags_win_over_the_annotation_s():
    owner = {"lefthand_valid": True, "righthand_valid": True, "face_valid": True}
    fields = fit_fields(fit(lhand_valid=False), owner)
    assert fields["left_hand_pose"] is None
    assert fields["labels"].left_hand is None
    assert fields["right_hand_pose"] is not None
    assert fields["expression"] is not None


def test_hands_and_face_without_any_flag_are_not_trusted():
    fields = fit_fields(fit(), {})
    assert [fields[name] for name in ("left_hand_pose", "right_hand_pose", "jaw_pose", "expression")] == [None] * 4
    assert fields["body_pose"] is not None


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"body_pose": np.zeros(60)}, "smplx_param.body_pose: expected 63 values, got 60"),
        ({"trans": None}, "smplx_param.trans: expected 3 numbers, got NoneType"),
        ({"expr": np.full(10, np.nan)}, "smplx_param.expr: holds NaN or infinity"),
    ],
)
def test_a_broken_fit_says_what_is_wrong(changes, problem):
    assert fit_problem(fit(**changes)) == problem


def test_a_sound_fit_has_no_problem():
    assert fit_problem(fit()) == ""
    assert "cam_param is missing" in fit_problem({"smplx_param": {}})


def test_the_camera_of_a_fit_is_virtual_and_may_look_past_the_picture():
    camera = fit_camera(fit())
    assert camera.kind == "virtual_crop"
    np.testing.assert_array_equal(camera.K, [[5000, 0, -3], [0, 5001, 40], [0, 0, 1]])


@pytest.mark.parametrize(
    ("box", "focal"),
    [((50.0, 80.0), 5000 * 1.25 * 80 / 256), ((80.0, 50.0), 5000 * 1.25 * 80 / 256), ((80.0, 50.0), 6250 * 80 / 192)],
)
def test_focal_lengths_of_both_crop_shapes_belong_to_their_box(box, focal):
    one = fit()
    one["cam_param"]["focal"] = np.array([focal, focal])
    assert crop_mismatch(one, np.array([10.0, 10.0, *box])) < 1e-9
    assert crop_mismatch(one, np.array([10.0, 10.0, 2 * box[0], 2 * box[1]])) > 0.3


def test_boxes_are_clipped_as_the_reference_clips_them():
    np.testing.assert_allclose(clipped_box(np.array([-5.0, 10.0, 30.0, 20.0]), 100, 25), [0, 10, 29, 14])
    assert clipped_box(np.array([70.0, 60.0, 10.0, 10.0]), 64, 48) is None
    assert clipped_box(np.array([20.0, 20.0, 0.0, 30.0]), 64, 48) is None
    assert clipped_box(np.array([1.0, np.nan, 3.0, 4.0]), 64, 48) is None
    assert clipped_box([1, 2, 3], 64, 48) is None


def test_any_positive_visibility_counts():
    points = keypoints({"keypoints": np.array([5.0, 6, 0.038, 7, 8, 2, 0, 0, 0])}, {"keypoints": 3})
    np.testing.assert_array_equal(points, np.array([[5, 6, 1], [7, 8, 1], [0, 0, 0]], np.float32))
