"""The mean hand: published numbers, and two ways of writing that come back."""

import numpy as np

from ehps.body import hands


def test_the_right_mean_mirrors_the_left():
    np.testing.assert_array_equal(hands.mirrored(hands.LEFT_HAND_MEAN), hands.RIGHT_HAND_MEAN)
    np.testing.assert_allclose(hands.RIGHT_HAND_MEAN[0], [0.11167871, -0.04289218, 0.41644183])


def test_absolute_and_deviation_are_inverse_and_differ_by_the_mean():
    pose = np.random.default_rng(0).normal(size=(4, 15, 3))
    for side in ("left", "right"):
        np.testing.assert_allclose(hands.to_deviation(hands.to_absolute(pose, side), side), pose)
        np.testing.assert_allclose(hands.to_absolute(np.zeros((15, 3)), side), hands.HAND_MEANS[side])


def test_an_all_zero_deviation_is_a_legal_curved_hand():
    assert np.abs(hands.to_absolute(np.zeros((15, 3)), "left")).max() > 0.5
