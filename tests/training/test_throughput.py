"""Counting arithmetic."""

import time

import pytest
import torch

from ehps.training.network_size import SIZES, NetworkSize
from ehps.training.progress import Window
from ehps.training.recipes import get_recipe
from ehps.training.smplestx import HEAD_DIM
from ehps.training.throughput import forward_flops, utilisation

SIZE = NetworkSize(embed_dim=64, depth=3, num_heads=4, drop_path_rate=0.0, dim_out=32)
PATCHES = 192


def encoder_flops(size, tasks):
    """Patches of 16 x 16 x 3, then blocks of twelve matrices as wide as the tokens, and attention."""
    tokens, dim = PATCHES + tasks, size.embed_dim
    block = 2 * tokens * 12 * dim * dim + 4 * tokens * tokens * dim
    return 2 * PATCHES * 3 * 16 * 16 * dim + size.depth * block


def decoder_flops(size):
    """SMPLest-X: six layers of 272 tokens, the last of which goes on with 80; then the heads."""
    dim, inner = size.embed_dim, size.decoder_heads * HEAD_DIM
    total = 2 * 80 * dim * size.dim_out + 2 * size.dim_out * (126 * 21 + 6 + 100 + 3 + 24 + 180 * 30 + 12 + 6 + 100 + 9)
    for tokens in [272] * (size.decoder_depth - 1) + [80]:
        total += 2 * 272 * 4 * dim * inner + 4 * 272 * 272 * inner
        total += 2 * (2 * tokens + 2 * PATCHES) * dim * inner + 4 * tokens * PATCHES * inner + 4 * tokens * dim * dim
    return total


def hand_and_box_flops(size):
    """SMPLer-X: transposed convolutions of 4 x 4 over boxes and hands, and what reads them."""
    dim = size.embed_dim
    boxes = 2 * 16 * 256 * (PATCHES * (dim + 400) + 4 * PATCHES * 256 + 16 * PATCHES * 256) + 2 * 64 * PATCHES * 256 * 3
    enlarged = 2 * 16 * PATCHES * (dim * dim // 2 + 4 * dim // 2 * dim // 4)
    cut = 2 * 2 * dim // 4 * (16 * 64 * 48 + 16 * 48 * 16) + 2 * 2 * 256 * dim // 4 * dim
    hands = 2 * 2 * 256 * dim * (320 + 512) + 2 * 2 * 20 * 515 * 90
    body = 2 * PATCHES * dim * 400 + 2 * 25 * dim * 512 + 2 * 25 * 515 * 132 + 2 * dim * (10 + 3 + 10 + 6)
    return boxes + enlarged + cut + hands + body


def test_the_count_is_that_of_the_layers():
    smplestx = encoder_flops(SIZE, 80) + decoder_flops(SIZE)
    assert forward_flops("smplest-x", SIZE) == pytest.approx(smplestx, rel=1e-3)
    smplerx = encoder_flops(SIZE, 31) + hand_and_box_flops(SIZE)
    assert forward_flops("smpler-x", SIZE) == pytest.approx(smplerx, rel=2e-3)


def test_only_known_devices_have_a_utilisation():
    assert utilisation("smplest-x", SIZES["h"], 100.0, "x86_64") is None
    share = utilisation("smplest-x", SIZE, 1e4, "NVIDIA H100 80GB HBM3")
    assert share == pytest.approx(3e4 * forward_flops("smplest-x", SIZE) / 989e12)


@pytest.mark.parametrize("model", ["smplest_x", "smpler_x"])
def test_a_status_tells_the_share_of_the_network_that_trains(model):
    recipe = get_recipe("demo", [f"model={model.replace('_', '-')}"])
    window = Window("NVIDIA H200", num_devices=2)
    window.sums, window.parts = {"pose": torch.tensor(1.0)}, 1
    window.began = time.perf_counter() - 1e-3
    status = window.status(recipe, 1, 1e-3, 1.0)
    expected = 3 * forward_flops(recipe.model, recipe.network) * status.people_per_s / 2 / 989e12
    assert status.mfu == pytest.approx(expected)
    assert "mfu" in str(status)
