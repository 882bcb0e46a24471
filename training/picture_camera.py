"""The camera of a whole picture, and where people stand in it whom a network has posed in crops.

A network poses each person before a camera of its own: that of the crop, with a focal length of 5000 at 256 x 192
(``outputs.picture_intrinsics``), so that people stand some 10 to 50 m away and lie on the picture only under that K.
Here everyone of a picture comes under one K. Pose, shape and the direction in which the body faces are kept, because
training compares the direction with that in the whole picture's camera; only the translation is found anew, such that
the body's joints are seen where the crop's camera saw them.

With f the focal length, c the principal point and Z the mean depth of the joints, a body that is shallow against Z is
seen at f X / Z + c (weak perspective). Equal size and place under both cameras means ``Z' = Z f'/f`` and
``X' = X + (c - c') Z'/f'``, the approximation of Kissos et al. ("Beyond Weak Perspective for Monocular 3D Human Pose
Estimation", ECCVW 2020) and CLIFF (Li et al., ECCV 2022). From there the sum of squared distances between the joints'
projections is brought to its least by Levenberg's method. What remains is the difference between the two perspectives,
and is given as the residual.
"""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from ..body.cameras import intrinsics
from ..errors import RecipeError
from .compat import INPUT_HEIGHT, INPUT_WIDTH
from .outputs import FOCAL

NUM_BODY_JOINTS = 22  # the first of SMPL-X: the body without hands and face, which say little about the distance
NEAREST = 0.05  # m; joints that count stay so far before the camera
_STEPS = 100  # a start nearby needs fewer than ten
_CONVERGED = 1e-9  # m

CameraKind = Literal["given", "exif", "assumed"]


class PictureCamera(NamedTuple):
    """The camera under which everyone of a picture stands."""

    K: Float[np.ndarray, "3 3"]  # px of the picture
    kind: CameraKind


class CameraRule(NamedTuple):
    """How to come by the camera of a picture: K, else a focal length in px, else EXIF, else the diagonal."""

    K: Float[np.ndarray, "3 3"] | None = None
    focal: float | None = None

    def camera_of(self, width: int, height: int, exif_focal: float | None = None) -> PictureCamera:
        """Return the camera of a picture of that size.

        Where nobody knows, the focal length is the picture's diagonal (a view of 53 degrees from corner to corner, as
        CLIFF assumes): directions are right, distances only in proportion to the true focal length.
        """
        if self.K is not None:
            return PictureCamera(self.K, "given")
        if self.focal is not None:
            return PictureCamera(centred_intrinsics(self.focal, width, height), "given")
        focal = exif_focal or float(np.hypot(width, height))
        return PictureCamera(centred_intrinsics(focal, width, height), "exif" if exif_focal else "assumed")


def centred_intrinsics(focal: float, width: int, height: int) -> Float[np.ndarray, "3 3"]:
    """Return K of a camera that looks at the middle of a picture; focal length in px."""
    return intrinsics(focal, focal, (width - 1) / 2, (height - 1) / 2)


def parsed_intrinsics(text: str) -> Float[np.ndarray, "3 3"]:
    """Return K from ``fx,fy,cx,cy`` in px; RecipeError for anything else."""
    try:
        fx, fy, cx, cy = (float(number) for number in text.split(","))
    except ValueError as error:
        raise RecipeError(f"a camera should be fx,fy,cx,cy in px, found {text!r}") from error
    if not (fx > 0 and fy > 0 and np.isfinite([fx, fy, cx, cy]).all()):
        raise RecipeError(f"the focal lengths of a camera should be positive numbers of px, found {text!r}")
    return intrinsics(fx, fy, cx, cy)


class Placed(NamedTuple):
    """Where people stand in the camera of the picture."""

    transl: Float[np.ndarray, "people 3"]  # m
    residual_px: Float[np.ndarray, " people"]  # root mean square over the joints that counted


def place_people(
    joints: Float[np.ndarray, "people joints 3"],
    transl: Float[np.ndarray, "people 3"],
    K_crop: Float[np.ndarray, "people 3 3"],
    K: Float[np.ndarray, "people 3 3"],
) -> Placed:
    """Return the translations under ``K`` of people who are posed before the cameras of their crops.

    ``joints`` (m) hold ``transl`` and begin with SMPL-X's 22 of the body. What the crop does not show the network has
    guessed: joints outside of it count only where fewer than four lie inside. K has no skew.
    """
    joints = joints[:, :NUM_BODY_JOINTS].astype(np.float64)
    seen = _project(joints, K_crop)
    own = joints - transl[:, None]
    start = _weak_perspective(joints, K_crop, K) + transl - joints.mean(axis=1)
    return solve_translation(own, Sight(seen, _inside(seen, K_crop), K), start)


