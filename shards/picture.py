"""Pictures on their way into a shard: tiled without loss, turned upright where the source lies on its side, measured.

A JPEG gets its tiles (shards/jpeg.py) and keeps its coefficients; a PNG, or another picture without loss, becomes a
tiled JPEG of quality 95, because a cut of it would need all of it decoded. Both can be kept as the owner made them.
Only a quarter turn changes a JPEG's pixels: it is made anew at quality 95. ``stored`` says what happened.
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
from .digest import digest
from .jpeg import TileMap, map_tiles, tile_jpeg

JPEG_QUALITY = 95

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
    stored: str  # as_distributed, tiled, png_to_jpeg_95, lossless_png, turned_png, turned_jpeg_95 or video_to_jpeg_95
    blake3: str  # of the owner's bytes
    tiles: TileMap | None = None  # where the tiles of a JPEG lie
    luma: UInt8[np.ndarray, "rows columns"] | None = None  # gray at about 1/8 size; None for a copy without a look


def encoded_picture(
    source: Path | bytes,
    quarter_turns: int = 0,
    *,
    jpeg: Literal["tile", "keep"] = "tile",
    png: Literal["jpeg", "keep"] = "jpeg",
    name: str = "",
) -> Picture:
    """Return the picture to store: the owner's with tiles, the owner's bytes, or a new file where that is asked for.

    ``quarter_turns`` counts clockwise. ``jpeg="keep"`` and ``png="keep"`` copy the bytes and look at the header and the
    end only; a format that is neither JPEG nor PNG, or a turned PNG, is then written as PNG without loss.
    A missing, damaged or unknown picture raises PictureError; ``name`` says in it where bytes came from.
    """
    where = str(source) if isinstance(source, Path) else name or "picture"
    data = _read(source) if isinstance(source, Path) else source
    ext, turns = picture_format(data), quarter_turns % 4
    if turns == 0 and (jpeg if ext == "jpg" else png) == "keep" and ext:
        return picture_of(data, name=where)
    blake3 = digest(data)
    if turns == 0 and ext == "jpg":
        return _tiled(data, "tiled", blake3, where)
    if ext == "jpg":
        data = tile_jpeg(data, where).data  # OpenCV would decode a damaged one without a word
    pixels = _decode(data, cv2.IMREAD_UNCHANGED, where)
    pixels = cv2.rotate(pixels, _TURNS[turns]) if turns else pixels
    if png == "keep" and ext != "jpg":
        encoded, stored = _encode(".png", pixels, where), "turned_png" if turns else "lossless_png"
        return Picture(encoded, "png", pixels.shape[1], pixels.shape[0], stored, blake3)
    stored = f"{'turned' if turns else 'png_to'}_jpeg_{JPEG_QUALITY}"
    return _tiled(_encode(".jpg", _eight_bits(pixels), where), stored, blake3, where)


def encoded_pixels(rgb: UInt8[np.ndarray, "height width 3"], quarter_turns: int = 0, *, name: str = "") -> Picture:
    """Return a frame of a video, turned clockwise, as a tiled JPEG of quality 95: it was no single picture before.

    Lossless storage would keep the video's own losses in ten times the bytes, so nothing else is offered. The checksum
    is that of the pixels as they were decoded.
    """
    where, turns = name or "picture", quarter_turns % 4
    pixels = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    pixels = cv2.rotate(pixels, _TURNS[turns]) if turns else pixels
    return _tiled(_encode(".jpg", pixels, where), f"video_to_jpeg_{JPEG_QUALITY}", digest(rgb.tobytes()), where)


def picture_of(data: bytes, stored: str = "as_distributed", *, name: str = "picture") -> Picture:
    """Return an encoded picture as it is, with its size and, where it has them, its tiles."""
    width, height = picture_size(data, name)
    ext = str(picture_format(data))
    tiles = map_tiles(data) if ext == "jpg" else None
    return Picture(data, ext, width, height, stored, digest(data), tiles)


def _tiled(data: bytes, stored: str, blake3: str, where: str) -> Picture:
    """Return a JPEG with tiles."""
    tiled = tile_jpeg(data, where)
    return Picture(tiled.data, "jpg", tiled.tiles.width, tiled.tiles.height, stored, blake3, tiled.tiles, tiled.luma)


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


def _decode(data: bytes, flags: int, where: str) -> np.ndarray:
    """Return what OpenCV reads, or raise PictureError."""
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except cv2.error as error:
        raise PictureError(
            where, "unsupported_image", f"OpenCV refuses these {len(data)} bytes: {error.err}"
        ) from error
    if pixels is None:
        reason = "damaged_image" if picture_format(data) else "unsupported_image"
        raise PictureError(where, reason, f"OpenCV cannot decode these {len(data)} bytes")
    return pixels


def _eight_bits(pixels: np.ndarray) -> UInt8[np.ndarray, "height width *channels"]:
    """Return pixels as a JPEG holds them: 8 bits, without transparency."""
    pixels = pixels[..., :3] if pixels.ndim == 3 else pixels
    if pixels.dtype == np.uint16:
        pixels = (pixels.astype(np.uint32) + 128) // 257
    return np.ascontiguousarray(pixels, np.uint8)


def _encode(ext: Literal[".jpg", ".png"], pixels: np.ndarray, where: str = "picture") -> bytes:
    """Return OpenCV's pixels as a file of that kind."""
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if ext == ".jpg" else []
    is_done, encoded = cv2.imencode(ext, pixels, options)
    if not is_done:
        size = f"{pixels.shape[1]} x {pixels.shape[0]} px of {pixels.dtype}"
        raise PictureError(where, "unsupported_image", f"{size} cannot be written as {ext[1:]}")
    return encoded.tobytes()


def decode_rgb(
    data: bytes, *, reduce: Literal[1, 2, 4, 8] = 1, name: str = "picture"
) -> UInt8[np.ndarray, "height width 3"]:
    """Return the picture as 8-bit RGB, EXIF orientation ignored.

    ``reduce`` decodes at a half, a quarter or an eighth of the size (rounded up), which is faster for JPEGs.
    """
    scale = {1: 0, 2: 16, 4: 32, 8: 64}[reduce]  # OpenCV's IMREAD_REDUCED_* bits without their colour bit
    flags = scale | cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    return _decode(data, flags, name)


def encode_jpeg(rgb: UInt8[np.ndarray, "height width 3"], quality: int = JPEG_QUALITY) -> bytes:
    """Return an 8-bit RGB picture as a baseline JPEG with tiles, its colours at half the resolution."""
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    return tile_jpeg(cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)[1].tobytes()).data


def encode_png(rgb: UInt8[np.ndarray, "height width 3"]) -> bytes:
    """Return an 8-bit RGB picture as PNG."""
    return _encode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
