"""What the engine measures about every person: pure functions over arrays of people.

Joints and keypoints come in the order of ``SMPLX_JOINTS`` (144), in metres of camera space or pixels of the stored
picture; NaN or a confidence of zero marks what is unknown. A measure that cannot be taken is NaN: it never counts for
or against a person. The bounds that turn a person into a reject stand on the card of the source; the constants here say
when a measure is worth taking and when a unit deserves a warning.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from ..body.joints import LEFT_HAND_21, NUM_BODY_JOINTS, NUM_KINEMATIC_JOINTS, RIGHT_HAND_21, SMPLX_INDEX, mirrored_name
from .boxes import inside, picture_boxes

# A joint nearer than a centimetre is inside the lens: perspective division by it is noise, a label there is a mistake.
MIN_DEPTH_M = 0.01
# Two pairs of limb joints at least: one pair alone is as often ambiguous (a person seen from the side) as telling.
MIN_SWAP_POINTS = 4
# A person fits better with names swapped only by more than this share of the box: in a side view both fit.
SWAP_MARGIN = 0.02
# Annotators swap the sides of single people; a tenth of a unit swapped is a converter's mistake.
MAX_SWAPPED_SHARE = 0.1
# Half of a hand's 20 points: with fewer, a wrong mean can hide in the unlabelled fingers.
MIN_HAND_POINTS = 10
# The convention is one per unit, so a few hundred people settle it; posing them four times takes about a second.
MAX_HAND_PEOPLE = 200
# One person's odd hand proves nothing about a convention.
MIN_HAND_PEOPLE = 5
# Another reading must cut the error by a fifth: a wrong mean bends each finger by tens of degrees and does far more.
HAND_GAIN = 0.8
# A box should hold at least half of the visible body joints; otherwise it is another person's box or another format.
MIN_COVERAGE = 0.5
# One warning about boxes when more than this share of a unit's people lies outside of them.
MAX_UNCOVERED_SHARE = 0.01

_LIMBS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
_LIMB_NAMES = tuple(f"{side}_{limb}" for side in ("left", "right") for limb in _LIMBS)
_SWAP_FROM: Int[np.ndarray, "12"] = np.array([SMPLX_INDEX[name] for name in _LIMB_NAMES])
_SWAP_TO: Int[np.ndarray, "12"] = np.array([SMPLX_INDEX[mirrored_name(name)] for name in _LIMB_NAMES])
HAND_POINTS: dict[str, tuple[int, ...]] = {"left": LEFT_HAND_21, "right": RIGHT_HAND_21}  # wrist first
HAND_READINGS = ("as_stored", "mean_added", "mean_removed", "swapped")
HAND_UNITS = {"2d": "px", "3d": "mm"}  # of the distance to each kind of keypoints


@dataclass(frozen=True)
class HandVerdict:
    """How well the hands of a unit fit their keypoints under each reading of the stored poses (medians)."""

    as_stored: float
    mean_added: float
    mean_removed: float
    swapped: float
    people: int
    unit: str = "px"

    @property
    def best(self) -> str:
        """Return the reading that fits best; the stored one wins unless another is clearly better."""
        errors = {name: getattr(self, name) for name in HAND_READINGS}
        known = {name: error for name, error in errors.items() if np.isfinite(error)}
        best = min(known, key=lambda name: known[name], default="as_stored")
        clear = self.people >= MIN_HAND_PEOPLE and known.get(best, 0.0) < HAND_GAIN * errors["as_stored"]
        return best if clear else "as_stored"

    def warning(self, kind: str) -> str | None:
        """Return what a person should look at, given the kind of keypoints (``2d``, ``3d``); None when all is well."""
        if self.best == "as_stored":
            return None
        return (
            f"hands fit better as {self.best} ({getattr(self, self.best):.1f} {self.unit}) than as stored "
            f"({self.as_stored:.1f} {self.unit}) over {self.people} people with {kind.upper()} hand keypoints: "
            "see the hand convention of the source"
        )

    def to_json(self) -> dict[str, float | int | str | None]:
        """Return the verdict as JSON values; a reading that could not be measured is null."""
        values = {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in asdict(self).items()}
        return {**values, "verdict": self.best}


def row_medians(values: Float[np.ndarray, "people values"], at_least: int = 1) -> Float[np.ndarray, " people"]:
    """Return the median of the finite values of each row; NaN for a row with fewer than ``at_least``."""
    known = np.isfinite(values)
    counts = known.sum(axis=1)
    in_order = np.sort(np.where(known, values, np.inf), axis=1)
    middle = np.stack([np.maximum(counts - 1, 0) // 2, np.minimum(counts // 2, values.shape[1] - 1)], axis=1)
    medians = np.take_along_axis(in_order, middle, axis=1).mean(axis=1)
    return np.where(counts >= max(at_least, 1), medians, np.nan)


def min_depth(joints: Float[np.ndarray, "people 144 3"]) -> Float[np.ndarray, " people"]:
    """Return the depth (m) of the kinematic joint nearest to the camera plane; NaN where no joint is known."""
    depth = joints[:, :NUM_KINEMATIC_JOINTS, 2]
    nearest = np.where(np.isfinite(depth), depth, np.inf).min(axis=1, initial=np.inf)
    return np.where(np.isfinite(nearest), nearest, np.nan)


def is_behind_camera(joints: Float[np.ndarray, "people 144 3"]) -> Bool[np.ndarray, " people"]:
    """Return whether any kinematic joint lies behind the camera or in its lens."""
    return min_depth(joints) < MIN_DEPTH_M


def distance(joints: Float[np.ndarray, "people 144 3"]) -> Float[np.ndarray, " people"]:
    """Return the distance (m) from the camera's centre to the pelvis."""
    return np.linalg.norm(joints[:, 0], axis=1)


