"""The bilinear warp of a picture to a crop: the pixels of OpenCV 4's ``warpAffine``, in about half its time.

A window of a picture gives the pixels that the whole picture gives, because coordinates are rounded as in the whole.
The work is done in C (native/warp.c), the same on every processor.
"""

import ctypes

import numpy as np
from jaxtyping import Float, UInt8

from .native import library

_INT = ctypes.c_int32
library.ehps_warp.restype = ctypes.c_int
library.ehps_warp.argtypes = [ctypes.c_void_p, _INT, _INT, _INT, _INT, ctypes.c_void_p, ctypes.c_void_p, *(_INT,) * 4]


def warp_affine(
    pixels: UInt8[np.ndarray, "rows columns 3"],
    affine: Float[np.ndarray, "2 3"],
    size: tuple[int, int],
    *,
    origin: tuple[int, int] = (0, 0),
    out: UInt8[np.ndarray, "..."] | None = None,
    is_portable: bool = False,
) -> UInt8[np.ndarray, "..."]:
    """Return a crop of ``size`` (width, height) by bilinear sampling, black outside of ``pixels``.

    ``affine`` maps pixels of the picture to pixels of the crop; the first pixel of ``pixels`` lies at ``origin`` (x, y)
    in the picture. ``out`` (height width 3, or 3 height width for planes) is filled and returned; without it, a new
    array of height width 3. ``is_portable`` takes the path of a processor without AVX2, which has the same result.
    """
    width, height = size
    if min(width, height) < 1:
        raise ValueError(f"a crop of {width} x {height} has no pixels")
    crop = np.empty((height, width, 3), np.uint8) if out is None else out
    is_planar = crop.shape != (height, width, 3)
    if (is_planar and crop.shape != (3, height, width)) or not crop.flags.c_contiguous:
        raise ValueError(f"out should be contiguous, {height} {width} 3 or 3 {height} {width}, found {crop.shape}")
    source, matrix = np.ascontiguousarray(pixels), np.ascontiguousarray(affine, np.float64)
    rows, columns = source.shape[:2]
    failed = library.ehps_warp(
        source.ctypes.data,
        rows,
        columns,
        *origin,
        matrix.ctypes.data,
        crop.ctypes.data,
        width,
        height,
        is_planar,
        is_portable,
    )
    if failed:
        raise MemoryError(f"no memory to warp a crop of {width} x {height}")
    return crop
