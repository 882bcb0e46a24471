"""The numeric member of a sample: a structured float32 array with one row a person, in numpy's own file format.

It has only the fields that some person of the frame carries. Bit i of its subfield ``valid`` says whether one carries
``ARRAY_FIELDS[i]``; where the bit is false the numbers are NaN. People whose arrays differ in length share the longest:
the subfield ``<field>_count`` then says how many leading entries are each person's own.
Layouts repeat over a dataset, so each is worked out once and a row is little more than a copy.
"""

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Int, UInt32

from ..errors import ShardError
from .record import ARRAY_FIELDS, Kind, Numbers, Person, numbers_of

_BITS = {name: bit for bit, name in enumerate(ARRAY_FIELDS)}
_NAN = int(np.array(np.nan, np.float32).view(np.uint32))


@dataclass(frozen=True, eq=False)
class _Filling:
    """How the numbers of one kind of person get into a row: all fields are 4 bytes wide, so a row is words."""

    empty: UInt32[np.ndarray, " words"]  # valid and counts in their places, NaN elsewhere
    words: Int[np.ndarray, " numbers"] | None  # the place of each number; None: all of them, after ``valid``
    valid: bytes

    def row(self, numbers: Numbers) -> bytes:
        """Return the bytes of one row."""
        if self.words is None:
            return self.valid + numbers.flat.tobytes()
        row = self.empty.copy()
        row[self.words] = numbers.flat.view(np.uint32)
        return row.tobytes()


@dataclass(frozen=True, eq=False)
class _Layout:
    """The row of a frame in which these kinds of people meet."""

    dtype: np.dtype
    fillings: Mapping[Kind, _Filling]


def encode_people(people: Sequence[Person]) -> bytes:
    """Return the npy file with one row a person."""
    return encode_numbers([numbers_of(person) for person in people])


def encode_numbers(people: Sequence[Numbers]) -> bytes:
    """Return the npy file with one row a person, given everyone's numbers."""
    layout = _layout(tuple(dict.fromkeys([numbers.kind for numbers in people])))
    rows = [layout.fillings[numbers.kind].row(numbers) for numbers in people]
    return b"".join([_header(layout, len(people)), *rows])


@lru_cache(maxsize=4096)
def _layout(kinds: tuple[Kind, ...]) -> _Layout:
    """Return the row that holds these kinds of people."""
    fields: list[tuple] = [("valid", "<u4")]
    for name in ARRAY_FIELDS:
        shapes = {kind.shapes[name] for kind in kinds if name in kind.shapes}
        if shapes:
            fields.append((name, "<f4", max(shapes)))
        if len(shapes) > 1:
            fields.append((f"{name}_count", "<u4"))
    dtype = np.dtype(fields)
    return _Layout(dtype, {kind: _filling(kind, dtype) for kind in kinds})


def _filling(kind: Kind, dtype: np.dtype) -> _Filling:
    """Return how the numbers of one kind of person get into a row."""
    starts = {name: place[1] // 4 for name, place in (dtype.fields or {}).items()}
    empty = np.full(dtype.itemsize // 4, _NAN, np.uint32)
    empty[0] = kind.valid
    for name in starts:
        if name.endswith("_count"):
            empty[starts[name]] = kind.shapes.get(name.removesuffix("_count"), (0,))[0]
    parts = [starts[name] + np.arange(math.prod(shape)) for name, shape in kind.shapes.items()]
    words = np.concatenate([np.zeros(0, int), *parts])
    is_whole = len(words) == len(empty) - 1
    return _Filling(empty, None if is_whole else words, empty[:1].tobytes())


@lru_cache(maxsize=4096)
def _header(layout: _Layout, count: int) -> bytes:
    """Return the npy header of a structured array."""
    buffer = io.BytesIO()
    header = {"descr": np.lib.format.dtype_to_descr(layout.dtype), "fortran_order": False, "shape": (count,)}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue()


@lru_cache(maxsize=4096)
def _parse_header(header: bytes) -> tuple[np.dtype, int]:
    """Return row layout and number of rows; the headers of a dataset repeat, so each is parsed once."""
    buffer = io.BytesIO(header)
    try:
        if np.lib.format.read_magic(buffer) != (1, 0):
            raise ValueError("npy version is not 1.0")
        shape, _, dtype = np.lib.format.read_array_header_1_0(buffer)
        (count,) = shape
        if dtype.hasobject or "valid" not in (dtype.names or ()):
            raise ValueError(f"rows of {dtype}")
    except ValueError as error:
        raise ShardError("numeric member", f"its header is not one of ehps ({error})") from error
    return dtype, count


def decode_people(data: bytes | memoryview) -> np.ndarray:
    """Return the rows of an numeric member as a read-only structured array over the given bytes."""
    end = 10 + int.from_bytes(data[8:10], "little")
    dtype, count = _parse_header(bytes(data[:end]))
    if len(data) != end + count * dtype.itemsize:
        raise ShardError(
            "numeric member", f"{count} people take {end + count * dtype.itemsize} bytes, found {len(data)}"
        )
    return np.frombuffer(data, dtype, count, end)


def person_array(rows: np.ndarray, person: int, name: str) -> np.ndarray | None:
    """Return one array of one person in its own shape; None when the person does not carry it."""
    if not int(rows["valid"][person]) >> _BITS[name] & 1:
        return None
    value = rows[name][person]
    counts = f"{name}_count"
    return value[: rows[counts][person]] if counts in (rows.dtype.names or ()) else value


def carried(rows: np.ndarray, name: str) -> Iterator[tuple[Int[np.ndarray, " some"], np.ndarray]]:
    """Yield which rows carry an array, and their values, those of one length at a time."""
    names = rows.dtype.names or ()
    if name not in names:
        return
    there = np.flatnonzero(rows["valid"] >> np.uint32(_BITS[name]) & np.uint32(1))
    values, counts = rows[name], f"{name}_count"
    if counts not in names:
        if len(there):
            yield there, values if len(there) == len(rows) else values[there]
        return
    lengths = rows[counts][there]
    for length in np.unique(lengths).tolist():
        mine = there[lengths == length]
        yield mine, values[mine, :length]
