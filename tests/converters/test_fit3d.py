"""What only Fit3D and the format of IMAR's studios do."""

import json
import shutil

import numpy as np
import pytest

from ehps.body.cameras import project
from ehps.converters import fit3d, list_sources
from ehps.converters.engine import convert
from ehps.converters.formats.imar_json import are_rotations, read_camera
from ehps.errors import ConversionError, RawFileError, RawSchemaError, UnknownNameError
from ehps.shards.reader import read_people
from ehps.shards.record import Frame, Reject
from ehps.tests.raw import fit3d as fake
from ehps.tests.raw._imar import CAMERAS, change
from ehps.tests.raw._recovery import converted
from ehps.tests.raw._videos import number_of

SUBJECT = "fit3d/train/s03"


@pytest.fixture(scope="module")
def root(tmp_path_factory, built):
    root = tmp_path_factory.mktemp("fit3d")
    built(fake, root, bad=False)
    return root


@pytest.fixture
def small(root, tmp_path):
    """A copy of the tree that a test may spoil."""
    return shutil.copytree(root, tmp_path / "raw")


def frames_of(root, **options):
    return [record for record in converted("fit3d", root, "train", **options) if isinstance(record, Frame)]


def rejects_of(root):
    return [record for record in converted("fit3d", root, "train") if isinstance(record, Reject)]


def test_every_frame_is_the_one_of_its_number(root):
    for frame in frames_of(root):
        assert number_of(frame.image.read()) == frame.frame_index == int(frame.key[-5:])


def test_a_video_is_asked_for_its_frames_in_order(root):
    asked = [(frame.image.path, frame.image.index) for frame in frames_of(root)]
    assert asked == sorted(asked, key=lambda place: ("squat" not in place[0].name, place))
    assert len({path for path, _ in asked}) == 4


def test_the_pictures_arrive_in_the_shards(root, tmp_path):
    (report,) = convert("fit3d", root, tmp_path, "train", catalog=False, options={"every": "2"})
    assert report.people == 10
    people = list(read_people(tmp_path))
    assert sorted(number_of(person.image()) for person in people) == sorted([0, 2, 4] * 2 + [0, 2] * 2)


def test_every_nth_frame_can_be_had(root):
    assert {frame.frame_index for frame in frames_of(root, every="4")} == {0, 4}
    units = list_sources("fit3d", root, "train", {"every": "4"})
    assert sum(fit3d.count_people(unit) for unit in units) == len(frames_of(root, every="4")) == 6
    for wrong in ("0", "-1", "all"):
        with pytest.raises(UnknownNameError, match="step of frames"):
            list_sources("fit3d", root, "train", {"every": wrong})


@pytest.mark.parametrize("missing", [0, 3])
def test_joints_of_the_first_release_come_four_to_a_frame(root, small, missing):
    """Read one to a frame, they would lie behind the person by three quarters of the time that has gone by."""
    before = [frame.people[0].keypoints_3d for frame in frames_of(root)]
    for path in small.glob("fit3d/train/*/joints3d_25/*.json"):
        joints = np.array(json.loads(path.read_text())["joints3d_25"])
        often = np.repeat(joints, 4, axis=0)
        often[np.arange(len(often)) % 4 > 0] += 0.1
        path.write_text(json.dumps({"joints3d_25": often[: len(often) - missing].tolist()}))
    np.testing.assert_array_equal([frame.people[0].keypoints_3d for frame in frames_of(small)], before)


def test_frames_after_the_labels_end_are_nobody(root):
    squats = [frame for frame in frames_of(root) if frame.sequence == "s03/squat"]
    assert {frame.frame_index for frame in squats} == set(range(6))
    with pytest.raises(UnknownNameError):
        list_sources("fit3d", root, "train", {"cameras": "1"})


def test_the_owner_s_joints_agree_with_the_body_that_the_engine_poses(root, tmp_path):
    (report,) = convert("fit3d", root, tmp_path, "train", catalog=False)
    assert all(unit.measures["joint_error_mm"]["max"] < 0.1 for unit in report.units)


def test_joints_with_left_and_right_exchanged_are_refused(small, tmp_path):
    order = [0, 4, 5, 6, 1, 2, 3, 7, 8, 9, 10, 14, 15, 16, 11, 12, 13, 19, 20, 17, 18, 23, 24, 21, 22]
    for path in small.glob("fit3d/train/*/joints3d_25/*.json"):
        joints = np.array(json.loads(path.read_text())["joints3d_25"])[:, order]
        path.write_text(json.dumps({"joints3d_25": joints.tolist()}))
    with pytest.raises(ConversionError, match="joint_error"):
        convert("fit3d", small, tmp_path / "out", "train", catalog=False)


