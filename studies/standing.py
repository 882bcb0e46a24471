"""How the runs of a study stand, told from the files that training and scoring leave behind and from nothing else.

A training is through when its folder holds the checkpoint of the last step of the same recipe on the same data. A cell
is through when its result is there, of the newest version of the protocol, on the shards as they are now, and of this
very checkpoint. Files appear by renames, so what was being written when a run was killed does not count.
"""

import fcntl
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..benchmark.people import shard_fingerprint
from ..benchmark.protocol import Protocol, load_protocol
from ..benchmark.results import Result, read_result, result_path
from ..errors import EhpsError, StudyError
from ..training.mixture import people_of
from ..training.run_record import latest_checkpoint, step_of, weights_fingerprint, why_another
from .declaration import Study
from .runs import Run, runs_of

RUNS, LOCK, FAILURE = "runs", ".lock", "failure.txt"
State = Literal["waits", "running", "stopped", "trained", "done", "blocked"]
_PATIENCE = 1.0  # seconds; whoever only looks whether a run is held lets go at once


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How far a run is."""

    run: Run
    path: Path  # of its folder
    step: int  # that training has reached
    people: int | None  # different ones that it is trained on; None: unknown or nothing is trained
    due: Mapping[str, str] = field(default_factory=dict)  # protocols to be scored, and why once more
    scored: tuple[str, ...] = ()
    problem: str | None = None  # why it cannot go on
    is_held: bool = False  # by a process that works at it
    failure: str | None = None  # what went wrong when it was tried last
    people_per_s: float | None = None  # of its training

    @property
    def steps(self) -> int:
        """The steps of the training."""
        return self.run.recipe.steps if self.run.recipe else 0

    @property
    def people_left(self) -> int:
        """How many people training still has to see, again and again."""
        return (self.steps - self.step) * self.run.recipe.batch_size if self.run.recipe else 0

    @property
    def is_due(self) -> bool:
        """Whether there is something to do that can be done."""
        return self.problem is None and bool(self.due or self.step < self.steps)

    @property
    def remarks(self) -> list[str]:
        """Return what somebody should know of it, a sentence each."""
        again = [f"{protocol} {why}; it is scored again" for protocol, why in self.due.items() if why]
        failed = [f"failed when it was tried last: {self.failure}"] if self.failure and self.is_due else []
        return ([self.problem] if self.problem else []) + again + failed

    def facts(self) -> dict[str, Any]:
        """Return how the run stands as JSON values."""
        names = ("step", "steps", "people", "people_left", "scored", "problem", "failure", "people_per_s")
        run = {"run": self.run.name, "model": self.run.model, "revision": self.run.revision, "state": self.state}
        return run | {name: getattr(self, name) for name in names} | {"due": list(self.due), "path": str(self.path)}

    @property
    def state(self) -> State:
        """The state in a word: "stopped" is a training, "trained" a scoring that goes on where it was."""
        if self.problem or self.is_held:
            return "running" if self.is_held else "blocked"
        if not self.is_due:
            return "done"
        if self.step < self.steps:
            return "stopped" if self.step else "waits"
        return "trained" if self.steps or self.scored else "waits"


def standings(study: Study, folder: Path) -> list[Standing]:
    """Return how every run of a study stands."""
    protocols = [load_protocol(name) for name in study.protocols]
    shards = {protocol.id: shard_fingerprint(study.catalog, protocol) for protocol in protocols}
    return [standing(run, study, folder, protocols, shards) for run in runs_of(study)]


def standing(run: Run, study: Study, folder: Path, protocols: list[Protocol], shards: Mapping[str, str]) -> Standing:
    """Return how one run stands; ``shards`` has the fingerprint of each protocol's data."""
    path = folder / RUNS / run.name
    checkpoint = run.checkpoint or latest_checkpoint(path)
    step = step_of(checkpoint) if checkpoint and run.recipe else 0
    people, problem = _training_of(run, study, path, has_begun=bool(step))
    is_trained = run.recipe is None or step >= run.recipe.steps
    due = dict[str, str]()
    for protocol in protocols:
        place = result_path(study.results, run.model, run.revision, protocol.id)
        why = why_due(place, protocol, shards[protocol.id], checkpoint) if checkpoint and is_trained else ""
        if why is not None:
            due[protocol.id] = why
    return Standing(
        run=run,
        path=path,
        step=step,
        people=people,
        due=due,
        scored=tuple(protocol.id for protocol in protocols if protocol.id not in due),
        problem=problem,
        is_held=is_held(path),
        failure=last_failure(path),
        people_per_s=last_rate(path),
    )


