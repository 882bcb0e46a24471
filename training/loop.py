"""The training loop: from a recipe to a checkpoint.

Everything that varies is a pure function of the step (learning rate) or of a person's position in the order (crop,
random numbers of the network), so a run that was stopped anywhere continues with the same losses, on any number of
processes. Under ``torchrun`` the same code trains on several GPUs: each rank takes its part of every batch, and
gradients are averaged.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import RecipeError
from ..shards.reader import PeopleIndex
from .batches import Batch, float_images
from .checkpoint import load_checkpoint
from .compat import quirks_named
from .finite import FiniteGuard
from .losses import compute_losses, mean_losses
from .mixture import MixedPeople, people_of
from .networks import body_of
from .optimiser import new_optimiser, set_learning_rate, trained_by
from .outputs import BodyLayer, body_outputs
from .progress import Window
from .ranks import Ranks, averaging, join_ranks, leave_ranks, require_agreement, wrapped
from .recipe import Recipe, recipe_to_dict
from .run_record import RunFolder, run_facts
from .run_state import CheckpointWriter, RunningMean, RunState, whole
from .samples import SampleSettings
from .sheet import write_first_batch
from .smplerx import SmplerXPrediction
from .smplerx_losses import compute_smplerx_losses
from .smplx_layer import load_body_layer
from .start import new_network, random_network
from .status import Status
from .stochastic_depth import depth_draws
from .stream import Stream


def train(
    recipe: Recipe,
    out_dir: Path,
    shards: Path,
    *,
    device: str = "auto",
    report: Callable[[Status], None] | None = None,
    note: Callable[[str], None] | None = None,
    stop_after: int | None = None,
) -> Path:
    """Train on the converted tree ``shards``, or continue the run in ``out_dir``, and return the last checkpoint.

    ``device`` is cpu, cuda, or auto: a GPU where there is one. On the main rank, ``note`` is told once what was loaded
    at the start, and ``report`` is called every ``log_every`` steps. ``stop_after`` ends the run early after that step,
    to be continued later. A loss that is not finite raises RecipeError with the step and the people of its batch.
    """
    ranks = join_ranks(device, recipe.cpu_threads)
    people = people_of(recipe, shards)
    with RunFolder(out_dir, is_writer=ranks.is_main) as run:
        newest = run.begin(recipe, run_facts(recipe, people.fingerprint, shards, ranks.device_name, ranks.world_size))
        require_agreement(ranks, f"from step {run.step} on data {people.fingerprint[:16]}")
        learner = Learner(recipe, ranks, newest, note if ranks.is_main else None)
        first, last = run.step, min(recipe.steps, stop_after or recipe.steps)
        reader = PartReader(open_stream(recipe, people, shards, ranks, first), recipe, ranks, run)
        entries = run_entries(recipe, people, trained_on(newest or recipe.start_from))
        with reader, Journal(run, recipe, learner, entries, report) as journal:
            for step in range(first, last):
                norm = learner.learn(step, reader.parts_of(step, journal.window), journal.window)
                journal.note(step + 1, norm, is_last=step + 1 == last)
    leave_ranks(ranks)
    return run.checkpoint_path(max(first, last))


class Learner:
    """What learns on one rank: a network, the body that it poses, the optimiser and the running mean."""

    def __init__(
        self, recipe: Recipe, ranks: Ranks, checkpoint: Path | None = None, note: Callable[[str], None] | None = None
    ) -> None:
        """Start as the recipe says, or where a checkpoint of its run was written; ``note`` as in ``train``."""
        self.recipe, self.ranks = recipe, ranks
        network = random_network(recipe) if checkpoint else new_network(recipe, note)
        network = network.to(ranks.device).train()
        self.body = load_body_layer(mesh=False).to(ranks.device)
        self.model = wrapped(network, ranks, compiles=recipe.compile, parallel=recipe.parallel)
        self.optimiser = new_optimiser(network, recipe.lr, recipe.weight_decay, recipe.layer_decay, fused=ranks.is_cuda)
        self.mean = RunningMean(network, recipe.ema)
        self.state = RunState(network, self.optimiser, self.mean)
        self.guard = FiniteGuard()
        if checkpoint:
            self.state.restore(checkpoint)

    def learn(self, step: int, parts: Iterable[Batch], window: Window) -> Tensor:
        """Move the weights by the mean gradient of a step's parts, and return its norm before it was clipped."""
        set_learning_rate(self.optimiser, learning_rate(self.recipe, step))
        keys: tuple[str, ...] = ()
        for number, batch in enumerate(parts, 1):
            losses = self._add_gradients(batch, step, is_last=number == self.recipe.accumulate)
            window.add(losses, batch, self._share(batch))
            keys = batch.keys
        norm = whole(torch.nn.utils.clip_grad_norm_(trained_by(self.optimiser), self.recipe.clip or math.inf))
        self.guard.watch("gradient", norm, step, keys)
        self.optimiser.step()
        self.optimiser.zero_grad()
        self.mean.update()
        return norm

    def _add_gradients(self, batch: Batch, step: int, *, is_last: bool) -> dict[str, Tensor]:
        """Add the gradients of one part, which its last part averages over the ranks; return the losses."""
        with averaging(self.model, now=is_last):
            losses = losses_of(self.model, self.body, batch, self.recipe)
            total = torch.stack(list(losses.values())).sum()
            self.guard.watch("loss", total, step, batch.keys)
            (total * (self._share(batch) / self.recipe.accumulate)).backward()
        return losses

    def _share(self, batch: Batch) -> float:
        """Return how many people of a part this rank has, over the mean of the ranks.

        Ranks may have one person more or less; gradients are averaged over ranks, and should be over people.
        """
        return len(batch.keys) * self.ranks.world_size / (self.recipe.batch_size // self.recipe.accumulate)


class PartReader:
    """Gives the parts of a step, on the device that trains; threads read ahead until it is closed."""

    def __init__(self, stream: Stream, recipe: Recipe, ranks: Ranks, run: RunFolder) -> None:
        self.recipe, self.ranks, self.run = recipe, ranks, run
        self.people, self._batches = stream.people, iter(stream)

    def __enter__(self) -> "PartReader":
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the threads."""
        self._batches.close()

    def parts_of(self, step: int, window: Window) -> Iterator[Batch]:
        """Yield the parts of a step; the first of a run leaves its picture in the run's folder."""
        self.run.step = step
        for part in range(self.recipe.accumulate):
            with window.waiting():
                batch = next_batch(self._batches, step, self.people.length).to(self.ranks.device)
            if step == part == 0 and self.ranks.is_main:
                write_first_batch(self.run.path / "first_batch.png", batch)
            yield batch


class Journal:
    """What is told and kept of a run: reports every ``log_every`` steps, checkpoints every ``save_every``."""

    def __init__(
        self,
        run: RunFolder,
        recipe: Recipe,
        learner: Learner,
        entries: dict[str, Any],
        listener: Callable[[Status], None] | None,
    ) -> None:
        """``entries`` are those of a checkpoint that stay the same; ``listener`` hears of reports on the main rank."""
        self.run, self.recipe, self.learner, self.entries = run, recipe, learner, entries
        self.listener = listener if learner.ranks.is_main else None
        self.window = Window(learner.ranks.device_name, learner.ranks.world_size)
        self.writer = CheckpointWriter(run, recipe.keep)

    def note(self, done: int, norm: Tensor, *, is_last: bool) -> None:
        """Look at the numbers of the step that is done, and report and save what is due after it."""
        saves = is_last or done % self.recipe.save_every == 0
        guard = self.learner.guard
        guard.settle() if saves else guard.next_step()
        if is_last or done % self.recipe.log_every == 0:
            self._report(done, float(norm))
        if saves:
            gathered = self.learner.state.gathered()
            if self.learner.ranks.is_main:
                self.writer.write(done, gathered | {"step": done} | self.entries)

    def _report(self, done: int, norm: float) -> None:
        """Report the steps since the last time."""
        status = self.window.status(self.recipe, done, learning_rate(self.recipe, done - 1), norm)
        self.run.report(status)
        if self.listener is not None:
            self.listener(status)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Wait for the checkpoint that is being written; an error of that never hides the one that stops the run."""
        try:
            self.writer.close()
        except Exception as failure:
            if error is None:
                raise
            error.add_note(f"besides, the checkpoint before could not be written: {failure}")


def open_stream(recipe: Recipe, people: MixedPeople, shards: Path, ranks: Ranks, first_step: int) -> Stream:
    """Return this rank's stream of parts of batches; RecipeError where a rank would have nobody to train on."""
    part_size = recipe.batch_size // recipe.accumulate
    if part_size < ranks.world_size:
        raise RecipeError(
            f"recipe {recipe.name}: {part_size} people a part of a step do not go round {ranks.world_size} ranks; "
            "raise batch_size or lower accumulate"
        )
    return Stream(
        people,
        PeopleIndex.open(shards).load,
        SampleSettings(seed=recipe.seed, ranges=recipe.augmentation, quirks=quirks_named(recipe.compat)),
        batch_size=part_size,
        rank=ranks.rank,
        world_size=ranks.world_size,
        workers=recipe.workers,
        prefetch=recipe.prefetch,
        position=first_step * recipe.batch_size,
        pinned=ranks.is_cuda,
    )


def learning_rate(recipe: Recipe, step: int) -> float:
    """Return the learning rate of a step: a linear rise, then half a cosine down to ``min_lr``."""
    if step < recipe.warmup_steps:
        return recipe.lr * (step + 1) / recipe.warmup_steps
    progress = (step - recipe.warmup_steps) / max(1, recipe.steps - recipe.warmup_steps)
    return recipe.min_lr + (recipe.lr - recipe.min_lr) * (1 + math.cos(math.pi * progress)) / 2


def next_batch(batches: Iterator[Batch], step: int, length: int | None) -> Batch:
    """Return the next batch; RecipeError when a finite mixture has come to its end."""
    batch = next(batches, None)
    if batch is None:
        raise RecipeError(f"the mixture ends after {length} people, at step {step}: set steps to {step}, or exhaustion")
    return batch


def losses_of(model: nn.Module, body: BodyLayer, batch: Batch, recipe: Recipe) -> dict[str, Tensor]:
    """Return the mean of every loss of a batch."""
    images = float_images(batch.crops, batch.colour)
    with torch.autocast(images.device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
        prediction = model(images, depth_draws_of(batch, recipe))
    outputs = body_outputs(body_of(prediction), body)
    given = (batch.targets, batch.validity, quirks_named(recipe.compat), recipe.weights)
    if isinstance(prediction, SmplerXPrediction):
        return mean_losses(compute_smplerx_losses(outputs, prediction.parts, *given))
    return mean_losses(compute_losses(outputs, *given))


def depth_draws_of(batch: Batch, recipe: Recipe) -> Tensor | None:
    """Return what decides which people of a batch skip which blocks; None where nobody does."""
    if not recipe.network.drop_path_rate:
        return None
    draws = depth_draws(recipe.seed, batch.positions, recipe.network.depth)
    # Other memory than pinned may make the processor wait until the GPU has done what was asked of it before.
    return (draws.pin_memory() if batch.crops.is_cuda else draws).to(batch.crops.device, non_blocking=True)


def run_entries(recipe: Recipe, people: MixedPeople, earlier: Sequence[str] = ()) -> dict[str, Any]:
    """Return the entries of a checkpoint that a predictor says of itself; ``earlier`` are sources of a run before."""
    own = list(people.datasets)
    return {
        "recipe": recipe_to_dict(recipe),
        "trained_on": sorted({*own, *earlier}),
        "finetuned_on": own if recipe.start_from else [],
        "training_people": people.num_people,
    }


def trained_on(checkpoint: Path | str | None) -> Sequence[str]:
    """Return the sources that a checkpoint was trained on, as far as it tells; nothing for no checkpoint."""
    return load_checkpoint(checkpoint).get("trained_on", ()) if checkpoint else ()
