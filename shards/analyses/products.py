"""Products of matrices that stay on the thread that asked for them."""

import numpy as np
from jaxtyping import Float

_TILE = 64  # OpenBLAS hands larger products to threads of its own


def product(
    a: Float[np.ndarray, "rows inner"], b: Float[np.ndarray, "inner columns"]
) -> Float[np.ndarray, "rows columns"]:
    """Return ``a @ b``, computed in small tiles.

    The threads of BLAS wait for one another, busily, on a machine that has other work: fifty times slower, measured on
    products of this size (see ``poses`` too, where the tiles are rows).
    """
    left, right = _tiles(a), _tiles(b)
    total = np.zeros((left.shape[0], right.shape[1], _TILE, _TILE), np.result_type(a, b))
    for inner in range(left.shape[1]):
        total += left[:, inner, None] @ right[None, inner]
    whole = total.transpose(0, 2, 1, 3).reshape(left.shape[0] * _TILE, right.shape[1] * _TILE)
    return whole[: a.shape[0], : b.shape[1]]


def _tiles(matrix: np.ndarray) -> np.ndarray:
    """Return a matrix as rows and columns of square tiles, the last ones filled up with zeros."""
    rows, columns = (-(-size // _TILE) for size in matrix.shape)
    padded = np.zeros((rows * _TILE, columns * _TILE), matrix.dtype)
    padded[: matrix.shape[0], : matrix.shape[1]] = matrix
    return np.ascontiguousarray(padded.reshape(rows, _TILE, columns, _TILE).transpose(0, 2, 1, 3))


def covariance(points: Float[np.ndarray, "people numbers"]) -> Float[np.ndarray, "numbers numbers"]:
    """Return the covariance of points about their mean, divided by their number."""
    deviations = points - points.mean(0)
    return product(deviations.T, deviations) / len(points)
