"""A frame and a person as they lie in a shard: members are read when they are first asked for.

Members are read with ``pread`` at the places that the sidecar names, so one file serves any number of threads, and are
checked against their CRC-32, because picture decoders return something even from damaged bytes.
What a source does not carry is None.
"""

import os
import zlib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64, UInt8

from ..errors import ShardError
from .codec import decode_camera, decode_frame, decode_meta, decode_people, decode_person, person_array, person_key
from .picture import decode_rgb
from .record import ARRAY_FIELDS, Camera, Frame, Labels, Person, Provenance
from .ustar import Place

Reduce = Literal[1, 2, 4, 8]


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

    def __init__(self, path: Path, size: int | None = None) -> None:
        self.path, self.size = Path(path), size
        self._descriptor: _Descriptor | None = None

    def __reduce__(self) -> tuple[type["TarFile"], tuple[Path, int | None]]:
        return TarFile, (self.path, self.size)

    def read(self, place: Place) -> bytes:
        """Return one member; ShardError when its bytes are not those that were written."""
        data = self._pread(place)
        if len(data) != place.size or zlib.crc32(data) != place.crc32:
            problem = f"the {place.size} bytes at {place.offset} are damaged"
            raise ShardError(self.path, problem, "convert the unit again")
        return data

    def holds(self, place: Place) -> bool:
        """Return whether a member has the bytes that were written."""
        return zlib.crc32(self._pread(place)) == place.crc32

    def _pread(self, place: Place) -> bytes:
        """Return the bytes at a place, opening the file when necessary."""
        descriptor = self._descriptor or self._open()
        return os.pread(descriptor.number, place.size, place.offset)

    def _open(self) -> _Descriptor:
        """Open the file, and let the longest open one go when there are too many."""
        descriptor = self._descriptor = _Descriptor(self.path, self.size)
        _recently_opened.append(self)
        while len(_recently_opened) > _MAX_OPEN:
            _recently_opened.popleft().close()
        return descriptor

    def close(self) -> None:
        """Let go of the open file, which closes when no thread reads from it any more."""
        self._descriptor = None


class StoredFrame:
    """One sample of a shard; its members are read when they are first asked for."""

    def __init__(self, tar: TarFile, places: Mapping[str, Place]) -> None:
        self._tar, self._places = tar, places

    @cached_property
    def meta(self) -> dict[str, Any]:
        """The readable record: every scalar of the frame and its people."""
        return decode_meta(self._tar.read(self._places["json"]))

    @cached_property
    def rows(self) -> np.ndarray:
        """The numeric record: a structured array with one row a person."""
        return decode_people(self._tar.read(self._places["npy"]))

    @cached_property
    def camera(self) -> Camera:
        """The camera of the picture."""
        return decode_camera(self.meta["camera"])

    @property
    def image_bytes(self) -> bytes:
        """The encoded picture."""
        return self._tar.read(self._places["image"])

    def image(self, reduce: Reduce = 1) -> UInt8[np.ndarray, "height width 3"]:
        """Return the picture as 8-bit RGB; ``reduce`` decodes it at a half, a quarter or an eighth of the size."""
        return decode_rgb(self.image_bytes, reduce=reduce, name=f"{self._tar.path} at {self._places['image'].offset}")

    @property
    def key(self) -> str:
        """The globally unique key."""
        return self.meta["key"]

    @property
    def people(self) -> list["StoredPerson"]:
        """Everyone in the frame."""
        return [StoredPerson(self, index) for index in range(len(self))]

    def damaged_members(self) -> list[str]:
        """Return which of picture, JSON and npy are not as they were written."""
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
