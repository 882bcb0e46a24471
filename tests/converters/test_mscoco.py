"""What only MSCOCO does: two files of fits, one virtual camera a person, people without a fit."""

import json
import re

import numpy as np
import pytest

from ehps.body.cameras import project
from ehps.converters import list_sources, mscoco
from ehps.converters.formats.coco_json import coco_sources
from ehps.errors import RawFileError, RawSchemaError, UnknownNameError
from ehps.shards.record import Frame, Reject
from ehps.tests.raw import mscoco as fake
from ehps.tests.raw._people import joints, standin, vertices
from ehps.tests.raw._real_fits import fit_photographs
from ehps.tests.raw._recovery import converted, differences, worst


@pytest.fixture(scope="module")
def tree(tmp_path_factory, built):
    root = tmp_path_factory.mktemp("mscoco")
    return root, built(fake, root, frames=8, fits=("neuralannot", "osx"))


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


@pytest.fixture(scope="module")
def eft_tree(tmp_path_factory, built):
    root = tmp_path_factory.mktemp("eft")
    return root, built(fake, root, frames=8, bad=False, fits=("eft", "eft_val"))


def fitted(people):
    return [person for person in people if person.body_pose is not None]


def test_eft_s_bodies_are_smpl_in_the_camera_of_their_box(eft_tree):
    for split in fake.SPLITS:
        people = fitted(people_of(eft_tree[0], split))
        assert people
        for person in people:
            assert (person.body_model, person.gender, person.body_pose.shape) == ("smpl", "neutral", (23, 3))
            assert (person.camera.kind, person.transl_is_metric) == ("virtual_crop", False)
            assert (person.left_hand_pose, person.jaw_pose, person.labels.face) == (None,) * 3


def test_eft_s_bodies_stand_where_they_were_put(eft_tree):
    root, truth = eft_tree
    found = differences("mscoco", root, truth, fake.SPLITS)
    by_eft = [one for one, true in zip(found, truth.people.values(), strict=True) if true.body_model == "smpl"]
    assert len(by_eft) > 5
    assert worst(by_eft)[0] < 0.1
    assert worst(by_eft)[1] < 0.1
    assert not any(one.missing | one.invented for one in by_eft)


def test_the_virtual_camera_is_eft_s_weak_perspective_but_for_the_depth_of_the_body(eft_tree):
    root, truth = eft_tree
    items = json.loads((root / "eft_fit" / mscoco.FITS["eft"]).read_text())["data"]
    for item in items:
        true = truth.people["train", item["imageName"][-16:-4], str(item["annotId"])]
        vertices = true.vertices().astype(np.float64)
        (scale, *shift), half = item["parm_cam"], 100 * item["bbox_scale"]
        body = vertices - true.parameters["transl"]
        weak = item["bbox_center"] + half * (scale * body[:, :2] + shift)
        assert np.abs(project(vertices, true.K) - weak).max() < 0.015 * half


def test_files_are_asked_in_the_order_that_the_option_gives(tmp_path, built):
    built(fake, tmp_path, frames=8, bad=False, fits=("neuralannot", "eft", "eft_val"))
    models = {}
    for fit in ("auto", "neuralannot+eft+eft_val", "eft+neuralannot", "eft", "none"):
        people = [*people_of(tmp_path, "train", fit=fit), *people_of(tmp_path, "val", fit=fit)]
        models[fit] = [person.body_model for person in people]
        for person in fitted(people):
            assert person.provenance.file.split("/")[-1] in [
                mscoco.FITS[name] for name in (*fit.split("+"), "neuralannot", "eft_val") if name in mscoco.FITS
            ]
    assert set(models["none"]) == {None}
    counts = {fit: [names.count(model) for model in ("smplx", "smpl")] for fit, names in models.items()}
    assert counts["neuralannot+eft+eft_val"][0] == counts["auto"][0] > counts["eft+neuralannot"][0] > counts["eft"][0]
    assert counts["eft"][0] == 0 < counts["eft"][1] == counts["eft+neuralannot"][1]


