"""What only HumanData files do."""

import io
import shutil
import tracemalloc
import zipfile

import numpy as np
import pytest

from ehps.body.cameras import project
from ehps.body.hands import LEFT_HAND_MEAN, RIGHT_HAND_MEAN
from ehps.body.joints import HUMAN_DATA_JOINTS, LEFT_HAND_21, RIGHT_HAND_21
from ehps.body.keypoints import CONVENTIONS
from ehps.converters import humandata, list_sources
from ehps.converters.engine import convert
from ehps.converters.formats import npz_stream
from ehps.converters.formats.humandata import Choices, HumanDataFile, split_of
from ehps.converters.formats.npz_stream import NpzStream, Rows
from ehps.errors import RawFileError, RawSchemaError, UnknownNameError, UnsafePickleError
from ehps.shards.record import Frame, Reject
from ehps.tests.raw import humandata as fake
from ehps.tests.raw._people import body_model, standin, tight_box, vertices
from ehps.tests.raw._recovery import converted, differences, worst

FACE = range(76, 144)


@pytest.fixture(scope="module")
def tree(tmp_path_factory, built):
    root = tmp_path_factory.mktemp("humandata")
    return root, built(fake, root, bad=False)


@pytest.fixture
def small(tree, tmp_path):
    """A tree that a test may spoil, and the compressed file of it."""
    shutil.copytree(tree[0], tmp_path, dirs_exist_ok=True)
    return tmp_path, tmp_path / "annot" / "ffhq_train_231010.npz"


def frames_of(root, split="train", **options):
    return [record for record in converted("humandata", root, split, **options) if isinstance(record, Frame)]


def people_of(root, split="train", **options):
    """Everyone by the name of the file and the row."""
    found = [(frame, person) for frame in frames_of(root, split, **options) for person in frame.people]
    return {(frame.key.split("/")[0], int(person.provenance.row)): person for frame, person in found}


def rewrite(path, **changes):
    """Replace entries of a file; one that becomes None goes."""
    with np.load(path, allow_pickle=True) as held:
        content = {name: held[name] if held[name].ndim else held[name].item() for name in held.files}
    content |= {name: change(content.get(name)) for name, change in changes.items()}
    np.savez_compressed(path, **{name: value for name, value in content.items() if value is not None})


def test_rows_of_a_picture_are_gathered_from_all_over_the_file(tree):
    frames = [frame for frame in frames_of(tree[0]) if frame.key.startswith("ffhq")]
    rows = {frame.key: [int(person.provenance.row) for person in frame.people] for frame in frames}
    assert sorted(map(len, rows.values())) == [1, 2, 2, 2, 2]
    assert all(abs(two - one) > 1 for one, two in (found for found in rows.values() if len(found) == 2))


@pytest.mark.parametrize("block", [1, 2, 7])
def test_blocks_of_any_size_make_the_same_people(tree, monkeypatch, block):
    before = people_of(tree[0])
    monkeypatch.setattr(humandata, "BLOCK", block)
    after = people_of(tree[0])
    assert before.keys() == after.keys()
    for row, person in before.items():
        np.testing.assert_array_equal(person.body_pose, after[row].body_pose)
        np.testing.assert_array_equal(person.keypoints_2d, after[row].keypoints_2d)


def test_the_split_is_in_the_name_of_the_file(tmp_path):
    names = {"latest_train": "train", "agora_test_2": "test", "x_val": "val", "validation": "val", "coco": "train"}
    assert {name: split_of(tmp_path / f"{name}.npz") for name in names} == names


def test_a_pattern_takes_files_for_any_split(tree):
    assert {unit.name for unit in list_sources("humandata", tree[0], "test", {"files": "annot/pw3d*"})} == {
        "annot-pw3d_val_new"
    }
    assert len(people_of(tree[0], "test", files="annot/pw3d*.npz")) == 4


