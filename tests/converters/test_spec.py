"""What only SPEC-SYN does."""

import numpy as np
import pytest

from ehps.body.rotations import axis_angle_to_matrix
from ehps.converters import list_sources, spec
from ehps.converters.engine import convert
from ehps.converters.formats import tilted_camera
from ehps.errors import BodyModelError, RawFileError, RawSchemaError, UnknownNameError
from ehps.shards.catalog import query
from ehps.shards.record import Frame, Reject
from ehps.tests.raw import spec as fake
from ehps.tests.raw._recovery import converted, differences, worst


@pytest.fixture
def small(tmp_path, built):
    """A tree of three pictures that a test may spoil."""
    built(fake, tmp_path, frames=3, bad=False)
    return tmp_path


def frames_of(root, split="train"):
    return [record for record in converted("spec", root, split) if isinstance(record, Frame)]


def rewrite(root, split="train", **changes):
    """Replace columns of a split; one that becomes None goes."""
    path = root / "spec-syn" / "annotations" / f"{split}.npz"
    with np.load(path) as archive:
        columns = {**archive, **{name: change(archive[name]) for name, change in changes.items()}}
    np.savez(path, **{name: column for name, column in columns.items() if column is not None})


def dropped(_):
    return None


@pytest.mark.parametrize("split", fake.SPLITS)
def test_the_camera_turns_the_root_and_is_the_pose_of_the_frame(root, split):
    with np.load(root / "spec-syn" / "annotations" / f"{split}.npz") as archive:
        columns = dict(archive)
    pose = columns.get("pose_0yaw_inverseyz", columns["pose"])
    for frame in frames_of(root, split):
        R = frame.camera.T_camera_world[:3, :3]
        row = int(frame.people[0].provenance.row)
        np.testing.assert_allclose(R, fake.tilt(columns["cam_pitch"][row], columns["cam_roll"][row]), atol=1e-6)
        assert np.abs(R - np.eye(3)).max() > 0.05
        for person in frame.people:
            in_world = axis_angle_to_matrix(pose[int(person.provenance.row), :3])
            turned = axis_angle_to_matrix(person.global_orient.astype(np.float64))
            np.testing.assert_allclose(turned, R @ in_world, atol=1e-6)


def test_a_pitch_turns_the_view_down_and_a_roll_about_the_line_of_sight():
    down, left = fake.tilt(np.pi / 2, 0.0), fake.tilt(0.0, np.pi / 2)
    np.testing.assert_allclose(down @ [0, 1, 0], [0, 0, 1], atol=1e-9)  # what is below lies ahead
    np.testing.assert_allclose(left @ [0, 0, 1], [0, 0, 1], atol=1e-9)


def test_bodies_are_smpl_of_23_joints_with_betas_of_their_own(root):
    for frame in frames_of(root):
        for person in frame.people:
            assert (person.body_model, person.gender) == ("smpl", "neutral")
            assert (person.body_pose.shape, person.betas.shape) == ((23, 3), (10,))
            assert (person.transl, person.left_hand_pose, person.expression, person.keypoints_3d) == (None,) * 4


def test_keypoints_keep_the_detector_s_confidence(root):
    points = np.concatenate([p.keypoints_2d for frame in frames_of(root) for p in frame.people])
    assert 0 < (points[:, 2] == 0).mean() < 0.3
    assert len(np.unique(points[:, 2])) > 50


@pytest.mark.parametrize("name", ["openpose", "openpose_gt"])
def test_either_name_of_the_keypoints_is_read(small, name):
    other = "openpose_gt" if name == "openpose" else "openpose"
    with np.load(small / "spec-syn" / "annotations" / "train.npz") as archive:
        points = archive["openpose_gt"]
    rewrite(small, openpose_gt=lambda _: points)
    path = small / "spec-syn" / "annotations" / "train.npz"
    with np.load(path) as archive:
        columns = dict(archive)
    columns.pop(other, None)
    np.savez(path, **{**columns, name: points})
    found = frames_of(small)[0].people[0].keypoints_2d
    np.testing.assert_allclose(found, points[0], atol=1e-4)


def test_without_keypoints_the_square_of_centre_and_scale_is_the_box(small):
    rewrite(small, openpose_gt=dropped)
    with np.load(small / "spec-syn" / "annotations" / "train.npz") as columns:
        for frame in frames_of(small):
            for person in frame.people:
                row = int(person.provenance.row)
                centre, side = columns["center"][row], 200 * columns["scale"][row]
                assert (person.keypoints_2d, person.labels.keypoints_2d) == (None, None)
                np.testing.assert_allclose(person.bbox_xyxy, [*(centre - side / 2), *(centre + side / 2)], rtol=1e-5)


