"""What a run keeps to continue, and the thread that writes it."""

import threading

import pytest
import torch

from ehps.training import run_state
from ehps.training.checkpoint import load_checkpoint, save_checkpoint
from ehps.training.network_size import NetworkSize
from ehps.training.networks import new_network_of
from ehps.training.optimiser import new_optimiser
from ehps.training.run_record import RunFolder
from ehps.training.run_state import CheckpointWriter, RunningMean, RunState

SIZE = NetworkSize(16, 1, 2, drop_path_rate=0.0, dim_out=8, decoder_depth=1, decoder_heads=1)


def learning(*, fused=False, layer_decay=0.5):
    """A network that has made one step, and all that belongs to it."""
    torch.manual_seed(1)
    network = new_network_of("smplest-x", SIZE)
    optimiser = new_optimiser(network, 1e-3, 0.0, layer_decay, fused=fused)
    state = RunState(network, optimiser, RunningMean(network, 0.9))
    step(state)
    return state


def step(state):
    for parameter in state.network.parameters():
        parameter.grad = torch.full_like(parameter, 0.5) if parameter.requires_grad else None
    state.optimiser.step()
    state.optimiser.zero_grad()
    state.mean.update()


def assert_same(one, other):
    torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    return RunFolder(tmp_path)


def test_what_is_being_written_does_not_change_with_the_next_steps(folder, monkeypatch):
    may_write = threading.Event()

    def slow(path, state):
        assert may_write.wait(10)
        save_checkpoint(path, state)

    monkeypatch.setattr(run_state, "save_checkpoint", slow)
    state, writer = learning(), CheckpointWriter(folder, keep=2)
    then = {name: value.clone() for name, value in state.network.state_dict().items()}
    moments = {key: value["exp_avg"].clone() for key, value in state.optimiser.state_dict()["state"].items()}
    mean = {name: value.clone() for name, value in state.mean.state_dict().items()}
    writer.write(1, state.gathered())
    for _ in range(3):
        step(state)
    may_write.set()
    writer.close()
    found = load_checkpoint(folder.checkpoint_path(1))
    assert_same(dict(found["network"]), then)
    assert_same(dict(found["ema"]), mean)
    assert_same([one["exp_avg"] for one in found["optimizer"]["state"].values()], list(moments.values()))


def test_a_restored_state_goes_on_as_the_one_that_was_written(folder):
    state = learning()
    save_checkpoint(folder.checkpoint_path(1), state.gathered())
    other = learning(layer_decay=0.5)
    for parameter in other.network.parameters():
        parameter.data.add_(1.0)
    other.restore(folder.checkpoint_path(1))
    for one in (state, other):
        step(one)
    assert_same(dict(other.network.state_dict()), dict(state.network.state_dict()))
    assert_same(other.mean.state_dict(), state.mean.state_dict())


@pytest.mark.parametrize("fused", [True, False])
def test_the_way_an_optimiser_computes_is_that_of_the_device_and_not_of_the_file(folder, fused):
    save_checkpoint(folder.checkpoint_path(1), learning(fused=not fused).gathered())
    here = learning(fused=fused)
    here.restore(folder.checkpoint_path(1))
    assert {group["fused"] for group in here.optimiser.param_groups} == {fused}
    step(here)


def test_what_went_wrong_with_a_checkpoint_stops_the_run_at_the_next(folder, monkeypatch):
    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(run_state, "save_checkpoint", full)
    writer = CheckpointWriter(folder, keep=2)
    writer.write(1, {})
    with pytest.raises(OSError, match="no space left"):
        writer.write(2, {})
    writer.close()


def test_a_checkpoint_is_there_whole_or_not_at_all(folder, monkeypatch):
    path = folder.checkpoint_path(1)
    save_checkpoint(path, {"step": 1})

    def dies(state, file):
        file.write(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", dies)
    with pytest.raises(OSError, match="no space left"):
        save_checkpoint(path, {"step": 2})
    monkeypatch.undo()
    assert torch.load(path, weights_only=True) == {"step": 1}
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_the_oldest_checkpoints_go_when_a_newer_one_is_there(folder):
    writer = CheckpointWriter(folder, keep=2)
    for number in (1, 2, 3):
        writer.write(number, {"step": number})
    writer.close()
    assert sorted(path.name for path in (folder.path / "checkpoints").iterdir()) == ["00000002.pt", "00000003.pt"]
