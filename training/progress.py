"""How a run is going: the sums behind its reports."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from .batches import Batch
from .ranks import mean_over_ranks
from .recipe import Recipe
from .status import Status
from .throughput import utilisation


class Window:
    """Sums over the steps since the last report."""

    def __init__(self, device_name: str, num_devices: int) -> None:
        self.device_name, self.num_devices = device_name, num_devices
        self._restart()

    def _restart(self) -> None:
        """Begin to count anew."""
        self.began, self.waited, self.parts = time.perf_counter(), 0.0, 0
        self.sums: dict[str, Tensor] = {}
        self.members: Counter[str] = Counter()
        self.replaced: Counter[str] = Counter()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time inside as waiting for data."""
        began = time.perf_counter()
        yield
        self.waited += time.perf_counter() - began

    def add(self, losses: dict[str, Tensor], batch: Batch, share: float = 1.0) -> None:
        """Count one part of a step; losses stay on their device.

        ``share`` is how many people this rank has of the part, over the mean of the ranks.
        """
        for name, loss in losses.items():
            self.sums[name] = self.sums.get(name, 0) + share * loss.detach()
        self.parts += 1
        self.members.update(batch.members)
        self.replaced.update(one.member for one in batch.replaced)

    def status(self, recipe: Recipe, step: int, lr: float, grad_norm: float) -> Status:
        """Return the report of the window, and begin the next."""
        means = mean_over_ranks(torch.stack(list(self.sums.values())) / self.parts).tolist()
        seconds = time.perf_counter() - self.began
        steps = self.parts / recipe.accumulate
        rate = steps * recipe.batch_size / seconds
        status = Status(
            step=step,
            steps=recipe.steps,
            people=step * recipe.batch_size,
            loss=sum(means),
            losses=dict(zip(self.sums, means, strict=True)),
            lr=lr,
            grad_norm=grad_norm,
            people_per_s=rate,
            mfu=utilisation(recipe.model, recipe.network, rate / self.num_devices, self.device_name),
            data_wait=self.waited / seconds,
            eta_s=(recipe.steps - step) * seconds / steps,
            members=dict(self.members),
            replaced=dict(self.replaced),
        )
        self._restart()
        return status
