"""Whether a converted tree still holds the bytes that were written."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from ..errors import ShardError
from .reader import ShardReader
from .tree import REJECTS_FILE, UNIT_FILE, read_unit, unit_dirs

_SHOWN = 3  # damaged members that a sentence names


def verify_tree(out: Path, dataset: str | None = None, split: str | None = None) -> Iterator[tuple[Path, list[str]]]:
    """Yield each committed unit with what is wrong with it."""
    for folder in unit_dirs(out, dataset, split):
        yield folder, verify_unit(folder)


def verify_unit(folder: Path) -> list[str]:
    """Return one sentence for each file of a unit that is missing, damaged or unexpected; none when it is sound."""
    unit = read_unit(folder)
    if unit is None:
        return [f"{Path(folder) / UNIT_FILE}: the unit was never committed"]
    sums = {REJECTS_FILE: unit["rejects_sha256"]}
    for shard in unit["shards"]:
        sums[shard["file"]] = shard["sha256"]
        sums[str(Path(shard["file"]).with_suffix(".parquet"))] = shard["sidecar_sha256"]
    problems = [problem for name, sha256 in sums.items() if (problem := _compare(Path(folder) / name, sha256))]
    strangers = sorted({path.name for path in Path(folder).iterdir()} - {UNIT_FILE, *sums})
    return problems + [f"{Path(folder) / name}: nothing in {UNIT_FILE} speaks of this file" for name in strangers]


def _compare(path: Path, sha256: str) -> str | None:
    """Return what is wrong with a file, or None."""
    if not path.is_file():
        return f"{path}: the file is not there; convert the unit again"
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found == sha256:
        return None
    return f"{path}: SHA-256 should be {sha256}, found {found}{_damaged(path)}; convert the unit again"


def _damaged(path: Path) -> str:
    """Return which members of a tar are damaged, as far as its sidecar tells."""
    if path.suffix != ".tar":
        return ""
    try:
        with ShardReader(path) as reader:
            names = [f"{frame.key}'s {part}" for frame in reader.frames() for part in frame.damaged_members()]
    except ShardError as error:
        return f" ({error})"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f", damaged: {', '.join(names[:_SHOWN])}{more}" if names else ", damaged outside of all members"
