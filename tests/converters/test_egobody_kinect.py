"""What only EgoBody's Kinects do."""

import json

import cv2
import numpy as np
import pytest

from ehps.body.cameras import project, transform_points
from ehps.body.posing import PosingModel
from ehps.converters import egobody_kinect, list_sources
from ehps.converters.engine import convert
from ehps.errors import BodyModelError, RawFileError, RawSchemaError
from ehps.shards.record import Frame, Reject
from ehps.tests.raw import egobody_kinect as fake
from ehps.tests.raw._egobody import RECORDINGS
from ehps.tests.raw._people import batch
from ehps.tests.raw._recovery import converted

TRAIN, VAL = RECORDINGS[:2]


def frames_of(root, split="train"):
    return [record for record in converted("egobody_kinect", root, split) if isinstance(record, Frame)]


def rewrite(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def posed(person, standin_dir):
    model = PosingModel.load(standin_dir, "smplx", person.gender, 10)
    names = ("global_orient", "body_pose", "left_hand_pose", "right_hand_pose", "jaw_pose", "betas", "transl")
    return model.joints(batch([{name: getattr(person, name).astype(float) for name in names}]))[0, :76]


def test_recordings_of_2022_have_two_views_more(root):
    assert [frame.camera_name for frame in frames_of(root)] == ["master", "sub_1", "sub_2"]
    assert [frame.camera_name for frame in frames_of(root, "val")] == ["master", "sub_1", "sub_2", "sub_3", "sub_4"]


def test_a_pair_stands_on_one_spot_of_the_room_in_all_views(root, standin_dir):
    frames = frames_of(root, "val")
    rooms = [
        [transform_points(np.linalg.inv(f.camera.T_camera_world), posed(p, standin_dir)) for p in f.people]
        for f in frames
    ]
    for room in rooms[1:]:
        np.testing.assert_allclose(room, rooms[0], atol=1e-5)
    assert np.abs(np.subtract(*rooms[0])).max() > 0.3


def test_points_go_through_the_lens_that_opencv_knows(root, standin_dir):
    for frame in frames_of(root):
        person, camera = frame.people[0], frame.camera
        points, lens = posed(person, standin_dir), np.array(camera.distortion.coefficients)
        seen, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), camera.K, lens)
        np.testing.assert_allclose(project(points, camera.K, camera.distortion), seen[:, 0], atol=1e-6)
        assert np.abs(seen[:, 0] - project(points, camera.K)).max() > 1, "a lens that does nothing proves nothing"
        assert not camera.is_undistorted
    assert len({frame.camera.distortion for frame in frames_of(root)}) == 3


def test_the_genders_are_those_of_the_table(root):
    for one in RECORDINGS:
        people = frames_of(root, one.split)[0].people
        assert [person.provenance.row for person in people] == ["interactee", "camera_wearer"]
        assert [p.gender for p in people] == [one.genders[one.interactee], one.genders[1 - one.interactee]]
        assert [p.track for p in people] == [f"{one.name}/interactee", f"{one.name}/camera_wearer"]


def test_without_body_models_the_master_view_keeps_its_place_and_nobody_has_hands(root, monkeypatch):
    monkeypatch.delenv("EHPS_BODY_MODELS")
    master, sub, _ = frames_of(root)
    monkeypatch.setenv("EHPS_BODY_MODELS", "standin")
    known = frames_of(root)
    for person, other in zip(master.people + sub.people, known[0].people + known[1].people, strict=True):
        np.testing.assert_array_equal(person.global_orient, other.global_orient)
        assert (person.left_hand_pose, person.right_hand_pose, person.labels.left_hand) == (None, None, None)
    assert [person.transl is not None for person in master.people + sub.people] == [True, True, False, False]


def test_hands_need_a_release_with_components(root, tmp_path, monkeypatch, standin_dir):
    folder = tmp_path / "smplx"
    folder.mkdir()
    for gender in ("MALE", "FEMALE"):
        with np.load(standin_dir / "smplx" / f"SMPLX_{gender}.npz") as file:
            arrays = {name: file[name] for name in file.files if not name.startswith("hands_components")}
        np.savez(folder / f"SMPLX_{gender}.npz", **arrays)
    monkeypatch.setenv("EHPS_BODY_MODELS", str(tmp_path))
    with pytest.raises(BodyModelError, match="holds no hands_componentsl"):
        frames_of(root)


