"""What only EgoBody's headset does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ehps.body.cameras import intrinsics, rigid
from ehps.body.rotations import axis_angle_to_matrix
from ehps.converters import egobody_egocentric, list_sources
from ehps.converters.engine import convert
from ehps.converters.formats.hololens import read_headset
from ehps.errors import RawFileError, RawSchemaError
from ehps.shards.record import Frame, Reject
from ehps.tests.raw import egobody_egocentric as fake
from ehps.tests.raw._egobody import RECORDINGS
from ehps.tests.raw._recovery import converted

TRAIN = RECORDINGS[0]
UPSIDE = np.diag([1.0, -1.0, -1.0, 1.0])


@pytest.fixture
def small(tmp_path, built):
    """A tree that a test may spoil, and the folder of its train recording's headset."""
    built(fake, tmp_path, bad=False)
    return tmp_path, next(tmp_path.glob(f"egocentric_color/{TRAIN.name}/2021-*"))


def frames_of(root, split="train"):
    return [record for record in converted("egobody_egocentric", root, split) if isinstance(record, Frame)]


def rejects_of(root):
    return [record for record in converted("egobody_egocentric", root, "train") if isinstance(record, Reject)]


def rewrite_npz(path, **changes):
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    np.savez(path, **{name: changes[name](array) if name in changes else array for name, array in arrays.items()})


def test_every_picture_has_a_camera_and_a_focus_of_its_own(root):
    frames = frames_of(root)
    assert len({frame.camera.K[0, 0] for frame in frames}) == len(frames) == 3
    assert all(frame.camera.K[0, 0] != frame.camera.K[1, 1] for frame in frames)
    assert len({frame.camera.T_camera_world.tobytes() for frame in frames}) == 3
    assert all(frame.camera.distortion is None for frame in frames)


def test_a_dropped_picture_shifts_nothing(root):
    assert [frame.frame_index for frame in frames_of(root)] == [10, 12, 13]
    assert [frame.key.split("/")[1] for frame in frames_of(root)] == ["00010", "00012", "00013"]


def test_only_the_interactee_is_in_the_pictures(root):
    for one in RECORDINGS:
        for frame in frames_of(root, one.split):
            (person,) = frame.people
            assert person.gender == one.genders[one.interactee]
            assert person.provenance.file.split("/")[0] == f"smplx_interactee_{one.split}"


def test_keypoints_are_the_detections_of_the_picture(root):
    for frame in frames_of(root):
        (person,) = frame.people
        assert person.keypoints_2d.shape == (25, 3)
        assert person.labels.keypoints_2d == "pseudo"


def test_a_picture_without_keypoints_is_a_person_without(small):
    root, folder = small
    rewrite_npz(folder / "keypoints.npz", **dict.fromkeys(("imgname", "keypoints"), lambda rows: rows[:-1]))
    last = frames_of(root)[-1].people[0]
    assert (last.keypoints_2d, last.keypoints_2d_convention, last.labels.keypoints_2d) == (None, None, None)


def test_keypoints_are_joined_by_name(small):
    root, folder = small
    before = [frame.people[0].keypoints_2d for frame in frames_of(root)]
    rewrite_npz(folder / "keypoints.npz", **dict.fromkeys(("imgname", "keypoints"), lambda rows: rows[::-1]))
    np.testing.assert_array_equal([frame.people[0].keypoints_2d for frame in frames_of(root)], before)


def test_pictures_before_the_recording_are_nobody_s(root):
    (unit,) = list_sources("egobody_egocentric", root, "train")
    with np.load(unit.files["seen"]) as file:
        assert f"_frame_{TRAIN.first - 5:05d}" in file["imgname"][0]
        assert len(file["imgname"]) == 4
    assert egobody_egocentric.count_people(unit) == 3