def test_hands_follow_what_the_file_says_then_the_name_of_the_release_then_the_loaders(tree):
    annot = tree[0] / "annot"
    found = {path.stem: HumanDataFile(path).absolute_hands for path in annot.glob("*.npz")}
    assert found == {
        "ffhq_train_231010": False,
        "bedlam_train_old": True,
        "studio_test_multi": True,
        "pw3d_val_new": False,
    }


@pytest.mark.parametrize(
    ("name", "is_absolute"),
    [
        ("p1_train", True),
        ("p2_val", True),
        ("synbody_train_230521", True),
        ("p1_train_2", False),
        ("coco_train", False),
    ],
)
def test_a_release_that_says_nothing_is_known_by_the_name_of_its_file(tree, tmp_path, name, is_absolute):
    """ARCTIC's files are called p1_train and p1_val; with the mean hand added once more its fingers are bent."""
    path = tmp_path / f"{name}.npz"
    shutil.copy(tree[0] / "annot" / "bedlam_train_old.npz", path)
    rewrite(path, smplx=lambda fit: {name: values for name, values in fit.items() if name != "flat_hand_mean"})
    with HumanDataFile(path) as file, HumanDataFile(path, Choices(hands="absolute")) as flat:
        assert file.absolute_hands == is_absolute
        found, want = (next(one.blocks(9)) for one in (file, flat))
    poses = [
        {n: block[n][i].astype(np.float64) for n in fake.WHOLE if n in block} | {"transl": np.zeros(3)}
        for block in (found, want)
        for i in range(5)
    ]
    bodies = 1000 * vertices(standin(), poses).reshape(2, 5, -1, 3)
    farthest = np.linalg.norm(bodies[0] - bodies[1], axis=-1).max(axis=1)
    assert (farthest < 0.01).all() if is_absolute else (farthest > 50).all()


def test_a_file_whose_rows_disagree_about_the_mean_hand_is_refused(small):
    root = small[0]
    rewrite(root / "annot" / "bedlam_train_old.npz", smplx=lambda fit: fit | {"flat_hand_mean": np.arange(5) > 2})
    with pytest.raises(RawSchemaError, match="flat_hand_mean should be one value for all rows"):
        frames_of(root)


def test_the_mean_hand_is_added_on_its_own_side(tree):
    deviations = people_of(tree[0], keypoints="none")[("ffhq_train_231010", 0)]
    as_absolute = people_of(tree[0], hands="absolute")[("ffhq_train_231010", 0)]
    for side, mean in (("left", LEFT_HAND_MEAN), ("right", RIGHT_HAND_MEAN)):
        difference = getattr(deviations, f"{side}_hand_pose") - getattr(as_absolute, f"{side}_hand_pose")
        np.testing.assert_allclose(difference, mean, atol=1e-6)


def test_a_hand_of_exact_zeros_in_a_file_of_deviations_is_absent(small):
    root, path = small
    rewrite(path, smplx=lambda fit: fit | {"right_hand_pose": fit["right_hand_pose"] * 0})
    for (stem, _), person in people_of(root).items():
        assert (person.right_hand_pose is None) == (stem == "ffhq_train_231010")
        assert (person.labels.right_hand is None) == (stem == "ffhq_train_231010")
        assert person.left_hand_pose is not None


@pytest.mark.parametrize(("place", "names"), [("smplx", "left_hand_valid"), ("meta", "lefthand_valid")])
def test_hands_and_faces_that_the_file_calls_invalid_are_absent(small, place, names):
    """NeuralAnnot's COCO and UBody: what a network guessed of a hand that nobody could see is no label."""
    root, path = small
    is_valid = np.arange(9) % 3 > 0
    flags = {names: is_valid, names.replace("left", "right"): ~is_valid, "face_valid": is_valid}
    rewrite(path, **{place: lambda held: held | flags}, **({} if place == "meta" else {"meta": with_empty_flags}))
    for (stem, row), person in people_of(root).items():
        left = stem != "ffhq_train_231010" or is_valid[row]
        right = stem != "ffhq_train_231010" or not is_valid[row]
        carried = [getattr(person, f"{name}_pose") is not None for name in ("left_hand", "right_hand", "jaw")]
        assert carried == [left, right, left]
        assert [person.labels.left_hand, person.labels.right_hand, person.labels.face] == [
            "fitted" if is_there else None for is_there in carried
        ]
        if stem == "ffhq_train_231010":
            for points in (person.keypoints_2d, person.keypoints_3d):
                seen = [points[list(joints), -1].any() for joints in (LEFT_HAND_21[1:], RIGHT_HAND_21[1:], FACE)]
                assert seen == [left, right, left]
                assert points[[LEFT_HAND_21[0], RIGHT_HAND_21[0]], -1].all()


