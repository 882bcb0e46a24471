"""A frame and a person as they lie in a shard: members are read when they are first asked for.

Members are read with ``pread`` at the places that the sidecar names, so one file serves any number of threads, and are
checked against their CRC-32, because picture decoders return something even from damaged bytes.
What a source does not carry is None.
"""

import ctypes
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, UInt8, UInt32

from ..errors import PictureError, ShardError
from .codec import decode_camera, decode_frame, decode_meta, decode_people, decode_person, person_array, person_key
from .jpeg import TileMap, Window, decode_window, mcu_window, window_jpeg
from .native import library
from .picture import decode_rgb, picture_format
from .record import ARRAY_FIELDS, Camera, Frame, Labels, Person, Provenance
from .region import Box, Corners, Reduce, Region, part_of, seen_tiles
from .ustar import Place, crc32

library.ehps_first_damaged.restype = ctypes.c_int32
library.ehps_first_damaged.argtypes = [
    ctypes.c_char_p,
    ctypes.c_int64,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_int32,
]
CORNER_MARGIN = 4  # px of the decoded size: two for interpolation, two for what upsampled colours look at


class _Descriptor:
    """An open file that closes when its last user lets it go."""

    def __init__(self, path: Path, size: int | None = None) -> None:
        self.number = -1
        try:
            self.number = os.open(path, os.O_RDONLY)
        except FileNotFoundError as error:
            raise ShardError(path, f"the tar is not there, but its sidecar {path.stem}.parquet is") from error
        found = os.fstat(self.number).st_size
        if size is not None and found != size:
            problem = f"the tar has {found} bytes, its sidecar {path.stem}.parquet says {size}"
            raise ShardError(path, problem, "convert the unit again")

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        if self.number >= 0:
            close(self.number)


_MAX_OPEN = 256  # tars open at once in a process; the usual limit is 1024 files
_recently_opened: deque["TarFile"] = deque()


class TarFile:
    """Reads members of one tar by their places; safe in threads, after a fork, and when pickled."""

    def __init__(self, path: Path | str, size: int | None = None) -> None:
        self.path, self.size = path, size  # text: a URL (remote.RemoteTar)
        self._descriptor: _Descriptor | None = None

    def __reduce__(self) -> tuple[type["TarFile"], tuple[Path | str, int | None]]:
        return type(self), (self.path, self.size)

    def read(self, place: Place) -> bytes:
        """Return one member; ShardError when its bytes are not those that were written."""
        data = self._pread(place)
        if len(data) != place.size or crc32(data) != place.crc32:
            raise self._damaged(place.offset, place.size)
        return data

    def read_together(self, places: Sequence[Place]) -> list[bytes]:
        """Return members that lie close to one another, in one read; ShardError when one is not as it was written."""
        whole = around(places)
        data, members = self._pread(whole), []
        for place in places:
            first = place.offset - whole.offset
            member = data[first : first + place.size]
            if len(member) != place.size or crc32(member) != place.crc32:
                raise self._damaged(place.offset, place.size)
            members.append(member)
        return members

    def read_pieces(
        self, place: Place, starts: UInt32[np.ndarray, " pieces_and_end"], checksums: UInt32[np.ndarray, " pieces"]
    ) -> bytes:
        """Return adjacent pieces of a member in one read; ``starts`` count from its first byte, the last one ends them.

        ``checksums`` are the CRC-32 of the pieces. ShardError when the bytes of one are not those that were written.
        """
        first, size = int(starts[0]), int(starts[-1]) - int(starts[0])
        if size < 0 or first + size > place.size:
            raise self._damaged(place.offset + first, size)
        data = self._pread(Place(place.offset + first, size, 0))
        damaged = library.ehps_first_damaged(data, len(data), starts.ctypes.data, checksums.ctypes.data, len(checksums))
        if damaged >= 0:
            raise self._damaged(place.offset + int(starts[damaged]), int(starts[damaged + 1]) - int(starts[damaged]))
        return data

    def _damaged(self, offset: int, size: int) -> ShardError:
        return ShardError(self.path, f"the {size} bytes at {offset} are damaged", "convert the unit again")

    def holds(self, place: Place) -> bool:
        """Return whether a member has the bytes that were written."""
        return crc32(self._pread(place)) == place.crc32

    def unchecked(self, start: int, end: int) -> bytes:
        """Return bytes [start, end) of the tar, whatever they are; fewer where it ends before."""
        return self._pread(Place(start, end - start, 0))

    def is_at_hand(self, place: Place) -> bool:
        """Return whether the first byte of a place is in memory, so that reading it will not wait for a disk."""
        descriptor = self._descriptor or self._open()
        try:
            return os.preadv(descriptor.number, [bytearray(1)], place.offset, os.RWF_NOWAIT) == 1
        except OSError:  # not in memory, or a filesystem that cannot tell
            return False

    @property
    def file(self) -> _Descriptor | None:
        """The open file, for who reads it in C; None where bytes come from elsewhere."""
        if type(self)._pread is not TarFile._pread:
            return None
        return self._descriptor or self._open()

    def _pread(self, place: Place) -> bytes:
        """Return the bytes at a place, opening the file when necessary."""
        descriptor = self._descriptor or self._open()
        return os.pread(descriptor.number, place.size, place.offset)

    def _open(self) -> _Descriptor:
        """Open the file, and let the longest open one go when there are too many."""
        descriptor = self._descriptor = _Descriptor(Path(self.path), self.size)
        _recently_opened.append(self)
        while len(_recently_opened) > _MAX_OPEN:
            _recently_opened.popleft().close()
        return descriptor

    def close(self) -> None:
        """Let go of the open file, which closes when no thread reads from it any more."""
        self._descriptor = None


