"""Weights find their place or say why not; files appear whole or not at all."""

import os
import zipfile

import pytest
import torch

from ehps.errors import CheckpointError
from ehps.training.checkpoint import (
    load_checkpoint,
    load_released,
    load_vitpose,
    network_entries,
    network_from_state,
    save_checkpoint,
)
from ehps.training.compat import PAPER, SMPLESTX_RELEASED, Quirks
from ehps.training.network_size import NetworkSize
from ehps.training.smplestx import SmplestX
from ehps.training.vit import ViT

TINY = NetworkSize(embed_dim=32, depth=2, num_heads=4, drop_path_rate=0.2, dim_out=8)


def tiny_network(seed=0, quirks=PAPER, size=TINY):
    torch.manual_seed(seed)
    return SmplestX(size, quirks)


def tiny_encoder(seed=0):
    torch.manual_seed(seed)
    return ViT(embed_dim=32, depth=2, num_heads=4, num_task_tokens=5)


def same_weights(one, other):
    others = other.state_dict()
    return all(torch.equal(value, others[key]) for key, value in one.state_dict().items())


@pytest.fixture
def released(tmp_path):
    """A file in the released layout, with the network it holds."""
    network = tiny_network()
    weights = {f"module.{key}": value for key, value in network.state_dict().items()}
    path = tmp_path / "smplest_x_tiny.pth.tar"
    torch.save({"epoch": 7, "network": weights, "optimizer": {"state": {}, "param_groups": []}}, path)
    return path, network


# Names and shapes of vitpose_small.pth (width 384, depth 12), here for a width of 32.
BLOCK = {"norm1.weight": (32,), "norm1.bias": (32,), "attn.qkv.weight": (96, 32), "attn.qkv.bias": (96,)}
BLOCK |= {"attn.proj.weight": (32, 32), "attn.proj.bias": (32,), "norm2.weight": (32,), "norm2.bias": (32,)}
BLOCK |= {"mlp.fc1.weight": (128, 32), "mlp.fc1.bias": (128,), "mlp.fc2.weight": (32, 128), "mlp.fc2.bias": (32,)}
ENCODER = {"cls_token": (1, 1, 32), "pos_embed": (1, 193, 32)}
ENCODER |= {"patch_embed.proj.weight": (32, 3, 16, 16), "patch_embed.proj.bias": (32,)}
ENCODER |= {f"blocks.{i}.{name}": shape for i in range(2) for name, shape in BLOCK.items()}
ENCODER |= {"last_norm.weight": (32,), "last_norm.bias": (32,)}
HEAD = ("deconv_layers.0.weight", "deconv_layers.1.weight", "deconv_layers.1.bias", "final_layer.weight")


@pytest.fixture
def vitpose(tmp_path):
    """A file as ViTPose ships it, with its weights; no two numbers are the same."""
    torch.manual_seed(0)
    weights = {f"backbone.{name}": torch.randn(shape) for name, shape in ENCODER.items()}
    path = tmp_path / "vitpose_tiny.pth"
    head = {f"keypoint_head.{name}": torch.zeros(1) for name in HEAD}
    torch.save({"meta": {"epoch": 210}, "state_dict": weights | head}, path)
    return path, weights


def test_a_released_file_loads_strictly_and_says_what_it_left_aside(released):
    path, network = released
    other = tiny_network(seed=1)
    report = load_released(path, other)
    assert same_weights(network, other)
    assert (report.initial, report.unused) == ((), ("epoch", "optimizer"))
    assert str(report) == "loaded smplest_x_tiny.pth.tar; not used of it: epoch, optimizer"


def test_a_released_file_becomes_a_network_with_the_released_switches(released):
    path, network = released
    found = network_from_state(load_checkpoint(path), num_heads=4)
    assert same_weights(network, found)
    assert found.quirks == SMPLESTX_RELEASED
    assert (found.size.depth, found.size.dim_out) == (2, 8)
    assert not found.training
    assert not any(value.is_meta for value in [*found.parameters(), *found.buffers()])


def test_heads_must_be_given_for_an_unknown_width(released):
    with pytest.raises(CheckpointError, match=r"tiny\.pth.*heads its width 32 has; pass num_heads"):
        network_from_state(load_checkpoint(released[0]), path=released[0])


def test_heads_of_a_released_width_are_known():
    with torch.device("meta"):
        huge = SmplestX(NetworkSize(1280, 2, 16, 0.0))
    assert network_from_state({"network": huge.state_dict()}).size == NetworkSize(1280, 2, 16, 0.55)


def test_only_one_module_prefix_is_stripped(released, tmp_path):
    state = torch.load(released[0], weights_only=True)
    twice = tmp_path / "twice.pth"
    torch.save({"network": {f"module.{key}": value for key, value in state["network"].items()}}, twice)
    with pytest.raises(CheckpointError, match=r"unexpected \(module\.encoder"):
        load_released(twice, tiny_network())


