"""Checked, read-only access to raw files, so that converters state layouts instead of defending against them.

A file that is missing or not of its kind raises RawFileError, a field that is not what the card says RawSchemaError;
both name the file, what was expected and found, and what to do.
"""

import json
import re
import zipfile
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Bool, Shaped

from ..errors import RawFileError, RawSchemaError

Name = TypeVar("Name", bound=Hashable)
Shape = tuple[int | None, ...]  # None: any size

_COMPLETE = "unpack the archive again, and compare the tree with the one that the card shows"


def natural_key(name: str | Path) -> tuple[int | str, ...]:
    """Return a sort key in which numbers count as numbers: 2_img.png comes before 10_img.png."""
    parts = re.split(r"(\d+)", str(name))
    return tuple(int(part) if i % 2 else part for i, part in enumerate(parts))


def list_files(folder: Path, pattern: str, *, hint: str = _COMPLETE) -> list[Path]:
    """Return the files of a folder that match a pattern, in natural order; none at all raises RawFileError."""
    found = sorted((path for path in folder.glob(pattern) if path.is_file()), key=natural_key)
    if not found:
        state = "no such file" if folder.is_dir() else "no such folder"
        raise RawFileError(folder / pattern, state, hint)
    return found


def first_dir(root: Path, *candidates: str, hint: str = _COMPLETE) -> Path:
    """Return the first of several possible folders that exists; RawFileError lists them when none does."""
    for name in candidates:
        if (root / name).is_dir():
            return root / name
    raise RawFileError(root, f"holds none of the folders {', '.join(candidates)}", hint)


def first_file(root: Path, *candidates: str, hint: str = _COMPLETE) -> Path:
    """Return the first of several possible files that exists; RawFileError lists them when none does."""
    for name in candidates:
        if (root / name).is_file():
            return root / name
    raise RawFileError(root, f"holds none of the files {', '.join(candidates)}", hint)


def group_rows(names: Iterable[Name]) -> dict[Name, list[int]]:
    """Return the rows in which each name occurs, in first-seen order."""
    rows: dict[Name, list[int]] = {}
    for row, name in enumerate(names):
        rows.setdefault(name, []).append(row)
    return rows


