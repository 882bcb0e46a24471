"""What only GTA-Human II does."""

import numpy as np
import pytest

from ehps.body.keypoints import CONVENTIONS
from ehps.body.models import read_hand_components
from ehps.body.posing import model_path
from ehps.body.standin import standin_dir
from ehps.converters import get_converter, gta_human2, list_sources
from ehps.converters.engine import convert
from ehps.errors import BodyModelError, RawSchemaError
from ehps.shards.record import Frame, Reject
from ehps.tests.raw import gta_human2 as fake
from ehps.tests.raw._recovery import converted, differences, worst


@pytest.fixture
def small(tmp_path, built):
    """A tree of one sequence that a test may spoil, and the npz of its first person."""
    built(fake, tmp_path, frames=3, bad=False)
    return tmp_path, sorted(tmp_path.rglob("*.npz"))[0]


def frames_of(root):
    return [record for record in converted("gta_human2", root, "train") if isinstance(record, Frame)]


def rewrite(path, **changes):
    """Replace values of a track; one that becomes None goes."""
    with np.load(path) as archive:
        values = {**archive, **{name: change(archive[name]) for name, change in changes.items()}}
    np.savez(path, **{name: value for name, value in values.items() if value is not None})


def test_people_whose_fit_failed_keep_keypoints_and_box_alone(root):
    for frame in frames_of(root):
        *fitted, failed = frame.people
        assert all(person.labels.body == "fitted" for person in fitted)
        assert (failed.labels.body, failed.labels.keypoints_2d) == (None, "synthetic")
        assert (failed.betas, failed.left_hand_pose, failed.body_model, failed.gender) == (None,) * 4
        assert failed.keypoints_2d.shape == (100, 3)
        assert failed.bbox_xyxy is not None


def test_boxes_are_corners(root):
    for person in frames_of(root)[0].people:
        points = person.keypoints_2d[:, :2]
        left, top, right, bottom = person.bbox_xyxy
        assert left < np.median(points[:, 0]) < right < fake.SIZE[0]
        assert top < np.median(points[:, 1]) < bottom < fake.SIZE[1]


def test_the_focal_length_follows_from_the_vertical_field_of_view(root):
    assert frames_of(root)[0].camera.K[0, 0] == pytest.approx(1158.0337, abs=1e-4)


def test_people_keep_their_track_over_the_pictures(root):
    frames = frames_of(root)
    tracks = [{person.track for person in frame.people} for frame in frames if frame.sequence == frames[0].sequence]
    assert len(tracks) == 3
    assert tracks[0] == tracks[1] == tracks[2]
    assert [frame.frame_index for frame in frames[:3]] == [0, 1, 2]


def test_without_a_body_model_hands_are_absent_and_the_report_says_which_model_is_missing(tmp_path, monkeypatch, built):
    truth = built(fake, tmp_path / "raw", bad=False, with_hands=False)
    monkeypatch.delenv("EHPS_BODY_MODELS")
    found = differences("gta_human2", tmp_path / "raw", truth, ["train"])
    assert max(worst(found)) < 0.1
    assert not any(one.missing or one.invented for one in found)
    (report,) = convert("gta_human2", tmp_path / "raw", tmp_path / "out", "train", catalog=False)
    assert all("no body model smplx/neutral" in unit.warnings[0] for unit in report.units)


def test_units_are_converted_again_when_the_model_appears(root, tmp_path, monkeypatch):
    monkeypatch.delenv("EHPS_BODY_MODELS")
    convert("gta_human2", root, tmp_path, "train", catalog=False)
    monkeypatch.setenv("EHPS_BODY_MODELS", "standin")
    (report,) = convert("gta_human2", root, tmp_path, "train", catalog=False)
    assert {unit.state for unit in report.units} == {"done"}
    assert all(unit.hands["2d"]["verdict"] == "as_stored" for unit in report.units)


