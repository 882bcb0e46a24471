"""What a training run leaves on disk; without torch, so that whoever only looks at runs starts fast.

``recipe.json``: the resolved recipe. ``run.json``: data, body model, weights it started from, software and machine.
``log.jsonl``: one line each time the run reports. ``tensorboard/``: the same numbers as event files.
``first_batch.png``: the first crops with their labels drawn. ``checkpoints/<step>.pt``: the state after a step; the
newest few stay. ``failed.json``: what stopped the run, until it goes on. A run that is continued must have the same
recipe (but for what does not change the numbers), the same data, and have started from the same weights.
"""

import fcntl
import hashlib
import json
import platform
import zipfile
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, TextIO

from .. import __version__
from ..body.models import is_standin, model_fingerprint, require_model_dir
from ..errors import CheckpointError, EhpsError, RecipeError
from ..shards.digest import file_digest
from .recipe import FREE_ON_RESUME, Recipe, recipe_from_dict, recipe_to_dict
from .status import Status

CHECKPOINTS, LOG, FAILED, LOCK = "checkpoints", "log.jsonl", "failed.json", ".training"
STARTS = ("start_from", "vitpose")  # fields of a recipe that name a file of weights


class RunFolder:
    """The folder of one training run; only the main rank writes, and as a context it keeps other processes out.

    What stops a run that has begun leaves its words in ``failed.json``.
    """

    def __init__(self, out_dir: Path, *, is_writer: bool = True) -> None:
        self.path, self.is_writer = Path(out_dir), is_writer
        self.step = 0
        """The step that the run is at; told when it fails."""
        self._events: Any = None
        self._lock: TextIO | None = None
        self._has_begun = False

    def __enter__(self) -> "RunFolder":
        """Keep other processes from training here; RecipeError where one does. The lock ends with this process."""
        if self.is_writer:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = (self.path / LOCK).open("w")
            try:
                fcntl.flock(self._lock.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                self._lock.close()
                raise RecipeError(f"another process trains in {self.path}; wait for it, or stop it") from error
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Say what stopped the run, if it has begun, and let others in."""
        if isinstance(error, Exception) and self._has_begun and self.is_writer:
            said = str(error) if isinstance(error, EhpsError) else f"{type(error).__name__}: {error}"
            write_json(self.path / FAILED, {"error": said, "step": self.step})
        if self._events is not None:
            self._events.close()
        if self._lock is not None:
            self._lock.close()

    def begin(self, recipe: Recipe, facts: dict[str, Any]) -> Path | None:
        """Return the checkpoint to continue from, None for a new run; RecipeError when the folder holds another run."""
        newest = latest_checkpoint(self.path)
        if newest is not None:
            self._require_same(recipe, facts["data"])
            # What the run started from is what it said then, whatever lies there now.
            facts = facts | {"started_from": _read_json(self.path / "run.json").get("started_from")}
        self.step = 0 if newest is None else step_of(newest)
        if self.is_writer:
            (self.path / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
            write_json(self.path / "recipe.json", recipe_to_dict(recipe))
            write_json(self.path / "run.json", facts)
            self._forget_after(self.step)
            self._clear()
        self._has_begun = True
        return newest

    def _require_same(self, recipe: Recipe, data: str) -> None:
        """Raise RecipeError unless the run that is here computes the same numbers."""
        if why := why_another(self.path, recipe, data):
            raise RecipeError(f"{self.path} holds {why}; continue that or name a new folder")

    def _forget_after(self, step: int) -> None:
        """Drop reports of steps that come again because the run stopped before they were saved, and half a line."""
        log = self.path / LOG
        if log.is_file():
            lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
            kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
            _write_whole(log, "".join(kept))

    def _clear(self) -> None:
        """Delete what a run that was killed has left: its failure, and checkpoints of which only a part was written."""
        (self.path / FAILED).unlink(missing_ok=True)
        for part in (self.path / CHECKPOINTS).glob(".*.tmp"):
            part.unlink(missing_ok=True)

    def report(self, status: Status) -> None:
        """Append a report to the log and the event files."""
        if not self.is_writer:
            return
        with (self.path / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(vars(status)) + "\n")
        if self._events is None:
            from torch.utils.tensorboard import SummaryWriter

            self._events = SummaryWriter(str(self.path / "tensorboard"), purge_step=status.step)
        for name, value in status.losses.items():
            self._events.add_scalar(f"loss/{name}", value, status.step)
        for name in ("loss", "lr", "grad_norm", "people_per_s", "data_wait"):
            self._events.add_scalar(name, getattr(status, name), status.step)
        self._events.flush()

    def checkpoint_path(self, step: int) -> Path:
        """Return where the state after a step belongs."""
        return self.path / CHECKPOINTS / f"{step:08d}.pt"

    def prune(self, keep: int) -> None:
        """Delete all but the newest checkpoints."""
        for old in sorted((self.path / CHECKPOINTS).glob("*.pt"))[:-keep]:
            old.unlink()


def why_another(run_dir: Path, recipe: Recipe, data: str) -> str | None:
    """Return why a folder's run computes other numbers than a recipe on data of a fingerprint; None where it does not.

    The words follow upon "holds".
    """
    begun = _read_json(Path(run_dir) / "run.json")
    before, now = begun.get("started_from"), start_fingerprint(recipe)
    stored, wanted = (recipe_to_dict(r) for r in (read_recipe(run_dir), recipe))
    # The same weights in another place are the same weights.
    moved = {name for name in STARTS if before and before == now and stored[name] and wanted[name]}
    names = [name for name in wanted if name not in FREE_ON_RESUME | moved]
    if different := sorted(name for name in names if stored[name] != wanted[name]):
        changes = "; ".join(f"{name} was {stored[name]!r} and is {wanted[name]!r}" for name in different)
        return f"a run of another recipe ({changes})"
    if begun["data"] != data:
        return "a run on other data (mixture or shards have changed)"
    if before and now and before != now:
        return f"a run that started from other weights than {_start_of(recipe)} has now"
    return None


def _start_of(recipe: Recipe) -> Path | None:
    """Return the file of weights that a recipe starts from."""
    return next((Path(path) for path in (getattr(recipe, name) for name in STARTS) if path), None)


def start_fingerprint(recipe: Recipe) -> str | None:
    """Return the fingerprint of the weights that a recipe starts from; None for random ones, or a file that is gone."""
    path = _start_of(recipe)
    return weights_fingerprint(path) if path is not None and path.is_file() else None


def weights_fingerprint(path: Path) -> str:
    """Return 16 hex digits that change with any number of a file of weights.

    Files of torch are archives that hold a checksum of each of their members; other files are read whole.
    """
    facts = path.stat()
    return _fingerprint(path, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=64)
def _fingerprint(path: Path, changed: int, size: int) -> str:  # noqa: ARG001 (another file under the same name)
    """Return the fingerprint of a file as it was changed last."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            facts = [(member.filename, member.CRC, member.file_size) for member in archive.infolist()]
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
    return file_digest(path)[:16]


def latest_checkpoint(run_dir: Path) -> Path | None:
    """Return the newest checkpoint of a run, None where there is none."""
    found = sorted((Path(run_dir) / CHECKPOINTS).glob("*.pt"))
    return found[-1] if found else None


def checkpoint_of(path: Path | str) -> Path:
    """Return a checkpoint's own path, or the newest checkpoint where the path is a run's folder."""
    path = Path(path)
    if not path.is_dir():
        return path
    newest = latest_checkpoint(path)
    if newest is None:
        raise CheckpointError(path, "holds no checkpoint", "name a .pt file, or the folder that ehps train wrote")
    return newest


def step_of(checkpoint: Path) -> int:
    """Return the step after which a checkpoint was written."""
    return int(checkpoint.stem)


def read_recipe(run_dir: Path) -> Recipe:
    """Return the recipe of a run."""
    return recipe_from_dict(_read_json(Path(run_dir) / "recipe.json"))


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file that people can read; a rename makes it appear whole."""
    _write_whole(path, json.dumps(content, indent=2) + "\n")


def _write_whole(path: Path, text: str) -> None:
    """Write a text file; a rename makes it appear whole."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _read_json(path: Path) -> dict[str, Any]:
    """Return the content of a file of a run; RecipeError where there is none."""
    if not path.is_file():
        raise RecipeError(f"{path} is missing: {path.parent} is not the folder of a training run")
    return json.loads(path.read_text(encoding="utf-8"))


def run_facts(recipe: Recipe, data: str, shards: Path, device_name: str, world_size: int) -> dict[str, Any]:
    """Return what a run runs with; ``data`` is the fingerprint of its people."""
    models = require_model_dir()
    return {
        "data": data,
        "shards": str(shards),
        "started_from": start_fingerprint(recipe),
        "body_model": model_fingerprint(models),
        "body_model_is_standin": is_standin(models),
        "ehps": __version__,
        "torch": version("torch"),
        "python": platform.python_version(),
        "device": device_name,
        "world_size": world_size,
    }