def with_empty_flags(meta):
    """The lists that MMHuman3D's converter of COCO leaves empty."""
    return meta | {"lefthand_valid": [], "righthand_valid": [], "face_valid": []}


def test_betas_of_zeros_are_no_shape(small):
    """ARCTIC's people have templates of their own and zeros for betas, which would be everyone's mean body."""
    root, path = small
    rewrite(path, smplx=lambda fit: fit | {"betas": fit["betas"] * 0})
    for (stem, _), person in people_of(root).items():
        assert (person.betas is None) == (person.labels.shape is None) == (stem == "ffhq_train_231010")


def test_boxes_that_the_dataset_gave_are_left_as_they_are(small):
    root, path = small
    before = people_of(root, box_scale="1")[("ffhq_train_231010", 0)].bbox_xyxy
    for misc in ({"bbox_source": "by_dataset"}, {"bbox": "by_dataset"}, {"bbox_source": "provide_by_dataset"}):
        rewrite(path, misc=lambda _, misc=misc: {"flat_hand_mean": False, **misc})
        np.testing.assert_array_equal(people_of(root)[("ffhq_train_231010", 0)].bbox_xyxy, before)
    rewrite(path, misc=lambda misc: misc | {"bbox_body_scale": 1.2})
    found = people_of(root)[("ffhq_train_231010", 0)].bbox_xyxy
    assert np.abs(found - before).max() > 10  # px


def test_cameras_that_look_at_the_middle_of_each_box_are_those_of_crops(small):
    """NeuralAnnot's COCO and MPII, whose misc calls them original: a distance of tens of metres is none."""
    root, path = small

    def of_crops(meta, boxes):
        sides = boxes[:, 2:4].max(axis=1)
        focals = 5000 / 256 * 1.25 * sides
        return meta | {
            "focal_length": np.stack([focals, focals], axis=1),
            "principal_point": boxes[:, :2] + boxes[:, 2:4] / 2 - [0.5, 0.4],
        }

    misc = {"cam_param_type": "prespective", "cam_param_source": "original", "smplx_source": "neural_annot"}
    rewrite(path, misc=lambda held: held | misc)
    assert {frame.camera.kind for frame in frames_of(root) if frame.key.startswith("ffhq")} == {"measured"}
    boxes = np.load(path)["bbox_xywh"]
    rewrite(path, meta=lambda meta: of_crops(meta, boxes))
    frames = [frame for frame in frames_of(root) if frame.key.startswith("ffhq")]
    cameras = [person.camera or frame.camera for frame in frames for person in frame.people]
    assert {camera.kind for camera in cameras} == {"virtual_crop"}
    assert not any(person.transl_is_metric for frame in frames for person in frame.people)


def test_a_transl_of_zeros_is_absent_and_so_is_one_that_the_file_lacks(small):
    root, path = small
    assert {stem for (stem, _), person in people_of(root).items() if person.transl is None} == {"bedlam_train_old"}
    rewrite(path, smplx=lambda fit: fit | {"transl": fit["transl"] * 0})
    assert all(person.transl is None for person in people_of(root).values())


