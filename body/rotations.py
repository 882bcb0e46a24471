"""Rotations in the three forms of the field, for numpy arrays and torch tensors alike.

Axis-angle vectors are in radians. A 6D vector is laid out as SPIN, HMR and SMPLest-X lay it out: read as a (3, 2)
matrix, so its first column is (x0, x2, x4) and its second (x1, x3, x5). Every function takes any number of leading
dimensions and keeps the array's type, device and precision; torch is never imported here.

The exponential and logarithm use formulas that stay exact near zero and near a half turn (Rodrigues; Shepperd's four
branches for the quaternion), because labels with tiny rotations are common and a mean over them must not drift.
"""

from typing import Any, TypeVar

import array_api_compat
import numpy as np

# A numpy array or a torch tensor; the result is of the same kind.
Array = TypeVar("Array", bound=Any)


def array_namespace(array: Any) -> Any:
    """Return the functions of an array's library by their standard names.

    Those of NumPy 2 are its own: ``array_api_compat`` would load all of NumPy, f2py and its tests among it, to say so.
    """
    return np if isinstance(array, np.ndarray) else array_api_compat.array_namespace(array)


def _cross(xp: Any, a: Any, b: Any) -> Any:
    """Return the cross product along the last axis (torch's own default picks the first axis of size 3)."""
    a0, a1, a2 = a[..., 0], a[..., 1], a[..., 2]
    b0, b1, b2 = b[..., 0], b[..., 1], b[..., 2]
    return xp.stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0], axis=-1)


def _dot(xp: Any, a: Any, b: Any) -> Any:
    """Return the inner product along the last axis, which stays."""
    return xp.sum(a * b, axis=-1, keepdims=True)


def normalise(x: Array, floor: float = 1e-12) -> Array:
    """Return x scaled to unit length along its last axis; vectors shorter than ``floor`` are divided by it."""
    xp = array_namespace(x)
    length = xp.sqrt(xp.sum(x * x, axis=-1, keepdims=True))
    return x / xp.clip(length, floor, None)


def axis_angle_to_quaternion(axis_angle: Array) -> Array:
    """Return unit quaternions (w, x, y, z) of axis-angle vectors (..., 3)."""
    xp = array_namespace(axis_angle)
    squared = xp.sum(axis_angle * axis_angle, axis=-1, keepdims=True)
    small = squared < 1e-12
    angle = xp.sqrt(xp.where(small, xp.ones_like(squared), squared))
    # sin(a/2)/a; its Taylor series where a is tiny keeps the gradient finite at zero.
    scale = xp.where(small, 0.5 - squared / 48, xp.sin(angle / 2) / angle)
    real = xp.where(small, 1 - squared / 8, xp.cos(angle / 2))
    return xp.concat([real, axis_angle * scale], axis=-1)


def quaternion_matrix_entries(w: Array, x: Array, y: Array, z: Array) -> list[list[Array]]:
    """Return the rows of the rotation matrices of unit quaternions, whose four parts are arrays of any one shape."""
    return [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]


def quaternion_to_matrix(quaternion: Array) -> Array:
    """Return rotation matrices (..., 3, 3) of unit quaternions (w, x, y, z)."""
    xp = array_namespace(quaternion)
    rows = quaternion_matrix_entries(*(quaternion[..., i] for i in range(4)))
    return xp.stack([xp.stack(row, axis=-1) for row in rows], axis=-2)


def axis_angle_to_matrix(axis_angle: Array) -> Array:
    """Return rotation matrices (..., 3, 3) of axis-angle vectors (..., 3)."""
    return quaternion_to_matrix(axis_angle_to_quaternion(axis_angle))


def matrix_to_quaternion(matrix: Array) -> Array:
    """Return unit quaternions (w, x, y, z), w >= 0, of rotation matrices (..., 3, 3)."""
    xp = array_namespace(matrix)
    m = [[matrix[..., i, j] for j in range(3)] for i in range(3)]
    # Four times the squares of w, x, y, z; the largest one divides, so that nothing is lost near a half turn.
    squares = xp.stack(
        [
            1 + m[0][0] + m[1][1] + m[2][2],
            1 + m[0][0] - m[1][1] - m[2][2],
            1 - m[0][0] + m[1][1] - m[2][2],
            1 - m[0][0] - m[1][1] + m[2][2],
        ],
        axis=-1,
    )
    wx, wy, wz = m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1]
    xy, xz, yz = m[0][1] + m[1][0], m[0][2] + m[2][0], m[1][2] + m[2][1]
    rows = [
        [squares[..., 0], wx, wy, wz],
        [wx, squares[..., 1], xy, xz],
        [wy, xy, squares[..., 2], yz],
        [wz, xz, yz, squares[..., 3]],
    ]
    candidates = xp.stack([xp.stack(row, axis=-1) for row in rows], axis=-2)
    best = xp.argmax(squares, axis=-1)
    chosen = _one_hot(xp, best, matrix)
    quaternion = normalise(xp.sum(candidates * chosen[..., None], axis=-2))
    return xp.where(quaternion[..., :1] < 0, -quaternion, quaternion)


def _one_hot(xp: Any, index: Any, like: Any) -> Any:
    """Return index (...) as one-hot vectors (..., 4) of the type and on the device of ``like``."""
    columns = [xp.where(index == k, xp.ones_like(like[..., 0, 0]), xp.zeros_like(like[..., 0, 0])) for k in range(4)]
    return xp.stack(columns, axis=-1)


def quaternion_to_axis_angle(quaternion: Array) -> Array:
    """Return axis-angle vectors (..., 3), angle in [0, pi], of unit quaternions (w, x, y, z)."""
    xp = array_namespace(quaternion)
    quaternion = xp.where(quaternion[..., :1] < 0, -quaternion, quaternion)
    vector = quaternion[..., 1:]
    squared = xp.sum(vector * vector, axis=-1, keepdims=True)
    small = squared < 1e-14
    length = xp.sqrt(xp.where(small, xp.ones_like(squared), squared))
    angle = 2 * xp.atan2(length, quaternion[..., :1])
    return vector * xp.where(small, 2 * xp.ones_like(squared), angle / length)


def matrix_to_axis_angle(matrix: Array) -> Array:
    """Return axis-angle vectors (..., 3), angle in [0, pi], of rotation matrices (..., 3, 3)."""
    return quaternion_to_axis_angle(matrix_to_quaternion(matrix))


def sixd_to_matrix(sixd: Array) -> Array:
    """Return rotation matrices (..., 3, 3) of 6D vectors (..., 6) by Gram-Schmidt on their two columns."""
    xp = array_namespace(sixd)
    columns = xp.reshape(sixd, (*sixd.shape[:-1], 3, 2))
    first = normalise(columns[..., 0])
    second = columns[..., 1]
    second = normalise(second - _dot(xp, first, second) * first)
    return xp.stack([first, second, _cross(xp, first, second)], axis=-1)


def matrix_to_sixd(matrix: Array) -> Array:
    """Return the 6D vectors (..., 6) of rotation matrices (..., 3, 3): the first two columns, interleaved."""
    xp = array_namespace(matrix)
    return xp.reshape(matrix[..., :, :2], (*matrix.shape[:-2], 6))


def compose(outer: Array, inner: Array) -> Array:
    """Return the axis-angle vector of ``outer`` applied after ``inner`` (both axis-angle, (..., 3))."""
    return matrix_to_axis_angle(axis_angle_to_matrix(outer) @ axis_angle_to_matrix(inner))
