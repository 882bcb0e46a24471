"""What a check of a raw tree found, as rows that a person can read: one a split and question, with a verdict.

The questions are those of ``checks``: does the body lie on its keypoints, in its box, in front of the camera, and are
its sides and its hands what they are called. Values of people who would be rejected are not among the figures; how many
they are stands in the verdict.
"""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from ..cards import Checks
from .checks import (
    HAND_READINGS,
    MAX_SWAPPED_SHARE,
    MAX_UNCOVERED_SHARE,
    MIN_COVERAGE,
    MIN_DEPTH_M,
    MIN_HAND_PEOPLE,
    SWAP_MARGIN,
    HandVerdict,
)
from .report import SplitReport, UnitReport

GOOD, NO_BOUND, NOTHING = "good", "no bound", "nothing to compare with"


@dataclass(frozen=True)
class Finding:
    """The answer to one question about the people of a split; without people there are no figures."""

    check: str
    unit: str
    people: int
    median: float | None
    p95: float | None  # 95 % of the people are no worse than this
    worst: float | None
    bound: float | None  # a value beyond it counts against the person
    verdict: str


@dataclass(frozen=True, kw_only=True)
class _Question:
    """How a measure is judged."""

    measure: str
    check: str
    unit: str
    worst: Literal["high", "low"] = "high"
    bound: float | None = None  # None: measured only
    reason: str | None = None  # of the reject that passing the bound means; None: the person stays
    allowed: float = 0.0  # share of the people who may pass a bound without reject
    is_vital: bool = False  # say so when nobody can be asked


def _questions(bounds: Checks) -> Iterator[_Question]:
    """Yield the questions in the order in which they are shown."""
    yield _Question(
        measure="reprojection_px",
        check="distance from the 2D keypoints",
        unit="px",
        bound=bounds.max_reprojection_px,
        reason="reprojection",
        is_vital=True,
    )
    yield _Question(measure="reprojection_relative", check="the same, by the size of the box", unit="share of box")
    yield _Question(
        measure="joint_error_mm",
        check="distance from the 3D keypoints",
        unit="mm",
        bound=bounds.max_joint_error_mm,
        reason="joint_error",
        is_vital=True,
    )
    yield _Question(
        measure="swap_gain",
        check="better if left and right were swapped",
        unit="share of box",
        bound=SWAP_MARGIN,
        allowed=MAX_SWAPPED_SHARE,
        is_vital=True,
    )
    yield _Question(
        measure="box_coverage",
        check="body inside its box",
        unit="share of joints",
        worst="low",
        bound=MIN_COVERAGE,
        allowed=MAX_UNCOVERED_SHARE,
        is_vital=True,
    )
    yield _Question(
        measure="min_depth_m",
        check="nearest joint before the camera",
        unit="m",
        worst="low",
        bound=None if bounds.may_be_behind_camera else MIN_DEPTH_M,
        reason="behind_camera",
        is_vital=True,
    )
    yield _Question(measure="distance_m", check="distance from the camera", unit="m")
    yield _Question(measure="truncation", check="body outside of the picture", unit="share of joints")
    yield _Question(measure="occlusion", check="body hidden by other people", unit="share of joints")
    yield _Question(measure="neutral_shape_mm", check="neutral body from the gendered one", unit="mm")
    yield _Question(measure="sharpness", check="sharpness of the picture", unit="grey levels²", worst="low")


def findings(split: SplitReport, bounds: Checks) -> list[Finding]:
    """Return the answers of a split's people to every question that somebody can be asked."""
    values = pooled(split.units)
    asked = [
        (
            question,
            np.asarray(values.get(question.measure, ()), np.float64),
            split.rejects.get(question.reason or "", 0),
        )
        for question in _questions(bounds)
    ]
    return [
        _finding(question, numbers, rejected)
        for question, numbers, rejected in asked
        if len(numbers) or rejected or (question.is_vital and split.people)
    ]


