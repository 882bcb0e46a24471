"""Verifying: every flipped byte is found and named, and so is a file whose checksum is right but not its content."""

import os
import random
import shutil
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ehps.shards.catalog import build_catalog
from ehps.shards.catalog_files import read_state
from ehps.shards.codec import sample_key
from ehps.shards.digest import file_digest
from ehps.shards.jpeg import TileMap
from ehps.shards.picture import picture_of
from ehps.shards.tree import read_unit, sealed_text
from ehps.shards.verify import Check, catalog_checks, run_checks, tree_checks, unit_checks, verify_tree, verify_unit
from ehps.shards.writer import UnitWriter

UNIT = "fake/train/unit_1"
TAR, SIDECAR = "fake-train-unit_1-00000.tar", "fake-train-unit_1-00000.parquet"


def flip(path: Path, position: int, bits: int = 1) -> None:
    with path.open("r+b") as file:
        position %= path.stat().st_size
        (value,) = os.pread(file.fileno(), 1, position)
        os.pwrite(file.fileno(), bytes([value ^ bits]), position)


def problems(out: Path, **options: Any) -> list[str]:
    return [str(problem) for _, found in verify_tree(out, **options) for problem in found]


@pytest.mark.parametrize("options", [{}, {"fast": True}, {"jobs": 3}, {"dataset": "fake"}, {"split": "test"}])
def test_a_sound_tree_has_no_problems(tree, options):
    assert problems(tree, **options) == []
    assert sum(check.size for check in tree_checks(tree)) == sum(path.stat().st_size for path in tree.rglob("*.tar"))


def test_the_checks_of_one_source_are_those_of_one_source(tree):
    looked_at = {check.path.name for check, _ in verify_tree(tree, "fake", "train")}
    assert looked_at == {"unit.json", "fake-train-unit_0-00000.tar", "fake-train-unit_0-00001.tar", TAR}


@pytest.mark.parametrize(
    ("position", "named"),
    [
        (0, "outside of all members: the header of fake-train-sequence-cam_1-00006_png.png"),
        (700, "damaged: fake-train-sequence-cam_1-00006_png's image"),
        (-1, "outside of all members: the end of the archive"),
    ],
)
def test_a_flipped_byte_of_a_tar_is_named(tree, position, named):
    flip(tree / UNIT / TAR, position)
    (problem,) = verify_unit(tree / UNIT)
    assert problem.startswith(f"{tree / UNIT / TAR}: BLAKE3 should be")
    assert named in problem
    assert verify_unit(tree / UNIT, fast=True) == []


def test_many_damaged_members_are_counted(tree):
    path = tree / UNIT / TAR
    path.write_bytes(bytes(path.stat().st_size))
    (problem,) = verify_unit(tree / UNIT)
    assert "00006_png's image, fake-train-sequence-cam_1-00006_png's json" in problem
    assert "and 6 more; convert the unit again" in problem


@pytest.mark.parametrize("name", ["rejects.parquet", SIDECAR, TAR])
def test_a_damaged_cut_or_missing_file_is_found(tree, name):
    path = tree / UNIT / name
    flip(path, 20)
    assert [str(path) in problem for problem in verify_unit(path.parent)] == [True]
    path.write_bytes(path.read_bytes()[:-1])
    assert [str(path) in problem for problem in verify_unit(path.parent, fast=True)] == [True]
    path.unlink()
    (problem,) = verify_unit(path.parent, fast=True)
    assert "is not there" in problem


def test_a_file_that_does_not_belong_and_a_unit_that_is_none_are_found(tree):
    (tree / UNIT / "notes.txt").write_text("mine")
    assert "nothing in unit.json speaks of this file" in verify_unit(tree / UNIT)[0]
    (tree / UNIT / "unit.json").unlink()
    assert "never committed" in verify_unit(tree / UNIT)[0]


def test_a_unit_in_another_place_is_found(tree):
    shutil.copytree(tree / UNIT, tree / "fake/train/unit_2")
    assert "speaks of fake/train/unit_1, which is not its folder" in "".join(verify_unit(tree / "fake/train/unit_2"))


