"""Paired comparisons: worked by hand, calibrated under no difference, and blind to what both models share."""

import itertools

import numpy as np
import pandas as pd
import pytest

from ehps.benchmark.pairing import compare_people, flip_test, holm, sign_test, unmatched
from ehps.benchmark.protocol import load_protocol

EHF = load_protocol("ehf")


def rows(values, sequences=None, name="PVE", keys=None) -> pd.DataFrame:
    numbers = np.array([np.nan if value is None else value for value in values], float)
    return pd.DataFrame(
        {
            "person_key": keys or [f"p{k}" for k in range(len(values))],
            "sequence": sequences or [f"s{k}" for k in range(len(values))],
            "answered": [value is not None for value in values],
            **{f"has_{part}": True for part in ("body", "left_hand", "right_hand", "face")},
            name: numbers,
        }
    )


def test_the_difference_is_of_the_people_whom_both_answered():
    a, b = rows([10, 20, 30, None]), rows([12, None, 36, 1])
    (found,) = compare_people(a, b, ["PVE"])
    assert (found.people, found.sequences) == (2, 2)
    assert (found.mean_a, found.mean_b, found.difference) == (20, 24, 4)
    assert (found.sequences_better_a, found.sequences_better_b, found.share_better_b) == (2, 0, 0)
    assert found.p_flip == 0.5  # both signs alike: two of four flips
    assert found.p_sign == 0.5


def test_people_are_paired_by_key_not_by_row():
    a = rows([1, 2, 3], keys=["x", "y", "z"])
    b = rows([30, 10, 20], keys=["z", "x", "y"], sequences=["s2", "s0", "s1"])
    (found,) = compare_people(a, b, ["PVE"])
    assert (found.mean_a, found.mean_b) == (2, 20)
    assert found.share_better_b == 0


def test_a_missing_person_costs_only_by_the_protocols_rule():
    a, b = rows([10, 20]), rows([12, None])
    assert compare_people(a, b, ["PVE"])[0].difference == 2
    (found,) = compare_people(a, b, ["PVE"], protocol=EHF)
    assert found.people == 2
    assert found.mean_b == (12 + EHF.missing.max_error.all) / 2


def test_one_sequence_has_no_interval_and_shows_nothing():
    (found,) = compare_people(rows([1, 2, 3], ["s"] * 3), rows([9, 9, 9], ["s"] * 3), ["PVE"])
    assert (found.ci_low, found.ci_high, found.p_flip) == (None, None, 1)
    assert found.verdict == "no difference shown"


def test_many_frames_of_few_sequences_are_few():
    rng = np.random.default_rng(0)
    sequences = [f"s{k}" for k in np.repeat(np.arange(4), 100)]
    base = rng.normal(50, 5, 400)
    (found,) = compare_people(rows(base, sequences), rows(base + 3, sequences), ["PVE"])
    assert found.people == 400
    assert found.p_flip == 2 / 2**4
    by_person = compare_people(rows(base), rows(base + 3), ["PVE"])[0]
    assert by_person.p_flip < 0.001


def test_a_small_steady_difference_is_seen_through_large_common_errors():
    rng = np.random.default_rng(1)
    base = rng.gamma(2, 40, 300)
    (found,) = compare_people(rows(base), rows(base - 1 + rng.normal(0, 0.5, 300)), ["PVE"])
    assert -1.15 < found.ci_low < found.difference < found.ci_high < -0.9
    assert found.verdict == "B is better"
    assert compare_people(rows(base), rows(rng.gamma(2, 40, 300)), ["PVE"])[0].verdict == "no difference shown"


def test_more_is_better_where_the_measure_says_so():
    rng = np.random.default_rng(2)
    base = rng.random(40) / 2
    (found,) = compare_people(rows(base, name="F@5"), rows(base + 0.1, name="F@5"), ["F@5"])
    assert found.difference > 0
    assert found.verdict == "B is better"
    assert (found.sequences_better_b, found.share_better_b) == (40, 1)


def test_swapping_the_models_mirrors_everything():
    rng = np.random.default_rng(3)
    a, b = rows(rng.gamma(2, 40, 60)), rows(rng.gamma(2, 42, 60))
    (there,), (back,) = compare_people(a, b, ["PVE"]), compare_people(b, a, ["PVE"])
    assert there.difference == pytest.approx(-back.difference)
    assert (there.ci_low, there.ci_high) == pytest.approx((-back.ci_high, -back.ci_low))
    assert there.p_flip == back.p_flip
    assert there.sequences_better_a == back.sequences_better_b


def test_flips_are_all_counted_where_they_are_few():
    sums = np.array([3.0, -1, 2, 0.5, 4, -0.2])
    all_flips = [abs(np.dot(signs, sums)) for signs in itertools.product([1, -1], repeat=6)]
    assert flip_test(sums) == np.mean([value >= abs(sums.sum()) - 1e-9 for value in all_flips])
    assert flip_test(np.zeros(5)) == 1


def test_drawn_flips_agree_with_all_flips():
    sums = np.random.default_rng(4).normal(0.4, 1, 14)
    drawn = flip_test(np.concatenate([sums, np.zeros(10)]))  # ten more sequences without a difference
    assert drawn == pytest.approx(flip_test(sums), abs=0.01)
    assert flip_test(np.full(40, 1.0)) == 1 / 20_001


def test_the_test_keeps_its_level():
    rng = np.random.default_rng(5)
    p_values = [flip_test(rng.normal(size=10)) for _ in range(400)]
    assert 0.025 < np.mean(np.array(p_values) <= 0.05) < 0.08


@pytest.mark.parametrize(
    ("wins", "losses", "p"), [(0, 0, 1), (5, 5, 1), (5, 0, 2 / 32), (1, 7, 18 / 256), (0, 2000, 0)]
)
def test_the_sign_test_counts_coins(wins, losses, p):
    assert sign_test(wins, losses) == pytest.approx(p, abs=1e-12)
    assert sign_test(losses, wins) == sign_test(wins, losses)


def test_holms_rule():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == pytest.approx([1, 1])
    assert holm([]) == []


def test_several_measures_are_corrected_together():
    base = np.arange(40.0)
    a = rows(base).assign(**{"PA-PVE": base})
    b = rows(base + 1).assign(**{"PA-PVE": base})
    found = compare_people(a, b, ["PVE", "PA-PVE"])
    assert [one.measure for one in found] == ["PVE", "PA-PVE"]
    assert found[0].p_holm == 2 * found[0].p_flip
    assert (found[1].difference, found[1].p_flip, found[1].p_sign) == (0, 1, 1)
    assert found[1].verdict == "no difference shown"


def test_who_is_on_one_side_only_is_counted():
    a, b = rows([1, None, 3], keys=["x", "y", "z"]), rows([1, 2, None, 4], keys=["x", "y", "z", "w"])
    assert unmatched(a, b) == {"asked_only_a": 0, "asked_only_b": 1, "answered_only_a": 1, "answered_only_b": 1}


def test_a_measure_that_nobody_has_is_left_out():
    assert compare_people(rows([None]), rows([1]), ["PVE"]) == []
