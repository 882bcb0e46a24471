"""Keypoints that come with a confidence of their own."""

import numpy as np
from jaxtyping import Float

from ..raw import with_confidence


def sound_points(points: Float[np.ndarray, "*people points values"]) -> Float[np.ndarray, "*people points values"]:
    """Return points whose last value is a confidence as float32; those that are not finite are zero throughout."""
    out = with_confidence(points[..., :-1])
    out[..., -1] *= np.nan_to_num(points[..., -1], posinf=0, neginf=0)
    return out
