"""Stops a run whose loss or gradient is no longer finite, without making the processor wait for the GPU.

Numbers travel while the next step is already computed, and are looked at one step later: before a state is saved, and
at the end, the run waits for them.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import RecipeError


class _Watched(NamedTuple):
    """A number on its way to the processor."""

    what: str
    step: int
    keys: tuple[str, ...]
    value: Tensor
    arrived: torch.cuda.Event | None


class FiniteGuard:
    """Watches the numbers of a run."""

    def __init__(self) -> None:
        self._now: list[_Watched] = []
        self._before: list[_Watched] = []

    def watch(self, what: str, value: Tensor, step: int, keys: tuple[str, ...]) -> None:
        """Take note of a number (a tensor without dimensions) that was computed from some people."""
        value = value.detach()
        arrived = None
        if value.is_cuda:
            value = value.to("cpu", non_blocking=True)
            arrived = torch.cuda.Event()
            arrived.record()
        self._now.append(_Watched(what, step, keys, value, arrived))

    def next_step(self) -> None:
        """Look at the numbers of the step before, and keep those of this one; RecipeError as ``settle`` raises it."""
        before, self._before, self._now = self._before, self._now, []
        _require_finite(before)

    def settle(self) -> None:
        """Look at every number; RecipeError, naming step and people, where one is not finite."""
        watched, self._before, self._now = [*self._before, *self._now], [], []
        _require_finite(watched)


def _require_finite(watched: list[_Watched]) -> None:
    """Raise RecipeError for the first number that is not finite."""
    for one in watched:
        if one.arrived is not None:
            one.arrived.synchronize()
        if not torch.isfinite(one.value):
            raise RecipeError(
                f"the {one.what} of step {one.step} is {one.value.item()}, computed from {', '.join(one.keys)}: "
                "look at these people, lower lr, or set clip"
            )
