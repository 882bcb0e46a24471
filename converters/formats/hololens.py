"""The camera of a HoloLens 2 as its recorder writes it: ``<date>_pv.txt``, one row a picture.

The first row is ``cx,cy,w,h`` (px). Every further row is a timestamp, fx, fy and the 16 numbers of the transform from
the camera to the headset's world, row by row; the camera looks along -z with y up. The headset moves and refocuses, so
each picture has a camera of its own. Where tracking was lost, the transform is singular.
Facts: EgoBody ``utils.py`` (``load_pv_data``), ``release_renderer_fpv_gaze.py``.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ...body.cameras import intrinsics
from ...errors import RawFileError, RawSchemaError
from ...shards.record import Camera
from ..raw import are_intrinsics
from .world_body import are_rigid

_NUMBERS = 18  # of a row behind its timestamp
_TO_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])  # from axes that look along -z with y up


@dataclass(frozen=True)
class Headset:
    """The camera of a recording."""

    centre: tuple[float, float]  # cx, cy (px)
    size: tuple[int, int]  # width, height
    rows: dict[str, str]  # what is behind each timestamp

    def camera(self, timestamp: str, T_world_headset: Float[np.ndarray, "4 4"]) -> tuple[Camera | None, str]:
        """Return the camera of a picture, or None and the sentence that says why.

        ``T_world_headset`` leads from the headset's world to the one that ``T_camera_world`` is to start from.
        """
        if timestamp not in self.rows:
            return None, f"no row has the timestamp {timestamp}"
        try:
            values = np.array(self.rows[timestamp].split(","), np.float64)
        except ValueError as error:
            return None, f"the row of {timestamp} holds other than numbers ({error})"
        if len(values) != _NUMBERS:
            return None, f"the row of {timestamp} has {len(values)} numbers behind its timestamp, expected {_NUMBERS}"
        K = intrinsics(values[0], values[1], *self.centre)
        T_headset_camera = values[2:].reshape(4, 4)
        if not (are_rigid(T_headset_camera) and are_intrinsics(K)):
            return None, f"the row of {timestamp} has no rigid transform, or no focal length"
        T_camera_world = _TO_OPENCV @ np.linalg.inv(T_world_headset @ T_headset_camera)
        return Camera(K=K, kind="measured", T_camera_world=T_camera_world), ""


def read_headset(path: Path) -> Headset:
    """Return the camera of a recording; RawFileError when there is no file, RawSchemaError for another first row."""
    try:
        first, *rows = path.read_text(encoding="utf-8").splitlines()
        cx, cy, width, height = (float(value) for value in first.strip("()[] ").split(","))
    except FileNotFoundError as error:
        raise RawFileError(path, "no such file", "unpack the archive again") from error
    except ValueError as error:
        raise RawSchemaError(path, "row 1", "the four numbers cx,cy,w,h", f"another text ({error})") from error
    parts = [row.partition(",") for row in rows if row.strip()]
    return Headset((cx, cy), (round(width), round(height)), {stamp.strip(): rest for stamp, _, rest in parts})
