"""Making packs of single people out of a converted tree: unit by unit, resumable, with the counts of its source.

A unit of the packs stands as long as it was cut from the same shards in the same way; ``unit.json`` says from which.
"""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import ShardError
from .packs import PackOptions, person_cuts
from .reader import ShardReader
from .record import Provenance, Reject
from .sidecar import read_sidecar
from .tree import REJECTS_FILE, read_unit, shards_fingerprint, sweep_leftovers, unit_dir, unit_dirs, unit_shards
from .writer import DEFAULT_SHARD_BYTES, UnitWriter

PACK_VERSION = 1  # grows whenever other packs come from the same frames


class Repacked(NamedTuple):
    """What became of one unit."""

    dataset: str
    split: str
    unit: str
    people: int
    bytes: int
    was_there: bool


def repack(
    data: Path,
    out: Path,
    options: PackOptions = PackOptions(),
    *,
    dataset: str | None = None,
    split: str | None = None,
    jobs: int = 1,
    max_shard_bytes: int = DEFAULT_SHARD_BYTES,
) -> Iterator[Repacked]:
    """Cut everyone of a converted tree into packs and yield each unit as it is done; what stands is not made anew.

    ShardError: a source that holds no pictures, or packs already, and a tree that is to be written into itself.
    """
    if Path(out).resolve() == Path(data).resolve():
        raise ShardError(out, "packs cannot lie among the frames that they are cut from", "give another folder")
    folders = unit_dirs(data, dataset, split)
    if not folders:
        raise ShardError(data, "holds no converted unit of that choice", "run ehps convert first")
    sweep_leftovers(out)
    if jobs == 1:
        yield from (repack_unit(folder, out, options, max_shard_bytes) for folder in folders)
        return
    # Spawned, not forked: threads of NumPy, OpenCV and Arrow do not survive a fork.
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        running = [pool.submit(repack_unit, folder, out, options, max_shard_bytes) for folder in folders]
        yield from (done.result() for done in as_completed(running))


def repack_unit(folder: Path, out: Path, options: PackOptions, max_shard_bytes: int = DEFAULT_SHARD_BYTES) -> Repacked:
    """Cut everyone of one unit into packs, unless the same is there already."""
    unit = read_unit(folder)
    if unit is None:
        raise ShardError(folder, "the unit was never committed", "convert it again")
    where = (unit["dataset"], unit["split"], unit["unit"])
    recipe = pack_recipe(unit, options, max_shard_bytes)
    standing = read_unit(unit_dir(out, *where))
    if standing is not None and standing["conversion"] == recipe:
        return _repacked(standing, was_there=True)
    with UnitWriter(out, *where, meta=recipe, max_shard_bytes=max_shard_bytes, replace=True) as writer:
        for shard in unit["shards"]:
            _write_cuts(folder / shard["file"], writer, options)
        for reject in read_rejects(folder / REJECTS_FILE):
            writer.reject(reject)
        made = writer.commit(unit["checks"])
    return _repacked(read_unit(made) or {}, was_there=False)


def pack_recipe(unit: dict[str, Any], options: PackOptions, max_shard_bytes: int) -> dict[str, Any]:
    """Return what the bytes of a pack depend on."""
    source = {"fingerprint": shards_fingerprint(unit_shards(unit)), "conversion": unit["conversion"]}
    cutting = {"images": "person", "max_shard_bytes": max_shard_bytes, **asdict(options)}
    return {"pack_version": PACK_VERSION, "repacked_from": source, **cutting}


def _write_cuts(tar: Path, writer: UnitWriter, options: PackOptions) -> None:
    """Write everyone of a shard."""
    with ShardReader(tar) as reader:
        for row, stored in reader.first_rows():
            frame = stored.record()
            if frame.cut is not None:
                raise ShardError(tar, "holds single people already", "repack the frames that they were cut from")
            picture, phash = reader.picture(row)
            for one, key, cut in person_cuts(frame, stored.key, picture, options):
                writer.write(one, key, cut, phash)


def read_rejects(path: Path) -> list[Reject]:
    """Return what a unit left out."""
    rows = read_sidecar(path).to_pylist()
    return [
        Reject(
            key=row["key"],
            reason=row["reason"],
            detail=row["detail"],
            provenance=Provenance(file=row["provenance_file"], row=row["provenance_row"]),
            people=row["people"],
        )
        for row in rows
    ]


def _repacked(unit: dict[str, Any], was_there: bool) -> Repacked:
    """Return the report of a unit."""
    size = sum(shard["size"] for shard in unit["shards"])
    return Repacked(unit["dataset"], unit["split"], unit["unit"], unit["people"], size, was_there)
