"""What only BEDLAM does."""

import re

import numpy as np
import pytest

from ehps.converters import bedlam, list_sources
from ehps.converters.formats import bedlam_rows, bedlam_tree
from ehps.converters.formats.video import VideoFrame
from ehps.errors import RawFileError, RawSchemaError, UnknownNameError
from ehps.shards.record import Frame
from ehps.tests.raw import bedlam as fake
from ehps.tests.raw._recovery import converted, differences, worst
from ehps.tests.raw._videos import number_of

# The folders that the owner's download scripts name.
SCENES = """
20221010_3_1000_batch01hand_6fps 20221010_3-10_500_batch01hand_zoom_suburb_d_6fps
20221011_1_250_batch01hand_closeup_suburb_a_6fps 20221011_1_250_batch01hand_closeup_suburb_b_6fps
20221011_1_250_batch01hand_closeup_suburb_c_6fps 20221011_1_250_batch01hand_closeup_suburb_d_6fps
20221012_1_500_batch01hand_closeup_highSchoolGym_6fps 20221012_3-10_500_batch01hand_zoom_highSchoolGym_6fps
20221013_3-10_500_batch01hand_static_highSchoolGym_6fps 20221013_3_250_batch01hand_orbit_bigOffice_6fps
20221013_3_250_batch01hand_static_bigOffice_6fps 20221014_3_250_batch01hand_orbit_archVizUI3_time15_6fps
20221015_3_250_batch01hand_orbit_archVizUI3_time10_6fps 20221015_3_250_batch01hand_orbit_archVizUI3_time12_6fps
20221015_3_250_batch01hand_orbit_archVizUI3_time19_6fps 20221017_3_1000_batch01hand_6fps
20221018_1_250_batch01hand_zoom_suburb_b_6fps 20221018_3-8_250_batch01hand_6fps
20221018_3-8_250_batch01hand_pitchDown52_stadium_6fps 20221018_3-8_250_batch01hand_pitchUp52_stadium_6fps
20221018_3_250_batch01hand_orbit_archVizUI3_time15_6fps 20221019_1_250_highbmihand_closeup_suburb_b_6fps
20221019_1_250_highbmihand_closeup_suburb_c_6fps 20221019_3-8_1000_highbmihand_static_suburb_d_6fps
20221019_3-8_250_highbmihand_orbit_stadium_6fps 20221019_3_250_highbmihand_6fps
20221020-3-8_250_highbmihand_zoom_highSchoolGym_a_6fps 20221022_3_250_batch01handhair_static_bigOffice_30fps
20221024_10_100_batch01handhair_zoom_suburb_d_30fps 20221024_3-10_100_batch01handhair_static_highSchoolGym_30fps
""".split()


@pytest.fixture(scope="module")
def frames(root):
    records = [record for split in fake.SPLITS for record in converted("bedlam", root, split)]
    return {record.key: record for record in records if isinstance(record, Frame)}


@pytest.fixture
def zoom(tmp_path, built):
    """A tree of one scene that a test may spoil."""
    built(fake, tmp_path, frames=1, bad=False, scenes=[fake.ZOOM])
    return tmp_path


def rewrite(root, name=f"all_npz_12_training/{fake.ZOOM}.npz", /, **changes):
    """Replace columns of a file of a spoilt scene."""
    path = root / name
    with np.load(path) as archive:
        columns = dict(archive)
    np.savez(path, **{**columns, **{name: change(columns[name]) for name, change in changes.items()}})


def test_pictures_are_turned_where_the_camera_is_upright_and_not_by_folder_name(frames):
    turns = {key.split("/")[0]: (frame.quarter_turns, frame.width) for key, frame in frames.items()}
    assert turns[fake.CLOSEUP] == (1, 720)
    assert turns[fake.UPRIGHT_CLOSEUP] == (0, 1280)
    assert turns[fake.ZOOM] == (0, 1280)


def test_the_two_people_of_a_close_up_have_their_own_camera_offset(frames, root):
    with np.load(root / "all_npz_12_training" / f"{fake.CLOSEUP}.npz") as columns:
        offsets = columns["cam_ext"][:2, :3, 3]
        frame = frames[f"{fake.CLOSEUP}/seq_000000_0000"]
        for row, person in enumerate(frame.people):
            np.testing.assert_allclose(person.transl, columns["trans_cam"][row] + offsets[row], atol=1e-5)
    assert np.abs(offsets[0] - offsets[1]).max() > 0.1


def test_betas_are_eleven_and_neutral_whatever_the_subject_is(frames):
    for frame in frames.values():
        for person in frame.people:
            assert (person.betas.shape, person.gender) == ((11,), "neutral")


