"""What a conversion tells: progress while it runs, a report a unit and a split when it ends.

All of them are plain data with ``to_json``; nothing in here prints. Times are in the reports and in the log only: what
is written beside the shards must not change from run to run.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from ..shards.record import Frame, Reject

State = Literal["queued", "running", "done", "failed", "skipped"]
Statistics = Mapping[str, float | int]  # count and quantiles of a measure

# Order and unit of the measures in every table.
MEASURES = {
    "reprojection_px": "px",
    "reprojection_relative": "of the box",
    "joint_error_mm": "mm",
    "swap_gain": "of the box",
    "truncation": "of the joints",
    "occlusion": "of the joints",
    "box_coverage": "of the joints",
    "neutral_shape_mm": "mm",
    "min_depth_m": "m",
    "distance_m": "m",
    "sharpness": "grey levels squared",
}
_QUANTILES = {"p05": 5, "median": 50, "p95": 95, "max": 100}


@dataclass(frozen=True)
class Progress:
    """One step of a conversion: a unit was queued, goes on, ended or was there already."""

    dataset: str
    split: str
    unit: str
    state: State
    frames: int = 0
    people: int = 0
    rejected: int = 0
    total: int = 0  # units of this call
    message: str = ""

    @property
    def text(self) -> str:
        """Return the step in a few words."""
        rejected = f", {self.rejected} rejected" if self.rejected else ""
        counts = f": {self.people} people{rejected}" if self.state != "queued" else ""
        return f"{self.dataset} {self.split} {self.unit}{counts}" + (f" ({self.message})" if self.message else "")

    def to_json(self) -> dict[str, Any]:
        """Return the step as JSON values."""
        return {**vars(self), "text": self.text}


@dataclass(frozen=True)
class UnitReport:
    """What became of one unit."""

    unit: str
    state: State
    frames: int = 0
    people: int = 0
    people_raw: int = 0  # everyone that the converter came across
    rejects: Mapping[str, int] = field(default_factory=dict)  # people by reason
    examples: Mapping[str, str] = field(default_factory=dict)  # the first sentence of each reason
    measures: Mapping[str, Statistics] = field(default_factory=dict)
    hands: Mapping[str, Any] = field(default_factory=dict)  # verdict on the hand convention by 2d and 3d keypoints
    swapped: int = 0  # people whose limbs fit better with left and right swapped
    warnings: Sequence[str] = ()
    seconds: float = 0.0
    error: str = ""
    trace: str = ""  # of an error that is a bug
    message: str = ""  # why a unit was converted again
    values: Mapping[str, array] = field(default_factory=dict)  # of every measure, in a trial only

    @property
    def rejected(self) -> int:
        """Return the number of people left out."""
        return sum(self.rejects.values())

    def facts(self) -> dict[str, Any]:
        """Return what is the same in every run: it stands in ``unit.json`` under ``checks``."""
        names = ("people_raw", "examples", "measures", "hands", "swapped", "warnings")
        return {name: getattr(self, name) for name in names} | {"warnings": list(self.warnings)}

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        speed = round(self.frames / self.seconds, 2) if self.seconds > 0 else None
        values = {**vars(self), "warnings": list(self.warnings), "seconds": round(self.seconds, 3)}
        del values["values"]
        return values | {"rejected": self.rejected, "frames_per_second": speed}


@dataclass(frozen=True)
class SplitReport:
    """What became of one split."""

    dataset: str
    split: str
    units: Sequence[UnitReport]
    seconds: float = 0.0
    absent: str = ""  # why a split that nobody asked for by name has no files
    notes: Sequence[str] = ()  # what concerns the split as a whole

    @property
    def frames(self) -> int:
        """Return the number of frames in shards."""
        return sum(unit.frames for unit in self.units)

    @property
    def people(self) -> int:
        """Return the number of people in shards."""
        return sum(unit.people for unit in self.units)

    @property
    def people_raw(self) -> int:
        """Return the number of people in the raw files of the units that did not fail."""
        return sum(unit.people_raw for unit in self.units)

    @property
    def rejects(self) -> dict[str, int]:
        """Return the people left out, by reason."""
        return total_rejects(self.units)

    @property
    def warnings(self) -> list[str]:
        """Return what a person should look at: of the split, then of each unit."""
        notes = [f"{self.split}: {text}" for text in self.notes]
        return notes + [f"{self.split}/{unit.unit}: {text}" for unit in self.units for text in unit.warnings]

    @property
    def failed(self) -> list[UnitReport]:
        """Return the units that have no shards now."""
        return [unit for unit in self.units if unit.state == "failed"]

    @property
    def reject_share(self) -> float:
        """Return the share of people left out."""
        return sum(self.rejects.values()) / self.people_raw if self.people_raw else 0.0

    def summary(self) -> dict[str, Any]:
        """Return one row of a table for people."""
        return {
            "dataset": self.dataset,
            "split": self.split,
            "units": len(self.units),
            "frames": self.frames,
            "people": self.people,
            "rejected": sum(self.rejects.values()),
            "reasons": reasons(self.rejects),
            "seconds": round(self.seconds, 1),
        }

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        states = dict(Counter(unit.state for unit in self.units))
        return {
            **self.summary(),
            "people_raw": self.people_raw,
            "rejects": self.rejects,
            "states": states,
            "absent": self.absent,
            "warnings": self.warnings,
            "unit_reports": [unit.to_json() for unit in self.units],
        }


def reasons(rejects: Mapping[str, int]) -> str:
    """Return rejects by reason in one line."""
    return ", ".join(f"{reason} {count}" for reason, count in rejects.items())


def total_rejects(units: Iterable[UnitReport]) -> dict[str, int]:
    """Return the people left out by all units, the commonest reason first."""
    total = Counter[str]()
    for unit in units:
        total.update(unit.rejects)
    return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))


def quantiles(values: Mapping[str, array]) -> dict[str, Statistics]:
    """Return count and quantiles of each measure, in a fixed order and to six digits."""
    out = {}
    for name in sorted(values, key=lambda n: (list(MEASURES).index(n) if n in MEASURES else len(MEASURES), n)):
        found = np.percentile(np.asarray(values[name]), list(_QUANTILES.values()))
        numbers = {key: float(f"{value:.6g}") for key, value in zip(_QUANTILES, found, strict=True)}
        out[name] = {"count": len(values[name]), **numbers}
    return out


@dataclass
class Tally:
    """The running sums of a unit."""

    frames: int = 0
    people: int = 0
    people_raw: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    values: dict[str, array] = field(default_factory=dict)  # of doubles: a unit may hold a million people
    unboxed: int = 0

    def add_frame(self, frame: Frame) -> None:
        """Count a written frame's people and their measures."""
        self.frames += 1
        for person in frame.people:
            self.people += 1
            self.unboxed += person.bbox_xyxy is None
            for name, value in person.quality.items():
                self.values.setdefault(name, array("d")).append(value)

    def add_reject(self, reject: Reject) -> None:
        """Count people left out; the first sentence of a reason is kept."""
        self.rejects[reject.reason] += reject.people
        self.examples.setdefault(reject.reason, f"{reject.key}: {reject.detail}")

    def count_above(self, name: str, bound: float) -> int:
        """Return how many people have a measure above a bound."""
        return sum(value > bound for value in self.values.get(name, ()))

    def count_below(self, name: str, bound: float) -> int:
        """Return how many people have a measure below a bound."""
        return sum(value < bound for value in self.values.get(name, ()))

    def measures(self) -> dict[str, Statistics]:
        """Return count and quantiles of each measure."""
        return quantiles(self.values)
