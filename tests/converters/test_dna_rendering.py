"""What only DNA-Rendering does."""

import tarfile

import cv2
import h5py
import numpy as np
import pytest

from ehps.body.hands import LEFT_HAND_MEAN
from ehps.body.keypoints import CONVENTIONS
from ehps.converters import get_converter, list_sources
from ehps.converters.engine import convert
from ehps.converters.formats.smc import SmcPicture
from ehps.converters.pictures import labels_alone
from ehps.converters.storing import Storing
from ehps.errors import ConversionError, RawFileError, RawSchemaError
from ehps.shards.record import Frame, Reject
from ehps.tests.raw import _dna, dna_rendering, dna_rendering_hires
from ehps.tests.raw._recovery import converted, differences, worst


@pytest.fixture(scope="module")
def root(tmp_path_factory, built):
    root = tmp_path_factory.mktemp("dna")
    built(dna_rendering, root, bad=False)
    return root


@pytest.fixture
def small(tmp_path, built):
    """A tree that a test may spoil, and the labels of its test take."""
    built(dna_rendering, tmp_path, bad=False, steps=2)
    return tmp_path, tmp_path / "Part_1/dna_rendering_part1_annotations/0018_05_annots.smc"


def frames_of(root, split="train", dataset="dna_rendering"):
    return [record for record in converted(dataset, root, split) if isinstance(record, Frame)]


def rewrite(path, name, change):
    """Replace an array of a file by what ``change`` makes of it, or take it out when that is None."""
    with h5py.File(path, "r+") as file:
        value = change(file[name][()])
        del file[name]
        if value is not None:
            file[name] = value


def test_the_two_sources_share_the_takes_and_no_camera(root):
    names = {
        dataset: {frame.camera_name for frame in frames_of(root, "test", dataset)}
        for dataset in ("dna_rendering", "dna_rendering_hires")
    }
    assert names == {"dna_rendering": {"00", "07"}, "dna_rendering_hires": {"48"}}
    assert {(f.width, f.height) for f in frames_of(root, "test")} == {(2448, 2048)}
    assert {(f.width, f.height) for f in frames_of(root, "test", "dna_rendering_hires")} == {(3000, 4096)}


def test_part_1_is_test_and_the_others_are_train(root):
    units = {
        split: [unit.name for unit in list_sources("dna_rendering", root, split)] for split in dna_rendering.SPLITS
    }
    assert units == {"train": ["0031_02", "0163_10"], "test": ["0018_05"]}


def test_a_folder_without_a_part_says_what_to_call_it(small):
    root, path = small
    path.parent.parent.rename(root / "mine")
    (root / "mine" / "dna_rendering_part1_annotations").rename(root / "mine" / "annotations")
    with pytest.raises(
        RawFileError, match=r"mine/annotations: its path names no part .* dna_rendering_part1_annotations"
    ):
        list_sources("dna_rendering", root, "test")


def test_every_actor_has_the_gender_of_the_file(root):
    assert {frame.sequence: frame.people[0].gender for frame in frames_of(root)} == {
        "0163_10": "male",
        "0031_02": "female",
    }


def test_a_single_row_of_betas_is_the_whole_take_s(root):
    betas = {frame.sequence: [] for frame in frames_of(root)}
    for frame in frames_of(root):
        betas[frame.sequence].append(frame.people[0].betas)
    assert np.ptp(betas["0163_10"], axis=0).max() == 0
    assert np.ptp(betas["0031_02"], axis=0).max() > 0


def test_fewer_expressions_than_time_steps_are_no_face(root):
    for frame in frames_of(root, "test"):
        person = frame.people[0]
        assert (person.labels.face, person.labels.body) == (None, "fitted")
        assert (person.expression, person.jaw_pose, person.leye_pose, person.reye_pose) == (None,) * 4


def test_the_lens_stays_in_the_record(root):
    camera = frames_of(root)[0].camera
    assert camera.distortion.coefficients == tuple(_dna.D)
    assert not camera.is_undistorted
    assert camera.T_camera_world[2, 3] == pytest.approx(4.2, abs=0.3)


def test_keypoints_have_the_order_of_humandata_and_their_confidences(root):
    person = frames_of(root)[0].people[0]
    assert (person.keypoints_2d.shape, person.keypoints_2d_convention) == ((131, 3), "wholebody_131")
    assert 0.05 < (person.keypoints_2d[:, 2] == 0).mean() < 0.2
    assert (person.keypoints_3d.shape, person.keypoints_3d_convention) == ((190, 4), "human_data")
    assert 80 < (person.keypoints_3d[:, 3] > 0).sum() < 131
    assert not person.keypoints_3d[person.keypoints_3d[:, 3] == 0].any()


