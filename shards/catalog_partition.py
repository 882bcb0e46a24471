"""Making one partition of the catalog: all sidecars of a source and split, read once, row group by row group.

What is held at once is one group of rows of the Parquet files, however many people there are.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .. import __version__
from ..errors import ShardError
from .catalog_files import (
    FRAMES,
    INDEX,
    KEYS,
    LAYOUT,
    PARTITION_FILE,
    PARTITION_FILES,
    PEOPLE,
    POSE_ROWS,
    POSES,
    REJECTS,
    TILES,
)
from .catalog_schema import FIRST_ROW, FRAME_TABLE, RARITY_COLUMNS, people_columns
from .digest import file_digest
from .index import INDEX_COLUMNS, INDEX_DTYPE, KEY_DTYPE, TILE_DTYPE, IndexRows, hash_keys
from .poses import BODY, POSE_COLUMNS, POSE_ROW_DTYPE, PoseReference, pose_rows, poses_of
from .sidecar import REJECT_COLUMNS, Column, open_sidecar, quality_columns, read_sidecar, schema_of, sidecar_columns
from .tree import REJECTS_FILE, ShardPlace, sealed_text, shards_fingerprint, sync, unit_dir

_AGAIN = "convert the unit again"
ROW_GROUP = 122_880  # DuckDB's own measure of work for one thread
_UNIQUE = {"person_key", "key", "frame_key", "cut_frame_key", "provenance_row", "image_blake3"}
_READ = {c.name for c in people_columns() + FRAME_TABLE} | set(INDEX_COLUMNS) | set(POSE_COLUMNS)


class PartitionTask(NamedTuple):
    """One source and split to be gathered."""

    out: Path
    dataset: str
    split: str
    units: Sequence[str]
    shards: Sequence[ShardPlace]
    reference: PoseReference
    reference_blake3: str


def write_partition(task: PartitionTask, folder: Path) -> None:
    """Write all files of a partition into a folder and bring them to the disk."""
    measures = _measures(task)
    with ExitStack() as stack:
        gathering = _Gathering(folder, task.reference, measures, stack)
        for number, shard in enumerate(task.shards):
            for table in _tables((task.out / shard.path).with_suffix(".parquet")):
                gathering.add(table, number)
            if gathering.people != sum(shard.people for shard in task.shards[: number + 1]):
                problem = f"its sidecar does not hold the {shard.people} people that its unit speaks of"
                raise ShardError(task.out / shard.path, problem, _AGAIN)
        gathering.finish()
    rejects = _write_rejects(task, folder / REJECTS)
    facts: dict[str, Any] = {"layout": LAYOUT, "ehps_version": __version__, "reference": task.reference_blake3}
    facts |= {"dataset": task.dataset, "split": task.split, "fingerprint": shards_fingerprint(task.shards)}
    facts |= {"people": gathering.people, "frames": gathering.frames, "rejects": rejects, "poses": gathering.poses}
    facts |= {"measures": measures, "shards": [list(shard) for shard in task.shards]}
    facts |= {"bytes": sum((folder / name).stat().st_size for name in PARTITION_FILES)}
    facts["files"] = {name: file_digest(folder / name) for name in PARTITION_FILES}
    (folder / PARTITION_FILE).write_text(sealed_text(facts), encoding="utf-8")
    for name in (*PARTITION_FILES, PARTITION_FILE):
        sync(folder / name)
    sync(folder)


def _measures(task: PartitionTask) -> list[str]:
    """Return the measures that the engine does not know, in any sidecar of the partition."""
    known = {column.name for column in quality_columns()} | {column.name for column in RARITY_COLUMNS}
    found: set[str] = set()
    for shard in task.shards:
        with open_sidecar((task.out / shard.path).with_suffix(".parquet")) as file:
            found |= {name for name in file.schema_arrow.names if name.startswith("quality_")} - known
    return sorted(name.removeprefix("quality_") for name in found)


def _tables(sidecar: Path) -> Iterator[pa.Table]:
    """Yield the row groups of a sidecar; texts that repeat stay dictionaries."""
    repeating = [c.name for c in sidecar_columns() if c.type == pa.string() and c.name not in _UNIQUE]
    with open_sidecar(sidecar, read_dictionary=repeating) as file:
        names = [name for name in file.schema_arrow.names if name in _READ or name.startswith("quality_")]
        for group in range(file.num_row_groups):
            try:
                yield file.read_row_group(group, names, use_threads=False)
            except (pa.ArrowException, OSError) as error:
                reason = " ".join(str(error).split())
                raise ShardError(sidecar, f"rows of the sidecar cannot be read ({reason})", _AGAIN) from error


def _write_rejects(task: PartitionTask, path: Path) -> int:
    """Write the rejects of all units as one file and return how many there are."""
    folders = [unit_dir(task.out, task.dataset, task.split, unit) for unit in task.units]
    names = [column.name for column in REJECT_COLUMNS]
    table = pa.concat_tables([read_sidecar(folder / REJECTS_FILE, names) for folder in folders])
    pq.write_table(table.cast(schema_of(REJECT_COLUMNS)), path, compression="zstd", row_group_size=ROW_GROUP)
    return table.num_rows


class _Gathering:
    """The open files of a partition, to which one table after the other is added."""

    def __init__(self, folder: Path, reference: PoseReference, measures: Sequence[str], stack: ExitStack) -> None:
        self.reference, self.people, self.frames, self.poses = reference, 0, 0, 0
        self._maker, self._hashes, self._folder = IndexRows(), [np.zeros(0, KEY_DTYPE)], folder
        self._people = stack.enter_context(_Rows(folder / PEOPLE, people_columns(measures)))
        self._frames = stack.enter_context(_Rows(folder / FRAMES, [*FRAME_TABLE, FIRST_ROW]))
        self._index = stack.enter_context(_Array(folder / INDEX, INDEX_DTYPE))
        self._tiles = stack.enter_context(_Array(folder / TILES, TILE_DTYPE))
        self._poses = stack.enter_context(_Array(folder / POSES, np.dtype("<f4"), (BODY,)))
        self._pose_rows = stack.enter_context(_Array(folder / POSE_ROWS, POSE_ROW_DTYPE))

    def add(self, table: pa.Table, shard: int) -> None:
        """Take in the people of one row group of a sidecar."""
        rows, tiles = self._maker.add(table, shard)
        self._index.add(rows)
        self._tiles.add(tiles)
        bodies = poses_of(table["body_pose"], BODY)
        self._poses.add(bodies.numbers)
        self._pose_rows.add(pose_rows(bodies, self.people))
        rarities = (self.reference.body_rarity(bodies, len(rows)), self.reference.hand_rarity(table))
        for column, rarity in zip(RARITY_COLUMNS, rarities, strict=True):
            table = table.append_column(column.name, pa.array(rarity, from_pandas=True))
        self._add_frames(table, np.flatnonzero(rows["person"] == 0))
        self._people.add(table)
        self.people += len(rows)
        self.poses += len(bodies.rows)

    def _add_frames(self, table: pa.Table, first_rows: np.ndarray) -> None:
        """Take in the frames, each of which begins with its person 0."""
        names = [column.name for column in FRAME_TABLE if column.name in table.column_names]
        frames = table.select(names).take(pa.array(first_rows))
        self._frames.add(frames.append_column(FIRST_ROW.name, pa.array(first_rows + self.people)))
        hashes = np.zeros(len(first_rows), KEY_DTYPE)
        hashes["hash"], hashes["row"] = hash_keys(frames["key"]), first_rows + self.people
        self._hashes.append(hashes)
        self.frames += len(first_rows)

    def finish(self) -> None:
        """Write the keys of the frames in the order of their hashes; ShardError when two frames have one key."""
        keys = np.concatenate(self._hashes)
        keys = keys[np.argsort(keys["hash"], kind="stable")]
        np.save(self._folder / KEYS, keys)
        self._people.flush()
        self._frames.flush()
        same = np.flatnonzero(keys["hash"][1:] == keys["hash"][:-1])
        if len(same):
            self._people.close()
            rows = [int(keys["row"][same[0] + offset]) for offset in (0, 1)]
            raise _double(self._folder / PEOPLE, rows)


def _double(path: Path, rows: list[int]) -> ShardError:
    """Return what is wrong when the frames of these people have one key."""
    people = pq.read_table(path, columns=["key", "shard"]).take(rows).to_pylist()
    first, second = (row["shard"] for row in people)
    names = " and ".join(repr(name) for name in dict.fromkeys(row["key"] for row in people))
    return ShardError(path.parent, f"frame {names} is in both {first} and {second}", "remove one of the two units")


def _field(column: Column, *, is_dictionary: bool) -> pa.Field:
    """Return the Arrow field of a column with its meaning."""
    kind = pa.dictionary(pa.int32(), column.type) if is_dictionary else column.type
    return pa.field(column.name, kind, metadata={"comment": column.meaning})


class _Rows:
    """A Parquet file in groups of rows that suit DuckDB."""

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        texts = [c.name for c in columns if c.type == pa.string() and c.name not in _UNIQUE]
        self.schema = pa.schema([_field(column, is_dictionary=column.name in texts) for column in columns])
        self._writer = pq.ParquetWriter(
            path,
            self.schema,
            compression="zstd",
            use_dictionary=texts,  # pyright: ignore[reportArgumentType]
            use_byte_stream_split=[c.name for c in columns if c.type == pa.float32()],  # pyright: ignore[reportArgumentType]
        )
        self._tables: list[pa.Table] = []
        self._waiting = 0

    def __enter__(self) -> "_Rows":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, table: pa.Table) -> None:
        """Take in rows; columns that the table lacks are null."""
        names, size = set(table.column_names), table.num_rows
        columns = [
            table[field.name].cast(field.type) if field.name in names else pa.nulls(size, field.type)
            for field in self.schema
        ]
        self._tables.append(pa.Table.from_arrays(columns, schema=self.schema))
        self._waiting += size
        if self._waiting >= ROW_GROUP:
            self.flush()

    def flush(self) -> None:
        """Write what was taken in as one group of rows."""
        if self._tables:
            table = pa.concat_tables(self._tables).unify_dictionaries()
            self._writer.write_table(table, row_group_size=max(self._waiting, 1))
        self._tables, self._waiting = [], 0

    def close(self) -> None:
        """End the file."""
        self._writer.close()


class _Array:
    """An npy file that grows row by row: the shape in its header is filled in at the end."""

    def __init__(self, path: Path, dtype: np.dtype, shape: tuple[int, ...] = ()) -> None:
        self.dtype, self.shape, self.rows = dtype, shape, 0
        self._size = -(-(len(self._fields(1 << 62)) + 11) // 64) * 64
        self._file = path.open("wb")
        self._file.write(self._header())

    def __enter__(self) -> "_Array":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.seek(0)
        self._file.write(self._header())
        self._file.close()

    def _fields(self, rows: int) -> str:
        """Return what the header says of so many rows."""
        descr = np.lib.format.dtype_to_descr(self.dtype)
        return f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {(rows, *self.shape)!r}, }}"

    def _header(self) -> bytes:
        """Return the header (numpy.lib.format, version 1.0), of the same length for any number of rows."""
        start = np.lib.format.magic(1, 0) + (self._size - 10).to_bytes(2, "little")
        return start + self._fields(self.rows).ljust(self._size - 11).encode() + b"\n"

    def add(self, rows: np.ndarray) -> None:
        """Append rows."""
        self._file.write(np.ascontiguousarray(rows, self.dtype).reshape(-1).view(np.uint8).data)
        self.rows += len(rows)
