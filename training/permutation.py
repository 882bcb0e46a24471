"""Keyed permutations that are computed, not stored: where one takes an index costs the same for ten people or ten
million, and needs no memory. A generalised Feistel network with cycle walking (Black and Rogaway, "Ciphers with
arbitrary finite domains", 2002).
"""

import numpy as np
from jaxtyping import Int, Integer, UInt64

ROUNDS = 6
GOLDEN = 0x9E3779B97F4A7C15  # splitmix64's increment: 2^64 over the golden ratio


def mixed(x: UInt64[np.ndarray, "*n"]) -> UInt64[np.ndarray, "*n"]:
    """Return well-mixed bits of each number (the finaliser of splitmix64, by Stafford)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def keys_of(*parts: int | Integer[np.ndarray, "*n"]) -> UInt64[np.ndarray, "*n"]:
    """Return one key for each row of numbers; every part counts."""
    key = np.zeros(np.broadcast_shapes(*(np.shape(part) for part in parts)), np.uint64)
    for part in parts:
        key = mixed(key + np.asarray(part).astype(np.uint64) + np.uint64(GOLDEN))
    return key


def permuted(
    index: Int[np.ndarray, " n"], size: Int[np.ndarray, " n"], key: UInt64[np.ndarray, " n"]
) -> Int[np.ndarray, " n"]:
    """Return where the permutation of [0, size) that belongs to ``key`` takes each index."""
    rows = np.ceil(np.sqrt(size)).astype(np.uint64)
    columns = -(-size.astype(np.int64) // rows.astype(np.int64)).astype(np.uint64)
    x = index.astype(np.uint64)
    outside = np.ones(len(x), bool)
    while outside.any():
        # The network permutes rows x columns >= size cells; who lands past the end walks on until inside.
        x[outside] = _feistel(x[outside], rows[outside], columns[outside], key[outside])
        outside = x >= size.astype(np.uint64)
    return x.astype(np.int64)


def _feistel(
    x: UInt64[np.ndarray, " n"],
    rows: UInt64[np.ndarray, " n"],
    columns: UInt64[np.ndarray, " n"],
    key: UInt64[np.ndarray, " n"],
) -> UInt64[np.ndarray, " n"]:
    """Return the cell that each of the rows x columns cells is taken to."""
    left, right = x // columns, x % columns
    for number in range(ROUNDS):
        turn = mixed(key + np.uint64(number * GOLDEN % 2**64))
        if number % 2:
            right = (right + mixed(turn ^ left) % columns) % columns
        else:
            left = (left + mixed(turn ^ right) % rows) % rows
    return left * columns + right
