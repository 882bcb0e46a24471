"""What only OCHuman does."""

import json
import shutil

import numpy as np
import pytest

from ehps.converters import list_sources, ochuman
from ehps.errors import RawFileError, UnknownNameError
from ehps.shards.record import Frame, Reject
from ehps.tests.raw import ochuman as fake
from ehps.tests.raw._recovery import converted, differences, worst


def test_labels_may_lie_in_a_folder_of_their_own(tmp_path, built):
    built(fake, tmp_path, bad=False)
    (tmp_path / "annotations").mkdir()
    for path in list(tmp_path.glob("*.json")):
        path.rename(tmp_path / "annotations" / path.name)
    for split in fake.SPLITS:
        assert list_sources("ochuman", tmp_path, split)
        assert list(converted("ochuman", tmp_path, split))


def people_of(root, split="val", **options):
    records = converted("ochuman", root, split, **options)
    return [person for frame in records if isinstance(frame, Frame) for person in frame.people]


def test_without_fits_people_have_17_keypoints_and_nothing_that_was_not_labelled(tmp_path, built):
    built(fake, tmp_path, bad=False)
    for person in people_of(tmp_path, fit="none"):
        assert person.keypoints_2d_convention == "coco_17"
        assert person.keypoints_2d.shape == (17, 3)
        assert (person.body_pose, person.betas, person.body_model, person.face_bbox_xyxy) == (None,) * 4


def test_a_fit_goes_to_the_person_whose_keypoints_it_was_made_to(tmp_path, built):
    truth = built(fake, tmp_path, frames=10, bad=False)
    found = differences("ochuman", tmp_path, truth, fake.SPLITS)
    assert sum(bool(true.labelled) for true in truth.people.values()) > len(found) / 2
    assert worst(found)[0] < 0.1
    assert not any(one.missing | one.invented for one in found)


def test_fits_are_looked_for_in_both_files_of_eft(tmp_path, built):
    built(fake, tmp_path, bad=False)
    folder, (train, test) = tmp_path / "eft_fit", ochuman.FITS.values()
    fitted = [person.body_pose is not None for person in people_of(tmp_path)]
    (folder / test).unlink()
    (folder / train).rename(folder / test)
    assert [person.body_pose is not None for person in people_of(tmp_path)] == fitted
    assert any(fitted)


def test_a_fit_whose_keypoints_are_nobody_s_is_given_to_nobody(tmp_path, built):
    built(fake, tmp_path, bad=False)
    path = tmp_path / "eft_fit" / ochuman.FITS["eft_train"]
    content = json.loads(path.read_text())
    for item in content["data"]:
        item["gt_keypoint_2d"] = (np.array(item["gt_keypoint_2d"]) + [6.0, 0.0, 0.0]).tolist()
    path.write_text(json.dumps(content))
    assert not any(person.body_pose is not None for person in people_of(tmp_path))


def test_fits_that_are_asked_for_must_be_there(tmp_path, built):
    built(fake, tmp_path, bad=False)
    shutil.rmtree(tmp_path / "eft_fit")
    assert people_of(tmp_path)
    with pytest.raises(RawFileError, match=r"OCHuman_train_ver10\.json, OCHuman_test_ver10\.json; take fit=none"):
        list_sources("ochuman", tmp_path, "val", {"fit": "eft"})
    with pytest.raises(UnknownNameError, match="file of fits called 'smpl'"):
        list_sources("ochuman", tmp_path, "val", {"fit": "smpl"})


def test_boxes_become_corners(tmp_path, built):
    built(fake, tmp_path, bad=False)
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
