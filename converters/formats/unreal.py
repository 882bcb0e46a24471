"""Places and directions as the Unreal Engine writes them: centimetres, degrees, x forward, y right, z up, left-handed.

Here they become metres of a right-handed world with the axes of a camera: x right, y down, z forward.
Facts: AGORA ``projection.py``.
"""

import numpy as np
from jaxtyping import Float

from ...body.cameras import rigid
from ...body.rotations import axis_angle_to_matrix


def point_from_unreal(place_cm: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
    """Return a point of Unreal's world (cm) in ours (m)."""
    x, y, z = place_cm / 100
    return np.array([y, -z, x])


def turn(axis: int, degrees: float) -> Float[np.ndarray, "3 3"]:
    """Return the right-handed rotation about an axis (0 is x, 1 is y) of our world."""
    return axis_angle_to_matrix(np.eye(3)[axis] * np.radians(degrees))


def camera_from_world(
    place: Float[np.ndarray, "3"], yaw_degrees: float, pitch_degrees: float
) -> Float[np.ndarray, "4 4"]:
    """Return ``T_camera_world`` of a camera at a point of our world (m): turned by yaw, looking down by pitch."""
    R = turn(0, pitch_degrees) @ turn(1, -yaw_degrees)
    return rigid(R, -R @ place)
