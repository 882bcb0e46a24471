"""The order of training samples."""

import json

import numpy as np
import pytest

from ehps.training.order import ReleasedBalance, endless_order, finite_order, keys_of, permuted, rounded


@pytest.mark.parametrize("size", [1, 2, 3, 5, 16, 37, 1000, 4099])
def test_a_pass_is_a_permutation_of_its_own(size):
    index, sizes = np.arange(size), np.full(size, size)
    first, second = (permuted(index, sizes, keys_of(7, 0, np.full(size, n))) for n in (0, 1))
    assert sorted(first) == list(range(size))
    if size > 15:
        assert (first == second).mean() < 0.3
        assert (first == index).mean() < 0.3


def test_a_permutation_leaves_no_trace_of_the_order():
    size = 5000
    taken = permuted(np.arange(size), np.full(size, size), keys_of(1, np.zeros(size, int)))
    assert abs(np.corrcoef(np.arange(size), taken)[0, 1]) < 0.05
    assert abs(np.corrcoef(taken[:-1], taken[1:])[0, 1]) < 0.05


def test_any_slice_of_the_order_is_the_same_as_in_one_piece():
    order = endless_order([50, 700], [0.3, 0.7], 1000, seed=3)
    whole = order.at(np.arange(5000))
    for start in (0, 999, 1000, 4321):
        part = order.at(np.arange(start, start + 64))
        np.testing.assert_array_equal(part.person, whole.person[start : start + 64])
        np.testing.assert_array_equal(part.source, whole.source[start : start + 64])


def test_every_person_comes_before_anyone_comes_again():
    order = endless_order([40, 300, 7], [0.5, 0.25, 0.25], 640, seed=11)
    picks = order.at(np.arange(6400))
    for source, size in enumerate([40, 300, 7]):
        people = picks.person[picks.source == source]
        for start in range(0, len(people) - size, size):
            assert len(set(people[start : start + size])) == size


def test_concatenation_gives_every_person_once_an_epoch():
    sizes = [100, 37, 1000]
    order = endless_order(sizes, [size / sum(sizes) for size in sizes], sum(sizes), seed=0)
    for epoch in range(3):
        picks = order.at(np.arange(epoch * 1137, (epoch + 1) * 1137))
        assert len(set(zip(picks.source.tolist(), picks.person.tolist(), strict=True))) == 1137


def test_shares_are_met_in_every_window():
    shares = np.array([0.6, 0.3, 0.07, 0.03])
    order = endless_order([10, 1000, 50, 5], shares.tolist(), 10_000, seed=2)
    source = order.at(np.arange(30_000)).source
    for start in range(0, 29_000, 97):
        counts = np.bincount(source[start : start + 256], minlength=4)
        assert np.abs(counts - 256 * shares).max() <= 2.5


def test_shares_hold_within_half_a_percent_and_in_every_rank():
    shares = np.array([0.5, 0.25, 0.125, 0.125])
    order = endless_order([1000] * 4, shares.tolist(), 50_000, seed=5)
    source = order.at(np.arange(100_000)).source.reshape(-1, 4, 8)  # steps, ranks, people a rank
    for rank in range(4):
        found = np.bincount(source[:, rank].ravel(), minlength=4) / 25_000
        assert np.abs(found - shares).max() < 0.005


def test_another_seed_gives_another_order():
    orders = [endless_order([500, 500], [0.5, 0.5], 1000, seed=seed).at(np.arange(200)) for seed in (1, 2)]
    assert (orders[0].person != orders[1].person).mean() > 0.9


def test_an_order_that_stops_ends_before_anyone_comes_twice():
    order = finite_order([100, 1000], [0.5, 0.5], seed=0, stops_early=True)
    assert 190 <= order.length <= 200
    picks = order.at(np.arange(order.length))
    assert len(set(zip(picks.source.tolist(), picks.person.tolist(), strict=True))) == order.length
    with pytest.raises(IndexError, match="beyond the end"):
        order.at(np.array([order.length]))


def test_an_order_that_goes_on_without_a_source_keeps_the_proportions_of_the_others():
    order = finite_order([100, 600, 1200], [0.4, 0.2, 0.4], seed=0, stops_early=False)
    assert order.length == 1900
    picks = order.at(np.arange(1900))
    assert np.bincount(picks.source).tolist() == [100, 600, 1200]
    after = picks.source[250:850]
    assert (after == 0).sum() <= 2
    assert abs((after == 2).mean() - 2 / 3) < 0.02


def test_whole_numbers_keep_the_sum():
    assert rounded(np.array([0.4, 0.4, 0.2]) * 7).tolist() == [3, 3, 1]
    assert rounded(np.array([1 / 3] * 3) * 1000).sum() == 1000


def test_the_released_balance_visits_as_often_as_the_released_code(golden_dir):
    cases = json.loads((golden_dir / "sampling.json").read_text())
    for case in cases:
        if not case["make_same_len"]:
            continue
        order = ReleasedBalance(np.array(case["sizes"]), case["epoch_len"], seed=2023)
        for epoch in range(2):
            picks = order.at(np.arange(epoch * case["epoch_len"], (epoch + 1) * case["epoch_len"]))
            for source, size in enumerate(case["sizes"]):
                visits = np.bincount(picks.person[picks.source == source], minlength=size)
                assert visits.sum() == case["visits"][source]
                assert visits.min() == case["min_visits"][source]
                quota = case["epoch_len"] // 3
                if quota % size == 0 or size >= quota:  # otherwise random repeats decide
                    assert visits.max() == case["max_visits"][source]
                else:
                    assert visits.max() > quota // size


def test_the_released_balance_never_passes_its_first_quota():
    order = ReleasedBalance(np.array([10, 1000]), 200, seed=2023)
    picks = order.at(np.arange(2000))
    assert len(set(picks.person[picks.source == 1].tolist())) == 100
