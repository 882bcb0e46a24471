"""What only BEDLAM does."""

import numpy as np
import pytest

from ehps.converters import bedlam, list_sources
from ehps.errors import RawFileError, RawSchemaError, UnknownNameError
from ehps.shards.record import Frame
from ehps.tests.raw import bedlam as fake
from ehps.tests.raw._recovery import converted


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("bedlam")
    fake.build(root, bad=False)
    return root


@pytest.fixture(scope="module")
def frames(root):
    records = [record for split in fake.SPLITS for record in converted("bedlam", root, split)]
    return {record.key: record for record in records if isinstance(record, Frame)}


@pytest.fixture
def zoom(tmp_path):
    """A tree of one scene that a test may spoil."""
    fake.build(tmp_path, frames=1, bad=False, scenes=[fake.ZOOM])
    return tmp_path


def rewrite(root, **changes):
    """Replace columns of the labels of a spoilt scene."""
    path = root / "all_npz_12_training" / f"{fake.ZOOM}.npz"
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
    assert names["val"] == {fake.VAL.lower(), fake.ELSEWHERE.lower()}
    assert not names["train"] & names["val"]


def test_a_scene_in_both_folders_is_not_counted_twice(tmp_path):
    fake.build(tmp_path, frames=1, bad=False, scenes=[fake.VAL, fake.ELSEWHERE])
    both = tmp_path / "all_npz_12_validation" / f"{fake.VAL}.npz"
    both.write_bytes((tmp_path / "all_npz_12_training" / both.name).read_bytes())
    with pytest.raises(RawFileError, match=f"{fake.VAL} in two folders; keep one"):
        list_sources("bedlam", tmp_path, "val")


def test_agora_s_rows_are_left_to_the_agora_converter(root):
    assert (root / "all_npz_12_training" / "agora-bfh.npz").is_file()
    assert not [unit for unit in bedlam.sources(root, "train") if "agora" in unit.name]


def test_every_row_is_written_or_rejected(tmp_path):
    fake.build(tmp_path)
    for split in fake.SPLITS:
        for source in bedlam.sources(tmp_path, split):
            with np.load(source.files["labels"]) as columns:
                rows = len(columns["imgname"])
            records = list(bedlam.frames(source))
            assert sum(len(r.people) if isinstance(r, Frame) else r.people for r in records) == rows


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


def test_scenes_without_pictures_stop_the_conversion_unless_told_otherwise(tmp_path):
    fake.build(tmp_path, frames=1, bad=False, scenes=[fake.ZOOM, fake.UPRIGHT_CLOSEUP])
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