def test_boxes_become_tight_and_those_without_confidence_absent(tree):
    found = {split: people_of(tree[0], split) for split in fake.SPLITS}
    for (split, key, row), true in tree[1].people.items():
        person = found[split][(key.split("/")[0], int(row))]
        tight = tight_box(project(true.joints()[:22], true.K))
        np.testing.assert_allclose(person.bbox_xyxy, tight, atol=0.01)
        assert person.face_bbox_xyxy is None
    first = found["train"][("ffhq_train_231010", 0)]
    assert first.left_hand_bbox_xyxy.tolist() == [30, 40, 80, 100]
    assert first.right_hand_bbox_xyxy.tolist() == [230, 40, 280, 100]


def test_the_scale_of_boxes_can_be_said(tree):
    one, two = (people_of(tree[0], box_scale=scale)[("ffhq_train_231010", 0)].bbox_xyxy for scale in ("1", "1.2"))
    np.testing.assert_allclose(one[2:] - one[:2], 1.2 * (two[2:] - two[:2]), rtol=1e-5)


def test_points_that_the_mask_leaves_out_have_no_confidence(tree):
    points = people_of(tree[0])[("ffhq_train_231010", 0)].keypoints_2d
    assert points.shape == (190, 3)
    assert np.flatnonzero(points[:144, 2] == 0).tolist() == [62, 88]
    assert not points[144:].any()


@pytest.mark.parametrize("compressed", [True, False])
def test_hips_of_a_detector_are_not_taken_for_those_of_the_body_model(small, compressed):
    """MMHuman3D puts COCO-WholeBody's hips, seen at the outside of the body, where SMPL-X's joints have their place."""
    root, path = small
    theirs = {name.replace("hip_extra", "hip") for name in CONVENTIONS["coco_wholebody"]}
    mask = np.array([name in theirs for name in HUMAN_DATA_JOINTS])
    points = np.random.default_rng(0).uniform(50, 400, (9, 190, 3)) * mask[:, None]
    points[:, mask, 2] = 1
    rewrite(
        path,
        keypoints2d_smplx=lambda _: None,
        keypoints2d_smplx_mask=lambda _: None,
        keypoints3d_smplx=lambda _: None,
        keypoints2d_original=lambda _: points[:, mask] if compressed else points,
        keypoints2d_original_mask=lambda _: mask.astype(np.uint8),
        __keypoints_compressed__=lambda _: compressed,
    )
    found = people_of(root)[("ffhq_train_231010", 0)].keypoints_2d
    assert not found[1:3].any()
    seen = [HUMAN_DATA_JOINTS.index(f"{side}_hip_extra") for side in ("left", "right")]
    np.testing.assert_allclose(found[seen], points[0, 1:3], rtol=1e-6)
    others = np.setdiff1d(np.flatnonzero(mask), [1, 2])
    np.testing.assert_allclose(found[others], points[0, others], rtol=1e-6)


def test_relative_points_are_not_taken_for_points_in_camera_space(small):
    root, path = small
    rewrite(path, misc=lambda misc: misc | {"kps3d_root_aligned": True})
    assert people_of(root)[("ffhq_train_231010", 0)].keypoints_3d is None


@pytest.mark.parametrize("shift", [(0, 0, 0), (0.003, -0.35, 0.01)])
def test_points_whose_root_is_at_the_camera_are_relative_though_the_file_is_silent(small, tree, shift):
    """SynBody's file and several of the first generation; taken for camera space everyone is metres too near."""
    root, path = small
    before = people_of(tree[0])[("ffhq_train_231010", 0)].keypoints_3d
    rewrite(path, keypoints3d_smplx=lambda points: points - np.append(points[:, :1, :3], [[[0]]] * 9, 2) + [*shift, 0])
    assert people_of(root)[("ffhq_train_231010", 0)].keypoints_3d is None
    assert before[0, 2] > 2, "metres from the camera"


def test_several_conventions_of_cameras_are_read(tree):
    kinds = {frame.key.split("/")[0]: frame.camera.kind for split in fake.SPLITS for frame in frames_of(tree[0], split)}
    assert kinds == {
        "ffhq_train_231010": "fitted",
        "bedlam_train_old": "fitted",
        "pw3d_val_new": "measured",
        "studio_test_multi": "fitted",
    }


