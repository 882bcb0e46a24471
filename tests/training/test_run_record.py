"""What a run leaves on disk, and how a folder tells another run from its own."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from ehps.errors import RecipeError
from ehps.training import loop, run_state
from ehps.training.checkpoint import network_entries, save_checkpoint
from ehps.training.loop import train
from ehps.training.networks import new_network_of
from ehps.training.run_record import RunFolder, latest_checkpoint, weights_fingerprint
from ehps.training.start import started_from


def weights(path, recipe, seed):
    torch.manual_seed(seed)
    save_checkpoint(path, network_entries(new_network_of("smplest-x", recipe.network)))
    return path


def facts(run):
    return json.loads((run / "run.json").read_text())


@pytest.fixture
def begun(recipe, converted, tmp_path):
    """A recipe that starts from weights, and its run after the first step."""
    start = weights(tmp_path / "start.pt", recipe, seed=5)
    recipe = started_from(recipe, start)
    train(recipe, tmp_path / "run", converted, device="cpu", stop_after=1)
    return recipe, tmp_path / "run"


def test_other_weights_under_the_same_path_are_noticed(begun, converted, tmp_path):
    recipe, run = begun
    before = facts(run)["started_from"]
    assert before == weights_fingerprint(tmp_path / "start.pt")
    weights(tmp_path / "start.pt", recipe, seed=6)
    with pytest.raises(RecipeError, match=r"run holds a run that started from other weights than .*start\.pt has now"):
        train(recipe, run, converted, device="cpu", stop_after=2)
    assert facts(run)["started_from"] == before
    assert latest_checkpoint(run).stem == "00000001"


@pytest.mark.parametrize("change", ["written again", "moved", "gone"])
def test_the_same_weights_go_on(begun, converted, tmp_path, change):
    recipe, run = begun
    before, start = facts(run)["started_from"], tmp_path / "start.pt"
    if change == "written again":
        weights(start, recipe, seed=5)
    elif change == "moved":
        recipe = replace(recipe, start_from=str(shutil.move(start, tmp_path / "elsewhere.pt")))
    else:
        start.unlink()
    train(recipe, run, converted, device="cpu", stop_after=2)
    assert facts(run)["started_from"] == before


def test_another_file_of_other_weights_is_another_recipe(begun, converted, tmp_path):
    recipe, run = begun
    other = replace(recipe, start_from=str(weights(tmp_path / "other.pt", recipe, seed=6)))
    with pytest.raises(RecipeError, match=r"start_from was '.*start\.pt' and is '.*other\.pt'"):
        train(other, run, converted, device="cpu", stop_after=2)


def test_a_run_from_random_weights_has_no_fingerprint(recipe, converted, tmp_path):
    train(recipe, tmp_path, converted, device="cpu", stop_after=1)
    assert facts(tmp_path)["started_from"] is None


def test_files_that_are_no_archives_have_a_fingerprint_too(tmp_path):
    path = tmp_path / "old.pth"
    found = []
    for content in (b"one", b"two", b"one"):
        path.write_bytes(content)
        found.append(weights_fingerprint(path))
    assert found[0] == found[2] != found[1]


def test_what_stopped_a_run_lies_in_its_folder_until_it_goes_on(recipe, converted, tmp_path, monkeypatch):
    honest = loop.losses_of

    def poisoned(model, body, batch, recipe):
        losses = honest(model, body, batch, recipe)
        return losses | {"pose": losses["pose"] * float("nan")} if batch.position == 8 else losses

    with monkeypatch.context() as patch:
        patch.setattr(loop, "losses_of", poisoned)
        with pytest.raises(RecipeError) as raised:
            train(replace(recipe, save_every=1), tmp_path, converted, device="cpu")
    failed = json.loads((tmp_path / "failed.json").read_text())
    assert failed == {"error": str(raised.value), "step": 2}
    assert latest_checkpoint(tmp_path).stem == "00000002"
    train(replace(recipe, save_every=1), tmp_path, converted, device="cpu", stop_after=3)
    assert not (tmp_path / "failed.json").exists()


def test_a_run_that_is_refused_leaves_the_other_one_alone(recipe, converted, tmp_path):
    train(recipe, tmp_path, converted, device="cpu", stop_after=1)
    with pytest.raises(RecipeError):
        train(replace(recipe, lr=0.5), tmp_path, converted, device="cpu")
    assert not (tmp_path / "failed.json").exists()


def test_two_processes_do_not_train_in_one_folder(recipe, converted, tmp_path):
    train(recipe, tmp_path, converted, device="cpu", stop_after=1)
    with (
        RunFolder(tmp_path),
        pytest.raises(RecipeError, match=r"another process trains in .*; wait for it, or stop it"),
    ):
        train(recipe, tmp_path, converted, device="cpu", stop_after=2)
    assert not (tmp_path / "failed.json").exists()
    train(recipe, tmp_path, converted, device="cpu", stop_after=2)


def test_half_a_line_and_half_a_checkpoint_of_a_power_cut_are_no_obstacle(recipe, converted, tmp_path):
    train(recipe, tmp_path, converted, device="cpu", stop_after=1)
    half = tmp_path / "checkpoints" / ".00000002.pt.123.tmp"
    half.write_bytes(b"half")
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"step": 2, "lo')
    train(recipe, tmp_path, converted, device="cpu", stop_after=2)
    assert [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").read_text().splitlines()] == [1, 2]
    assert not half.exists()


def test_a_checkpoint_that_cannot_be_written_does_not_hide_what_stopped_the_run(
    recipe, converted, tmp_path, monkeypatch
):
    honest = loop.losses_of

    def full(*_):
        raise OSError("no space left on device")

    def breaks_in_the_second_step(model, body, batch, recipe):
        if batch.position:
            raise RecipeError("broken")
        return honest(model, body, batch, recipe)

    monkeypatch.setattr(run_state, "save_checkpoint", full)
    monkeypatch.setattr(loop, "losses_of", breaks_in_the_second_step)
    with pytest.raises(RecipeError, match="broken") as raised:
        train(replace(recipe, save_every=1), tmp_path, converted, device="cpu")
    assert raised.value.__notes__ == ["besides, the checkpoint before could not be written: no space left on device"]