def test_files_of_the_other_split_are_passed_over(eft_tree):
    assert not fitted(people_of(eft_tree[0], "val", fit="eft"))
    assert fitted(people_of(eft_tree[0], "val", fit="eft+eft_val"))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"bbox_scale": 0.0}, "bbox_scale must be > 0, got 0.0"),
        ({"parm_cam": [-0.5, 0, 0]}, "parm_cam: the scale must be > 0"),
        ({"parm_pose": np.zeros((23, 3, 3)).tolist()}, r"parm_pose: expected finite numbers of shape \(24, 3, 3\)"),
        ({"parm_pose": (-np.eye(3) * np.ones((24, 1, 1))).tolist()}, "holds a matrix that is no rotation"),
        ({"parm_shape": [float("nan")] * 10}, "parm_shape"),
        ({"imageName": "COCO_train2014_000000999999.jpg"}, "the fit belongs to COCO_train2014_000000999999.jpg"),
    ],
)
def test_a_broken_fit_of_eft_rejects_the_person_and_says_why(tmp_path, change, problem, built):
    built(fake, tmp_path, bad=False, fits=("eft",))
    path = tmp_path / "eft_fit" / mscoco.FITS["eft"]
    content = json.loads(path.read_text())
    content["data"][1] |= change
    path.write_text(json.dumps(content))
    (reject,) = [record for record in converted("mscoco", tmp_path, "train") if isinstance(record, Reject)]
    assert reject.reason == "bad_fit"
    assert reject.provenance.row == str(content["data"][1]["annotId"])
    assert re.search(f"item 1: .*{problem}", reject.detail)


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


def test_the_other_layout_of_pictures_is_read_too(tmp_path, built):
    built(fake, tmp_path, bad=False)
    (tmp_path / "images" / "val2017").rename(tmp_path / "val2017")
    assert len(people_of(tmp_path, "val")) == fake.EXPECTED["val"]["people"]


def test_a_wanted_file_of_fits_must_be_there(tmp_path, built):
    built(fake, tmp_path, bad=False)
    with pytest.raises(RawFileError, match=r"none of the files annotations/MSCOCO_train_SMPLX\.json"):
        list_sources("mscoco", tmp_path, "train", {"fit": "osx"})
    with pytest.raises(UnknownNameError, match="did you mean neuralannot"):
        list_sources("mscoco", tmp_path, "train", {"fit": "neuralanot"})


def test_without_fits_keypoints_alone_are_converted(tmp_path, built):
    built(fake, tmp_path, bad=False, fits=())
    people = people_of(tmp_path)
    assert people
    assert all(person.body_pose is None for person in people)


def test_blocks_cover_every_image_once(tree):
    (whole,) = list_sources("mscoco", tree[0], "val")
    blocks = coco_sources(tree[0], "val", whole.files, images_per_unit=2)
    keys = [record.key for block in blocks for record in mscoco.frames(block)]
    assert len(blocks) > 1
    assert keys == [record.key for record in mscoco.frames(whole)]


def test_an_annotation_file_of_another_kind_names_the_missing_field(tmp_path, built):
    built(fake, tmp_path, bad=False)
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


@pytest.mark.real
def test_meshes_land_where_they_were_put_on_real_photographs(real_dir, tmp_path):
    truth = fit_photographs(real_dir / "mscoco", tmp_path)
    frames = [record for record in converted("mscoco", tmp_path, "train") if isinstance(record, Frame)]
    found = {(f.key, person.provenance.row): person for f in frames for person in f.people if person.betas is not None}
    assert found.keys() == truth.keys()
    assert len(found) >= 8
    for key, true in truth.items():
        person = found[key]
        (body,) = vertices(standin(), [{name: getattr(person, name).astype(np.float64) for name in true.parameters}])
        assert np.abs(project(body, person.camera.K) - project(true.vertices(), true.K)).max() < 0.1
        left, top, right, bottom = person.bbox_xyxy
        landed = project(joints(standin(), [true.parameters])[0, :22], true.K).mean(axis=0)
        assert ([left, top] < landed).all(), "nobody stands beside the person's box"
        assert (landed < [right, bottom]).all()
