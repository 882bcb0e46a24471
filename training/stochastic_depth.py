"""Which samples skip which blocks in training (stochastic depth), drawn from their positions in the training order.

A position draws the same numbers on any rank, in any batch and in a continued run, so losses do not depend on how many
processes share the work. Method: Huang et al., "Deep Networks with Stochastic Depth", ECCV 2016.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from .permutation import keys_of

STREAM = 0x64657074  # keeps these draws apart from other uses of the same seed
BRANCHES = 2  # of a block: attention and MLP


def depth_draws(seed: int, positions: Sequence[int], num_blocks: int) -> Float[Tensor, "batch blocks 2"]:
    """Return a uniform number in [0, 1) for each sample, block and branch; below the block's rate it is skipped."""
    places = np.repeat(np.asarray(positions, np.int64), num_blocks * BRANCHES)
    branches = np.tile(np.arange(num_blocks * BRANCHES), len(positions))
    uniform = (keys_of(STREAM, seed, places, branches) >> np.uint64(40)).astype(np.float32) / np.float32(2**24)
    return torch.from_numpy(uniform.reshape(len(positions), num_blocks, BRANCHES))


def kept(
    x: Float[Tensor, "batch *rest"], rate: float, training: bool, draws: Float[Tensor, " batch"] | None = None
) -> Float[Tensor, "batch *rest"]:
    """Return x with samples zeroed where their draw is below ``rate``, the others scaled to keep the mean.

    Without ``draws`` the numbers are those of torch's generator.
    """
    if rate == 0.0 or not training:
        return x
    if draws is None:
        draws = torch.rand(len(x), device=x.device)
    mask = (draws >= rate).to(x.dtype) / (1.0 - rate)
    return x * mask.view(-1, *(1,) * (x.ndim - 1))