def load_json(path: Path, *, object_hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """Return the content of a JSON file; ``object_hook`` may shrink objects while they are read."""
    try:
        with path.open(encoding="utf-8") as file:
            return json.load(file, object_hook=object_hook)
    except FileNotFoundError as error:
        raise RawFileError(path, "no such file", _COMPLETE) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RawFileError(path, f"is not JSON ({error})", _COMPLETE) from error


def compact_numbers(record: dict[str, Any], *, drop: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return a JSON object with its lists of numbers as arrays (32 bytes a number become 8) and without ``drop``."""
    return {name: _as_array(value) for name, value in record.items() if name not in drop}


def _as_array(value: Any) -> Any:
    """Return a list of plain numbers as an array, anything else as it is."""
    if not isinstance(value, list) or not value or not isinstance(value[0], int | float):
        return value
    try:
        array = np.array(value)
    except ValueError:  # numbers mixed with lists
        return value
    return array.astype(np.float64) if array.dtype.kind in "if" else value


def require(path: Path, record: Any, *fields: str) -> None:
    """Raise RawSchemaError unless a JSON value is an object with these fields."""
    if not isinstance(record, dict):
        raise RawSchemaError(path, "the file's content", "a JSON object", f"a {type(record).__name__}", _COMPLETE)
    for name in fields:
        if name not in record:
            raise RawSchemaError(path, f"field {name!r}", "present", f"only {_some(record)}", _COMPLETE)


def load_columns(
    path: Path, columns: Mapping[str, Shape], *, optional: Mapping[str, Shape] | None = None, hint: str = _COMPLETE
) -> dict[str, np.ndarray]:
    """Return the named columns of an npz; each shape is that of one row, and all columns have the same rows.

    Optional columns that the file lacks are left out. Object arrays are refused: they are pickles.
    """
    wanted = {**columns, **(optional or {})}
    loaded = {name: array for name, array in _read_npz(path, tuple(wanted)).items() if array is not None}
    for name in columns:
        if name not in loaded:
            raise RawSchemaError(path, f"column {name!r}", "present", f"only {_some(_npz_names(path))}", hint)
    rows = {name: array.shape[:1] for name, array in loaded.items()}
    for name, array in loaded.items():
        _check_shape(path, name, array, wanted[name], hint)
        if rows[name] != rows[next(iter(columns))]:
            expected = f"of {rows[next(iter(columns))][0]} rows like {next(iter(columns))!r}"
            raise RawSchemaError(path, f"column {name!r}", expected, f"{rows[name][0]} rows", hint)
    return loaded


def broken_rows(columns: Mapping[str, np.ndarray], names: Iterable[str]) -> dict[int, list[str]]:
    """Return the rows that hold NaN or infinity in some of the named columns, with the names of these columns."""
    out: dict[int, list[str]] = {}
    for name in names:
        column = columns[name]
        for row in np.flatnonzero(~np.isfinite(column.reshape(len(column), -1)).all(axis=1)).tolist():
            out.setdefault(row, []).append(name)
    return out


def with_confidence(points: np.ndarray) -> np.ndarray:
    """Return points (..., dim) as float32 with a confidence behind: 1, or 0 and all zeros where one is not finite."""
    known = np.isfinite(points).all(axis=-1, keepdims=True)
    return np.concatenate([np.where(known, points, 0), known], axis=-1, dtype=np.float32, casting="unsafe")


def are_intrinsics(K: Shaped[np.ndarray, "*cameras 3 3"]) -> Bool[np.ndarray, "*cameras"]:
    """Return which matrices are finite with positive focal lengths; of a single one the answer has no dimension."""
    return np.asarray(np.isfinite(K).all(axis=(-2, -1)) & (K[..., 0, 0] > 0) & (K[..., 1, 1] > 0))


def same_intrinsics(K: np.ndarray, other: np.ndarray) -> bool:
    """Return whether two matrices of intrinsics are the same but for rounding."""
    return K.tobytes() == other.tobytes() or np.allclose(K, other, rtol=1e-6)


def _check_shape(path: Path, name: str, array: np.ndarray, row_shape: Shape, hint: str) -> None:
    """Raise RawSchemaError unless every row of a column has this shape and, if it is an array, holds numbers."""
    found = array.shape[1:]
    fits = array.ndim == len(row_shape) + 1
    if not fits or any(want not in (None, got) for want, got in zip(row_shape, found, strict=True)):
        expected = "of shape (n" + "".join(f", {'any' if size is None else size}" for size in row_shape) + ")"
        raise RawSchemaError(path, f"column {name!r}", expected, str(array.shape), hint)
    if row_shape and array.dtype.kind not in "fiu":
        raise RawSchemaError(path, f"column {name!r}", "numbers", f"values of type {array.dtype}", hint)


def _read_npz(path: Path, names: Iterable[str]) -> dict[str, np.ndarray | None]:
    """Return the named arrays of an npz, None for those that it lacks."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] if name in archive.files else None for name in names}
    except FileNotFoundError as error:
        raise RawFileError(path, "no such file", _COMPLETE) from error
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise RawFileError(path, f"cannot be read as plain arrays ({error})", _COMPLETE) from error


@lru_cache(maxsize=8)
def _npz_names(path: Path) -> tuple[str, ...]:
    with np.load(path, allow_pickle=False) as archive:
        return tuple(archive.files)


def _some(names: Iterable[str], limit: int = 12) -> str:
    """Return names for a message, cut after a dozen."""
    listed = sorted(names)
    return ", ".join(listed[:limit]) + (f" and {len(listed) - limit} more" if len(listed) > limit else "")
