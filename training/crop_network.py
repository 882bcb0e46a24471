"""What every network here does first: crops at the size and in the range that its encoder reads."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from .compat import INPUT_HEIGHT, INPUT_WIDTH, Quirks

CROP_SIZE = (512, 384)  # height, width of the crop that the loaders of the released code make
INPUT_SIZE = (INPUT_HEIGHT, INPUT_WIDTH)
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class CropNetwork(nn.Module):
    """A network on crops in [0, 1]; ``prepare`` makes them its input."""

    mean: Float[Tensor, "3 1 1"]
    std: Float[Tensor, "3 1 1"]

    def __init__(self, quirks: Quirks) -> None:
        super().__init__()
        self.quirks = quirks
        # Off the meta device even when the weights are on it, since no file brings these numbers.
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN, device="cpu").view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD, device="cpu").view(3, 1, 1), persistent=False)

    def prepare(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 3 256 192"]:
        """Return the crops at the encoder's size, normalised unless the quirks say otherwise.

        RGB in [0, 1]; 512 x 384 is halved, 256 x 192 is taken as it is, anything else raises ``ValueError``.
        """
        images = _halved(images, self.quirks)
        return images if self.quirks.unnormalised_input else (images - self.mean) / self.std


def _halved(images: Float[Tensor, "batch 3 height width"], quirks: Quirks) -> Float[Tensor, "batch 3 256 192"]:
    """Return the crops at 256 x 192: every second pixel under the quirk, else the mean of 2 x 2."""
    size = tuple(images.shape[-2:])
    if size == INPUT_SIZE:
        return images
    if size != CROP_SIZE:
        raise ValueError(f"crops should be {CROP_SIZE} or {INPUT_SIZE} (height, width), found {size}")
    return images[..., ::2, ::2] if quirks.nearest_halving else avg_pool2d(images, 2)
