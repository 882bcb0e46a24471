"""What aborted conversions and rebuilds left in a converted tree, and nothing else.

A folder of ``OUT/.tmp`` is locked by the process that fills it, and so is the catalog while it is built: what a living
process holds is never found. Files that ehps could not have written are left alone, whatever they are.
"""

import fcntl
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ..errors import ShardError
from .catalog_files import catalog_dir, read_state
from .tree import (
    REJECTS_FILE,
    TEMPORARY,
    UNIT_FILE,
    is_in_use,
    remove_unused,
    temporary_folder,
    temporary_folders,
    unit_dir,
)

LOG_DIR = ".log"
_LOCK = ".lock"
_SHARD_END = re.compile(r"-\d{5}\.(tar|parquet)")  # after <dataset>-<split>-<unit>
_HALF_WRITTEN = re.compile(r"\..+\.json\.\d+")
_OLD = 86_400  # seconds without a sign of life


class Leftover(NamedTuple):
    """A file or folder that nothing needs any more."""

    path: Path
    size: int  # bytes
    reason: str


def find_garbage(out: Path) -> list[Leftover]:
    """Return what may be removed from a converted tree, sorted by path; ShardError when the tree is not there."""
    out = Path(out)
    if not out.is_dir():
        raise ShardError(out, "this folder is not there", "give the folder that ehps convert wrote")
    finders: tuple[Callable[[Path], Iterator[tuple[Path, str]]], ...] = (
        _abandoned_folders,
        _uncommitted_units,
        _stale_partitions,
        _older_indices,
        _stale_logs,
    )
    found = {path: reason for find in finders for path, reason in find(out)}
    return [Leftover(path, _size(path), reason) for path, reason in sorted(found.items())]


def remove_garbage(out: Path, leftover: Leftover) -> bool:
    """Remove a leftover; False when a process has taken hold of it since it was found, or it is gone."""
    out, path = Path(out), leftover.path
    if path.parent == out / TEMPORARY:
        return remove_unused(path)
    if catalog_dir(out) not in path.parents:
        return _take_away(out, path)
    with _held(catalog_dir(out) / _LOCK) as is_ours:
        return is_ours and path in _unused_partitions(out) and _take_away(out, path)


def _take_away(out: Path, path: Path) -> bool:
    """Remove a file or folder, which vanishes with one rename however large it is; False when it is not there."""
    with temporary_folder(out, "gc") as folder:
        try:
            path.rename(folder / path.name)
        except FileNotFoundError:
            return False
    return True


def _size(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    if not path.is_dir():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _abandoned_folders(out: Path) -> Iterator[tuple[Path, str]]:
    """Yield what no living process fills in ``OUT/.tmp``."""
    for folder in temporary_folders(out):
        if not is_in_use(folder):
            yield folder, "the process that filled it is gone"


def _uncommitted_units(out: Path) -> Iterator[tuple[Path, str]]:
    """Yield folders of units that have shards and no ``unit.json``."""
    for folder in out.glob("[!.]*/*/*"):
        if catalog_dir(out) in folder.parents or not folder.is_dir() or (folder / UNIT_FILE).exists():
            continue
        prefix = "-".join(folder.relative_to(out).parts)
        names = {path.name.removeprefix(prefix) for path in folder.iterdir()} - {REJECTS_FILE}
        if names and all(_SHARD_END.fullmatch(name) for name in names):
            yield folder, "a unit that was never committed, or lost its unit.json"


def _stale_partitions(out: Path) -> Iterator[tuple[Path, str]]:
    """Yield the folders under the catalog that ``catalog.json`` does not speak of, unless it is being built."""
    with _held(catalog_dir(out) / _LOCK) as is_ours:
        for folder in _unused_partitions(out) if is_ours else ():
            if _is_old(folder):  # processes that opened the catalog before its last build may come back for it
                yield folder, "the catalog does not use it any more"


def _unused_partitions(out: Path) -> set[Path]:
    """Return the folders of partitions that the catalog does not use; none when the catalog is damaged."""
    try:
        state = read_state(out)
    except ShardError:
        return set()
    current = {partition.folder for partition in state.partitions} if state else set()
    return set(catalog_dir(out).glob("*/*/*/")) - current


@contextmanager
def _held(lock_file: Path) -> Iterator[bool]:
    """Hold the lock of the catalog, and say whether that was possible."""
    if not lock_file.is_file():
        yield True
        return
    lock = os.open(lock_file, os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(lock)


def _older_indices(out: Path) -> Iterator[tuple[Path, str]]:
    """Yield the indices that earlier versions kept beside the catalog."""
    for path in out.glob("people-*.npy"):
        yield path, "an index of an earlier version"


def _stale_logs(out: Path) -> Iterator[tuple[Path, str]]:
    """Yield states of units that are no more, and states half written by a process that is gone."""
    for folder in (out / LOG_DIR).glob("*/"):
        dataset, _, split = folder.name.rpartition("-")
        for path in folder.iterdir():
            is_old = _is_old(path)
            if _HALF_WRITTEN.fullmatch(path.name) and is_old:
                yield path, "half written by a process that is gone"
            is_state = path.suffix == ".json" and not path.name.startswith(".")
            if is_state and not unit_dir(out, dataset, split, path.stem).exists() and (why := _why_stale(path, is_old)):
                yield path, why


def _is_old(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > _OLD


def _why_stale(path: Path, is_old: bool) -> str:
    """Return why the state of a unit that is not there is of no use; empty when it is of some."""
    try:
        state = json.loads(path.read_text(encoding="utf-8")).get("state")
    except ValueError:
        return "not a state of a unit"
    if state in ("done", "skipped"):
        return "the state of a unit that is no more"
    return "no sign of life for more than a day" if state != "failed" and is_old else ""
