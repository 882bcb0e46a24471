"""SMC files of SenseMoCap studios: HDF5 that holds arrays, attributes, and every picture as an encoded file of its own.

One file holds tens of thousands of pictures, so only what is asked for is read, and the last files stay open; each
process opens its own, because HDF5 handles do not survive a fork.
Facts: DNA-Rendering ``scripts/3DGS/SMCReader.py``.
"""

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ...errors import PictureError, RawFileError, RawSchemaError
from ...shards.picture import picture_size
from ..raw import Shape, natural_key

_HEAD, _TAIL = 4096, 64  # bytes that tell size and completeness of nearly every picture


@dataclass(frozen=True)
class SmcPicture:
    """A picture inside an SMC file, encoded as its owner left it (a ``shards.record.ContainedPicture``)."""

    path: Path
    name: str  # of its dataset, such as Camera_5mp/3/color/7

    def size(self) -> tuple[int, int]:
        """Return (width, height) in px, from the two ends of the encoded picture; PictureError without a picture."""
        stored = self._stored()
        length = stored.shape[0]
        try:
            return picture_size(self._bytes(stored, 0, _HEAD) + self._bytes(stored, max(_HEAD, length - _TAIL), length))
        except PictureError:  # a header longer than usual, or damage: the whole picture says which
            return picture_size(self.read(), f"{self.path}, {self.name}")

    def read(self) -> bytes:
        """Return the encoded picture; PictureError when it is missing or cannot be read."""
        stored = self._stored()
        return self._bytes(stored, 0, stored.shape[0])

    def _stored(self) -> h5py.Dataset:
        """Return the dataset of the picture; PictureError when the file has none of this name."""
        try:
            stored = open_smc(self.path).get(self.name)
        except RawFileError as error:
            reason = "damaged_image" if self.path.is_file() else "missing_image"
            raise PictureError(self.path, reason, error.problem) from error
        if not isinstance(stored, h5py.Dataset):
            raise PictureError(f"{self.path}, {self.name}", "missing_image", "the file holds no such picture")
        if stored.ndim != 1 or stored.dtype != np.uint8:
            problem = f"expected the bytes of an encoded picture, found {stored.dtype} {stored.shape}"
            raise PictureError(f"{self.path}, {self.name}", "damaged_image", problem)
        return stored

    def _bytes(self, stored: h5py.Dataset, start: int, stop: int) -> bytes:
        """Return some bytes of the picture."""
        try:
            return stored[start:stop].tobytes()
        except OSError as error:
            problem = f"the picture cannot be read ({error})"
            raise PictureError(f"{self.path}, {self.name}", "damaged_image", problem) from error


def open_smc(path: Path) -> h5py.File:
    """Return an SMC file, open for reading; RawFileError when it is missing or no HDF5."""
    try:
        return _opened(path, path.stat().st_mtime_ns, os.getpid())
    except FileNotFoundError as error:
        raise RawFileError(path, "no such file", "complete the download; the card shows the tree") from error
    except OSError as error:
        raise RawFileError(path, f"is not a readable SMC file ({error})", "download it again") from error


@lru_cache(maxsize=4)
def _opened(path: Path, _changed: int, _process: int) -> h5py.File:
    return h5py.File(path, "r", locking=False)


def names_in(path: Path, group: str) -> list[str]:
    """Return the names inside a group in natural order; RawSchemaError when the file has no such group."""
    found = open_smc(path).get(group)
    if not isinstance(found, h5py.Group):
        raise RawSchemaError(path, f"group {group!r}", "present", f"only {_listed(path)}")
    return sorted(found, key=natural_key)


def read_array(path: Path, name: str, *shapes: Shape) -> np.ndarray:
    """Return an array of one of several shapes as float64; RawSchemaError when it is missing or another."""
    found = open_smc(path).get(name)
    if not isinstance(found, h5py.Dataset):
        raise RawSchemaError(path, f"array {name!r}", "present", f"only {_listed(path)}")
    fits = found.dtype.kind in "fiu" and any(_fits(found.shape, shape) for shape in shapes)
    if not fits:
        wanted = " or ".join(f"({', '.join('any' if n is None else str(n) for n in shape)})" for shape in shapes)
        raise RawSchemaError(path, f"array {name!r}", f"numbers of shape {wanted}", f"{found.dtype} {found.shape}")
    return np.asarray(found[()], np.float64)


def has_array(path: Path, name: str) -> bool:
    """Return whether a file holds an array of this name."""
    return isinstance(open_smc(path).get(name), h5py.Dataset)


def has_group(path: Path, name: str) -> bool:
    """Return whether a file holds a group of this name."""
    return isinstance(open_smc(path).get(name), h5py.Group)


def read_attribute(path: Path, group: str, name: str) -> Any:
    """Return an attribute of a group as plain Python, None when there is no such group or attribute."""
    holder = open_smc(path).get(group)
    value = holder.attrs.get(name) if isinstance(holder, h5py.Group) else None
    value = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
    return value.decode() if isinstance(value, bytes) else value


def _fits(found: tuple[int, ...], wanted: Shape) -> bool:
    return len(found) == len(wanted) and all(n in (None, got) for n, got in zip(wanted, found, strict=True))


def _listed(path: Path) -> str:
    return ", ".join(open_smc(path)) or "nothing"
