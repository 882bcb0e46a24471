"""What only UBody does: files read block by block, two lists of test videos, frames or the videos themselves."""

import json
import shutil

import numpy as np
import pytest

from ehps.converters import list_sources, ubody
from ehps.converters.formats.json_stream import stream_json
from ehps.errors import RawFileError, RawSchemaError, UnknownNameError
from ehps.shards.record import Frame, Reject
from ehps.tests.raw import ubody as fake
from ehps.tests.raw._recovery import converted
from ehps.tests.raw._videos import number_of, numbered, write_video


@pytest.fixture(scope="module")
def root(tmp_path_factory, built):
    root = tmp_path_factory.mktemp("ubody")
    built(fake, root)
    return root


def frames_of(root, split="train", **options):
    return [record for record in converted("ubody", root, split, **options) if isinstance(record, Frame)]


def rejects_of(root, split="train", **options):
    return [record for record in converted("ubody", root, split, **options) if isinstance(record, Reject)]


def keypoint_file(root, scene="Magic_show"):
    return root / "annotations" / scene / "keypoint_annotation.json"


def rewrite(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_a_trimmed_video_is_test_when_its_title_is_listed(root):
    assert {frame.sequence.split("/")[1] for frame in frames_of(root, "test")} == {"Magic_show_S2_Trim1", "Speech_V2"}
    inter = {frame.sequence.split("/")[0] for frame in frames_of(root, "test", protocol="inter")}
    assert inter == {"Speech"}
    with pytest.raises(UnknownNameError, match="protocol called 'intre'; did you mean int"):
        list_sources("ubody", root, "train", {"protocol": "intre"})


def test_train_and_test_hold_every_annotation_once(root):
    for protocol in ubody.PROTOCOLS:
        units = [unit for split in fake.SPLITS for unit in list_sources("ubody", root, split, {"protocol": protocol})]
        listed = sum(
            len(json.loads(keypoint_file(root, s).read_text())["annotations"]) for s in ("Magic_show", "Speech")
        )
        assert sum(ubody.count_people(unit) for unit in units) == listed


def test_cameras_belong_to_boxes_and_depth_is_not_metric(root):
    people = [person for frame in frames_of(root) for person in frame.people]
    for person in people:
        assert person.camera.kind == "virtual_crop"
        assert person.transl_is_metric is False
        assert person.quality["crop_mismatch"] < 1e-3
        assert person.labels.keypoints_2d == person.labels.body == "pseudo"
    assert len({person.camera.K.tobytes() for person in people}) == len(people)


def test_people_keep_their_number_in_the_owner_s_file(root):
    annotations = json.loads(keypoint_file(root).read_text())["annotations"]
    for frame in frames_of(root) + frames_of(root, "test"):
        if frame.key.startswith("Magic_show"):
            for person in frame.people:
                number = int(person.quality["owner_number"])
                assert str(annotations[number - 1]["id"]) == person.provenance.row


def test_blocks_hold_whole_videos_and_the_same_people(root, monkeypatch):
    whole = [record.key for record in converted("ubody", root, "train")]
    monkeypatch.setattr(ubody, "PEOPLE_PER_UNIT", 1)
    units = list_sources("ubody", root, "train")
    assert len(units) == 4
    assert units[0].options["groups"] == "Magic_show_S1_Trim1/Magic_show_S1_Trim1"  # 1 comes before 10
    assert [record.key for record in converted("ubody", root, "train")] == whole


def test_annotations_in_any_order_give_the_same_people(root, tmp_path):
    def shuffle(content):
        np.random.default_rng(3).shuffle(content["annotations"])
        np.random.default_rng(4).shuffle(content["images"])

    before = {(frame.key, one.provenance.row) for frame in frames_of(root) for one in frame.people}
    shutil.copytree(root, tmp_path / "mixed")
    rewrite(keypoint_file(tmp_path / "mixed"), shuffle)
    after = {(frame.key, one.provenance.row) for frame in frames_of(tmp_path / "mixed") for one in frame.people}
    assert after == before


def test_a_block_reads_no_more_than_its_own_bytes(root, monkeypatch):
    monkeypatch.setattr(ubody, "PEOPLE_PER_UNIT", 1)
    unit = list_sources("ubody", root, "train")[1]
    start, stop, _ = map(int, unit.options["annotations"].split(":"))
    text = keypoint_file(root).read_bytes()[start:stop]
    items = [item for item in stream_json(keypoint_file(root)) if item.name == "annotations"]
    mine = [item.value for item in items if start <= item.start < stop]
    assert json.loads(b"[" + text + b"]") == mine
    assert len(mine) == ubody.count_people(unit)


def test_frames_come_from_the_video_where_none_were_extracted(root):
    filmed = [frame for frame in frames_of(root) if frame.key.startswith("Speech")]
    assert [frame.frame_index for frame in filmed] == [0]
    for frame in filmed:
        assert frame.image.path == root / "videos" / "Speech" / "Speech_V1.mp4"
        assert number_of(frame.image.read()) == frame.frame_index


def test_pictures_may_be_chosen(root):
    with pytest.raises(RawFileError, match="neither frames nor videos of Magic_show"):
        list_sources("ubody", root, "train", {"pictures": "videos"})
    with pytest.raises(RawFileError, match="neither frames nor videos of Speech"):
        list_sources("ubody", root, "train", {"pictures": "images"})
    with pytest.raises(UnknownNameError, match="did you mean videos"):
        list_sources("ubody", root, "train", {"pictures": "vidoes"})


@pytest.mark.parametrize(("fps", "kept"), [(30, 3), (29, 3), (25, 2), (60, 1)])
def test_a_video_of_another_rate_gives_only_frames_that_are_surely_the_same(tmp_path, fps, kept, built):
    built(fake, tmp_path, bad=False, times=3)
    picture = np.full((fake.SIZE[1], fake.SIZE[0], 3), 90, np.uint8)
    path = tmp_path / "videos" / "Speech" / "Speech_V2.mp4"
    write_video(path, (numbered(picture, number) for number in range(3)), fps=fps)
    frames = [frame for frame in frames_of(tmp_path, "test") if "Speech" in frame.key]
    assert [number_of(frame.image.read()) for frame in frames] == list(range(kept))
    rejects = rejects_of(tmp_path, "test")
    assert [reject.reason for reject in rejects] == ["other_frame_rate"] * (3 - kept)
    assert all(f"{fps} frames a second" in reject.detail for reject in rejects)


def test_labels_alone_need_no_video(small):
    from ehps.converters.pictures import labels_alone

    shutil.rmtree(small / "videos")
    shutil.rmtree(small / "images")
    with labels_alone(True):
        assert len(frames_of(small)) == fake.EXPECTED["train"]["frames"]


def test_an_annotation_of_an_unlisted_picture_is_named(small):
    rewrite(keypoint_file(small), lambda content: content["annotations"][2].update(image_id=900))
    with pytest.raises(RawSchemaError, match="image_id of annotation 2 should be one of images, found image 900"):
        list_sources("ubody", small, "train")


def test_a_file_that_is_cut_off_is_named(small):
    path = keypoint_file(small)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RawFileError, match=r"keypoint_annotation.json: is not JSON"):
        list_sources("ubody", small, "train")


def test_a_list_of_test_videos_that_is_none_is_named(small):
    path = small / "splits" / "intra_scene_test_list.npy"
    np.save(path, np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(RawFileError, match=r"intra_scene_test_list.npy: is no list of names"):
        list_sources("ubody", small, "train")
    path.unlink()
    with pytest.raises(RawFileError, match=r"none of the files intra_scene_test_list.npy"):
        list_sources("ubody", small, "train")