def test_faces_are_absent_and_not_zero(frames):
    person = next(iter(frames.values())).people[0]
    assert (person.jaw_pose, person.leye_pose, person.expression, person.labels.face) == (None,) * 4


def test_people_of_one_picture_share_its_camera(frames):
    assert all(person.camera is None for frame in frames.values() for person in frame.people)


def test_a_person_with_intrinsics_of_its_own_keeps_them(zoom):
    rewrite(zoom, cam_int=lambda K: K * np.where(np.arange(len(K)) == 1, 1.1, 1.0)[:, None, None])
    frame = next(converted("bedlam", zoom, "train"))
    assert frame.people[0].camera is None
    assert frame.people[1].camera.K[0, 0] == pytest.approx(1.1 * frame.camera.K[0, 0])


def test_sequence_and_frame_number_come_from_the_name(frames):
    frame = frames[f"{fake.ZOOM}/seq_000000_0005"]
    assert (frame.sequence, frame.frame_index) == (f"{fake.ZOOM}/seq_000000", 5)


def test_validation_scenes_are_found_in_both_layouts(root):
    names = {split: {unit.name for unit in bedlam.sources(root, split)} for split in fake.SPLITS}
    assert names["val"] == {scene.lower() for scene in (fake.VAL, fake.ELSEWHERE, fake.ARCHVIZ, fake.SUBURB)}
    assert not names["train"] & names["val"]


def test_all_thirty_scenes_of_the_owner_s_lists_have_a_split_and_pictures(tmp_path):
    for scene in SCENES:
        (tmp_path / "training_images" / scene / "png").mkdir(parents=True)
        (tmp_path / "all_npz_12_training").mkdir(exist_ok=True)
        (tmp_path / "all_npz_12_training" / f"{scene}.npz").touch()
    units = {split: bedlam.sources(tmp_path, split) for split in fake.SPLITS}
    assert (len(units["train"]), len(units["val"])) == (26, 4)
    for unit in (*units["train"], *units["val"]):
        assert unit.files["images"] == tmp_path / "training_images" / unit.files["labels"].stem / "png"
    assert len({bedlam_tree.scene_of(scene) for scene in SCENES}) == len(SCENES) == 30


def test_a_scene_whose_name_has_a_dash_finds_pictures_without(root, frames):
    assert not (root / "training_images" / fake.DASH).exists()
    image = frames[f"{fake.DASH}/seq_000000_0000"].image
    assert image.relative_to(root).parts[:2] == ("images", fake.DASH.replace("20-", "20_", 1).removesuffix("_6fps"))


def test_the_same_labels_with_a_dash_and_without_are_not_counted_twice(tmp_path, built):
    built(fake, tmp_path, frames=1, bad=False, scenes=[fake.DASH])
    labels = tmp_path / "all_npz_12_training" / f"{fake.DASH}.npz"
    labels.with_name(labels.name.replace("20-", "20_", 1)).write_bytes(labels.read_bytes())
    with pytest.raises(RawFileError, match="highSchoolGym_a in two files; keep one"):
        list_sources("bedlam", tmp_path, "train")


def test_videos_serve_for_labels_at_6_fps_frame_by_frame_and_upright(frames):
    shown = [frame for key, frame in frames.items() if key.startswith(fake.VIDEO)]
    assert [frame.frame_index for frame in shown] == [0, 5]
    for frame in shown:
        assert isinstance(frame.image, VideoFrame)
        assert number_of(frame.image.read()) == frame.frame_index
        assert (frame.quarter_turns, frame.width, frame.height) == (0, 720, 1280)


def test_pictures_are_taken_before_videos(tmp_path, built):
    built(fake, tmp_path, frames=1, bad=False, scenes=[fake.CLOSEUP])
    (tmp_path / "training_images" / fake.CLOSEUP / "mp4").mkdir()
    (unit,) = list_sources("bedlam", tmp_path, "train")
    assert unit.files["images"].name == "png"


def test_labels_at_30_fps_name_scenes_without_a_rate(tmp_path, built):
    truth = built(fake, tmp_path, bad=False, release="30fps")
    splits = {split: list_sources("bedlam", tmp_path, split, {"release": "30fps"}) for split in fake.SPLITS}
    assert [len(units) for units in splits.values()] == [9, 4]
    mesh_mm, joints_px, keypoints_px = worst(differences("bedlam", tmp_path, truth, fake.SPLITS, release="30fps"))
    assert max(mesh_mm, joints_px, keypoints_px) < 0.1
    indices = [frame.frame_index for frame in converted("bedlam", tmp_path, "train", release="30fps")]
    assert max(indices) == 2  # every frame, one after the other


