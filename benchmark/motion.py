"""Errors over time: how far the accelerations of joints are off, and how much predicted joints tremble.

Accelerations are second differences from picture to picture (mm a squared frame), as HMMR and VIBE measure them
(Kanazawa et al., CVPR 2019); multiplied by the squared rate of the pictures they are mm a squared second. Jitter is
EMDB's: third differences of the prediction alone. Both are of joints relative to a root, because a model that sees a
crop does not know where the body stands. Neighbours in time may lie in different batches, so the joints of everyone are
kept (``Tracks``) until all are there: 1.2 kB a person.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from array_api_compat import array_namespace
from jaxtyping import Float, Int

from .align import root_align
from .curves import known_mean
from .distances import distances
from .interface import BenchmarkPerson
from .measures import Measure
from .sides import Side

# EMDB's evaluation_metrics.py: pelvis, ankles, feet, wrists and hands are set to zero and take part in the mean.
_STILL = (0, 7, 8, 10, 11, 20, 21, 22, 23)
_RATE = 30  # pictures a second of EMDB
_PART = "body"


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
    for run in _runs(tracks, frames):
        out[run] = acceleration_error(predicted[run], truth[run])
    return out


def jitter(points: Float[np.ndarray, "frames 24 3"]) -> Float[np.ndarray, " frames"]:
    """Return the mean length of the third differences of SMPL's 24 joints (m) at 30 pictures a second (10 m/s^3).

    The pelvis of each picture is at the origin, and nine joints count as still. Each value belongs to four pictures and
    stands at the second of them; the others have NaN.
    """
    local = root_align(points, points[:, 0])
    local[:, _STILL] = 0.0
    out = np.full(len(points), np.nan)
    if len(points) > 3:
        out[1:-2] = np.linalg.norm(np.diff(local, n=3, axis=0) * _RATE**3, axis=-1).mean(axis=-1) / 10
    return out


def jitters(
    predicted: Float[np.ndarray, "people 24 3"], tracks: Sequence[str], frames: Int[np.ndarray, " people"]
) -> Float[np.ndarray, " people"]:
    """Return the jitter of everyone of some tracks, in any order; NaN where one of the four pictures is missing."""
    out = np.full(len(predicted), np.nan)
    for run in _runs(tracks, frames):
        out[run] = jitter(predicted[run])
    return out


def _runs(tracks: Sequence[str], frames: Int[np.ndarray, " people"]) -> Iterator[Int[np.ndarray, " run"]]:
    """Yield the rows of one track in successive frames, in the order of time."""
    names = np.asarray(tracks)
    order = np.lexsort((frames, names))
    is_new = (names[order[1:]] != names[order[:-1]]) | (np.diff(frames[order]) != 1)
    yield from np.split(order, np.flatnonzero(is_new) + 1) if len(order) else ()


class Tracks:
    """The joints of everyone who was seen so far, for measures of motion."""

    def __init__(self, measures: Sequence[Measure]) -> None:
        self._measures = [measure for measure in measures if measure.family == "motion"]
        self._people: list[BenchmarkPerson] = []
        self._joints: list[tuple[np.ndarray, np.ndarray]] = []

    @property
    def are_wanted(self) -> bool:
        """Return whether there is anything to measure."""
        return bool(self._measures)

    def add(self, people: Sequence[BenchmarkPerson], sides: tuple[Side, Side]) -> None:
        """Keep the joints of some people, of whom only those with a body and a place in a track count."""
        moving = [row for row, own in enumerate(people) if own.has_body and own.track and own.frame_index is not None]
        if moving:
            rooted = [np.asarray(root_align(s.points(_PART, "joints24"), s.root(_PART, "joints24"))) for s in sides]
            self._people += [people[row] for row in moving]
            self._joints.append((rooted[0][moving], rooted[1][moving]))

    def values(self) -> pd.DataFrame:
        """Return each measure of motion by the key of the person; NaN without the neighbours in time."""
        keys = [person.person_key for person in self._people]
        out = pd.DataFrame(
            index=pd.Index(keys, dtype=object), columns=[own.name for own in self._measures], dtype=float
        )
        if len(keys):
            tracks = [person.track or "" for person in self._people]
            frames = np.array([person.frame_index for person in self._people], np.int64)
            predicted, truth = (np.concatenate(joints) for joints in zip(*self._joints, strict=True))
            if "ACC" in out:
                out["ACC"] = acceleration_errors(predicted, truth, tracks, frames)
            if "jitter" in out:
                out["jitter"] = jitters(predicted, tracks, frames)
        return out