def test_our_file_brings_size_and_switches_and_loads_as_a_released_one(tmp_path):
    network = tiny_network(quirks=Quirks(nearest_halving=True))
    path = tmp_path / "last.pt"
    save_checkpoint(path, {**network_entries(network), "step": 12, "rng": torch.get_rng_state()})
    state = load_checkpoint(path)
    found = network_from_state(state)
    assert found.size == TINY
    assert found.quirks == Quirks(nearest_halving=True)
    assert state["step"] == 12
    assert same_weights(network, found)
    other = tiny_network(seed=1)
    assert load_released(path, other).unused == ("config", "step", "rng")
    assert same_weights(network, other)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: w.pop("decoder.token_conv.bias"), r"1 missing \(decoder\.token_conv\.bias\)"),
        (lambda w: w.update({"smplx_layer.betas": torch.zeros(1)}), r"1 unexpected \(smplx_layer\.betas\)"),
        (
            lambda w: w.update({"decoder.dec_body_shape.bias": torch.zeros(11)}),
            r"1 of another shape \(decoder\.dec_body_shape\.bias \(11,\) instead of \(10,\)\)",
        ),
    ],
)
def test_a_weight_out_of_place_is_named_and_nothing_is_loaded(tmp_path, change, said):
    weights = tiny_network().state_dict()
    change(weights)
    torch.save({"network": weights}, tmp_path / "odd.pth")
    network = tiny_network(seed=1)
    with pytest.raises(CheckpointError, match=said):
        load_released(tmp_path / "odd.pth", network)
    assert same_weights(network, tiny_network(seed=1))


def test_vitpose_fills_all_but_the_task_tokens(vitpose):
    path, weights = vitpose
    encoder = tiny_encoder(seed=1)
    tokens = encoder.task_tokens.clone()
    said = str(load_vitpose(path, encoder))
    assert said == (
        "loaded vitpose_tiny.pth; not in it: task_tokens; not used of it: backbone.cls_token, keypoint_head.* (4)"
    )
    loaded = encoder.state_dict()
    assert torch.equal(loaded.pop("task_tokens"), tokens)
    assert set(loaded) == set(ENCODER) - {"cls_token"}
    for name, value in loaded.items():
        assert torch.equal(value, weights[f"backbone.{name}"]), name


@pytest.mark.parametrize(
    ("rename", "said"),
    [
        (lambda key: key.removeprefix("backbone."), r"keys 'backbone\.\*', found 'cls_token' first"),
        (lambda key: key.replace("mlp.fc2", "mlp.experts.0"), r"ViTPose\+ file"),
        (lambda key: key.replace("blocks.1.", "blocks.2."), r"12 missing \(blocks\.1\.norm1\.weight"),
    ],
)
def test_a_vitpose_file_that_does_not_match_fails_loudly(vitpose, rename, said):
    path, _ = vitpose
    weights = torch.load(path, weights_only=True)["state_dict"]
    torch.save({"state_dict": {rename(key): value for key, value in weights.items()}}, path)
    with pytest.raises(CheckpointError, match=said):
        load_vitpose(path, tiny_encoder())


class RunsCode:
    """What a malicious file would hold."""

    def __reduce__(self):
        return (os.getcwd, ())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"network": RunsCode()}, "cannot be read as plain weights"),
        ([1, 2], "should hold a dict, found list"),
        ({"state_dict": {}}, "should have an entry 'network', found state_dict"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path, content, said):
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=said):
        load_checkpoint(tmp_path / "other.pth")


def test_a_missing_or_cut_file_says_so(tmp_path, released):
    with pytest.raises(CheckpointError, match="there is no such file"):
        load_checkpoint(tmp_path / "nowhere.pth")
    whole = released[0].read_bytes()
    released[0].write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=r"smplest_x_tiny.*damaged|cannot be read"):
        load_checkpoint(released[0])


def test_a_file_in_the_old_torch_format_is_read_too(tmp_path):
    network = tiny_network()
    path = tmp_path / "old.pth"
    torch.save({"network": network.state_dict()}, path, _use_new_zipfile_serialization=False)
    assert not zipfile.is_zipfile(path)
    other = tiny_network(seed=1)
    load_released(path, other)
    assert same_weights(network, other)


def test_another_model_is_not_taken_for_one_of_ours():
    with pytest.raises(CheckpointError, match=r"holds no network of SMPLest-X or SMPLer-X; its weights are fc\.weight"):
        network_from_state({"network": {"fc.weight": torch.zeros(1)}})


def test_an_interrupted_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "last.pt"
    save_checkpoint(path, {"network": {}, "step": 1})

    def dies_half_way(state, file):
        file.write(b"half a file")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", dies_half_way)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, {"network": {}, "step": 2})
    assert load_checkpoint(path)["step"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]


def test_saving_leaves_weights_mapped_from_the_old_file_alone(tmp_path):
    path = tmp_path / "last.pt"
    save_checkpoint(path, {"network": {"w": torch.zeros(1000)}})
    mapped = load_checkpoint(path)["network"]["w"]
    save_checkpoint(path, {"network": {"w": torch.ones(1000)}})
    assert mapped.sum() == 0
    assert load_checkpoint(path)["network"]["w"].sum() == 1000


def test_what_could_not_be_read_back_is_not_written(tmp_path):
    path = tmp_path / "last.pt"
    with pytest.raises(ValueError, match=r"state\['optimizer'\]\['groups'\]\[1\] should be .* found RunsCode"):
        save_checkpoint(path, {"network": {}, "optimizer": {"groups": [0.1, RunsCode()]}})
    assert not path.exists()