def test_the_stored_camera_bends_as_the_owner_s_does(root):
    """The owner's formula lacks a factor of 2 in the tangential part, which shows in the corners."""
    camera, _ = read_camera(root / SUBJECT / "camera_parameters" / CAMERAS[0] / "squat.json")
    side = np.linspace(-0.43, 0.43, 9)
    x = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    k1, k2, p1, p2, k3 = camera.distortion.coefficients
    r2 = (x**2).sum(axis=1, keepdims=True)
    swapped = np.array([p2, p1])
    owner = x * (1 + k1 * r2 + k2 * r2**2 + k3 * r2**3 + (x @ swapped)[:, None]) + r2 * swapped
    ours = project(np.column_stack([x, np.ones(len(x))]), camera.K, camera.distortion)
    apart = np.linalg.norm(ours - (owner * np.diag(camera.K)[:2] + camera.K[:2, 2]), axis=1)
    assert 3 < apart.max() < 4
    assert apart[np.abs(x).max(axis=1) < 0.22].max() < 1


def test_the_calibration_without_distortion_is_not_used(small):
    before = [frame.camera.K for frame in frames_of(small)]
    for path in small.glob("fit3d/train/*/camera_parameters/*/*.json"):
        change(path, lambda content: content.pop("intrinsics_wo_distortion"))
    assert np.array_equal(before, [frame.camera.K for frame in frames_of(small)])


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda camera: camera["intrinsics_w_distortion"].pop("k"), "incomplete"),
        (lambda camera: camera["extrinsics"].update(R=(-np.eye(3)).tolist()), "NaN or no rotation"),
        (lambda camera: camera["intrinsics_w_distortion"].update(f=[[float("nan"), 1100]]), "NaN or no rotation"),
        (lambda camera: camera["extrinsics"].update(T=[[1, 2]]), "incomplete"),
    ],
)
def test_a_camera_that_cannot_be_used_costs_its_people_and_says_why(small, spoil, problem):
    change(small / SUBJECT / "camera_parameters" / CAMERAS[1] / "squat.json", spoil)
    rejects = rejects_of(small)
    assert {(reject.reason, reject.people) for reject in rejects} == {("bad_camera", 1)}
    assert len(rejects) == 6
    assert all(
        f"camera {CAMERAS[1]}: its calibration" in reject.detail and problem in reject.detail for reject in rejects
    )


def test_a_camera_of_which_only_the_video_is_there_is_not_passed_over(small):
    (small / SUBJECT / "camera_parameters" / CAMERAS[1] / "squat.json").unlink()
    assert [reject.reason for reject in rejects_of(small)] == ["bad_camera"] * 6


def test_without_a_body_model_nobody_is_placed_but_everyone_is_turned(root, monkeypatch):
    monkeypatch.delenv("EHPS_BODY_MODELS")
    for frame in frames_of(root):
        assert frame.people[0].transl is None
        assert frame.people[0].global_orient is not None
        assert frame.people[0].keypoints_3d[:17, 2].min() > 2


@pytest.mark.parametrize(
    ("file", "spoil", "message"),
    [
        ("joints3d_25", lambda c: c["joints3d_25"].pop(), r"joints3d_25 should be of 6 frames like .*found 5"),
        (
            "joints3d_25",
            lambda c: c["joints3d_25"][2].pop(),
            r"joints3d_25 should be numbers of shape \(frames, 25, 3\)",
        ),
        ("smplx", lambda c: c.pop("jaw_pose"), "field 'jaw_pose' should be present"),
        ("smplx", lambda c: c["body_pose"].pop(), r"body_pose should be numbers of shape \(6, 21, 3, 3\)"),
        ("smplx", lambda c: c.update(betas=[[0.0] * 16] * 6), r"betas should be .*\(6, 10\), found shape \(6, 16\)"),
    ],
)
def test_labels_of_another_shape_are_named(small, file, spoil, message):
    change(small / SUBJECT / file / "squat.json", spoil)
    with pytest.raises(RawSchemaError, match=message):
        frames_of(small)


def test_joints_that_are_missing_are_named(small):
    (small / SUBJECT / "joints3d_25" / "squat.json").unlink()
    with pytest.raises(RawFileError, match=r"joints3d_25/squat\.json: no such file"):
        frames_of(small)


def test_rotations_are_told_from_mirrors_scales_and_nan():
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]])
    rounded = turn + 1e-6
    found = are_rotations(np.stack([turn, rounded, -turn, 1.1 * turn, np.full((3, 3), np.nan), np.zeros((3, 3))]))
    assert found.tolist() == [True, True, False, False, False, False]