def test_one_lost_fit_costs_one_person(small):
    next(small.glob(f"smplx_camera_wearer_train/{TRAIN.name}/*/results/*/000.pkl")).unlink()
    records = list(converted("egobody_kinect", small, "train"))
    assert [len(record.people) for record in records if isinstance(record, Frame)] == [1, 1, 1]
    rejects = [record for record in records if isinstance(record, Reject)]
    assert {(reject.reason, reject.provenance.row) for reject in rejects} == {("missing_fit", "camera_wearer")}
    assert sum(reject.people for reject in rejects) == 3


def test_a_view_that_was_not_downloaded_is_no_reject(small):
    folder = small / "kinect_color" / TRAIN.name / "sub_1"
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    records = list(converted("egobody_kinect", small, "train"))
    assert [record.camera_name for record in records] == ["master", "sub_2"]


def test_calibrations_may_lie_as_the_readme_has_them(small):
    folder = small / "calibrations" / TRAIN.name
    before = frames_of(small)
    for path in list((folder / "cal_trans").iterdir()):
        path.rename(folder / path.name)
    (folder / "cal_trans").rmdir()
    for one, two in zip(before, frames_of(small), strict=True):
        np.testing.assert_array_equal(one.camera.T_camera_world, two.camera.T_camera_world)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"f": [500.0, 500.0]}, "Color.json: camera_mtx should be that of f"),
        ({"k": [0.1, 0.2, 0.3]}, "k should be 4 or 5 or 8 numbers"),
        ({"camera_mtx": [1.0]}, "camera_mtx should be"),
    ],
)
def test_a_camera_of_another_kind_is_named(small, changes, message):
    rewrite(small / "kinect_cam_params" / "kinect_sub_1" / "Color.json", **changes)
    with pytest.raises(RawSchemaError, match=message):
        frames_of(small)


def test_a_transform_that_mirrors_is_no_calibration(small):
    path = small / "calibrations" / TRAIN.name / "cal_trans" / "kinect_13to12_color.json"
    rewrite(path, trans=np.diag([1.0, 1.0, -1.0, 1.0]).tolist())
    rejects = [record for record in converted("egobody_kinect", small, "train") if isinstance(record, Reject)]
    assert [(reject.reason, reject.key.split("/")[1]) for reject in rejects] == [("missing_calibration", "sub_2")] * 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("body_idx_fpv", "fpv"), "column 'body_idx_fpv' should be present"),
        (lambda text: text.replace("1 male,1 male", "1 male,1 female"), "body_idx_fpv is '1 female'"),
        (lambda text: text.replace("0 female", "female"), "row 'recording_20210907_S02_S01_01' should be"),
        (lambda text: text.replace(TRAIN.name, "another"), f"recording '{TRAIN.name}' should be present"),
    ],
)
def test_a_table_that_cannot_be_understood_is_named(small, change, message):
    path = small / "data_info_release.csv"
    path.write_text(change(path.read_text()))
    with pytest.raises(RawSchemaError, match=message):
        frames_of(small)


def test_a_split_without_fits_says_so(small):
    (small / "smplx_interactee_test").rename(small / "elsewhere")
    with pytest.raises(RawFileError, match="smplx_interactee_test, smplx_interactee"):
        list_sources("egobody_kinect", small, "test")


def test_the_engine_measures_everyone(root, tmp_path):
    (report,) = convert("egobody_kinect", root, tmp_path, "train", catalog=False)
    measures = report.units[0].measures
    assert measures["truncation"]["max"] < 0.5
    assert 1 < measures["distance_m"]["max"] < 6
    assert not report.units[0].warnings


def test_people_are_counted_as_the_folders_tell(tmp_path, built):
    expected = built(fake, tmp_path).expected["train"]
    counted = sum(egobody_kinect.count_people(unit) for unit in list_sources("egobody_kinect", tmp_path, "train"))
    assert counted == expected["people"] + sum(expected["rejects"].values())
