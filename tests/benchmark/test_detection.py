"""Matching of people: the cases that were run through the official AGORA evaluation, and the switches of its habits.

The cases there use the keypoints of a sample of the owner; only their box and their order count for the outcome, so
that made-up keypoints with the same box give the same matching.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ehps.benchmark.detection import (
    OFFICIAL,
    PLAIN,
    MatchingQuirks,
    box_overlaps,
    detection_scores,
    keypoint_box,
    match_people,
    pair_costs,
)

LOW, HIGH = np.array([2619.661, 296.489]), np.array([2835.397, 774.095])


@pytest.fixture(scope="module")
def K() -> np.ndarray:
    points = LOW + np.random.default_rng(0).random((144, 2)) * (HIGH - LOW)
    points[40], points[100] = LOW, HIGH
    return points


def matched(predicted, truth, valid=None, quirks=OFFICIAL):
    return match_people(predicted, truth, np.array(valid or [True] * len(truth), bool), quirks=quirks)


def shift(points, dx, dy=0.0):
    return points + np.array([dx, dy])


def test_m1_a_person_on_itself(K):
    assert matched([K], [K]) == (((0, 0),), (), (), ())


def test_m2_the_nearer_of_two(K):
    assert matched([shift(K, 500), K], [shift(K, 3), shift(K, 505)])[0] == ((1, 0), (0, 1))


def test_m3_nobody_there(K):
    found = matched([shift(K, 5000)], [K])
    assert (found.pairs, found.false_positives) == ((), (0,))


def test_m4_a_prediction_on_an_invalid_person_is_a_false_positive(K):
    assert matched([K], [K], [False]) == ((), (0,), (), (0,))


def test_m5_the_second_prediction_of_one_person(K):
    assert matched([K, shift(K, 2)], [K]) == (((0, 0),), (1,), (), ())


def test_m7_the_prediction_of_an_invalid_person_takes_a_valid_one(K):
    assert matched([K], [K, shift(K, 20)], [False, True]) == (((0, 1),), (), (), (0,))


def test_m10_cheap_pairs_apart_end_the_search(K):
    small, large = 0.05 * (K - K.mean(0)), 3 * (K - K.mean(0)) + [1900, 1000]
    predicted = [small + [500, 500], shift(large, 120, 60)]
    truth = [small + [540, 500], small + [460, 500], large]
    found = matched(predicted, truth)
    assert (len(found.pairs), len(found.false_positives), len(found.misses)) == (0, 2, 3)
    overlap = box_overlaps([keypoint_box(predicted[1])], [keypoint_box(truth[2])])
    np.testing.assert_allclose(overlap, 0.6404, atol=1e-4)
    patient = matched(predicted, truth, quirks=MatchingQuirks(True, False, True))
    assert patient.pairs == ((1, 2),)


def test_overlap_and_cost_of_the_owners_sample(K):
    boxes = [keypoint_box(K), keypoint_box(shift(K, 100))]
    np.testing.assert_allclose(box_overlaps(boxes, boxes)[0], [1, 0.368559], atol=1e-6)
    np.testing.assert_allclose(pair_costs([K], [shift(K, 3)], spectral=True), [[14.696938]], atol=1e-6)
    np.testing.assert_allclose(pair_costs([K], [shift(K, 3)], spectral=False), [[3]], atol=1e-9)


def test_the_spectral_norm_can_prefer_the_farther_person(K):
    # All joints off one way add up; off every way by more they do not.
    ring = 10 * np.stack([np.cos(np.arange(24)), np.sin(np.arange(24))], axis=1)
    spread = K.copy()
    spread[:24] += ring
    aside = shift(K, 8)
    assert matched([K], [aside, spread], quirks=OFFICIAL).pairs == ((0, 1),)
    assert matched([K], [aside, spread], quirks=PLAIN).pairs == ((0, 0),)


def test_without_quirks_a_prediction_on_an_invalid_person_is_ignored(K):
    assert matched([K], [K], [False], quirks=PLAIN) == ((), (), (), (0,))
    assert matched([K], [K, shift(K, 20)], [False, True], quirks=PLAIN) == ((), (), (1,), (0,))


@pytest.mark.parametrize(("predicted", "true"), [(0, 0), (0, 2), (2, 0)])
def test_nobody_on_a_side(K, predicted, true):
    found = matched([K] * predicted, [K] * true)
    assert found == ((), tuple(range(predicted)), tuple(range(true)), ())


@settings(max_examples=60, deadline=None)
@given(data=st.data(), quirks=st.sampled_from([OFFICIAL, PLAIN]))
def test_everyone_is_in_one_place_whatever_the_picture(data, quirks):
    place = st.tuples(st.integers(0, 900), st.integers(0, 500))
    base = np.random.default_rng(1).random((24, 2)) * [200, 400]
    people = [[base + data.draw(place) for _ in range(data.draw(st.integers(0, 5)))] for _ in range(2)]
    valid = np.array([data.draw(st.booleans()) for _ in people[1]], bool)
    found = match_people(*people, valid, quirks=quirks)
    assert sorted([t for _, t in found.pairs] + [*found.misses, *found.ignored]) == list(range(len(people[1])))
    assert all(valid[t] for _, t in found.pairs)
    assert all(valid[t] for t in found.misses)
    assert not any(valid[t] for t in found.ignored)
    mine = [p for p, _ in found.pairs] + [*found.false_positives]
    assert len(set(mine)) == len(mine)
    if quirks is OFFICIAL:
        assert sorted(mine) == list(range(len(people[0])))


def test_a_nan_is_refused_with_its_person(K):
    hole = K.copy()
    hole[3, 1] = np.nan
    with pytest.raises(ValueError, match="true person 1 has keypoints with NaN"):
        matched([K], [K, hole])


def test_the_f1_example_of_the_owner():
    assert detection_scores(8, 1, 2) == (0.89, 0.80, 0.84)
    exact = detection_scores(8, 1, 2, decimals=None)
    np.testing.assert_allclose(exact, [8 / 9, 0.8, 8 / 9.5])
    assert detection_scores(0, 0, 0) == (0, 0, 0)
    assert detection_scores(0, 3, 0) == (0, 0, 0)