def test_an_invisible_interactee_is_refused(small):
    root, folder = small
    rewrite_npz(folder / "valid_frame.npz", valid=lambda valid: valid & (np.arange(len(valid)) != 2))
    (reject,) = rejects_of(root)
    assert reject.reason == "not_visible"
    assert "00012" in reject.key


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda row: row[:3] + ["0.0"] * 16, "no rigid transform"),
        (lambda row: row[:3] + [str(-float(v)) for v in row[3:15]] + row[15:], "no rigid transform"),  # mirrored
        (lambda row: [row[0], "0.0", *row[2:]], "no focal length"),
        (lambda row: [*row[:5], "nan", *row[6:]], "no rigid transform"),
        (lambda row: row[:16], "15 numbers behind its timestamp, expected 18"),
        (lambda row: [*row, "1.0"], "19 numbers"),
        (lambda row: [*row[:4], "x", *row[5:]], "other than numbers"),
        (lambda row: ["1", *row[1:]], "no row has the timestamp 1327"),
    ],
)
def test_a_picture_without_a_sound_camera_is_refused_alone(small, change, sentence):
    root, folder = small
    (path,) = folder.glob("*_pv.txt")
    stamp = sorted((folder / "PV").iterdir())[0].name.split("_")[0]
    rows = [line.split(",") for line in path.read_text().splitlines()]
    path.write_text("\n".join(",".join(change(row) if row[0] == stamp else row) for row in rows))
    (reject,) = rejects_of(root)
    assert reject.reason == "bad_camera"
    assert sentence in reject.detail
    assert len(frames_of(root)) == 2


def test_without_body_models_there_are_no_translations(root, monkeypatch):
    monkeypatch.delenv("EHPS_BODY_MODELS")
    for frame in frames_of(root):
        (person,) = frame.people
        assert (person.transl, person.left_hand_pose) == (None, None)
        assert person.betas is not None


def test_damaged_tables_are_named(small):
    root, folder = small
    (path,) = folder.glob("*_pv.txt")
    text = path.read_text()
    path.write_text("955,537,1920\n" + text)
    with pytest.raises(RawSchemaError, match=r"_pv.txt: row 1 should be the four numbers"):
        frames_of(root)
    path.write_text(text)
    rewrite_npz(folder / "valid_frame.npz", imgname=lambda names: np.array(["PV/00010.jpg"] * len(names)))
    with pytest.raises(RawSchemaError, match=r"<timestamp>_frame_<number>\.jpg"):
        frames_of(root)
    holo = root / "calibrations" / TRAIN.name / "cal_trans" / "holo_to_kinect12.json"
    holo.write_text('{"trans": [[1, 0], [0, 1]]}')
    with pytest.raises(RawSchemaError, match="a rigid transform, 4 x 4"):
        frames_of(root)


def test_two_dates_in_a_recording_are_refused(small):
    root, folder = small
    folder.with_name("2021-09-07-999999").mkdir()
    with pytest.raises(RawFileError, match=r"holds 2 folders 202"):
        list_sources("egobody_egocentric", root, "train")


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_headset_s_camera_looks_along_minus_z_with_y_up(seed, tmp_path_factory):
    rng = np.random.default_rng(seed)
    one, two = (rigid(axis_angle_to_matrix(rng.normal(0, 2, 3)), rng.normal(0, 3, 3)) for _ in range(2))
    path = tmp_path_factory.mktemp("headset") / "x_pv.txt"
    path.write_text(f"900.5,500.25,1920,1080\n{fake.pv_row('7', intrinsics(1400.0, 1401.0, 0, 0), one)}\n")
    camera, problem = read_headset(path).camera("7", two)
    assert not problem
    ahead = two @ one @ np.array([0.3, 0.2, -2.0, 1.0])  # in front of the headset, to the right and up
    np.testing.assert_allclose(camera.T_camera_world @ ahead, [0.3, -0.2, 2.0, 1.0], atol=1e-9)
    np.testing.assert_array_equal(camera.K, intrinsics(1400.0, 1401.0, 900.5, 500.25))


def test_the_engine_finds_the_detections_on_the_bodies(root, tmp_path):
    (report,) = convert("egobody_egocentric", root, tmp_path, "train", catalog=False)
    assert report.units[0].measures["reprojection_px"]["max"] < 0.1
    assert not report.units[0].warnings


def test_people_are_counted_as_the_tables_tell(tmp_path, built):
    expected = built(fake, tmp_path).expected["train"]
    counted = sum(
        egobody_egocentric.count_people(unit) for unit in list_sources("egobody_egocentric", tmp_path, "train")
    )
    assert counted == expected["people"] + sum(expected["rejects"].values())
