"""A part of a picture, decoded at the whole or at a smaller size, and the tiles that have to be decoded for it."""

import ctypes
import itertools
from typing import Literal, NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from .jpeg import TileMap, Window
from .native import library

Reduce = Literal[1, 2, 4, 8]
Box = tuple[int, int, int, int]  # x0, y0, x1, y1 in px, half-open
Corners = tuple[tuple[float, float], ...]  # four of a convex shape, in order: x, y in px of the picture

_INT, _POINTER, _EIGHT = ctypes.c_int32, ctypes.c_void_p, ctypes.c_double * 8
library.ehps_seen_tiles.restype = None
library.ehps_seen_tiles.argtypes = [_POINTER, ctypes.c_double, *(_INT,) * 6, _POINTER]


class Region(NamedTuple):
    """Pixels of a part of a picture, each the mean of a square of ``reduce`` pixels of the picture."""

    pixels: UInt8[np.ndarray, "rows columns 3"]
    x0: int  # px of the picture, a multiple of ``reduce``
    y0: int
    reduce: int


def seen_tiles(tiles: TileMap, window: Window, corners: Corners, margin: float) -> Bool[np.ndarray, "rows tiles"]:
    """Return which tiles of a window lie under a convex quadrilateral, or within ``margin`` px of it."""
    tile_width = tiles.mcu_width * tiles.restart_mcus
    columns = -(-window.width // tile_width)
    seen = np.empty((window.row1 - window.row0, columns), np.bool_)
    library.ehps_seen_tiles(
        _EIGHT(*itertools.chain(*corners)),
        margin,
        window.x0,
        window.y0,
        tile_width,
        tiles.mcu_height,
        *seen.shape,
        seen.ctypes.data,
    )
    return seen


def part_of(picture: UInt8[np.ndarray, "height width 3"], box: Box, already: int, reduce: int) -> Region:
    """Return a box of a whole decoded picture; ``already`` is the reduction that it was decoded with.

    What is left of the reduction is a mean over squares; those that reach over the edge repeat its pixels.
    """
    rest = reduce // already
    rows, columns = picture.shape[:2]
    left, top = (
        min(max(edge // reduce, 0), (limit - 1) // rest) for edge, limit in zip(box[:2], (columns, rows), strict=True)
    )
    right, bottom = max(-(-box[2] // reduce), left + 1), max(-(-box[3] // reduce), top + 1)
    pixels = picture[top * rest : bottom * rest, left * rest : right * rest]
    return Region(_means(pixels, rest), left * reduce, top * reduce, reduce)


def _means(pixels: UInt8[np.ndarray, "rows columns 3"], step: int) -> UInt8[np.ndarray, "fewer_rows fewer_columns 3"]:
    """Return the means of squares of pixels."""
    if step == 1:
        return pixels
    rows, columns = pixels.shape[:2]
    height, width = -(-rows // step), -(-columns // step)
    whole = cv2.copyMakeBorder(pixels, 0, height * step - rows, 0, width * step - columns, cv2.BORDER_REPLICATE)
    return cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
