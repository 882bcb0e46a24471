"""Errors over time: how far the accelerations of joints are off (mm a squared frame); numpy or torch.

Second differences from picture to picture, as HMMR and VIBE measure them (Kanazawa et al., CVPR 2019); multiplied by
the squared rate of the pictures they are mm a squared second.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from jaxtyping import Float, Int

from .curves import known_mean
from .distances import distances


def acceleration(points: Float[Any, "frames points 3"]) -> Float[Any, "inner points 3"]:
    """Return the second differences of positions; the first and the last frame have none."""
    return points[:-2] - 2 * points[1:-1] + points[2:]


def acceleration_error(
    predicted: Float[Any, "frames points 3"], truth: Float[Any, "frames points 3"]
) -> Float[Any, "frames"]:
    """Return the mean distance (mm a squared frame) of accelerations of points (m) in each frame of one person.

    NaN at the ends, and where the frame or one beside it has no point that both sides know.
    """
    xp = array_namespace(predicted, truth)
    inner = known_mean(distances(acceleration(predicted), acceleration(truth)))
    end = xp.full((1,), xp.nan, dtype=inner.dtype)
    return xp.concat([end, inner, end]) if inner.shape[0] else xp.full((len(truth),), xp.nan, dtype=truth.dtype)


def acceleration_errors(
    predicted: Float[np.ndarray, "people points 3"],
    truth: Float[np.ndarray, "people points 3"],
    tracks: Sequence[str],
    frames: Int[np.ndarray, " people"],
) -> Float[np.ndarray, " people"]:
    """Return the acceleration error of everyone of some tracks (one person of one sequence each), in any order.

    A row whose track lacks the frame before or after it has NaN: a gap is no acceleration.
    """
    out = np.full(len(truth), np.nan)
    names = np.asarray(tracks)
    for name in np.unique(names):
        rows = np.flatnonzero(names == name)
        rows = rows[np.argsort(frames[rows], kind="stable")]
        for run in np.split(rows, np.flatnonzero(np.diff(frames[rows]) != 1) + 1):
            out[run] = acceleration_error(predicted[run], truth[run])
    return out
