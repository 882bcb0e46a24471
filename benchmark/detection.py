"""Who was found: matching predicted people with true ones in a picture, as the AGORA evaluation does it.

The official evaluation (Patel et al., CVPR 2021; agora_evaluation, matching.py) has habits that change numbers. Each is
a named switch of ``MatchingQuirks``; ``OFFICIAL`` has them all, so that its F1 is met exactly, ``PLAIN`` has none.
Keypoints are (joints, 2) in px of the picture, the first 24 of both sides in the order of SMPL.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

MIN_IOU = 0.1
NUM_MATCHED_JOINTS = 24


@dataclass(frozen=True)
class MatchingQuirks:
    """What the official matching does beyond the obvious."""

    spectral_norm: bool
    """Pairs are ranked by the largest singular value of their 24x2 differences; else by the mean distance."""

    early_stop: bool
    """A cheap pair that does not overlap uses up a prediction, so that good pairs behind it may never be looked at."""

    invalid_frees_prediction: bool
    """A prediction on an invalid person stays free and becomes a false positive; else both are ignored."""


OFFICIAL = MatchingQuirks(spectral_norm=True, early_stop=True, invalid_frees_prediction=True)
PLAIN = MatchingQuirks(spectral_norm=False, early_stop=False, invalid_frees_prediction=False)


class Matching(NamedTuple):
    """Who is whom in one picture, as positions in the lists of predicted and of true people."""

    pairs: tuple[tuple[int, int], ...]  # (predicted, true)
    false_positives: tuple[int, ...]  # predicted
    misses: tuple[int, ...]  # true and valid
    ignored: tuple[int, ...]  # true and not valid


def match_people(
    predicted: Sequence[Float[np.ndarray, "_ 2"]],
    truth: Sequence[Float[np.ndarray, "_ 2"]],
    valid: Bool[np.ndarray, " true"],
    *,
    quirks: MatchingQuirks = OFFICIAL,
    min_iou: float = MIN_IOU,
) -> Matching:
    """Return the greedy matching of one picture: the cheapest pair first, if the boxes of its keypoints overlap.

    ValueError names a person whose keypoints hold a NaN.
    """
    _require_finite(predicted, truth)
    costs = pair_costs(predicted, truth, spectral=quirks.spectral_norm)
    overlaps = box_overlaps([keypoint_box(points) for points in predicted], [keypoint_box(points) for points in truth])
    pairs, excused = _greedy(costs, overlaps >= min_iou, valid, quirks)
    matched = {"predicted": {p for p, _ in pairs} | excused, "true": {t for _, t in pairs}}
    missed = [t for t in range(len(truth)) if t not in matched["true"]]
    return Matching(
        pairs=tuple(pairs),
        false_positives=tuple(p for p in range(len(predicted)) if p not in matched["predicted"]),
        misses=tuple(t for t in missed if valid[t]),
        ignored=tuple(t for t in missed if not valid[t]),
    )


def _greedy(
    costs: np.ndarray, overlap: np.ndarray, valid: np.ndarray, quirks: MatchingQuirks
) -> tuple[list[tuple[int, int]], set[int]]:
    """Return the matched pairs and the predictions that belong to invalid people."""
    free_predicted, free_true = (np.ones(length, bool) for length in costs.shape)
    pairs, excused, refused = [], set(), 0
    # Equal costs keep the order in which pairs are listed, as the official search for the minimum does.
    for pair in np.argsort(costs, axis=None, kind="stable"):
        if not free_true.any() or refused >= free_predicted.sum():
            break
        p, t = (int(position) for position in np.unravel_index(pair, costs.shape))
        if overlap[p, t] and not (free_predicted[p] and free_true[t]):
            continue
        if not overlap[p, t]:
            refused += quirks.early_stop
            # The official evaluation sets an invalid person aside whether or not the prediction overlaps.
            free_true[t] &= bool(valid[t]) or not quirks.invalid_frees_prediction
            continue
        free_true[t] = False
        if valid[t]:
            pairs.append((p, t))
        elif not quirks.invalid_frees_prediction:
            excused.add(p)
        free_predicted[p] = not valid[t] and quirks.invalid_frees_prediction
    return pairs, excused


def pair_costs(
    predicted: Sequence[Float[np.ndarray, "_ 2"]], truth: Sequence[Float[np.ndarray, "_ 2"]], *, spectral: bool
) -> Float[np.ndarray, "predicted true"]:
    """Return how far apart (px) the first 24 joints of each pair are: spectral norm, or mean distance."""
    costs = np.zeros((len(predicted), len(truth)))
    for p, some in enumerate(predicted):
        for t, others in enumerate(truth):
            step = some[:NUM_MATCHED_JOINTS] - others[:NUM_MATCHED_JOINTS]
            costs[p, t] = np.linalg.norm(step, 2) if spectral else np.linalg.norm(step, axis=1).mean()
    return costs


def keypoint_box(points: Float[np.ndarray, "_ 2"]) -> Float[np.ndarray, "4"]:
    """Return the tight box of all keypoints of a person (x0, y0, x1, y1 in px)."""
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def box_overlaps(
    some: Sequence[Float[np.ndarray, "4"]], others: Sequence[Float[np.ndarray, "4"]]
) -> Float[np.ndarray, "some others"]:
    """Return the intersection over union of each pair of boxes; both border pixels belong to a box, as in AGORA."""
    a, b = (np.array(boxes, np.float64).reshape(-1, 4) for boxes in (some, others))
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.maximum(high - low + 1, 0), axis=-1)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2] + 1, axis=-1) for boxes in (a, b)]
    return shared / (areas[0][:, None] + areas[1][None] - shared)


class DetectionScores(NamedTuple):
    """How many were found (0 to 1)."""

    precision: float
    recall: float
    f1: float


def detection_scores(found: int, false_positives: int, misses: int, *, decimals: int | None = 2) -> DetectionScores:
    """Return precision, recall and F1; zero where nobody was asked, as the AGORA evaluation has it.

    AGORA rounds each to two decimals before it divides errors by them; None keeps all digits.
    """

    def share(of: float) -> float:
        value = found / of if of else 0.0
        return value if decimals is None else round(value, decimals)

    return DetectionScores(
        share(found + false_positives), share(found + misses), share(found + 0.5 * (false_positives + misses))
    )


def _require_finite(predicted: Sequence[np.ndarray], truth: Sequence[np.ndarray]) -> None:
    for side, people in (("predicted", predicted), ("true", truth)):
        for number, points in enumerate(people):
            if not np.isfinite(points).all():
                raise ValueError(f"{side} person {number} has keypoints with NaN or infinity, expected finite px")
