"""Whether a tar is the one that its sidecar describes, found in one pass over its bytes.

``ustar.TarWriter`` leaves nothing to chance, so a sidecar says every byte of its tar that is not inside a member: the
headers, the padding and the two blocks at the end. What differs is named; the members are held against their CRC-32,
and the CRC-32 of the rows of a tiled picture against that of the picture, for which its bytes need not be read again.
"""

import ctypes
import zlib
from collections.abc import Iterator
from functools import cached_property
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int64, UInt32

from .codec import NUMBERS_EXT
from .crc32 import joined_crc32
from .digest import new_digest
from .native import library
from .sidecar import read_sidecar
from .ustar import BLOCK, tar_header

MEMBERS = ("image", "json", "rows")
_PARTS = ("offset", "size", "crc32")
_IDENTITY = ("dataset", "split", "unit", "shard")
_TILES = ("tile_header_size", "tile_header_crc32", "tile_row_offsets", "tile_row_crc32")
_COLUMNS = [
    *("person_key", "key", "person", "num_people", "image_ext"),
    *_IDENTITY,
    *(f"{member}_{part}" for member in MEMBERS for part in _PARTS),
    *_TILES,
]
_BATCH = 512 << 10  # bytes that are read and hashed at once, in the cache of a core; a sample is never cut
_END = bytes(2 * BLOCK)
_JPEG_END = b"\xff\xd9"
ABSENT = -1
_crc32 = library["ehps_crc32"]  # a prototype of our own, which takes an address
_crc32.restype, _crc32.argtypes = ctypes.c_uint32, [ctypes.c_void_p, ctypes.c_int64]
_SHOWN = 3  # frames that a list of problems names


class TarState(NamedTuple):
    """What one pass over a tar found."""

    blake3: str
    damaged: list[str]  # members whose bytes are not those that were written
    foreign: list[str]  # headers and padding that are not those of the sidecar's members


