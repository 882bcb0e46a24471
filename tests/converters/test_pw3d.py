"""What only 3DPW does."""

import numpy as np
import pytest

from ehps.body.unpickling import load_pickle
from ehps.converters import list_sources, pw3d
from ehps.converters.engine import convert
from ehps.errors import ConversionError, RawFileError, RawSchemaError
from ehps.shards.record import Frame, Reject
from ehps.tests.raw import pw3d as fake
from ehps.tests.raw._owner_pickles import write_python2_pickle
from ehps.tests.raw._recovery import converted


@pytest.fixture
def small(tmp_path, built):
    """A tree that a test may spoil, and the pickle of its train sequence."""
    built(fake, tmp_path, bad=False)
    return tmp_path, next(tmp_path.glob("sequenceFiles/train/*.pkl"))


def frames_of(root, split="train"):
    return [record for record in converted("pw3d", root, split) if isinstance(record, Frame)]


def rewrite(path, **changes):
    """Replace values of a sequence; one that becomes None goes."""
    content = load_pickle(path)
    content |= {name: change(content[name]) for name, change in changes.items()}
    write_python2_pickle(path, {name: value for name, value in content.items() if value is not None})


def test_the_pickles_are_those_of_python_2(root):
    data = next(root.glob("sequenceFiles/train/*.pkl")).read_bytes()
    assert data.startswith(b"\x80\x02")
    assert b"cnumpy.core.multiarray\n_reconstruct\n" in data


def test_every_actor_has_the_gender_of_the_list(root):
    genders = {split: [person.gender for person in frames_of(root, split)[0].people] for split in fake.SPLITS}
    assert genders == {"train": ["male", "female"], "val": ["female", "male"], "test": ["female"]}


def test_ten_betas_are_read_of_longer_lists(root):
    assert {person.betas.shape for frame in frames_of(root) for person in frame.people} == {(10,)}


def test_nobody_detected_is_no_keypoints_and_not_a_point_at_the_origin(root):
    seen = [[person.keypoints_2d is not None for person in frame.people] for frame in frames_of(root)]
    assert seen == [[True, True], [True, False], [True, True]]
    for frame in frames_of(root):
        for person in frame.people:
            assert (person.labels.keypoints_2d == "pseudo") == (person.keypoints_2d is not None)


def test_the_camera_moves_from_picture_to_picture(root):
    one, two, _ = frames_of(root)
    assert np.abs(one.camera.T_camera_world - two.camera.T_camera_world).max() > 0.1
    assert one.people[0].track == two.people[0].track != one.people[1].track
    assert [frame.frame_index for frame in frames_of(root)] == [0, 1, 2]


def test_poses_are_fitted_to_sensors_and_video_not_measured(root):
    for frame in frames_of(root):
        for person in frame.people:
            assert (person.labels.body, person.labels.shape) == ("fitted", "fitted")
            assert person.labels.keypoints_2d == (None if person.keypoints_2d is None else "pseudo")


def test_joints_that_are_not_those_of_the_body_are_refused(small):
    root, path = small
    shift = np.zeros((3, 72))
    shift[2] = 0.02  # 35 mm along the diagonal, which would move the body by as much
    rewrite(path, jointPositions=lambda joints: [joints[0], joints[1] + shift])
    (reject,) = [record for record in converted("pw3d", root, "train") if isinstance(record, Reject)]
    assert (reject.reason, reject.provenance.row) == ("bad_joints", "actor 1 frame 2")
    assert "the rest pelvis 35 mm from where it is in other pictures" in reject.detail


def test_an_actor_without_a_valid_camera_is_refused_alone(small):
    root, path = small
    rewrite(path, campose_valid=lambda valid: [valid[0], np.array([True, False, True])])
    records = list(converted("pw3d", root, "train"))
    (reject,) = [record for record in records if isinstance(record, Reject)]
    assert (reject.reason, reject.provenance.row) == ("bad_camera", "actor 1 frame 1")
    assert [len(record.people) for record in records if isinstance(record, Frame)] == [2, 1, 2]


def test_the_owner_s_joints_agree_with_the_body_that_the_engine_poses(root, tmp_path):
    (report,) = convert("pw3d", root, tmp_path, "train", catalog=False)
    assert report.units[0].measures["joint_error_mm"]["max"] < 0.1
    assert report.units[0].measures["reprojection_px"]["max"] < 0.1


def test_a_wrong_gender_is_refused_by_the_joints(small, tmp_path):
    root, path = small
    rewrite(path, genders=lambda genders: ["f" if gender == "m" else "m" for gender in genders])
    with pytest.raises(ConversionError, match="joint_error 6"):
        convert("pw3d", root, tmp_path / "out", "train", catalog=False)


def test_without_body_models_everyone_is_placed_all_the_same(root, monkeypatch):
    monkeypatch.delenv("EHPS_BODY_MODELS")
    assert all(person.transl is not None for frame in frames_of(root) for person in frame.people)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cam_poses": lambda poses: poses[:2]}, r"courtyard_fake_00.pkl: cam_poses should be of shape \(3, 4, 4\)"),
        ({"genders": lambda _: None}, "field 'genders' should be present"),
        ({"genders": lambda _: ["m", "x"]}, "gender of actor 1 should be m or f, .*found 'x'"),
        ({"poses2d": lambda seen: [points.transpose(0, 2, 1) for points in seen]}, "poses2d of actor 0"),
        ({"trans": lambda trans: [trans[0], trans[1][:1]]}, r"trans of actor 1 should be of shape \(3, 3\)"),
    ],
)
def test_a_sequence_of_another_shape_is_named(small, changes, message):
    root, path = small
    rewrite(path, **changes)
    with pytest.raises(RawSchemaError, match=message):
        frames_of(root)


def test_a_pickle_that_is_cut_off_is_named(small):
    root, path = small
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(RawFileError, match=r"courtyard_fake_00.pkl: not a readable pickle"):
        frames_of(root)


def test_the_validation_folder_keeps_its_long_name(root):
    assert [unit.name for unit in list_sources("pw3d", root, "val")] == ["outdoors_fake_01"]
    (root / "sequenceFiles" / "validation").rename(root / "sequenceFiles" / "val")
    try:
        with pytest.raises(RawFileError, match=r"validation/\*\.pkl: no such folder"):
            list_sources("pw3d", root, "val")
    finally:
        (root / "sequenceFiles" / "val").rename(root / "sequenceFiles" / "validation")


def test_people_are_counted_as_the_lists_tell(tmp_path, built):
    expected = built(fake, tmp_path).expected["train"]
    counted = sum(pw3d.count_people(unit) for unit in list_sources("pw3d", tmp_path, "train"))
    assert counted == expected["people"] + sum(expected["rejects"].values())
