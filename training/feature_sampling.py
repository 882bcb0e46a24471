"""Reading feature maps at places: expected coordinates, points and boxes, without loops and without waiting for a GPU.

Facts: soft-argmax of Sun et al., "Integral Human Pose Regression", ECCV 2018; RoIAlign of He et al., "Mask R-CNN", ICCV
2017, in the form that SMPLer-X uses (mean of the samples, no half-pixel shift, adaptive number of samples).
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import grid_sample

MOST_SAMPLES = 16
"""Samples along one side of a bin, at most: boxes are up to 256 cells wide before bins are sampled more coarsely than
RoIAlign does, which is more than four times the map."""


def softmax_volume(scores: Float[Tensor, "batch joints *volume"]) -> Float[Tensor, "batch joints *volume"]:
    """Return scores as probabilities over the cells of each joint's volume, always in float32."""
    return scores.float().flatten(2).softmax(dim=2).view(scores.shape)


def expected_cell(
    probabilities: Float[Tensor, "batch joints *volume"],
) -> Float[Tensor, "batch joints axes"]:
    """Return the mean cell of each joint's probabilities, last axis of the volume first: x, y and, if any, z."""
    axes = range(probabilities.ndim - 1, 1, -1)
    means = []
    for axis in axes:
        others = [other for other in axes if other != axis]
        along = probabilities.sum(dim=others)
        cells = torch.arange(along.shape[-1], dtype=along.dtype, device=along.device)
        means.append((along * cells).sum(dim=-1))
    return torch.stack(means, dim=-1)


def sampled(
    features: Float[Tensor, "batch dim height width"], points: Float[Tensor, "batch points 2"]
) -> Float[Tensor, "batch points dim"]:
    """Return the features at points (x, y in cells), interpolated; nothing outside of the map."""
    height, width = features.shape[-2:]
    last = torch.stack([points.new_full((), width - 1), points.new_full((), height - 1)])
    grid = (points / last * 2 - 1).to(features.dtype)
    return grid_sample(features, grid[:, :, None], align_corners=True)[..., 0].transpose(1, 2)


def box_features(
    features: Float[Tensor, "batch dim height width"], boxes: Float[Tensor, "batch 4"], bins: int
) -> Float[Tensor, "batch dim bins bins"]:
    """Return each sample's box (x0, y0, x1, y1 in cells) as ``bins`` x ``bins`` means of interpolated features.

    Boxes get no gradient. A bin's sample points form a grid, so its mean is a product of two sums, over rows and over
    columns: two small matrices a box, and two multiplications.
    """
    boxes = boxes.detach().float()
    height, width = features.shape[-2:]
    across = _bin_weights(boxes[:, 0], boxes[:, 2], width, bins).to(features.dtype)
    down = _bin_weights(boxes[:, 1], boxes[:, 3], height, bins).to(features.dtype)
    return down[:, None] @ features @ across[:, None].transpose(-1, -2)


def _bin_weights(
    start: Float[Tensor, " batch"], end: Float[Tensor, " batch"], size: int, bins: int
) -> Float[Tensor, "batch bins size"]:
    """Return how much each of ``size`` cells counts in each bin along one axis."""
    length = (end - start).clamp(min=1.0)
    per_bin = (length / bins)[:, None, None]
    count = torch.ceil(per_bin).clamp(max=float(MOST_SAMPLES))
    number = torch.arange(MOST_SAMPLES, device=start.device)
    first = torch.arange(bins, device=start.device)[None, :, None] * per_bin
    places = start[:, None, None] + first + (number + 0.5) * per_bin / count
    counts = (number < count) & (places >= -1.0) & (places <= size)
    cells = torch.arange(size, device=start.device)
    hats = (1 - (places.clamp(0, size - 1)[..., None] - cells).abs()).clamp(min=0)
    return (hats * counts[..., None]).sum(dim=2) / count
