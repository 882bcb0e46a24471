"""What a camera wrote beside a JPEG's pixels: how it was held and how wide it saw.

Only two tags of EXIF are read: Orientation (0x0112) and FocalLengthIn35mmFilm (0xA405), as the Exif standard (CIPA
DC-008) has them, in a TIFF header with its directories. Anything that is not there, or broken, counts as absent: a
picture does not become unreadable by its notes. Sources that are converted ignore EXIF, because their labels refer to
the pixels as they lie; pictures that somebody wants predicted stand upright first.
"""

import struct
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

_ORIENTATION, _EXIF_DIRECTORY, _FOCAL_35MM = 0x0112, 0x8769, 0xA405
_NUMBERS = {3: "H", 4: "I"}  # TIFF types of one number: 16 and 32 bits
DIAGONAL_35MM = 43.2666  # mm of a frame of 36 x 24


class Exif(NamedTuple):
    """What is known of how a picture was taken."""

    orientation: int = 1  # 1 to 8; 1 is upright
    focal_35mm: float | None = None  # mm, as if on a frame of 36 x 24 mm

    def focal_px(self, width: int, height: int) -> float | None:
        """Return the focal length in px of the uncut picture; the equivalent is one of equal diagonals."""
        return None if self.focal_35mm is None else self.focal_35mm / DIAGONAL_35MM * float(np.hypot(width, height))


def read_exif(data: bytes) -> Exif:
    """Return what a JPEG says; the defaults for any other file, or where it says nothing."""
    try:
        tiff = _tiff(data)
        if tiff is None:
            return Exif()
        order = {b"II": "<", b"MM": ">"}[tiff[:2]]
        first = _directory(tiff, order, struct.unpack_from(f"{order}I", tiff, 4)[0])
        further = _directory(tiff, order, first[_EXIF_DIRECTORY]) if _EXIF_DIRECTORY in first else {}
    except (struct.error, KeyError, IndexError):  # cut off, or of no byte order
        return Exif()
    orientation = first.get(_ORIENTATION, 1)
    return Exif(orientation if 1 <= orientation <= 8 else 1, float(further.get(_FOCAL_35MM, 0)) or None)


def _tiff(data: bytes) -> bytes | None:
    """Return the TIFF block of a JPEG's EXIF segment, None where it has none."""
    position = 2
    while data[:2] == b"\xff\xd8" and data[position : position + 1] == b"\xff" and data[position + 1] != 0xDA:
        length = struct.unpack_from(">H", data, position + 2)[0]
        if data[position + 1] == 0xE1 and data[position + 4 : position + 10] == b"Exif\0\0":
            return data[position + 10 : position + 2 + length]
        position += 2 + length
    return None


def _directory(tiff: bytes, order: str, start: int) -> Mapping[int, int]:
    """Return the tags of a directory that hold one whole number."""
    out = {}
    for i in range(struct.unpack_from(f"{order}H", tiff, start)[0]):
        tag, kind, count = struct.unpack_from(f"{order}HHI", tiff, start + 2 + 12 * i)
        if count == 1 and kind in _NUMBERS:
            out[tag] = struct.unpack_from(order + _NUMBERS[kind], tiff, start + 10 + 12 * i)[0]
    return out


def upright(pixels: UInt8[np.ndarray, "_ _ 3"], orientation: int) -> UInt8[np.ndarray, "_ _ 3"]:
    """Return a picture as its EXIF orientation (1 to 8) wants it shown."""
    turned = np.swapaxes(pixels, 0, 1) if orientation >= 5 else pixels
    if orientation in (2, 3, 6, 7):
        turned = turned[:, ::-1]
    if orientation in (3, 4, 7, 8):
        turned = turned[::-1]
    return np.ascontiguousarray(turned)