def flips(out: Path) -> dict[Path, Callable[[], list]]:
    """Every file of a tree with what finds damage in it, and nothing else."""
    finders: dict[Path, Callable[[], list]] = {}
    for folder in sorted(path.parent for path in out.rglob("unit.json")):
        summary, *shards = unit_checks(folder)
        finders[folder / "unit.json"] = lambda folder=folder: unit_checks(folder)[0].run()
        finders[folder / "rejects.parquet"] = summary.run
        for shard in shards:
            finders[shard.path] = finders[shard.path.with_suffix(".parquet")] = shard.run
    for check in catalog_checks(out):
        path = check.path
        finders[path] = check.run if path.suffix != ".json" else lambda path=path: sealed_problems(out, path)
    return finders


def sealed_problems(out: Path, path: Path) -> list:
    return next(check for check in catalog_checks(out) if check.path == path).run()


def files(out: Path) -> list[Path]:
    return sorted(path for path in out.rglob("*") if path.is_file() and path.name != ".lock")


def test_each_of_a_thousand_flipped_bytes_is_found(tree):
    build_catalog(tree)
    chance, finders = random.Random(7), flips(tree)
    assert sorted(finders) == files(tree)
    assert not any(find() for find in finders.values())
    for path in chance.choices(sorted(finders), k=1000):
        position, bits = chance.randrange(path.stat().st_size), chance.randrange(1, 256)
        flip(path, position, bits)
        assert finders[path](), f"byte {position} of {path.name} with {bits} changed was not found"
        flip(path, position, bits)
    assert problems(tree) == []


def test_every_flip_of_a_whole_tree_names_its_file(tree):
    build_catalog(tree)
    chance = random.Random(11)
    for path in chance.sample(files(tree), 20):
        position = chance.randrange(path.stat().st_size)
        flip(path, position)
        assert any(str(path) in problem for problem in problems(tree, jobs=2))
        flip(path, position)


def test_spaces_of_unit_json_count_too(tree):
    path = tree / UNIT / "unit.json"
    path.write_text(path.read_text().replace("\n ", "\n\t", 1))
    assert "not those that were written" in verify_unit(tree / UNIT)[0]


def reseal(folder: Path, **changes: Any) -> None:
    """Change unit.json and its checksum with it."""
    unit = read_unit(folder) or {}
    (folder / "unit.json").write_text(sealed_text(unit | changes), encoding="utf-8")


def rewrite(folder: Path, column: str, change: Callable[[list], list]) -> None:
    """Change a column of the sidecar and every checksum with it."""
    path = next(folder.glob("*-00000.parquet"))
    table = pq.read_table(path)
    place = table.schema.get_field_index(column)
    values = pa.array(change(table.column(column).to_pylist()), table.schema.field(column).type)
    pq.write_table(table.set_column(place, table.schema.field(column), values), path)
    (shard, *others) = (read_unit(folder) or {})["shards"]
    reseal(folder, shards=[shard | {"sidecar_blake3": file_digest(path)}, *others])


@pytest.mark.parametrize(
    ("column", "change", "named"),
    [
        ("image_offset", lambda values: [value + 512 for value in values], "do not follow one another"),
        ("json_size", lambda values: [*values[:-1], values[-1] + 1], "people of one frame have several places"),
        ("rows_size", lambda values: [value - 512 for value in values], "do not follow one another"),
        (
            "rows_crc32",
            lambda values: [value ^ 1 for value in values],
            "says otherwise of fake-train-sequence-cam_1-00006",
        ),
        ("image_ext", lambda values: ["jpg" for _ in values], "the header of fake-train-sequence-cam_1-00006_png.jpg"),
        ("person", lambda values: [0, 0, *values[2:]], "persons are not numbered|num_people is not"),
        ("person", lambda values: [1, *values[1:]], "its first row is not the first person"),
        ("num_people", lambda values: [3 for _ in values], "num_people is not the number of its rows"),
        ("person_key", lambda values: ["x", *values[1:]], "row 0: person_key is not <key>#<person>"),
        ("key", lambda values: [*values[:-1], "x"], "people of one frame have several keys"),
        ("split", lambda values: [*values[:-1], "val"], "column split should be train in every row"),
        ("shard", lambda values: [None, *values[1:]], f"column shard should be {TAR} in every row"),
        ("tile_header_size", lambda values: [None, 3, *values[2:]], "rows after the first of a frame carry tiles"),
    ],
)
def test_a_sidecar_that_describes_another_tar_is_found_though_its_checksum_is_right(tree, column, change, named):
    rewrite(tree / UNIT, column, change)
    found = " ".join(verify_unit(tree / UNIT))
    assert any(part in found for part in named.split("|")), found


