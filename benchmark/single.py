"""Measures that look at all points of a prediction as they are: points in the picture, and shapes without a pose."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from ..errors import ProtocolError
from . import shape
from .curves import box_sizes, keypoints_pck
from .girths import GIRTHS, HEIGHT, Girths
from .interface import BenchmarkPerson
from .measures import Measure
from .protocol import PROTOCOL_DIR, Protocol


def measure_alone(
    measure: Measure,
    predicted: Float[np.ndarray, "people points space"],
    truth: Float[np.ndarray, "people points space"],
    people: Sequence[BenchmarkPerson],
    protocol: Protocol,
    girths: Girths | None = None,
) -> Float[np.ndarray, " people"]:
    """Return a measure of each person that no part, root or alignment of the geometry takes part in."""
    if measure.family == "keypoints_2d":
        # The size is that of the tight box, which the protocol's boxes enlarge.
        sizes = box_sizes(np.stack([person.bbox_xyxy for person in people])) / protocol.boxes.padding
        return keypoints_pck(predicted.astype(np.float64), truth, sizes, measure.threshold)
    if girths is not None and measure.name in (HEIGHT, *GIRTHS):
        found, wanted = (girths.of(measure.name, meshes.astype(np.float64)) for meshes in (predicted, truth))
        return np.abs(found - wanted)
    if measure.name in _OF_SHAPES:
        return _OF_SHAPES[measure.name](predicted.astype(np.float64), truth.astype(np.float64))
    problem = f"names {measure.name}, which needs more than points of single people"
    raise ProtocolError(PROTOCOL_DIR / f"{protocol.id}.yaml", problem, "leave it out of the measures")


def _height_error(
    predicted: Float[np.ndarray, "people points 3"], truth: Float[np.ndarray, "people points 3"]
) -> Float[np.ndarray, " people"]:
    """Return how much the heights of shapes in the template's pose differ (mm)."""
    return np.abs(shape.height(predicted) - shape.height(truth))


_OF_SHAPES = {"PVE-T-SC": shape.t_pose_scaled_error, "V2V": shape.centred_error, HEIGHT: _height_error}
