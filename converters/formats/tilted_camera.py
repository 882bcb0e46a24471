"""Cameras as columns of the SPEC family write them: intrinsics or focal lengths, a rotation or pitch and roll.

The world has the axes of a level camera of the same heading (x right, y down, z forward), so a camera is known up to
its place: the world's origin is put there.
Facts: SPEC ``spec/dataset/cam_dataset.py``; PARE ``batch_euler2matrix``.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from ...body.cameras import intrinsics, rigid
from ...body.rotations import axis_angle_to_matrix
from ...errors import RawSchemaError
from ...shards.record import Camera
from ..raw import are_intrinsics, same_intrinsics

# Shape of one row of each column; of the first two, and of the others, one has to be there.
CAMERA_COLUMNS = {"cam_int": (3, 3), "focal_length": (2,), "cam_rotmat": (3, 3), "cam_pitch": (), "cam_roll": ()}
_TOLERANCE = 1e-3  # of a rotation matrix, and between the cameras of one picture


class Cameras:
    """The cameras of all rows; a file without the columns for them raises RawSchemaError."""

    def __init__(self, path: Path, columns: Mapping[str, np.ndarray], size: tuple[int, int]) -> None:
        self.K = _intrinsics(path, columns, size)
        self.R = _rotations(path, columns)
        self.is_sound = are_intrinsics(self.K) & _are_rotations(self.R)

    def camera(self, row: int) -> Camera:
        """Return the camera of a row."""
        return Camera(K=self.K[row], kind="measured", T_camera_world=rigid(self.R[row], np.zeros(3)))

    def is_same(self, row: int, other: int) -> bool:
        """Return whether two rows have one camera but for rounding."""
        return same_intrinsics(self.K[row], self.K[other]) and bool(
            np.abs(self.R[row] - self.R[other]).max() < _TOLERANCE
        )


def first_column(path: Path, columns: Mapping[str, np.ndarray], names: Iterable[str]) -> str:
    """Return the first of some columns that a file has; RawSchemaError when it has none of them."""
    found = next((name for name in names if name in columns), None)
    if found is None:
        raise RawSchemaError(path, f"column {' or '.join(names)}", "present", f"only {', '.join(sorted(columns))}")
    return found


def _intrinsics(path: Path, columns: Mapping[str, np.ndarray], size: tuple[int, int]) -> Float[np.ndarray, "rows 3 3"]:
    """Return K of every row: as it is, or of the focal lengths and the middle of the picture."""
    found = columns[first_column(path, columns, ("cam_int", "focal_length"))].astype(np.float64)
    if found.ndim == 3:
        return found
    return np.stack([intrinsics(fx, fy, size[0] / 2, size[1] / 2) for fx, fy in found.tolist()])


def _rotations(path: Path, columns: Mapping[str, np.ndarray]) -> Float[np.ndarray, "rows 3 3"]:
    """Return the rotation from world to camera of every row: as it is, or about x by pitch after about z by roll."""
    name = first_column(path, columns, ("cam_rotmat", "cam_pitch"))
    if name == "cam_rotmat":
        return columns[name].astype(np.float64)
    roll = columns[first_column(path, columns, ("cam_roll",))]
    about_x, about_z = (angles[:, None] * np.eye(3)[axis] for angles, axis in ((columns[name], 0), (roll, 2)))
    return axis_angle_to_matrix(about_x) @ axis_angle_to_matrix(about_z)


def _are_rotations(R: Float[np.ndarray, "rows 3 3"]) -> Bool[np.ndarray, " rows"]:
    """Return which matrices are rotations but for rounding."""
    known = np.asarray(np.isfinite(R).all(axis=(1, 2)), bool)
    R = np.where(known[:, None, None], R, 0.0)
    skew = np.abs(R @ R.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2), initial=0)
    return known & (skew < _TOLERANCE) & (np.linalg.det(R) > 0)