def test_a_missing_row_and_a_member_that_no_row_speaks_of_are_found(tree):
    path = tree / UNIT / SIDECAR
    pq.write_table(pq.read_table(path).slice(0, 4), path)
    (shard,) = (read_unit(tree / UNIT) or {})["shards"]
    reseal(tree / UNIT, shards=[shard | {"sidecar_blake3": file_digest(path)}])
    found = " ".join(verify_unit(tree / UNIT, fast=True))
    assert "it has 2 frames, unit.json says 3" in found
    assert "it has 4 people, unit.json says 6" in found
    assert f"the tar has {shard['size']}" in found


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"people": 7}, "people is 7, its parts add up to 6"),
        ({"frames": 2}, "frames is 2, its parts add up to 3"),
        ({"rejected_people": 5}, "rejected_people is 5, its parts add up to 2"),
        (
            {"rejects": {"nan_pose": 1, "other": 1}},
            "its reasons {'nan_pose': 2} are not the {'nan_pose': 1, 'other': 1}",
        ),
        ({"checks": {"people_raw": 9}}, "6 people and 2 rejected ones do not make the 9 of the raw files"),
    ],
)
def test_counts_that_disagree_are_found(tree, changes, named):
    reseal(tree / UNIT, **changes)
    assert named in " ".join(verify_unit(tree / UNIT, fast=True))


def tiled(make, out: Path, **changes: Any) -> Path:
    """A unit of one picture with four rows of tiles, as good as any to the CRC; ``changes`` are wrong entries."""
    frame = make.frame(0)
    data, edges = frame.image, np.linspace(100, len(frame.image) - 2, 5).astype(np.uint32)
    sums = [zlib.crc32(data[begin:end]) for begin, end in pairwise(edges)]
    facts: dict[str, Any] = {"row_offsets": edges, "row_crc32": np.array(sums, np.uint32)}
    facts |= {"header_size": 100, "header_crc32": zlib.crc32(data[:100])} | changes
    sizes = {"width": 40, "height": 24, "mcu_width": 16, "mcu_height": 8, "restart_mcus": 1}
    with UnitWriter(out, "fake", "train", "tiled", meta={}) as writer:
        picture = picture_of(data)._replace(tiles=TileMap(**sizes, **facts), stored="tiled")
        writer.write(frame, sample_key("fake", "train", frame.key), picture)
        return writer.commit()


def test_the_tiles_of_a_picture_are_held_against_its_bytes(make, tmp_path):
    folder = tiled(make, tmp_path)
    assert verify_unit(folder) == []
    flip(next(folder.glob("*.tar")), 800)
    assert "'s image" in verify_unit(folder)[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"header_crc32": 5},
        {"row_crc32": np.arange(4, dtype=np.uint32)},
        {"row_crc32": np.arange(5, dtype=np.uint32)},
        {"header_size": 99},
        {"row_offsets": np.array([100, 90, 200, 300, 400], np.uint32)},
        {"row_offsets": np.array([100, 200, 300, 400, 500], np.uint32)},
        {"row_offsets": np.array([100, 200], np.uint32)},
        {"row_offsets": np.array([100, 200, 300, 400, 1 << 30], np.uint32)},
    ],
)
def test_tiles_that_are_not_those_of_the_picture_are_found_without_reading_it(make, tmp_path, changes):
    (problem,) = verify_unit(tiled(make, tmp_path, **changes), fast=True)
    assert "its tiles are not those of its picture" in problem


