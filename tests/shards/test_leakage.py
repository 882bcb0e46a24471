"""Leakage between pictures with known hashes: exact, near and by name, and what cannot be judged."""

from collections.abc import Sequence

import pyarrow as pa
import pytest

from ehps.shards.leakage import LISTED, PictureTable, Shared, find_leakage, picture_table
from ehps.shards.phash import NO_HASH

FAR = [0x0F0F_3355_AAAA_1234, 0x5A5A_FF00_1111_9876, 0xC3C3_8001_7777_0FF0, 0x1BAD_CAFE_2468_ACE0]


def pictures(dataset: str, split: str, rows: Sequence[tuple[str, str | None, int | None]]) -> PictureTable:
    """A table of pictures, each (file name, BLAKE3, hash)."""
    names, blake3, hashes = zip(*rows, strict=True) if rows else ((), (), ())
    table = {
        "key": pa.array([f"{dataset}-{split}-{number}" for number in range(len(rows))], pa.string()),
        "frame_key": pa.array([f"images/{name}.jpg" for name in names], pa.string()),
        "image_blake3": pa.array(blake3, pa.string()),
        "image_phash": pa.array(hashes, pa.uint64()),
    }
    return picture_table(dataset, split, pa.table(table))


def flipped(value: int, *bits: int) -> int:
    for bit in bits:
        value ^= 1 << bit
    return value


def listed(found) -> list[tuple]:
    return [tuple(row.values()) for row in found.pair_table().to_pylist()]


def test_every_picture_of_the_benchmark_gets_the_strongest_verdict():
    train = pictures(
        "coco",
        "train",
        [
            ("000000000139", "aa", FAR[0]),
            ("000000000285", "bb", FAR[1]),
            ("000000000632", "cc", FAR[2]),
            ("000000000724", "dd", FAR[2]),
        ],
    )
    test = pictures(
        "bench",
        "test",
        [
            ("copy_of_one_139", "aa", FAR[0]),  # the same bytes, and so the same hash
            ("recompressed", "xx", flipped(FAR[1], 0, 21, 42, 63)),
            ("twice_there", "yy", FAR[2]),
            ("000000000724", "zz", flipped(FAR[3], 1)),  # cut beyond recognition, but called the same
            ("unknown_picture", "ww", flipped(FAR[1], 0, 21, 42, 63, 7)),
        ],
    )
    found = find_leakage([train], [test])
    assert found.is_found
    assert found.shared == [
        Shared("coco/train", "bench/test", "exact", 1, 0.2, 1, 1),
        Shared("coco/train", "bench/test", "near", 2, 0.4, 3, 3),
        Shared("coco/train", "bench/test", "name", 1, 0.2, 1, 1),
    ]
    assert listed(found) == [
        ("exact", "coco/train", "coco-train-0", "bench/test", "bench-test-0", None),
        ("near", "coco/train", "coco-train-1", "bench/test", "bench-test-1", 4),
        ("near", "coco/train", "coco-train-2", "bench/test", "bench-test-2", 0),
        ("name", "coco/train", "coco-train-3", "bench/test", "bench-test-3", None),
    ]


def test_a_larger_distance_finds_more():
    train = pictures("a", "train", [("first", "1", FAR[0])])
    test = pictures("b", "test", [("second", "2", flipped(FAR[0], 3, 9, 30, 33, 61))])
    assert not find_leakage([train], [test], 4).is_found
    assert find_leakage([train], [test], 5).is_found
    with pytest.raises(ValueError, match="0 to 15, found 16"):
        find_leakage([train], [test], 16)


def test_equal_names_that_prove_nothing_are_not_listed_and_never_are_leakage_alone():
    rows = [("000123", "1", FAR[0]), ("frame_000000001", "2", FAR[1]), ("frame_000000001", "3", FAR[1])]
    train = pictures("a", "train", rows)
    test = pictures("b", "test", [("000123", "4", FAR[2]), ("frame_000000001", "5", FAR[3])])
    assert find_leakage([train], [test]).shared == []
    named = pictures("c", "train", [("frame_000000001", "6", FAR[0])])
    found = find_leakage([named], [test])
    assert [shared.kind for shared in found.shared] == ["name"]
    assert not found.is_found


def test_what_cannot_be_judged_is_counted_and_never_a_pair():
    rows = [("one", None, None), ("two", None, NO_HASH), ("three", "3", NO_HASH), ("four", "4", FAR[0])]
    train, test = pictures("a", "train", rows[:3]), pictures("b", "test", rows)
    found = find_leakage([train], [test])
    assert [shared.kind for shared in found.shared] == ["exact"]
    assert listed(found) == [("exact", "a/train", "a-train-2", "b/test", "b-test-2", None)]
    assert [(side, tuple(counts)) for side, counts in found.unjudged] == [
        ("test", ("b/test", 4, 2, 1, 2)),
        ("train", ("a/train", 3, 2, 1, 2)),
    ]


def test_a_picture_that_is_there_often_is_counted_and_listed_a_few_times():
    copies = [(f"copy {number}", f"{number}", flipped(FAR[0], *range(number % 5))) for number in range(50)]
    train = pictures("a", "train", [*copies, ("else", "x", FAR[1])])
    test = pictures("b", "test", [("one", "y", FAR[0]), ("same", "z", FAR[0])])
    found = find_leakage([train], [test])
    assert found.shared == [Shared("a/train", "b/test", "near", 2, 1.0, 50, 100)]
    assert [row[2] for row in listed(found)] == [f"a-train-{n}" for n in range(LISTED)] * 2
    assert [row[5] for row in listed(found)] == [0, 1, 2] * 2


def test_sources_are_kept_apart_and_empty_ones_are_no_trouble():
    one, two = pictures("a", "train", [("x", "1", FAR[0])]), pictures("a", "val", [("x", "1", FAR[0])])
    nothing, test = pictures("c", "train", []), pictures("b", "test", [("y", "1", FAR[0])])
    found = find_leakage(iter([one, nothing, two]), [test, pictures("d", "test", [])])
    assert [(shared.train, shared.test) for shared in found.shared] == [("a/train", "b/test"), ("a/val", "b/test")]
    assert find_leakage([nothing], [test]).pair_table().num_rows == 0
