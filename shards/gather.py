"""The stored bytes of many people in one call: one read a frame, checked, for those who decode elsewhere."""

import ctypes
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8

from .codec import decode_meta, decode_people
from .native import library
from .stored import TarFile

library.ehps_gather.restype = ctypes.c_int32
library.ehps_gather.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32, ctypes.c_int32, ctypes.c_void_p]

_IMAGE, _JSON, _ROWS = range(3)
_STRETCH = np.dtype([(name, "<i8") for name in ("offset", "size", "to", "file")])
_PIECE = np.dtype([(name, "<i8") for name in ("start", "size", "crc32")])
_THERE_ALREADY = -1


@lru_cache(maxsize=4)
def _members_of(index: np.dtype) -> np.dtype:
    """Return the layout in which a row of an index has its three members side by side."""
    parts = {"offset": "<u8", "size": "<u4", "crc32": "<u4"}
    fields: Any = index.fields
    starts = [fields[f"image_{part}"][1] for part in parts]
    formats = [(kind, (3,)) for kind in parts.values()]
    return np.dtype({"names": list(parts), "formats": formats, "offsets": starts, "itemsize": index.itemsize})


class Gathered:
    """The members of the frames of some people, in the order in which the people were asked for.

    Bytes come as arrays that share one memory; between processes each travels alone.
    """

    def __init__(self, data: UInt8[np.ndarray, " bytes"], pieces: np.ndarray, person: Int64[np.ndarray, " people"]):
        self._data = data
        ends = pieces["start"] + pieces["size"]
        self._starts, self._ends, self.person = pieces["start"].tolist(), ends.tolist(), person
        """``person`` is everyone's index in the frame."""

    def __len__(self) -> int:
        return len(self.person)

    def _member(self, i: int, member: int) -> UInt8[np.ndarray, " bytes"]:
        place = 3 * i + member
        return self._data[self._starts[place] : self._ends[place]]

    def image(self, i: int) -> UInt8[np.ndarray, " bytes"]:
        """Return the encoded picture of the i-th person; empty where only labels were converted."""
        return self._member(i, _IMAGE)

    def json(self, i: int) -> UInt8[np.ndarray, " bytes"]:
        """Return the readable record of the i-th person's frame as it is stored; ``meta`` parses it."""
        return self._member(i, _JSON)

    def numbers(self, i: int) -> UInt8[np.ndarray, " bytes"]:
        """Return the numeric record of the i-th person's frame as it is stored; ``rows`` decodes it."""
        return self._member(i, _ROWS)

    def meta(self, i: int) -> dict[str, Any]:
        """Return the readable record of the i-th person's frame."""
        return decode_meta(self.json(i).tobytes())

    def rows(self, i: int) -> np.ndarray:
        """Return the numeric record of the i-th person's frame: a structured array with one row a person."""
        return decode_people(self.numbers(i).data)


def gather(tars: Sequence[TarFile], rows: np.ndarray) -> Gathered:
    """Return the members of frames, given the tar and the row of the index (``index.INDEX_DTYPE``) of each.

    ShardError when bytes are not those that were written.
    """
    members = rows.view(_members_of(rows.dtype))
    offsets, sizes = members["offset"].astype(np.int64), members["size"].astype(np.int64)
    first = np.where(sizes > 0, offsets, np.iinfo(np.int64).max).min(axis=1)
    stretches = np.zeros(len(rows), _STRETCH)
    stretches["offset"], stretches["size"] = first, (offsets + sizes).max(axis=1) - first
    stretches["to"] = np.cumsum(stretches["size"]) - stretches["size"]
    pieces = np.zeros(offsets.size, _PIECE)
    pieces["size"], pieces["crc32"] = sizes.ravel(), members["crc32"].ravel()
    pieces["start"] = np.where(sizes > 0, stretches["to"][:, None] + offsets - first[:, None], 0).ravel()
    data = np.empty(int(stretches["size"].sum()), np.uint8)
    open_files = [tar.file for tar in tars]  # none of them closes before the call is over
    stretches["file"] = [_THERE_ALREADY if file is None else file.number for file in open_files]
    for i in np.flatnonzero(stretches["file"] == _THERE_ALREADY).tolist():
        _fetch(tars[i], stretches[i], data)
    damaged = library.ehps_gather(stretches.ctypes.data, pieces.ctypes.data, len(rows), 3, data.ctypes.data)
    if damaged >= 0:
        frame, member = divmod(damaged, 3)
        raise tars[frame]._damaged(int(offsets[frame, member]), int(sizes[frame, member]))
    return Gathered(data, pieces, rows["person"].astype(np.int64))


def _fetch(tar: TarFile, stretch: Any, data: UInt8[np.ndarray, " bytes"]) -> None:
    """Read a stretch of a tar that is no file; what does not come is zero, and found by its checksum."""
    found = tar.unchecked(int(stretch["offset"]), int(stretch["offset"] + stretch["size"]))
    to = int(stretch["to"])
    data[to : to + int(stretch["size"])] = 0
    data[to : to + len(found)] = np.frombuffer(found, np.uint8)
