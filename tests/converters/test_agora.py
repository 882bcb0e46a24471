"""What only AGORA does."""

import re
from pathlib import Path

import numpy as np
import pytest

from ehps.body.unpickling import load_pickle
from ehps.converters import agora, list_sources
from ehps.converters.engine import convert
from ehps.converters.formats import agora_fit, agora_scene
from ehps.errors import BodyModelError, ConversionError, RawSchemaError, UnknownNameError
from ehps.shards.record import Frame, Reject
from ehps.tests.raw import agora as fake
from ehps.tests.raw._owner_pickles import write_pickle, write_table
from ehps.tests.raw._recovery import converted, differences, worst


@pytest.fixture(scope="module")
def tree(tmp_path_factory, built):
    root = tmp_path_factory.mktemp("agora")
    return root, built(fake, root, bad=False)


@pytest.fixture(scope="module")
def frames(tree):
    records = [record for split in fake.SPLITS for record in converted("agora", tree[0], split)]
    return {record.key: record for record in records if isinstance(record, Frame)}


@pytest.fixture
def small(tmp_path, built):
    """A tree of two pictures in train that a test may spoil."""
    built(fake, tmp_path, frames=3, bad=False)
    return tmp_path


def people_of(frames):
    return [person for frame in frames.values() for person in frame.people]


def change_table(root, name="train_0", **columns):
    """Replace columns of a table; a column that becomes None goes."""
    path = next(root.glob(f"*_SMPLX/SMPLX/{name}_withjv.pkl"))
    table = {column: values.tolist() for column, values in load_pickle(path).items()}
    changed = {**table, **{name: change(table[name]) for name, change in columns.items()}}
    write_table(path, {name: values for name, values in changed.items() if values is not None})


def test_every_kind_of_camera_is_seen_in_the_tree(frames):
    views = {next(word for word in agora_scene._VIEWS if word in key) for key in frames}
    assert views == set(agora_scene._VIEWS)


@pytest.mark.parametrize(
    ("name", "focal"),
    [
        ("ag_trainset_x_bfh_hdri_50mm_5_10_00000.png", 1777.7778),
        ("ag_trainset_x_bfh_archviz_5_10_cam03_00000.png", 640.0),
        ("ag2_trainset_x_bfh_other_5_10_00000.png", 995.5556),
        ("ag_trainset_x_bfh_flowers_5_10_00000.png", 995.5556),
    ],
)
def test_the_name_of_a_picture_tells_its_focal_length(name, focal):
    row = {"imgPath": name, "camX": 0.0, "camY": 0.0, "camZ": 170.0, "camYaw": 0.0}
    assert agora_scene.camera_of(row, 1280, 720).K[0, 0] == pytest.approx(focal)
    assert agora_scene.camera_of(row, 3840, 2160).K[1, 1] == pytest.approx(3 * focal)


def test_hands_and_faces_are_labelled_in_bfh_pictures_alone(frames):
    for key, frame in frames.items():
        for person in frame.people:
            parts = (person.left_hand_pose, person.right_hand_pose, person.jaw_pose, person.leye_pose)
            assert all((part is not None) == ("bfh" in key) for part in (*parts, person.expression))
            fine = person.keypoints_2d[[25, 54, 66, 75, 76, 126], 2]
            assert (fine == float("bfh" in key)).all()
            assert (person.keypoints_2d[:25, 2] == 1).all()


def test_kids_have_ten_betas_and_a_weight_and_girls_the_neutral_model(frames):
    kinds = {(person.gender, person.kid_weight is not None) for person in people_of(frames)}
    assert kinds == {("male", False), ("female", False), ("male", True), ("neutral", True)}
    assert {person.betas.shape for person in people_of(frames)} == {(10,)}


def test_a_scan_in_two_pictures_stands_in_each_as_the_row_says(frames):
    by_fit = {}
    for person in people_of(frames):
        by_fit.setdefault(person.provenance.file.split(";")[1], []).append(person)
    assert all(len(people) == 2 for people in by_fit.values())
    for one, two in by_fit.values():
        np.testing.assert_array_equal(one.betas, two.betas)
        assert np.abs(one.global_orient - two.global_orient).max() > 0.01
        assert np.abs(one.transl - two.transl).max() > 0.01


def test_the_owner_s_joints_agree_with_the_body_that_the_engine_poses(tree, tmp_path):
    for report in convert("agora", tree[0], tmp_path, "train", catalog=False):
        for unit in report.units:
            assert unit.state == "done"
            assert unit.measures["joint_error_mm"]["median"] < 0.01
            assert unit.measures["joint_error_mm"]["max"] < 1.0  # expressions of body pictures move the nose
            assert unit.measures["reprojection_px"]["max"] < 0.01
            assert unit.measures["owner_occlusion"]["max"] < 0.61


