"""Garbage: leftovers of each kind are found and removed, and what is in use or not ours never is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ehps.errors import ShardError
from ehps.shards.catalog import build_catalog
from ehps.shards.garbage import find_garbage, remove_garbage
from ehps.shards.tree import temporary_folder
from ehps.shards.writer import UnitWriter

KILLED = """
import os, sys
from pathlib import Path
from ehps.shards.writer import UnitWriter
writer = UnitWriter(Path(sys.argv[1]), "fake", "train", "dead", meta={}).__enter__()
(writer._folder / "half.tar").write_bytes(bytes(5000))
os._exit(9)
"""


def put(path: Path, text: str = "", days: float = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    then = path.stat().st_mtime - 86_400 * days
    os.utime(path, (then, then))
    return path


def put_partition(folder: Path, days: float = 2) -> None:
    put(folder / "people.parquet", "old")
    then = folder.stat().st_mtime - 86_400 * days
    os.utime(folder, (then, then))


def contents(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def found(out: Path) -> dict[str, str]:
    return {str(leftover.path.relative_to(out)): leftover.reason for leftover in find_garbage(out)}


def test_a_sound_tree_with_its_catalog_has_no_garbage(tree):
    build_catalog(tree)
    assert find_garbage(tree) == []


def test_a_tree_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ShardError, match="gone: this folder is not there"):
        find_garbage(tmp_path / "gone")


def test_what_a_killed_writer_left_is_found_with_its_size_and_a_living_one_is_left_alone(tree):
    process = subprocess.run([sys.executable, "-c", KILLED, str(tree)], check=False)
    assert process.returncode == 9
    with UnitWriter(tree, "fake", "train", "alive", meta={}), temporary_folder(tree, "catalog"):
        (leftover,) = find_garbage(tree)
        assert leftover.path.name.startswith("fake-train-dead-")
        assert leftover.size == 5000
        assert "is gone" in leftover.reason
        assert remove_garbage(tree, leftover)
        assert not leftover.path.exists()
        assert not remove_garbage(tree, leftover)
        assert len(list((tree / ".tmp").iterdir())) == 2


def test_a_folder_that_somebody_takes_between_finding_and_removing_stays(tree):
    with temporary_folder(tree, "mine") as folder:
        (leftover,) = find_garbage(tree) or [None]
        assert leftover is None
        from ehps.shards.garbage import Leftover

        assert not remove_garbage(tree, Leftover(folder, 0, ""))
        assert folder.is_dir()


def test_each_kind_of_leftover_is_found_and_removed_and_nothing_else(tree):
    build_catalog(tree)
    before = contents(tree)
    put(tree / "fake/train/lost/fake-train-lost-00000.tar", "tar")
    put(tree / "fake/train/lost/rejects.parquet", "rejects")
    put(tree / "people-0123456789abcdef.npy", "index")
    put_partition(tree / "catalog/fake/train/0123456789abcdef")
    put_partition(tree / "catalog/gone/val/0123456789abcdef")
    put(tree / ".log/fake-train/no_more.json", json.dumps({"state": "done"}))
    put(tree / ".log/fake-train/asleep.json", json.dumps({"state": "running"}), days=2)
    put(tree / ".log/fake-train/broken.json", "{")
    put(tree / ".log/fake-train/.unit_1.json.4711", "{", days=2)
    assert found(tree) == {
        "fake/train/lost": "a unit that was never committed, or lost its unit.json",
        "people-0123456789abcdef.npy": "an index of an earlier version",
        "catalog/fake/train/0123456789abcdef": "the catalog does not use it any more",
        "catalog/gone/val/0123456789abcdef": "the catalog does not use it any more",
        ".log/fake-train/no_more.json": "the state of a unit that is no more",
        ".log/fake-train/asleep.json": "no sign of life for more than a day",
        ".log/fake-train/broken.json": "not a state of a unit",
        ".log/fake-train/.unit_1.json.4711": "half written by a process that is gone",
    }
    assert sum(leftover.size for leftover in find_garbage(tree)) == 3 + 7 + 5 + 3 + 3 + 17 + 20 + 1 + 1
    assert all(remove_garbage(tree, leftover) for leftover in find_garbage(tree))
    assert contents(tree) == before
    assert find_garbage(tree) == []


def test_what_is_of_use_or_not_ours_is_never_found(tree):
    put(tree / ".log/fake-train/unit_1.json", json.dumps({"state": "done"}), days=9)
    put(tree / ".log/fake-train/busy.json", json.dumps({"state": "running"}))
    put(tree / ".log/fake-train/broke.json", json.dumps({"state": "failed"}), days=9)
    put(tree / ".log/fake-train/.busy.json.4711", "{")
    put(tree / ".log/fake-train.jsonl", "{}\n", days=9)
    put(tree / "my/own/notes/notes.txt", "mine")
    put(tree / "my/own/webdataset/other-00000.tar", "mine")
    (tree / "my/own/empty").mkdir()
    put_partition(tree / "catalog/fake/train/0123456789abcdef", days=0.5)
    assert found(tree) == {}


def test_a_catalog_that_is_being_built_is_left_alone(tree):
    from ehps.shards.catalog_files import build_lock

    build_catalog(tree)
    put_partition(tree / "catalog/fake/train/0123456789abcdef")
    (leftover,) = find_garbage(tree)
    with build_lock(tree):
        assert find_garbage(tree) == []
        assert not remove_garbage(tree, leftover)
    (tree / "catalog/catalog.json").write_text("{")
    assert find_garbage(tree) == []
