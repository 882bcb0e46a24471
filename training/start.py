"""The network as a recipe begins with it."""

import torch
from torch import nn

from .checkpoint import load_released, load_vitpose
from .compat import quirks_named
from .networks import Network, new_network_of
from .recipes import Recipe


def random_network(recipe: Recipe, seed: int | None = None) -> Network:
    """Return the recipe's network with random weights of its seed, or of another."""
    torch.manual_seed(recipe.seed if seed is None else seed)
    quirks = quirks_named(recipe.compat)
    network = new_network_of(recipe.model, recipe.network, quirks, checkpoint_blocks=recipe.recompute_blocks)
    nn.init.trunc_normal_(network.encoder.pos_embed, std=recipe.position_std)
    return network


def new_network(recipe: Recipe) -> Network:
    """Return the network at its first step: random weights, then those of the files that the recipe names."""
    network = random_network(recipe)
    if recipe.vitpose:
        load_vitpose(recipe.vitpose, network.encoder)
    if recipe.start_from:
        load_released(recipe.start_from, network)
    return network
