"""One run of a study from its recipe to its results: what a process here and a worker of a cluster do alike."""

import os
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..benchmark.protocol import load_protocol
from ..benchmark.run import run_protocol
from ..body.models import ENVIRONMENT
from ..errors import EhpsError
from ..training.loop import train
from ..training.predictor import Predictor, load_predictor
from ..training.run_record import latest_checkpoint, step_of, weights_fingerprint
from .runs import Run
from .standing import held, note_failures

Tell = Callable[[str], None]

# Seed and number of threads belong to a whole process, so the threads of a worker do their runs one after the other.
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Task:
    """All that a worker needs for a run; travels by pickle, and its paths mean the same everywhere."""

    study: str
    run: Run
    path: Path  # of the run's folder
    catalog: Path
    results: Path
    protocols: tuple[str, ...]  # that are due
    body_models: Path
    device: str = "auto"
    keeps_predictions: bool = False


@dataclass(frozen=True)
class Report:
    """What became of a run: how many results it wrote, and a sentence for each thing that went wrong."""

    name: str
    scored: int
    problems: tuple[str, ...]


def attempt(task: Task, tell: Tell | None = None) -> Report:
    """Train and score what is due, and return the report: what runs in a worker, so no error may leave it.

    A protocol that fails does not stop the others. Problems are kept in the run's folder until it succeeds.
    """
    problems, scored = list[str](), 0
    with _ONE_AT_A_TIME, _noted(task.run.name, problems), held(task.path), _models_of(task):
        checkpoint = task.run.checkpoint or _trained(task, tell)
        predictor = load_predictor(checkpoint, task.device)
        weights = weights_fingerprint(checkpoint)
        for name in task.protocols:
            with _noted(f"{task.run.name} on {name}", problems):
                _score(task, predictor, name, weights)
                scored += 1
    note_failures(task.path, problems)
    return Report(task.run.name, scored, tuple(problems))


def _score(task: Task, predictor: Predictor, name: str, weights: str) -> None:
    """Write the result of one protocol."""
    places = task.catalog, task.body_models, task.results
    marks = {"study": task.study, "training": weights, "command": f"ehps study run {task.path.parents[1]}"}
    run_protocol(
        predictor, load_protocol(name), *places, keeps_predictions=task.keeps_predictions, advance=None, **marks
    )


def _trained(task: Task, tell: Tell | None) -> Path:
    """Return the last checkpoint of the run, trained or continued as far as it is missing."""
    assert task.run.recipe is not None, "a run trains or takes a checkpoint"
    newest = latest_checkpoint(task.path)
    if newest is not None and step_of(newest) >= task.run.recipe.steps:
        return newest
    report = tell and (lambda status: tell(f"{task.run.name}: {status}"))
    return train(task.run.recipe, task.path, task.catalog, device=task.device, report=report)


@contextmanager
def _noted(what: str, problems: list[str]) -> Iterator[None]:
    """Turn an error into a sentence about what it happened to."""
    try:
        yield
    except EhpsError as error:
        problems.append(f"{what}: {error}")
    except Exception as error:  # noqa: BLE001 a bug in one run must not stop the others; the study fails at its end
        place = traceback.extract_tb(error.__traceback__)[-1]
        problems.append(f"{what}: {type(error).__name__}: {error} ({Path(place.filename).name}, line {place.lineno})")


@contextmanager
def _models_of(task: Task) -> Iterator[None]:
    """Let a worker that was started without body models use those of whoever handed the run out."""
    before = os.environ.get(ENVIRONMENT)
    os.environ[ENVIRONMENT] = before or str(task.body_models)
    try:
        yield
    finally:
        if before is None:
            del os.environ[ENVIRONMENT]
