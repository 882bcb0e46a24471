"""AGORA's scenes: which camera took a picture, told by its name, and where a scan stands before it.

The pictures are renderings of a sensor 36 mm wide without distortion. Scans have y up and face +z; a person's ``Yaw``
and the place are Unreal's.
Facts: agora_evaluation ``projection.py``.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ...body.cameras import intrinsics, project, rigid
from ...shards.record import Camera
from .unreal import camera_from_world, point_from_unreal, turn

_SENSOR_MM = 36


class _View(NamedTuple):
    """The camera of one kind of pictures; without a place of its own it stands where the row says."""

    focal_mm: float
    place_cm: tuple[float, float, float] | None
    yaw: float = 0.0  # degrees
    pitch: float = 0.0
    ground_m: float = 0.0


# The first word that the name of a picture holds tells its view.
_VIEWS = {
    "hdri": _View(50, (0, 0, 170)),
    "cam00": _View(18, (400, -275, 265), 135, 30),
    "cam01": _View(18, (400, 225, 265), -135, 30),
    "cam02": _View(18, (-490, 170, 265), -45, 30),
    "cam03": _View(18, (-490, -275, 265), 45, 30),
    "ag2": _View(28, (0, 0, 170), pitch=15),
    "": _View(28, None, ground_m=-1.7),
}
_TO_SCAN_AXES = np.diag([1.0, -1.0, -1.0])  # scans have y up, our world y down


def camera_of(row: Mapping[str, Any], width: int, height: int) -> Camera:
    """Return the camera of a picture, rendered at some size, from its row of the table."""
    view = next(view for word, view in _VIEWS.items() if word in row["imgPath"])
    at_row = ((row["camX"], row["camY"], row["camZ"]), row["camYaw"])
    place_cm, yaw = at_row if view.place_cm is None else (view.place_cm, view.yaw)
    place = point_from_unreal(np.array(place_cm, np.float64)) + np.array([0, view.ground_m, 0])
    focal = view.focal_mm / _SENSOR_MM * width
    return Camera(
        K=intrinsics(focal, focal, width / 2, height / 2),
        kind="measured",
        T_camera_world=camera_from_world(place, yaw, view.pitch),
    )


def scan_pose(row: Mapping[str, Any], person: int) -> Float[np.ndarray, "4 4"]:
    """Return ``T_world_scan`` of a person of a picture (m)."""
    place = point_from_unreal(np.array([row[axis][person] for axis in "XYZ"], np.float64))
    return rigid(turn(1, row["Yaw"][person] - 90) @ _TO_SCAN_AXES, place)


def keypoint_gap(row: Mapping[str, Any], person: int, size: tuple[int, int]) -> float:
    """Return the median distance (px) of a person's 2D joints to the projected 3D ones, in a picture of that size.

    The owner computes one from the other, so they agree in the size that they were computed for. NaN for a person of
    whom no joint lies before the camera.
    """
    K = camera_of(row, *size).K
    assert K is not None
    seen = project(np.asarray(row["gt_joints_3d"][person], np.float64), K)
    distances = np.linalg.norm(seen - row["gt_joints_2d"][person], axis=1)
    known = distances[np.isfinite(distances)]
    return float(np.median(known)) if len(known) else np.nan
