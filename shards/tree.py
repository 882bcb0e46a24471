"""The layout of a converted tree, and how something new appears in it: whole, on the disk, by one rename.

``OUT/<dataset>/<split>/<unit>/`` holds numbered tars with their Parquet sidecars, ``rejects.parquet`` and
``unit.json``; ``OUT/catalog.duckdb`` lies above them. Everything is built in ``OUT/.tmp`` first. A folder there is
locked (flock) by the process that fills it, so what a killed process left behind can be told from what is in use.
"""

import fcntl
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import ShardError
from .digest import digest

TEMPORARY = ".tmp"
UNIT_FILE = "unit.json"
REJECTS_FILE = "rejects.parquet"


def unit_dir(out: Path, dataset: str, split: str, unit: str) -> Path:
    """Return the folder of a unit: ``OUT/<dataset>/<split>/<unit>``."""
    return Path(out) / dataset / split / unit


def unit_dirs(out: Path, dataset: str | None = None, split: str | None = None) -> list[Path]:
    """Return the folders of all committed units, sorted; ShardError when the root is not there."""
    out = Path(out)
    if not out.is_dir():
        raise ShardError(out, "this folder is not there", "give the folder that ehps convert wrote")
    found = out.glob(f"{dataset or '*'}/{split or '*'}/*/{UNIT_FILE}")
    return sorted(path.parent for path in found if not path.relative_to(out).parts[0].startswith("."))


def read_unit(folder: Path) -> dict[str, Any] | None:
    """Return what ``unit.json`` says about a committed unit; None when the unit is not there."""
    path = Path(folder) / UNIT_FILE
    try:
        return read_sealed(path)
    except FileNotFoundError:
        return None
    except ShardError as error:
        raise ShardError(path, error.problem, "convert the unit again") from error


def sealed_text(content: Mapping[str, Any]) -> str:
    """Return readable JSON with sorted keys that carries, as ``blake3``, the checksum of everything else in it."""
    as_read = json.loads(json.dumps(content, allow_nan=False))  # keys are text
    sealed = {**as_read, "blake3": _checksum(as_read)}
    return json.dumps(sealed, sort_keys=True, indent=1, ensure_ascii=False) + "\n"


def read_sealed(path: Path) -> dict[str, Any]:
    """Return the content of a file of ``sealed_text``; ShardError when it is not what was written.

    Spaces between its values are not looked at; ``ehps verify`` does that too.
    """
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise ShardError(path, f"not valid JSON ({error})") from error
    if not isinstance(content, dict) or content.pop("blake3", None) != _checksum(content):
        raise ShardError(path, "its content is not what its own checksum says")
    return content


def _checksum(content: Mapping[str, Any]) -> str:
    """Return the BLAKE3 of JSON values."""
    compact = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return digest(compact.encode("utf-8", "surrogatepass"))


class ShardPlace(NamedTuple):
    """One tar of a converted tree."""

    path: str  # from the root of the tree
    dataset: str
    split: str
    unit: str
    size: int  # bytes of the tar
    blake3: str
    frames: int
    people: int


def list_shards(out: Path, dataset: str | None = None, split: str | None = None) -> list[ShardPlace]:
    """Return all tars of a converted tree, or of one source or split, in the order that numbers their people."""
    return [shard for folder in unit_dirs(out, dataset, split) for shard in unit_shards(read_unit(folder) or {})]


def unit_shards(unit: dict[str, Any]) -> list[ShardPlace]:
    """Return the tars of a unit, given its ``unit.json``."""
    if not unit:
        return []
    where = (unit["dataset"], unit["split"], unit["unit"])
    return [
        ShardPlace("/".join((*where, s["file"])), *where, s["size"], s["blake3"], s["frames"], s["people"])
        for s in unit["shards"]
    ]


def shards_fingerprint(shards: Sequence[ShardPlace]) -> str:
    """Return 64 hexadecimal digits that change with any byte, or the order, of the tars."""
    return hashlib.sha256("\n".join(f"{shard.path} {shard.blake3}" for shard in shards).encode()).hexdigest()


@contextmanager
def temporary_folder(out: Path, name: str) -> Iterator[Path]:
    """Give a new locked folder in ``OUT/.tmp``, removed at the end unless it was renamed away."""
    folder, lock = _new_folder(Path(out) / TEMPORARY, name)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _new_folder(parent: Path, name: str) -> tuple[Path, int]:
    """Return a new folder and the descriptor that locks it."""
    while True:
        folder = parent / f"{name}-{os.getpid()}-{secrets.token_hex(4)}"
        folder.mkdir(parents=True)
        try:
            return folder, _lock(folder)
        except (BlockingIOError, FileNotFoundError):
            continue  # a sweep of another process came between the two


def sweep_leftovers(out: Path) -> list[Path]:
    """Remove what killed processes left in ``OUT/.tmp`` and return those folders; folders in use are left alone."""
    return [folder for folder in temporary_folders(out) if remove_unused(folder)]


def temporary_folders(out: Path) -> list[Path]:
    """Return the folders in ``OUT/.tmp``, in use or not."""
    return sorted(path for path in (Path(out) / TEMPORARY).glob("*") if path.is_dir())


def is_in_use(folder: Path) -> bool:
    """Return whether a living process fills a folder of ``OUT/.tmp``."""
    try:
        os.close(_lock(folder))
    except (BlockingIOError, FileNotFoundError):
        return True
    return False


def remove_unused(folder: Path) -> bool:
    """Remove a folder of ``OUT/.tmp`` unless it is in use, and return whether that was done."""
    try:
        lock = _lock(folder)
    except (BlockingIOError, FileNotFoundError):
        return False
    shutil.rmtree(folder, ignore_errors=True)
    os.close(lock)
    return True


def _lock(folder: Path) -> int:
    """Return a descriptor that holds the folder until it is closed; BlockingIOError when another process does."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def sync(path: Path) -> None:
    """Bring a file, or the entries of a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_parents(path: Path, root: Path) -> None:
    """Bring the entries of all folders from ``path`` up to ``root`` to the disk."""
    for folder in path.parents:
        sync(folder)
        if folder == root:
            return
