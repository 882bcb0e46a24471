"""A step of training stays on its device: checked on torch's device without data, so that no GPU is needed.

What would make a GPU wait or fail shows there too: an operation on tensors of two devices, a number that is asked for
on the host, a tensor that is copied to the device in the middle of a step.
"""

import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from ehps.training import outputs
from ehps.training.batches import empty_batch
from ehps.training.loop import Learner
from ehps.training.progress import Window
from ehps.training.ranks import Ranks

NO_DATA = torch.device("meta")


class NoLists(TorchFunctionMode):
    """Refuses lists of numbers that would be copied to a device: as an index, or made a tensor there."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in (torch.Tensor.__getitem__, torch.Tensor.__setitem__) and args[0].device == NO_DATA:
            parts = args[1] if isinstance(args[1], tuple) else (args[1],)
            assert not any(isinstance(part, list | tuple | np.ndarray) for part in parts), f"a list in {parts}"
        if func in (torch.tensor, torch.as_tensor):
            assert torch.device(kwargs.get("device") or "cpu") != NO_DATA, f"a list of {args[0]}"
        return func(*args, **kwargs)


class OneDevice(TorchDispatchMode):
    """Refuses operations on tensors of several devices, and keeps the shapes of what is copied from one to another."""

    def __init__(self):
        super().__init__()
        self.copied = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        given = [one for one in tree_iter((args, kwargs)) if isinstance(one, torch.Tensor)]
        devices = {one.device.type for one in given if one.dim() or one.device == NO_DATA}
        assert len(devices) < 2, f"{func} of tensors on {devices}: {[tuple(one.shape) for one in given]}"
        out = func(*args, **kwargs)
        if isinstance(out, torch.Tensor) and given and out.device != given[0].device:
            self.copied.append(tuple(out.shape))
        return out


def batch_of(count, size):
    keys, positions = tuple(map(str, range(count))), tuple(range(count))
    return empty_batch(count, size)._replace(keys=keys, positions=positions).to(NO_DATA)


def step_of(recipe, monkeypatch):
    """What a step of training copies to its device."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # knows no device without data
    outputs._supervision_index.cache_clear()
    learner = Learner(recipe, Ranks(0, 1, NO_DATA))
    size = (192, 256) if recipe.compat == "paper" else (384, 512)
    batches = [batch_of(recipe.batch_size // recipe.accumulate, size) for _ in range(recipe.accumulate)]
    outputs._supervision_index(NO_DATA)  # made once a device
    with NoLists(), OneDevice() as watched:
        learner.learn(0, batches, Window("none", 1))
    return watched.copied


@pytest.mark.parametrize(
    ("model", "compat"), [(model, compat) for model in ("smplest-x", "smpler-x") for compat in ("paper", model)]
)
def test_a_step_mixes_no_devices_and_never_waits_for_one(recipe, monkeypatch, model, compat):
    """The only thing that it brings along is what decides which people skip which blocks."""
    tiny = replace(recipe, model=model, compat=compat, accumulate=2, layer_decay=0.9, clip=1.0, ema=0.9)
    draws = (2, tiny.network.depth, 2)
    assert step_of(tiny, monkeypatch) == [draws, draws]


@pytest.mark.parametrize(
    ("work", "complaint"),
    [
        (lambda x: x + torch.ones(3), "tensors on"),
        (lambda x: x[torch.tensor([0, 2])], "tensors on"),
        (lambda x: x.sum().item(), "meta"),
        (lambda x: x if (x > 0).any() else -x, "meta"),
        (lambda x: x[x > 0], "nonzero"),
        (lambda x: x.cpu(), "no data"),
        (lambda x: x[[0, 2]], "a list"),
        (lambda x: x[..., (0, 2)], "a list"),
        (lambda x: x + torch.tensor([1.0, 2.0, 3.0], device=x.device), "a list"),
    ],
)
def test_what_a_gpu_would_refuse_or_wait_for_is_found(work, complaint):
    with NoLists(), OneDevice(), pytest.raises((AssertionError, RuntimeError, NotImplementedError), match=complaint):
        work(torch.ones(3, device=NO_DATA))


# In a process of its own: the compiler cannot look through the checks of types that tests install.
COMPILED = """
import sys, torch
from torch._dynamo.backends.debugging import aot_eager
from torch.utils._pytree import tree_leaves
from ehps.training.network_size import NetworkSize
from ehps.training.networks import new_network_of
from ehps.training.stochastic_depth import depth_draws
torch.manual_seed(1)
network = new_network_of(sys.argv[1], NetworkSize(16, 3, 2, 0.5, dim_out=8, decoder_depth=1, decoder_heads=1)).train()
images, draws, graphs = torch.rand(2, 3, 256, 192), depth_draws(0, (3, 4), 3), []
def counted(graph, inputs):
    graphs.append(graph)
    return aot_eager(graph, inputs)
with torch.autocast("cpu", torch.bfloat16):
    plain = tree_leaves(network(images, draws))
    compiled = tree_leaves(torch.compile(network, backend=counted)(images, draws))
for one, other in zip(plain, compiled, strict=True):
    torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-2)
print("graphs:", len(graphs))
"""


@pytest.mark.slow
@pytest.mark.parametrize("model", ["smplest-x", "smpler-x"])
def test_a_network_is_one_graph_for_the_compiler_and_computes_the_same(model):
    done = subprocess.run([sys.executable, "-c", COMPILED, model], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split("\n")[-2] == "graphs: 1"
