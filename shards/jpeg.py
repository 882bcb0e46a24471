"""JPEGs in tiles: restart markers at even steps let a reader cut a region out by copying bytes.

``tile_jpeg`` rewrites a JPEG without loss: the coefficients stay, progressive scans become one baseline scan, and a
restart marker comes every ``restart_mcus`` MCUs, a number that divides the row. Each stretch between markers (a tile)
decodes on its own. ``window_jpeg`` joins the tiles that a box needs to a small valid JPEG; a margin takes up what the
upsampling of the colours adds at its edge, so that the box decodes to the very pixels of the full decode.
Labels refer to the pixels as they lie in the file, so an EXIF orientation is set to 1 on the way.
The format is that of ITU-T T.81; the work is done in C (native/jpeg_*.c).
"""

import ctypes
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Bool, UInt8, UInt32

from ..errors import PictureError
from .native import library

MARGIN = 2  # px of the decoded size around a box
_UNSUPPORTED, _NO_MEMORY = 2, 3
_REASONS = {1: "damaged_image", _UNSUPPORTED: "unsupported_image"}


@dataclass(frozen=True, eq=False)
class TileMap:
    """Where the tiles of a JPEG lie in its bytes."""

    width: int  # px of the picture
    height: int
    mcu_width: int  # px of one MCU
    mcu_height: int
    restart_mcus: int  # MCUs a tile; divides the MCUs of a row
    header_size: int  # bytes before the entropy-coded data
    header_crc32: int  # zlib CRC-32 of them
    row_offsets: UInt32[np.ndarray, " rows_and_end"]  # first byte of each MCU row; last: where the data end
    row_crc32: UInt32[np.ndarray, " rows"]  # zlib CRC-32 of the bytes of each MCU row


@dataclass(frozen=True, eq=False)
class TiledJpeg:
    """A JPEG with tiles, and its luma at an eighth of the size."""

    data: bytes
    tiles: TileMap
    luma: UInt8[np.ndarray, "rows columns"]


@dataclass(frozen=True)
class Window:
    """The tiles that a box needs: half-open ranges of MCU rows and columns, and their place in the picture in px."""

    row0: int
    row1: int
    column0: int
    column1: int
    x0: int
    y0: int
    width: int
    height: int


class _Tiled(ctypes.Structure):
    """The result of the C transcoder (native/jpeg.h: tiled)."""

    _fields_ = [
        *((name, ctypes.c_int32) for name in "status width height mcu_width mcu_height restart_mcus".split()),
        *((name, ctypes.c_int32) for name in "header_size rows luma_width luma_height luma_is_y".split()),
        ("header_crc32", ctypes.c_uint32),
        ("size", ctypes.c_int64),
        ("data", ctypes.c_void_p),
        ("row_offsets", ctypes.POINTER(ctypes.c_uint32)),
        ("row_crc32", ctypes.POINTER(ctypes.c_uint32)),
        ("luma", ctypes.POINTER(ctypes.c_uint8)),
        ("problem", ctypes.c_char * 160),
    ]


class _Cut(ctypes.Structure):
    """What ehps_window_jpeg and ehps_decode_window ask for (native/jpeg.h: cut)."""

    _fields_ = [
        ("header", ctypes.c_char_p),
        ("rows", ctypes.c_char_p),
        ("header_size", ctypes.c_int64),
        ("rows_size", ctypes.c_int64),
        ("row_offsets", ctypes.c_void_p),
        *((name, ctypes.c_int32) for name in "row_count tiles_per_row tile0 tile1 restart_mcus width height".split()),
        ("keep", ctypes.c_void_p),
    ]
    arrays: tuple[np.ndarray, np.ndarray | None]  # that pointers point into


