"""Errors of the body's shape alone: both bodies in the zero pose (mm); numpy or torch.

``t_pose_scaled_error`` is PVE-T-SC of SSP-3D (Sengupta et al., BMVC 2020), ``centred_error`` the V2V of SHAPY's HBW
(Choutas et al., CVPR 2022), whose girths and height are lengths measured on the same meshes.
"""

from typing import Any

from array_api_compat import array_namespace
from jaxtyping import Float

from .align import centroid, scale_align
from .distances import MM, mean_error, rooted_error


def t_pose_scaled_error(
    predicted: Float[Any, "people vertices 3"], truth: Float[Any, "people vertices 3"]
) -> Float[Any, "people"]:
    """Return the mean distance (mm) of bodies in the zero pose (m), at one centroid and spread: PVE-T-SC."""
    return mean_error(scale_align(predicted, truth), truth)


def centred_error(
    predicted: Float[Any, "people vertices 3"], truth: Float[Any, "people vertices 3"]
) -> Float[Any, "people"]:
    """Return the mean distance (mm) of bodies in the zero pose (m), brought to one centroid and keeping their sizes."""
    return rooted_error(predicted, truth, centroid(predicted), centroid(truth))


def height(vertices: Float[Any, "people vertices 3"]) -> Float[Any, "people"]:
    """Return the extent (mm) of bodies in the zero pose along y, which is up in the frame of the body model."""
    xp = array_namespace(vertices)
    return (xp.max(vertices[..., 1], axis=1) - xp.min(vertices[..., 1], axis=1)) * MM
