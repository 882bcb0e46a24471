"""The crop of one person from a stored frame: as few bytes, tiles and pixels as its affine map looks at.

``exact`` gives the bits of OpenCV's full decode and bilinear warp. ``scaled`` lets the decoder shrink large people by
a power of two first: faster, and nearer to an ideal resampling, where a pixel of the crop is the mean of all it covers.
"""

from collections.abc import Callable
from math import ceil, floor, hypot
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from .region import Box, Corners, Reduce, Region, part_of
from .stored import StoredFrame
from .warp import warp_affine

Mode = Literal["exact", "scaled"]
_REDUCTIONS: tuple[Reduce, ...] = (8, 4, 2)
# A picture shrinks only while its pixels stay this much smaller than those of the crop: interpolation blurs the means
# once more, and from here on that is less than the aliasing that they save (measured on photographs).
SURPLUS = 1.15


def cut_person(
    frame: StoredFrame,
    affine: Float[np.ndarray, "2 3"],
    size: tuple[int, int],
    *,
    mode: Mode = "scaled",
    out: UInt8[np.ndarray, "..."] | None = None,
) -> UInt8[np.ndarray, "..."]:
    """Return the crop of ``size`` (width, height) of a stored frame, black outside of its picture.

    ``affine`` maps pixels of the picture to pixels of the crop. ``out`` (height width 3, or 3 height width for planes)
    is filled and returned; without it, a new array of height width 3. ShardError where the stored bytes are damaged.
    """
    return _cut(frame.region, affine, size, mode, out)


def cut_picture(
    picture: UInt8[np.ndarray, "height width 3"],
    affine: Float[np.ndarray, "2 3"],
    size: tuple[int, int],
    *,
    mode: Mode = "scaled",
) -> UInt8[np.ndarray, "crop_height crop_width 3"]:
    """Return the crop of a decoded picture, as ``cut_person`` does; ``scaled`` takes means of squares of its pixels."""
    return _cut(lambda box, reduce, _: part_of(picture, box, 1, reduce), affine, size, mode, None)


def _cut(
    region_in: Callable[[Box, Reduce, Corners], Region],
    affine: Float[np.ndarray, "2 3"],
    size: tuple[int, int],
    mode: Mode,
    out: UInt8[np.ndarray, "..."] | None,
) -> UInt8[np.ndarray, "..."]:
    """Return the crop from the region that it looks at."""
    view = view_of(affine, size, mode)
    return warp_region(region_in(*view), affine, size, out)


class View(NamedTuple):
    """What a crop looks at: the arguments of ``StoredFrame.region``."""

    box: Box
    reduce: Reduce
    corners: Corners


def view_of(affine: Float[np.ndarray, "2 3"], size: tuple[int, int], mode: Mode = "scaled") -> View:
    """Return what the crop of an affine map looks at in its picture."""
    reduce: Reduce = reduction_of(affine) if mode == "scaled" else 1
    corners = _corners(affine, size)
    return View(_box_of(corners, 2 * reduce), reduce, corners)


def warp_region(
    region: Region,
    affine: Float[np.ndarray, "2 3"],
    size: tuple[int, int],
    out: UInt8[np.ndarray, "..."] | None = None,
) -> UInt8[np.ndarray, "..."]:
    """Return the crop of ``size`` (width, height) from the region that it looks at."""
    reduce = region.reduce
    origin = (region.x0 // reduce, region.y0 // reduce)
    return warp_affine(region.pixels, _reduced(affine, reduce), size, origin=origin, out=out)


def reduction_of(affine: Float[np.ndarray, "2 3"]) -> Reduce:
    """Return the power of two by which a picture may shrink before the warp and be nearer to an ideal crop for it."""
    a, b, c, d = affine[:, :2].ravel().tolist()
    enlargement = (hypot(a + d, c - b) + hypot(a - d, b + c)) / 2  # where the map stretches most
    for factor in _REDUCTIONS:
        if enlargement * factor * SURPLUS <= 1:
            return factor
    return 1


def _corners(affine: Float[np.ndarray, "2 3"], size: tuple[int, int]) -> Corners:
    """Return the outer corners of the crop in the picture, px."""
    (a, b, x), (c, d, y) = affine.tolist()
    determinant = a * d - b * c
    if not determinant:
        raise ValueError(f"the affine map {affine.tolist()} has no inverse")
    edges = [
        (u - x, v - y)
        for u, v in ((-0.5, -0.5), (size[0] - 0.5, -0.5), (size[0] - 0.5, size[1] - 0.5), (-0.5, size[1] - 0.5))
    ]
    return tuple(((d * u - b * v) / determinant, (a * v - c * u) / determinant) for u, v in edges)


def _box_of(corners: Corners, margin: int) -> Box:
    """Return the box of some points with a margin, px."""
    columns, rows = zip(*corners, strict=True)
    return (
        floor(min(columns)) - margin,
        floor(min(rows)) - margin,
        ceil(max(columns)) + margin,
        ceil(max(rows)) + margin,
    )


def _reduced(affine: Float[np.ndarray, "2 3"], reduce: int) -> Float[np.ndarray, "2 3"]:
    """Return the map from a picture smaller by a factor: edges stay edges, so centres move."""
    shift = (reduce - 1) / 2
    return np.array([(a * reduce, b * reduce, x + (a + b) * shift) for a, b, x in affine.tolist()])