def test_labels_without_pictures_are_verified_too(make, tmp_path):
    frame = make.frame(0)
    with UnitWriter(tmp_path, "fake", "train", "bare", meta={}) as writer:
        writer.write(frame, sample_key("fake", "train", frame.key), None)
        folder = writer.commit()
    assert verify_unit(folder) == []
    flip(next(folder.glob("*.tar")), 600)
    assert "'s json" in verify_unit(folder)[0]


def test_samples_larger_than_a_batch_are_read_whole(make, tmp_path, monkeypatch):
    monkeypatch.setattr("ehps.shards.tarcheck._BATCH", 1024)
    folder = make.unit(tmp_path, [make.frame(number) for number in range(3)])
    assert verify_unit(folder) == []
    flip(next(folder.glob("*.tar")), -1500)
    assert len(verify_unit(folder)) == 1


def test_checks_come_back_in_their_order_on_any_number_of_threads(tree):
    checks = tree_checks(tree)
    assert [check.path for check, _ in run_checks(checks, 4)] == [check.path for check in checks]


def test_a_disk_that_cannot_be_read_is_a_problem_of_its_file(tree, monkeypatch):
    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("ehps.shards.verify.read_tar", fail)
    assert all("cannot be read (Input/output error)" in problem for problem in problems(tree))
    assert len(problems(tree)) == 4


def test_a_sidecar_of_another_format_is_a_problem_and_no_crash(tree):
    path = tree / UNIT / SIDECAR
    pq.write_table(pq.read_table(path).replace_schema_metadata({"ehps_format": "1"}), path)
    (shard,) = (read_unit(tree / UNIT) or {})["shards"]
    reseal(tree / UNIT, shards=[shard | {"sidecar_blake3": file_digest(path)}])
    assert "format 1" in verify_unit(tree / UNIT)[0]


def test_a_sound_catalog_has_no_problems(tree):
    build_catalog(tree)
    assert problems(tree) == []
    assert problems(tree, fast=True) == []
    looked_at = {check.path.name for check in catalog_checks(tree)}
    assert looked_at >= {"catalog.json", "catalog.duckdb", "partition.json", "people.parquet", "index.npy"}
    assert len(list(catalog_checks(tree, "other"))) < len(list(catalog_checks(tree)))


def test_a_catalog_that_is_behind_the_units_is_found(make, tree):
    build_catalog(tree)
    make.unit(tree, [make.frame(20)], "unit_2")
    found = " ".join(problems(tree, fast=True))
    assert "it has 9 frames, the units have 10" in found
    assert "it has 2 rejects, the units have 3" in found
    assert "it was made from other shards than those that are there; rebuild it with ehps catalog" in found
    make.unit(tree, [make.frame(21)], "unit_0", dataset="newer")
    assert "it does not have newer/train" in " ".join(problems(tree))
    shutil.rmtree(tree / "other")
    assert "it has 1 people, the units have 0" in " ".join(problems(tree, dataset="other"))


def test_missing_and_foreign_files_of_the_catalog_are_found(tree):
    build_catalog(tree)
    state = read_state(tree)
    assert state is not None
    folder = state.partitions[0].folder
    (folder / "index.npy").unlink()
    (folder / "notes.txt").write_text("mine")
    (tree / "catalog.duckdb").unlink()
    found = " ".join(problems(tree, fast=True))
    for text in ("index.npy: the file is not there", "does not speak of notes.txt", "catalog.duckdb: the file is not"):
        assert text in found
    (folder / "partition.json").unlink()
    assert "partition.json: the file is not there" in " ".join(problems(tree))


def test_who_stops_listening_does_not_wait_for_the_rest():
    begun = []
    slow = [Check(Path(str(number)), 0, lambda: begun.append(sleep(0.05)) or []) for number in range(100)]
    results = run_checks(slow, 2)
    next(results)
    results.close()
    assert len(begun) < 50
