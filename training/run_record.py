"""What a training run leaves on disk.

``recipe.json``: the resolved recipe. ``run.json``: data, body model, software and machine that it ran with.
``log.jsonl``: one line each time the run reports. ``tensorboard/``: the same numbers as event files.
``first_batch.png``: the first crops with their labels drawn. ``checkpoints/<step>.pt``: the state after a step; the
newest few stay. A run that is continued must have the same recipe (but for what does not change the numbers) and the
same data.
"""

import json
import platform
from pathlib import Path
from typing import Any

import torch

from .. import __version__
from ..body.models import is_standin, model_fingerprint, require_model_dir
from ..errors import CheckpointError, RecipeError
from .progress import Status
from .ranks import Ranks
from .recipe import FREE_ON_RESUME, Recipe, recipe_from_dict, recipe_to_dict

CHECKPOINTS = "checkpoints"


class RunFolder:
    """The folder of one training run; only the main rank writes."""

    def __init__(self, out_dir: Path, *, is_writer: bool = True) -> None:
        self.path, self.is_writer = Path(out_dir), is_writer
        self._events: Any = None

    def begin(self, recipe: Recipe, facts: dict[str, Any]) -> Path | None:
        """Return the checkpoint to continue from, None for a new run; RecipeError when the folder holds another run."""
        newest = latest_checkpoint(self.path)
        if newest is not None:
            self._require_same(recipe, facts["data"])
        if self.is_writer:
            (self.path / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
            write_json(self.path / "recipe.json", recipe_to_dict(recipe))
            write_json(self.path / "run.json", facts)
            self._forget_after(0 if newest is None else step_of(newest))
        return newest

    def _require_same(self, recipe: Recipe, data: str) -> None:
        """Raise RecipeError unless the run that is here computes the same numbers."""
        if why := why_another(self.path, recipe, data):
            raise RecipeError(f"{self.path} holds {why}; continue that or name a new folder")

    def _forget_after(self, step: int) -> None:
        """Drop reports of steps that come again because the run stopped before they were saved."""
        log = self.path / "log.jsonl"
        if log.is_file():
            lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
            log.write_text("".join(line for line in lines if json.loads(line)["step"] <= step), encoding="utf-8")

    def report(self, status: Status) -> None:
        """Append a report to the log and the event files."""
        if not self.is_writer:
            return
        with (self.path / "log.jsonl").open("a", encoding="utf-8") as log:
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

    def close(self) -> None:
        """Finish the event files."""
        if self._events is not None:
            self._events.close()


def why_another(run_dir: Path, recipe: Recipe, data: str) -> str | None:
    """Return why a folder's run computes other numbers than a recipe on data of a fingerprint; None where it does not.

    The words follow upon "holds".
    """
    stored, wanted = (recipe_to_dict(r) for r in (read_recipe(run_dir), recipe))
    different = sorted(name for name in wanted if name not in FREE_ON_RESUME and stored[name] != wanted[name])
    if different:
        changes = "; ".join(f"{name} was {stored[name]!r} and is {wanted[name]!r}" for name in different)
        return f"a run of another recipe ({changes})"
    before = json.loads((Path(run_dir) / "run.json").read_text(encoding="utf-8"))["data"]
    return None if before == data else "a run on other data (mixture or shards have changed)"


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
    path = Path(run_dir) / "recipe.json"
    if not path.is_file():
        raise RecipeError(f"{path} is missing: {run_dir} is not the folder of a training run")
    return recipe_from_dict(json.loads(path.read_text(encoding="utf-8")))


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file that people can read; a rename makes it appear whole."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)


def run_facts(data_fingerprint: str, shards: Path, ranks: Ranks) -> dict[str, Any]:
    """Return what a run runs with."""
    models = require_model_dir()
    return {
        "data": data_fingerprint,
        "shards": str(shards),
        "body_model": model_fingerprint(models),
        "body_model_is_standin": is_standin(models),
        "ehps": __version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "device": ranks.device_name,
        "world_size": ranks.world_size,
    }
