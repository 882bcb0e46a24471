"""How many turns each source has up to a position."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ehps.training.order import constant_shares
from ehps.training.timetable import apportioned, endless_timetable, finite_timetable

weights = st.lists(st.floats(0.001, 1), min_size=1, max_size=12)


def gliding(start, end, length):
    """Return shares that go from those of ``start`` to those of ``end`` within ``length`` positions."""

    def shares(positions, active):
        way = np.clip(positions / length, 0, 1)[:, None]
        found = (np.array(start) * (1 - way) + np.array(end) * way) * active
        return found / np.maximum(found.sum(axis=1, keepdims=True), 1e-300)

    return shares


def test_whole_numbers_keep_the_sum():
    assert apportioned(np.array([0.4, 0.4, 0.2]) * 7, 7).tolist() == [3, 3, 1]
    assert apportioned(np.array([1 / 3] * 3) * 1000, 1000).sum() == 1000
    assert apportioned(np.array([3.0, 3.0, -0.5, -0.5]), 5).tolist() in ([3, 2, 0, 0], [2, 3, 0, 0])


@settings(max_examples=60, deadline=None)
@given(weights=weights, epoch=st.integers(1, 5000), position=st.integers(0, 10**9))
def test_cells_join_without_a_gap_and_give_each_source_its_share(weights, epoch, position):
    share = np.array(weights) / sum(weights)
    table = endless_timetable(constant_shares(share.tolist()), np.array([0]), len(share), epoch)
    cell = table.cell(position)
    assert cell.start <= position < cell.start + cell.length
    assert (cell.turns >= 0).all()
    assert cell.turns.sum() == cell.length
    assert np.abs(cell.before - share * cell.start).max() < 1.001
    following = table.cell(cell.start + cell.length)
    assert following.number == cell.number + 1
    assert (following.before == cell.before + cell.turns).all()


def test_half_a_person_an_epoch_comes_every_second_one():
    table = endless_timetable(constant_shares([0.995, 0.005]), np.array([0]), 2, 100)
    assert [table.cell(200 * number).turns[1] for number in range(5)] == [1] * 5


def test_a_gliding_share_gives_as_many_turns_as_its_integral():
    borders = np.linspace(0, 40_000, 257).astype(np.int64)
    shares = gliding([3, 1, 0], [1, 1, 2], 40_000)
    table = endless_timetable(shares, borders, 3, 1000)
    grid = np.arange(40_000) + 0.5
    integral = np.cumsum(shares(grid, np.ones(3, bool)), axis=0)
    for number in (1, 13, 128, 256):
        position = int(borders[number])
        assert np.abs(table.before[number] - integral[position - 1]).max() < 1.05
    assert table.cell(50_000).turns.tolist() == [250, 250, 500]


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 3000), min_size=1, max_size=8),
    weights=st.lists(st.floats(0.01, 1), min_size=8, max_size=8),
)
def test_a_finite_timetable_gives_everyone_one_turn(sizes, weights):
    share = constant_shares(weights[: len(sizes)])
    table = finite_timetable(share, np.array([0]), np.array(sizes), stops_early=False)
    assert table.before[-1].tolist() == sizes
    assert table.length == sum(sizes)
    assert (np.diff(table.before, axis=0) >= 0).all()
    assert (table.before.sum(axis=1) == table.starts).all()


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(20, 3000), min_size=2, max_size=6), share=st.floats(0.05, 0.95))
def test_a_timetable_that_stops_does_so_with_the_first_source(sizes, share):
    shares = [share, *[(1 - share) / (len(sizes) - 1)] * (len(sizes) - 1)]
    table = finite_timetable(constant_shares(shares), np.array([0]), np.array(sizes), stops_early=True)
    ratios = np.array(sizes) / np.array(shares)
    assert table.before[-1][np.argmin(ratios)] == sizes[np.argmin(ratios)]
    assert np.abs(table.before[-1] - np.array(shares) * ratios.min()).max() <= 1


def test_a_schedule_may_end_a_finite_order():
    shares = gliding([1, 1], [1, 0], 100)
    table = finite_timetable(shares, np.arange(0, 101, 10), np.array([1000, 1000]), stops_early=False)
    assert table.before[-1][0] == 1000
    assert 25 < table.before[table.starts.searchsorted(100)][1] < 40
    assert table.before[-1][1] < 40  # who has no share any more is not waited for