def test_labels_at_30_fps_do_not_take_pictures_of_6_fps(tmp_path, built):
    built(fake, tmp_path, frames=1, bad=False, scenes=[fake.ORBIT])
    built(fake, tmp_path / "new", frames=1, bad=False, scenes=[fake.ORBIT], release="30fps")
    (tmp_path / "new" / "processed_labels").rename(tmp_path / "processed_labels")
    with pytest.raises(RawFileError, match="has no pictures of 20221013_3_250_batch01hand_orbit_bigOffice;"):
        list_sources("bedlam", tmp_path, "train", {"release": "30fps"})


def test_labels_of_the_other_release_are_missed_by_name(zoom):
    with pytest.raises(RawFileError, match=re.escape(str(zoom / "processed_labels"))):
        list_sources("bedlam", zoom, "train", {"release": "30fps"})
    with pytest.raises(UnknownNameError, match="6fps"):
        list_sources("bedlam", zoom, "train", {"release": "60fps"})


def test_hands_that_were_found_are_told_of_the_right_person(root, frames):
    with np.load(root / "all_npz_12_hands" / f"{fake.HDRI}-hands.npz") as told:
        told = dict(told)
    people = [p for key, frame in frames.items() if key.startswith(fake.HDRI) for p in frame.people]
    assert [dict(person.quality) for person in people if person.provenance.row == "0"] == [{}]  # not in that file
    others = [person for person in people if person.provenance.row != "0"]
    assert len(others) == len(told["imgname"])
    for person, left, right in zip(others, told["left_hand"][::-1], told["right_hand"][::-1], strict=True):
        assert person.quality == {"owner_left_hand_found": left, "owner_right_hand_found": right}
    assert {tuple(person.quality.values()) for person in others} == {(0, 0), (1, 0), (0, 1)}


def test_hands_of_other_labels_are_refused(tmp_path, built):
    built(fake, tmp_path, frames=1, bad=False, scenes=[fake.HDRI])
    rewrite(tmp_path, f"all_npz_12_hands/{fake.HDRI}-hands.npz", pose_cam=lambda value: value + 1)
    with pytest.raises(RawSchemaError, match="nobody of the labels; take labels and all_npz_12_hands of one release"):
        list(converted("bedlam", tmp_path, "train"))


@pytest.mark.parametrize("folder", ["training_labels", "bedlam_labels"])
def test_labels_may_lie_where_the_owner_s_scripts_put_them(tmp_path, built, folder):
    truth = built(fake, tmp_path, frames=1, bad=False, scenes=[fake.HDRI])
    (tmp_path / folder).mkdir()
    for name in ("all_npz_12_training", "all_npz_12_hands"):
        (tmp_path / name).rename(tmp_path / folder / name)
    assert worst(differences("bedlam", tmp_path, truth, ("train",)))[0] < 0.1
    (frame,) = converted("bedlam", tmp_path, "train")
    assert any(person.quality for person in frame.people)


def test_a_subject_is_one_track_unless_twice_in_a_picture(tmp_path, built):
    built(fake, tmp_path, frames=15, bad=False, scenes=[fake.ZOOM])
    rewrite(tmp_path, sub=lambda sub: np.array(["ann" if i % 2 else f"ben{i}" for i in range(len(sub))]))
    people = {}
    for frame in converted("bedlam", tmp_path, "train"):
        sequence = people.setdefault(frame.sequence, [])
        sequence.append([person.track for person in frame.people])
    for sequence, tracks in people.items():
        names = [track for picture in tracks for track in picture]
        if any(picture.count(None) > 1 for picture in tracks):
            assert f"{sequence}/ann" not in names  # she stands beside herself
        else:
            assert names.count(f"{sequence}/ann") == len(tracks)
    assert {any(None in picture for picture in tracks) for tracks in people.values()} == {True, False}


def test_labels_without_subjects_have_no_tracks(zoom):
    path = zoom / "all_npz_12_training" / f"{fake.ZOOM}.npz"
    with np.load(path) as archive:
        columns = {name: archive[name] for name in archive.files if name != "sub"}
    np.savez(path, **columns)
    assert {person.track for frame in converted("bedlam", zoom, "train") for person in frame.people} == {None}


def test_frames_come_in_the_order_of_time_whoever_is_listed_first(zoom, built):
    built(fake, zoom, frames=10, bad=False, scenes=[fake.ZOOM])
    rewrite(zoom, **{name: lambda rows: rows[::-1] for name in bedlam_rows.COLUMNS})
    indices = [frame.frame_index for frame in converted("bedlam", zoom, "train")]
    assert indices == sorted(indices)
    assert len(indices) == 4