def around(places: Sequence[Place]) -> Place:
    """Return the bytes from the first of some places to the last, which have no checksum."""
    start = min(place.offset for place in places)
    return Place(start, max(place.offset + place.size for place in places) - start, 0)


_LABELS = ("json", "rows")  # lie next to one another


class StoredFrame:
    """One sample of a shard; its members are read when they are first asked for."""

    def __init__(
        self, tar: TarFile, places: Mapping[str, Place], tiles: Callable[[], TileMap | None] | None = None
    ) -> None:
        """``tiles`` tells where the tiles of the picture lie, when that is first asked for."""
        self._tar, self._places, self._find_tiles = tar, places, tiles

    @cached_property
    def tiles(self) -> TileMap | None:
        """Where the tiles of the picture lie in its file; None for a picture without tiles."""
        return None if self._find_tiles is None else self._find_tiles()

    @cached_property
    def meta(self) -> dict[str, Any]:
        """The readable record: every scalar of the frame and its people."""
        return decode_meta(self._labels[0])

    @cached_property
    def rows(self) -> np.ndarray:
        """The numeric record: a structured array with one row a person."""
        return decode_people(self._labels[1])

    @cached_property
    def _labels(self) -> list[bytes]:
        """The members of ``_LABELS``."""
        return self._tar.read_together([self._places[member] for member in _LABELS])

    @cached_property
    def camera(self) -> Camera:
        """The camera of the picture."""
        return decode_camera(self.meta["camera"])

    @property
    def image_bytes(self) -> bytes:
        """The encoded picture; ShardError where only the labels were converted."""
        return self._tar.read(self._image_place)

    @property
    def has_picture(self) -> bool:
        """Whether the picture was converted, too."""
        return "image" in self._places

    @property
    def _image_place(self) -> Place:
        if "image" not in self._places:
            problem = "holds no picture of this frame: it was converted with --images none"
            raise ShardError(self._tar.path, problem, "convert the source with --images frame or person")
        return self._places["image"]

    def image(self, reduce: Reduce = 1) -> UInt8[np.ndarray, "height width 3"]:
        """Return the picture as 8-bit RGB; ``reduce`` decodes it at a half, a quarter or an eighth of the size."""
        return decode_rgb(self.image_bytes, reduce=reduce, name=self._image_name)

    @property
    def _image_name(self) -> str:
        return f"{self._tar.path} at {self._image_place.offset}"

    def region(self, box: Box, reduce: Reduce = 1, corners: Corners | None = None) -> Region:
        """Return the pixels of a box of the picture, and perhaps more; ``reduce`` makes them fewer as in ``image``.

        They are those that ``image(reduce)`` has there for JPEGs, and means of squares of pixels for other formats.
        ``box`` is (x0, y0, x1, y1) in px of the picture, half-open, and is clipped to it. Of a picture with tiles, only
        their bytes are read and decoded, and what lies outside of the convex quadrilateral ``corners`` (in order, px)
        may stay gray. ShardError where the bytes are not those that were written.
        """
        if self.tiles is None:
            return self._part(box, reduce)
        parts = self._region_parts(self.tiles, box, reduce, corners)
        window = parts[3]
        with self._placed():
            pixels = decode_window(*parts, reduce)
        if pixels is None:
            pixels = decode_rgb(self._window_jpeg(parts), reduce=reduce, name=self._image_name)
        return Region(pixels, window.x0, window.y0, reduce)

    def _part(self, box: Box, reduce: Reduce) -> Region:
        """Return a box of a picture that has to be decoded as a whole."""
        data = self.image_bytes
        already: Reduce = reduce if picture_format(data) == "jpg" else 1  # OpenCV shrinks others by dropping pixels
        return part_of(decode_rgb(data, reduce=already, name=self._image_name), box, already, reduce)

    def region_bytes(
        self, tiles: TileMap, box: Box, reduce: Reduce = 1, corners: Corners | None = None
    ) -> tuple[bytes, Window]:
        """Return the tiles of a box as a JPEG, and their window, from the bytes of its header and rows alone."""
        parts = self._region_parts(tiles, box, reduce, corners)
        return self._window_jpeg(parts), parts[3]

    def _region_parts(
        self, tiles: TileMap, box: Box, reduce: Reduce, corners: Corners | None
    ) -> tuple[bytes, bytes, TileMap, Window, Bool[np.ndarray, "rows tiles"] | None]:
        """Return what a region is decoded from: header, rows, tiles, window, and which tiles are looked at."""
        window = mcu_window(tiles, box, reduce)
        place, starts = self._image_place, tiles.row_offsets[window.row0 : window.row1 + 1]
        header = self._tar.read(Place(place.offset, tiles.header_size, tiles.header_crc32))
        rows = self._tar.read_pieces(place, starts, tiles.row_crc32[window.row0 : window.row1])
        keep = None if corners is None else seen_tiles(tiles, window, corners, CORNER_MARGIN * reduce)
        return header, rows, tiles, window, keep

    def _window_jpeg(self, parts: tuple[Any, ...]) -> bytes:
        with self._placed():
            return window_jpeg(*parts)

    @contextmanager
    def _placed(self) -> Iterator[None]:
        """Say where the picture lies when its tiles are not where they should be."""
        try:
            yield
        except PictureError as error:
            problem = f"the tiles of the picture at {self._image_place.offset} are not where its sidecar says"
            raise ShardError(self._tar.path, problem, "convert the unit again") from error

    def through(self, change: Callable[[TarFile], TarFile]) -> "StoredFrame":
        """Return the frame as another reader of its tar has it."""
        return StoredFrame(change(self._tar), self._places, self._find_tiles)

    @property
    def tar(self) -> TarFile:
        """The reader of the tar."""
        return self._tar

    @property
    def is_at_hand(self) -> bool:
        """Whether the labels are in memory, and so perhaps everything."""
        return self._tar.is_at_hand(self._places["json"])

    def needed(self, box: Box, reduce: Reduce = 1) -> list[Place]:
        """Return the places of what ``region`` and the labels are read from, whose checksums are left out."""
        labels = around([self._places[member] for member in _LABELS])
        picture, tiles = self._image_place, self.tiles
        if tiles is None:
            return [labels, picture._replace(crc32=0)]
        window = mcu_window(tiles, box, reduce)
        first, last = tiles.row_offsets[[window.row0, window.row1]].tolist()
        return [
            labels,
            Place(picture.offset, tiles.header_size, 0),
            Place(picture.offset + first, max(last - first, 0), 0),
        ]

    @property
    def key(self) -> str:
        """The globally unique key."""
        return self.meta["key"]

    @property
    def people(self) -> list["StoredPerson"]:
        """Everyone in the frame."""
        return [StoredPerson(self, index) for index in range(len(self))]

    def damaged_members(self) -> list[str]:
        """Return which of picture, JSON and rows are not as they were written."""
        return [member for member, place in self._places.items() if not self._tar.holds(place)]

    def record(self) -> Frame:
        """Return the frame as a converter made it, its picture as stored."""
        return decode_frame(self.meta, self.rows, self.image_bytes)

    def __len__(self) -> int:
        return len(self.rows)


