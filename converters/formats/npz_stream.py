"""Npz files larger than memory: every array in blocks of rows, also those inside the dictionaries of an npz.

An npz is a zip of npy files. A dictionary in it is a pickle with whole arrays among its bytes; the pickle is read by
the rules of ``body.unpickling``, and large arrays are passed over: what is kept is where their numbers lie. Each array
is then inflated by a reader of its own, from its first row to its last, so that any number of them can be read side by
side. Facts: NumPy's ``lib/format.py`` (NEP 1); Python's ``pickletools`` for the opcodes.
"""

import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, cast

import numpy as np

from ...body.unpickling import plain_type
from ...errors import RawFileError, RawSchemaError

LARGE = 1 << 20  # bytes from which on an array in a pickle stays where it is; frames of pickles are smaller
_COPY = 1 << 20  # bytes passed over at a time
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, struct.error, NotImplementedError)
_BROKEN_PICKLE = (pickle.UnpicklingError, AttributeError, ImportError, IndexError, KeyError, TypeError, ValueError)
_ADVICE = "compare its size with the owner's and copy or download it again"


class _Span(NamedTuple):
    """Bytes of a member that were passed over."""

    offset: int
    size: int


@dataclass(frozen=True)
class Rows:
    """An array of an npz: in memory, or where it lies."""

    shape: tuple[int, ...]
    dtype: np.dtype
    values: np.ndarray | None = None
    stream: "NpzStream | None" = None
    member: str = ""
    offset: int = 0  # first byte in the inflated member

    def __len__(self) -> int:
        return self.shape[0] if self.shape else 0

    def read(self) -> np.ndarray:
        """Return the whole array."""
        if self.values is not None:
            return self.values
        if not self.shape:  # a single value is an array of one row
            return replace(self, shape=(1,)).read().reshape(())
        return next(self.blocks(max(len(self), 1)), np.zeros(self.shape, self.dtype))

    def blocks(self, size: int, first: int = 0) -> Iterator[np.ndarray]:
        """Yield the array from a row on, ``size`` rows at a time; RawFileError where the file is damaged."""
        if self.values is not None:
            for start in range(first, len(self), size):
                yield self.values[start : start + size]
            return
        assert self.stream is not None
        row = prod(self.shape[1:]) * self.dtype.itemsize
        with self.stream.opened(self.member) as file:
            file.seek(self.offset + first * row)
            for start in range(first, len(self), size):
                count = min(size, len(self) - start)
                data = file.read(count * row)
                if len(data) < count * row:
                    raise EOFError(f"{self.member} ends before its row {start + count}")
                yield np.frombuffer(data, self.dtype).reshape(count, *self.shape[1:])


class NpzStream:
    """An open npz file. Its entries are read when they are asked for."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        try:
            self._zip = zipfile.ZipFile(self.path)
        except FileNotFoundError as error:
            raise RawFileError(path, "no such file") from error
        except _DAMAGE as error:
            raise RawFileError(path, f"is not a complete npz ({error})", _ADVICE) from error

    def __enter__(self) -> "NpzStream":
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    @cached_property
    def names(self) -> list[str]:
        """The names of the entries."""
        return [name.removesuffix(".npy") for name in self._zip.namelist()]

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> Any:
        """Return an entry: ``Rows`` for an array, else the value, with its large arrays as ``Rows``.

        RawSchemaError when there is no such entry, UnsafePickleError when it refers to more than plain data.
        """
        if name not in self:
            raise RawSchemaError(self.path, f"entry {name!r}", "present", f"only {', '.join(sorted(self.names))}")
        member = f"{name}.npy"
        with self.opened(member) as file:
            shape, is_fortran, dtype = _read_header(file)
            if dtype.hasobject:
                return self._unpickled(file, member)
            return self.placed(member, file.tell(), shape, dtype, is_fortran)

    def placed(self, member: str, offset: int, shape: tuple[int, ...], dtype: np.dtype, is_fortran: bool) -> Rows:
        """Return an array that begins at a byte of a member; one that cannot be read by rows is read now."""
        if is_fortran and len(shape) > 1:
            return _in_memory(Rows(shape[::-1], dtype, None, self, member, offset).read().T)
        return Rows(shape, dtype, None, self, member, offset)

    def _unpickled(self, file: zipfile.ZipExtFile, member: str) -> Any:
        """Return the value of a pickled member; a 0-d object array is what it holds."""
        try:
            value = _Scanner(file, self, member).load()
        except _BROKEN_PICKLE as error:
            raise RawFileError(self.path, f"{member} is not a readable pickle ({error})", _ADVICE) from error
        value = _settled(value)
        return value[()] if isinstance(value, np.ndarray) and value.dtype.hasobject and not value.ndim else value

    @contextmanager
    def opened(self, member: str) -> Iterator[zipfile.ZipExtFile]:
        """Give an inflated member to read; what damage raises becomes RawFileError."""
        try:
            with self._zip.open(member) as file:
                yield cast(zipfile.ZipExtFile, file)
        except _DAMAGE as error:
            raise RawFileError(self.path, f"is damaged in {member} ({error})", _ADVICE) from error


def _in_memory(values: np.ndarray) -> Rows:
    return Rows(values.shape, values.dtype, values)


def as_rows(value: Any) -> Rows:
    """Return a value of an npz as ``Rows``; lists become arrays."""
    return value if isinstance(value, Rows) else _in_memory(np.asarray(value))


def _read_header(file: zipfile.ZipExtFile) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Return shape, whether columns come first, and type of the npy file that begins here."""
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        return read(file)
    except ValueError as error:
        raise EOFError(f"not an npy file: {error}") from error