def test_a_scene_in_both_folders_is_not_counted_twice(tmp_path, built):
    built(fake, tmp_path, frames=1, bad=False, scenes=[fake.VAL, fake.ELSEWHERE])
    both = tmp_path / "all_npz_12_validation" / f"{fake.VAL}.npz"
    both.write_bytes((tmp_path / "all_npz_12_training" / both.name).read_bytes())
    with pytest.raises(RawFileError, match=f"{fake.VAL.removesuffix('_6fps')} in two files; keep one"):
        list_sources("bedlam", tmp_path, "val")


def test_agora_s_rows_are_left_to_the_agora_converter(root):
    assert (root / "all_npz_12_training" / "agora-bfh.npz").is_file()
    assert not [unit for unit in bedlam.sources(root, "train") if "agora" in unit.name]


def test_every_row_is_written_or_rejected(tmp_path, built):
    built(fake, tmp_path)
    for split in fake.SPLITS:
        for source in bedlam.sources(tmp_path, split):
            with np.load(source.files["labels"]) as columns:
                rows = len(columns["imgname"])
            records = list(bedlam.frames(source))
            assert sum(len(r.people) if isinstance(r, Frame) else r.people for r in records) == rows
            assert bedlam.count_people(source) == rows


@pytest.mark.parametrize(
    "rewritten",
    [lambda points: points[..., :2], lambda points: np.concatenate([points, points[:, :17] + 7], axis=1)],
    ids=["pixels alone", "with the contour of the face"],
)
def test_joints_are_the_same_however_they_are_written(zoom, rewritten):
    before = [person.keypoints_2d for frame in converted("bedlam", zoom, "train") for person in frame.people]
    rewrite(zoom, gtkps=rewritten)
    after = [person.keypoints_2d for frame in converted("bedlam", zoom, "train") for person in frame.people]
    np.testing.assert_array_equal(before, after)
    assert np.array(after).shape[1:] == (127, 3)
    assert (np.array(after)[..., 2] == 1).all()


def test_joints_of_bedlam2_are_refused(zoom):
    rewrite(zoom, gtkps=lambda points: np.concatenate([points[:, :44], points], axis=1))
    with pytest.raises(RawSchemaError, match=r"\(n, 127, 2 or 3\), found \(\d+, 171, 3\); .* BEDLAM2 begin with other"):
        list(converted("bedlam", zoom, "train"))


@pytest.mark.parametrize("width", [10, 16])
def test_betas_of_another_release_are_refused_with_the_reason(zoom, width):
    rewrite(zoom, shape=lambda betas: np.ones((len(betas), width)))
    with pytest.raises(RawSchemaError, match=rf"should be of shape \(n, 11\), found .*{width}\); 11 betas belong"):
        list(converted("bedlam", zoom, "train"))


def test_a_camera_that_is_none_rejects_the_person(zoom):
    rewrite(zoom, cam_int=lambda K: K * (np.arange(len(K)) > 0)[:, None, None])
    reject, frame = converted("bedlam", zoom, "train")
    assert (reject.reason, reject.people) == ("bad_camera", 1)
    assert "0" not in [person.provenance.row for person in frame.people]


def test_pictures_that_do_not_fit_the_principal_point_are_rejected(zoom):
    rewrite(zoom, cam_int=lambda K: K * [[1, 1, 0.5], [1, 1, 0.5], [1, 1, 1]])
    (reject,) = converted("bedlam", zoom, "train")
    assert reject.reason == "image_size"


def test_scenes_without_pictures_stop_the_conversion_unless_told_otherwise(tmp_path, built):
    built(fake, tmp_path, frames=1, bad=False, scenes=[fake.ZOOM, fake.UPRIGHT_CLOSEUP])
    (tmp_path / "training_images" / fake.ZOOM).rename(tmp_path / "elsewhere")
    with pytest.raises(RawFileError, match=f"no pictures of {fake.ZOOM}; .*scenes=present"):
        list_sources("bedlam", tmp_path, "train")
    present = list_sources("bedlam", tmp_path, "train", {"scenes": "present"})
    assert [unit.name for unit in present] == [fake.UPRIGHT_CLOSEUP.lower()]
    with pytest.raises(UnknownNameError, match="present"):
        list_sources("bedlam", tmp_path, "train", {"scenes": "presnt"})


def test_a_split_of_which_nothing_is_there_is_an_error_and_no_empty_success(zoom):
    with pytest.raises(RawFileError, match="nothing of the val split"):
        list_sources("bedlam", zoom, "val")