def truncation(
    pixels: Float[np.ndarray, "people 144 2"],
    joints: Float[np.ndarray, "people 144 3"],
    sizes: Float[np.ndarray, "people 2"],
) -> Float[np.ndarray, " people"]:
    """Return the share of the 22 body joints that lie outside the picture; NaN without joints or camera."""
    known = np.isfinite(joints[:, :NUM_BODY_JOINTS]).all(axis=(1, 2))
    seen = inside(pixels[:, :NUM_BODY_JOINTS], picture_boxes(sizes))
    has_camera = np.isfinite(pixels).any(axis=(1, 2))
    return np.where(known & has_camera, 1 - seen.mean(axis=1), np.nan)


def point_errors(
    points: Float[np.ndarray, "people points dim"], keypoints: Float[np.ndarray, "people points dim_and_confidence"]
) -> Float[np.ndarray, "people points"]:
    """Return the distance of each point to its labelled place; NaN where the confidence is zero or a point unknown."""
    out = np.full(points.shape[:-1], np.nan)
    rows = np.flatnonzero((keypoints[..., -1] > 0).any(axis=1))
    squares = (points[rows] - keypoints[rows, :, :-1]) ** 2
    errors = np.sqrt(sum(squares[..., axis] for axis in range(squares.shape[-1])))
    out[rows] = np.where(keypoints[rows, :, -1] > 0, errors, np.nan)
    return out


def reprojection_px(
    pixels: Float[np.ndarray, "people 144 2"], keypoints: Float[np.ndarray, "people 144 3"]
) -> Float[np.ndarray, " people"]:
    """Return the median distance (px) of the projected joints to the labelled points."""
    return row_medians(point_errors(pixels, keypoints))


