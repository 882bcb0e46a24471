"""The network as a recipe begins with it."""

from dataclasses import replace

import pytest
import torch

from ehps.errors import CheckpointError, RecipeError
from ehps.training.checkpoint import network_entries, save_checkpoint
from ehps.training.compat import PAPER, SMPLERX_RELEASED, Quirks
from ehps.training.loop import train
from ehps.training.network_size import SIZES, NetworkSize
from ehps.training.networks import new_network_of
from ehps.training.recipes import get_recipe
from ehps.training.run_record import latest_checkpoint
from ehps.training.start import new_network, started_from

SIZE = NetworkSize(embed_dim=16, depth=2, num_heads=2, drop_path_rate=0.1)


def saved(path, model="smpler-x", quirks=PAPER):
    torch.manual_seed(5)
    network = new_network_of(model, SIZE, quirks)
    save_checkpoint(path, network_entries(network))
    return network


@pytest.mark.parametrize(("quirks", "compat"), [(PAPER, "paper"), (SMPLERX_RELEASED, "smpler-x")])
def test_finetuning_takes_network_size_and_switches_from_the_file(tmp_path, quirks, compat):
    before = saved(tmp_path / "general.pt", quirks=quirks)
    recipe = started_from(get_recipe("finetune_agora"), tmp_path / "general.pt")
    assert (recipe.model, recipe.network, recipe.compat) == ("smpler-x", SIZE, compat)
    assert recipe.mixture == "finetune_agora"
    told = []
    network = new_network(recipe, told.append)
    assert told == ["loaded general.pt; not used of it: config"]
    for name, value in before.state_dict().items():
        assert torch.equal(network.state_dict()[name], value), name


def test_a_released_file_brings_the_released_switches(tmp_path):
    network = new_network_of("smpler-x", SIZES["s"]._replace(depth=1))
    weights = {f"module.{name}": value for name, value in network.state_dict().items()}
    torch.save({"epoch": 9, "network": weights}, tmp_path / "smpler_x_s32.pth.tar")
    recipe = started_from(get_recipe("finetune_pw3d"), tmp_path / "smpler_x_s32.pth.tar")
    assert (recipe.model, recipe.compat) == ("smpler-x", "smpler-x")
    assert recipe.network.num_heads == SIZES["s"].num_heads


def test_switches_of_one_s_own_are_refused(tmp_path):
    saved(tmp_path / "odd.pt", quirks=Quirks(swapped_eyes=True))
    with pytest.raises(RecipeError, match=r"odd\.pt was trained under a choice of quirks of its own"):
        started_from(get_recipe("finetune_agora"), tmp_path / "odd.pt")


def test_an_empty_folder_says_what_to_name(tmp_path):
    with pytest.raises(CheckpointError, match=r"holds no checkpoint.*name a \.pt file"):
        started_from(get_recipe("finetune_agora"), tmp_path)


def test_a_run_is_finetuned_with_its_encoder_held(recipe, converted, tmp_path):
    general = tmp_path / "general"
    train(replace(recipe, steps=2, ema=None), general, converted, device="cpu")
    special = started_from(replace(recipe, steps=2, ema=None, trains="heads", name="special"), general)
    last = train(special, tmp_path / "special", converted, device="cpu")
    before = torch.load(latest_checkpoint(general), weights_only=True)["network"]
    after = torch.load(last, weights_only=True)["network"]
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert "decoder.dec_body_pose.weight" in moved
    assert not [name for name in moved if name.startswith(("encoder.", "decoder.transformer."))]