def test_one_person_with_another_camera_keeps_it(small):
    rewrite(small, cam_int=lambda K: K * np.where(np.arange(len(K)) == 1, 1.1, 1.0)[:, None, None])
    first, second = frames_of(small)[0].people
    assert first.camera is None
    assert second.camera.K[0, 0] == pytest.approx(1.1 * frames_of(small)[0].camera.K[0, 0])


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"pose": dropped}, "pose_0yaw_inverseyz or pose"),
        ({"cam_int": dropped}, "cam_int or focal_length"),
        ({"cam_rotmat": dropped, "cam_pitch": dropped}, "cam_rotmat or cam_pitch"),
        ({"cam_rotmat": dropped, "cam_roll": dropped}, "cam_roll"),
    ],
)
def test_a_file_without_pose_or_camera_names_what_it_lacks(small, changes, missing):
    rewrite(small, **changes)
    with pytest.raises(RawSchemaError, match=f"column {missing} should be present"):
        frames_of(small)


def test_a_mirror_is_no_camera(small):
    rewrite(small, cam_rotmat=lambda R: R * [[[1.0], [1.0], [-1.0]]])
    rejects = list(converted("spec", small, "train"))
    assert {reject.reason for reject in rejects if isinstance(reject, Reject)} == {"bad_camera"}
    assert len(rejects) == 4


def test_the_raw_files_of_another_copy_are_read(small):
    folder = small / "spec-syn" / "annotations"
    (folder / "train.npz").rename(folder / "train_raw.npz")
    assert len(frames_of(small)) == 2
    (folder / "train_raw.npz").unlink()
    with pytest.raises(RawFileError, match=r"holds none of the files annotations/train.npz, annotations/train_raw.npz"):
        list_sources("spec", small, "train")


def test_the_folder_itself_may_be_the_root(root):
    inside = [record.key for record in converted("spec", root / "spec-syn", "train")]
    assert inside == [record.key for record in converted("spec", root, "train")]


def test_bodies_are_placed_by_their_keypoints_when_asked(tmp_path, built):
    truth = built(fake, tmp_path, labelled=fake.LABELLED | {"transl"})
    found = differences("spec", tmp_path, truth, fake.SPLITS, transl="solved")
    assert max(worst(found)) < 0.1
    assert not any(one.missing or one.invented for one in found)
    records = [record for record in converted("spec", tmp_path, "train", transl="solved") if isinstance(record, Frame)]
    people = [person for frame in records for person in frame.people]
    assert not any(person.transl_is_metric for person in people)


def test_placed_bodies_show_a_wrong_rotation_in_the_report(root, tmp_path, monkeypatch):
    def reprojection(out):
        (report,) = convert("spec", root, out, "train", options={"transl": "solved"}, catalog=False)
        return report.units[0].measures["reprojection_px"]["median"]

    assert reprojection(tmp_path / "right") < 0.01
    original = tilted_camera._rotations
    monkeypatch.setattr(tilted_camera, "_rotations", lambda *args: original(*args).transpose(0, 2, 1))
    monkeypatch.setattr(spec, "read_table", spec._Table)  # nothing is kept from before
    assert reprojection(tmp_path / "wrong") > 5


def test_with_too_few_keypoints_a_body_stays_without_a_place(small):
    rewrite(small, openpose_gt=lambda points: points * (np.arange(25) < 5)[:, None])
    people = [p for record in converted("spec", small, "train", transl="solved") for p in record.people]
    assert [person.transl for person in people] == [None] * 4


def test_placing_without_a_body_model_says_what_it_needs(root, monkeypatch):
    monkeypatch.delenv("EHPS_BODY_MODELS")
    with pytest.raises(BodyModelError, match="EHPS_BODY_MODELS is not set"):
        list_sources("spec", root, "train", {"transl": "solved"})
    with pytest.raises(UnknownNameError, match="did you mean solved"):
        list_sources("spec", root, "train", {"transl": "solve"})


def test_blocks_cover_every_picture_once(root, monkeypatch):
    whole = [record.key for record in converted("spec", root, "train")]
    monkeypatch.setattr(spec, "PICTURES_PER_UNIT", 2)
    units = list_sources("spec", root, "train")
    assert len(units) == 3
    assert [record.key for unit in units for record in spec.frames(unit)] == whole
    assert sum(spec.count_people(unit) for unit in units) == 10


def test_bodies_reach_the_catalog_without_a_translation(root, tmp_path):
    convert("spec", root, tmp_path, "train")
    sql = "select count(*), bool_and(has_body_pose), bool_or(has_transl), min(num_betas) from people"
    assert tuple(query(tmp_path, sql).iloc[0]) == (10, True, False, 10)
