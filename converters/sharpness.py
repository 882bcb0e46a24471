"""How sharp the picture of a person is: the variance of the Laplacian of its grey cut, 256 px high.

The fixed height makes the number one of the picture and not of its size: a small person enlarged is as blurred as it
looks. Only the tiles that hold the person are decoded, and no finer than 256 px need.
"""

from collections.abc import Sequence
from math import ceil, floor, nan

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from ..errors import PictureError
from ..shards.jpeg import TileMap, mcu_window, window_jpeg
from ..shards.picture import Picture

HEIGHT = 256  # px of the cut that is measured
_MIN_SIDE = 8  # px: a smaller cut is all edge
Box = tuple[int, int, int, int]  # left, top, right, bottom in px, half-open
_REDUCED = {
    1: cv2.IMREAD_GRAYSCALE,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
}


def sharpness(picture: Picture, boxes: Sequence[Float[np.ndarray, "4"] | None]) -> list[float]:
    """Return the sharpness of each box (px) in a picture, in squared grey levels; NaN without a box worth measuring."""
    whole: UInt8[np.ndarray, "rows columns"] | None = None
    out = []
    for box in boxes:
        inner = None if box is None else _inside(box, picture.width, picture.height)
        if inner is None:
            out.append(nan)
            continue
        if picture.tiles is not None:
            cut = _tiles_cut(picture.data, picture.tiles, inner)
        else:
            whole = _decoded(picture.data, 1) if whole is None else whole
            cut = whole[inner[1] : inner[3], inner[0] : inner[2]]
        out.append(laplacian_variance(cut))
    return out


def laplacian_variance(grey: UInt8[np.ndarray, "rows columns"]) -> float:
    """Return the variance of the Laplacian of a grey picture scaled to a height of 256 px, to three digits."""
    rows, columns = grey.shape
    width = max(round(columns * HEIGHT / rows), 1)
    method = cv2.INTER_AREA if rows > HEIGHT else cv2.INTER_LINEAR
    scaled = cv2.resize(grey, (width, HEIGHT), interpolation=method)
    return float(np.round(cv2.Laplacian(scaled, cv2.CV_32F).var(dtype=np.float64), 3))


def _inside(box: Float[np.ndarray, "4"], width: int, height: int) -> Box | None:
    """Return the whole pixels of a box that lie in the picture; None when they are too few."""
    left, top, right, bottom = box.tolist()
    x0, y0 = max(floor(left), 0), max(floor(top), 0)
    x1, y1 = min(ceil(right) + 1, width), min(ceil(bottom) + 1, height)
    return (x0, y0, x1, y1) if min(x1 - x0, y1 - y0) >= _MIN_SIDE else None


def _tiles_cut(data: bytes, tiles: TileMap, box: Box) -> UInt8[np.ndarray, "rows columns"]:
    """Return the grey pixels of a box from its tiles alone, reduced while twice the measured height remains.

    Less would blur edges twice: in the reduction and in the scaling that follows.
    """
    window = mcu_window(tiles, box)
    rows = data[tiles.row_offsets[window.row0] : tiles.row_offsets[window.row1]]
    reduce = next(factor for factor in (8, 4, 2, 1) if factor == 1 or box[3] - box[1] >= 2 * factor * HEIGHT)
    grey = _decoded(window_jpeg(data[: tiles.header_size], rows, tiles, window), reduce)
    left, top = (box[0] - window.x0) // reduce, (box[1] - window.y0) // reduce
    right, bottom = ceil((box[2] - window.x0) / reduce), ceil((box[3] - window.y0) / reduce)
    return grey[top:bottom, left:right]


def _decoded(data: bytes, reduce: int) -> UInt8[np.ndarray, "rows columns"]:
    """Return an encoded picture in grey, at a part of its size."""
    grey = cv2.imdecode(np.frombuffer(data, np.uint8), _REDUCED[reduce] | cv2.IMREAD_IGNORE_ORIENTATION)
    if grey is None:
        raise PictureError("picture", "damaged_image", f"OpenCV cannot decode these {len(data)} bytes")
    return grey
