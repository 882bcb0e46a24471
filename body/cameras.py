"""Cameras: projection with distortion, changes of frame, and intrinsics under every change of the picture.

Camera space is OpenCV's: x right, y down, z forward, metres. ``T_a_b`` maps points in b to a. ``K`` is 3x3 in pixels,
pixel centres at integers, so the left edge of the picture is at -0.5.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from jaxtyping import Float

from .rotations import axis_angle_to_matrix, matrix_to_axis_angle

_FARTHEST = 10.0  # r of z = 1, 84 degrees off the axis

DistortionModel = Literal["brown_conrady", "fisheye"]


@dataclass(frozen=True)
class Distortion:
    """Lens distortion in OpenCV's parameters.

    ``brown_conrady``: (k1, k2, p1, p2[, k3[, k4, k5, k6]]); ``fisheye``: (k1, k2, k3, k4) of Kannala and Brandt.
    """

    model: DistortionModel
    coefficients: tuple[float, ...]


def intrinsics(fx: float, fy: float, cx: float, cy: float) -> Float[np.ndarray, "3 3"]:
    """Return K of focal lengths and principal point in pixels."""
    return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])


def _brown_conrady(xy: Float[np.ndarray, "*n 2"], k: tuple[float, ...]) -> Float[np.ndarray, "*n 2"]:
    """Return distorted normalised coordinates (OpenCV, calib3d: rational radial and tangential terms)."""
    k1, k2, p1, p2, k3, k4, k5, k6 = (*k, *([0.0] * (8 - len(k))))
    x, y = xy[..., 0], xy[..., 1]
    r2 = x * x + y * y
    radial = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
    dx = 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    dy = p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    return np.stack([x * radial + dx, y * radial + dy], axis=-1)


def _fisheye(xy: Float[np.ndarray, "*n 2"], k: tuple[float, ...]) -> Float[np.ndarray, "*n 2"]:
    """Return distorted normalised coordinates of the equidistant fisheye (OpenCV, calib3d fisheye)."""
    r = np.linalg.norm(xy, axis=-1, keepdims=True)
    theta = np.arctan(r)
    t2 = theta * theta
    bent = theta * (1 + t2 * (k[0] + t2 * (k[1] + t2 * (k[2] + t2 * k[3]))))
    return xy * np.where(r > 1e-12, bent / np.maximum(r, 1e-12), 1.0)


@lru_cache(maxsize=1024)
def lens_reach(distortion: Distortion) -> float:
    """Return how far from the axis (r of z = 1) a lens's numbers hold.

    Polynomials are fitted within the picture. Farther out they turn back, and would put what lies far beside a picture
    into it: often, with the wide lenses of headsets, arms and legs. Infinite where they rise on to 84 degrees.
    """
    r = np.linspace(0.0, _FARTHEST, 4001)
    bend = _brown_conrady if distortion.model == "brown_conrady" else _fisheye
    k = distortion.coefficients
    radial = (*k[:2], 0.0, 0.0, *k[4:]) if distortion.model == "brown_conrady" else k  # without tangential terms
    with np.errstate(divide="ignore", invalid="ignore"):  # at a pole of a quotient of polynomials
        bent = bend(np.stack([r, np.zeros_like(r)], axis=-1), radial)[:, 0]
        falls = ~(np.diff(bent) > 0)
    return float(r[np.argmax(falls)]) if falls.any() else np.inf


def project(
    points: Float[np.ndarray, "*n 3"],
    K: Float[np.ndarray, "*m 3 3"],
    distortion: Distortion | None = None,
) -> Float[np.ndarray, "*n 2"]:
    """Return pixels of camera-space points (metres); K broadcasts over leading dimensions.

    Points on or behind the camera plane have no picture, and neither have those beyond the reach of the lens's numbers
    (``lens_reach``): their pixels are NaN.
    """
    z = points[..., 2]
    depth = np.where(z > 0, z, np.nan)
    x, y = points[..., 0] / depth, points[..., 1] / depth
    if distortion is not None:
        x = np.where(np.hypot(x, y) <= lens_reach(distortion), x, np.nan)
        bend = _brown_conrady if distortion.model == "brown_conrady" else _fisheye
        bent = bend(np.stack([x, y], axis=-1), distortion.coefficients)
        x, y = bent[..., 0], bent[..., 1]
    K = K[..., None, :, :] if K.ndim > 2 else K
    u = K[..., 0, 0] * x + K[..., 0, 1] * y + K[..., 0, 2]
    v = K[..., 1, 1] * y + K[..., 1, 2]
    return np.stack([u, v], axis=-1)


def transform_points(T: Float[np.ndarray, "4 4"], points: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
    """Return points moved by a rigid 4x4 transform: ``T_a_b`` takes points in b to a."""
    return points @ T[:3, :3].T + T[:3, 3]


def rigid(R: Float[np.ndarray, "3 3"], t: Float[np.ndarray, "3"]) -> Float[np.ndarray, "4 4"]:
    """Return the 4x4 transform x -> R x + t."""
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = R, t
    return T


def invert_rigid(T: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "4 4"]:
    """Return ``T_b_a`` of ``T_a_b``; the rotation part must be orthonormal."""
    return rigid(T[:3, :3].T, -T[:3, :3].T @ T[:3, 3])


def parameters_to_camera(
    global_orient: Float[np.ndarray, "*people 3"],
    transl: Float[np.ndarray, "*people 3"],
    pelvis_offset: Float[np.ndarray, "*people 3"],
    T_camera_world: Float[np.ndarray, "4 4"],
) -> tuple[Float[np.ndarray, "*people 3"], Float[np.ndarray, "*people 3"]]:
    """Return (global_orient, transl) in camera space of body parameters in world space.

    A SMPL-family body turns about its rest pelvis, which is not the origin, so the offset o (rest pelvis of this shape,
    metres) enters: R' = R R_root and t' = R (t + o) + c - o. Without it the body lands centimetres to decimetres off.
    """
    R, c = T_camera_world[:3, :3], T_camera_world[:3, 3]
    turned = matrix_to_axis_angle(R @ axis_angle_to_matrix(global_orient.astype(np.float64)))
    moved = (transl + pelvis_offset) @ R.T + c - pelvis_offset
    return turned.astype(global_orient.dtype), moved.astype(transl.dtype)


def intrinsics_after_crop(K: Float[np.ndarray, "3 3"], left: float, top: float) -> Float[np.ndarray, "3 3"]:
    """Return K of the picture cut so that pixel (left, top) becomes (0, 0)."""
    out = K.copy()
    out[0, 2] -= left
    out[1, 2] -= top
    return out


def intrinsics_after_scale(K: Float[np.ndarray, "3 3"], sx: float, sy: float) -> Float[np.ndarray, "3 3"]:
    """Return K of the picture resized by (sx, sy); edges stay edges, so centres move: u' = s (u + 0.5) - 0.5."""
    out = K.copy()
    out[0, :2] *= sx
    out[1, 1] *= sy
    out[0, 2] = sx * (K[0, 2] + 0.5) - 0.5
    out[1, 2] = sy * (K[1, 2] + 0.5) - 0.5
    return out