def pooled(units: Iterable[UnitReport]) -> dict[str, array]:
    """Return the values of every measure over several units."""
    everyone: dict[str, array] = {}
    for unit in units:
        for name, values in unit.values.items():
            everyone.setdefault(name, array("d")).extend(values)
    return everyone


def _finding(question: _Question, values: np.ndarray, rejected: int) -> Finding:
    """Return the answer to a question from the values of the people who stay."""
    ranks = (50, 95, 100) if question.worst == "high" else (50, 5, 0)
    found = [float(f"{value:.6g}") for value in np.percentile(values, ranks)] if len(values) else [None] * 3
    median, p95, worst = found
    verdict = _verdict(question, values, rejected)
    return Finding(question.check, question.unit, len(values), median, p95, worst, question.bound, verdict)


def _verdict(question: _Question, values: np.ndarray, rejected: int) -> str:
    """Return in a word or two whether the people pass."""
    if not len(values) and not rejected:
        return NOTHING
    if question.bound is None:
        return NO_BOUND
    if question.reason is not None:
        return f"{rejected} rejected" if rejected else GOOD
    passing = values > question.bound if question.worst == "high" else values < question.bound
    return GOOD if passing.mean() <= question.allowed else f"look: {passing.mean():.0%} of the people"


_READ_AS = {
    "as_stored": "as stored",
    "mean_added": "mean hand added",
    "mean_removed": "mean hand removed",
    "swapped": "hands swapped",
}


class HandGroup(NamedTuple):
    """Units whose hands read alike."""

    kind: str  # of keypoints: 2d or 3d
    are_small: bool  # each of too few people to tell anything alone
    verdict: HandVerdict


def hand_groups(split: SplitReport) -> list[HandGroup]:
    """Return the verdicts on a split's hands, one for each way in which its units read.

    Units of too few people to tell anything alone are judged together.
    """
    units: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    small: dict[str, list[Mapping[str, Any]]] = {}
    for unit in split.units:
        for kind, found in unit.hands.items():
            is_small = found["people"] < MIN_HAND_PEOPLE
            (small.setdefault(kind, []) if is_small else units.setdefault((kind, found["verdict"]), [])).append(found)
    alone = {kind: _together(some) for kind, some in small.items()}
    for kind, verdict in list(alone.items()):
        if (kind, verdict.best) in units:
            units[kind, verdict.best] += small[kind]
            del alone[kind]
    groups = [HandGroup(kind, False, _together(some)) for (kind, _), some in units.items()]
    return sorted(groups + [HandGroup(kind, True, verdict) for kind, verdict in alone.items()], key=lambda g: g.kind)


def _together(units: Sequence[Mapping[str, Any]]) -> HandVerdict:
    """Return one verdict over several units: their medians, averaged over their people."""
    people = np.array([unit["people"] for unit in units])

    def mean(reading: str) -> float:
        errors = np.array([unit[reading] for unit in units], np.float64)  # None becomes NaN
        known = np.isfinite(errors)
        return float(np.average(errors[known], weights=people[known])) if known.any() else float("nan")

    errors = {reading: mean(reading) for reading in HAND_READINGS}
    return HandVerdict(**errors, people=int(people.sum()), unit=units[0]["unit"])


def hand_rows(split: SplitReport) -> list[dict[str, Any]]:
    """Return how far hands are from their keypoints under each reading, as columns for people."""
    return [_hand_row(kind, verdict) for kind, _, verdict in hand_groups(split)]


def _hand_row(kind: str, verdict: HandVerdict) -> dict[str, Any]:
    """Return one row."""
    fits = GOOD if verdict.best == "as_stored" else f"look: fits with {_READ_AS[verdict.best]}"
    values = verdict.to_json()
    return {
        "distance from": f"{kind.upper()} keypoints, {verdict.unit}",
        "people": verdict.people,
        **{_READ_AS[reading]: values[reading] for reading in HAND_READINGS},
        "verdict": fits if verdict.people >= MIN_HAND_PEOPLE else "too few people to tell",
    }
