"""What only InterHand2.6M does."""

import json

import numpy as np
import pytest

from ehps.body.joints import mirrored_name
from ehps.body.keypoints import CONVENTIONS
from ehps.cards import load_card
from ehps.converters import interhand26m, list_sources
from ehps.converters.batch import examine
from ehps.converters.bodies import Bodies
from ehps.converters.engine import convert
from ehps.errors import RawFileError, RawSchemaError, UnknownNameError
from ehps.shards.record import Frame, Reject
from ehps.tests.raw import interhand26m as fake
from ehps.tests.raw._recovery import converted


def file_of(root, name, split="train"):
    return root / "annotations" / split / f"InterHand2.6M_{split}_{name}.json"


def read(root, name, split="train"):
    return json.loads(file_of(root, name, split).read_text())


def rewrite(root, name, change):
    content = read(root, name)
    change(content)
    file_of(root, name).write_text(json.dumps(content))


def frames_of(root, split="train", **options):
    return [record for record in converted("interhand26m", root, split, **options) if isinstance(record, Frame)]


def test_the_owner_s_order_has_tips_first_and_the_right_hand_first():
    names = CONVENTIONS["interhand_42"]
    assert names[:5] == ("right_thumb", "right_thumb_3", "right_thumb_2", "right_thumb_1", "right_index")
    assert (names[20], names[41]) == ("right_wrist", "left_wrist")
    assert all(mirrored_name(names[i]) == names[i + 21] for i in range(21))


def test_hands_with_a_fit_have_poses_and_others_joints_alone(root):
    found = set()
    for frame in frames_of(root):
        (person,) = frame.people
        fit = read(root, "MANO_NeuralAnnot")[frame.sequence.split("/")[0][7:]].get(str(frame.frame_index), {})
        fitted = {side for side in ("left", "right") if fit.get(side)}
        marked = person.keypoints_3d[:, 3] > 0
        for side, first in (("right", 0), ("left", 21)):
            assert (getattr(person, f"{side}_hand_pose") is not None) == (side in fitted)
            assert (getattr(person, f"{side}_hand_orient") is not None) == (side in fitted)
            assert marked[first + 20] or side not in fitted
        assert person.body_model == ("mano" if fitted else None)
        found.add((tuple(sorted(fitted)), bool(marked[:21].any()), bool(marked[21:].any())))
    assert {
        (("right",), True, False),
        (("right",), True, True),
        (("left", "right"), True, True),
        ((), True, True),
    } <= found


def test_two_fitted_hands_have_no_common_betas(root):
    for frame in frames_of(root):
        (person,) = frame.people
        fitted = (person.left_hand_pose is not None) + (person.right_hand_pose is not None)
        assert (person.betas is not None) == (person.labels.shape is not None) == (fitted == 1)


def test_nothing_of_the_body_is_labelled(root):
    for frame in frames_of(root):
        for person in frame.people:
            assert (person.body_pose, person.global_orient, person.transl, person.labels.body) == (None,) * 4


def test_joints_count_where_both_files_say_so(root):
    labels = read(root, "data")
    images = {image["id"]: image for image in labels["images"]}
    people = {person.provenance.row: person for frame in frames_of(root) for person in frame.people}
    for annotation in labels["annotations"]:
        image, person = images[annotation["image_id"]], people[str(annotation["id"])]
        frame = read(root, "joint_3d")[str(image["capture"])][str(image["frame_idx"])]
        known, seen = np.ravel(frame["joint_valid"]), np.ravel(annotation["joint_valid"]) > 0
        assert ((person.keypoints_3d[:, 3] > 0) == known).all()
        assert ((person.keypoints_2d[:, 2] > 0) == (known & seen)).all()
        assert not person.keypoints_3d[~known].any(), "no joint at the owner's [1, 1, 1]"


def test_pictures_lie_or_stand_as_the_owner_says(root):
    frames = frames_of(root)
    assert {(frame.camera_name, frame.width, frame.height) for frame in frames} == {
        ("400002", 334, 512),
        ("410028", 512, 334),
    }
    assert {frame.sequence for frame in frames} == {"Capture0/0007_thumbup_fake", "Capture12/0007_thumbup_fake"}


