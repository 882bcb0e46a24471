"""Shape errors in the zero pose, and accelerations over time."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ehps.benchmark.motion import acceleration_error, acceleration_errors, jitter, jitters
from ehps.benchmark.shape import centred_error, height, t_pose_scaled_error


def bodies(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(2, 50, 3))
    return truth + rng.normal(size=truth.shape) * 0.1, truth


def test_the_scale_is_that_of_the_spreads_not_of_least_squares():
    predicted, truth = bodies(0)
    for row in range(2):
        p, t = predicted[row] - predicted[row].mean(0), truth[row] - truth[row].mean(0)
        scaled = p / np.sqrt((p**2).sum() / 50) * np.sqrt((t**2).sum() / 50)
        expected = 1000 * np.linalg.norm(scaled - t, axis=1).mean()
        np.testing.assert_allclose(t_pose_scaled_error(predicted, truth)[row], expected, rtol=1e-12)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**16), scale=st.floats(0.2, 5), shift=st.floats(-5, 5))
def test_size_and_place_are_forgiven_by_the_scaled_error_place_alone_by_the_centred_one(seed, scale, shift):
    predicted, truth = bodies(seed)
    still = t_pose_scaled_error(predicted, truth)
    np.testing.assert_allclose(t_pose_scaled_error(predicted * scale + shift, truth), still, rtol=1e-9)
    np.testing.assert_allclose(centred_error(predicted + shift, truth), centred_error(predicted, truth), rtol=1e-9)


def test_a_turn_is_not_forgiven():
    _, truth = bodies(2)
    turned = truth[..., [1, 0, 2]] * [1, -1, 1]
    assert (t_pose_scaled_error(turned, truth) > 500).all()
    np.testing.assert_allclose(t_pose_scaled_error(truth, truth), 0, atol=1e-9)


def test_a_body_that_is_a_point_lands_on_the_centroid():
    _, truth = bodies(3)
    found = t_pose_scaled_error(np.full_like(truth, 2.5), truth)
    expected = 1000 * np.linalg.norm(truth - truth.mean(1, keepdims=True), axis=-1).mean(1)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_nan_is_refused():
    predicted, truth = bodies(4)
    predicted[1, 0, 0] = np.nan
    with pytest.raises(ValueError, match="person 1 of the batch"):
        t_pose_scaled_error(predicted, truth)


def test_height_is_the_extent_upwards():
    mesh = np.array([[[0.0, -1.2, 0], [0.5, 0.55, 9]]])
    np.testing.assert_allclose(height(mesh), [1750])


def test_a_known_acceleration():
    time = np.arange(5.0)[:, None, None]
    truth = np.zeros((5, 3, 3)) + 2 * time
    predicted = truth + 0.0005 * time**2 * [3, 0, 4]
    expected = [np.nan, 5, 5, 5, np.nan]
    np.testing.assert_allclose(acceleration_error(predicted, truth), expected, atol=1e-9)
    tensors = acceleration_error(torch.as_tensor(predicted), torch.as_tensor(truth))
    np.testing.assert_allclose(tensors.numpy(), expected, atol=1e-9)


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_too_few_frames_have_no_acceleration(frames):
    assert np.isnan(acceleration_error(np.zeros((frames, 2, 3)), np.zeros((frames, 2, 3)))).tolist() == [True] * frames


def test_gaps_and_other_tracks_are_no_motion():
    rng = np.random.default_rng(0)
    tracks, frames = ["a", "b", "a", "a", "b", "a", "b", "a"], np.array([2, 7, 0, 1, 8, 9, 9, 10])
    truth = rng.normal(size=(8, 4, 3))
    predicted = truth + rng.normal(size=truth.shape) * 0.01
    found = acceleration_errors(predicted, truth, tracks, frames)
    assert np.flatnonzero(~np.isnan(found)).tolist() == [3, 4]
    order = [2, 3, 0]
    np.testing.assert_allclose(found[3], acceleration_error(predicted[order], truth[order])[1])


def test_a_known_jitter():
    """A constant third difference of one joint in 24, and none from the joints that count as still."""
    time = np.arange(6.0)
    points = np.zeros((6, 24, 3))
    points[:, 5, 0] = 1e-5 * time**3
    points[:, 8] = np.random.default_rng(0).normal(size=(6, 3))
    third = 6e-5 * 30**3 / 10
    np.testing.assert_allclose(jitter(points), [np.nan, *[third / 24] * 3, np.nan, np.nan], rtol=1e-9)
    still = points + np.random.default_rng(1).normal(size=(6, 1, 3))
    np.testing.assert_allclose(jitter(still), jitter(points), rtol=1e-6, err_msg="where the body stands counts")
    assert np.isnan(jitter(points[:3])).all()


def test_jitter_needs_four_pictures_in_a_row_of_one_track():
    tracks, frames = ["a"] * 5 + ["b"] * 4, np.array([4, 0, 1, 2, 3, 0, 1, 2, 4])
    points = np.random.default_rng(2).normal(size=(9, 24, 3))
    found = jitters(points, tracks, frames)
    assert np.flatnonzero(~np.isnan(found)).tolist() == [2, 3]
    np.testing.assert_allclose(found[2], jitter(points[[1, 2, 3, 4]])[1])


def test_an_unlabelled_joint_is_left_out():
    rng = np.random.default_rng(1)
    truth = rng.normal(size=(3, 4, 3))
    predicted = truth + rng.normal(size=truth.shape) * 0.01
    partly = truth.copy()
    partly[0, 2] = np.nan
    rest = [0, 1, 3]
    np.testing.assert_allclose(
        acceleration_error(predicted, partly)[1], acceleration_error(predicted[:, rest], truth[:, rest])[1]
    )
