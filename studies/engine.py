"""Carrying out a study: what is due is handed to this process, to several, or to a Dask cluster (``shards.team``).

Killed at any moment, the same call goes on: trainings from their checkpoints, with what is scored left as it is.
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ..body.models import require_model_dir
from ..errors import StudyError
from ..shards.team import Crew, Lost
from .declaration import Study
from .standing import Standing, standings
from .work import Report, Task, Tell, attempt

Listener = Callable[[Report], None]


def carry_out(
    study: Study,
    folder: Path,
    *,
    jobs: int = 1,
    scheduler: str | None = None,
    device: str = "auto",
    tell: Tell | None = None,
    ended: Listener | None = None,
) -> list[Standing]:
    """Do all runs of a study that are due and can be done, and return how all of them stand then.

    ``scheduler`` is the address of a Dask cluster whose workers see the same files under the same paths; without one,
    ``jobs`` processes share the processors of this machine. ``ended`` hears of each run when it is over, ``tell`` of
    the progress of runs in this process. StudyError at the end has a sentence for everything that went wrong.
    """
    before = standings(study, folder)
    due = [one for one in before if one.is_due and not one.is_held]
    tasks = [task_of(one, study, device) for one in due]
    # A function of this process cannot travel.
    work = partial(attempt, tell=tell if jobs == 1 and scheduler is None else None)
    problems = [f"{one.run.name}: {one.problem}" for one in before if one.problem]
    problems += [f"{one.run.name}: another process works at it" for one in before if one.is_held and not one.problem]
    for task, answer in Crew(work, jobs, scheduler, threads=max(1, (os.cpu_count() or 1) // jobs)).run(tasks):
        report = Report(task.run.name, 0, (f"{task.run.name}: {answer.why}",)) if isinstance(answer, Lost) else answer
        problems += report.problems
        if ended is not None:
            ended(report)
    if problems:
        raise StudyError(_summary(study, problems))
    return standings(study, folder)


def task_of(standing: Standing, study: Study, device: str) -> Task:
    """Return what is due of a run as a worker takes it."""
    return Task(
        study=study.name,
        run=standing.run,
        path=standing.path,
        catalog=study.catalog,
        results=study.results,
        protocols=tuple(standing.due),
        body_models=require_model_dir().resolve(),
        device=device,
        keeps_predictions=study.keeps_predictions,
    )


def _summary(study: Study, problems: list[str]) -> str:
    """Return all problems as one sentence that says what to do next."""
    things = "1 thing" if len(problems) == 1 else f"{len(problems)} things"
    return (
        f"study {study.name}: {things} went wrong, the rest is done and stays; the same command tries again: "
        f"{' | '.join(problems)}"
    )
