"""The mean hand and the two ways of writing a hand pose.

ehps stores **absolute** hand poses: zero is a flat hand (``flat_hand_mean=True`` in ``smplx``). Sources and networks
that store the deviation from MANO's mean pose are converted with these numbers: absolute = deviation + mean, added
component by component on the axis-angle vectors, which is what ``smplx`` itself does.

The means are published in the loaders of SMPLer-X and SMPLest-X (``HANDS_MEAN_L``, ``HANDS_MEAN_R``); 15 joints in the
order index, middle, pinky, ring, thumb. The right hand is the left with y and z negated.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float

Side = Literal["left", "right"]

LEFT_HAND_MEAN: Float[np.ndarray, "15 3"] = np.array(
    [
        [0.11167871, 0.04289218, -0.41644183],
        [0.10881133, -0.06598568, -0.75622],
        [-0.09639297, -0.09091566, -0.18845929],
        [-0.11809504, 0.05094385, -0.5295845],
        [-0.14369841, 0.0552417, -0.7048571],
        [-0.01918292, -0.09233685, -0.3379135],
        [-0.45703298, -0.19628395, -0.6254575],
        [-0.21465237, -0.06599829, -0.50689423],
        [-0.36972436, -0.06034463, -0.07949023],
        [-0.1418697, -0.08585263, -0.63552827],
        [-0.3033416, -0.05788098, -0.6313892],
        [-0.17612089, -0.13209307, -0.37335458],
        [0.8509643, 0.27692273, -0.09154807],
        [-0.49983943, 0.02655647, 0.05288088],
        [0.5355592, 0.04596104, -0.27735803],
    ]
)
LEFT_HAND_MEAN.setflags(write=False)
RIGHT_HAND_MEAN: Float[np.ndarray, "15 3"] = LEFT_HAND_MEAN * np.array([1.0, -1.0, -1.0])
RIGHT_HAND_MEAN.setflags(write=False)

HAND_MEANS: dict[str, Float[np.ndarray, "15 3"]] = {"left": LEFT_HAND_MEAN, "right": RIGHT_HAND_MEAN}


def to_absolute(deviation: Float[np.ndarray, "*people 15 3"], side: Side) -> Float[np.ndarray, "*people 15 3"]:
    """Return the absolute hand pose of a deviation from the mean hand (radians, axis-angle)."""
    return (deviation + HAND_MEANS[side]).astype(deviation.dtype)


def to_deviation(pose: Float[np.ndarray, "*people 15 3"], side: Side) -> Float[np.ndarray, "*people 15 3"]:
    """Return the deviation from the mean hand of an absolute hand pose (radians, axis-angle)."""
    return (pose - HAND_MEANS[side]).astype(pose.dtype)


def mirrored(pose: Float[np.ndarray, "*people 15 3"]) -> Float[np.ndarray, "*people 15 3"]:
    """Return the pose of the other hand that mirrors this one in the plane x = 0."""
    return (pose * np.array([1.0, -1.0, -1.0])).astype(pose.dtype)
