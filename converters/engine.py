"""The conversion engine: raw trees in, shards out, whatever the source.

A converter states the facts of its format; everything else happens behind the two calls of this module: listing the
units that are due, running them, resuming, counting everyone, and the verdict at the end.
Killed at any moment, the same call goes on and ends with the same bytes.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import ConversionError
from ..shards.tree import sweep_leftovers, unit_dirs
from ..shards.writer import DEFAULT_SHARD_BYTES
from .check_report import CheckReport
from .logs import append_line, write_report
from .pictures import labels_alone
from .plan import Part, Plan, base_task, list_units, make_plan
from .report import Progress, SplitReport, State, UnitReport, reasons
from .storing import Storing
from .units import UnitTask
from .workers import run_units

# Enough people of each unit to see a wrong convention, few enough to check a source of a thousand units over lunch.
CHECK_PEOPLE = 100

Listener = Callable[[Progress], None]


def convert(
    dataset: str,
    raw: Path,
    out: Path,
    split: str | None = None,
    *,
    jobs: int = 1,
    scheduler: str | None = None,
    options: Mapping[str, str] | None = None,
    limit: int | None = None,
    only: str | None = None,
    progress: Listener | None = None,
    max_shard_bytes: int = DEFAULT_SHARD_BYTES,
    storing: Storing = Storing(),
    part: Part | None = None,
    catalog: bool = True,
) -> list[SplitReport]:
    """Convert a split, or all splits that have files, and return what became of each.

    ``only`` is a unit's name or a pattern of names; ``limit`` takes that many people of each unit; ``storing`` says
    what becomes of the pictures. A ``part`` leaves the other units to other calls, on this machine or another that
    writes into the same folder, and leaves the catalog alone. ConversionError at the end names the units that failed
    and the splits in which too many people were rejected; what is good stays.
    """
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    shared: dict[str, Any] = {"limit": limit, "max_shard_bytes": max_shard_bytes, "storing": storing}
    base = base_task(dataset, out, options, **shared, threads=_threads(jobs, scheduler))
    with labels_alone(storing.images == "none"):
        units = list_units(dataset, raw, split, options or {}, only)
    units = units if part is None else part.of(units)
    sweep_leftovers(out)
    is_whole = only is None and part is None
    plans = [make_plan(base, name, *found, is_whole=is_whole) for name, found in units.items()]
    total = sum(len(plan.due) + len(plan.standing) for plan in plans)
    reports = [_run(plan, jobs, scheduler, _Teller(plan, total, progress)) for plan in plans]
    if catalog and part is None and unit_dirs(out):
        from ..shards.catalog import build_catalog

        build_catalog(out)
    _raise_if_bad(reports, base.bounds.max_reject)
    return reports


def _threads(jobs: int, scheduler: str | None) -> int:
    """Return how many threads of each worker look at pictures, so that all processors of this machine are busy."""
    return max(1, (os.cpu_count() or 1) // jobs) if scheduler is None else 1


@dataclass
class _Teller:
    """Turns reports into progress for the caller and lines for the log."""

    plan: Plan
    total: int
    progress: Listener | None
    last: dict[str, tuple[int, int]] = field(default_factory=dict)

    def say(self, report: UnitReport) -> None:
        """Tell the caller how a unit stands."""
        if self.progress is None:
            return
        message = report.error or report.message
        counts = {"frames": report.frames, "people": report.people, "rejected": report.rejected}
        state: State = report.state
        self.progress(
            Progress(
                self.plan.dataset, self.plan.split, report.unit, state, **counts, total=self.total, message=message
            )
        )

    def look(self, task: UnitTask) -> None:
        """Tell the caller when a unit on another process has moved on."""
        live = task.live.read() or {}
        counts = (live.get("frames", 0), live.get("people", 0))
        if live.get("state") == "running" and self.last.get(task.source.name) != counts:
            self.last[task.source.name] = counts
            self.say(UnitReport(task.source.name, "running", *counts, rejects=live["rejects"], message=task.message))


def _run(plan: Plan, jobs: int, scheduler: str | None, teller: _Teller) -> SplitReport:
    """Run what is due of a split and return its report; Ctrl-C leaves everything to be resumed."""
    start = time.monotonic()
    for report in plan.standing:
        teller.say(report)
    waiting = {task.source.name: task for task in plan.due}
    for task in plan.due:
        _note(task, "queued", teller)
    done: dict[str, UnitReport] = {}
    try:
        for task, report in run_units(plan.due, jobs=jobs, scheduler=scheduler, notify=teller.say, tick=teller.look):
            del waiting[task.source.name]
            done[task.source.name] = report
            append_line(task.out, plan.dataset, plan.split, report)
            teller.say(report)
    except KeyboardInterrupt:
        for task in waiting.values():
            _note(replace(task, message="interrupted; the same command goes on from here"), "queued", teller)
        raise
    units = sorted([*plan.standing, *done.values()], key=lambda unit: unit.unit)
    seconds = time.monotonic() - start
    report = SplitReport(plan.dataset, plan.split, units, seconds, plan.absent, plan.notes)
    if plan.due:
        write_report(plan.due[0].out, report)
    return report


def _note(task: UnitTask, state: State, teller: _Teller) -> None:
    """Write and tell the state of a unit that has no counts yet."""
    report = UnitReport(task.source.name, state, message=task.message)
    task.live.write(report)
    teller.say(report)


def _raise_if_bad(reports: Iterable[SplitReport], max_reject: float) -> None:
    """Raise ConversionError when units failed, people got lost, or too many were rejected."""
    problems = [problem for report in reports for problem in _problems(report, max_reject)]
    if problems:
        raise ConversionError("; ".join(problems))


def _problems(report: SplitReport, max_reject: float) -> list[str]:
    """Return what is wrong with a split, in sentences."""
    name, out = f"{report.dataset} {report.split}", []
    if report.failed:
        failures = " | ".join(f"{unit.unit}: {unit.error}" for unit in report.failed)
        out.append(
            f"{name}: {len(report.failed)} of {len(report.units)} units failed, the others are written and the same "
            f"command tries these again: {failures}"
        )
    rejected = sum(report.rejects.values())
    if report.people_raw != report.people + rejected:
        out.append(
            f"{name}: the raw files hold {report.people_raw} people, {report.people} were written and {rejected} "
            "rejected; convert into an empty folder"
        )
    if report.reject_share > max_reject:
        out.append(
            f"{name}: {rejected} of {report.people_raw} people ({report.reject_share:.1%}) were rejected, the card "
            f"allows {max_reject:.1%} ({reasons(report.rejects)}); the shards stay, rejects.parquet names everyone"
        )
    return out


def check(
    dataset: str,
    raw: Path,
    split: str | None = None,
    limit: int = CHECK_PEOPLE,
    *,
    options: Mapping[str, str] | None = None,
    only: str | None = None,
    storing: Storing = Storing(),
    jobs: int = 1,
    progress: Listener | None = None,
) -> CheckReport:
    """Return what a conversion would find among the first ``limit`` people of each unit; nothing stays on the disk."""
    with tempfile.TemporaryDirectory(prefix="ehps-check-") as folder:
        trial = base_task(
            dataset, Path(folder), options, limit=limit, storing=storing, threads=_threads(jobs, None), is_trial=True
        )
        with labels_alone(storing.images == "none"):
            units = list_units(dataset, raw, split, options or {}, only)
        plans = [make_plan(trial, name, *found, is_whole=only is None) for name, found in units.items()]
        total = sum(len(plan.due) for plan in plans)
        reports = [_run(plan, jobs, None, _Teller(plan, total, progress)) for plan in plans]
    return CheckReport(dataset, reports, trial.bounds)
