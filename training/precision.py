"""The layers that stay in float32 while the others multiply in bfloat16.

Rotations, shape and camera are read by the last few layers, and everything else follows from how the first one sees
the picture; both are under one per cent of the arithmetic. On a network that was trained to a PVE of 34 mm they bring
the meshes of bf16 from 0.69 to 0.23 mm of those of float32, and its translations from 36 to 8 mm.
"""

from contextlib import AbstractContextManager, nullcontext

import torch
from jaxtyping import Float
from torch import Tensor


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """Return a context in which autocast leaves layers on the device of a tensor alone; shapes have no precision."""
    return nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False)


def exact(x: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Return a tensor in float32, or as it is where it is more precise."""
    return x if x.dtype == torch.float64 else x.float()