class SidecarFrames:
    """The frames of a sidecar: their keys, and the places of their members as arrays with one row a frame."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.table = read_sidecar(path, _COLUMNS)
        self.first: Bool[np.ndarray, " people"] = self._numbers("person") == 0

    def _numbers(self, name: str) -> Int64[np.ndarray, " people"]:
        """Return a column of whole numbers, ABSENT where it is null."""
        column = self.table.column(name).cast(pa.int64())
        return column.fill_null(ABSENT).to_numpy()

    def _per_frame(self, name: str) -> list[Any]:
        return self.table.column(name).filter(pa.array(self.first)).to_pylist()

    def __len__(self) -> int:
        return int(self.first.sum())

    @cached_property
    def keys(self) -> list[str]:
        """The keys of the frames."""
        return self._per_frame("key")

    @cached_property
    def _places(self) -> Int64[np.ndarray, "people 3 3"]:
        columns = [[self._numbers(f"{member}_{part}") for part in _PARTS] for member in MEMBERS]
        return np.moveaxis(np.array(columns, np.int64).reshape(len(MEMBERS), len(_PARTS), -1), -1, 0)

    @cached_property
    def places(self) -> Int64[np.ndarray, "frames 3 3"]:
        """Offset, size and CRC-32 of picture, json and rows of each frame; ABSENT where it has no such member."""
        return self._places[self.first]

    @cached_property
    def extensions(self) -> list[tuple[str, str, str]]:
        """The file name extensions of the members of each frame."""
        return [(ext or "", "json", NUMBERS_EXT) for ext in self._per_frame("image_ext")]

    @cached_property
    def ends(self) -> Int64[np.ndarray, " frames_and_first"]:
        """Where in the tar each sample begins and, last, where all of them end."""
        return np.concatenate([[0], np.cumsum(_blocks(self.places[:, :, 1]).sum(axis=1))])

    def problems(self, tar_size: int, where: tuple[str, str, str, str]) -> list[str]:
        """Return what is wrong with the rows themselves; ``where`` is dataset, split, unit and file of the tar."""
        found = [
            f"column {name} should be {value} in every row"
            for name, value in zip(_IDENTITY, where, strict=True)
            if not _equal(self.table.column(name), pa.scalar(value)).all()
        ]
        found += self._people_problems() if len(self.first) else []
        found += [] if found else self._place_problems(tar_size)
        return found

    def _people_problems(self) -> list[str]:
        """Return whether everyone of a frame is there once, in order, with the same members."""
        person, frame = self._numbers("person"), np.cumsum(self.first) - 1
        if frame[0] < 0:
            return ["its first row is not the first person of a frame"]
        begins = np.flatnonzero(self.first)
        in_order = person == np.arange(len(person)) - begins[frame]
        count = np.bincount(frame, minlength=len(begins))[frame]
        keys = self.table.column("key").combine_chunks()
        numbers, joint = self.table.column("person").combine_chunks().cast(pa.string()), pa.scalar("#")
        names = pc.call_function("binary_join_element_wise", [keys, numbers, joint])
        tests = {
            "persons are not numbered 0, 1, 2, ... in their frame": in_order,
            "num_people is not the number of its rows": count == self._numbers("num_people"),
            "people of one frame have several keys": _equal(keys, keys.take(pa.array(begins[frame]))),
            "person_key is not <key>#<person>": _equal(names, self.table.column("person_key").combine_chunks()),
            "people of one frame have several places": (self._places == self.places[frame]).all(axis=(1, 2)),
            "rows after the first of a frame carry tiles": self.first | (self._numbers("tile_header_size") == ABSENT),
        }
        found = [f"row {np.argmin(test)}: {text}" for text, test in tests.items() if not test.all()]
        return found + (["two frames have one key"] if len(set(self.keys)) < len(self) else [])

    def _place_problems(self, tar_size: int) -> list[str]:
        """Return whether the members follow one another as in a strict tar, and the tiles lie inside their pictures."""
        sizes = self.places[:, :, 1]
        blocks = _blocks(sizes)
        begins = self.ends[:-1, None] + np.cumsum(blocks, axis=1) - blocks
        right = np.where(sizes == ABSENT, ABSENT, begins + BLOCK) == self.places[:, :, 0]
        found = [f"{self.keys[frame]}: its members do not follow one another" for frame in _few(~right.all(axis=1))]
        if self.ends[-1] + len(_END) != tar_size:
            found.append(f"its members fill a tar of {self.ends[-1] + len(_END)} bytes, the tar has {tar_size}")
        tiles = _Tiles(self.table.filter(pa.array(self.first)))
        wrong = tiles.frame[tiles.are_wrong(sizes[tiles.frame, 0], self.places[tiles.frame, 0, 2])]
        return found + [f"{self.keys[frame]}: its tiles are not those of its picture" for frame in wrong[:_SHOWN]]


class _Tiles:
    """The tiled pictures of a shard, each in pieces: its header, its rows and its end marker."""

    def __init__(self, frames: pa.Table) -> None:
        is_tiled = frames.column("tile_header_size").is_valid()
        tiled = frames.filter(is_tiled)
        self.frame = np.flatnonzero(is_tiled.to_numpy())
        self._header, self._header_crc32 = (tiled.column(name).to_numpy() for name in _TILES[:2])
        self._offsets, self._first = _flat(tiled, "tile_row_offsets")
        self._crc32, self._first_crc32 = _flat(tiled, "tile_row_crc32")

    def are_wrong(
        self, size: Int64[np.ndarray, " tiled"], crc32: Int64[np.ndarray, " tiled"]
    ) -> Bool[np.ndarray, " tiled"]:
        """Return whose pieces do not make up a picture of that size and CRC-32, which its bytes are held against."""
        if not len(size) or not np.array_equal(np.diff(self._first), np.diff(self._first_crc32) + 1):
            return np.ones(len(size), bool)
        ends = np.insert(self._offsets.astype(np.int64), self._first[1:], size)
        begin = self._first[:-1] + np.arange(len(size))
        lengths = np.diff(ends, prepend=0)
        lengths[begin] = ends[begin]
        fits = (lengths[begin] == self._header) & (np.minimum.reduceat(lengths, begin) > 0)
        fits &= np.append(lengths[begin[1:] - 1], lengths[-1]) == len(_JPEG_END)
        after = np.repeat(size, np.diff(self._first) + 1) - ends
        return ~fits | (joined_crc32(self._all_crc32(), after, begin) != crc32)

    def _all_crc32(self) -> UInt32[np.ndarray, " pieces"]:
        """Return the CRC-32 of every piece."""
        places = np.stack([self._first_crc32[:-1], self._first_crc32[1:]], axis=1).ravel()
        marker = np.full(len(self.frame), zlib.crc32(_JPEG_END), np.uint32)
        return np.insert(self._crc32, places, np.stack([self._header_crc32, marker], axis=1).ravel())


def _flat(table: pa.Table, name: str) -> tuple[UInt32[np.ndarray, " items"], Int64[np.ndarray, " rows_and_end"]]:
    """Return the items of a column of lists one after another, and where in them each row begins and the last ends."""
    lists = table.column(name).combine_chunks()
    lengths = pc.call_function("list_value_length", [lists]).fill_null(0).to_numpy(zero_copy_only=False)
    return lists.flatten().to_numpy(), np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def _equal(values: Any, others: Any) -> Bool[np.ndarray, " rows"]:
    """Return which values of two Arrow arrays are the same; null is like nothing."""
    return pc.call_function("equal", [values, others]).fill_null(False).to_numpy(zero_copy_only=False)


def _few(wrong: Bool[np.ndarray, " frames"]) -> list[int]:
    return [int(frame) for frame in np.flatnonzero(wrong)[:_SHOWN]]


def _blocks(sizes: Int64[np.ndarray, "*shape"]) -> Int64[np.ndarray, "*shape"]:
    """Return the bytes that members take in a tar, none where they are absent."""
    return np.where(sizes == ABSENT, 0, BLOCK + sizes + -sizes % BLOCK)


def read_tar(path: Path, frames: SidecarFrames) -> TarState:
    """Read a tar once: its BLAKE3, and which members and headers are not those of its sidecar.

    ``frames.problems`` must have found the tar's size and the places right.
    """
    summed, state = new_digest(), TarState("", [], [])
    batches = list(_batches(frames))
    buffer = np.empty(max((int(frames.ends[b] - frames.ends[a]) for a, b in batches), default=0), np.uint8)
    with path.open("rb", buffering=0) as file:
        for first, last in batches:
            begin = int(frames.ends[first])
            batch = _Batch(_fill(buffer.data[: int(frames.ends[last]) - begin], file), buffer.ctypes.data, begin)
            summed.update(batch.data)
            for frame, places in enumerate(frames.places[first:last].tolist(), first):
                _check_sample(frames.keys[frame], frames.extensions[frame], places, batch, state)
        rest = file.read()
    summed.update(rest)
    if rest != _END:
        state.foreign.append("the end of the archive")
    return state._replace(blake3=summed.hexdigest())


def _batches(frames: SidecarFrames) -> Iterator[tuple[int, int]]:
    """Yield ranges of frames of at most a batch of bytes, and of one frame at least."""
    first = 0
    while first < len(frames):
        last = int(np.searchsorted(frames.ends, frames.ends[first] + _BATCH, side="right")) - 1
        yield first, (last := max(last, first + 1))
        first = last


def _fill(buffer: memoryview, file: FileIO) -> memoryview:
    """Return the buffer with the next bytes of a file, cut where the file ends."""
    filled = 0
    while filled < len(buffer) and (count := file.readinto(buffer[filled:])):
        filled += count
    return buffer[:filled]


class _Batch(NamedTuple):
    """Some bytes of a tar in memory."""

    data: memoryview
    address: int
    begin: int  # first byte, in the tar

    def crc32(self, at: int, size: int) -> int | None:
        """Return the CRC-32 of bytes of the batch; None when it does not have so many."""
        return _crc32(self.address + at, size) if at + size <= len(self.data) else None


def _check_sample(
    key: str, extensions: tuple[str, str, str], places: list[list[int]], batch: _Batch, state: TarState
) -> None:
    """Note what of a sample differs from the sidecar."""
    for member, (offset, size, crc32), ext in zip(MEMBERS, places, extensions, strict=True):
        if size == ABSENT:
            continue
        name, at = f"{key}.{ext}", offset - batch.begin
        padding = batch.data[at + size : at + size + -size % BLOCK]
        if bytes(batch.data[at - BLOCK : at]) != tar_header(name, size):
            state.foreign.append(f"the header of {name}")
        if bytes(padding) != _END[: len(padding)]:
            state.foreign.append(f"the padding of {name}")
        if batch.crc32(at, size) != crc32:
            state.damaged.append(f"{key}'s {member}")
