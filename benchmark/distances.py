"""Distances between corresponding points (mm, from points in m), as they are, rooted or aligned; numpy or torch."""

from typing import Any

from array_api_compat import array_namespace
from jaxtyping import Float

from .align import root_align, similarity_align

MM = 1000.0


def distances(
    predicted: Float[Any, "*people points 3"], truth: Float[Any, "*people points 3"]
) -> Float[Any, "*people points"]:
    """Return the distance (mm) between corresponding points, without any alignment."""
    xp = array_namespace(predicted, truth)
    step = predicted - truth
    # Three strided products: a reduction over an axis of three is five times slower in numpy.
    return xp.sqrt(step[..., 0] ** 2 + step[..., 1] ** 2 + step[..., 2] ** 2) * MM


def mean_error(
    predicted: Float[Any, "*people points 3"], truth: Float[Any, "*people points 3"]
) -> Float[Any, "*people"]:
    """Return the mean distance (mm) between corresponding points, without any alignment."""
    return array_namespace(predicted, truth).mean(distances(predicted, truth), axis=-1)


def rooted_error(
    predicted: Float[Any, "*people points 3"],
    truth: Float[Any, "*people points 3"],
    predicted_root: Float[Any, "*people 3"],
    true_root: Float[Any, "*people 3"],
) -> Float[Any, "*people"]:
    """Return the mean distance (mm) once both root points are at the origin: PVE, MPJPE."""
    return mean_error(root_align(predicted, predicted_root - true_root), truth)


def aligned_error(
    predicted: Float[Any, "*people points 3"], truth: Float[Any, "*people points 3"]
) -> Float[Any, "*people"]:
    """Return the mean distance (mm) after the best similarity alignment: PA-PVE, PA-MPJPE."""
    return mean_error(similarity_align(predicted, truth), truth)
