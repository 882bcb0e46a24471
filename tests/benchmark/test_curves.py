"""Shares of near points: by hand, beside plain loops, at the borders, and their laws."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ehps.benchmark.curves import (
    auc,
    box_sizes,
    f_score,
    keypoints_pck,
    known_mean,
    pck,
    pck_curve,
    relative_root_error,
)

DISTANCES = np.array([[0.0, 10, 20, 30], [5, 5, np.nan, 50], [np.nan] * 4])


def test_pck_counts_the_border_and_leaves_out_what_is_not_labelled():
    np.testing.assert_array_equal(pck(DISTANCES, 20), [0.75, 2 / 3, np.nan])
    np.testing.assert_array_equal(pck(DISTANCES, 19.999), [0.5, 2 / 3, np.nan])


def test_the_curve_rises_from_share_to_share():
    np.testing.assert_array_equal(pck_curve(DISTANCES[:1], np.array([0.0, 15, 30])), [[0.25, 0.5, 1]])


def test_the_area_is_that_of_the_trapezoids():
    thresholds = np.linspace(0, 50, 100)
    expected = np.trapezoid(pck_curve(DISTANCES, thresholds), thresholds) / 50
    np.testing.assert_allclose(auc(DISTANCES, 0, 50, 100), expected, rtol=1e-12)
    assert auc(np.zeros((1, 3)), 0, 50, 100) == 1
    assert auc(np.full((1, 3), 51.0), 0, 50, 100) == 0


def test_the_area_of_freihand_is_the_mean_of_the_keypoints_areas():
    # The official script takes each keypoint's curve over everyone; with all points known that is the same number.
    distances = np.random.default_rng(0).gamma(2, 8, (40, 21))
    thresholds = np.linspace(0, 50, 100)
    curve = np.array([(distances <= threshold).mean(0) for threshold in thresholds]).mean(1)
    np.testing.assert_allclose(auc(distances, 0, 50, 100).mean(), np.trapezoid(curve, thresholds) / 50, rtol=1e-12)


def test_the_area_of_the_3dpw_challenge():
    distances = np.random.default_rng(1).gamma(2, 40, (30, 12))
    steps = np.arange(200.0)
    curve = np.array([(distances <= threshold).mean() for threshold in steps])
    expected = np.trapezoid(curve, steps / 199)
    np.testing.assert_allclose(auc(distances, 0, 199, 200).mean(), expected, rtol=1e-12)


def test_f_score_by_hand():
    truth = np.array([[[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 0]]])
    predicted = np.array([[[0.0, 0.1, 0], [0, 0.2, 0], [1, 9, 0]]])
    # Two of three predictions are near a true point; one of four true points is near a prediction.
    precision, recall = 2 / 3, 1 / 4
    np.testing.assert_allclose(f_score(predicted, truth, 0.3), 2 * precision * recall / (precision + recall))
    assert f_score(predicted, truth, 0.05)[0] == 0
    np.testing.assert_array_equal(f_score(truth, truth, 1e-9), [1])


def test_a_point_exactly_at_the_threshold_is_not_near():
    truth, predicted = np.zeros((1, 1, 3)), np.array([[[0.25, 0, 0]]])
    assert f_score(predicted, truth, 0.25)[0] == 0
    assert f_score(predicted, truth, np.nextafter(0.25, 1))[0] == 1


def test_f_score_of_no_points_is_unknown():
    assert np.isnan(f_score(np.zeros((1, 0, 3)), np.zeros((1, 2, 3)), 1.0)).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**16), threshold=st.floats(0.01, 2))
def test_f_score_is_that_of_all_distances_and_knows_no_order(seed, threshold):
    rng = np.random.default_rng(seed)
    predicted, truth = rng.normal(size=(2, 1, 12, 3))
    all_distances = np.linalg.norm(predicted[0][:, None] - truth[0][None], axis=-1)
    precision, recall = (all_distances.min(1) < threshold).mean(), (all_distances.min(0) < threshold).mean()
    expected = 2 * precision * recall / (precision + recall) if precision + recall else 0
    np.testing.assert_allclose(f_score(predicted, truth, threshold), [expected])
    np.testing.assert_allclose(f_score(predicted[:, ::-1], truth[:, rng.permutation(12)], threshold), [expected])


def test_2d_keypoints_are_near_in_shares_of_the_box():
    truth = np.array([[[0.0, 0], [10, 0], [np.nan, np.nan], [50, 50]]])
    predicted = truth + np.array([[[3.0, 4], [0, 5.001], [1, 1], [0, 0]]])
    predicted[0, 2] = 7
    sizes = box_sizes(np.array([[0.0, 0, 40, 100]]))
    assert sizes.tolist() == [100]
    np.testing.assert_allclose(keypoints_pck(predicted, truth, sizes, 0.05), [2 / 3])
    np.testing.assert_allclose(box_sizes(np.array([[0.0, 0, 30, 40]]), "diagonal"), [50])


def test_the_relative_root_forgives_a_common_way():
    left, right = np.array([[0.2, 0, 3.0]]), np.array([[-0.2, 0, 3.0]])
    assert relative_root_error((left + 5, right + 5), (left, right)) == pytest.approx([0], abs=1e-12)
    moved = left + [0, 0.3, 0.4]
    np.testing.assert_allclose(relative_root_error((moved, right), (left, right)), [0.5])


def test_tensors_give_the_same_shares():
    tensor = torch.as_tensor(DISTANCES)
    for function, options in ((pck, (20,)), (auc, (0, 50, 100)), (known_mean, ())):
        np.testing.assert_allclose(function(tensor, *options).numpy(), function(DISTANCES, *options))
