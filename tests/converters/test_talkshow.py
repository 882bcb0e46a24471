"""What only TalkSHOW does."""

import io
import pickle
import shutil
import sys

import numpy as np
import pytest

from ehps.body.unpickling import load_pickle
from ehps.converters import get_converter, list_sources
from ehps.converters.engine import convert
from ehps.converters.formats.show_pickle import read_clip
from ehps.converters.pictures import labels_alone
from ehps.errors import RawFileError, RawSchemaError, UnsafePickleError
from ehps.shards.record import Frame, Reject
from ehps.tests.raw import talkshow as fake
from ehps.tests.raw._owner_pickles import write_pickle
from ehps.tests.raw._recovery import converted, differences, worst
from ehps.tests.raw._videos import number_of, write_video


@pytest.fixture
def small(tmp_path, built):
    """A tree that a test may spoil, and Seth's pickle of train."""
    built(fake, tmp_path, bad=False)
    return tmp_path, next(tmp_path.glob("*/seth/*/train/*/*.pkl"))


def frames_of(root, split="train", speaker=""):
    records = [record for record in converted("talkshow", root, split) if isinstance(record, Frame)]
    return [record for record in records if record.sequence.startswith(speaker)]


def rewrite(path, **changes):
    """Replace entries of a clip; one that becomes None goes."""
    content = load_pickle(
        path, dropped=frozenset({"torch._utils._rebuild_tensor_v2", "torch.storage._load_from_bytes"})
    )
    content |= {name: change(content[name]) for name, change in changes.items()}
    write_pickle(path, {name: value for name, value in content.items() if value is not None})


def test_the_pickles_want_torch_and_never_get_it(root):
    path = next(root.glob("*/seth/*/train/*/*.pkl"))
    with pytest.raises(UnsafePickleError, match=r"refers to torch\.(storage|_utils)\._"):
        load_pickle(path)
    before = set(sys.modules)
    assert read_clip(path, {}).frames == 3
    assert not {name for name in set(sys.modules) - before if name.startswith("torch")}


def test_a_pickle_that_wants_to_run_code_stops_its_unit(small):
    root, path = small
    stream = io.BytesIO()
    pickle.dump(np.random.default_rng, stream)
    path.write_bytes(stream.getvalue())
    with pytest.raises(UnsafePickleError, match="default_rng"):
        frames_of(root, speaker="seth")


def test_each_hand_has_its_own_pose(small):
    root, path = small
    rewrite(path, left_hand_pose=np.zeros_like, right_hand_pose=np.ones_like)
    person = frames_of(root, speaker="seth")[0].people[0]
    truth = read_clip(path, {"left": np.eye(12, 45), "right": np.eye(12, 45)}).columns
    assert np.abs(person.left_hand_pose - person.right_hand_pose).max() > 0.5
    assert truth["left_hand_pose"][0, 1, 2] == pytest.approx(-0.75622)
    assert truth["right_hand_pose"][0, 1, 2] == pytest.approx(0.75622 + 1)


def test_the_camera_s_translation_is_turned_over(small):
    root, path = small
    rewrite(path, transl=lambda transl: 0 * transl, camera_transl=lambda _: np.array([0.5, 0.2, 10.0], np.float32))
    frame = frames_of(root, speaker="seth")[0]
    np.testing.assert_allclose(frame.people[0].transl, [-0.5, -0.2, 10], rtol=1e-6)
    assert (frame.camera.kind, frame.people[0].transl_is_metric) == ("virtual_crop", False)


def test_betas_and_expressions_are_those_that_are_distributed(root):
    person = frames_of(root)[0].people[0]
    assert (person.betas.shape, person.expression.shape) == ((300,), (100,))
    assert person.expression[10:].any()


def test_clips_lie_in_three_kinds_of_trees(root):
    clips = {split: [frame.sequence.split("/")[0] for frame in frames_of(root, split)[::3]] for split in fake.SPLITS}
    assert clips == {"train": ["oliver", "seth"], "val": ["seth"], "test": ["conan"]}


def test_clips_outside_folders_of_splits_need_the_list(small):
    root, _ = small
    (root / "train_val_test.json").unlink()
    with pytest.raises(RawFileError, match=r"train_val_test.json: no such file.*TalkSHOW's data_utils"):
        list_sources("talkshow", root, "train")
    for speaker in ("conan", "oliver"):
        shutil.rmtree(root / fake.RELEASE / speaker)
    assert len(list_sources("talkshow", root, "train")) == 1


def test_the_list_may_have_the_owner_s_paths_and_clips_in_no_split_are_left_out(small):
    root, _ = small
    clip = "expressive_body-V0.7\\\\oliver\\\\Fake_News-elg1BF_hfII.webm\\\\98835-00_00_01-00_00_11"
    (root / "train_val_test.json").write_text(f'{{"train": [], "val": ["{clip}"], "test": []}}')
    sequences = {
        split: {frame.sequence.split("/")[0] for frame in frames_of(root, split)} for split in ("train", "val")
    }
    assert sequences == {"train": {"seth"}, "val": {"oliver", "seth"}}


def test_a_frame_of_a_video_is_found_by_its_time(root, tmp_path):
    images = [frame.image for frame in frames_of(root, speaker="oliver")]
    assert [image.index for image in images] == [30, 31, 32]
    assert [number_of(image.read()) for image in images] == [30, 31, 32]


