"""Means, penalised means and intervals, worked by hand."""

import numpy as np
import pandas as pd
import pytest

from ehps.benchmark.aggregate import aggregate, bootstrap_intervals, is_expected, penalties
from ehps.benchmark.measures import get_measure
from ehps.benchmark.protocol import load_protocol

PROTOCOL = load_protocol("ehf")


def rows(values, sequences=None, **columns) -> pd.DataFrame:
    """People with one value for every measure; None is a missing prediction."""
    numbers = np.array([np.nan if value is None else value for value in values], float)
    labels = {f"has_{part}": True for part in ("body", "left_hand", "right_hand", "face")}
    return pd.DataFrame(
        {
            "person_key": [f"p{k}" for k in range(len(values))],
            "sequence": sequences or [f"s{k}" for k in range(len(values))],
            "answered": [value is not None for value in values],
            **labels,
            **dict.fromkeys(PROTOCOL.measures, numbers),
            **columns,
        }
    )


def test_the_mean_is_over_the_answered_and_the_penalised_one_over_everyone():
    found = aggregate(rows([10, 20, None, 60]), PROTOCOL)["PVE"]
    assert (found.people, found.expected) == (3, 4)
    assert found.mean == 30
    assert found.median == 20
    assert found.penalised_mean == (10 + 20 + 60 + 500) / 4


def test_a_missing_person_without_the_label_costs_nothing():
    table = rows([10, None, None], has_left_hand=[True, False, True], has_right_hand=[True, False, False])
    found = aggregate(table, PROTOCOL)
    assert found["PVE@left_hand"].expected == 2
    assert found["PVE@left_hand"].penalised_mean == (10 + 200) / 2
    assert found["PVE@right_hand"].penalised_mean == 10
    assert found["PVE@hands"].penalised_mean == (10 + 200) / 2


def test_nobody_answered_leaves_only_the_penalty():
    found = aggregate(rows([None, None]), PROTOCOL)["PVE"]
    assert (found.mean, found.median, found.ci_low) == (None, None, None)
    assert found.penalised_mean == 500


def test_nobody_asked_leaves_nothing():
    found = aggregate(rows([]).assign(sequence=pd.Series([], dtype=object)), PROTOCOL)["PVE"]
    assert (found.people, found.mean, found.penalised_mean, found.ci_high) == (0, None, None, None)


def test_one_sequence_has_no_interval():
    found = aggregate(rows([1, 2, 3], sequences=["a", "a", "a"]), PROTOCOL)["PVE"]
    assert (found.ci_low, found.ci_high) == (None, None)


def test_the_interval_is_that_of_whole_sequences():
    # Two sequences: a resample is all of one, all of the other, or both.
    values = np.array([[0.0], [0.0], [30.0]])
    low, high = bootstrap_intervals(values, np.array([0, 0, 1]))[:, 0]
    assert (low, high) == (0.0, 30.0)
    # Resampling people would hardly ever draw the extremes of so many.
    many = np.repeat([[0.0], [10.0]], 500, axis=0)
    by_sequence = bootstrap_intervals(many, np.repeat([0, 1], 500))[:, 0]
    by_person = bootstrap_intervals(many, np.arange(1000))[:, 0]
    assert by_sequence.tolist() == [0, 10]
    assert 4 < by_person[0] < by_person[1] < 6


def test_the_interval_covers_the_mean_and_is_the_same_every_time():
    values = np.random.default_rng(0).normal(50, 10, (200, 2))
    sequences = np.arange(200) // 10
    once, again = (bootstrap_intervals(values, sequences) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    assert (once[0] < values.mean(0)).all()
    assert (values.mean(0) < once[1]).all()
    assert (once[1] - once[0] < 5).all()


def test_the_interval_is_that_of_95_per_cent():
    values = np.random.default_rng(1).normal(50, 10, (400, 1))
    low, high = bootstrap_intervals(values, np.arange(400))[:, 0]
    assert high - low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(400), rel=0.07)


def test_a_nan_does_not_take_part_in_the_interval():
    values = np.array([[10.0, 10.0], [20.0, 20.0], [np.nan, 15.0]])
    bounds = bootstrap_intervals(values, np.arange(3))
    assert (bounds[:, 0] >= 10).all()
    assert (bounds[:, 0] <= 20).all()
    only_one = bootstrap_intervals(np.array([[1.0], [np.nan]]), np.arange(2))
    assert np.isnan(only_one).all()


@pytest.mark.parametrize(
    ("answered", "expected", "counted"),
    [
        ([True, False], [True, True], [3, 9]),
        ([True, False], [True, False], [3, np.nan]),
        ([True, False], [False, True], [np.nan, 9]),
        ([False, False], [True, True], [9, 9]),
    ],
)
def test_penalties_fall_on_who_was_expected(answered, expected, counted):
    table = rows([3 if known else None for known in answered], has_face=expected)
    found = penalties(table, get_measure("PVE@face"), PROTOCOL)
    cost = PROTOCOL.missing.max_error.face
    np.testing.assert_array_equal(found, [cost if value == 9 else value for value in counted])


def test_both_hands_are_expected_for_what_lies_between_them():
    table = rows([1, 1, 1], has_left_hand=[True, True, False], has_right_hand=[True, False, False])
    assert is_expected(table, get_measure("MRRPE")).tolist() == [True, False, False]
    assert is_expected(table, get_measure("PVE@hands")).tolist() == [True, True, False]
