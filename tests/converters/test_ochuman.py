"""What only OCHuman does."""

import json

import pytest

from ehps.converters import list_sources
from ehps.shards.record import Frame, Reject
from ehps.tests.raw import ochuman as fake
from ehps.tests.raw._recovery import converted


def test_labels_may_lie_in_a_folder_of_their_own(tmp_path):
    fake.build(tmp_path, bad=False)
    (tmp_path / "annotations").mkdir()
    for path in list(tmp_path.glob("*.json")):
        path.rename(tmp_path / "annotations" / path.name)
    for split in fake.SPLITS:
        assert list_sources("ochuman", tmp_path, split)
        assert list(converted("ochuman", tmp_path, split))


def test_people_have_17_keypoints_and_nothing_that_was_not_labelled(tmp_path):
    fake.build(tmp_path, bad=False)
    for frame in converted("ochuman", tmp_path, "val"):
        for person in frame.people:
            assert person.keypoints_2d_convention == "coco_17"
            assert person.keypoints_2d.shape == (17, 3)
            assert (person.body_pose, person.betas, person.body_model, person.face_bbox_xyxy) == (None,) * 4


def test_boxes_become_corners(tmp_path):
    fake.build(tmp_path, bad=False)
    path = tmp_path / "ochuman_coco_format_val_range_0.00_1.00.json"
    x, y, width, height = json.loads(path.read_text())["annotations"][0]["bbox"]
    frame = next(iter(converted("ochuman", tmp_path, "val")))
    assert frame.people[0].bbox_xyxy.tolist() == [x, y, x + width, y + height]


@pytest.mark.real
def test_real_photographs_convert(real_dir):
    records = list(converted("ochuman", real_dir / "ochuman", "val"))
    frames = [record for record in records if isinstance(record, Frame)]
    assert sum(len(frame.people) for frame in frames) == 5
    assert not [record for record in records if isinstance(record, Reject)]
