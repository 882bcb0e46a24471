"""The steps of posing by themselves: a tree level by level, and points on triangles in fewer rows."""

import numpy as np
import pytest

from ehps.body.rotations import axis_angle_to_matrix
from ehps.body.skinning import anchored, barycentric, forward_kinematics, rotation_matrices, skinned, surface_of

PARENTS = (-1, 0, 1, 0, 3, 3)
PEOPLE = 5


@pytest.fixture
def posed():
    """Rotations, transforms and rest joints of random people; people on the last axis."""
    rng = np.random.default_rng(0)
    rotations = rotation_matrices(rng.normal(0, 1, (6, 3, PEOPLE)))
    rest = rng.normal(0, 1, (6, 3, PEOPLE))
    return rotations, *forward_kinematics(rotations, rest, PARENTS), rest


def test_rotations_are_those_of_the_other_layout():
    pose = np.random.default_rng(1).normal(0, 1, (6, 3, PEOPLE)) * np.array([0, 1e-9, 1, 1, 3, 6])[:, None, None]
    expected = np.moveaxis(axis_angle_to_matrix(np.moveaxis(pose, 1, -1)), 1, -1)
    np.testing.assert_array_equal(rotation_matrices(pose), expected)


def test_a_tree_by_levels_is_the_tree_joint_by_joint(posed):
    rotations, transforms, joints, rest = posed
    for person in range(PEOPLE):
        world: list[np.ndarray] = []
        for joint, parent in enumerate(PARENTS):
            local = np.eye(4)
            local[:3, :3] = rotations[joint, ..., person]
            local[:3, 3] = rest[joint, :, person] - (rest[parent, :, person] if parent >= 0 else 0)
            world.append(local if parent < 0 else world[parent] @ local)
            np.testing.assert_allclose(joints[joint, :, person], world[joint][:3, 3], atol=1e-12)
            moved = transforms[joint, :, :3, person] @ rest[joint, :, person] + transforms[joint, :, 3, person]
            np.testing.assert_allclose(moved, joints[joint, :, person], atol=1e-12)


@pytest.mark.parametrize("kinds", [1, 2, 40])
def test_points_on_triangles_are_where_their_corners_say(posed, kinds):
    """With one kind of skinning every triangle is rigid, with many none is."""
    rng = np.random.default_rng(kinds)
    rotations, transforms, _, _ = posed
    shares = rng.dirichlet(np.ones(6), kinds)[rng.integers(0, kinds, 40)]
    model = [rng.normal(0, 1, shape) for shape in ((40, 3), (40, 3, 4), (40, 3, 45))] + [shares]
    faces, weights = rng.integers(0, 40, (25, 3)), rng.uniform(0.1, 0.6, (25, 3))
    components = rng.normal(0, 1, (4, PEOPLE))
    found = anchored(*model, faces=faces, weights=weights)
    anchors = skinned(found.surface, components, rotations, transforms)
    vertices = skinned(surface_of(*model), components, rotations, transforms)
    expected = barycentric(vertices[faces], weights[..., None])
    np.testing.assert_allclose(barycentric(anchors[found.corners], found.weights[..., None]), expected, atol=1e-12)
    assert len(anchors) <= (25 if kinds == 1 else 40)
