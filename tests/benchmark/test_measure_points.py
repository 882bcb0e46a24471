"""Two sides of different kinds: torch and numpy, unlabelled points, points that do not count, relative roots."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from ehps.benchmark.align import similarity_align
from ehps.benchmark.measures import Measure, get_measure, measures
from ehps.benchmark.metrics import MeshSide, Regressor, measure_people, measure_points
from ehps.benchmark.sides import Geometry, PointSet
from ehps.errors import RecordError

NAMES = ["PVE", "PA-PVE", "PVE@hands", "MPJPE@body", "PA-MPJPE@hands20", "F@15", "AUC@right_hand21", "MRRPE"]


def wanted(*names: str) -> list[Measure]:
    return [get_measure(name) for name in names]


@dataclass
class Bare:
    """Points by themselves; every part has the same ones, and the first is the root."""

    cloud: np.ndarray

    def points(self, *_: str) -> np.ndarray:
        return self.cloud

    def root(self, *_: str) -> np.ndarray:
        return self.cloud[:, 0]


@pytest.fixture
def clouds() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    truth = rng.normal(size=(3, 14, 3))
    return truth + rng.normal(size=truth.shape) * 0.05, truth


def test_torch_tensors_give_the_numbers_of_the_compiled_pass(geometry, meshes):
    predicted, truth = meshes(3)
    compiled = measure_people(predicted, truth, geometry, wanted(*NAMES))
    tensors = measure_people(torch.as_tensor(predicted), torch.as_tensor(truth), geometry, wanted(*NAMES))
    assert list(tensors) == list(compiled) == NAMES
    for name, values in compiled.items():
        np.testing.assert_allclose(tensors[name], values, rtol=1e-11, err_msg=name)
        assert isinstance(tensors[name], np.ndarray)


def test_a_nan_in_a_tensor_is_refused_by_name(geometry, meshes):
    predicted, truth = (torch.as_tensor(mesh) for mesh in meshes(2))
    predicted[1, 3, 0] = torch.nan
    with pytest.raises(RecordError, match="record bob: the predicted mesh"):
        measure_people(predicted, truth, geometry, wanted("PVE"), names=["alice", "bob"])


def test_meshes_of_two_topologies_meet_in_their_points(meshes):
    predicted, truth = meshes(2)
    kept, there = np.random.default_rng(0).permutation(300)[:200], np.array([4, 90, 11])

    def made(points: np.ndarray, size: int) -> Geometry:
        root = np.zeros((1, size))
        root[0, points[0]] = 1
        return Geometry({"r": Regressor.from_dense(root)}, {("body", "joints14"): PointSet("r", vertex_ids=points)})

    ours = wanted("MPJPE@body", "PA-MPJPE@body")
    whole = measure_people(predicted, truth, made(kept[there], 300), ours)
    apart = measure_people(predicted, truth[:, kept], made(kept[there], 300), ours, true_geometry=made(there, 200))
    for name in whole:
        np.testing.assert_allclose(apart[name], whole[name], rtol=1e-12)


def test_an_unlabelled_point_is_neither_aligned_nor_averaged(clouds):
    predicted, truth = clouds
    partly = truth.copy()
    partly[1, [3, 8]] = np.nan
    found = measure_points(Bare(predicted), Bare(partly), wanted("PA-MPJPE@body", "MPJPE@body"))
    rest = np.delete(np.arange(14), [3, 8])
    only = measure_points(Bare(predicted[:, rest]), Bare(truth[:, rest]), wanted("PA-MPJPE@body", "MPJPE@body"))
    full = measure_points(Bare(predicted), Bare(truth), wanted("PA-MPJPE@body", "MPJPE@body"))
    for name in full:
        np.testing.assert_allclose(found[name][1], only[name][1], rtol=1e-12)
        np.testing.assert_array_equal(found[name][[0, 2]], full[name][[0, 2]])


def test_fewer_than_three_points_have_no_aligned_error_and_an_unlabelled_root_no_rooted_one(clouds):
    predicted, truth = clouds
    partly = truth.copy()
    partly[0, 2:], partly[1, 0], partly[2] = np.nan, np.nan, np.nan
    found = measure_points(Bare(predicted), Bare(partly), wanted("PA-MPJPE@body", "MPJPE@body"))
    assert np.isnan(found["PA-MPJPE@body"]).tolist() == [True, False, True]
    assert np.isnan(found["MPJPE@body"]).tolist() == [False, True, True]


def test_an_f_score_needs_all_points(clouds):
    predicted, truth = clouds
    partly = truth.copy()
    partly[1, 4] = np.nan
    found = measure_points(Bare(predicted), Bare(partly), wanted("F@15"))["F@15"]
    full = measure_points(Bare(predicted), Bare(truth), wanted("F@15"))["F@15"]
    np.testing.assert_array_equal(found, [full[0], np.nan, full[2]])


def test_points_that_do_not_count_are_aligned_all_the_same(clouds):
    predicted, truth = clouds
    counted = np.zeros((3, 14), bool)
    counted[0, :5], counted[1] = True, True
    found = measure_points(
        Bare(predicted), Bare(truth), wanted("PA-MPJPE@body"), counted={("body", "joints14"): counted}
    )["PA-MPJPE@body"]
    distances = 1000 * np.linalg.norm(similarity_align(predicted, truth) - truth, axis=-1)
    np.testing.assert_allclose(found[:2], [distances[0, :5].mean(), distances[1].mean()], rtol=1e-12)
    assert np.isnan(found[2])


def test_a_nan_in_the_prediction_stays_an_error(clouds):
    predicted, truth = clouds
    predicted[2, 0, 0] = np.nan
    with pytest.raises(RecordError, match="record #2: the prediction should be finite"):
        measure_points(Bare(predicted), Bare(truth), wanted("MPJPE@body"))


def test_one_point_fits_and_no_point_has_no_error():
    one = measure_points(Bare(np.ones((2, 1, 3))), Bare(np.zeros((2, 1, 3))), wanted("MPJPE@body", "PA-MPJPE@body"))
    assert [values.tolist() for values in one.values()] == [[0, 0], [0, 0]]
    geometry = Geometry(
        {"r": Regressor.from_dense(np.ones((1, 4)))}, {("body", "joints14"): PointSet("r", vertex_ids=np.zeros(0, int))}
    )
    none = measure_people(np.zeros((2, 4, 3)), np.zeros((2, 4, 3)), geometry, wanted("MPJPE@body", "PA-MPJPE@body"))
    assert all(np.isnan(values).all() for values in none.values())


def test_mrrpe_is_the_way_between_the_wrists_and_needs_both_hands(geometry, meshes):
    _, truth = meshes(3)
    predicted = truth.copy()
    regress = geometry.roots["left_wrist"]
    predicted[:, regress.columns] += [0.0, 0.03, 0.04]
    labelled = {"left_hand": np.array([True, True, False]), "right_hand": np.array([True, False, True])}
    found = measure_people(predicted, truth, geometry, wanted("MRRPE"), labelled=labelled)["MRRPE"]
    right = geometry.roots["right_wrist"]
    expected = np.linalg.norm(regress(predicted) - right(predicted) - regress(truth) + right(truth), axis=-1)[:, 0]
    np.testing.assert_allclose(found[0], 1000 * expected[0], rtol=1e-9)
    assert found[0] > 40
    assert np.isnan(found[1:]).all()


def test_a_mesh_side_reads_only_what_is_asked_for(meshes):
    geometry = Geometry({"r": Regressor.from_dense(np.eye(1, 300))}, {("right_hand", "joints21"): PointSet("r")})
    predicted, truth = meshes(2)
    found = measure_points(MeshSide(predicted, geometry), MeshSide(truth, geometry), wanted("MPJPE@right_hand21"))
    expected = 1000 * np.linalg.norm(predicted - predicted[:, :1] - truth + truth[:, :1], axis=-1).mean(1)
    np.testing.assert_allclose(found["MPJPE@right_hand21"], expected, rtol=1e-12)


def test_every_measure_says_what_it_is_made_of():
    for measure in measures().values():
        assert measure.lower_is_better == (measure.unit != ""), measure.name
        if measure.family in ("pck", "auc", "f_score", "keypoints_2d"):
            assert measure.threshold > 0, measure.name
        if measure.is_of_points and measure.name.startswith("PA-"):
            assert measure.alignment in ("similarity", "freihand"), measure.name
