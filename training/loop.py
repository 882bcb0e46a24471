"""The training loop: one visible function from a recipe to a checkpoint.

Everything that varies is a pure function of the step (learning rate) or of a person's position in the order (crop,
random numbers of the network), so a run that was stopped anywhere continues with the same losses, on any number of
processes. Under ``torchrun`` the same code trains on several GPUs: each rank takes its part of every batch, and
gradients are averaged.
"""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import RecipeError
from ..shards.reader import PeopleIndex
from .batches import Batch, float_images
from .checkpoint import load_checkpoint, network_entries, save_checkpoint
from .compat import PAPER, quirks_named
from .finite import FiniteGuard
from .losses import compute_losses, mean_losses
from .mixture import MixedPeople, load_mixture, mix
from .networks import Network
from .optimiser import new_optimiser, parameter_groups, set_learning_rate
from .outputs import BodyLayer, body_outputs
from .progress import Status, Window
from .ranks import averaging, join_ranks, leave_ranks, wrapped
from .recipe import Recipe, recipe_to_dict
from .run_record import RunFolder, run_facts
from .samples import SampleSettings
from .sheet import write_first_batch
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
    stop_after: int | None = None,
) -> Path:
    """Train on the converted tree ``shards``, or continue the run in ``out_dir``, and return the last checkpoint.

    ``device`` is cpu, cuda, or auto: a GPU where there is one. ``report`` is called every ``log_every`` steps on the
    main rank. ``stop_after`` ends the run early after that step, to be continued later. A loss that is not finite
    raises RecipeError with the step and the people of its batch.
    """
    ranks = join_ranks(device, recipe.cpu_threads)
    quirks = quirks_named(recipe.compat)
    mixture = load_mixture(recipe.mixture)
    people = mix(
        mixture,
        shards,
        total=recipe.steps * recipe.batch_size,
        released_balance=quirks != PAPER,
        allow_missing=recipe.allow_missing,
    )
    run = RunFolder(out_dir, is_writer=ranks.rank == 0)
    newest = run.begin(recipe, run_facts(people.fingerprint, shards, ranks))

    network = (new_network(recipe) if newest is None else random_network(recipe)).to(ranks.device).train()
    body = load_body_layer(mesh=False).to(ranks.device)
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = parameter_groups(network, recipe.layer_decay)
    optimiser = new_optimiser(groups, recipe.lr, recipe.weight_decay, fused=ranks.is_cuda)
    average = {n: p.detach().clone() for n, p in network.named_parameters() if p.requires_grad} if recipe.ema else {}
    first = 0 if newest is None else restore(newest, network, optimiser, average)
    model = wrapped(network, ranks, compiles=recipe.compile)

    part_size = recipe.batch_size // recipe.accumulate
    require_people(recipe, part_size, ranks.world_size)
    stream = Stream(
        people,
        PeopleIndex.open(shards).load,
        SampleSettings(seed=recipe.seed, ranges=recipe.augmentation, quirks=quirks),
        batch_size=part_size,
        rank=ranks.rank,
        world_size=ranks.world_size,
        workers=recipe.workers,
        prefetch=recipe.prefetch,
        position=first * recipe.batch_size,
        pinned=ranks.is_cuda,
    )
    batches, window, guard = iter(stream), Window(ranks.device_name, ranks.world_size), FiniteGuard()
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
                share = len(batch.keys) * ranks.world_size / part_size
                (total * (share / recipe.accumulate)).backward()
            window.add(losses, batch, share)
        norm = torch.nn.utils.clip_grad_norm_(trained, recipe.clip or math.inf)
        guard.watch("gradient", norm, step, batch.keys)  # pyright: ignore[reportPossiblyUnboundVariable] a batch has parts
        optimiser.step()
        optimiser.zero_grad()
        update_average(average, network, recipe.ema)

        done = step + 1
        saves = done % recipe.save_every == 0 or done == last
        guard.settle() if saves else guard.next_step()
        if done % recipe.log_every == 0 or done == last:
            status = window.status(recipe, done, learning_rate(recipe, step), float(norm))
            run.report(status)
            if report and ranks.rank == 0:
                report(status)
        if saves and ranks.rank == 0:
            save_checkpoint(run.checkpoint_path(done), state_of(network, optimiser, average, done, recipe, people))
            run.prune(recipe.keep)
    run.close()
    leave_ranks(ranks)
    return run.checkpoint_path(max(first, last))


def require_people(recipe: Recipe, part_size: int, world_size: int) -> None:
    """Raise RecipeError where a rank would have nobody to train on."""
    if part_size < world_size:
        raise RecipeError(
            f"recipe {recipe.name}: {part_size} people a part of a step do not go round {world_size} ranks; "
            "raise batch_size or lower accumulate"
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
    outputs = body_outputs(prediction, body)
    quirks = quirks_named(recipe.compat)
    return mean_losses(compute_losses(outputs, batch.targets, batch.validity, quirks, recipe.weights))


def depth_draws_of(batch: Batch, recipe: Recipe) -> Tensor | None:
    """Return what decides which people of a batch skip which blocks; None where nobody does."""
    if not recipe.network.drop_path_rate:
        return None
    draws = depth_draws(recipe.seed, batch.positions, recipe.network.depth)
    return draws.to(batch.crops.device, non_blocking=True)


def update_average(average: dict[str, Tensor], network: nn.Module, decay: float | None) -> None:
    """Move the running mean of the weights towards the weights."""
    if decay is not None:
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                if name in average:
                    average[name].lerp_(parameter, 1 - decay)


def state_of(
    network: Network,
    optimiser: torch.optim.Optimizer,
    average: dict[str, Tensor],
    step: int,
    recipe: Recipe,
    people: MixedPeople,
) -> dict[str, Any]:
    """Return everything that a run needs to continue, and a predictor to begin."""
    return {
        **network_entries(network),
        "optimizer": optimiser.state_dict(),
        "ema": average,
        "step": step,
        "recipe": recipe_to_dict(recipe),
        "trained_on": list(people.datasets),
    }


def restore(path: Path, network: Network, optimiser: torch.optim.Optimizer, average: dict[str, Tensor]) -> int:
    """Load a state into network, optimiser and running mean; return the number of steps done."""
    state = load_checkpoint(path)
    network.load_state_dict(state["network"])
    optimiser.load_state_dict(state["optimizer"])
    for name, values in state["ema"].items():
        average[name].copy_(values)
    return state["step"]
