"""Pictures: kept as the owner made them, turned upright where the source lies on its side, measured without decoding.

A JPEG or PNG enters the shard byte for byte. Only a quarter turn makes a new file (a PNG again, or a JPEG of quality
95, and the record says which), and only a format that few readers know is rewritten, losslessly, as PNG.
EXIF orientation is ignored everywhere: the labels of the sources refer to the pixels as they lie in the file.
Marker and chunk layouts are those of ITU-T T.81 (JPEG) and of the PNG specification (W3C).
"""

import struct
from pathlib import Path
from typing import Literal, NamedTuple

import cv2
import numpy as np
from jaxtyping import UInt8

from ..errors import PictureError

JPEG_QUALITY = 95
RESTART_MCUS = 8  # our own JPEGs carry a restart marker every eight blocks, so that a reader may cut out a region

_JPEG_START = b"\xff\xd8\xff"
_JPEG_END = b"\xff\xd9"
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0..SOF15 without DHT, JPG and DAC
_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"IEND\xaeB`\x82"
_TURNS = {1: cv2.ROTATE_90_CLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_COUNTERCLOCKWISE}


class Picture(NamedTuple):
    """A picture as it goes into a shard."""

    data: bytes
    ext: str  # jpg or png
    width: int  # px, after the turn
    height: int
    stored: str  # as_distributed, lossless_png, turned_png, turned_jpeg_<quality>


def encoded_picture(source: Path | bytes, quarter_turns: int = 0, *, decode: bool = False, name: str = "") -> Picture:
    """Return the picture to store: the owner's bytes, or a new file where a turn or the format asks for one.

    ``quarter_turns`` counts clockwise. ``decode`` also decodes the picture, which finds damage between header and end.
    A missing, cut off or unknown picture raises PictureError; ``name`` says in it where bytes came from.
    """
    where = str(source) if isinstance(source, Path) else name or "picture"
    data = _read(source) if isinstance(source, Path) else source
    ext = picture_format(data)
    if ext is None:
        return _as_png(data, quarter_turns, where)
    width, height = picture_size(data, where)
    if quarter_turns % 4:
        return _turned(data, ext, quarter_turns, where)
    if decode:
        decode_rgb(data, name=where)
    return Picture(data, ext, width, height, "as_distributed")


def _read(path: Path) -> bytes:
    """Return the bytes of a picture file; PictureError when it is absent or unreadable."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise PictureError(path, "missing_image", "the picture is not there") from error
    except OSError as error:
        raise PictureError(path, "damaged_image", f"the picture cannot be read ({error.strerror})") from error


def picture_format(data: bytes) -> str | None:
    """Return jpg or png by the first bytes; None for anything else."""
    if data.startswith(_JPEG_START):
        return "jpg"
    return "png" if data.startswith(_PNG_START) else None


def picture_size(data: bytes, name: str = "picture") -> tuple[int, int]:
    """Return width and height in pixels from the header of a JPEG or PNG; PictureError when its end is missing."""
    kind = picture_format(data)
    if kind == "jpg":
        return _jpeg_size(data, name)
    if kind == "png":
        return _png_size(data, name)
    raise PictureError(name, "unsupported_image", "neither a JPEG nor a PNG", f"it begins with {data[:8].hex(' ')}")


def _jpeg_size(data: bytes, name: str) -> tuple[int, int]:
    """Return width and height from the frame header; the segments before it are skipped by their lengths."""
    position, end = 2, len(data) - 9
    while position < end and data[position] == 0xFF:
        marker = data[position + 1]
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, position + 5)
            _require(width > 0 and height > 0, name, "its frame header gives no size")
            _require(data.rfind(_JPEG_END, position) > 0, name, f"it is cut off after {len(data)} bytes")
            return width, height
        if marker == 0xFF:  # fill byte
            position += 1
        else:
            position += 2 + struct.unpack_from(">H", data, position + 2)[0]
    raise PictureError(name, "damaged_image", f"the JPEG has no frame header in its {len(data)} bytes")


def _png_size(data: bytes, name: str) -> tuple[int, int]:
    """Return width and height from the IHDR chunk."""
    _require(len(data) > 33 and data[12:16] == b"IHDR", name, "its IHDR chunk is missing")
    _require(data.rfind(_PNG_END) > 0, name, f"it is cut off after {len(data)} bytes")
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _require(condition: bool, name: str, problem: str) -> None:
    """Raise PictureError unless the condition holds."""
    if not condition:
        raise PictureError(name, "damaged_image", f"the picture is damaged: {problem}")


def _turned(data: bytes, ext: str, quarter_turns: int, where: str) -> Picture:
    """Return the picture turned clockwise: a PNG without loss, a JPEG at quality 95."""
    if ext == "png":
        return _as_png(data, quarter_turns, where)
    turned = cv2.rotate(decode_rgb(data, name=where), _TURNS[quarter_turns % 4])
    return Picture(encode_jpeg(turned), "jpg", turned.shape[1], turned.shape[0], f"turned_jpeg_{JPEG_QUALITY}")


def _as_png(data: bytes, quarter_turns: int, where: str) -> Picture:
    """Return any picture that OpenCV reads as PNG with its depth and channels, turned clockwise."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if pixels is None:
        reason = "damaged_image" if picture_format(data) else "unsupported_image"
        raise PictureError(where, reason, f"OpenCV cannot decode these {len(data)} bytes")
    turns = quarter_turns % 4
    pixels = cv2.rotate(pixels, _TURNS[turns]) if turns else pixels
    encoded = cv2.imencode(".png", pixels)[1].tobytes()
    return Picture(encoded, "png", pixels.shape[1], pixels.shape[0], "turned_png" if turns else "lossless_png")


def decode_rgb(
    data: bytes, *, reduce: Literal[1, 2, 4, 8] = 1, name: str = "picture"
) -> UInt8[np.ndarray, "height width 3"]:
    """Return the picture as 8-bit RGB, EXIF orientation ignored.

    ``reduce`` decodes at a half, a quarter or an eighth of the size (rounded up), which is faster for JPEGs.
    """
    scale = {1: 0, 2: 16, 4: 32, 8: 64}[reduce]  # OpenCV's IMREAD_REDUCED_* bits without their colour bit
    flags = scale | cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    if pixels is None:
        raise PictureError(name, "damaged_image", f"OpenCV cannot decode these {len(data)} bytes")
    return pixels


def encode_jpeg(rgb: UInt8[np.ndarray, "height width 3"], quality: int = JPEG_QUALITY) -> bytes:
    """Return an 8-bit RGB picture as a baseline JPEG with restart markers."""
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_RST_INTERVAL, RESTART_MCUS]
    return cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)[1].tobytes()


def encode_png(rgb: UInt8[np.ndarray, "height width 3"]) -> bytes:
    """Return an 8-bit RGB picture as PNG."""
    return cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1].tobytes()