def _training_of(run: Run, study: Study, path: Path, *, has_begun: bool) -> tuple[int | None, str | None]:
    """Return how many different people a run trains on, and why it cannot, or not any more, be trained so."""
    if run.recipe is None:
        return None, None
    try:
        mixed = people_of(run.recipe, study.catalog)
        why = why_another(path, run.recipe, mixed.fingerprint) if has_begun else None
    except EhpsError as error:
        return None, str(error)
    return mixed.num_people, why and f"{path} holds {why}; delete it, or give the study another folder and name"


def why_due(path: Path, protocol: Protocol, shards: str, checkpoint: Path) -> str | None:
    """Return why a cell has to be scored: "" where nothing is there, None where what is there stands."""
    if not path.is_file():
        return ""
    try:
        result: Result = read_result(path)
    except EhpsError as error:
        return str(error)
    if result.protocol_version != protocol.version:
        return f"was scored under version {result.protocol_version} of the protocol, which is {protocol.version} now"
    if result.shard_fingerprint != shards:
        return f"was scored on other shards of {protocol.dataset} {protocol.split} than there are now"
    if result.training != weights_fingerprint(checkpoint):
        return "was scored with other weights than there are now"
    return None


def left(found: Sequence[Standing]) -> str:
    """Return what is left to do in a sentence, with the time that it takes one process here where that is known."""
    runs = [one for one in found if one.is_due]
    people, cells = (sum(one.people_left for one in runs), sum(len(one.due) for one in runs))
    if not runs:
        return "nothing is left to do" if all(one.state == "done" for one in found) else "nothing can be done now"
    rates = [one.people_per_s for one in found if one.people_per_s]
    hours = people / (sum(rates) / len(rates)) / 3600 if rates else None
    time_ = "" if hours is None or not people else f", {hours:.2g} h of training at the rate so far"
    return f"left: {len(runs)} of {len(found)} runs, {people:,} people to train on, {cells} results to score{time_}"


def last_rate(path: Path) -> float | None:
    """Return the people a second of a training's last report; None before there is one."""
    log = path / "log.jsonl"
    lines = log.read_text(encoding="utf-8").split("\n")[:-1] if log.is_file() else []
    return json.loads(lines[-1])["people_per_s"] if lines else None


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Keep other processes from a run's folder; the lock ends with this process, however it ends."""
    path.mkdir(parents=True, exist_ok=True)
    last = time.monotonic() + _PATIENCE
    with (path / LOCK).open("w") as lock:
        while not _locked(lock.fileno(), fcntl.LOCK_EX):
            if time.monotonic() > last:
                raise StudyError(f"another process works in {path}; wait for it, or stop it")
            time.sleep(_PATIENCE / 10)
        yield


def is_held(path: Path) -> bool:
    """Return whether a process works in a run's folder."""
    if not (path / LOCK).is_file():
        return False
    with (path / LOCK).open() as lock:
        return not _locked(lock.fileno(), fcntl.LOCK_SH)


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def last_failure(path: Path) -> str | None:
    """Return what went wrong with a run when it was tried last."""
    place = path / FAILURE
    return " | ".join(place.read_text(encoding="utf-8").splitlines()) if place.is_file() else None


def note_failures(path: Path, problems: Sequence[str]) -> None:
    """Keep what went wrong in a run's folder for whoever looks later; nothing went wrong: forget it."""
    place = path / FAILURE
    if problems:
        place.write_text("\n".join(problems) + "\n", encoding="utf-8")
    else:
        place.unlink(missing_ok=True)
