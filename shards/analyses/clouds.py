"""What is compared as points: rotations as matrices, so that no number jumps where an axis-angle vector would.

The distance of two points is the root mean square, over the joints, of 2 sin(a/2), where a is the angle between the two
rotations: radians for small angles, 2 for a half turn (the Frobenius norm of the difference, over root two). It is
Euclidean, and turning everybody alike changes nothing. Image features are as far apart as their vectors, divided by
the root mean square of the distances from the mean of their source.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from ...body.hands import mirrored
from ...body.rotations import axis_angle_to_matrix
from .samples import PoseSample

Cloud = Float[np.ndarray, "_ numbers"]  # one row a person
LEAST = 16  # points, below which a source is not compared
TITLES = {
    "orientation": "global orientation",
    "body": "body pose",
    "hands": "hand pose",
    "features": "image features",
}
UNITS = {"orientation": "rad", "body": "rad", "hands": "rad", "features": "spreads"}


def rotation_points(poses: Float[np.ndarray, "people joints 3"]) -> Cloud:
    """Return axis-angle poses (rad) as points; a pose of one joint may lack the middle axis."""
    joints = poses.shape[1]
    return np.asarray(axis_angle_to_matrix(poses)).reshape(len(poses), 9 * joints) / np.sqrt(2 * joints)


def pose_clouds(samples: Mapping[str, PoseSample], kind: str) -> dict[str, Cloud]:
    """Return the points of each group that has enough people; ``kind`` is orientation, body or hands.

    Hands of both sides count, left ones as the right hands that mirror them.
    """
    points: dict[str, Callable[[PoseSample], np.ndarray]] = {
        "orientation": lambda sample: sample.orients[:, None],
        "body": lambda sample: sample.bodies,
        "hands": lambda sample: np.concatenate([mirrored(sample.left_hands), sample.right_hands]),
    }
    found = {name: rotation_points(points[kind](sample)) for name, sample in samples.items()}
    return large_enough(found)


def feature_clouds(features: Mapping[str, Cloud]) -> dict[str, Cloud]:
    """Return image features as points whose mean spread within a group is 1."""
    there = large_enough({name: np.asarray(numbers, np.float64) for name, numbers in features.items()})
    if not there:
        return {}
    centre = mean_of(list(there.values()))
    spread = np.sqrt(np.mean([((numbers - numbers.mean(0)) ** 2).sum(1).mean() for numbers in there.values()]))
    return {name: (numbers - centre) / max(spread, 1e-12) for name, numbers in there.items()}


def large_enough(clouds: Mapping[str, Cloud]) -> dict[str, Cloud]:
    """Return the clouds of at least ``LEAST`` points."""
    return {name: cloud for name, cloud in clouds.items() if len(cloud) >= LEAST}


def mean_of(clouds: Sequence[Cloud]) -> Float[np.ndarray, " numbers"]:
    """Return the mean point, every cloud counted the same."""
    return np.mean([cloud.mean(0) for cloud in clouds], axis=0)
