"""Slices and worst people: borders, unknown values, intervals over sequences."""

import numpy as np
import pandas as pd

from ehps.benchmark.slicing import slice_errors, worst_people


def joined(values, slices, measure="PVE", sequences=None) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "person_key": [f"p{k:03}" for k in range(len(values))],
            "measure": measure,
            "value": np.array(values, float),
            "slice": slices,
            "sequence": sequences or [f"s{k}" for k in range(len(values))],
        }
    )


def test_a_text_is_a_slice_and_a_gap_is_unknown():
    found = slice_errors(joined([10, 20, 60, np.nan, 7], ["b", "a", "b", "a", None]))
    assert [(one.slice, one.people, one.answered, one.mean) for one in found] == [
        ("a", 2, 1, 20),
        ("b", 2, 2, 35),
        ("unknown", 1, 1, 7),
    ]
    assert (found[1].median, found[1].ci_low, found[1].ci_high) == (35, 10, 60)
    assert found[0].ci_low is None


def test_few_numbers_and_truths_are_slices_of_their_own():
    assert [one.slice for one in slice_errors(joined([1, 2, 3], [10, 2.5, 10]))] == ["2.5", "10"]
    assert [one.slice for one in slice_errors(joined([1, 2], [True, False]))] == ["False", "True"]


def test_many_numbers_fall_into_ranges_of_as_many_people():
    numbers = np.random.default_rng(0).permutation(100).astype(float)
    found = slice_errors(joined(numbers * 2, numbers))
    assert [one.people for one in found] == [25, 25, 25, 25]
    assert [one.mean for one in found] == sorted(one.mean for one in found)
    assert found[0].slice == "0 to 24.75, excluded"
    assert found[-1].slice == "74.25 to 99"
    assert len(slice_errors(joined(numbers, numbers), bins=5)) == 5


def test_named_borders_are_half_open_but_for_the_last():
    found = slice_errors(joined([1, 2, 3, 4, 5], [0, 0.1, 0.5, 1, 1.5]), edges=[0, 0.1, 1])
    assert {one.slice: one.people for one in found} == {"0 to 0.1, excluded": 1, "0.1 to 1": 3, "unknown": 1}


def test_measures_are_sliced_alike_and_nobody_is_no_slice():
    table = pd.concat([joined([1, 2], ["x", "y"]), joined([3, 4], ["x", "y"], "PA-PVE")], ignore_index=True)
    assert [(one.measure, one.slice, one.mean) for one in slice_errors(table)] == [
        ("PVE", "x", 1),
        ("PVE", "y", 2),
        ("PA-PVE", "x", 3),
        ("PA-PVE", "y", 4),
    ]
    assert slice_errors(table.iloc[:0]) == []


def test_the_interval_is_that_of_sequences():
    values = np.repeat([10.0, 20, 30, 40], 50)
    found = slice_errors(joined(values, ["a"] * 200, sequences=[f"s{k // 50}" for k in range(200)]))[0]
    alone = slice_errors(joined(values, ["a"] * 200))[0]
    assert found.ci_high - found.ci_low > 3 * (alone.ci_high - alone.ci_low)


def test_the_worst_come_first_and_ties_by_key():
    table = joined([5, 9, np.nan, 9], ["a"] * 4)
    assert worst_people(table, 2)["person_key"].tolist() == ["p001", "p003"]
    shares = joined([0.5, 0.1, 0.9], ["a"] * 3, "F@5")
    assert worst_people(shares, 1)["person_key"].tolist() == ["p001"]
    assert worst_people(table.iloc[:0], 3).empty