def test_a_model_file_without_components_is_named(tmp_path):
    np.savez(tmp_path / "SMPLX_NEUTRAL.npz", v_template=np.zeros((3, 3)))
    with pytest.raises(BodyModelError, match=r"SMPLX_NEUTRAL.npz holds no hands_componentsl or hands_componentsr"):
        read_hand_components(tmp_path / "SMPLX_NEUTRAL.npz", 24)


def test_components_are_those_of_each_side():
    found = read_hand_components(model_path(standin_dir(), "smplx", "neutral"), 24)
    assert {side: basis.shape for side, basis in found.items()} == {"left": (24, 45), "right": (24, 45)}
    assert np.abs(found["left"] - found["right"]).max() > 0.1


def test_a_body_pose_of_smpl_s_width_stops_the_unit_with_a_hint(small):
    root, path = small
    rewrite(path, body_pose=lambda pose: np.concatenate([pose, pose[:, :6]], axis=1))
    with pytest.raises(RawSchemaError, match=r"'body_pose' should be of shape \(n, 63\), found \(3, 69\); .*card"):
        frames_of(root)


def test_a_valid_track_without_a_key_is_refused(small):
    root, path = small
    rewrite(path, left_hand_pose=lambda _: None)
    with pytest.raises(RawSchemaError, match="'left_hand_pose' should be present, because is_valid_smplx is true"):
        frames_of(root)


def test_a_track_marked_invalid_is_not_believed_even_where_it_has_the_keys(small):
    root, path = small
    rewrite(path, is_valid_smplx=lambda _: np.array(False))
    assert all(person.body_pose is None for frame in frames_of(root) for person in frame.people)


def test_nan_rejects_the_row_and_keeps_the_picture_with_the_others(small):
    root, path = small
    rewrite(path, transl=lambda transl: transl * np.where(np.arange(3) == 1, np.nan, 1)[:, None])
    records = list(converted("gta_human2", root, "train"))
    (reject,) = [record for record in records if isinstance(record, Reject)]
    assert (reject.reason, reject.provenance.row) == ("nan_pose", "000007/1")
    assert [len(record.people) for record in records if isinstance(record, Frame)] == [2, 1, 2]


def test_keypoints_that_are_not_finite_lose_their_confidence(small):
    root, path = small
    rewrite(path, keypoints_2d=lambda points: np.where(np.arange(100)[:, None] == 5, np.nan, points))
    points = frames_of(root)[0].people[0].keypoints_2d
    assert points[5].tolist() == [0, 0, 0]
    assert points[6, 2] == 1


def test_tracks_may_end_before_others(small):
    root, path = small
    shorter = {
        name: lambda value: value[:2]
        for name in (*gta_human2.COLUMNS, *gta_human2.FIT, "num_frames")
        if name != "num_frames"
    }
    rewrite(path, **shorter, num_frames=lambda _: np.array(2))
    assert [len(frame.people) for frame in frames_of(root)] == [2, 2, 1]
    assert sum(gta_human2.count_people(source) for source in list_sources("gta_human2", root, "train")) == 5


def test_a_person_with_another_field_of_view_has_a_camera_of_its_own(small):
    root, path = small
    rewrite(path, fov=lambda _: np.array(40.0))
    first, second = frames_of(root)[0].people
    assert first.camera is None
    assert second.camera.K[0, 0] < 1159


def test_people_are_counted_as_the_tracks_say(tmp_path, built):
    truth = built(fake, tmp_path)
    counted = sum(
        get_converter("gta_human2").count_people(unit) for unit in list_sources("gta_human2", tmp_path, "train")
    )
    expected = truth.expected["train"]
    assert counted == expected["people"] + sum(expected["rejects"].values())


def test_bones_of_limbs_are_paired_and_named_once():
    names = CONVENTIONS["gta_100"]
    assert len(set(names)) == 100
    assert {name.replace("left_", "right_") for name in names if name.startswith("left_")} == {
        name for name in names if name.startswith("right_")
    }