def test_predicted_cameras_are_virtual_and_distances_then_not_metric(small):
    root, path = small
    rewrite(path, misc=lambda misc: misc | {"cam_param_type": "eft_camera"})
    frames = [frame for frame in frames_of(root) if frame.key.startswith("ffhq")]
    assert {frame.camera.kind for frame in frames} == {"virtual_crop"}
    assert not any(person.transl_is_metric for frame in frames for person in frame.people)


def test_people_of_one_picture_may_have_cameras_of_their_own(small):
    root, path = small

    def change(meta):
        meta["focal_length"][1] = [[900.0, 900.0]]
        return meta

    rewrite(path, meta=change)
    found = people_of(root)
    whose = [person.camera for person in found.values() if person.camera is not None]
    # Row 5 shows the same picture as row 1 and does not share its camera any more.
    assert len(whose) == 1
    assert 900 in (whose[0].K[0, 0], *(frame.camera.K[0, 0] for frame in frames_of(root)))


def test_genders_are_read_however_they_are_written(tree):
    found = {person.gender for person in people_of(tree[0], "val").values()}
    assert found == {"male", "female", "neutral"}
    assert {person.gender for person in people_of(tree[0], "val", gender="female").values()} == {"female"}


def test_a_neutral_shape_is_posed_by_the_neutral_model_whoever_the_subject_is(small):
    """BEDLAM's file: betas are betas_neutral, meta.gender is the subject's; its body would be other by centimetres."""
    root, path = small[0], small[0] / "annot" / "bedlam_train_old.npz"

    def told(**options):
        return [person for (stem, _), person in people_of(root, **options).items() if stem.startswith("bedlam")]

    assert set(HumanDataFile(path).texts("gender")) == {"m", "f"}
    neutral, female = told(), told(gender="female")
    assert {person.gender for person in neutral} == {"neutral"}
    bodies = [
        body_model("smplx", gender, 10).vertices({"betas": np.stack([one.betas for one in people]).astype(float)})
        for gender, people in (("neutral", neutral), ("female", female))
    ]
    assert 1000 * np.linalg.norm(bodies[0] - bodies[1], axis=-1).max(axis=1).min() > 40
    rewrite(path, smplx=lambda fit: {name: values for name, values in fit.items() if name != "betas"})
    assert {person.gender for person in told()} == {"neutral"}
    rewrite(path, smplx=lambda fit: fit | {"betas": fit["betas_neutral"] + np.arange(5)[:, None]})
    assert {person.gender for person in told()} == {"male", "female"}


def test_multi_human_data_may_end_its_ranges_on_the_last_person(tree, small):
    root, path = small[0], small[0] / "annot" / "studio_test_multi.npz"
    rewrite(path, frame_range=lambda ranges: ranges - [0, 1])
    found = differences("humandata", root, tree[1], ["test"])
    assert max(worst(found)) < 0.1
    rewrite(path, frame_range=lambda ranges: ranges[:1])
    with pytest.raises(RawSchemaError, match="frame_range should be of 4 rows like bbox_xywh"):
        frames_of(root, "test")


def test_kids_keep_the_weight_of_their_template(small):
    root, path = small
    rewrite(path, smplx=lambda fit: fit | {"betas_extra": np.arange(9)[:, None] / 10})
    found = {row: person.kid_weight for (stem, row), person in people_of(root).items() if stem.startswith("ffhq")}
    assert found[0] is None
    assert found[4] == pytest.approx(0.4)


def test_the_engine_finds_the_labels_of_all_generations_in_agreement(tree, tmp_path):
    reports = convert("humandata", tree[0], tmp_path, catalog=False)
    units = [unit for report in reports for unit in report.units]
    assert max(unit.measures["reprojection_px"]["max"] for unit in units if "reprojection_px" in unit.measures) < 0.1
    assert max(unit.measures["joint_error_mm"]["max"] for unit in units if "joint_error_mm" in unit.measures) < 0.1


