"""Similarity alignment: the reference implementation's numbers, both conventions, degenerate clouds."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import orthogonal_procrustes

from ehps.benchmark.align import (
    centroid,
    freihand_align,
    root_align,
    similarity_align,
    similarity_transform,
)
from ehps.body.rotations import axis_angle_to_matrix


@pytest.fixture(scope="module")
def golden(golden_dir):
    with np.load(golden_dir / "transforms_a.npz", allow_pickle=False) as file:
        return {name.removeprefix("pa."): file[name] for name in file.files if name.startswith("pa.")}


def clouds(seed: int, people: int = 3, points: int = 12) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(people, points, 3)), rng.normal(size=(people, points, 3))


def official_freihand(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """The alignment as the FreiHAND evaluation describes it, one cloud at a time."""
    centre = truth.mean(0)
    truth, predicted = truth - centre, predicted - predicted.mean(0)
    true_size, size = np.linalg.norm(truth) + 1e-8, np.linalg.norm(predicted) + 1e-8
    rotation, strength = orthogonal_procrustes(truth / true_size, predicted / size)
    return predicted / size @ rotation.T * strength * true_size + centre


@pytest.mark.parametrize("make", [np.asarray, torch.as_tensor], ids=["numpy", "torch"])
def test_alignment_gives_the_reference_implementations_numbers(golden, make):
    aligned = np.asarray(similarity_align(make(golden["A"]), make(golden["B"])))
    error = np.linalg.norm(aligned - golden["B"], axis=-1).mean(-1)
    np.testing.assert_allclose(aligned, golden["aligned"], atol=1e-5)
    np.testing.assert_allclose(error, golden["error"], atol=1e-5)


def test_numpy_and_torch_give_the_same_numbers():
    source, target = clouds(0)
    for align in (similarity_align, freihand_align):
        ours = align(source, target)
        theirs = align(torch.as_tensor(source), torch.as_tensor(target))
        np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-12)


def test_single_precision_stays_single_precision():
    source, target = (cloud.astype(np.float32) for cloud in clouds(0))
    assert similarity_align(source, target).dtype == np.float32


def test_a_quarter_turn_with_scale_and_shift_is_found():
    source = np.array([[0.0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3]])
    target = 2 * source @ np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]) + [5.0, 6, 7]
    found = similarity_transform(source, target)
    np.testing.assert_allclose(found.scale, 2, atol=1e-12)
    np.testing.assert_allclose(found.rotation, [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-12)
    np.testing.assert_allclose(found.translation, [5, 6, 7], atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    turn=st.tuples(*[st.floats(-3, 3)] * 3),
    scale=st.floats(0.1, 10),
    shift=st.tuples(*[st.floats(-5, 5)] * 3),
)
def test_any_similarity_of_the_source_leaves_the_result_unchanged(seed, turn, scale, shift):
    source, target = clouds(seed)
    moved = scale * source @ axis_angle_to_matrix(np.array(turn)).T + np.array(shift)
    for align in (similarity_align, freihand_align):
        np.testing.assert_allclose(align(moved, target), align(source, target), atol=1e-6)


def test_the_rotation_is_proper_unless_reflections_are_allowed():
    source, _ = clouds(4)
    mirrored = source * [-1, 1, 1]
    proper, mirror = (similarity_transform(mirrored, source, reflections=allowed) for allowed in (False, True))
    np.testing.assert_allclose(np.linalg.det(proper.rotation), 1, atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(mirror.rotation), -1, atol=1e-12)
    assert np.abs(proper.apply(mirrored) - source).max() > 0.1
    np.testing.assert_allclose(mirror.apply(mirrored), source, atol=1e-12)


@pytest.mark.parametrize("mirror", [1.0, -1.0], ids=["straight", "mirrored"])
@pytest.mark.parametrize("size", [1.0, 1e-7])
def test_the_freihand_variant_is_the_official_one(mirror, size):
    source, target = clouds(5, people=4, points=21)
    source = (target * [mirror, 1, 1] + 0.3 * source) * size
    expected = np.stack([official_freihand(b, a) for a, b in zip(source, target, strict=True)])
    np.testing.assert_allclose(freihand_align(source, target), expected, atol=1e-9)


@pytest.mark.parametrize("align", [similarity_align, freihand_align])
def test_coinciding_points_land_on_the_centroid_of_the_target(align):
    source, target = np.full((2, 12, 3), 3.3), clouds(6, people=2)[1]
    np.testing.assert_allclose(align(source, target), np.repeat(target.mean(1, keepdims=True), 12, 1), atol=1e-12)


def test_no_people_give_no_people():
    empty = np.zeros((0, 12, 3))
    assert similarity_align(empty, empty).shape == (0, 12, 3)


def test_leading_dimensions_are_free():
    source, target = clouds(7, people=6)
    stacked = similarity_align(source.reshape(2, 3, 12, 3), target.reshape(2, 3, 12, 3))
    np.testing.assert_allclose(stacked.reshape(6, 12, 3), similarity_align(source, target))
    np.testing.assert_allclose(similarity_align(source[0], target[0]), similarity_align(source, target)[0])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_nan_is_refused_with_the_number_of_its_person(bad):
    source, target = clouds(8)
    source[1, 4, 2] = bad
    with pytest.raises(ValueError, match="person 1 of the batch holds a NaN or infinite"):
        similarity_align(source, target)


def test_points_that_are_not_known_take_no_part():
    source, target = clouds(9, people=2)
    known = np.ones((2, 12), bool)
    known[0, [2, 5, 11]] = False
    wrong = np.where(known[..., None], target, 1e3)
    rest = np.flatnonzero(known[0])
    for align in (similarity_align, freihand_align):
        found = align(source, wrong, known)
        np.testing.assert_allclose(found[0, rest], align(source[0, rest], target[0, rest]), atol=1e-9)
        np.testing.assert_allclose(found[1], align(source[1], target[1]), atol=1e-9)
        tensors = align(torch.as_tensor(source), torch.as_tensor(wrong), torch.as_tensor(known))
        np.testing.assert_allclose(tensors.numpy(), found, atol=1e-9)
    np.testing.assert_array_equal(centroid(source, np.zeros((2, 12), bool)), np.zeros((2, 3)))


def test_root_and_centroid_are_per_person():
    points = np.arange(12.0).reshape(2, 2, 3)
    np.testing.assert_array_equal(root_align(points, points[:, 0])[:, 1], [[3, 3, 3], [3, 3, 3]])
    np.testing.assert_array_equal(centroid(points), [[1.5, 2.5, 3.5], [7.5, 8.5, 9.5]])