class _Array:
    """An array while its pickle is read."""

    def __init__(self, scanner: "_Scanner") -> None:
        self._scanner = scanner
        self._state: Any = None

    def __setstate__(self, state: Any) -> None:
        self._state = state

    def settled(self) -> Any:
        """Return the array, or where it lies."""
        _, shape, dtype, is_fortran, data = self._state
        if isinstance(data, _Span):
            return self._scanner.stream.placed(self._scanner.member, data.offset, tuple(shape), dtype, is_fortran)
        array = np.zeros(0, object if dtype.hasobject else dtype)
        array.__setstate__(self._state)
        return array


_DISPATCH: dict[int, Callable[[Any], None]] = dict(pickle._Unpickler.dispatch)  # what each opcode does


class _Scanner(pickle._Unpickler):
    """Reads a pickle and passes over the bytes of large arrays, which the unpickler written in C cannot do."""

    dispatch: ClassVar = _DISPATCH
    read: Callable[[int], bytes]  # of the unpickler, while it loads
    append: Callable[[Any], None]

    def __init__(self, file: zipfile.ZipExtFile, stream: NpzStream, member: str) -> None:
        super().__init__(file, encoding="latin1")
        self.stream, self.member, self._file = stream, member, file

    def find_class(self, module: str, name: str) -> Any:
        """Return a data type; arrays are made when the pickle has been read."""
        if name == "_reconstruct" and module.endswith("multiarray"):
            return lambda *_: _Array(self)
        return plain_type(self.stream.path, module, name)

    def _load_bytes(self, form: str) -> None:
        """Take bytes whose number lies in front of them."""
        (size,) = struct.unpack(form, self.read(struct.calcsize(form)))
        if size < LARGE:
            self.append(self.read(size))
            return
        span = _Span(self._file.tell(), size)  # bytes as many as these lie outside of a pickle's frames
        for start in range(0, size, _COPY):
            self.read(min(_COPY, size - start))
        self.append(span)

    def _load_binbytes(self) -> None:
        self._load_bytes("<I")

    def _load_binbytes8(self) -> None:
        self._load_bytes("<Q")


_DISPATCH[pickle.BINBYTES[0]] = _Scanner._load_binbytes
_DISPATCH[pickle.BINBYTES8[0]] = _Scanner._load_binbytes8


def _settled(value: Any) -> Any:
    """Return a value with the arrays in its containers in their final form."""
    if isinstance(value, _Array):
        value = value.settled()
        if isinstance(value, np.ndarray) and value.dtype.hasobject:
            for place, item in np.ndenumerate(value):
                value[place] = _settled(item)
        return value
    if isinstance(value, dict):
        return {key: _settled(item) for key, item in value.items()}
    if isinstance(value, list | tuple) and any(isinstance(item, _Array | dict | list | tuple) for item in value):
        return type(value)(_settled(item) for item in value)
    return value
