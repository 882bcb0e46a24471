"""From where the camera sees people: a point on the sphere around the body, and how far the body leans.

The direction from the body to the camera, in the body's own axes (x to its left, y up, z forward), is minus the third
row of its rotation: the picture's axis stands for the line of sight. Cells of the sphere are equal in area, because the
height of a point above the equator is evenly spread for evenly spread points (Archimedes).
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float

from ...body.rotations import axis_angle_to_matrix
from ..statistics import facing_degrees
from .samples import PoseSample

AZIMUTHS, HEIGHTS = 24, 8  # cells around the body and from below to above: all of one area
LEAN_EDGES = (0, 10, 20, 30, 45, 60, 90, 120, 180)  # degrees
_AHEAD, _BEHIND, _ABOVE, _LYING = 45, 135, 30, 60  # degrees


def camera_directions(global_orient: Float[np.ndarray, "people 3"]) -> Float[np.ndarray, "people 3"]:
    """Return unit vectors from people to the camera in their own axes (left, up, forward)."""
    return -np.asarray(axis_angle_to_matrix(global_orient))[:, 2, :]


def azimuth_elevation(
    directions: Float[np.ndarray, "people 3"],
) -> tuple[Float[np.ndarray, " people"], Float[np.ndarray, " people"]]:
    """Return where the camera stands, degrees: azimuth 0 in front, 90 at the left hand; elevation 90 overhead."""
    left, up, forward = directions.T
    return np.degrees(np.arctan2(left, forward)), np.degrees(np.arcsin(np.clip(up, -1, 1)))


def direction_shares(directions: Float[np.ndarray, "people 3"]) -> Float[np.ndarray, "azimuths heights"]:
    """Return the share of people in each cell of the sphere."""
    azimuth, _ = azimuth_elevation(directions)
    limits = ((-180, 180), (-1, 1))
    counts = np.histogram2d(azimuth, np.clip(directions[:, 1], -1, 1), (AZIMUTHS, HEIGHTS), limits)[0]
    return counts / max(counts.sum(), 1)


def direction_cells(samples: Mapping[str, PoseSample]) -> pd.DataFrame:
    """Return the cells of the sphere of each group with an orientation.

    Columns: ``name``, the lower and upper edges ``azimuth``, ``azimuth_to`` (degrees), ``height``, ``height_to`` (sine
    of the elevation), ``share`` of the people.
    """
    azimuths, heights = np.linspace(-180, 180, AZIMUTHS + 1), np.linspace(-1, 1, HEIGHTS + 1)
    columns = ["name", "azimuth", "azimuth_to", "height", "height_to", "share"]
    low, high = (np.meshgrid(azimuths[part], heights[part], indexing="ij") for part in (slice(-1), slice(1, None)))
    edges = {"azimuth": low[0], "azimuth_to": high[0], "height": low[1], "height_to": high[1]}
    parts = [
        pd.DataFrame({"name": name, **{column: values.ravel() for column, values in edges.items()}}).assign(
            share=direction_shares(camera_directions(sample.orients)).ravel()
        )
        for name, sample in samples.items()
        if len(sample.orients)
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def orientation_table(samples: Mapping[str, PoseSample]) -> pd.DataFrame:
    """Return one row a group with an orientation: people looked at, and shares of them.

    ``front``, ``side``, ``back``: the camera stands within 45 degrees of straight ahead or behind, or beside them.
    ``above``, ``below``: more than 30 degrees over or under the equator of the body. ``lying``: the body's up is more
    than 60 degrees from the picture's. ``spread`` is 1 minus the length of the mean direction: 0 for one direction, 1
    for directions from everywhere.
    """
    rows = []
    for name, sample in samples.items():
        if not len(sample.orients):
            continue
        directions = camera_directions(sample.orients)
        azimuth, elevation = azimuth_elevation(directions)
        lean = facing_degrees(sample.orients)[1]
        front, back = np.abs(azimuth) <= _AHEAD, np.abs(azimuth) >= _BEHIND
        shares = {"front": front, "side": ~(front | back), "back": back}
        shares |= {"above": elevation > _ABOVE, "below": elevation < -_ABOVE, "lying": lean > _LYING}
        spread = 1 - float(np.linalg.norm(directions.mean(0)))
        found = {column: float(is_so.mean()) for column, is_so in shares.items()}
        rows.append({"name": name, "people": len(directions), **found, "spread": spread})
    columns = ["name", "people", "front", "side", "back", "above", "below", "lying", "spread"]
    return pd.DataFrame(rows, columns=columns)


def lean_table(samples: Mapping[str, PoseSample]) -> pd.DataFrame:
    """Return how far people lean: ``name``, edges ``lean``, ``lean_to`` (degrees), ``share`` of the people."""
    rows = []
    for name, sample in samples.items():
        if len(sample.orients):
            counts = np.histogram(facing_degrees(sample.orients)[1], LEAN_EDGES)[0]
            shares = (counts / counts.sum()).tolist()
            rows += list(zip([name] * len(shares), LEAN_EDGES[:-1], LEAN_EDGES[1:], shares, strict=True))
    return pd.DataFrame(rows, columns=["name", "lean", "lean_to", "share"])
