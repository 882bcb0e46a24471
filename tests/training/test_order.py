"""The order of training samples."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ehps.training.order import (
    Lanes,
    ReleasedBalance,
    along_lanes,
    endless_order,
    finite_order,
)
from ehps.training.permutation import keys_of

SHARES = np.array([0.5, 0.3, 0.15, 0.05])


def window_errors(source, shares, window):
    """Return how many people any window of positions is away from the shares, at most."""
    counts = np.cumsum(source[:, None] == np.arange(len(shares)), axis=0)
    counts = np.concatenate([np.zeros((1, len(shares)), int), counts])
    return np.abs(counts[window:] - counts[:-window] - window * np.array(shares)).max()


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 3000), min_size=1, max_size=6),
    epoch=st.integers(200, 9000),
    seed=st.integers(0, 2**31),
    asked=st.lists(st.integers(0, 12_000), min_size=1, max_size=20),
    run=st.integers(2, 9),
)
def test_a_position_holds_the_same_person_however_it_is_asked_for(sizes, epoch, seed, asked, run):
    shares = (np.arange(len(sizes)) + 1.0) / sum(range(1, len(sizes) + 1))
    whole = endless_order(sizes, shares.tolist(), epoch, seed, lanes=Lanes(run, 3)).at(np.arange(12_001))
    again = endless_order(sizes, shares.tolist(), epoch, seed, lanes=Lanes(run, 3))
    together = again.at(np.array(asked))
    for number, position in enumerate(asked):
        alone = again.at(np.array([position]))
        for field in ("source", "person", "turn"):
            assert getattr(alone, field)[0] == getattr(whole, field)[position] == getattr(together, field)[number]
    assert again.turns_before(asked[0]).tolist() == np.bincount(whole.source[: asked[0]], minlength=len(sizes)).tolist()


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 900), min_size=1, max_size=6),
    weights=st.lists(st.floats(0.05, 1), min_size=6, max_size=6),
    epoch=st.integers(100, 10_000),
    lanes=st.none() | st.builds(Lanes, st.integers(2, 40), st.integers(1, 20)),
)
def test_everyone_of_a_source_comes_before_anyone_comes_again(sizes, weights, epoch, lanes):
    shares = np.array(weights[: len(sizes)]) / sum(weights[: len(sizes)])
    picks = endless_order(sizes, shares.tolist(), epoch, 11, lanes=lanes).at(np.arange(6000))
    for source, size in enumerate(sizes):
        people = picks.person[picks.source == source]
        assert (picks.turn[picks.source == source] == np.arange(len(people))).all()
        for start in range(0, len(people), size):
            part = people[start : start + size]
            assert len(set(part.tolist())) == len(part)
            assert part.min() >= 0
            assert part.max() < size


def test_concatenation_gives_every_person_once_an_epoch():
    sizes = [100, 37, 10_000]
    total = sum(sizes)
    order = endless_order(sizes, [size / total for size in sizes], total, seed=0)
    for epoch in range(3):
        picks = order.at(np.arange(epoch * total, (epoch + 1) * total))
        assert len(set(zip(picks.source.tolist(), picks.person.tolist(), strict=True))) == total


def test_shares_are_met_in_every_window():
    order = endless_order([10, 1000, 50, 5], SHARES.tolist(), 750_000, seed=2)
    source = order.turns(np.arange(700_000, 1_000_000)).source  # over the border of a cell
    assert window_errors(source, SHARES, 256) < 4.5
    assert window_errors(source, SHARES, 2000) < 4.5
    assert window_errors(source, SHARES, 100_000) < 5  # 0.005 %


def test_another_seed_gives_another_order():
    orders = [endless_order([500, 500], [0.5, 0.5], 1000, seed=seed).at(np.arange(200)) for seed in (1, 2)]
    assert (orders[0].person != orders[1].person).mean() > 0.9


def test_an_order_that_stops_ends_before_anyone_comes_twice():
    order = finite_order([100, 1000], [0.5, 0.5], seed=0, stops_early=True)
    assert order.length == 200
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


@settings(max_examples=60, deadline=None)
@given(size=st.integers(1, 3000), run=st.integers(2, 70), lanes=st.integers(1, 30), seed=st.integers(0, 2**31))
def test_a_pass_in_lanes_is_a_permutation(size, run, lanes, seed):
    size += run * lanes
    person = along_lanes(np.arange(size), np.full(size, size), Lanes(run, lanes), keys_of(seed, np.zeros(size, int)))
    assert sorted(person.tolist()) == list(range(size))


def test_lanes_read_runs_and_spread_them():
    size, run, lanes = 20_000, 50, 40
    key = keys_of(3, np.zeros(size, int))
    person = along_lanes(np.arange(size), np.full(size, size), Lanes(run, lanes), key)
    assert np.abs(person - np.arange(size)).mean() / size == pytest.approx(1 / 3, abs=0.05)
    # Each window of lanes * run turns needs little more than that many runs, ...
    for start in range(0, size, lanes * run):
        opened = np.sort(person[start : start + lanes * run])
        assert 1 + (np.diff(opened) > run).sum() <= 2 * lanes
    # ... and people of one lane come a whole round apart.
    near = [(np.diff(np.sort(person[start : start + lanes])) < 10).mean() for start in range(0, size - lanes, 7)]
    assert np.mean(near) < 0.06  # lanes that happen to be at neighbouring runs


def test_another_pass_cuts_the_runs_elsewhere():
    index, size = np.arange(4000), np.full(4000, 4000)
    passes = [along_lanes(index, size, Lanes(40, 10), keys_of(1, 0, size + n)) for n in (0, 1)]
    assert (passes[0] == passes[1]).mean() < 0.01


def test_an_order_in_lanes_keeps_small_sources_as_they_are():
    plain, lanes = (endless_order([50, 9000], [0.5, 0.5], 9000, 1, lanes=x) for x in (None, Lanes(16, 8)))
    first, second = plain.at(np.arange(3000)), lanes.at(np.arange(3000))
    assert (first.source == second.source).all()
    small = first.source == 0
    assert (first.person[small] == second.person[small]).all()
    assert (first.person[~small] == second.person[~small]).mean() < 0.01


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


def test_the_concatenation_visits_as_often_as_the_released_code(golden_dir):
    (case,) = [case for case in json.loads((golden_dir / "sampling.json").read_text()) if not case["make_same_len"]]
    total = sum(case["sizes"])
    order = endless_order(case["sizes"], [size / total for size in case["sizes"]], case["epoch_len"], seed=2023)
    assert order.turns_before(total).tolist() == case["visits"]


def test_the_released_balance_never_passes_its_first_quota():
    order = ReleasedBalance(np.array([10, 1000]), 200, seed=2023)
    picks = order.at(np.arange(2000))
    assert len(set(picks.person[picks.source == 1].tolist())) == 100
