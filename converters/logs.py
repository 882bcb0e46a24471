"""Small files that say how a conversion goes, for the dashboard and for people: ``OUT/.log``.

``<dataset>-<split>/<unit>.json`` is the state of one unit, rewritten by rename while a worker is at it;
``<dataset>-<split>.jsonl`` gets one line for each unit that ends, in every run;
``<dataset>-<split>.report.json`` is the report of the last run. None of it is needed to read or resume anything.
"""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .report import SplitReport, UnitReport

LOG_DIR = ".log"


@dataclass(frozen=True)
class LiveFile:
    """The state of one unit as a file."""

    path: Path

    @classmethod
    def of(cls, out: Path, dataset: str, split: str, unit: str) -> "LiveFile":
        """Return the live file of a unit."""
        return cls(out / LOG_DIR / f"{dataset}-{split}" / f"{unit}.json")

    def write(self, report: UnitReport) -> None:
        """Replace the state; ``updated`` (seconds since 1970) is the worker's sign of life."""
        _replace(self.path, report.to_json() | {"updated": round(time.time(), 3), "pid": os.getpid()})

    def read(self) -> dict[str, Any] | None:
        """Return the last state; None when there is none."""
        try:
            return json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None


def append_line(out: Path, dataset: str, split: str, report: UnitReport) -> None:
    """Add one finished unit to the log of a split."""
    path = out / LOG_DIR / f"{dataset}-{split}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    line = report.to_json() | {"finished": round(time.time(), 3)}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, sort_keys=True) + "\n")


def write_report(out: Path, report: SplitReport) -> None:
    """Write the report of a split."""
    _replace(out / LOG_DIR / f"{report.dataset}-{report.split}.report.json", report.to_json())


def _replace(path: Path, values: dict[str, Any]) -> None:
    """Write JSON beside its place and rename it there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(json.dumps(values, sort_keys=True) + "\n", encoding="utf-8")
    fresh.rename(path)
