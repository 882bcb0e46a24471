"""The network as a recipe begins with it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from ..errors import RecipeError
from .checkpoint import load_checkpoint, load_released, load_vitpose, stored_network
from .compat import COMPAT, quirks_named
from .networks import Network, new_network_of
from .optimiser import freeze
from .recipe import Recipe
from .run_record import checkpoint_of


def random_network(recipe: Recipe, seed: int | None = None) -> Network:
    """Return the recipe's network with random weights of its seed, or of another."""
    torch.manual_seed(recipe.seed if seed is None else seed)
    quirks = quirks_named(recipe.compat)
    network = new_network_of(recipe.model, recipe.network, quirks, checkpoint_blocks=recipe.recompute_blocks)
    nn.init.trunc_normal_(network.encoder.pos_embed, std=recipe.position_std)
    freeze(network, recipe.trains)
    return network


def new_network(recipe: Recipe, note: Callable[[str], None] | None = None) -> Network:
    """Return the network at its first step: random weights, then those of the files that the recipe names.

    ``note`` is told in one line what of a file was loaded.
    """
    network = random_network(recipe)
    loaded = None
    if recipe.vitpose:
        loaded = load_vitpose(recipe.vitpose, network.encoder)
    if recipe.start_from:
        loaded = load_released(recipe.start_from, network)
    if note and loaded is not None:
        note(str(loaded))
    return network


def started_from(recipe: Recipe, checkpoint: Path) -> Recipe:
    """Return a recipe that finetunes a checkpoint, ours or released, or the newest of a run's folder.

    It takes the network, its size and the switches that the weights were trained under from the file, because weights
    that saw their input one way know no other. RecipeError where those switches have no name.
    """
    path = checkpoint_of(checkpoint)
    stored = stored_network(load_checkpoint(path), path=path)
    compat = next((name for name, quirks in COMPAT.items() if quirks == stored.quirks), None)
    if compat is None:
        raise RecipeError(f"{path} was trained under a choice of quirks of its own; finetune it in Python")
    return replace(recipe, start_from=str(path), vitpose=None, model=stored.model, network=stored.size, compat=compat)
