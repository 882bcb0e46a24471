"""What only FreiHAND does."""

import json

import numpy as np
import pytest

from ehps.body.keypoints import CONVENTIONS
from ehps.converters import freihand, list_sources
from ehps.converters.engine import convert
from ehps.errors import RawFileError, RawSchemaError
from ehps.shards.record import Frame, Reject
from ehps.tests.raw import freihand as fake
from ehps.tests.raw._recovery import converted


def frames_of(root, split="train"):
    return [record for record in converted("freihand", root, split) if isinstance(record, Frame)]


def rewrite(path, change):
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def test_four_pictures_of_a_sample_share_its_labels(root):
    frames = {frame.key: frame.people[0] for frame in frames_of(root)}
    assert list(frames) == [f"{number:08d}" for number in range(8)]
    assert [unit.name for unit in list_sources("freihand", root, "train")] == ["gs", "hom", "sample", "auto"]
    for number in range(8):
        first, again = frames[f"{number % 2:08d}"], frames[f"{number:08d}"]
        assert np.array_equal(first.right_hand_pose, again.right_hand_pose)
        assert first.provenance == again.provenance
    assert not np.array_equal(frames["00000000"].right_hand_pose, frames["00000001"].right_hand_pose)


def test_the_evaluation_set_is_the_test_split(root):
    (unit,) = list_sources("freihand", root, "test")
    assert unit.name == "evaluation"
    assert {frame.image.parent.parent.name for frame in frames_of(root, "test")} == {"evaluation"}


def test_hands_are_absolute_and_the_root_is_left_alone(root):
    pose = np.array(json.loads((root / "training_mano.json").read_text())[0][0])
    person = frames_of(root)[0].people[0]
    np.testing.assert_allclose(person.right_hand_orient, pose[:3], atol=1e-5)
    # MANO's mean right hand begins with these numbers.
    np.testing.assert_allclose(person.right_hand_pose[0] - pose[3:6], [0.11167871, -0.04289218, 0.41644183], atol=1e-6)


def test_only_the_right_hand_is_labelled_and_nothing_of_the_body(root):
    for frame in frames_of(root):
        (person,) = frame.people
        assert (person.left_hand_pose, person.left_hand_orient, person.labels.left_hand) == (None, None, None)
        assert (person.body_pose, person.global_orient, person.transl, person.labels.body) == (None,) * 4
        assert (person.body_model, person.gender, person.betas.shape) == ("mano", "neutral", (10,))


def test_joints_come_thumb_first(root):
    names = CONVENTIONS["right_hand_21"]
    assert names[:6] == (
        "right_wrist",
        "right_thumb_1",
        "right_thumb_2",
        "right_thumb_3",
        "right_thumb",
        "right_index_1",
    )
    assert (names[9], names[20]) == ("right_middle_1", "right_pinky")
    joints = np.array(json.loads((root / "training_xyz.json").read_text())[0])
    np.testing.assert_allclose(frames_of(root)[0].people[0].keypoints_3d[:, :3], joints, atol=1e-6)


def test_the_engine_finds_boxes_of_person_and_hand(root, tmp_path):
    (report,) = convert("freihand", root, tmp_path, "test", catalog=False)
    assert (report.people, report.rejects) == (2, {})


def test_lists_of_different_lengths_are_named_with_them(small):
    rewrite(small / "training_mano.json", lambda values: values[:1])
    with pytest.raises(RawSchemaError, match=r"training_K.json 2, training_mano.json 1, training_xyz.json 2"):
        frames_of(small)


def test_lists_that_are_too_short_for_the_pictures_are_refused(small):
    for kind in freihand.LISTS:
        rewrite(small / f"training_{kind}.json", lambda values: values[:1])
    with pytest.raises(RawSchemaError, match=r"1 samples, and a picture 00000004.jpg"):
        frames_of(small)


def test_a_list_that_is_none_is_refused(small):
    (small / "training_xyz.json").write_text("{}")
    with pytest.raises(RawSchemaError, match="the lists should be of one length"):
        frames_of(small)


def test_labels_of_the_evaluation_set_must_be_there(small):
    (small / "evaluation_mano.json").unlink()
    with pytest.raises(RawFileError, match=r"evaluation_mano\.json"):
        list_sources("freihand", small, "test")


def test_a_sample_of_another_shape_is_refused_in_all_its_pictures(small):
    rewrite(small / "training_xyz.json", lambda values: [values[0][:20], values[1]])
    records = list(converted("freihand", small, "train"))
    rejects = [record for record in records if isinstance(record, Reject)]
    assert [reject.key for reject in rejects] == ["00000000", "00000002", "00000004", "00000006"]
    assert {reject.reason for reject in rejects} == {"bad_joints"}
    assert len(records) == 8


def test_people_are_counted_as_the_lists_tell(tmp_path, built):
    expected = built(fake, tmp_path).expected["train"]
    counted = sum(freihand.count_people(unit) for unit in list_sources("freihand", tmp_path, "train"))
    assert counted == expected["people"] + sum(expected["rejects"].values())