def test_points_are_named_as_the_detector_s_and_not_two_further(small):
    root, path = small
    with h5py.File(path) as file:
        seen = file["Keypoints_2D/00"][0]
    person = next(frame for frame in frames_of(root, "test") if frame.camera_name == "00").people[0]
    named = {name: person.keypoints_2d[i] for i, name in enumerate(CONVENTIONS["wholebody_131"])}
    # The files begin with both hips, and the face is at [63, 131); with the hips behind it, a knee is taken for a hip.
    for row, name in ((0, "left_hip_extra"), (1, "right_hip_extra"), (2, "left_knee"), (42, "nose")):
        np.testing.assert_allclose(named[name], seen[row].astype(np.float32))
    contour = [named[f"{side}_contour_1"] for side in ("right", "left")]
    np.testing.assert_allclose(contour, seen[[114, 130]].astype(np.float32))


def test_hips_in_space_are_the_detector_s_too(small):
    root, path = small
    with h5py.File(path) as file:
        stored = file["Keypoints_3D/keypoints3d"][0]
    assert stored[1:3, 3].all()
    person = frames_of(root, "test")[0].people[0]
    named = dict(zip(CONVENTIONS["human_data"], person.keypoints_3d, strict=True))
    assert not named["left_hip"].any()
    assert not named["right_hip"].any()
    apart = np.linalg.norm(named["left_hip_extra"][:3] - named["right_hip_extra"][:3])
    assert apart == pytest.approx(np.linalg.norm(stored[1, :3] - stored[2, :3]), rel=1e-5)
    assert named["left_hip_extra"][3] == named["right_hip_extra"][3] == 1


def test_3d_keypoints_of_three_values_are_known_where_they_are_not_zero(small, built):
    root, path = small
    with_confidence = frames_of(root, "test")[0].people[0].keypoints_3d
    other = root / "other"
    built(dna_rendering, other, bad=False, steps=2)
    rewrite(other / path.relative_to(root), "Keypoints_3D/keypoints3d", lambda points: points[..., :3])
    np.testing.assert_array_equal(frames_of(other, "test")[0].people[0].keypoints_3d, with_confidence)


def test_keypoints_and_hands_fit_the_bodies(root, tmp_path):
    (report,) = convert("dna_rendering", root, tmp_path, "train", catalog=False, storing=Storing(images="none"))
    names = ("reprojection_px", "joint_error_mm")
    assert max(unit.measures[name]["max"] for unit in report.units for name in names) < 0.1
    assert {found["verdict"] for unit in report.units for found in unit.hands.values()} == {"as_stored"}
    assert {unit.measures["owner_scale"]["max"] for unit in report.units} == {1.0}


def test_pictures_are_stored_without_loss(small, tmp_path):
    root, _ = small
    convert("dna_rendering", root, tmp_path / "out", "test", catalog=False, limit=1)
    (shard,) = tmp_path.glob("out/**/*.tar")
    with tarfile.open(shard) as tar:
        stored = tar.extractfile(next(name for name in tar.getnames() if name.endswith(".jpg"))).read()
    owner = SmcPicture(root / "Part_1/dna_rendering_part1_main/0018_05.smc", "Camera_5mp/0/color/0").read()
    pictures = [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) for data in (stored, owner)]
    np.testing.assert_array_equal(*pictures)


def test_a_camera_that_is_used_the_wrong_way_round_is_noticed(small, tmp_path):
    root, path = small
    rewrite(path, "Camera_Parameter/00/RT", np.linalg.inv)
    with pytest.raises(ConversionError, match="reprojection 2"):
        convert("dna_rendering", root, tmp_path / "out", "test", catalog=False)


def test_without_body_models_people_are_turned_and_not_placed(root, monkeypatch):
    want = [frame.people[0].global_orient for frame in frames_of(root)]
    monkeypatch.delenv("EHPS_BODY_MODELS")
    people = [frame.people[0] for frame in frames_of(root)]
    assert all(person.transl is None for person in people)
    np.testing.assert_array_equal([person.global_orient for person in people], want)


def test_labels_alone_need_no_pictures_and_take_the_owner_s_sizes(small):
    root, _ = small
    for path in root.glob("*/*_main/*.smc"):
        path.unlink()
    with labels_alone(True):
        frames = frames_of(root, "test"), frames_of(root, "test", "dna_rendering_hires")
    assert [{(f.width, f.height) for f in some} for some in frames] == [{(2448, 2048)}, {(3000, 4096)}]


def test_a_take_without_labels_is_one_reject_of_all_its_pictures(tmp_path, built):
    expected = built(dna_rendering_hires, tmp_path).expected["train"]
    (reject,) = [
        record
        for record in converted("dna_rendering_hires", tmp_path, "train")
        if isinstance(record, Reject) and record.reason == "missing_annotations"
    ]
    assert (reject.key, reject.people) == ("0164_01", expected["rejects"]["missing_annotations"])
    assert "0164_01_annots.smc is not there" in reject.detail


