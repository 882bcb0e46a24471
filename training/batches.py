"""Batches of samples as tensors."""

import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.utils.data import get_worker_info

from .losses import Targets, Validity
from .samples import TARGETS, VALIDITY, Named, Replaced, Rows, Sample


class Batch(NamedTuple):
    """Samples side by side: one rank's part of a global batch.

    ``positions`` are those of the samples in the training order; the global batch reaches from ``position`` to ``end``.
    """

    crops: UInt8[Tensor, "batch 3 height width"]
    colour: Float[Tensor, "batch 3 4"]
    targets: Targets
    validity: Validity
    keys: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    positions: tuple[int, ...] = ()
    position: int = 0
    end: int = 0
    replaced: tuple[Replaced, ...] = ()

    def to(self, device: torch.device) -> "Batch":
        """Return the batch with its tensors on a device."""
        return self._replace(
            crops=self.crops.to(device, non_blocking=True),
            colour=self.colour.to(device, non_blocking=True),
            targets=Targets(*(tensor.to(device, non_blocking=True) for tensor in self.targets)),
            validity=Validity(*(tensor.to(device, non_blocking=True) for tensor in self.validity)),
        )

    def named(self, named: Sequence[Named], positions: Sequence[int], position: int, end: int) -> "Batch":
        """Return the batch with the names and places of its samples."""
        return self._replace(
            keys=tuple(one.key for one in named),
            members=tuple(one.member for one in named),
            positions=tuple(positions),
            position=position,
            end=end,
            replaced=tuple(one.replaced for one in named if one.replaced is not None),
        )


class CropMemory:
    """Memory of crops, which is taken again when nobody holds a batch in it any more.

    A system fills fresh memory with zeros before it is written, which costs a tenth of what cutting into it does.
    """

    def __init__(self, most: int, *, pinned: bool = False) -> None:
        """``most`` batches stay at hand; ``pinned`` memory is copied to a GPU while it computes."""
        self.most, self.pinned = most, pinned
        self._arrays: list[UInt8[np.ndarray, "batch 3 height width"]] = []

    def take(self, count: int, size: tuple[int, int]) -> UInt8[Tensor, "batch 3 height width"]:
        """Return memory for ``count`` crops of ``size`` (width, height)."""
        shape = (3, size[1], size[0])
        if self.pinned:  # PyTorch keeps pinned memory at hand by itself
            return torch.empty((count, *shape), dtype=torch.uint8, pin_memory=True)
        if get_worker_info() is not None:  # other memory would be copied on its way out of a worker process
            return _shared(count * 3 * size[0] * size[1]).view(count, *shape)
        for array, references in zip(self._arrays, _references(self._arrays), strict=True):
            if references == _UNUSED and len(array) >= count and array.shape[1:] == shape:
                return torch.from_numpy(array[:count])
        fresh = np.empty((count, *shape), np.uint8)
        self._arrays = [*self._arrays, fresh][-self.most :]
        return torch.from_numpy(fresh)


def _references(arrays: Sequence[np.ndarray]) -> list[int]:
    """Return how many references to each array there are, those of the question itself included."""
    return [sys.getrefcount(array) for array in arrays]


# Of an array that only a list knows: interpreters count the question differently, and 3.14 less than those before.
_UNUSED = _references([np.empty(0)])[0]


def _shared(size: int) -> UInt8[Tensor, " bytes"]:
    """Return memory that other processes can map."""
    return torch.empty(0, dtype=torch.uint8).set_(torch.UntypedStorage._new_shared(size))


def empty_batch(count: int, size: tuple[int, int], memory: CropMemory | None = None) -> Batch:
    """Return a batch whose tensors are yet to be filled."""
    memory = memory or CropMemory(1)

    def tensors(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
        return {name: torch.empty((count, *shape), pin_memory=memory.pinned) for name, shape in shapes.items()}

    colour = torch.empty((count, 3, 4), pin_memory=memory.pinned)
    return Batch(memory.take(count, size), colour, Targets(**tensors(TARGETS)), Validity(**tensors(VALIDITY)))


def rows_of(batch: Batch) -> Rows:
    """Return the memory of a batch's tensors as arrays."""
    targets, validity = (
        {name: tensor.numpy() for name, tensor in group._asdict().items()} for group in (batch.targets, batch.validity)
    )
    return Rows(batch.crops.numpy(), batch.colour.numpy(), targets, validity)


def collate(samples: Sequence[Sample]) -> Batch:
    """Return samples as one batch of CPU tensors; for a DataLoader over ``torch_data.PeopleDataset``."""

    def stacked(rows: Sequence[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.stack(rows))

    positions = [sample.position for sample in samples]
    batch = Batch(
        crops=stacked([sample.crop for sample in samples]),
        colour=stacked([sample.colour for sample in samples]),
        targets=Targets(**{name: stacked([sample.targets[name] for sample in samples]) for name in TARGETS}),
        validity=Validity(**{name: stacked([sample.validity[name] for sample in samples]) for name in VALIDITY}),
    )
    named = [Named(sample.key, sample.member, sample.replaced) for sample in samples]
    return batch.named(named, positions, min(positions), max(positions) + 1)


def float_images(
    crops: UInt8[Tensor, "batch 3 height width"], colour: Float[Tensor, "batch 3 4"] | None = None
) -> Float[Tensor, "batch 3 height width"]:
    """Return crops in [0, 1] under their maps of colour (``effects.colour_map``), clipped as 8-bit pictures are."""
    if colour is None:
        return crops.float() / 255
    coloured = torch.baddbmm(colour[:, :, 3:], colour[:, :, :3], crops.flatten(2).float())
    return (coloured.clamp_(0, 255) / 255).view(crops.shape)
