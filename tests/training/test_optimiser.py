"""What learns, and how fast."""

import pytest
import torch

from ehps.training.network_size import NetworkSize
from ehps.training.networks import new_network_of
from ehps.training.optimiser import freeze, new_optimiser, parameter_groups, set_learning_rate

SIZE = NetworkSize(embed_dim=16, depth=3, num_heads=2, drop_path_rate=0.0, dim_out=8)


@pytest.fixture(params=["smplest-x", "smpler-x"])
def network(request):
    return new_network_of(request.param, SIZE)


def trained(network):
    return {name for name, parameter in network.named_parameters() if parameter.requires_grad}


def test_the_encoder_alone_or_what_lies_behind_it_learns(network):
    everything = trained(network)
    freeze(network, "all")
    assert trained(network) == everything
    encoder = {name for name in everything if name.startswith("encoder.")}
    freeze(network, "encoder")
    assert trained(network) == encoder != everything


def test_heads_are_what_is_neither_encoder_nor_neck(network):
    behind = {name for name in trained(network) if not name.startswith("encoder.")}
    freeze(network, "neck_and_heads")
    assert trained(network) == behind
    freeze(network, "heads")
    neck = ("box_net.", "hand_roi_net.", "decoder.transformer.")
    assert trained(network) == {name for name in behind if not name.startswith(neck)}
    assert len(trained(network)) < len(behind)


def test_rates_fall_from_the_heads_to_the_patches(network):
    optimiser = new_optimiser(network, 1.0, 0.0, 0.5, fused=False)
    set_learning_rate(optimiser, 0.8)
    rates = {id(p): group["lr"] for group in optimiser.param_groups for p in group["params"]}
    found = {name: rates[id(p)] for name, p in network.named_parameters() if p.requires_grad}
    assert set(found) == trained(network)
    assert found["encoder.last_norm.weight"] == 0.8
    assert found["encoder.blocks.2.mlp.fc1.weight"] == 0.4
    assert found["encoder.blocks.0.attn.qkv.weight"] == 0.1
    assert found["encoder.patch_embed.proj.weight"] == found["encoder.task_tokens"] == 0.05
    assert {rate for name, rate in found.items() if not name.startswith("encoder.")} == {0.8}


def test_without_decay_all_have_one_rate(network):
    (group,) = parameter_groups(network, 1.0)
    assert group["factor"] == 1.0
    assert len(group["params"]) == len(trained(network))
    optimiser = new_optimiser(network, 1.0, 0.0, 1.0, fused=False)
    set_learning_rate(optimiser, 1e-5)
    assert [group["lr"] for group in optimiser.param_groups] == [1e-5]


def test_a_rate_of_its_own_moves_a_group_that_far(network):
    optimiser = new_optimiser(network, 1.0, 0.0, 0.1, fused=False)
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    set_learning_rate(optimiser, 0.01)
    optimiser.step()
    moved = {name: float((p.detach() - before[name]).abs().max()) for name, p in network.named_parameters()}
    assert moved["encoder.last_norm.weight"] == pytest.approx(0.01, rel=1e-3)
    assert moved["encoder.blocks.1.norm1.weight"] == pytest.approx(0.0001, rel=1e-2)
