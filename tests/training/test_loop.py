"""The training loop, on a network so small that a step takes no time."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from ehps.errors import RecipeError
from ehps.training import loop, smplerx
from ehps.training.compat import quirks_named
from ehps.training.loop import learning_rate, train
from ehps.training.predictor import load_predictor
from ehps.training.recipes import get_recipe
from ehps.training.run_record import latest_checkpoint, read_recipe
from ehps.training.start import new_network


def totals(run_dir):
    return [json.loads(line)["loss"] for line in (run_dir / "log.jsonl").read_text().splitlines()]


def terms(run_dir):
    return [json.loads(line)["losses"] for line in (run_dir / "log.jsonl").read_text().splitlines()]


def test_a_continued_run_repeats_the_losses_of_an_uninterrupted_one(recipe, converted, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    last = train(recipe, whole, converted, device="cpu")
    train(recipe, parts, converted, device="cpu", stop_after=3)
    train(replace(recipe, workers=0), parts, converted, device="cpu")
    assert terms(parts) == terms(whole)
    assert len(terms(whole)) == 6
    states = [torch.load(path, weights_only=True) for path in (last, latest_checkpoint(parts))]
    for name in ("network", "ema"):
        for key, value in states[0][name].items():
            assert torch.equal(value, states[1][name][key]), key


def test_a_run_leaves_its_record(recipe, converted, tmp_path):
    reports = []
    run = tmp_path / "run"
    last = train(replace(recipe, steps=2, keep=1), run, converted, device="cpu", report=reports.append)
    assert last == run / "checkpoints" / "00000002.pt" == latest_checkpoint(run)
    assert read_recipe(run).steps == 2
    facts = json.loads((run / "run.json").read_text())
    assert facts["body_model_is_standin"] is True
    assert list((run / "tensorboard").glob("events.*"))
    assert cv2.imread(str(run / "first_batch.png")) is not None
    predictor = load_predictor(run, "cpu")
    assert (predictor.name, predictor.revision, predictor.trained_on) == ("tiny", "step-2", ("bedlam", "ehf"))
    assert predictor.finetuned_on == ()
    assert predictor.training_people == 17  # without the one who has no box
    assert predictor.network_parameters == sum(weights.numel() for weights in predictor.network.parameters()) > 0
    assert [status.step for status in reports] == [1, 2]
    assert reports[1].people == 8
    assert 0 <= reports[1].data_wait <= 1
    assert sum(reports[1].members.values()) == 4
    assert "step 2/2" in str(reports[1])
    assert "joints_root" in str(reports[1])


def test_reports_after_the_last_checkpoint_are_dropped_when_they_come_again(recipe, converted, tmp_path):
    train(replace(recipe, save_every=99), tmp_path, converted, device="cpu", stop_after=1)
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write(json.dumps({"step": 2, "loss": -1}) + "\n")
    train(recipe, tmp_path, converted, device="cpu", stop_after=2)
    assert [loss > 0 for loss in totals(tmp_path)] == [True, True]


def test_another_recipe_in_the_same_folder_is_refused(recipe, converted, tmp_path):
    train(recipe, tmp_path, converted, device="cpu", stop_after=1)
    with pytest.raises(RecipeError, match=r"lr was 0.001 and is 0.5"):
        train(replace(recipe, lr=0.5), tmp_path, converted, device="cpu")


def test_a_loss_that_is_not_finite_names_the_step_and_the_people(recipe, converted, tmp_path, monkeypatch):
    honest = loop.losses_of

    def poisoned(model, body, batch, recipe):
        losses = honest(model, body, batch, recipe)
        return losses | {"pose": losses["pose"] * float("nan")} if batch.position == 8 else losses

    monkeypatch.setattr(loop, "losses_of", poisoned)
    with pytest.raises(RecipeError, match=r"the loss of step 2 is nan, computed from (bedlam|ehf)-t.*#0"):
        train(recipe, tmp_path, converted, device="cpu")


def test_parts_of_a_batch_add_up_to_the_whole(recipe, converted, tmp_path):
    short = replace(recipe, steps=2)
    train(short, tmp_path / "whole", converted, device="cpu")
    train(replace(short, accumulate=2), tmp_path / "parts", converted, device="cpu")
    whole, parts = (totals(tmp_path / name)[1] for name in ("whole", "parts"))
    assert whole == pytest.approx(parts, rel=1e-4)


def test_training_lowers_the_loss(recipe, converted, tmp_path):
    longer = replace(recipe, steps=10, log_every=2, lr=3e-3)
    train(longer, tmp_path, converted, device="cpu")
    found = totals(tmp_path)
    assert found[-1] < 0.8 * found[0]


def test_half_precision_trains_too(recipe, converted, tmp_path):
    train(replace(recipe, precision="bf16", steps=1), tmp_path, converted, device="cpu")
    assert np.isfinite(totals(tmp_path)[0])


def test_released_compatibility_trains_with_its_large_crops(recipe, converted, tmp_path):
    train(replace(recipe, compat="smplest-x", steps=1), tmp_path, converted, device="cpu")
    assert np.isfinite(totals(tmp_path)[0])


def test_a_finite_mixture_says_where_it_ends(recipe, converted, tmp_path):
    path = tmp_path / "once.yaml"
    path.write_text((tmp_path / "tiny.yaml").read_text() + "exhaustion: stop\n")
    with pytest.raises(RecipeError, match="ends after 17 people, at step 4: set steps to 4"):
        train(replace(recipe, mixture=str(path)), tmp_path / "run", converted, device="cpu")


def test_training_starts_from_given_weights(recipe, converted, tmp_path):
    first = train(replace(recipe, steps=1), tmp_path / "first", converted, device="cpu")
    weights = torch.load(first, weights_only=True)["network"]
    network = new_network(replace(recipe, start_from=str(first), seed=77))
    assert all(torch.equal(value, weights[key]) for key, value in network.state_dict().items())


def test_a_run_that_starts_from_a_checkpoint_says_what_both_were_trained_on(recipe, converted, tmp_path):
    first = train(replace(recipe, steps=1), tmp_path / "first", converted, device="cpu")
    (tmp_path / "one.yaml").write_text("about: t\nstrategy: concat\nmembers: [{dataset: bedlam}]\n")
    more = replace(recipe, mixture=str(tmp_path / "one.yaml"), start_from=str(first), steps=2)
    for stop in (1, 2):  # continued, and without the first checkpoint
        train(more, tmp_path / "more", converted, device="cpu", stop_after=stop)
        predictor = load_predictor(tmp_path / "more", "cpu")
        assert (predictor.trained_on, predictor.finetuned_on) == (("bedlam", "ehf"), ("bedlam",))
        assert predictor.training_people == 12
        first.unlink(missing_ok=True)


def test_the_learning_rate_rises_and_falls_as_a_cosine():
    recipe = replace(get_recipe("demo"), steps=110, warmup_steps=10, lr=1.0, min_lr=0.1)
    assert learning_rate(recipe, 0) == pytest.approx(0.1)
    assert learning_rate(recipe, 10) == pytest.approx(1.0)
    assert learning_rate(recipe, 60) == pytest.approx(0.55)
    assert learning_rate(recipe, 110) == pytest.approx(0.1)


@pytest.mark.parametrize("compat", ["paper", "smpler-x"])
def test_smplerx_trains_and_continues(recipe, converted, tmp_path, compat, monkeypatch):
    monkeypatch.setattr(smplerx, "BOX_WIDTH", 16)  # most of whose arithmetic does not depend on the network's size
    short = replace(recipe, model="smpler-x", compat=compat, batch_size=3, steps=2)
    train(short, tmp_path / "whole", converted, device="cpu")
    train(short, tmp_path / "parts", converted, device="cpu", stop_after=1)
    last = train(short, tmp_path / "parts", converted, device="cpu")
    assert terms(tmp_path / "parts") == terms(tmp_path / "whole")
    assert {"joints_volume", "left_hand_box", "face_box"} <= set(terms(tmp_path / "whole")[0])
    assert all(np.isfinite(value) for step in terms(tmp_path / "whole") for value in step.values())
    assert load_predictor(last, device="cpu").network.quirks == quirks_named(compat)
