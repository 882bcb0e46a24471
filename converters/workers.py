"""Running units: one after the other, in processes of this machine, or on a Dask cluster (``shards.team``)."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from ..shards.team import Crew, Lost
from .report import UnitReport
from .units import Notify, UnitTask, attempt_unit

Tick = Callable[[UnitTask], None]


def run_units(
    tasks: Sequence[UnitTask], *, jobs: int, scheduler: str | None, notify: Notify | None, tick: Tick
) -> Iterator[tuple[UnitTask, UnitReport]]:
    """Yield every unit with its report as it ends.

    ``tick`` is called every half second for each unit in flight on another process; ``notify`` by the serial executor.
    """
    # None for all executors but the serial one: a function of this process cannot travel.
    work = partial(attempt_unit, notify=notify if jobs == 1 and scheduler is None else None)
    for task, report in Crew(work, jobs, scheduler, tick=tick).run(tasks):
        yield task, _lost(task, report.why) if isinstance(report, Lost) else report


def _lost(task: UnitTask, why: str) -> UnitReport:
    """Return the report of a unit whose worker could not tell what happened."""
    return UnitReport(task.source.name, "failed", error=f"unit {task.source.name} was lost: {why}")
