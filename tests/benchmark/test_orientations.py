"""Angles between orientations: known turns, their laws, and the aligned variant."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from ehps.benchmark.orientations import (
    aligned_orientation_error,
    angles,
    challenge_orientations,
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


def posed(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"global_orient": rng.normal(size=3), "body_pose": rng.normal(size=(21, 3)) * 0.4}


@pytest.mark.parametrize(("joint", "moved"), [(4, 1), (5, 1), (1, 2), (0, 9), (20, 0), (15, 0), (3, 4), (16, 2)])
def test_a_turned_joint_turns_the_nine_that_hang_on_it(joint, moved):
    """A knee counts by itself, a hip takes its knee along, the pelvis everything; wrists and head do not count."""
    truth, predicted = posed(1), posed(1)
    pose = np.concatenate([predicted["global_orient"][None], predicted["body_pose"]])
    turn = Rotation.from_rotvec([0, 0.5, 0])
    pose[joint] = (Rotation.from_rotvec(pose[joint]) * turn).as_rotvec()
    predicted = {"global_orient": pose[0], "body_pose": pose[1:]}
    error = orientation_error(challenge_orientations(predicted)[None], challenge_orientations(truth)[None])
    np.testing.assert_allclose(error, moved * np.degrees(0.5) / 9, atol=1e-9)


def test_smpl_bodies_and_flat_poses_give_the_same_orientations():
    pose = posed(2)
    smpl = {
        "global_orient": pose["global_orient"],
        "body_pose": np.concatenate([pose["body_pose"].ravel(), np.ones(6)]),
    }
    np.testing.assert_array_equal(challenge_orientations(smpl), challenge_orientations(pose))


def test_tensors_give_the_same_mean():
    truth, predicted = turns(1, 2, 9), turns(4, 2, 9)
    tensors = orientation_error(torch.as_tensor(predicted), torch.as_tensor(truth))
    np.testing.assert_allclose(tensors.numpy(), orientation_error(predicted, truth), atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_a_common_turn_is_forgiven_by_the_aligned_error_only(seed):
    rng = np.random.default_rng(seed)
    truth, points = turns(seed, 1, 9), rng.normal(size=(1, 24, 3))
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
