"""Vertices of PLY meshes (Turk 1994), ascii and little-endian binary; nothing else of the file is read.

Strict on purpose: a file that is cut short, or whose vertices carry lists, is an error and not a smaller mesh.
"""

from io import BufferedReader
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ...errors import RawFileError

_TYPES = {
    **dict.fromkeys(("char", "int8"), "<i1"),
    **dict.fromkeys(("uchar", "uint8"), "<u1"),
    **dict.fromkeys(("short", "int16"), "<i2"),
    **dict.fromkeys(("ushort", "uint16"), "<u2"),
    **dict.fromkeys(("int", "int32"), "<i4"),
    **dict.fromkeys(("uint", "uint32"), "<u4"),
    **dict.fromkeys(("float", "float32"), "<f4"),
    **dict.fromkeys(("double", "float64"), "<f8"),
}
_HINT = "unpack the archive again; vertices must come first in the file"


def read_vertices(path: Path) -> Float[np.ndarray, "vertices 3"]:
    """Return the vertices in the file's own unit and space; RawFileError says what the file lacks."""
    try:
        with path.open("rb") as file:
            encoding, count, fields = _read_header(path, file)
            table = _read_ascii if encoding == "ascii" else _read_binary
            rows = table(path, file, count, fields)
    except FileNotFoundError as error:
        raise RawFileError(path, "no such file", _HINT) from error
    return np.stack([rows[axis].astype(np.float64) for axis in "xyz"], axis=1)


def _read_header(path: Path, file: BufferedReader) -> tuple[str, int, list[tuple[str, str]]]:
    """Return the encoding, the number of vertices and (name, dtype) of their properties."""
    if file.readline().strip() != b"ply":
        raise RawFileError(path, "is not a PLY file", _HINT)
    encoding, elements = "", []
    for line in iter(file.readline, b""):
        words = line.decode("ascii", "replace").split()
        if words[:1] == ["format"]:
            encoding = words[1]
        elif words[:1] == ["element"]:
            elements.append((words[1], int(words[2]), []))
        elif words[:1] == ["property"]:
            elements[-1][2].append((words[-1], words[1]))
        elif words == ["end_header"]:
            break
    if encoding not in ("ascii", "binary_little_endian"):
        raise RawFileError(path, f"is a PLY of format {encoding!r}; ehps reads ascii and binary_little_endian", _HINT)
    if not elements or elements[0][0] != "vertex":
        raise RawFileError(path, "does not begin with its vertices", _HINT)
    _, count, properties = elements[0]
    return encoding, count, _numpy_fields(path, properties)


def _numpy_fields(path: Path, properties: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return vertex properties as numpy fields; lists, unknown types and missing coordinates raise RawFileError."""
    for name, kind in properties:
        if kind not in _TYPES:
            raise RawFileError(path, f"has a vertex property {name!r} of type {kind!r}", _HINT)
    missing = {"x", "y", "z"} - {name for name, _ in properties}
    if missing:
        raise RawFileError(path, f"has vertices without {', '.join(sorted(missing))}", _HINT)
    return [(name, _TYPES[kind]) for name, kind in properties]


def _read_binary(path: Path, file: BufferedReader, count: int, fields: list[tuple[str, str]]) -> np.ndarray:
    """Return the vertex rows as a structured array."""
    dtype = np.dtype(fields)
    data = file.read(count * dtype.itemsize)
    if len(data) < count * dtype.itemsize:
        raise RawFileError(path, f"ends after {len(data) // dtype.itemsize} of {count} vertices", _HINT)
    return np.frombuffer(data, dtype)


def _read_ascii(path: Path, file: BufferedReader, count: int, fields: list[tuple[str, str]]) -> dict[str, np.ndarray]:
    """Return the columns of the vertex rows."""
    rows = [file.readline().split() for _ in range(count)]
    complete = sum(len(row) == len(fields) for row in rows)
    if complete < count:
        raise RawFileError(path, f"has {complete} complete vertices of {count}", _HINT)
    table = np.array(rows, np.float64).reshape(count, len(fields))
    return {name: table[:, column] for column, (name, _) in enumerate(fields)}
