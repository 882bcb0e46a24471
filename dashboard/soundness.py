"""What the engine measured about the people of a source, so that a reader can judge its labels.

Numbers are those of the people who were kept; who was left out for a measure is counted beside it. What a measure means
is told by the catalog, and the bounds stand on the card.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ..cards import Card

_LOW_IS_ODD = ("box_coverage", "min_depth_m", "sharpness")
_REASONS = {"reprojection_px": "reprojection", "joint_error_mm": "joint_error", "min_depth_m": "behind_camera"}
_BOUNDS = {"reprojection_px": "max_reprojection_px", "joint_error_mm": "max_joint_error_mm"}
_PLAIN = ("distance_m", "body_pose_rarity", "hand_pose_rarity")  # say nothing on whether a label is right
_FIRST = ("reprojection_px", "reprojection_relative", "joint_error_mm", "min_depth_m", "swap_gain", "box_coverage")
_UNITS = ("px", "mm", "m")
PREFIX = "quality_"


@dataclass(frozen=True)
class Row:
    """One measure over one split."""

    measure: str  # of the engine, without its prefix
    meaning: str
    split: str
    people: int
    median: float
    odd: float  # nineteen people of twenty are no worse
    worst: float
    bound: float | None  # of the card; who is beyond was left out
    left_out: int | None  # for this measure, in all splits; None: nobody is left out for it

    @property
    def title(self) -> str:
        """The name of the measure with its unit in brackets."""
        name, _, unit = self.measure.rpartition("_")
        return f"{name.replace('_', ' ')} ({unit})" if unit in _UNITS else self.measure.replace("_", " ")

    @property
    def low_is_odd(self) -> bool:
        """Whether small numbers are the suspicious ones."""
        return self.measure in _LOW_IS_ODD


def names_of(columns: Mapping[str, str]) -> tuple[str, ...]:
    """Return the measures that judge labels among the columns of people, which come with their meanings."""
    names = (name.removeprefix(PREFIX) for name in sorted(columns) if name.startswith(PREFIX))
    return tuple(name for name in names if name not in _PLAIN)


def rows(
    spread: pd.DataFrame, meanings: Mapping[str, str], rejected: Mapping[str, int], card: Card | None
) -> list[Row]:
    """Return a row a measure and split; ``spread`` is the table of ``queries.measures``, ``rejected`` counts by reason.

    What tells most comes first.
    """
    found = [_row(fact, meanings, rejected, card) for fact in spread.to_dict("records")]
    return sorted(found, key=lambda row: _FIRST.index(row.measure) if row.measure in _FIRST else len(_FIRST))


def _row(fact: Mapping[str, Any], meanings: Mapping[str, str], rejected: Mapping[str, int], card: Card | None) -> Row:
    name = fact["measure"]
    odd, worst = (fact["p05"], fact["low"]) if name in _LOW_IS_ODD else (fact["p95"], fact["high"])
    return Row(
        measure=name,
        meaning=meanings.get(PREFIX + name, ""),
        split=fact["split"],
        people=fact["people"],
        median=fact["median"],
        odd=odd,
        worst=worst,
        bound=getattr(card.checks, _BOUNDS[name]) if card is not None and name in _BOUNDS else None,
        left_out=rejected.get(_REASONS[name], 0) if name in _REASONS else None,
    )


_READINGS = {
    "as_stored": "as stored",
    "mean_added": "as if the mean hand were still to be added",
    "mean_removed": "as if the mean hand were added twice",
    "swapped": "as if left and right were swapped",
}


def reading(verdict: str) -> str:
    """Return in words how hands fit their keypoints best."""
    return _READINGS.get(verdict, verdict.replace("_", " "))
