"""The stream of training batches: crops and labels of the people of a mixture, in their order.

Threads decode and cut (OpenCV lets go of the interpreter meanwhile), a bounded number of batches ahead. The position
in the order is the only state: it counts people over all ranks, so a run continues with any number of ranks, workers
and prefetched batches. Rank r of n takes the r-th n-th of each global batch. Crops stay ``uint8``; colour jitter is a
factor beside them, applied on the device by ``float_images``.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from ..errors import RecordError
from .augment import Augmentation, AugmentationRange, draw
from .compat import PAPER, Quirks
from .crops import FULL_SIZE, HALF_SIZE, crop_affine, crop_box, cut, padded_box, reduction_for, shrunk_by
from .losses import Targets, Validity
from .targets import augmented, labels_of, training_rows


@runtime_checkable
class People(Protocol):
    """Who stands where in the training order (``mixture.MixedPeople``)."""

    @property
    def length(self) -> int | None:
        """Return where the order ends, None for never."""
        ...

    def at(self, positions: Int[np.ndarray, " positions"]) -> list[tuple[str, int]]:
        """Return the member and the person_id at each position."""
        ...


@dataclass(frozen=True, kw_only=True)
class SampleSettings:
    """How a person becomes a sample."""

    seed: int = 0
    ranges: AugmentationRange = field(default_factory=AugmentationRange)
    quirks: Quirks = PAPER

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of a crop: what the network sees, or twice that where the released code halves it."""
        return FULL_SIZE if self.quirks.nearest_halving else HALF_SIZE


class Sample(NamedTuple):
    """One person, ready for a batch."""

    crop: UInt8[np.ndarray, "height width 3"]
    colour: tuple[float, float, float]
    targets: dict[str, np.ndarray]
    validity: dict[str, np.ndarray]
    key: str


class Batch(NamedTuple):
    """Samples side by side. ``position`` is that of the first in the training order."""

    crops: UInt8[Tensor, "batch 3 height width"]
    colour: Float[Tensor, "batch 3"]
    targets: Targets
    validity: Validity
    keys: tuple[str, ...]
    members: tuple[str, ...]
    position: int

    def to(self, device: torch.device) -> "Batch":
        """Return the batch with its tensors on a device."""
        return self._replace(
            crops=self.crops.to(device, non_blocking=True),
            colour=self.colour.to(device, non_blocking=True),
            targets=Targets(*(tensor.to(device, non_blocking=True) for tensor in self.targets)),
            validity=Validity(*(tensor.to(device, non_blocking=True) for tensor in self.validity)),
        )


def make_sample(person: Any, augmentation: Augmentation, settings: SampleSettings) -> Sample:
    """Return the crop and labels of a stored person; RecordError where its box lies outside the picture."""
    size, quirks = settings.size, settings.quirks
    box = None if person.bbox_xyxy is None else crop_box(padded_box(person.bbox_xyxy), person.width, person.height)
    if box is None:
        raise RecordError(person.person_key, "bbox_xyxy", "a box inside the picture", str(person.bbox_xyxy))
    affine = crop_affine(box, size, augmentation, person.width)
    reduction = 1 if quirks.nearest_halving else reduction_for(box, size, augmentation)
    picture = person.image(reduction)
    crop = cut(picture, affine, size, shrunk_by(picture, person.width, person.height, reduction))
    labels = augmented(labels_of(person, quirks), augmentation, quirks)
    targets, validity = training_rows(labels, affine, size, quirks)
    return Sample(crop, augmentation.colour, targets, validity, person.person_key)


def collate(samples: list[Sample], members: tuple[str, ...], position: int) -> Batch:
    """Return samples as one batch of CPU tensors."""
    return Batch(
        crops=torch.from_numpy(np.stack([sample.crop for sample in samples])).permute(0, 3, 1, 2),
        colour=torch.tensor([sample.colour for sample in samples], dtype=torch.float32),
        targets=Targets(**_stacked([sample.targets for sample in samples])),
        validity=Validity(**_stacked([sample.validity for sample in samples])),
        keys=tuple(sample.key for sample in samples),
        members=members,
        position=position,
    )


def _stacked(rows: list[dict[str, np.ndarray]]) -> dict[str, Tensor]:
    """Return rows of arrays as arrays of rows."""
    return {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in rows[0]}


def float_images(
    crops: UInt8[Tensor, "batch 3 height width"], colour: Float[Tensor, "batch 3"]
) -> Float[Tensor, "batch 3 height width"]:
    """Return crops in [0, 1] with their colour jitter, clipped as 8-bit pictures are."""
    coloured = crops.float() * colour[:, :, None, None]
    return (coloured.clamp_(0, 255) / 255).contiguous()


class Stream:
    """Batches of a mixture from ``position`` on; iterate it once, and read ``position`` to continue later."""

    def __init__(
        self,
        people: People,
        load: Callable[[int], Any],
        settings: SampleSettings,
        *,
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
        workers: int = 0,
        prefetch: int = 4,
        position: int = 0,
    ) -> None:
        """``batch_size`` is that of all ranks together; ``load`` returns the stored person of a person_id."""
        if batch_size % world_size:
            raise ValueError(f"a batch of {batch_size} people cannot be split evenly over {world_size} ranks")
        self.people, self.load, self.settings = people, load, settings
        self.batch_size, self.rank, self.world_size = batch_size, rank, world_size
        self.workers, self.prefetch = workers, prefetch
        self.position = position

    def __iter__(self) -> Iterator[Batch]:
        """Yield batches for ever, or until a finite order has no whole batch left."""
        batches = self._read_ahead() if self.workers else map(self.read, self._starts())
        for batch in batches:
            self.position = batch.position + self.batch_size
            yield batch

    def read(self, start: int) -> Batch:
        """Return this rank's part of the global batch that starts at a position."""
        share = self.batch_size // self.world_size
        positions = start + self.rank * share + np.arange(share)
        drawn = self.people.at(positions)
        settings = self.settings
        samples = [
            make_sample(self.load(person_id), draw(settings.seed, position, settings.ranges), settings)
            for position, (_, person_id) in zip(positions.tolist(), drawn, strict=True)
        ]
        return collate(samples, tuple(member for member, _ in drawn), start)

    def _starts(self) -> Iterator[int]:
        """Yield the positions at which global batches start."""
        position, length = self.position, self.people.length
        while length is None or position + self.batch_size <= length:
            yield position
            position += self.batch_size

    def _read_ahead(self) -> Iterator[Batch]:
        """Yield batches that threads have read ahead of time, in order."""
        starts, pending = self._starts(), deque[Future[Batch]]()
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="stream")
        try:
            while True:
                while len(pending) < self.prefetch and (start := next(starts, None)) is not None:
                    pending.append(pool.submit(self.read, start))
                if not pending:
                    return
                yield pending.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
