"""The CRC-32 of bytes laid end to end, from the CRC-32 of each piece and without the bytes.

A CRC is the remainder of a polynomial over GF(2), so that of A followed by n bytes is that of A times x to the power 8n
(IEEE 802.3's polynomial, bits reversed as in zlib). The powers of two are tables; a length is a product of them.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Int64, UInt32

_POLYNOMIAL = 0xEDB88320
_LENGTH_BITS = 32


def joined_crc32(
    crc32: UInt32[np.ndarray, " pieces"], after: Int64[np.ndarray, " pieces"], begin: Int64[np.ndarray, " wholes"]
) -> UInt32[np.ndarray, " wholes"]:
    """Return the CRC-32 of wholes, each of which begins at a row ``begin`` of the pieces and has at least one.

    ``after`` is the number of bytes between the end of the piece and the end of its whole.
    """
    shifted = crc32.copy()
    for bit in range(int(after.max(initial=0)).bit_length()):
        chosen = np.flatnonzero(after >> bit & 1)
        shifted[chosen] = _times(_tables()[bit], shifted[chosen])
    return np.bitwise_xor.reduceat(shifted, begin)


def _times(table: UInt32[np.ndarray, "4 256"], values: UInt32[np.ndarray, " pieces"]) -> UInt32[np.ndarray, " pieces"]:
    """Return remainders times the power of x that a table stands for."""
    octets = values.astype("<u4").view(np.uint8).reshape(-1, 4)
    out = table[0][octets[:, 0]]
    for place in range(1, 4):
        out ^= table[place][octets[:, place]]
    return out


@lru_cache(maxsize=1)
def _tables() -> UInt32[np.ndarray, "32 4 256"]:
    """Return, for every power of two, what each of the four bytes of a remainder becomes after so many zero bytes."""
    columns = np.array([_after_zero_bits(1 << bit, 8) for bit in range(32)], np.uint32)  # images of the single bits
    tables = []
    for _ in range(_LENGTH_BITS):
        tables.append(_bytes_of(columns))
        columns = _times(tables[-1], columns)
    return np.array(tables)


def _after_zero_bits(remainder: int, bits: int) -> int:
    for _ in range(bits):
        remainder = remainder >> 1 ^ (_POLYNOMIAL if remainder & 1 else 0)
    return remainder


def _bytes_of(columns: UInt32[np.ndarray, " 32"]) -> UInt32[np.ndarray, "4 256"]:
    """Return the image of every value of each of the four bytes, given those of the single bits."""
    is_set = np.arange(256)[:, None] >> np.arange(8) & 1 > 0
    images = np.where(is_set[None], columns.reshape(4, 1, 8), np.uint32(0))
    return np.bitwise_xor.reduce(images, axis=2)
