"""Where everyone of a converted tree lies, as flat arrays that every process maps instead of reading.

Row numbers are the ``person_id`` of the catalog, so that an SQL query yields what to load. What the catalog has
gathered is mapped, partition by partition; shards that it does not know are read from their sidecars.
"""

from bisect import bisect_left, bisect_right
from collections import namedtuple
from collections.abc import Iterable, Sequence
from functools import cached_property, partial
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float, Float32, Int, Int64, UInt64

from ..errors import ShardError
from .catalog_files import (
    INDEX,
    KEYS,
    POSE_ROWS,
    POSES,
    TILES,
    Partition,
    partition_shards,
    read_state,
    unit_stamp,
)
from .gather import Gathered, gather
from .jpeg import TileMap
from .mirror import local_catalog, origin
from .poses import BODY, Poses, nearest, pose_rows, poses_of
from .record import ARRAY_FIELDS
from .remote import child, is_url, tar_at
from .sidecar import read_sidecar
from .stored import StoredFrame, StoredPerson, TarFile
from .tree import ShardPlace, list_shards
from .ustar import Place

MEMBERS = ("image", "json", "rows")
MEMBER_PLACES = [f"{member}_{part}" for member in MEMBERS for part in ("offset", "size", "crc32")]
_BOX = ["bbox_x0", "bbox_y0", "bbox_x1", "bbox_y1"]
_HAS = [f"has_{name}" for name in ARRAY_FIELDS]
_TILE_FACTS = [f"tile_{name}" for name in ("header_size", "header_crc32", "restart_mcus", "mcu_width", "mcu_height")]
_SAME = [*MEMBER_PLACES, "person", "width", "height", *_TILE_FACTS]  # bear one name here and in the sidecar
INDEX_COLUMNS = [*_SAME, *_BOX, *_HAS, "tile_row_offsets", "tile_row_crc32"]
INDEX_DTYPE = np.dtype(
    [
        *((f"{member}_offset", "<u8") for member in MEMBERS),
        *((f"{member}_size", "<u4") for member in MEMBERS),  # 0: the frame has no such member
        *((f"{member}_crc32", "<u4") for member in MEMBERS),
        ("shard", "<u4"),  # number of the shard in the partition
        ("valid", "<u4"),  # bit i: the person carries ARRAY_FIELDS[i]
        ("width", "<u4"),  # px
        ("height", "<u4"),
        ("bbox_xyxy", "<f4", (4,)),  # px; NaN where absent
        ("person", "<u4"),  # index in the frame
        ("tile_start", "<u8"),  # row of tiles.npy of the picture's first row of tiles
        ("tile_rows", "<u4"),  # rows of tiles; 0: the picture has none
        ("tile_header_size", "<u4"),
        ("tile_header_crc32", "<u4"),
        ("tile_restart_mcus", "<u2"),
        ("tile_mcu_width", "u1"),  # px
        ("tile_mcu_height", "u1"),
    ],
    align=True,
)
# One entry a row of tiles: where its bytes begin in the picture, and their CRC-32; one more where the last row ends.
TILE_DTYPE = np.dtype([("offset", "<u4"), ("crc32", "<u4")])
KEY_DTYPE = np.dtype([("hash", "<u8"), ("row", "<u4")])  # sorted by hash; row of the frame's first person
_KEY_BYTES = 96  # no key of a frame is longer (codec.check_key)
_KEY_FACTORS = np.random.Generator(np.random.Philox(key=7)).integers(1, 1 << 63, _KEY_BYTES // 8, np.uint64) * 2 + 1


def member_places(row: Any) -> dict[str, Place]:
    """Return the places of the members of one row of an index or a sidecar; what the frame lacks is left out."""
    places = {m: Place(int(row[f"{m}_offset"]), int(row[f"{m}_size"]), int(row[f"{m}_crc32"])) for m in MEMBERS}
    return {member: place for member, place in places.items() if place.size}


_Facts = namedtuple("_Facts", INDEX_DTYPE.names or ())


def _places(facts: Any) -> dict[str, Place]:
    """Return the places of the members of a row that is taken apart; what the frame lacks is left out."""
    places = {
        "image": Place(facts.image_offset, facts.image_size, facts.image_crc32),
        "json": Place(facts.json_offset, facts.json_size, facts.json_crc32),
        "rows": Place(facts.rows_offset, facts.rows_size, facts.rows_crc32),
    }
    return places if facts.image_size else {member: place for member, place in places.items() if place.size}


def hash_keys(keys: pa.Array | pa.ChunkedArray) -> UInt64[np.ndarray, " keys"]:
    """Return 64-bit hashes of keys of frames, which are ASCII."""
    if isinstance(keys, pa.ChunkedArray):
        keys = pa.concat_arrays(keys.chunks or [pa.array([], pa.string())])
    padded = pc.call_function("ascii_rpad", [keys], pc.PadOptions(_KEY_BYTES, "\0"))
    words = np.frombuffer(padded.buffers()[2], "<u8", len(keys) * _KEY_BYTES // 8).reshape(len(keys), _KEY_BYTES // 8)
    mixed = (words ^ (words >> np.uint64(32))) * _KEY_FACTORS
    total = (mixed ^ (mixed >> np.uint64(29))).sum(1, dtype=np.uint64)
    return total ^ (total >> np.uint64(31))


class IndexRows:
    """Makes the rows of an index from the tables of sidecars, which come one after the other."""

    def __init__(self) -> None:
        self.people = self.tile_entries = 0
        self._last = np.zeros(1, INDEX_DTYPE)  # the row before, whose frame may go on

    def add(self, table: pa.Table, shard: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows of the people of a table and the entries of ``tiles.npy`` that belong to them."""
        rows = np.zeros(table.num_rows, INDEX_DTYPE)
        for name in _SAME:
            rows[name] = _numbers(table[name])
        for edge, name in enumerate(_BOX):
            rows["bbox_xyxy"][:, edge] = table[name].to_numpy()
        for bit, name in enumerate(_HAS):
            rows["valid"] |= table[name].to_numpy().astype(np.uint32) << np.uint32(bit)
        rows["shard"] = shard
        tiles = self._add_tiles(rows, table)
        self.people += len(rows)
        self.tile_entries += len(tiles)
        return rows, tiles

    def _add_tiles(self, rows: np.ndarray, table: pa.Table) -> np.ndarray:
        """Fill in where the tiles are, which the sidecar says for the first person of each frame alone."""
        offsets, crc32 = (table[f"tile_row_{name}"].combine_chunks() for name in ("offsets", "crc32"))
        counts = pc.fill_null(offsets.value_lengths(), 0).to_numpy()
        tiles = np.zeros(int(counts.sum()), TILE_DTYPE)
        tiles["offset"] = offsets.flatten().to_numpy()
        ends = np.cumsum(counts)
        is_crc = np.ones(len(tiles), bool)
        is_crc[ends[counts > 0] - 1] = False
        tiles["crc32"][is_crc] = crc32.flatten().to_numpy()
        rows["tile_start"] = self.tile_entries + ends - counts
        rows["tile_rows"] = np.maximum(counts, 1) - 1
        first = np.maximum.accumulate(np.where(rows["person"] == 0, np.arange(len(rows)), -1))
        for name in ("tile_start", "tile_rows", *_TILE_FACTS):
            rows[name] = np.where(first >= 0, rows[name][first], self._last[name])
        self._last = rows[-1:].copy() if len(rows) else self._last
        return tiles


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    """Return whole numbers, zero where they are null."""
    return (pc.fill_null(column, 0) if column.null_count else column).to_numpy()


class _MappedPart:
    """A partition of the catalog, mapped when it is first asked."""

    def __init__(self, partition: Partition) -> None:
        self.partition = partition

    def __reduce__(self) -> tuple[Any, ...]:
        return _MappedPart, (self.partition,)

    @cached_property
    def rows(self) -> np.ndarray:
        return _mapped(self.partition.folder / INDEX, INDEX_DTYPE)

    @cached_property
    def tiles(self) -> np.ndarray:
        return _mapped(self.partition.folder / TILES, TILE_DTYPE)

    @cached_property
    def keys(self) -> np.ndarray:
        return _mapped(self.partition.folder / KEYS, KEY_DTYPE)

    @cached_property
    def poses(self) -> tuple[np.ndarray, np.ndarray]:
        """The body poses, and whose they are."""
        return _mapped(self.partition.folder / POSES), _mapped(self.partition.folder / POSE_ROWS)

    @cached_property
    def shards(self) -> list[ShardPlace]:
        return partition_shards(self.partition.folder)


class _ReadPart:
    """Shards of one source and split, read from their sidecars."""

    def __init__(self, out: Path, shards: Sequence[ShardPlace]) -> None:
        self.shards, self._sidecars = list(shards), [(out / shard.path).with_suffix(".parquet") for shard in shards]
        maker, rows, tiles = IndexRows(), [np.zeros(0, INDEX_DTYPE)], [np.zeros(0, TILE_DTYPE)]
        for number, path in enumerate(self._sidecars):
            added = maker.add(read_sidecar(path, INDEX_COLUMNS), number)
            rows.append(added[0])
            tiles.append(added[1])
        self.rows, self.tiles = np.concatenate(rows), np.concatenate(tiles)

    @cached_property
    def keys(self) -> np.ndarray:
        keys = pa.concat_tables([read_sidecar(path, ["key"]) for path in self._sidecars])["key"]
        return key_rows(keys, np.flatnonzero(self.rows["person"] == 0))

    @cached_property
    def poses(self) -> tuple[np.ndarray, np.ndarray]:
        """The body poses, and whose they are."""
        lists = pa.concat_tables([read_sidecar(path, ["body_pose"]) for path in self._sidecars])["body_pose"]
        poses = poses_of(lists, BODY) if len(lists) else Poses(np.zeros(0, np.int64), np.zeros((0, BODY), np.float32))
        return poses.numbers, pose_rows(poses, 0)


def key_rows(keys: pa.ChunkedArray, first_rows: Int[np.ndarray, " frames"]) -> np.ndarray:
    """Return the entries of ``keys.npy`` for the frames whose first people are in these rows of a column of keys."""
    rows = np.zeros(len(first_rows), KEY_DTYPE)
    rows["hash"] = hash_keys(keys.take(pa.array(first_rows)))
    rows["row"] = first_rows
    return np.sort(rows, order="hash")


def _mapped(path: Path, dtype: np.dtype | None = None) -> np.ndarray:
    """Return an array of the catalog without reading it."""
    try:
        array = np.load(path, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise ShardError(path, f"cannot be mapped ({error})", "rebuild the catalog with ehps catalog") from error
    if dtype is not None and array.dtype != dtype:
        raise ShardError(path, "the index was written by another version of ehps", "rebuild it with ehps catalog")
    return array.view(np.ndarray)


class _Piece(NamedTuple):
    """Consecutive rows of a part."""

    part: _MappedPart | _ReadPart
    start: int
    people: int

    @property
    def rows(self) -> np.ndarray:
        """The rows of the index."""
        return self.part.rows[self.start : self.start + self.people]

    @property
    def shard_range(self) -> tuple[int, int]:
        """Return the first shard and the one after the last."""
        rows = self.rows
        return (int(rows["shard"][0]), int(rows["shard"][-1]) + 1) if self.people else (0, 0)


class Seen(NamedTuple):
    """What an index knows of how a person stands in the picture."""

    bbox_xyxy: Float32[np.ndarray, "4"] | None  # px
    width: int  # px
    height: int
    person_key: str = ""  # not known here


class PeopleIndex:
    """Where everyone lies; row i is ``person_id`` i of the catalog when the index is that of a whole tree."""

    def __init__(self, out: Path, pieces: Sequence[_Piece], shards: Path | str | None = None) -> None:
        self.out, self._pieces = Path(out), list(pieces)
        self._root = self.out if shards is None else shards  # folder or URL of the tars
        self._first = np.cumsum([0, *(piece.people for piece in self._pieces)]).tolist()
        self._tars: dict[tuple[int, int], TarFile] = {}

    @classmethod
    def open(cls, out: Path | str, *, shards: Path | str | None = None) -> "PeopleIndex":
        """Return the index of a converted tree: what its catalog holds is mapped, the rest read from the sidecars.

        ``out`` may be the URL of a tree, whose catalog is then kept in the cache (``mirror.local_catalog``). ``shards``
        is the folder or URL where the tars lie, if that is not beside the catalog; they are those that it knows.
        """
        catalog = local_catalog(out)
        shards = origin(catalog) if shards is None else shards
        state = read_state(catalog)
        if state is not None and (shards is not None or state.stamp == unit_stamp(catalog)):
            return cls.of_partitions(catalog, state.partitions, shards)
        if shards is not None:
            raise ShardError(catalog, "there is no catalog of this version of ehps here", "run ehps catalog first")
        return cls.from_places(catalog, list_shards(catalog))

    @classmethod
    def of_partitions(
        cls, out: Path, partitions: Iterable[Partition], shards: Path | str | None = None
    ) -> "PeopleIndex":
        """Return the index of partitions of a catalog, whatever its list says of them by now."""
        return cls(out, [_Piece(_MappedPart(p), 0, p.people) for p in partitions], shards)

    @classmethod
    def from_shards(cls, out: Path, tar_paths: Iterable[Path] | None = None) -> "PeopleIndex":
        """Return the index of some tars of a converted tree; None: of the whole tree, like ``open``."""
        if tar_paths is None:
            return cls.open(out)
        places = {shard.path: shard for shard in list_shards(out)}
        wanted = [Path(path).relative_to(out).as_posix() for path in tar_paths]
        if missing := [path for path in wanted if path not in places]:
            raise ShardError(Path(out) / missing[0], "this tar belongs to no committed unit", "convert the unit again")
        return cls.from_places(out, [places[path] for path in wanted])

    @classmethod
    def from_places(cls, out: Path, shards: Sequence[ShardPlace]) -> "PeopleIndex":
        """Return the index of the given shards, mapped as far as the catalog knows them."""
        state = read_state(Path(out))
        partitions = {(p.dataset, p.split): p for p in state.partitions} if state else {}
        pieces = []
        for where, run in groupby(shards, key=lambda shard: (shard.dataset, shard.split)):
            pieces += _pieces_of(Path(out), partitions.get(where), list(run))
        return cls(out, pieces)

    def __reduce__(self) -> tuple[Any, ...]:
        return PeopleIndex, (self.out, self._pieces, None if self._root == self.out else self._root)

    @property
    def is_remote(self) -> bool:
        """Whether the tars lie on a store."""
        return is_url(self._root)

    def __len__(self) -> int:
        return self._first[-1]

    @property
    def shards(self) -> list[ShardPlace]:
        """The tars in the order of their people."""
        return [shard for piece in self._pieces for shard in piece.part.shards[slice(*piece.shard_range)]]

    def column(self, name: str) -> np.ndarray:
        """Return a column of ``INDEX_DTYPE`` for everyone; ``shard`` counts within each partition."""
        empty = np.zeros(0, INDEX_DTYPE)[name]
        return np.concatenate([empty, *(piece.rows[name] for piece in self._pieces)])

    @property
    def bbox_xyxy(self) -> Float32[np.ndarray, "people 4"]:
        """Tight boxes in pixels; NaN where absent."""
        return self.column("bbox_xyxy")

    def has(self, name: str) -> Bool[np.ndarray, " people"]:
        """Return who carries a field of ``ARRAY_FIELDS``."""
        return (self.column("valid") >> np.uint32(ARRAY_FIELDS.index(name)) & np.uint32(1)).astype(bool)

    def ids(self, dataset: str | None = None, split: str | None = None) -> Int64[np.ndarray, " some"]:
        """Return the row numbers of a source or split."""
        ranges = [
            np.arange(first, first + piece.people)
            for first, piece in zip(self._first, self._pieces, strict=False)
            if piece.people and _is_of(piece.part.shards[0], dataset, split)
        ]
        return np.concatenate([np.zeros(0, np.int64), *ranges])

    def load(self, person_id: int) -> StoredPerson:
        """Return one person; its members are read when they are asked for."""
        number, row = self._row(person_id)
        facts = _Facts(*row.item())
        tiles = partial(_tile_map, facts, self._pieces[number].part) if facts.tile_rows else None
        return StoredPerson(StoredFrame(self._tar(number, facts.shard), _places(facts), tiles), facts.person)

    def gather(self, person_ids: Int[np.ndarray, " people"]) -> Gathered:
        """Return the stored bytes of some people's frames, read and checked in one call.

        This is several times as fast as ``load``, for those who decode elsewhere or not at all.
        """
        if len(person_ids) and not 0 <= person_ids.min() <= person_ids.max() < len(self):
            raise IndexError(f"not all of these are among the {len(self)} people of {self.out}: {person_ids.tolist()}")
        numbers = np.searchsorted(self._first, person_ids, "right") - 1
        rows = np.empty(len(person_ids), INDEX_DTYPE)
        for number in set(numbers.tolist()):
            mine, piece = numbers == number, self._pieces[number]
            rows[mine] = piece.part.rows[person_ids[mine] + (piece.start - self._first[number])]
        tars = [self._tar(*place) for place in zip(numbers.tolist(), rows["shard"].tolist(), strict=True)]
        return gather(tars, rows)

    def seen(self, person_id: int) -> Seen:
        """Return the box of someone and the size of the picture, without reading any bytes of the tar."""
        _, row = self._row(person_id)
        box = None if np.isnan(row["bbox_xyxy"][0]) else row["bbox_xyxy"]
        return Seen(box, int(row["width"]), int(row["height"]))

    def _row(self, person_id: int) -> tuple[int, Any]:
        """Return the number of the piece that someone is in, and the row of its part."""
        if not 0 <= person_id < len(self):
            raise IndexError(f"person_id {person_id} is not among the {len(self)} people of {self.out}")
        number = bisect_right(self._first, person_id) - 1
        piece = self._pieces[number]
        return number, piece.part.rows[piece.start + person_id - self._first[number]]

    def _tar(self, number: int, shard: int) -> TarFile:
        """Return the tar of a shard of a piece; people of one tar share it."""
        if (number, shard) not in self._tars:
            place = self._pieces[number].part.shards[shard]
            self._tars[number, shard] = tar_at(child(self._root, place.path), place.size)
        return self._tars[number, shard]

    def frame_of(self, person_id: int) -> tuple[int, int, int]:
        """Return what is the same for the people of one frame and for no others."""
        number, row = self._row(person_id)
        return number, int(row["shard"]), int(row["rows_offset"])

    def find(self, person_key: str) -> int:
        """Return the row number of a person; ShardError when nobody bears the key."""
        key, _, index = person_key.rpartition("#")
        if key.isascii() and len(key) < _KEY_BYTES and index.isdecimal():
            wanted = hash_keys(pa.array([key]))[0]
            for first, piece in zip(self._first, self._pieces, strict=False):
                row = _find(piece, wanted, int(index))
                if row is not None:
                    return first + row
        raise ShardError(
            self.out, f"holds nobody called {person_key!r}", "look the key up in the catalog's table people"
        )

    def nearest_poses(
        self, pose: int | Float[np.ndarray, "21 3"], count: int = 10
    ) -> tuple[Int64[np.ndarray, " found"], Float[np.ndarray, " found"]]:
        """Return the row numbers of those who stand most alike, nearest first, and their distances (``poses``; rad).

        ``pose`` is a body pose, or the row number of a person, who is not among the found. ShardError when that
        person has no body pose.
        """
        itself = pose if isinstance(pose, int) else None
        if isinstance(pose, int):
            pose = self._pose_of(pose)
        arrays = [_poses_of_piece(piece) for piece in self._pieces]
        parts = [(numbers, rows["square"]) for numbers, rows in arrays]
        places, distances = nearest(pose, parts, count + (itself is not None))
        ends = np.cumsum([0, *(len(rows) for _, rows in arrays)]).tolist()
        ids = np.zeros(len(places), np.int64)
        for i, place in enumerate(places.tolist()):
            number = bisect_right(ends, place) - 1
            row = int(arrays[number][1]["row"][place - ends[number]])
            ids[i] = self._first[number] + row - self._pieces[number].start
        others = ids != (-1 if itself is None else itself)
        return ids[others][:count], distances[others][:count]

    def _pose_of(self, person_id: int) -> Float32[np.ndarray, "21 3"]:
        """Return someone's body pose; ShardError when there is none."""
        number, _ = self._row(person_id)
        row = self._pieces[number].start + person_id - self._first[number]
        numbers, rows = self._pieces[number].part.poses
        place = _place_of(rows["row"], row)
        if place == len(rows) or rows["row"][place] != row:
            raise ShardError(self.out, f"person {person_id} has no body pose", "see the column has_body_pose of people")
        return np.array(numbers[place]).reshape(-1, 3)


def _is_of(shard: ShardPlace, dataset: str | None, split: str | None) -> bool:
    """Return whether a shard belongs to a source and split, where None stands for all."""
    return dataset in (None, shard.dataset) and split in (None, shard.split)


def _pieces_of(out: Path, partition: Partition | None, shards: list[ShardPlace]) -> list[_Piece]:
    """Return the pieces of some shards of one source and split: mapped where the partition knows the shard."""
    part = None if partition is None else _MappedPart(partition)
    known = {} if part is None else {shard: number for number, shard in enumerate(part.shards)}
    firsts = np.cumsum([0, *(shard.people for shard in known)]).tolist()
    pieces = []
    # Neighbours in the partition make one piece.
    for key, run in groupby(enumerate(shards), key=lambda item: known[item[1]] - item[0] if item[1] in known else None):
        chosen = [shard for _, shard in run]
        people = sum(shard.people for shard in chosen)
        if key is None or part is None:
            pieces.append(_Piece(_ReadPart(out, chosen), 0, people))
        else:
            pieces.append(_Piece(part, firsts[known[chosen[0]]], people))
    return pieces


def _tile_map(facts: Any, part: _MappedPart | _ReadPart) -> TileMap:
    """Return where the tiles of a picture lie."""
    entries = part.tiles[facts.tile_start : facts.tile_start + facts.tile_rows + 1]
    return TileMap(
        facts.width,
        facts.height,
        facts.tile_mcu_width,
        facts.tile_mcu_height,
        facts.tile_restart_mcus,
        facts.tile_header_size,
        facts.tile_header_crc32,
        row_offsets=np.ascontiguousarray(entries["offset"]),
        row_crc32=np.ascontiguousarray(entries["crc32"][:-1]),
    )


def _place_of(column: np.ndarray, value: Any) -> int:
    """Return where a value stands in a sorted column of a mapped array, of which numpy's search would read all."""
    return bisect_left(range(len(column)), value, key=column.__getitem__)


def _find(piece: _Piece, wanted: np.uint64, index: int) -> int | None:
    """Return the place in a piece of the person with an index in the frame of a hash; None when nobody is there."""
    keys = piece.part.keys
    place = _place_of(keys["hash"], wanted)
    if place == len(keys) or keys["hash"][place] != wanted:
        return None
    first = int(keys["row"][place]) - piece.start
    row = first + index
    if first < 0 or row >= piece.people or piece.rows["rows_offset"][row] != piece.rows["rows_offset"][first]:
        return None
    return row


def _poses_of_piece(piece: _Piece) -> tuple[np.ndarray, np.ndarray]:
    """Return the body poses of the people of a piece, and the entries that say whose they are."""
    numbers, rows = piece.part.poses
    start, stop = (_place_of(rows["row"], row) for row in (piece.start, piece.start + piece.people))
    return numbers[start:stop], rows[start:stop]
