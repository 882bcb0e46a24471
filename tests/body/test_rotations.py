"""Rotations against SciPy, at zero, at a half turn, and with gradients."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from ehps.body import rotations

VECTORS = np.concatenate(
    [
        np.random.default_rng(0).normal(size=(500, 3)),
        [[0, 0, 0], [1e-9, 0, 0], [np.pi, 0, 0], [0, np.pi - 1e-7, 0], [0, 0, -3.0]],
    ]
)


def test_matrices_are_those_of_scipy():
    np.testing.assert_allclose(
        rotations.axis_angle_to_matrix(VECTORS), Rotation.from_rotvec(VECTORS).as_matrix(), atol=1e-12
    )


def test_axis_angle_comes_back_up_to_the_sign_at_a_half_turn():
    matrices = rotations.axis_angle_to_matrix(VECTORS)
    back = rotations.axis_angle_to_matrix(rotations.matrix_to_axis_angle(matrices))
    np.testing.assert_allclose(back, matrices, atol=1e-7)
    small = np.linalg.norm(VECTORS, axis=1) < 3
    np.testing.assert_allclose(rotations.matrix_to_axis_angle(matrices)[small], VECTORS[small], atol=1e-9)


def test_sixd_is_interleaved():
    matrix = Rotation.from_euler("xyz", [0.3, -0.2, 1.0]).as_matrix()
    sixd = rotations.matrix_to_sixd(matrix)
    np.testing.assert_allclose(sixd[[0, 2, 4]], matrix[:, 0])
    np.testing.assert_allclose(sixd[[1, 3, 5]], matrix[:, 1])


def test_any_sixd_gives_a_rotation():
    matrix = rotations.sixd_to_matrix(np.random.default_rng(1).normal(size=(50, 6)))
    np.testing.assert_allclose(matrix @ np.swapaxes(matrix, -1, -2), np.broadcast_to(np.eye(3), (50, 3, 3)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(matrix), 1.0)


@pytest.mark.parametrize("rows", [1, 3, 4])
def test_three_rows_are_not_taken_for_three_axes(rows):
    sixd = np.random.default_rng(2).normal(size=(rows, 6))
    one_by_one = np.stack([rotations.sixd_to_matrix(row) for row in sixd])
    np.testing.assert_allclose(rotations.sixd_to_matrix(sixd), one_by_one)


def test_torch_gives_the_numbers_of_numpy():
    matrix = rotations.axis_angle_to_matrix(torch.from_numpy(VECTORS))
    np.testing.assert_allclose(matrix.numpy(), rotations.axis_angle_to_matrix(VECTORS), atol=1e-12)
    back = rotations.matrix_to_axis_angle(matrix)
    np.testing.assert_allclose(back.numpy(), rotations.matrix_to_axis_angle(matrix.numpy()), atol=1e-12)


def test_gradients_are_finite_at_zero_and_at_a_half_turn():
    vectors = torch.tensor([[0.0, 0.0, 0.0], [np.pi, 0.0, 0.0], [0.1, 0.2, 0.3]], requires_grad=True)
    rotations.matrix_to_axis_angle(rotations.axis_angle_to_matrix(vectors)).sum().backward()
    assert vectors.grad is not None
    assert torch.isfinite(vectors.grad).all()


def test_compose_applies_the_inner_rotation_first():
    outer, inner = np.array([0.0, 0.0, np.pi / 2]), np.array([np.pi / 2, 0.0, 0.0])
    expected = (Rotation.from_rotvec(outer) * Rotation.from_rotvec(inner)).as_rotvec()
    np.testing.assert_allclose(rotations.compose(outer, inner), expected, atol=1e-12)
