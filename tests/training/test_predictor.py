"""From a checkpoint to posed people."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ehps.body.cameras import project
from ehps.body.models import model_dir
from ehps.body.posing import PosingModel
from ehps.errors import CheckpointError
from ehps.training.checkpoint import network_entries, save_checkpoint
from ehps.training.compat import SMPLESTX_RELEASED
from ehps.training.network_size import NetworkSize
from ehps.training.predictor import Predictor, load_predictor, untrained_predictor
from ehps.training.recipes import get_recipe
from ehps.training.smplestx import SmplestX

SIZE = NetworkSize(embed_dim=16, depth=1, num_heads=2, drop_path_rate=0.0, dim_out=8)


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)


def people(picture, *boxes):
    return [SimpleNamespace(bbox_xyxy=np.array(box, np.float64), image=lambda: picture) for box in boxes]


@pytest.fixture(scope="module")
def predictor(standin_dir):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EHPS_BODY_MODELS", str(standin_dir))
        torch.manual_seed(0)
        return Predictor(SmplestX(SIZE))


def test_answers_come_in_order_and_nobody_outside_the_picture(predictor, picture):
    inside, outside = [10.0, 20, 110, 200], [400.0, 20, 500, 200]
    first, nobody, second = predictor(people(picture, inside, outside, [100.0, 30, 220, 220]))
    assert nobody is None
    assert first.vertices.shape == (10475, 3)
    alone = predictor(people(picture, [100.0, 30, 220, 220]))[0]
    np.testing.assert_allclose(second.vertices, alone.vertices, atol=1e-5)


def test_parameters_are_those_of_the_mesh_with_absolute_hands(predictor, picture):
    answer = predictor(people(picture, [10.0, 20, 110, 200]))[0]
    model = PosingModel.load(model_dir())
    batch = {name: value[None].astype(np.float64) for name, value in answer.parameters.items()}
    np.testing.assert_allclose(model.joints(batch)[0], answer.joints_3d, atol=2e-4)
    np.testing.assert_allclose(model.vertices(batch)[0], answer.vertices, atol=2e-4)


def test_the_camera_puts_the_crop_back_into_the_picture(predictor, picture):
    """A point on the optical axis of the crop lies at the middle of the box that was cut."""
    answer = predictor(people(picture, [50.0, 40, 110, 200]))[0]
    middle = project(np.array([[0.0, 0.0, 5.0]]), answer.K.astype(np.float64))[0]
    np.testing.assert_allclose(middle, [79.5, 119.5], atol=0.6)


def test_a_checkpoint_predicts_with_the_running_mean_of_its_weights(tmp_path, picture):
    network = SmplestX(SIZE)
    mean = {"decoder.dec_body_shape.bias": network.decoder.dec_body_shape.bias.detach() + 1}
    save_checkpoint(tmp_path / "a.pt", network_entries(network) | {"ema": mean})
    plain = Predictor(network)(people(picture, [10.0, 20, 110, 200]))[0]
    averaged = load_predictor(tmp_path / "a.pt", "cpu")(people(picture, [10.0, 20, 110, 200]))[0]
    np.testing.assert_allclose(averaged.parameters["betas"], plain.parameters["betas"] + 1, atol=1e-5)


def test_the_newest_checkpoint_of_a_run_is_taken(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    for step in (5, 12):
        network = SmplestX(SIZE._replace(depth=step // 5))
        save_checkpoint(tmp_path / "checkpoints" / f"{step:08d}.pt", network_entries(network))
    assert load_predictor(tmp_path, "cpu").network.size.depth == 2


def test_a_folder_without_checkpoint_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        load_predictor(tmp_path)


def test_a_released_checkpoint_keeps_its_own_crops(golden_dir, picture):
    path = golden_dir / "smplestx_tiny_a.pth.tar"
    with pytest.raises(CheckpointError, match="heads"):
        load_predictor(path)
    predictor = load_predictor(path, num_heads=4)
    assert predictor.network.quirks == SMPLESTX_RELEASED
    assert (predictor.name, predictor.revision) == ("smplestx_tiny_a", "released")
    assert predictor(people(picture, [10.0, 20, 110, 200]))[0] is not None


def test_an_untrained_network_is_the_same_for_the_same_seed(picture):
    recipe = get_recipe("demo", ["network.embed_dim=24", "network.depth=1", "network.dim_out=8"])
    answers = [untrained_predictor(recipe, seed, "cpu")(people(picture, [10.0, 20, 110, 200]))[0] for seed in (1, 1, 2)]
    np.testing.assert_array_equal(answers[0].vertices, answers[1].vertices)
    assert not np.allclose(answers[0].vertices, answers[2].vertices)
