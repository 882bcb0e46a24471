"""Batch norm over the people of all ranks, so that several processes normalise as one does with the same batch.

SMPLer-X's boxes and hands pass through batch norms, whose released training takes the statistics of all GPUs of a
machine together (public repository caizhongang/SMPLer-X). ``torch.nn.SyncBatchNorm`` would do the same on GPUs, but
refuses the processor, where the equality of one process and two is tested. Here the ranks of all machines count.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .precision import exact, full_precision


class _SumOverRanks(torch.autograd.Function):
    """The sum of a tensor over the ranks; its gradient is the sum of theirs, since each of them reads it."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:  # noqa: ARG004 (torch passes it)
        """Return the sum, the same on every rank."""
        values = values.clone()
        torch.distributed.all_reduce(values)
        return values

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """Return what all ranks' losses say of this rank's part."""
        return _SumOverRanks.forward(ctx, gradients[0])


@torch.compiler.disable()  # a compiled network is cut here: what waits for other ranks cannot be fused
def _sum_over_ranks(values: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Return the sum of a vector over the ranks, through which gradients flow."""
    total = _SumOverRanks.apply(values)
    assert isinstance(total, Tensor)
    return total


class SyncedBatchNorm2d(nn.BatchNorm2d):
    """A batch norm whose mean and deviation in training are those of all ranks; alone, torch's own."""

    def forward(
        self, input: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Return the normalised features in the precision of the input; sums are taken in float32."""
        if self.training and torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1:
            return self._over_ranks(input)
        return super().forward(input)

    def _over_ranks(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Return the features normalised by the mean and deviation of all ranks, and move the running ones."""
        with full_precision(x):
            features = exact(x)
            places = features.new_full((1,), x.numel() / x.shape[1])
            sums = _sum_over_ranks(torch.cat([features.sum(dim=(0, 2, 3)), places]))
            mean, count = sums[:-1] / sums[-1], sums[-1].detach()
            centred = features - mean[:, None, None]
            variance = _sum_over_ranks(centred.square().sum(dim=(0, 2, 3))) / count
            self._follow(mean.detach(), variance.detach() * count / (count - 1))
            factor = self.weight * torch.rsqrt(variance + self.eps)
            return (centred * factor[:, None, None] + self.bias[:, None, None]).to(x.dtype)

    @torch.no_grad()
    def _follow(self, mean: Float[Tensor, " channels"], variance: Float[Tensor, " channels"]) -> None:
        """Move the running statistics towards those of a batch."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        self.running_var.lerp_(variance.to(self.running_var.dtype), self.momentum)
