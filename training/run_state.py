"""What a run needs to continue: weights, optimiser, running mean; gathered from all ranks and given back to any number.

Weights and the optimiser's numbers are stored whole and by name, so a run that was stopped on eight GPUs with sharded
weights continues on one without, and the other way round. Writing happens in a thread while training goes on.
"""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.tensor import DTensor, distribute_tensor

from .checkpoint import load_checkpoint, network_entries, save_checkpoint
from .networks import Network
from .run_record import RunFolder

_WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)


class RunningMean:
    """A mean of the trained weights over the steps, in which the latest count most."""

    def __init__(self, network: nn.Module, decay: float | None) -> None:
        """``decay`` is the share of the mean that a step keeps; None keeps no mean."""
        self.decay = decay
        trained = [(name, p) for name, p in network.named_parameters() if p.requires_grad] if decay else []
        self._parameters = dict(trained)
        self.values = {name: parameter.detach().clone() for name, parameter in trained}

    @torch.no_grad()
    def update(self) -> None:
        """Move the mean towards the weights."""
        if self.decay is not None:
            for name, value in self.values.items():
                value.lerp_(self._parameters[name].detach(), 1 - self.decay)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the whole mean; all ranks have to ask."""
        return {name: whole(value) for name, value in self.values.items()}

    @torch.no_grad()
    def load_state_dict(self, stored: Mapping[str, Tensor]) -> None:
        """Take over what another run's mean returned."""
        for name, value in self.values.items():
            value.copy_(like(stored[name], value))


def whole(value: Tensor) -> Tensor:
    """Return a tensor that lies in one piece; all ranks have to ask."""
    return value.full_tensor() if isinstance(value, DTensor) else value


def like(value: Tensor, other: Tensor) -> Tensor:
    """Return a tensor divided over the ranks as another one is."""
    if isinstance(other, DTensor):
        return distribute_tensor(value.to(other.device), other.device_mesh, other.placements)
    return value


class RunState:
    """Network, optimiser and running mean of a run."""

    def __init__(self, network: Network, optimiser: torch.optim.Optimizer, mean: RunningMean) -> None:
        self.network, self.optimiser, self.mean = network, optimiser, mean

    def gathered(self) -> dict[str, Any]:
        """Return the state as a checkpoint holds it; all ranks have to ask, the main one gets it."""
        weights = cast(dict[str, Tensor], get_model_state_dict(self.network, options=_WHOLE))
        return network_entries(self.network, weights) | {
            "optimizer": get_optimizer_state_dict(self.network, self.optimiser, options=_WHOLE),
            "ema": self.mean.state_dict(),
        }

    def restore(self, path: Path) -> None:
        """Load a checkpoint; how the optimiser computes stays as it is on this device."""
        state = load_checkpoint(path)
        for stored, own in zip(state["optimizer"]["param_groups"], self.optimiser.param_groups, strict=True):
            stored["fused"] = own["fused"]
        set_model_state_dict(self.network, state["network"], options=_WHOLE)
        set_optimizer_state_dict(self.network, self.optimiser, state["optimizer"], options=_WHOLE)
        self.mean.load_state_dict(state["ema"])


class CheckpointWriter:
    """Writes checkpoints in a thread, one at a time; training waits only while a state is copied."""

    def __init__(self, run: RunFolder, keep: int) -> None:
        """``keep`` newest checkpoints stay in the run's folder."""
        self.run, self.keep = run, keep
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._pending: Future[None] | None = None

    def write(self, step: int, state: Mapping[str, Any]) -> None:
        """Begin to write the state after a step, when the one before is written; raise what went wrong with that."""
        self.wait()
        self._pending = self._pool.submit(self._write, step, _copied(state))

    def _write(self, step: int, state: Mapping[str, Any]) -> None:
        save_checkpoint(self.run.checkpoint_path(step), state)
        self.run.prune(self.keep)

    def wait(self) -> None:
        """Wait until everything is on the disk; raise what went wrong."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def close(self) -> None:
        """Finish."""
        try:
            self.wait()
        finally:
            self._pool.shutdown()


def _copied(value: Any) -> Any:
    """Return plain containers whose tensors the next step does not change."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list | tuple) else value
