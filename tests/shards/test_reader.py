"""People are found by their offsets, and damage is never silent."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ehps.errors import ShardError
from ehps.shards.reader import PeopleIndex, ShardReader, iter_shards, read_people

SOUND = "fake/train/unit_1/fake-train-unit_1-00000.tar"


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def test_shards_come_in_order_and_by_source_and_split(tree):
    names = [path.name for path in iter_shards(tree)]
    assert names == sorted(names)
    assert len(names) == 4
    assert [path.name for path in iter_shards(tree, "other")] == ["other-test-only-00000.tar"]
    assert list(iter_shards(tree, "fake", "val")) == []


def test_a_frame_comes_back_as_it_was_written(make, tree, assert_same):
    with ShardReader(tree / SOUND) as reader:
        found, expected = reader.frame(reader.keys[1]).record(), make.frame(7, ext="png")
    assert_same(replace(found, people=()), replace(expected, people=()))
    for person, other in zip(found.people, expected.people, strict=True):
        assert_same(person, other)


def test_a_stored_person_has_every_field_of_person_and_frame(make, tree):
    with ShardReader(tree / SOUND) as reader:
        full, bare = reader.person(2), reader.person(3)
    for name, value in vars(make.person(7)).items():
        np.testing.assert_array_equal(getattr(full, name), value if name != "camera" else full.frame.camera)
    assert (full.person_key, bare.index, full.dataset, full.split) == (f"{full.key}#0", 1, "fake", "train")
    assert (full.width, full.height, full.camera_name, full.frame_index) == (40, 24, "cam_1", 7)
    np.testing.assert_array_equal(full.K, make.camera().K)
    assert full.image_bytes == make.picture(7, "png")
    assert full.image().shape == (24, 40, 3)
    assert (bare.body_pose, bare.betas, bare.gender, bare.track, bare.bbox_xyxy) == (None,) * 5
    with pytest.raises(AttributeError, match="no 'shoe_size'"):
        _ = full.shoe_size


def test_a_person_with_an_own_camera_has_its_intrinsics(make, tmp_path):
    own = make.camera()
    own.K[0, 0] = 4321.0
    make.unit(tmp_path, [make.frame(people=(make.person(1, camera=own), make.person(2)))])
    first, second = read_people(tmp_path)
    assert (first.K[0, 0], second.K[0, 0]) == (4321.0, 1000.5)


def test_arrays_cannot_be_written_into(tree):
    with ShardReader(tree / SOUND) as reader, pytest.raises(ValueError, match="read-only"):
        reader.person(0).transl[0] = 1.0


def test_an_unknown_frame_is_named(tree):
    with ShardReader(tree / SOUND) as reader, pytest.raises(ShardError, match="no frame 'nobody'"):
        reader.frame("nobody")


def test_threads_share_a_reader(make, tree):
    with ShardReader(tree / SOUND) as reader, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda row: reader.image_bytes(row), list(range(6)) * 20))
    assert found == [make.picture(6 + row // 2, "png") for row in range(6)] * 20


def test_a_missing_tar_is_an_error_that_names_both_files(tree):
    (tree / SOUND).unlink()
    index = PeopleIndex.open(tree)
    with pytest.raises(
        ShardError, match=r"unit_1-00000\.tar: the tar is not there, but its sidecar .*unit_1-00000\.parquet"
    ):
        _ = index.load(13).transl


def test_a_tar_of_another_size_is_refused(tree):
    with (tree / SOUND).open("ab") as file:
        file.write(b"more")
    with ShardReader(tree / SOUND) as reader, pytest.raises(ShardError, match=r"its sidecar .* says"):
        reader.image_bytes(0)


def test_a_missing_sidecar_is_an_error(tree):
    (tree / SOUND).with_suffix(".parquet").unlink()
    with pytest.raises(ShardError, match="sidecar of the shard is not there"):
        ShardReader(tree / SOUND)


def test_a_flipped_byte_is_noticed_when_it_is_read(tree):
    with ShardReader(tree / SOUND) as reader:
        offset = reader.rows.column("image_offset")[0].as_py()
        flip(tree / SOUND, offset + 100)
        with pytest.raises(ShardError, match=f"bytes at {offset} are damaged"):
            reader.image_bytes(0)
        assert reader.image_bytes(2)
