"""The compiled pass beside plain numpy: every kind of map, precision, alignment and size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ehps.benchmark.align import similarity_align
from ehps.benchmark.mesh_errors import PartMaps, PointMap, mesh_errors
from ehps.body.rotations import axis_angle_to_matrix


def picked(ids) -> PointMap:
    ids = np.asarray(ids, np.int32)
    return PointMap(len(ids), ids)


def weighted(matrix: np.ndarray) -> PointMap:
    rows, columns = np.nonzero(matrix)
    starts = np.searchsorted(rows, np.arange(len(matrix) + 1)).astype(np.int64)
    return PointMap(len(matrix), columns.astype(np.int32), matrix[rows, columns], starts)


def part(points: PointMap, size: int, root: int = 0) -> PartMaps:
    rooted = weighted(np.eye(size)[root : root + 1])
    return PartMaps((points, points), (rooted, rooted))


def mean_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.linalg.norm(a - b, axis=-1).mean(-1)


def clouds(seed: int, people: int, points: int, offset: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(people, points, 3)) + offset
    return truth + rng.normal(size=truth.shape) * 0.1, truth


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 30])
def test_every_size_and_precision_is_plain_numpy(dtype, size):
    predicted, truth = (cloud.astype(dtype) for cloud in clouds(size, 3, size))
    found = mesh_errors(predicted, truth, [part(PointMap(size), size)])
    p, t = predicted.astype(np.float64), truth.astype(np.float64)
    np.testing.assert_allclose(found.rooted[0], mean_distance(p - p[:, :1], t - t[:, :1]), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(found.aligned[0], mean_distance(similarity_align(p, t), t), rtol=1e-9, atol=1e-13)


def test_picked_and_weighted_points_in_one_call():
    predicted, truth = clouds(0, 40, 50)
    ids, matrix = np.array([7, 3, 3, 49, 0, 21]), np.random.default_rng(1).random((5, 50)) / 25
    matrix[:, ::3] = 0
    found = mesh_errors(predicted, truth, [part(picked(ids), 50, root=9), part(weighted(matrix), 50)], threads=2)
    p, t = predicted[:, ids], truth[:, ids]
    rooted = mean_distance(p - predicted[:, 9:10], t - truth[:, 9:10])
    np.testing.assert_allclose(found.rooted[0], rooted, rtol=1e-12)
    np.testing.assert_allclose(found.aligned[0], mean_distance(similarity_align(p, t), t), rtol=1e-9)
    p, t = matrix @ predicted, matrix @ truth
    np.testing.assert_allclose(found.aligned[1], mean_distance(similarity_align(p, t), t), rtol=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    turn=st.tuples(*[st.floats(-3.1, 3.1)] * 3),
    scale=st.floats(0.01, 100),
    offset=st.floats(-1e4, 1e4),
    mirror=st.booleans(),
)
def test_any_turn_size_place_and_mirror_agrees_with_the_svd(seed, turn, scale, offset, mirror):
    predicted, truth = clouds(seed, 2, 12)
    predicted = predicted @ axis_angle_to_matrix(np.array(turn)).T * scale * [-1 if mirror else 1, 1, 1] + offset
    found = mesh_errors(predicted, truth, [part(PointMap(12), 12)])
    expected = mean_distance(similarity_align(predicted, truth), truth)
    np.testing.assert_allclose(found.aligned[0], expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("flat", [1, 2])
def test_flat_and_straight_clouds_align(flat):
    predicted, truth = clouds(2, 3, 9, offset=0.0)
    for cloud in (predicted, truth):
        cloud[..., flat:] = 0
    turned = predicted @ axis_angle_to_matrix(np.array([0.3, -1.0, 2.0])).T
    found = mesh_errors(turned, truth, [part(PointMap(9), 9)]).aligned[0]
    np.testing.assert_allclose(found, mean_distance(similarity_align(predicted, truth), truth), rtol=1e-9)


def test_coinciding_points_land_on_the_centroid():
    truth = clouds(3, 2, 6)[1]
    found = mesh_errors(np.full((2, 6, 3), 3.3), truth, [part(PointMap(6), 6)]).aligned[0]
    np.testing.assert_allclose(found, mean_distance(truth.mean(1, keepdims=True), truth), rtol=1e-12)


def test_chunks_threads_and_neighbours_change_no_bit():
    predicted, truth = (cloud.astype(np.float32) for cloud in clouds(4, 50, 33))
    maps = [part(PointMap(33), 33), part(picked([1, 2, 30, 4, 5]), 33)]
    one, many = (mesh_errors(predicted, truth, maps, threads=threads) for threads in (1, 3))
    alone = mesh_errors(predicted[17:18], truth[17:18], maps)
    np.testing.assert_array_equal(one.rooted, many.rooted)
    np.testing.assert_array_equal(one.aligned, many.aligned)
    np.testing.assert_array_equal(alone.aligned[:, 0], one.aligned[:, 17])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_who_is_not_finite_is_told_even_where_no_part_looks(dtype, bad):
    predicted, truth = (cloud.astype(dtype) for cloud in clouds(5, 20, 8))
    predicted[18, 7, 2], truth[3, 7, 0] = bad, bad
    found = mesh_errors(predicted, truth, [part(picked([0, 1, 2]), 8)])
    assert np.flatnonzero(~found.is_finite[0]).tolist() == [18]
    assert np.flatnonzero(~found.is_finite[1]).tolist() == [3]


def test_a_strided_view_is_read_as_what_it_is():
    predicted, truth = clouds(6, 4, 10)
    maps = [part(PointMap(5), 5)]
    found = mesh_errors(predicted[:, ::2], truth[:, ::2], maps)
    packed = mesh_errors(predicted[:, ::2].copy(), truth[:, ::2].copy(), maps)
    np.testing.assert_array_equal(found.aligned, packed.aligned)


def test_nobody_and_no_points_have_no_numbers():
    nobody = np.zeros((0, 4, 3))
    assert mesh_errors(nobody, nobody, [part(PointMap(4), 4)]).rooted.shape == (1, 0)
    found = mesh_errors(np.zeros((2, 4, 3)), np.zeros((2, 4, 3)), [part(picked([]), 4)])
    assert np.isnan(found.rooted).all()


@pytest.mark.parametrize(
    ("maps", "problem"),
    [
        (part(picked([0, 4]), 4), "needs 5 vertices, found meshes of 4"),
        (part(PointMap(5), 4), "needs 5 vertices, found meshes of 4"),
        (PartMaps((picked([0]), picked([0, 1])), part(picked([0]), 4).roots), "1 predicted points and 2 true ones"),
    ],
)
def test_vertices_that_are_not_there_are_refused(maps, problem):
    with pytest.raises(IndexError, match=problem):
        mesh_errors(np.zeros((1, 4, 3)), np.zeros((1, 4, 3)), [maps])