def test_a_camera_stands_where_campos_says(root):
    frame = frames_of(root)[0]
    centre = read(root, "camera")["0"]["campos"][frame.camera_name]
    T = frame.camera.T_camera_world
    np.testing.assert_allclose(-T[:3, :3].T @ T[:3, 3], np.array(centre) / 1000, atol=1e-9)


def test_the_engine_boxes_each_hand_within_the_owner_s_box(root):
    outcome = examine(frames_of(root), Bodies(None), load_card("interhand26m").checks)
    assert not outcome.rejects
    for frame in outcome.frames:
        (person,) = frame.people
        for side, points in (("right", slice(0, 21)), ("left", slice(21, 42))):
            box, seen = getattr(person, f"{side}_hand_bbox_xyxy"), person.keypoints_2d[points, 2] > 0
            assert (box is not None) == (seen.sum() >= 4)
            if box is not None:
                left, top, right, bottom = person.bbox_xyxy
                margin = 0.1 * max(right - left, bottom - top) + 1
                assert (box >= [left - margin, top - margin, 0, 0]).all()
                assert (box <= [1e4, 1e4, right + margin, bottom + margin]).all()


def test_every_split_converts(root, tmp_path):
    reports = convert("interhand26m", root, tmp_path, catalog=False)
    assert {report.split: report.people for report in reports} == {"train": 12, "val": 4, "test": 4}
    assert not any(report.rejects for report in reports)


def test_joints_alone_convert_only_when_asked_for(small):
    file_of(small, "MANO_NeuralAnnot").unlink()
    with pytest.raises(RawFileError, match="fit=none"):
        list_sources("interhand26m", small, "train")
    people = [person for frame in frames_of(small, fit="none") for person in frame.people]
    assert len(people) == 12
    assert {(person.body_model, person.right_hand_pose, person.betas) for person in people} == {(None, None, None)}
    with pytest.raises(UnknownNameError, match="neuralannot"):
        list_sources("interhand26m", small, "train", {"fit": "neuralanot"})


def test_a_capture_without_cameras_is_named_and_not_lost(small):
    rewrite(small, "camera", lambda content: content.pop("12"))
    with pytest.raises(RawSchemaError, match=r"data.json: captures should be those of .*camera.json, found also 12"):
        frames_of(small)


def test_an_annotation_of_no_picture_is_named(small):
    rewrite(small, "data", lambda content: content["images"].pop())
    with pytest.raises(RawSchemaError, match=r"image_id of annotation \d+ should be one of images"):
        frames_of(small)


def test_a_field_that_is_missing_is_named(small):
    rewrite(small, "data", lambda content: content["images"][3].pop("frame_idx"))
    with pytest.raises(RawSchemaError, match="field 'frame_idx' should be present"):
        frames_of(small)


def test_rejects_name_capture_and_frame(tmp_path, built):
    expected = built(fake, tmp_path).expected["train"]
    rejects = [record for record in converted("interhand26m", tmp_path, "train") if isinstance(record, Reject)]
    (missing,) = [reject for reject in rejects if reject.reason == "missing_joints"]
    assert "Capture0/0007_thumbup_fake frame 90000" in missing.detail
    counted = sum(interhand26m.count_people(unit) for unit in list_sources("interhand26m", tmp_path, "train"))
    assert counted == expected["people"] + sum(expected["rejects"].values()) == 20


@pytest.mark.real
def test_real_hands_lie_where_the_owner_s_boxes_are(real_dir):
    frames = frames_of(real_dir / "interhand26m", "test", fit="none")
    assert [(frame.width, frame.height) for frame in frames] == [(334, 512), (334, 512), (512, 334), (334, 512)]
    hands = []
    for frame in frames:
        (person,) = frame.people
        points = person.keypoints_2d[person.keypoints_2d[:, 2] > 0, :2]
        low, high = points.min(axis=0), points.max(axis=0)
        # The owner's box is that of the same joints, grown by a fifth about its middle.
        own = np.concatenate([low - 0.1 * (high - low), high + 0.1 * (high - low)])
        np.testing.assert_allclose(own, person.bbox_xyxy, atol=1.5)
        depth = person.keypoints_3d[person.keypoints_3d[:, 3] > 0, 2]
        assert 0.8 < depth.min() < depth.max() < 1.3
        hands.append((bool(person.keypoints_2d[:21, 2].all()), bool(person.keypoints_2d[21:, 2].all())))
    assert hands == [(True, True), (True, True), (True, False), (False, True)]