def test_a_wrong_gender_is_refused_by_the_joints(tree, tmp_path, monkeypatch):
    monkeypatch.setattr(agora, "read_fit", lambda *args: {**agora_fit.read_fit(*args), "gender": "neutral"})
    with pytest.raises(ConversionError, match=r"joint_error 6"):
        convert("agora", tree[0], tmp_path, "val", catalog=False)


def test_without_body_models_everyone_is_placed_all_the_same(tree, monkeypatch):
    monkeypatch.delenv("EHPS_BODY_MODELS")
    people = [p for record in converted("agora", tree[0], "val") for p in record.people]
    assert len(people) == 8
    assert all(person.transl is not None for person in people)


def test_neutral_refits_are_posed_with_the_neutral_model(tmp_path, built):
    truth = built(fake, tmp_path, bad=False, fit="neutral")
    found = differences("agora", tmp_path, truth, fake.SPLITS, fit="neutral")
    mesh_mm, joints_px, _ = worst(found)
    assert mesh_mm < 0.1
    assert joints_px < 0.1
    people = [p for record in converted("agora", tmp_path, "train", fit="neutral") for p in record.people]
    assert {person.gender for person in people} == {"neutral"}
    assert all(person.keypoints_3d is None for person in people)


def test_neutral_refits_without_a_model_say_what_they_need(small, monkeypatch):
    monkeypatch.delenv("EHPS_BODY_MODELS")
    with pytest.raises(BodyModelError, match="EHPS_BODY_MODELS is not set"):
        list(converted("agora", small, "train", fit="neutral"))


def test_large_pictures_are_read_when_asked_for(tmp_path, built):
    truth = built(fake, tmp_path, frames=3, bad=False, size=(3840, 2160))
    found = worst(differences("agora", tmp_path, truth, fake.SPLITS, size="3840x2160"))
    assert max(found) < 0.1


def test_unknown_fits_and_sizes_name_the_known_ones(small):
    with pytest.raises(UnknownNameError, match="did you mean neutral"):
        list_sources("agora", small, "train", {"fit": "neutrl"})
    with pytest.raises(UnknownNameError, match="did you mean 1280x720"):
        list_sources("agora", small, "train", {"size": "1280x72"})


def test_pictures_are_found_in_the_folder_of_another_number(frames):
    folders = {
        (frame.people[0].provenance.file.split("/")[2][:7], frame.image.parent.name) for frame in frames.values()
    }
    assert ("train_7", "train_3") in folders


@pytest.mark.parametrize("missing", ["gt_joints_3d", "isValid"])
def test_a_table_without_joints_says_which_one_to_take(small, missing):
    change_table(small, **{missing: lambda _: None})
    with pytest.raises(RawSchemaError, match=rf"column '{missing}' should be present.*\*_withjv\.pkl"):
        list(converted("agora", small, "train"))


def test_tables_projected_for_small_pictures_are_told_by_their_3d_joints(small):
    change_table(small, gt_joints_2d=lambda rows: [[np.asarray(p) / 3 for p in row] for row in rows])
    records = list(converted("agora", small, "train"))
    rejects = [record for record in records if isinstance(record, Reject)]
    by_reason = {reject.reason for reject in rejects}
    assert by_reason == {"bad_keypoints"}
    gap = float(re.search(r"gt_joints_2d lie (\d+) px from where gt_joints_3d", rejects[0].detail)[1])
    assert gap > 500  # what the record would have been off by, three times the pixels of 1280 x 720
    assert "not those projected for 1280 x 720" in rejects[0].detail


def test_lists_of_unequal_length_are_refused(small):
    change_table(small, Yaw=lambda rows: [rows[0][:1], *rows[1:]])
    with pytest.raises(RawSchemaError, match=r"column 'Yaw' of row 0 should be a list of 2 entries like 'X', found 1"):
        list(converted("agora", small, "train"))


def test_nan_in_a_fit_rejects_everyone_of_that_scan(small):
    path = sorted((small / "smplx_gt").rglob("10000_*.pkl"))[0]
    body = load_pickle(path)
    write_pickle(path, {**body, "expression": body["expression"] * np.nan})
    rejects = [record for record in converted("agora", small, "train") if isinstance(record, Reject)]
    assert [reject.reason for reject in rejects] == ["bad_fit", "bad_fit"]
    assert "'expression' should be finite" in rejects[0].detail


def test_paths_without_the_folder_of_fits_are_read_too(small):
    before = len(people_of({r.key: r for r in converted("agora", small, "train")}))
    change_table(small, gt_path_smplx=lambda rows: [[str(Path(*Path(p).parts[1:])) for p in row] for row in rows])
    assert len(people_of({r.key: r for r in converted("agora", small, "train")})) == before


def test_people_are_counted_as_the_table_lists_them(tmp_path, built):
    truth = built(fake, tmp_path)
    for split in fake.SPLITS:
        expected = truth.expected[split]
        counted = sum(agora.count_people(source) for source in agora.sources(tmp_path, split))
        assert counted == expected["people"] + sum(expected["rejects"].values())