class Foreign:
    """Something that is not plain data."""


def test_a_pickled_camera_is_not_opened_where_nobody_needs_it(small):
    root, path = small
    rewrite(path, cam_param=lambda _: [Foreign()])
    assert people_of(root)


def test_an_object_in_what_is_read_is_refused_by_name(small):
    root, path = small
    rewrite(path, meta=lambda meta: meta | {"camera": Foreign()})
    with pytest.raises(UnsafePickleError, match=r"ffhq_train_231010.npz: the pickle refers to .*Foreign.*re-save"):
        frames_of(root)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keypoints2d_smplx_mask": lambda mask: mask * (np.arange(190) != 5)}, "keypoints2d_smplx should be"),
        ({"keypoints2d_smplx_mask": lambda _: None}, "keypoints2d_smplx should be"),
        ({"smplx": lambda fit: fit | {"betas": fit["betas"][:-1]}}, r"smplx\['betas'\] should be of 9 rows"),
        ({"smplx": lambda fit: fit | {"left_hand_pose": fit["left_hand_pose"][:, :4]}}, "45 numbers .*PCA"),
        ({"image_path": lambda paths: paths[:-1]}, "image_path should be of 9 rows like bbox_xywh"),
        ({"image_path": lambda _: None}, "'image_path' should be present"),
        ({"bbox_xywh": lambda boxes: boxes[:, :3]}, r"bbox_xywh should be of shape \(9, 5\)"),
        ({"meta": lambda meta: meta | {"focal_length": [1.0, 2, 3]}}, r"meta\['focal_length'\] should be 2 numbers"),
        ({"meta": lambda meta: meta | {"gender": ["both"] * 9}}, "should be male, female or neutral, found 'both'"),
    ],
)
def test_a_file_that_contradicts_itself_is_named(small, changes, message):
    root, path = small
    rewrite(path, **changes)
    with pytest.raises(RawSchemaError, match=message):
        frames_of(root)


def test_a_missing_flag_of_compression_is_told_by_the_widths(small, tree):
    root, path = small
    rewrite(path, __keypoints_compressed__=lambda _: None)
    assert max(worst(differences("humandata", root, tree[1], ["train"]))) < 0.1


def test_a_cache_of_a_loader_is_no_humandata(tmp_path):
    np.savez(tmp_path / "cache_train.npz", **{"0": np.array(1), "data_len": 1, "data_strategy": "balance"})
    with pytest.raises(RawSchemaError, match="a cache of a released loader"):
        frames_of(tmp_path)


def test_a_file_that_is_cut_off_or_damaged_is_named(small):
    root, path = small
    data = path.read_bytes()
    path.write_bytes(data[:-200])
    with pytest.raises(RawFileError, match="is not a complete npz"):
        frames_of(root)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        start = archive.getinfo("keypoints3d_smplx.npy").header_offset
    path.write_bytes(data[: start + 3000] + bytes(200) + data[start + 3200 :])
    with pytest.raises(RawFileError, match=r"is damaged in keypoints3d_smplx.npy"):
        frames_of(root)


def test_another_body_model_can_be_asked_for_and_must_be_there(tree):
    with pytest.raises(RawSchemaError, match=r"'smplh' should be present, found of body models: smplx"):
        frames_of(tree[0], body="smplh")


@pytest.mark.parametrize("option", ["body", "keypoints", "hands", "gender", "camera", "box_scale", "origin", "size"])
def test_options_are_checked_before_anything_is_read(tree, option):
    with pytest.raises(UnknownNameError, match="there is no choice of"):
        list_sources("humandata", tree[0], "train", {option: "nonsense"})


def test_people_are_counted_as_the_rows_tell(tmp_path, built):
    expected = built(fake, tmp_path).expected["train"]
    counted = sum(humandata.count_people(unit) for unit in list_sources("humandata", tmp_path, "train"))
    assert counted == expected["people"] + sum(expected["rejects"].values())


