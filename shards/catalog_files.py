"""The files of the catalog, and which of them are current.

``OUT/catalog/<dataset>/<split>/<fingerprint>/`` is a partition: what the sidecars of a source and split say, gathered.
Such a folder appears by one rename and never changes, so whoever has it open is not disturbed by a later build.
``OUT/catalog/catalog.json`` says which partitions make up the catalog; ``OUT/catalog.duckdb`` is the way in for SQL.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import ShardError
from .digest import file_digest, new_digest
from .tree import UNIT_FILE, ShardPlace, read_sealed, sealed_text, shards_fingerprint, sync, temporary_folder, unit_dirs

CATALOG = "catalog.duckdb"
FOLDER = "catalog"
CATALOG_FILE, PARTITION_FILE = "catalog.json", "partition.json"
REFERENCE_FILE = "pose_reference.npz"
PEOPLE, FRAMES, REJECTS = "people.parquet", "frames.parquet", "rejects.parquet"
INDEX, TILES, KEYS, POSES, POSE_ROWS = "index.npy", "tiles.npy", "keys.npy", "poses.npy", "pose_rows.npy"
PARTITION_FILES = (PEOPLE, FRAMES, REJECTS, INDEX, TILES, KEYS, POSES, POSE_ROWS)
LAYOUT = 1  # rises with any change of these files, which are then made anew
_LOCK = ".lock"


class Partition(NamedTuple):
    """What the catalog says about one of its partitions."""

    dataset: str
    split: str
    folder: Path
    fingerprint: str  # of its shards
    people: int
    frames: int
    has_more_measures: bool  # quality columns that other partitions may not have


class CatalogState(NamedTuple):
    """The current partitions in their order, and what they were made from."""

    partitions: list[Partition]
    fingerprint: str  # of all shards
    stamp: str  # of the files of the units, see unit_stamp


def catalog_dir(out: Path) -> Path:
    """Return the folder of the partitions."""
    return Path(out) / FOLDER


def partition_dir(out: Path, dataset: str, split: str, shards: Sequence[ShardPlace], reference: str) -> Path:
    """Return where the partition of these shards lies, given the checksum of the pose reference."""
    text = f"{LAYOUT} {shards_fingerprint(shards)} {reference}"
    return catalog_dir(out) / dataset / split / hashlib.sha256(text.encode()).hexdigest()[:16]


def read_state(out: Path) -> CatalogState | None:
    """Return what ``catalog.json`` says; None when there is no catalog of this layout."""
    path = catalog_dir(out) / CATALOG_FILE
    try:
        content = read_sealed(path)
    except FileNotFoundError:
        return None
    except ShardError as error:
        raise ShardError(path, error.problem, "rebuild it with ehps catalog --rebuild") from error
    if content["layout"] != LAYOUT:
        return None
    partitions = [Partition(**p | {"folder": catalog_dir(out) / p["folder"]}) for p in content["partitions"]]
    return CatalogState(partitions, content["fingerprint"], content["stamp"])


def write_state(out: Path, state: CatalogState, files: Iterable[Path]) -> None:
    """Replace ``catalog.json``, with the checksums of these files."""
    folder = catalog_dir(out)
    partitions = [p._asdict() | {"folder": p.folder.relative_to(folder).as_posix()} for p in state.partitions]
    content: dict[str, Any] = {"layout": LAYOUT, "partitions": partitions}
    content |= {"fingerprint": state.fingerprint, "stamp": state.stamp}
    content["files"] = {path.relative_to(out).as_posix(): file_digest(path) for path in files}
    with temporary_folder(out, "catalog") as temporary:
        (temporary / CATALOG_FILE).write_text(sealed_text(content), encoding="utf-8")
        publish(temporary / CATALOG_FILE, folder / CATALOG_FILE)


@lru_cache(maxsize=1024)
def read_partition(folder: Path) -> dict[str, Any]:
    """Return what ``partition.json`` says; a partition never changes, so it is read once."""
    path = Path(folder) / PARTITION_FILE
    try:
        return read_sealed(path)
    except FileNotFoundError as error:
        raise ShardError(path, "this part of the catalog is not there", "rebuild it with ehps catalog") from error
    except ShardError as error:
        raise ShardError(path, error.problem, "rebuild it with ehps catalog --rebuild") from error


def partition_shards(folder: Path) -> list[ShardPlace]:
    """Return the tars of a partition in the order of its people."""
    return [ShardPlace(*values) for values in read_partition(folder)["shards"]]


def unit_stamp(out: Path) -> str:
    """Return what changes, at the cost of a look at each file, when a unit appears, goes or is replaced."""
    state = new_digest()
    for folder in unit_dirs(out):
        status = (folder / UNIT_FILE).stat()
        state.update(f"{folder.relative_to(out)} {status.st_mtime_ns} {status.st_size} {status.st_ino}\n".encode())
    return state.hexdigest()


@contextmanager
def build_lock(out: Path) -> Iterator[None]:
    """Wait until no other process builds the catalog of this tree, and keep others waiting."""
    catalog_dir(out).mkdir(exist_ok=True)
    lock = os.open(catalog_dir(out) / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def sweep_partitions(out: Path, wanted: Iterable[Path]) -> None:
    """Remove the partitions that are not among the wanted ones, and folders that became empty."""
    keep = set(wanted)
    for folder in sorted(catalog_dir(out).glob("*/*/*")):
        if folder not in keep:
            shutil.rmtree(folder)
    for folder in sorted([*catalog_dir(out).glob("*/*"), *catalog_dir(out).glob("*")], reverse=True):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def publish(built: Path, target: Path) -> None:
    """Bring a finished file to the disk and rename it to its place."""
    sync(built)
    built.replace(target)
    sync(target.parent)