def joint_error_mm(
    joints: Float[np.ndarray, "people 144 3"], keypoints: Float[np.ndarray, "people 144 4"]
) -> Float[np.ndarray, " people"]:
    """Return the mean distance (mm) of the body model's joints to the given 3D points, nothing aligned."""
    errors = point_errors(joints, keypoints)
    known = np.isfinite(errors)
    total = np.where(known, errors, 0).sum(axis=1)
    return np.where(known.any(axis=1), 1000 * total / np.maximum(known.sum(axis=1), 1), np.nan)


def swap_gain(
    pixels: Float[np.ndarray, "people 144 2"],
    keypoints: Float[np.ndarray, "people 144 3"],
    box_side: Float[np.ndarray, " people"],
) -> Float[np.ndarray, " people"]:
    """Return by how much a person would fit better with left and right names swapped, as a share of the box's side.

    Positive means that the swapped names fit better. Only limbs of which both sides are labelled count.
    """
    as_is = point_errors(pixels[:, _SWAP_FROM], keypoints[:, _SWAP_FROM])
    swapped = point_errors(pixels[:, _SWAP_FROM], keypoints[:, _SWAP_TO])
    both = np.isfinite(as_is) & np.isfinite(swapped)
    straight = row_medians(np.where(both, as_is, np.nan), MIN_SWAP_POINTS)
    crossed = row_medians(np.where(both, swapped, np.nan), MIN_SWAP_POINTS)
    return (straight - crossed) / box_side


def hand_residuals(
    points: Float[np.ndarray, "people 144 dim"],
    keypoints: Float[np.ndarray, "people 144 dim_and_confidence"],
    side: str,
) -> Float[np.ndarray, "people 20"]:
    """Return the error of each hand point relative to its wrist; NaN without enough labelled points."""
    wrist, fingers = HAND_POINTS[side][0], list(HAND_POINTS[side][1:])
    shifted = keypoints[:, fingers].copy()
    shifted[..., :-1] -= keypoints[:, [wrist], :-1]
    shifted[..., -1] *= keypoints[:, [wrist], -1] > 0
    errors = point_errors(points[:, fingers] - points[:, [wrist]], shifted)
    enough = np.isfinite(errors).sum(axis=1, keepdims=True) >= MIN_HAND_POINTS
    return np.where(enough, errors, np.nan)


def hand_verdict(
    points: Mapping[str, Float[np.ndarray, "people 144 dim"]],
    keypoints: Float[np.ndarray, "people 144 dim_and_confidence"],
) -> HandVerdict:
    """Return how well the hands fit under each reading, given the joints of every reading: pixels, or metres."""
    is_3d = keypoints.shape[2] == 4
    errors = {
        name: np.concatenate([hand_residuals(points[name], keypoints, side) for side in HAND_POINTS])
        * (1000.0 if is_3d else 1.0)
        for name in HAND_READINGS
    }
    common = _judged_by_all(errors.values())
    if _people_with(common) < MIN_HAND_PEOPLE:  # few have both hands, which can be swapped
        errors["swapped"] = np.full_like(errors["swapped"], np.nan)
        common = _judged_by_all(errors.values())
    medians = {name: _median(error[common]) for name, error in errors.items()}
    return HandVerdict(**medians, people=_people_with(common), unit=HAND_UNITS["3d" if is_3d else "2d"])


def _judged_by_all(errors: Iterable[np.ndarray]) -> Bool[np.ndarray, "hands 20"]:
    """Return the points that every reading that was taken is judged by: with fewer points than others it would win."""
    known = [np.isfinite(error) for error in errors]
    taken = [mask for mask in known if mask.any()]
    return np.all(np.stack(taken or known), axis=0)


def _people_with(points: Bool[np.ndarray, "hands 20"]) -> int:
    """Return how many people have a point of either hand; left hands come first."""
    left, right = np.split(np.any(points, axis=1), 2)
    return int((left | right).sum())


def _median(values: Float[np.ndarray, " values"]) -> float:
    """Return the median to a thousandth, NaN of nothing or of unknown values."""
    return float(np.round(np.median(values), 3)) if len(values) else float("nan")
