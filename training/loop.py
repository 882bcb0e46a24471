"""The training loop: one visible function from a recipe to a checkpoint.

Everything that varies is a pure function of the step (learning rate) or of a person's position in the order (crop,
random numbers of the network), so a run that was stopped anywhere continues with the same losses, on any number of
processes. Under ``torchrun`` the same code trains on several GPUs: each rank takes its part of every batch, and
gradients are averaged.
"""

import math
from collections.abc import Callable, Iterator, Sequence
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
from .mixture import MixedPeople, load_mixture, mix
from .networks import body_of
from .optimiser import new_optimiser, set_learning_rate, trained_by
from .outputs import BodyLayer, body_outputs
from .progress import Status, Window
from .ranks import Ranks, averaging, join_ranks, leave_ranks, wrapped
from .recipe import Recipe, recipe_to_dict
from .run_record import RunFolder, run_facts
from .run_state import CheckpointWriter, RunningMean, RunState, whole
from .samples import SampleSettings
from .sheet import write_first_batch
from .smplerx import SmplerXPrediction
from .smplerx_losses import compute_smplerx_losses
from .smplx_layer import load_body_layer
from .start import new_network, random_network
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
    run = RunFolder(out_dir, is_writer=ranks.rank == 0)
    newest = run.begin(recipe, run_facts(people.fingerprint, shards, ranks))

    note = note if ranks.rank == 0 else None
    network = (new_network(recipe, note) if newest is None else random_network(recipe)).to(ranks.device).train()
    body = load_body_layer(mesh=False).to(ranks.device)
    model = wrapped(network, ranks, compiles=recipe.compile, parallel=recipe.parallel)
    optimiser = new_optimiser(network, recipe.lr, recipe.weight_decay, recipe.layer_decay, fused=ranks.is_cuda)
    mean = RunningMean(network, recipe.ema)
    state = RunState(network, optimiser, mean)
    first = 0 if newest is None else state.restore(newest)
    earlier = trained_on(newest or recipe.start_from)

    stream = open_stream(recipe, people, shards, ranks, first)
    batches, window, guard = iter(stream), Window(ranks.device_name, ranks.world_size), FiniteGuard()
    writer = CheckpointWriter(run, recipe.keep)
    last = min(recipe.steps, stop_after or recipe.steps)
    for step in range(first, last):
        set_learning_rate(optimiser, learning_rate(recipe, step))
        for part in range(recipe.accumulate):
            with window.waiting():
                batch = next_batch(batches, step, people.length).to(ranks.device)
            if step == part == 0 and ranks.rank == 0:
                write_first_batch(run.path / "first_batch.png", batch)
            with averaging(model, now=part == recipe.accumulate - 1):
                losses = losses_of(model, body, batch, recipe)
                total = torch.stack(list(losses.values())).sum()
                guard.watch("loss", total, step, batch.keys)
                # Ranks may have one person more or less; gradients are averaged over ranks, and should be over people.
                share = len(batch.keys) * ranks.world_size / stream.batch_size
                (total * (share / recipe.accumulate)).backward()
            window.add(losses, batch, share)
        norm = whole(torch.nn.utils.clip_grad_norm_(trained_by(optimiser), recipe.clip or math.inf))
        guard.watch("gradient", norm, step, batch.keys)  # pyright: ignore[reportPossiblyUnboundVariable] a batch has parts
        optimiser.step()
        optimiser.zero_grad()
        mean.update()

        done = step + 1
        saves = done % recipe.save_every == 0 or done == last
        guard.settle() if saves else guard.next_step()
        if done % recipe.log_every == 0 or done == last:
            status = window.status(recipe, done, learning_rate(recipe, step), float(norm))
            run.report(status)
            if report and ranks.rank == 0:
                report(status)
        if saves:
            gathered = state.gathered()
            if ranks.rank == 0:
                writer.write(done, gathered | run_entries(done, recipe, people, earlier))
    writer.close()
    run.close()
    leave_ranks(ranks)
    return run.checkpoint_path(max(first, last))


def people_of(recipe: Recipe, shards: Path) -> MixedPeople:
    """Return whom a recipe trains on, in training order; RecipeError where a member of its mixture is missing."""
    return mix(
        load_mixture(recipe.mixture),
        shards,
        total=recipe.steps * recipe.batch_size,
        released_balance=quirks_named(recipe.compat).first_quota_sampling,
        allow_missing=recipe.allow_missing,
    )


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
    return draws.to(batch.crops.device, non_blocking=True)


def run_entries(step: int, recipe: Recipe, people: MixedPeople, earlier: Sequence[str] = ()) -> dict[str, Any]:
    """Return the entries of a checkpoint that tell where the run is, and what a predictor says of itself.

    ``earlier`` are the sources that the weights had seen before.
    """
    own = list(people.datasets)
    return {
        "step": step,
        "recipe": recipe_to_dict(recipe),
        "trained_on": sorted({*own, *earlier}),
        "finetuned_on": own if recipe.start_from else [],
        "training_people": people.num_people,
    }


def trained_on(checkpoint: Path | str | None) -> Sequence[str]:
    """Return the sources that a checkpoint was trained on, as far as it tells; nothing for no checkpoint."""
    return load_checkpoint(checkpoint).get("trained_on", ()) if checkpoint else ()
