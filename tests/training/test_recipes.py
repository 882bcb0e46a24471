"""Recipes and their overrides."""

import json

import pytest

from ehps.errors import RecipeError, UnknownNameError
from ehps.training.mixture_spec import load_mixture
from ehps.training.network_size import SIZES
from ehps.training.overrides import overridden
from ehps.training.recipe import recipe_from_dict, recipe_to_dict
from ehps.training.recipes import get_recipe, recipe_names


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_survives_json(name):
    recipe = get_recipe(name)
    assert recipe_from_dict(json.loads(json.dumps(recipe_to_dict(recipe)))) == recipe


def test_a_wrong_name_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean smplestx_h40"):
        get_recipe("smplest_h40")


def test_overrides_are_read_by_the_types_of_their_fields():
    changes = ["batch_size=64", "lr=2e-4", "steps=1e3", "compile=true", "clip=none", "precision=bf16", "network=s"]
    recipe = get_recipe("demo", [*changes, "augmentation.rotation=0", "weights.hand_orient_chain=false", "ema=0.99"])
    assert (recipe.batch_size, recipe.lr, recipe.steps, recipe.compile) == (64, 2e-4, 1000, True)
    assert (recipe.clip, recipe.precision, recipe.network, recipe.ema) == (None, "bf16", SIZES["s"], 0.99)
    assert recipe.augmentation.rotation == 0.0
    assert recipe.augmentation.scale == get_recipe("demo").augmentation.scale
    assert recipe.weights.hand_orient_chain is False


def test_parts_of_the_network_are_changed_one_by_one():
    network = get_recipe("demo", ["network.depth=7", "network.embed_dim=96"]).network
    assert (network.depth, network.embed_dim) == (7, 96)


@pytest.mark.parametrize(
    ("pair", "complaint"),
    [
        ("batchsize=3", "no recipe field called 'batchsize'; did you mean batch_size"),
        ("augmentation.rotatoin=3", "did you mean rotation"),
        ("compat=paperr", "did you mean paper"),
        ("network=x", "no network size called 'x'"),
    ],
)
def test_a_wrong_key_suggests_the_nearest(pair, complaint):
    with pytest.raises(UnknownNameError, match=complaint):
        overridden(get_recipe("demo"), [pair])


@pytest.mark.parametrize(
    ("pair", "complaint"),
    [
        ("batch_size", "reads key=value"),
        ("batch_size=3.5", "batch_size should be of type int, found '3.5'"),
        ("compile=yes", "compile should be of type bool"),
        ("augmentation=0", "changed part by part"),
        ("steps=0", "steps should be positive"),
        ("accumulate=7", "accumulate=7 does not divide"),
    ],
)
def test_an_unfit_value_says_what_fits(pair, complaint):
    with pytest.raises(RecipeError, match=complaint):
        overridden(get_recipe("demo"), [pair])


def test_the_paper_recipe_has_the_released_values():
    recipe = get_recipe("smplestx_h40")
    assert recipe.steps == 20 * -(-7_500_000 // 256)
    assert (recipe.lr, recipe.min_lr, recipe.batch_size, recipe.weight_decay) == (1e-5, 1e-6, 256, 0.0)
    assert recipe.network == SIZES["h"]
    assert (recipe.weights.pose, recipe.weights.joints_root) == (10.0, 100.0)


def test_the_published_runs_take_as_many_steps_as_published():
    """SMPLer-X-H32: 17,579 a epoch; SMPLest-X-H: 29,297; finetuning: 3,907 (reference configurations)."""
    assert get_recipe("smplerx_h32").steps == 10 * 17_579
    assert get_recipe("smplestx_h40").steps == 20 * 29_297
    assert get_recipe("finetune_ubody").steps == 5 * 3_907
    assert get_recipe("smplerx_l5").steps == 10 * 1_465


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_s_mixture_exists_and_its_name_is_its_own(name):
    recipe = get_recipe(name)
    assert recipe.name == name
    assert load_mixture(recipe.mixture).members