def _inside(
    pixels: Float[np.ndarray, "people joints 2"], K_crop: Float[np.ndarray, "people 3 3"]
) -> Bool[np.ndarray, "people joints"]:
    """Return which joints count: those that the crop shows, all where it shows fewer than four."""
    half = np.stack([K_crop[:, 0, 0] * INPUT_WIDTH, K_crop[:, 1, 1] * INPUT_HEIGHT], axis=1) / FOCAL / 2
    inside = (np.abs(pixels - K_crop[:, None, :2, 2]) <= half[:, None]).all(axis=2)
    return np.where(inside.sum(axis=1, keepdims=True) >= 4, inside, True)


def _weak_perspective(
    joints: Float[np.ndarray, "people joints 3"],
    K_crop: Float[np.ndarray, "people 3 3"],
    K: Float[np.ndarray, "people 3 3"],
) -> Float[np.ndarray, "people 3"]:
    """Return where the middle of the joints stands under ``K`` by the formula above (m)."""
    middle = joints.mean(axis=1)
    ratio = np.sqrt(K[:, 0, 0] * K[:, 1, 1] / (K_crop[:, 0, 0] * K_crop[:, 1, 1]))
    depth = middle[:, 2] * ratio
    across = _project(middle[:, None], K_crop)[:, 0] - K[:, :2, 2]
    focal = np.stack([K[:, 0, 0], K[:, 1, 1]], axis=1)
    return np.concatenate([across / focal * depth[:, None], depth[:, None]], axis=1)


class Sight(NamedTuple):
    """Where a camera sees joints."""

    pixels: Float[np.ndarray, "people joints 2"]
    counted: Bool[np.ndarray, "people joints"]  # the joints that a solution should meet
    K: Float[np.ndarray, "people 3 3"]

    def error(self, joints: Float[np.ndarray, "people joints 3"]) -> Float[np.ndarray, " people"]:
        """Return the sum of squared distances in px of joints in the camera's space."""
        return np.square(self.missing(joints)).sum(axis=(1, 2))

    def missing(self, joints: Float[np.ndarray, "people joints 3"]) -> Float[np.ndarray, "people joints 2"]:
        """Return the way from the projections of joints to where they should be, zero where they do not count."""
        return np.where(self.counted[:, :, None], self.pixels - _project(joints, self.K), 0)


def solve_translation(
    own: Float[np.ndarray, "people joints 3"], sight: Sight, start: Float[np.ndarray, "people 3"]
) -> Placed:
    """Return the translations that bring bodies nearest to where a camera sees them: least squares of pixels.

    ``own`` are joints without translation, in the axes of the camera (m); ``start`` is where the search begins.
    """
    nearest = NEAREST - np.where(sight.counted, own[:, :, 2], np.inf).min(axis=1)
    transl = np.concatenate([start[:, :2], np.maximum(start[:, 2], nearest)[:, None]], axis=1)
    error, damping = sight.error(own + transl[:, None]), np.full(len(own), 1e-3)
    for _ in range(_STEPS):
        step = _step(own + transl[:, None], sight, damping)
        tried = transl + step
        tried[:, 2] = np.maximum(tried[:, 2], nearest)
        tried_error = sight.error(own + tried[:, None])
        better = tried_error <= error
        transl, error = np.where(better[:, None], tried, transl), np.where(better, tried_error, error)
        damping = np.where(better, damping / 10, damping * 10)
        if np.abs(step).max(initial=0) < _CONVERGED:
            break
    return Placed(transl, np.sqrt(error / sight.counted.sum(axis=1)))


def _step(
    joints: Float[np.ndarray, "people joints 3"], sight: Sight, damping: Float[np.ndarray, " people"]
) -> Float[np.ndarray, "people 3"]:
    """Return the damped Gauss-Newton step of the translations."""
    x, y, z = np.moveaxis(joints, -1, 0)
    fx, fy, zero = sight.K[:, 0, 0, None] / z, sight.K[:, 1, 1, None] / z, np.zeros_like(z)
    slopes = np.stack([np.stack([fx, zero, -fx * x / z], axis=-1), np.stack([zero, fy, -fy * y / z], axis=-1)], axis=2)
    slopes = np.where(sight.counted[:, :, None, None], slopes, 0)
    normal = np.einsum("pjda,pjdb->pab", slopes, slopes)
    normal += np.einsum("p,paa->pa", damping, normal)[:, :, None] * np.eye(3)
    return np.linalg.solve(normal, np.einsum("pjda,pjd->pa", slopes, sight.missing(joints))[..., None])[..., 0]


def _project(
    points: Float[np.ndarray, "people points 3"], K: Float[np.ndarray, "people 3 3"]
) -> Float[np.ndarray, "people points 2"]:
    """Return points in px, also those behind the camera, which are finite but mean nothing."""
    homogeneous = points @ np.swapaxes(K, 1, 2)
    depth = homogeneous[:, :, 2:]
    return homogeneous[:, :, :2] / np.where(np.abs(depth) < 1e-6, 1e-6, depth)