def test_a_take_without_labels_and_without_pictures_of_the_rig_is_nobody_s(tmp_path, built):
    built(dna_rendering_hires, tmp_path)
    with h5py.File(tmp_path / "Part_2/dna_rendering_part2_main/0164_01.smc", "r+") as file:
        del file["Camera_12mp"]
    reasons = {getattr(record, "reason", "") for record in converted("dna_rendering_hires", tmp_path, "train")}
    assert "missing_annotations" not in reasons


def test_a_take_with_cameras_alone_has_nobody(small, tmp_path):
    root, path = small
    with h5py.File(path, "r+") as file:
        del file["SMPLx"]
    assert list(converted("dna_rendering", root, "test")) == []
    (report,) = convert("dna_rendering", root, tmp_path / "out", "test", catalog=False)
    assert [(unit.state, unit.people) for unit in report.units] == [("done", 0)]


def test_pictures_of_another_size_than_the_file_says_are_refused(small):
    root, _ = small
    path = root / "Part_1/dna_rendering_part1_main/0018_05.smc"
    with h5py.File(path, "r+") as file:
        file["Camera_5mp"].attrs["resolution"] = (1024, 1224)
    rejects = list(converted("dna_rendering", root, "test"))
    assert {reject.reason for reject in rejects} == {"image_size"}
    assert "Camera_5mp/0/color/0: the picture has 2448 x 2048 pixels" in rejects[0].detail


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "SMPLx/fullpose",
            lambda pose: pose[:, :52],
            r"0018_05_annots.smc: array 'SMPLx/fullpose' should be .*\(any, 55, 3\)",
        ),
        (
            "SMPLx/betas",
            lambda betas: np.tile(betas, (3, 1)),
            r"'SMPLx/betas' should be .* \(2, 10\) or \(1, 10\), found float64 \(6",
        ),
        ("SMPLx/transl", lambda transl: transl[:1], r"'SMPLx/transl' should be numbers of shape \(2, 3\)"),
        ("SMPLx/expression", lambda _: None, "'SMPLx/expression' should be present"),
        ("Camera_Parameter/07/D", lambda bending: bending[:4], r"'Camera_Parameter/07/D' should be .*\(5\)"),
        ("Keypoints_2D/00", lambda points: points[:, :17], r"'Keypoints_2D/00' should be .*\(any, 131, 3\)"),
    ],
)
def test_what_the_labels_should_hold(small, name, change, message):
    root, path = small
    rewrite(path, name, change)
    with pytest.raises(RawSchemaError, match=message):
        frames_of(root, "test")


def test_an_unknown_gender_names_the_file(small):
    root, path = small
    with h5py.File(path, "r+") as file:
        file.attrs["gender"] = "f"
    with pytest.raises(RawSchemaError, match="attribute 'gender' should be one of male, female, neutral, found 'f'"):
        frames_of(root, "test")


def test_a_take_without_cameras_of_the_rig_says_so(small):
    root, path = small
    with h5py.File(path, "r+") as file:
        del file["Camera_Parameter/48"]
    with pytest.raises(RawSchemaError, match=r"0018_05_annots.smc: .* cameras among 48 to 59, found no 12MP cameras"):
        frames_of(root, "test", "dna_rendering_hires")


def test_keypoints_of_other_time_steps_and_of_nobody_are_absent(small):
    root, path = small
    rewrite(path, "Keypoints_2D/00", lambda points: points[:1])
    rewrite(path, "Keypoints_2D/07", lambda points: points * np.arange(2)[:, None, None])
    rewrite(path, "Keypoints_3D/keypoints3d", lambda points: points[:1])
    labels = [frame.people[0].labels.keypoints_2d for frame in frames_of(root, "test")]
    assert labels == [None, None, None, "pseudo"]
    assert all(frame.people[0].keypoints_3d is None for frame in frames_of(root, "test"))


def test_hands_become_absolute(small):
    root, path = small
    rewrite(path, "SMPLx/fullpose", lambda pose: np.where((np.arange(55) >= 25)[:, None], 0, pose))
    np.testing.assert_allclose(frames_of(root, "test")[0].people[0].left_hand_pose, LEFT_HAND_MEAN, atol=1e-6)


@pytest.mark.parametrize("fake", [dna_rendering, dna_rendering_hires])
def test_people_are_counted_as_the_files_tell(fake, tmp_path, built):
    dataset = fake.__name__.rsplit(".", 1)[1]
    expected = built(fake, tmp_path).expected
    for split in fake.SPLITS:
        counted = sum(get_converter(dataset).count_people(unit) for unit in list_sources(dataset, tmp_path, split))
        assert counted == expected[split]["people"] + sum(expected[split]["rejects"].values())


def test_more_time_steps_are_more_people(tmp_path, built):
    truth = built(dna_rendering, tmp_path, bad=False, times=3)
    assert truth.expected["train"]["people"] == 36
    assert max(worst(differences("dna_rendering", tmp_path, truth, ["train"]))) < 0.1
