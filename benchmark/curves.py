"""Shares of points that are near enough: PCK, the area under its curve, and F-scores; numpy or torch.

Distances are (people, points), in any unit that the thresholds share; NaN marks a point that is not labelled and does
not count, and a person without any gets NaN. A distance equal to the threshold is within it for PCK (official FreiHAND
and 3DPW challenge evaluations), and outside of it for F-scores (Open3D's comparison in FreiHAND's).
"""

from typing import Any, Literal

import numpy as np
from array_api_compat import array_namespace
from jaxtyping import Bool, Float
from scipy.spatial import KDTree

from .align import root_align


def known_mean(values: Float[Any, "*people points"]) -> Float[Any, "*people"]:
    """Return the mean of the values that are not NaN; NaN where there is none."""
    xp = array_namespace(values)
    known = ~xp.isnan(values)
    count = xp.sum(xp.astype(known, values.dtype), axis=-1)
    total = xp.sum(xp.where(known, values, xp.zeros_like(values)), axis=-1)
    return xp.where(count > 0, total / xp.where(count > 0, count, 1.0), xp.nan)


def pck(distances: Float[Any, "*people points"], threshold: float) -> Float[Any, "*people"]:
    """Return the share of each person's points that are at most ``threshold`` away (0 to 1)."""
    xp = array_namespace(distances)
    hits = xp.astype(distances <= threshold, distances.dtype)
    return known_mean(xp.where(xp.isnan(distances), distances, hits))


def pck_curve(distances: Float[Any, "people points"], thresholds: Float[np.ndarray, " steps"]) -> np.ndarray:
    """Return (people, steps) shares at rising thresholds."""
    return np.stack([np.asarray(pck(distances, float(threshold))) for threshold in thresholds], axis=-1)


def auc(distances: Float[Any, "*people points"], low: float, high: float, steps: int) -> Float[Any, "*people"]:
    """Return the area under the PCK curve between two thresholds, as a share of the whole (0 to 1).

    ``steps`` evenly spaced thresholds, trapezoids between them. FreiHAND: 0 to 50 mm in 100 steps; the 3DPW challenge:
    0 to 199 mm in 200. The area of a set of people is the mean of theirs.
    """
    xp = array_namespace(distances)
    ends = 0.5 * (pck(distances, low) + pck(distances, high))
    inside = xp.zeros_like(ends)
    for threshold in np.linspace(low, high, steps)[1:-1]:
        inside = inside + pck(distances, float(threshold))
    return (ends + inside) / (steps - 1)


def f_score(
    predicted: Float[Any, "people points 3"], truth: Float[Any, "people others 3"], threshold: float
) -> Float[np.ndarray, " people"]:
    """Return the harmonic mean of precision and recall of two clouds, point to nearest point (0 to 1).

    A point counts when the nearest of the other cloud is closer than ``threshold`` (in the unit of the points).
    """
    return np.array(
        [_f_score(*pair, threshold) for pair in zip(as_numpy(predicted), as_numpy(truth), strict=True)], float
    )


def _f_score(predicted: np.ndarray, truth: np.ndarray, threshold: float) -> float:
    if not len(predicted) or not len(truth):
        return np.nan
    precision = _near(predicted, truth, threshold).mean()
    recall = _near(truth, predicted, threshold).mean()
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _near(points: np.ndarray, others: np.ndarray, threshold: float) -> Bool[np.ndarray, " points"]:
    distances, _ = KDTree(others).query(points, distance_upper_bound=np.nextafter(threshold, np.inf))
    return distances < threshold


def keypoints_pck(
    predicted: Float[Any, "people points 2"],
    truth: Float[Any, "people points 2"],
    sizes: Float[Any, " people"],
    share: float,
) -> Float[Any, "people"]:
    """Return the share of 2D keypoints within ``share`` times the person's size; NaN in the truth is not labelled.

    The protocol says what the size is: the longer side of the box for COCO and LSP-Extended (Goel et al., ICCV 2023).
    """
    xp = array_namespace(predicted, truth, sizes)
    step = predicted - truth
    distances = xp.sqrt(step[..., 0] ** 2 + step[..., 1] ** 2)
    return pck(distances / sizes[:, None], share)


def box_sizes(
    boxes_xyxy: Float[Any, "people 4"], side: Literal["longer", "diagonal"] = "longer"
) -> Float[Any, "people"]:
    """Return the longer side or the diagonal of boxes (px)."""
    xp = array_namespace(boxes_xyxy)
    extents = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    return xp.max(extents, axis=1) if side == "longer" else xp.sqrt(xp.sum(extents**2, axis=1))


def relative_root_error(
    predicted_roots: tuple[Float[Any, "people 3"], Float[Any, "people 3"]],
    true_roots: tuple[Float[Any, "people 3"], Float[Any, "people 3"]],
) -> Float[Any, "people"]:
    """Return how far the place of the first root as seen from the second is off (MRRPE, in the unit of the points)."""
    xp = array_namespace(*predicted_roots, *true_roots)
    predicted, truth = (root_align(first[:, None], second)[:, 0] for first, second in (predicted_roots, true_roots))
    return xp.sqrt(xp.sum((predicted - truth) ** 2, axis=-1))


def as_numpy(values: Any) -> np.ndarray:
    """Return an array or tensor as a numpy array on the processor."""
    return np.asarray(values.cpu() if hasattr(values, "cpu") else values)
