"""Writing an npz column by column while its rows come: numbers wait in plain files beside it, not in memory.

``numpy.load`` reads the result. Equal columns give equal bytes: the zip's times are fixed, and dictionaries hold arrays
and single values, whose pickles do not depend on which objects are the same.
"""

import os
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

_COPY = 1 << 20  # bytes


class Spooled(NamedTuple):
    """A column that waits in a file."""

    file: BinaryIO
    dtype: np.dtype
    shape: tuple[int, ...]

    def read(self) -> np.ndarray:
        """Return the column as an array."""
        self.file.seek(0)
        return np.frombuffer(self.file.read(), self.dtype).reshape(self.shape)

    def pieces(self) -> Iterator[bytes]:
        """Yield the bytes of the column."""
        self.file.seek(0)
        while piece := self.file.read(_COPY):
            yield piece


class Spool:
    """Columns that grow by rows; a context, at whose end they are gone."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is where there is room for all columns; a process that is killed leaves nothing there."""
        self._folder, self._open = folder, ExitStack()
        self._files: dict[str, BinaryIO] = {}
        self._kinds: dict[str, tuple[np.dtype, tuple[int, ...]]] = {}

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def add(self, name: str, rows: np.ndarray) -> None:
        """Append rows to a column, which keeps the type and the width of its first ones."""
        if name not in self._files:
            file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - the stack closes it
            self._files[name] = self._open.enter_context(file)
            self._kinds[name] = (rows.dtype, rows.shape[1:])
        dtype, shape = self._kinds[name]
        assert rows.shape[1:] == shape
        self._files[name].write(np.ascontiguousarray(rows, dtype).tobytes())

    @property
    def names(self) -> list[str]:
        """The columns in the order of their first rows."""
        return list(self._files)

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def column(self, name: str) -> Spooled:
        """Return a column of all rows so far."""
        (dtype, shape), file = self._kinds[name], self._files[name]
        file.flush()
        count = os.fstat(file.fileno()).st_size // (dtype.itemsize * prod(shape))
        return Spooled(file, dtype, (count, *shape))


def write_npz(path: Path, entries: Mapping[str, Any], level: int) -> None:
    """Write columns, arrays and dictionaries as an npz that is there whole or not at all; ``level`` is zlib's."""
    new = path.with_name(f".{path.name}.new")
    try:
        with zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
            for name, value in entries.items():
                _write_member(archive, f"{name}.npy", value)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def _write_member(archive: zipfile.ZipFile, name: str, value: Any) -> None:
    """Write one npy file into an open zip."""
    member = zipfile.ZipInfo(name)
    member.compress_type = archive.compression
    member._compresslevel = archive.compresslevel  # pyright: ignore[reportAttributeAccessIssue] - until Python 3.13
    with archive.open(member, "w", force_zip64=True) as file:
        if isinstance(value, Spooled):
            header = {"descr": np.lib.format.dtype_to_descr(value.dtype), "fortran_order": False, "shape": value.shape}
            np.lib.format.write_array_header_1_0(file, header)
            for piece in value.pieces():
                file.write(piece)
            return
        if not isinstance(value, np.ndarray):
            held = np.empty((), object)
            held[()], value = value, held
        np.lib.format.write_array(file, value, version=(1, 0))