library.ehps_tile_jpeg.restype = ctypes.POINTER(_Tiled)
library.ehps_tile_jpeg.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
library.ehps_map_tiles.restype = ctypes.POINTER(_Tiled)
library.ehps_map_tiles.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
library.ehps_window_jpeg.restype = ctypes.c_int64
library.ehps_window_jpeg.argtypes = [ctypes.POINTER(_Cut), ctypes.c_void_p]
library.ehps_decode_window.restype = ctypes.c_int32
library.ehps_decode_window.argtypes = [ctypes.POINTER(_Cut), ctypes.c_int32, ctypes.c_void_p]
library.ehps_free_tiled.restype = None
library.ehps_free_tiled.argtypes = [ctypes.POINTER(_Tiled)]


def tile_jpeg(data: bytes, name: str = "picture") -> TiledJpeg:
    """Return the JPEG with tiles and the same pixels; PictureError when it is damaged or of a kind that few can read.

    What stands behind the end of the picture is dropped; application data and comments stay.
    """
    result = library.ehps_tile_jpeg(data, len(data))
    if not result:
        raise MemoryError(f"{name}: no memory to transcode {len(data)} bytes")
    try:
        return _tiled_jpeg(result.contents, name)
    finally:
        library.ehps_free_tiled(result)


def _tiled_jpeg(found: _Tiled, name: str) -> TiledJpeg:
    """Copy a result out of the memory of the library."""
    problem = found.problem.decode("ascii", "replace")
    if found.status:
        if found.status not in _REASONS:
            raise MemoryError(f"{name}: {problem}")
        raise PictureError(name, _REASONS[found.status], f"the JPEG cannot be used: {problem}")
    data = ctypes.string_at(found.data, found.size)
    return TiledJpeg(data, _tile_map(found), _luma(found, data, name))


def _luma(found: _Tiled, data: bytes, name: str) -> UInt8[np.ndarray, "rows columns"]:
    """Return the thumbnail that the transcoder made on the way; the few pictures without luma are decoded."""
    if found.luma_is_y:
        return np.ctypeslib.as_array(found.luma, (found.luma_height, found.luma_width)).copy()
    flags = cv2.IMREAD_REDUCED_GRAYSCALE_8 | cv2.IMREAD_IGNORE_ORIENTATION
    luma = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if luma is None:
        raise PictureError(name, "unsupported_image", "OpenCV cannot decode the JPEG's kind of colours")
    return luma


def _tile_map(found: _Tiled) -> TileMap:
    """Copy the places of the tiles out of the memory of the library."""
    return TileMap(
        width=found.width,
        height=found.height,
        mcu_width=found.mcu_width,
        mcu_height=found.mcu_height,
        restart_mcus=found.restart_mcus,
        header_size=found.header_size,
        header_crc32=found.header_crc32,
        row_offsets=np.ctypeslib.as_array(found.row_offsets, (found.rows + 1,)).copy(),
        row_crc32=np.ctypeslib.as_array(found.row_crc32, (found.rows,)).copy(),
    )


def map_tiles(data: bytes) -> TileMap | None:
    """Return the tiles of a JPEG that has restart markers at even steps in every row already, or None."""
    result = library.ehps_map_tiles(data, len(data))
    if not result:
        raise MemoryError(f"no memory to map {len(data)} bytes")
    try:
        return None if result.contents.status else _tile_map(result.contents)
    finally:
        library.ehps_free_tiled(result)


