"""Which hashes of a small set are near to those of a large one, found without comparing all with all.

Of hashes that differ in at most d bits, cut into more than d / 2 bands, some band differs in at most one bit. So a
table of the bands of the small set, with each of their bits flipped in turn, names the few candidates of every other
hash.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from jaxtyping import Int64, UInt8, UInt64

from .phash import BITS, hamming

_MAX_CANDIDATES = 4_000_000  # compared at once
_MIN_BANDS = 3  # of 22 bits, whose table still fits a cache


def ranges(
    begin: Int64[np.ndarray, " ranges"], length: Int64[np.ndarray, " ranges"]
) -> tuple[Int64[np.ndarray, " items"], Int64[np.ndarray, " items"]]:
    """Return, for all items of ranges one after another, the range and the item."""
    owner = np.repeat(np.arange(len(begin)), length)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(length) - length, length)
    return owner, begin[owner] + within


class HashTable:
    """The hashes of a benchmark, ready to be asked which of them are near to any others."""

    def __init__(self, hashes: UInt64[np.ndarray, " pictures"], distance: int) -> None:
        self.distance = distance
        self.values, self.row_of = np.unique(hashes, return_inverse=True)
        count = max(_MIN_BANDS, distance // 2 + 1)
        edges = [BITS * band // count for band in range(count + 1)]
        self._flips = int(distance >= count)
        self._bands = [_Band(self.values, low, high - low, self._flips) for low, high in pairwise(edges)]

    def near(
        self, train: UInt64[np.ndarray, " hashes"]
    ) -> Iterator[tuple[Int64[np.ndarray, " pairs"], Int64[np.ndarray, " pairs"], UInt8[np.ndarray, " pairs"]]]:
        """Yield each pair of a row of ``train`` and a row of ``values`` within the distance once, with its bits."""
        for number, band in enumerate(self._bands):
            for a, b in band.candidates(train):
                differing = train[a] ^ self.values[b]
                bits = hamming(train[a], self.values[b])
                kept = bits <= self.distance
                for earlier in self._bands[:number]:  # which has found the pair already
                    kept &= np.bitwise_count(earlier.of(differing)) > self._flips
                yield a[kept], b[kept], bits[kept]


class _Band:
    """Some bits of the hashes of a benchmark: for each value they can have, who has it or misses it by one bit."""

    def __init__(self, hashes: UInt64[np.ndarray, " hashes"], low: int, width: int, flips: int) -> None:
        self._low, self._mask = np.uint64(low), np.uint64((1 << width) - 1)
        changes = np.concatenate([[0], 1 << np.arange(width * flips)]).astype(np.uint64)
        values = (self.of(hashes)[None] ^ changes[:, None]).ravel()
        self._rows = np.argsort(values, kind="stable") % max(len(hashes), 1)
        self._begin = np.concatenate([[0], np.cumsum(np.bincount(values.astype(np.int64), minlength=1 << width))])

    def of(self, hashes: UInt64[np.ndarray, " hashes"]) -> UInt64[np.ndarray, " hashes"]:
        """Return the bits of the band."""
        return hashes >> self._low & self._mask

    def candidates(
        self, train: UInt64[np.ndarray, " hashes"]
    ) -> Iterator[tuple[Int64[np.ndarray, " pairs"], Int64[np.ndarray, " pairs"]]]:
        """Yield pairs of rows that may be near, in blocks that memory holds."""
        values = self.of(train).astype(np.int64)
        begin, length = self._begin[values], self._begin[values + 1] - self._begin[values]
        rows = np.flatnonzero(length)
        ends = np.cumsum(length[rows])
        blocks = np.searchsorted(ends, np.arange(_MAX_CANDIDATES, ends[-1] if len(ends) else 0, _MAX_CANDIDATES))
        for block in np.split(rows, np.unique(blocks)):
            owner, item = ranges(begin[block], length[block])
            yield block[owner], self._rows[item]
