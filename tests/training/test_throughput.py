"""Counting arithmetic."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from ehps.training.smplestx import NetworkSize, SmplestX
from ehps.training.throughput import forward_flops, utilisation


def test_the_count_is_that_of_torch():
    size = NetworkSize(embed_dim=64, depth=3, num_heads=4, drop_path_rate=0.0, dim_out=32)
    with torch.device("meta"):
        network = SmplestX(size)
        images = torch.empty(1, 3, 256, 192)
    network.mean, network.std = network.mean.to("meta"), network.std.to("meta")
    with FlopCounterMode(display=False) as counter:
        network(images)
    # The last decoder layer leaves out the patches, and heads are not counted here: a few per cent.
    assert forward_flops(size) == pytest.approx(counter.get_total_flops(), rel=0.15)


def test_only_known_devices_have_a_utilisation():
    size = NetworkSize(1280, 32, 16, 0.55)
    assert utilisation(size, 100.0, "x86_64") is None
    assert 0.05 < utilisation(size, 400.0, "NVIDIA H100 80GB HBM3") < 0.6