def mcu_window(tiles: TileMap, box: tuple[int, int, int, int], reduce: int = 1) -> Window:
    """Return the window of the tiles that a box needs to decode to the pixels of the full decode.

    ``box`` is (x0, y0, x1, y1) in px of the picture, half-open; it is clipped to the picture, to one pixel at least.
    ``reduce`` is the step of the decode that follows (1, 2, 4 or 8). Upsampling of the colours looks one sample
    further, so two pixels of the decoded size stand around the box.
    """
    width, height, tile_width = tiles.width, tiles.height, tiles.restart_mcus * tiles.mcu_width
    margin = MARGIN * reduce
    left, top = min(max(box[0], 0), width - 1), min(max(box[1], 0), height - 1)
    right, bottom = min(max(box[2], left + 1), width), min(max(box[3], top + 1), height)
    tile0, tile1 = max(left - margin, 0) // tile_width, -(-min(right + margin, width) // tile_width)
    row0 = max(top - margin, 0) // tiles.mcu_height
    row1 = -(-min(bottom + margin, height) // tiles.mcu_height)
    x0, y0 = tile0 * tile_width, row0 * tiles.mcu_height
    x1, y1 = min(tile1 * tile_width, width), min(row1 * tiles.mcu_height, height)
    columns = (tile0 * tiles.restart_mcus, -(-x1 // tiles.mcu_width))
    return Window(row0, row1, *columns, x0, y0, x1 - x0, y1 - y0)


def window_jpeg(
    header: bytes, rows: bytes, tiles: TileMap, window: Window, keep: Bool[np.ndarray, "rows tiles"] | None = None
) -> bytes:
    """Return the tiles of a window as a JPEG of its own; nothing is decoded.

    ``header`` are the first ``tiles.header_size`` bytes of the file, ``rows`` the bytes of the MCU rows
    ``window.row0`` to ``window.row1`` and no others. A tile of the window where ``keep`` is false comes out gray, which
    takes less time to decode. PictureError when a restart marker is not where it should be.
    """
    cut = _cut_of(header, rows, tiles, window, keep)
    out = np.empty(len(header) + len(rows) + 2 * cut.row_count + 2, np.uint8)
    size = library.ehps_window_jpeg(ctypes.byref(cut), out.ctypes.data)
    if size < 0:
        raise _not_tiles()
    return out[:size].tobytes()


def decode_window(
    header: bytes,
    rows: bytes,
    tiles: TileMap,
    window: Window,
    keep: Bool[np.ndarray, "rows tiles"] | None = None,
    reduce: Literal[1, 2, 4, 8] = 1,
) -> UInt8[np.ndarray, "height width 3"] | None:
    """Return the pixels (RGB) of the JPEG that ``window_jpeg`` makes of the same arguments, without making it.

    ``reduce`` decodes at a half, a quarter or an eighth of the size (rounded up). A tile that is not kept is gray,
    perhaps with a seam of its neighbours' colours. None where the kind of JPEG, or the processor, is left to OpenCV.
    PictureError when the tiles are not where they should be.
    """
    cut = _cut_of(header, rows, tiles, window, keep)
    pixels = np.empty((-(-window.height // reduce), -(-window.width // reduce), 3), np.uint8)
    status = library.ehps_decode_window(ctypes.byref(cut), reduce, pixels.ctypes.data)
    if status == _UNSUPPORTED:
        return None
    if status == _NO_MEMORY:
        raise MemoryError(f"no memory to decode {window.width} x {window.height} px")
    if status:
        raise _not_tiles()
    return pixels


def _not_tiles() -> PictureError:
    return PictureError("picture", "damaged_image", "its restart markers are not where its tiles should end")


def _cut_of(
    header: bytes, rows: bytes, tiles: TileMap, window: Window, keep: Bool[np.ndarray, "rows tiles"] | None
) -> _Cut:
    """Return what the library is asked for; what it points to lives as long as it does."""
    height, row_tiles = window.row1 - window.row0, -(-tiles.width // (tiles.mcu_width * tiles.restart_mcus))
    tile0, tile1 = window.column0 // tiles.restart_mcus, -(-window.column1 // tiles.restart_mcus)
    # The index keeps offsets beside checksums, so a view of its column has gaps.
    offsets = np.ascontiguousarray(tiles.row_offsets[window.row0 : window.row1 + 1], np.uint32)
    if len(offsets) != height + 1:
        raise ValueError(f"the picture has {len(tiles.row_crc32)} MCU rows, the window ends at {window.row1}")
    mask = None if keep is None else np.ascontiguousarray(keep, np.uint8)
    if mask is not None and mask.shape != (height, tile1 - tile0):
        raise ValueError(f"keep should have shape {(height, tile1 - tile0)}, found {mask.shape}")
    place = (height, row_tiles, tile0, tile1, tiles.restart_mcus, window.width, window.height)
    looked_at = None if mask is None else mask.ctypes.data
    cut = _Cut(header, rows, len(header), len(rows), offsets.ctypes.data, *place, looked_at)
    cut.arrays = offsets, mask
    return cut
