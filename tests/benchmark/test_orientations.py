"""Angles between orientations: known turns, their laws, and the aligned variant."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from ehps.benchmark.orientations import (
    CHALLENGE_JOINTS,
    aligned_orientation_error,
    angles,
    global_orientations,
    orientation_error,
)


def turns(seed: int, *shape: int) -> np.ndarray:
    return Rotation.random(int(np.prod(shape)), random_state=seed).as_matrix().reshape(*shape, 3, 3)


@pytest.mark.parametrize("degrees", [0, 1e-5, 1, 90, 179.9999, 180])
def test_a_known_turn(degrees):
    base = turns(0, 5)
    turned = base @ Rotation.from_rotvec(np.radians(degrees) * np.array([0.6, 0, 0.8])).as_matrix()
    np.testing.assert_allclose(angles(turned, base), degrees, atol=1e-9)


def test_the_mean_is_over_the_nine_joints_of_the_challenge():
    truth = turns(1, 2, 24)
    predicted = truth.copy()
    quarter = Rotation.from_euler("x", 90, degrees=True).as_matrix()
    predicted[0, 4] = quarter @ truth[0, 4]  # the left knee counts
    predicted[1, 20] = quarter @ truth[1, 20]  # the left wrist does not
    np.testing.assert_allclose(orientation_error(predicted, truth), [90 / len(CHALLENGE_JOINTS), 0], atol=1e-9)
    tensors = orientation_error(torch.as_tensor(predicted), torch.as_tensor(truth))
    np.testing.assert_allclose(tensors.numpy(), orientation_error(predicted, truth), atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_a_common_turn_is_forgiven_by_the_aligned_error_only(seed):
    rng = np.random.default_rng(seed)
    truth, points = turns(seed, 1, 24), rng.normal(size=(1, 24, 3))
    turn = Rotation.from_rotvec([0, 1.0, 0]).as_matrix()
    predicted, moved = turn @ truth, points @ turn.T * 1.3 + 4
    np.testing.assert_allclose(orientation_error(predicted, truth), np.degrees(1.0), rtol=1e-9)
    np.testing.assert_allclose(aligned_orientation_error(predicted, truth, moved, points), 0, atol=1e-6)


def test_orientations_add_up_along_the_tree():
    local = turns(3, 2, 3)
    found = global_orientations(local, (-1, 0, 1))
    np.testing.assert_allclose(found[:, 2], local[:, 0] @ local[:, 1] @ local[:, 2], atol=1e-12)
    branch = global_orientations(local, (-1, 0, 0))
    np.testing.assert_allclose(branch[:, 2], local[:, 0] @ local[:, 2], atol=1e-12)