_ARRAYS = frozenset(ARRAY_FIELDS)
_SCALARS = frozenset(f.name for f in fields(Person)) - _ARRAYS
_SHARED = frozenset(
    ("dataset", "split", "unit", "key", "frame_key", "width", "height", "sequence", "frame_index", "camera_name")
)


class StoredPerson:
    """One person of a shard: every field of ``record.Person`` and of its frame is an attribute, None where absent.

    Arrays are read-only float32 views in the shapes of the record.
    """

    __slots__ = ("frame", "index")

    def __init__(self, frame: StoredFrame, index: int) -> None:
        self.frame, self.index = frame, index

    def __getattr__(self, name: str) -> Any:
        if name in _ARRAYS:
            return person_array(self.frame.rows, self.index, name)
        if name in _SCALARS:
            return self._meta.get(name)
        if name in _SHARED:
            return self.frame.meta.get(name)
        raise AttributeError(f"a stored person has no {name!r}")

    @property
    def _meta(self) -> dict[str, Any]:
        return self.frame.meta["people"][self.index]

    @property
    def person_key(self) -> str:
        """The globally unique name: ``<key>#<index>``."""
        return person_key(self.frame.key, self.index)

    @property
    def labels(self) -> Labels:
        """How each part was labelled."""
        return Labels(**self._meta["labels"])

    @property
    def provenance(self) -> Provenance:
        """The place in the owner's files."""
        return Provenance(**self._meta["provenance"])

    @property
    def camera(self) -> Camera:
        """The camera that the person's labels live in: the person's own, or that of the picture."""
        own = self._meta.get("camera")
        return self.frame.camera if own is None else decode_camera(own)

    @property
    def K(self) -> Float64[np.ndarray, "3 3"] | None:  # noqa: N802 - the name of the field
        """Intrinsics in pixels of the stored picture."""
        return self.camera.K

    @property
    def image_bytes(self) -> bytes:
        """The encoded picture."""
        return self.frame.image_bytes

    def image(self, reduce: Reduce = 1) -> UInt8[np.ndarray, "height width 3"]:
        """Return the picture as 8-bit RGB; ``reduce`` decodes it at a half, a quarter or an eighth of the size."""
        return self.frame.image(reduce)

    def record(self) -> Person:
        """Return the person as a converter made it."""
        return decode_person(self.frame.meta, self.frame.rows, self.index)
