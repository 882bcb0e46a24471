"""Which rank reads which positions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ehps.training.dealing import rank_positions
from ehps.training.order import Lanes, endless_order, finite_order

SHARES = [0.4, 0.3, 0.2, 0.07, 0.03]


@pytest.mark.parametrize(("ranks", "each"), [(2, 32), (8, 1), (8, 32), (7, 12), (64, 8)])
def test_every_rank_meets_the_shares_in_every_window(ranks, each):
    batch, steps = ranks * each, 4000 // each
    order = endless_order([1000] * 5, SHARES, 50_000, seed=5)
    for rank in {0, ranks // 2, ranks - 1}:
        mine = np.concatenate([rank_positions(order, step * batch, batch, rank, ranks) for step in range(steps)])
        counts = np.cumsum(order.turns(mine).source[:, None] == np.arange(5), axis=0)
        errors = counts[2000:] - counts[:-2000] - 2000 * np.array(SHARES)
        assert np.abs(errors).max() <= 8  # 0.4 %


@settings(max_examples=15, deadline=None)
@given(batch=st.integers(1, 300), ranks=st.integers(1, 40), step=st.integers(0, 10**6), offset=st.integers(0, 500))
def test_ranks_share_a_batch_without_overlap_or_gap(batch, ranks, step, offset):
    order = endless_order([10, 20, 300], [0.2, 0.2, 0.6], 5000, seed=1)
    start = offset + step * batch
    parts = [rank_positions(order, start, batch, rank, ranks) for rank in range(ranks)]
    assert sorted(np.concatenate(parts).tolist()) == list(range(start, start + batch))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert all((np.diff(part) > 0).all() for part in parts)


@pytest.mark.parametrize("ranks", [1, 3, 8])
def test_the_last_batch_of_a_finite_order_is_shared_too(ranks):
    order = finite_order([30, 41], [0.5, 0.5], seed=0, stops_early=False)
    parts = [rank_positions(order, 64, 32, rank, ranks) for rank in range(ranks)]
    assert sorted(np.concatenate(parts).tolist()) == list(range(64, 71))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert not any(len(rank_positions(order, 96, 32, rank, ranks)) for rank in range(ranks))


def test_a_batch_that_does_not_divide_gives_all_ranks_the_same_in_the_end():
    order = endless_order([100], [1.0], 1000, seed=1)
    counts = [sum(len(rank_positions(order, step * 10, 10, rank, 4)) for step in range(40)) for rank in range(4)]
    assert counts == [100] * 4


def test_a_lane_stays_with_its_rank_so_each_rank_reads_runs_of_its_own():
    order = endless_order([200_000] * 5, [0.2] * 5, 10**6, seed=1, lanes=Lanes(64, 64))
    together = order.at(np.arange(4 * 16_384))
    alone = order.at(np.concatenate([rank_positions(order, step * 256, 256, 3, 8) for step in range(256)]))

    def pieces(picks):
        """Return in how many stretches of neighbours some people lie, as a share of the people."""
        places = np.sort(picks.source * 10**6 + picks.person)
        return (np.diff(places) > 4).mean()

    assert pieces(alone) < 1.5 * pieces(together) < 0.06