def test_marks_of_the_loaders_reject_rows(small):
    root, path = small
    rewrite(path, meta=lambda meta: meta | {"iscrowd": [0] * 8 + [1], "num_keypoints": [0] + [3] * 8})
    found = [record for record in converted("humandata", root, "train") if isinstance(record, Reject)]
    assert {(reject.reason, reject.provenance.row) for reject in found} == {("not_valid", "0"), ("not_valid", "8")}


# Npz files larger than memory.


@pytest.fixture
def dictionary(tmp_path, monkeypatch):
    """A file with a dictionary whose larger array is passed over, and what it holds."""
    monkeypatch.setattr(npz_stream, "LARGE", 70_000)
    values = np.random.default_rng(0).normal(size=(5000, 7))
    np.savez_compressed(
        tmp_path / "x.npz", held={"large": values, "small": values[:3], "list": [1.5, "a"], "turned": values.T}
    )
    return tmp_path / "x.npz", values


def test_large_arrays_in_dictionaries_stay_where_they_are(dictionary):
    path, values = dictionary
    with NpzStream(path) as stream:
        held = stream["held"]
        assert isinstance(held["large"], Rows)
        assert held["list"] == [1.5, "a"]
        np.testing.assert_array_equal(held["small"], values[:3])
        np.testing.assert_array_equal(np.concatenate(list(held["large"].blocks(999))), values)
        np.testing.assert_array_equal(npz_stream.as_rows(held["turned"]).read(), values.T)


def test_two_readers_of_one_file_do_not_disturb_each_other(dictionary):
    path, values = dictionary
    with NpzStream(path) as stream:
        one, two = (stream["held"]["large"].blocks(1000) for _ in range(2))
        next(one)
        np.testing.assert_array_equal(next(two), values[:1000])
        np.testing.assert_array_equal(next(one), values[1000:2000])


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<i2", "<U5"])
def test_arrays_of_any_type_and_order_are_read(tmp_path, dtype):
    values = np.arange(60).reshape(20, 3).astype(dtype)
    np.savez(tmp_path / "x.npz", plain=values, turned=np.asfortranarray(values), single=values[0, 0], none=values[:0])
    with NpzStream(tmp_path / "x.npz") as stream:
        for name in ("plain", "turned"):
            np.testing.assert_array_equal(np.concatenate(list(stream[name].blocks(7))), values)
        assert stream["single"].read() == values[0, 0]
        assert stream["none"].read().shape == (0, 3)


@pytest.mark.parametrize("rows", [1, 3, 4])
def test_a_long_file_is_several_units_that_share_no_picture(tree, monkeypatch, rows):
    before = {frame.key: [person.provenance for person in frame.people] for frame in frames_of(tree[0])}
    monkeypatch.setattr(humandata, "UNIT", rows)
    units = list_sources("humandata", tree[0], "train")
    assert len({unit.name for unit in units}) == len(units) == -(-9 // rows) + -(-5 // rows)
    after = [frame for unit in units for frame in humandata.frames(unit)]
    assert len(after) == len(before)
    assert {frame.key: [person.provenance for person in frame.people] for frame in after} == before
    assert sum(map(humandata.count_people, units)) == 14


def test_memory_does_not_grow_with_the_file(tmp_path):
    rows = 20_000  # 115 MB of numbers
    np.savez_compressed(
        tmp_path / "x_train.npz",
        image_path=[f"{row:06d}.jpg" for row in range(rows)],
        bbox_xywh=np.ones((rows, 5)),
        keypoints2d=np.zeros((rows, 190, 3)),
        smplx={"body_pose": np.zeros((rows, 63)), "global_orient": np.zeros((rows, 3)), "betas": np.zeros((rows, 70))},
    )
    tracemalloc.start()
    try:
        with HumanDataFile(tmp_path / "x_train.npz") as file:
            assert isinstance(file.fit["body_pose"].stream, NpzStream)
            assert sum(len(block["body_pose"]) for block in file.blocks(500)) == rows
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 30e6
