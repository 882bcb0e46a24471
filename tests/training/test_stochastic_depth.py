"""Stochastic depth: whole samples skip blocks, by their positions."""

import pytest
import torch

from ehps.training.stochastic_depth import depth_draws, kept


def test_draws_belong_to_positions_whatever_the_batch():
    together = depth_draws(7, [3, 900_000_000_000, 5], 4)
    assert together.shape == (3, 4, 2)
    for row, position in enumerate([3, 900_000_000_000, 5]):
        assert torch.equal(depth_draws(7, [position], 4)[0], together[row])
    assert not torch.equal(depth_draws(8, [3], 4)[0], together[0])
    assert torch.equal(depth_draws(7, [3], 6)[0, :4], together[0])


def test_draws_are_uniform_and_unlike_one_another():
    draws = depth_draws(0, range(4000), 3).flatten(1)
    assert draws.min() >= 0
    assert draws.max() < 1
    assert draws.mean(0).numpy() == pytest.approx([0.5] * 6, abs=0.02)
    off_diagonal = torch.corrcoef(draws.T) - torch.eye(6)
    assert off_diagonal.abs().max() < 0.06


@pytest.mark.parametrize("given", [True, False])
def test_whole_samples_are_dropped_and_the_mean_is_kept(given):
    torch.manual_seed(0)
    draws = depth_draws(1, range(4000), 1)[:, 0, 0] if given else None
    dropped = kept(torch.ones(4000, 2, 3), 0.25, True, draws)
    per_sample = dropped.flatten(1)
    assert (per_sample == per_sample[:, :1]).all()
    assert dropped.unique().tolist() == [0.0, pytest.approx(4 / 3)]
    assert dropped.mean() == pytest.approx(1.0, abs=0.03)
    if draws is not None:
        assert torch.equal(per_sample[:, 0] == 0, draws < 0.25)


def test_nothing_is_dropped_outside_of_training():
    x = torch.ones(5, 2)
    assert kept(x, 0.9, False, torch.zeros(5)) is x
    assert kept(x, 0.0, True, torch.zeros(5)) is x
