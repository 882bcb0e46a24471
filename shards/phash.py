"""The perceptual hash of a picture: 64 bits that stay nearly the same when it is rescaled, recompressed or brightened.

The picture is averaged down to 32x32 greys; bit i says whether the i-th of its 64 slowest cosine waves, the constant
one left out, is stronger than their median (the pHash of C. Zauner, "Implementation and benchmarking of perceptual
image hash functions", 2010, with waves in zigzag order). All sums are of whole numbers that float64 holds exactly, so
that every machine finds the same bits.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Float64, UInt8, UInt64

BITS = 64
NO_HASH = 0  # of a picture without contrast: whatever its bits would say is noise
_SIDE = 32
_STEPS = 16  # of the averaged greys, per grey level
_LEAST_DEVIATION = 2.0  # grey levels


def perceptual_hash(luma: UInt8[np.ndarray, "rows columns"]) -> int:
    """Return the 64-bit hash of a grey picture of any size; NO_HASH for one whose greys hardly differ."""
    if not luma.size:
        raise ValueError(f"a picture of {luma.shape[0]}x{luma.shape[1]} px has no hash")
    greys = _averaged(luma)
    if greys.std() < _LEAST_DEVIATION * _STEPS:
        return NO_HASH
    waves = (_COSINES @ greys @ _COSINES.T)[_SLOWEST]
    return int.from_bytes(np.packbits(waves > np.median(waves)).tobytes(), "big")


def _averaged(luma: UInt8[np.ndarray, "rows columns"]) -> Float64[np.ndarray, "32 32"]:
    """Return the mean greys of 32x32 equal fields, in whole steps of 1/16 of a level."""
    rows, columns = luma.shape
    sums = _overlaps(rows) @ luma.astype(np.float64) @ _overlaps(columns).T
    return np.floor(sums * _STEPS / (rows * columns))


@lru_cache(maxsize=256)
def _overlaps(pixels: int) -> Float64[np.ndarray, "32 pixels"]:
    """Return how much of each pixel lies in each of 32 equal fields of the axis, in 32nds of a pixel."""
    field, pixel = np.arange(_SIDE)[:, None] * pixels, np.arange(pixels) * _SIDE
    shared = np.minimum(field + pixels, pixel + _SIDE) - np.maximum(field, pixel)
    return np.maximum(shared, 0).astype(np.float64)


def _whole_cosines() -> Float64[np.ndarray, "waves 32"]:
    """Return the rows of the cosine transform (DCT-II), times 1024 and rounded."""
    phase = np.arange(_SIDE // 2)[:, None] * (2 * np.arange(_SIDE) + 1)
    return np.rint(1024 * np.cos(np.pi * phase / (2 * _SIDE)))


def _slowest_waves() -> tuple[np.ndarray, np.ndarray]:
    """Return the 64 pairs of wave numbers with the smallest sums, after the constant wave."""
    waves = sorted(((i, j) for i in range(_SIDE // 2) for j in range(_SIDE // 2)), key=lambda pair: (sum(pair), pair))
    rows, columns = np.array(waves[1 : BITS + 1]).T
    return rows, columns


_COSINES, _SLOWEST = _whole_cosines(), _slowest_waves()


def hamming(a: UInt64[np.ndarray, "..."], b: UInt64[np.ndarray, "..."]) -> UInt8[np.ndarray, "..."]:
    """Return in how many of their 64 bits hashes differ; the shapes broadcast."""
    return np.bitwise_count(a ^ b)