def test_a_video_of_another_rate_is_followed_by_the_clock(small):
    root, _ = small
    (video,) = root.glob("videos/oliver/videos/*.webm")
    width, height = fake.SIZE
    write_video(video, [np.full((height, width, 3), 90, np.uint8)] * 20, fps=12, codec="libvpx")
    assert [frame.image.index for frame in frames_of(root, speaker="oliver")] == [12, 12, 13]


def test_frames_that_were_cut_out_are_preferred_to_the_video(small):
    root, _ = small
    (folder,) = root.glob("frames/seth/*/96210-*")
    target = root / "frames/oliver/Fake_News-elg1BF_hfII.webm/98835-00_00_01-00_00_11"
    shutil.copytree(folder, target)
    assert [frame.image.name for frame in frames_of(root, speaker="oliver")] == [
        "000001.jpg",
        "000002.jpg",
        "000003.jpg",
    ]


def test_a_video_that_ends_too_early_gives_rejects(small):
    root, _ = small
    (video,) = root.glob("videos/oliver/videos/*.webm")
    width, height = fake.SIZE
    write_video(video, [np.full((height, width, 3), 90, np.uint8)] * 31, fps=30, codec="libvpx")
    records = [record for record in converted("talkshow", root, "train") if "oliver" in getattr(record, "key", "")]
    assert [getattr(record, "reason", "written") for record in records] == ["written", "damaged_image", "damaged_image"]


def test_a_video_that_is_none_rejects_its_clips_whole(small):
    root, _ = small
    (video,) = root.glob("videos/oliver/videos/*.webm")
    video.write_bytes(b"404 not found")
    (reject,) = [record for record in converted("talkshow", root, "train") if isinstance(record, Reject)]
    assert (reject.reason, reject.people) == ("damaged_image", 3)


def test_labels_alone_need_neither_frames_nor_videos(small):
    root, _ = small
    shutil.rmtree(root / "videos")
    shutil.rmtree(root / "frames")
    with labels_alone(True):
        assert len(frames_of(root)) == 6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"body_pose_axis": lambda pose: pose[:2]},
            r"entry 'body_pose_axis' should be 189 numbers, found float32 \(2, 63\)",
        ),
        ({"betas": lambda betas: betas[:, :10]}, "entry 'betas' should be 300 numbers"),
        ({"expression": lambda _: None}, "entry 'expression' should be 300 numbers, found nothing"),
        ({"left_hand_pose": lambda _: np.zeros((3, 45), np.float32)}, "entry 'left_hand_pose' should be 36 numbers"),
        ({"center": lambda _: "middle"}, "entry 'center' should be 2 numbers"),
        ({"focal_length": lambda _: np.nan}, "entry 'focal_length' should be finite, found NaN"),
        ({"transl": lambda transl: transl.ravel()[:8]}, "entry 'global_orient' should be 6 numbers, found float32"),
    ],
)
def test_a_clip_with_another_shape_is_refused_alone(small, changes, message):
    root, path = small
    rewrite(path, **changes)
    with pytest.raises(RawSchemaError, match=message):
        read_clip(path, {})
    records = list(converted("talkshow", root, "train"))
    assert [record.reason for record in records if isinstance(record, Reject)] == ["bad_clip"]
    assert len([record for record in records if isinstance(record, Frame)]) == 3


def test_arrays_of_the_shapes_that_the_readme_tells_are_read_too(small):
    root, path = small
    want = [frame.people[0].body_pose for frame in frames_of(root, speaker="seth")]
    rewrite(path, body_pose_axis=lambda p: p.reshape(3, 21, 3), betas=np.ravel, global_orient=lambda g: g[:, 0])
    np.testing.assert_array_equal([frame.people[0].body_pose for frame in frames_of(root, speaker="seth")], want)


def test_a_clip_whose_name_tells_no_time_is_refused_where_its_video_is_needed(small):
    root, _ = small
    (clip,) = root.glob("*/oliver/*/*.pkl")
    clip.rename(clip.with_stem("98835"))
    (root / "train_val_test.json").write_text(
        '{"train": ["oliver/Fake_News-elg1BF_hfII.webm/98835"], "val": [], "test": []}'
    )
    (reject,) = [record for record in converted("talkshow", root, "train") if isinstance(record, Reject)]
    assert "the name of a clip should be like 5046-00_01_23-00_01_27" in reject.detail


def test_without_a_body_model_hands_are_absent(tmp_path, monkeypatch, built):
    truth = built(fake, tmp_path, bad=False, with_hands=False)
    monkeypatch.delenv("EHPS_BODY_MODELS")
    found = differences("talkshow", tmp_path, truth, fake.SPLITS)
    assert max(worst(found)[:2]) < 0.1
    assert not any(one.missing or one.invented for one in found)


def test_pictures_of_videos_and_files_are_written_alike(root, tmp_path):
    (report,) = convert("talkshow", root, tmp_path, "train", catalog=False)
    assert sum(unit.people for unit in report.units) == 6
    assert max(unit.measures["truncation"]["median"] for unit in report.units) > 0.2


def test_people_are_counted_as_the_pickles_tell(tmp_path, built):
    expected = built(fake, tmp_path).expected["train"]
    units = list_sources("talkshow", tmp_path, "train")
    counted = sum(get_converter("talkshow").count_people(unit) for unit in units)
    assert counted == expected["people"] + sum(expected["rejects"].values())
