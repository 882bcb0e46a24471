"""Processes that train together: one under plain Python, one a GPU under ``torchrun``."""

import hashlib
import os
import platform
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.nn.parallel import DistributedDataParallel

from ..errors import RecipeError


class Ranks(NamedTuple):
    """Where this process stands among those that train together."""

    rank: int
    world_size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this rank is the one that writes and reports."""
        return self.rank == 0

    @property
    def is_cuda(self) -> bool:
        """Whether this rank computes on a GPU."""
        return self.device.type == "cuda"

    @property
    def device_name(self) -> str:
        """The model of the GPU, or of the processor."""
        return torch.cuda.get_device_name(self.device) if self.is_cuda else platform.processor() or platform.machine()


def device_named(name: str) -> str:
    """Return cpu or cuda for a name that may be auto: the GPU where there is one."""
    return name if name != "auto" else "cuda" if torch.cuda.is_available() else "cpu"


def join_ranks(device: str, cpu_threads: int | None = None) -> Ranks:
    """Return this process's place; under ``torchrun`` it first meets the others.

    On the processor the arithmetic uses ``cpu_threads`` threads; None leaves the choice to torch.
    """
    kind = device_named(device)
    if cpu_threads and kind == "cpu":
        torch.set_num_threads(cpu_threads)
    if "RANK" not in os.environ:
        return Ranks(0, 1, torch.device(kind))
    place = torch.device(kind, int(os.environ["LOCAL_RANK"])) if kind == "cuda" else torch.device(kind)
    if kind == "cuda":
        torch.cuda.set_device(place)  # first: else all ranks of a machine meet on its first GPU
    torch.distributed.init_process_group("nccl" if kind == "cuda" else "gloo")
    return Ranks(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), place)


def leave_ranks(ranks: Ranks) -> None:
    """Part from the other ranks."""
    if ranks.world_size > 1:
        torch.distributed.destroy_process_group()


def require_agreement(ranks: Ranks, what: str) -> None:
    """Raise RecipeError on every rank unless all of them say the same."""
    if ranks.world_size == 1:
        return
    number = int.from_bytes(hashlib.sha256(what.encode()).digest()[:6])
    extremes = torch.tensor([number, -number], device=ranks.device)
    torch.distributed.all_reduce(extremes, op=torch.distributed.ReduceOp.MAX)
    if int(extremes[0]) != -int(extremes[1]):
        raise RecipeError(
            f"ranks do not see the same files: rank {ranks.rank} would train {what}; "
            "give all machines the same data and the same folder of the run"
        )


def wrapped(network: nn.Module, ranks: Ranks, *, compiles: bool, parallel: Literal["ddp", "fsdp"]) -> nn.Module:
    """Return the network, compiled where asked for, whose gradients are averaged over the ranks.

    "fsdp" divides the weights themselves over the ranks, block by block, which changes the network in place.
    """
    if parallel == "fsdp" and ranks.world_size > 1:
        mesh = init_device_mesh(ranks.device.type, (ranks.world_size,))
        for block in network.get_submodule("encoder.blocks").children():
            fully_shard(block, mesh=mesh)
        fully_shard(network, mesh=mesh)
        # The heads return views, and nothing here writes into what a network returns.
        warnings.filterwarnings("ignore", "FSDP2-wrapped module .* returned a view", UserWarning)
    if compiles:
        network.compile()
    if ranks.world_size == 1 or parallel == "fsdp":
        return network
    # Buffers need no copying: the constants are the same on all ranks, and so are the statistics of synced norms.
    return DistributedDataParallel(network, [ranks.device] if ranks.is_cuda else None, forward_sync_buffers=False)


@contextmanager
def averaging(model: nn.Module, *, now: bool) -> Iterator[None]:
    """Inside, a backward pass averages gradients over the ranks, or leaves that to a later one."""
    if isinstance(model, FSDPModule):
        model.set_requires_gradient_sync(now)
        yield
    else:
        with nullcontext() if now or not isinstance(model, DistributedDataParallel) else model.no_sync():
            yield


def mean_over_ranks(values: Tensor) -> Tensor:
    """Return the mean of a tensor over the ranks; every rank must ask at the same time."""
    if torch.distributed.is_initialized():
        values = values.clone()
        torch.distributed.all_reduce(values)
        values /= torch.distributed.get_world_size()
    return values
