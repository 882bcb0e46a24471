"""What only MSCOCO does: two files of fits, one virtual camera a person, people without a fit."""

import json

import numpy as np
import pytest

from ehps.converters import list_sources, mscoco
from ehps.converters.formats.coco_json import coco_sources
from ehps.errors import RawFileError, RawSchemaError, UnknownNameError
from ehps.shards.record import Frame, Reject
from ehps.tests.raw import mscoco as fake
from ehps.tests.raw._recovery import converted, differences, worst


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("mscoco")
    return root, fake.build(root, frames=8, fits=("neuralannot", "osx"))


def people_of(root, split="train", **options):
    records = converted("mscoco", root, split, **options)
    return [person for frame in records if isinstance(frame, Frame) for person in frame.people]


def test_a_person_s_camera_is_virtual_and_depth_is_not_metric(tree):
    fitted = [person for person in people_of(tree[0]) if person.body_pose is not None]
    assert fitted
    for person in fitted:
        assert person.camera.kind == "virtual_crop"
        assert person.transl_is_metric is False
        assert person.transl[2] > 20
        assert person.quality["crop_mismatch"] < 1e-3
    assert len({person.camera.K[0, 0] for person in fitted}) == len(fitted)


def test_a_frame_has_no_camera_of_its_own(tree):
    frames = [record for record in converted("mscoco", tree[0], "train") if isinstance(record, Frame)]
    assert all(frame.camera.K is None and frame.camera.kind == "none" for frame in frames)


def test_people_without_a_fit_keep_their_keypoints(tree):
    unfitted = [person for person in people_of(tree[0]) if person.body_pose is None]
    assert unfitted
    for person in unfitted:
        assert person.keypoints_2d.shape == (133, 3)
        assert person.labels.body is None
        assert person.body_model is None


def test_parts_flagged_invalid_are_absent(tree):
    people = people_of(tree[0])
    for side in ("left", "right"):
        for person in people:
            points = person.keypoints_2d[91:112] if side == "left" else person.keypoints_2d[112:133]
            valid = bool(points[:, 2].any())
            assert (getattr(person, f"{side}_hand_bbox_xyxy") is not None) == valid
            if person.body_pose is not None:
                assert (getattr(person, f"{side}_hand_pose") is not None) == valid
    assert len({person.left_hand_pose is None for person in people if person.body_pose is not None}) == 2


def test_detected_hands_count_although_their_confidence_is_low(tree):
    people = people_of(tree[0])
    assert {float(value) for person in people for value in person.keypoints_2d[91:, 2]} == {0.0, 1.0}


def test_provenance_names_the_file_of_fits_and_the_option_chooses_it(tree):
    def files(**options):
        return {person.provenance.file for person in people_of(tree[0], **options) if person.body_pose is not None}

    assert files() == files(fit="neuralannot")
    assert files() == {f"annotations/coco_wholebody_train_v1.0.json;annotations/{mscoco.FITS['neuralannot']}"}
    assert files(fit="osx") == {f"annotations/coco_wholebody_train_v1.0.json;annotations/{mscoco.FITS['osx']}"}
    assert files(fit="none") == set()


def test_the_other_file_holds_other_fits(tree):
    assert worst(differences("mscoco", *tree, ["train"], fit="neuralannot"))[0] < 0.1
    assert worst(differences("mscoco", *tree, ["train"], fit="osx"))[0] > 1


def test_fits_without_flags_take_those_of_the_annotation(tree):
    ours = {person.provenance.row: person for person in people_of(tree[0])}
    for person in people_of(tree[0], fit="osx"):
        assert (person.left_hand_pose is None) == (ours[person.provenance.row].left_hand_pose is None)


def test_val_has_coco_s_own_keypoints_and_no_fits(tree):
    for person in people_of(tree[0], "val", fit="osx"):
        assert person.keypoints_2d_convention == "coco_17"
        assert person.body_pose is None


def test_a_broken_fit_rejects_the_person_and_says_why(tree):
    rejects = [r for r in converted("mscoco", tree[0], "train") if isinstance(r, Reject) and r.reason == "bad_fit"]
    assert any("smplx_param.body_pose: expected 63 values, got 60" in reject.detail for reject in rejects)


def test_every_annotation_is_written_or_rejected(tree):
    for split, name in (("train", "coco_wholebody_train_v1.0.json"), ("val", "person_keypoints_val2017.json")):
        annotations = json.loads((tree[0] / "annotations" / name).read_text())["annotations"]
        records = converted("mscoco", tree[0], split)
        assert sum(len(r.people) if isinstance(r, Frame) else r.people for r in records) == len(annotations)


def test_the_other_layout_of_pictures_is_read_too(tmp_path):
    fake.build(tmp_path, bad=False)
    (tmp_path / "images" / "val2017").rename(tmp_path / "val2017")
    assert len(people_of(tmp_path, "val")) == fake.EXPECTED["val"]["people"]


def test_a_wanted_file_of_fits_must_be_there(tmp_path):
    fake.build(tmp_path, bad=False)
    with pytest.raises(RawFileError, match=r"none of the files MSCOCO_train_SMPLX\.json"):
        list_sources("mscoco", tmp_path, "train", {"fit": "osx"})
    with pytest.raises(UnknownNameError, match="did you mean neuralannot"):
        list_sources("mscoco", tmp_path, "train", {"fit": "neuralanot"})


def test_without_fits_keypoints_alone_are_converted(tmp_path):
    fake.build(tmp_path, bad=False, fits=())
    people = people_of(tmp_path)
    assert people
    assert all(person.body_pose is None for person in people)


def test_blocks_cover_every_image_once(tree):
    (whole,) = list_sources("mscoco", tree[0], "val")
    blocks = coco_sources(tree[0], "val", whole.files, images_per_unit=2)
    keys = [record.key for block in blocks for record in mscoco.frames(block)]
    assert len(blocks) > 1
    assert keys == [record.key for record in mscoco.frames(whole)]


def test_an_annotation_file_of_another_kind_names_the_missing_field(tmp_path):
    fake.build(tmp_path, bad=False)
    path = tmp_path / "annotations" / "person_keypoints_val2017.json"
    path.write_text('{"images": [], "categories": []}')
    with pytest.raises(RawSchemaError, match="field 'annotations' should be present"):
        list_sources("mscoco", tmp_path, "val")


@pytest.mark.real
def test_real_photographs_convert(real_dir):
    records = list(converted("mscoco", real_dir / "mscoco", "val"))
    frames = [record for record in records if isinstance(record, Frame)]
    assert len(frames) == 4
    assert sum(len(frame.people) for frame in frames) == 12
    assert [record.reason for record in records if isinstance(record, Reject)] == ["no_keypoints"] * 2
    for frame in frames:
        for person in frame.people:
            points = person.keypoints_2d[person.keypoints_2d[:, 2] > 0, :2]
            assert points.min() >= 0
            assert (points.max(axis=0) < [frame.width, frame.height]).all()
            left, top, right, bottom = person.bbox_xyxy
            inside = (points >= [left - 15, top - 15]) & (points <= [right + 15, bottom + 15])
            assert np.mean(inside.all(axis=1)) > 0.95
