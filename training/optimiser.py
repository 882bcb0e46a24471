"""What learns, and how fast: which parameters a run trains, and the learning rate of each."""

import re
from typing import Any

import torch
from torch import nn

from .recipe import Trained

# Modules between the encoder and the heads, of SMPLer-X and of SMPLest-X.
_NECK = ("box_net.", "hand_roi_net.", "decoder.transformer.")


def freeze(network: nn.Module, trains: Trained) -> None:
    """Take the gradient from every parameter that is not to be trained; what never had one stays without."""
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(parameter.requires_grad and _is_trained(name, trains))


def _is_trained(name: str, trains: Trained) -> bool:
    """Return whether a parameter learns."""
    is_encoder = name.startswith("encoder.")
    if trains == "encoder":
        return is_encoder
    return trains == "all" or not (is_encoder or (trains == "heads" and name.startswith(_NECK)))


def parameter_groups(network: nn.Module, layer_decay: float) -> list[dict[str, Any]]:
    """Return the trained parameters for an optimiser, each group with the ``factor`` of its learning rate.

    The factor of the heads is 1, that of the encoder's last block ``layer_decay``, and so on down to the patches, as in
    Bao et al., "BEiT", ICLR 2022.
    """
    trained = [(name, parameter) for name, parameter in network.named_parameters() if parameter.requires_grad]
    if layer_decay == 1.0:
        return [{"params": [parameter for _, parameter in trained], "factor": 1.0}]
    depth = 1 + max((int(found[1]) for name, _ in trained if (found := _BLOCK.search(name))), default=-1)
    groups: dict[int, list[nn.Parameter]] = {}
    for name, parameter in trained:
        groups.setdefault(_steps_below_heads(name, depth), []).append(parameter)
    return [{"params": groups[steps], "factor": layer_decay**steps} for steps in sorted(groups)]


_BLOCK = re.compile(r"\bencoder\.blocks\.(\d+)\.")


def _steps_below_heads(name: str, depth: int) -> int:
    """Return how many blocks lie between the heads and a parameter; the norm behind the last belongs to the heads."""
    if found := _BLOCK.search(name):
        return depth - int(found[1])
    return depth + 1 if re.search(r"\bencoder\.(patch_embed|pos_embed|task_tokens)", name) else 0


def new_optimiser(
    network: nn.Module, lr: float, weight_decay: float, layer_decay: float, *, fused: bool
) -> torch.optim.AdamW:
    """Return the optimiser of a run; without weight decay it is the Adam of the papers."""
    return torch.optim.AdamW(parameter_groups(network, layer_decay), lr, weight_decay=weight_decay, fused=fused)


def trained_by(optimiser: torch.optim.Optimizer) -> list[nn.Parameter]:
    """Return every parameter that an optimiser moves."""
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]


def set_learning_rate(optimiser: torch.optim.Optimizer, lr: float) -> None:
    """Give each group its share of a learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = lr * group["factor"]