def intrinsics_after_flip(K: Float[np.ndarray, "3 3"], width: int) -> Float[np.ndarray, "3 3"]:
    """Return K of the mirrored picture (u' = W - 1 - u) for points mirrored by x' = -x."""
    out = K.copy()
    out[0, 1] = -K[0, 1]
    out[0, 2] = width - 1 - K[0, 2]
    return out


def quarter_turn_matrix(quarter_turns: int) -> Float[np.ndarray, "3 3"]:
    """Return the rotation of camera space that belongs to turning the picture clockwise by quarter turns."""
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])  # right becomes down
    return np.linalg.matrix_power(turn, quarter_turns % 4)


def pixels_after_quarter_turns(
    pixels: Float[np.ndarray, "*n 2"], width: int, height: int, quarter_turns: int
) -> Float[np.ndarray, "*n 2"]:
    """Return where pixels go when a width x height picture is turned clockwise by quarter turns."""
    for _ in range(quarter_turns % 4):
        pixels = np.stack([height - 1 - pixels[..., 1], pixels[..., 0]], axis=-1)
        width, height = height, width
    return pixels


def intrinsics_after_quarter_turns(
    K: Float[np.ndarray, "3 3"], width: int, height: int, quarter_turns: int
) -> Float[np.ndarray, "3 3"]:
    """Return K of a width x height picture turned clockwise; points turn with ``quarter_turn_matrix``. No skew."""
    out = K.copy()
    centre = pixels_after_quarter_turns(K[:2, 2], width, height, quarter_turns)
    if quarter_turns % 2:
        out[0, 0], out[1, 1] = K[1, 1], K[0, 0]
    out[:2, 2] = centre
    return out
