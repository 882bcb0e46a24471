"""All measures of SMPL-X meshes over 10,000 people of 10,475 vertices: ours, beside loops over people in plain numpy.

The people stream past in batches that lie in memory, as a model's predictions do; the same 500 come again and again.
The loops see 100 of them and count a person. One computes in double precision with sparse regressors, which is what we
compute; the other is written as the released evaluation code: single precision, and a full product with the regressor
wherever a root is needed.
"""

import resource
import time
from collections.abc import Callable

import numpy as np
import pytest

from ehps.benchmark.geometry import build_geometry, fingertip_ids, hand_regressor
from ehps.benchmark.measures import measures
from ehps.benchmark.metrics import measure_people
from ehps.body.assets import EvaluationAssets

pytestmark = [pytest.mark.speed, pytest.mark.benchmark(group="measures of 10,000 people")]
PEOPLE, VERTICES, BATCH, LOOP = 10_000, 10475, 500, 100
KINDS, ALIGNMENTS = ("vertices", "joints14", "joints20", "joints21"), ("root", "similarity")
MEASURES = [
    measure
    for measure in measures().values()
    if measure.family == "distance" and measure.points in KINDS and measure.alignment in ALIGNMENTS
]
ROOTS = {"all": 0, "body": 0, "face": 12, "left_hand": 20, "right_hand": 21}  # rows of J_regressor


def sparse_rows(rng: np.random.Generator, rows: int, support: np.ndarray) -> np.ndarray:
    """Regressor rows over 40 vertices each, about as many as those of SMPL-X."""
    matrix = np.zeros((rows, VERTICES))
    for row in matrix:
        row[rng.choice(support, 40, replace=False)] = 1 / 40
    return matrix


@pytest.fixture(scope="module")
def assets() -> EvaluationAssets:
    rng = np.random.default_rng(0)
    everywhere = rng.permutation(VERTICES)
    return EvaluationAssets(
        J_regressor=sparse_rows(rng, 55, everywhere),
        J14=sparse_rows(rng, 14, everywhere),
        left_hand_ids=np.sort(everywhere[:778]),
        right_hand_ids=np.sort(everywhere[778:1556]),
        face_ids=np.sort(everywhere[1556 : 1556 + 5023]),
        faces=np.zeros((1, 3), np.int64),
    )


@pytest.fixture(scope="module")
def meshes() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    truth = rng.normal(0, 0.4, (BATCH, VERTICES, 3)).astype(np.float32)
    return truth + rng.normal(0, 0.05, truth.shape).astype(np.float32), truth


def rigid_align(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """One cloud onto another by Umeyama's formula, as evaluation scripts write it."""
    source_centre, target_centre = source.mean(axis=0), target.mean(axis=0)
    U, s, Vh = np.linalg.svd((source - source_centre).T @ (target - target_centre) / len(source))
    R = Vh.T @ U.T
    if np.linalg.det(R) < 0:
        s[-1], Vh[2] = -s[-1], -Vh[2]
        R = Vh.T @ U.T
    scale = s.sum() / source.var(axis=0).sum()
    return (scale * R @ source.T).T + target_centre - scale * R @ source_centre


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(((a - b) ** 2).sum(1)).mean() * 1000)


Points = dict[tuple[str, str], Callable[[np.ndarray], np.ndarray]]


def sparse(matrix: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    columns = np.flatnonzero(matrix.any(axis=0))
    weights = matrix[:, columns]
    return lambda mesh: weights @ mesh[columns]


def dense(matrix: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    weights = matrix.astype(np.float32)
    return lambda mesh: weights @ mesh


def points_of(assets: EvaluationAssets, regress: Callable) -> Points:
    """Return how each part's points come from a mesh."""
    points: Points = {("all", "vertices"): lambda mesh: mesh, ("body", "joints14"): regress(assets.J14)}
    points["face", "vertices"] = lambda mesh: mesh[assets.face_ids]
    for side, ids in (("left_hand", assets.left_hand_ids), ("right_hand", assets.right_hand_ids)):
        joints = hand_regressor(assets.J_regressor, side, fingertip_ids()[side])
        points[side, "vertices"] = lambda mesh, ids=ids: mesh[ids]
        points[side, "joints21"], points[side, "joints20"] = regress(joints), regress(joints[1:])
    return points


def loop(predicted: np.ndarray, truth: np.ndarray, points: Points, root: Callable) -> dict[str, np.ndarray]:
    """Return every measure, one person at a time."""
    rows = []
    for p, t in zip(predicted, truth, strict=True):
        found = {}
        for (part, kind), pick in points.items():
            a, b = pick(p), pick(t)
            rooted = distance(a - root(p, part) + root(t, part), b)
            found |= {(part, kind, "root"): rooted, (part, kind, "similarity"): distance(rigid_align(a, b), b)}
        for kind in ("vertices", "joints20", "joints21"):
            for alignment in ALIGNMENTS:
                hands = [found[f"{side}_hand", kind, alignment] for side in ("left", "right")]
                found["hands", kind, alignment] = sum(hands) / 2
        rows.append(found)
    wanted = [measure for measure in MEASURES if measure.drop_above is None]
    return {m.name: np.array([row[m.part, m.points, m.alignment] for row in rows]) for m in wanted}


def in_doubles(predicted: np.ndarray, truth: np.ndarray, assets: EvaluationAssets) -> dict[str, np.ndarray]:
    """What we compute, in plain numpy."""
    roots = {row: sparse(assets.J_regressor[[row]]) for row in set(ROOTS.values())}
    meshes = (mesh.astype(np.float64) for mesh in (predicted, truth))
    return loop(*meshes, points_of(assets, sparse), lambda mesh, part: roots[ROOTS[part]](mesh)[0])


def as_released(predicted: np.ndarray, truth: np.ndarray, assets: EvaluationAssets) -> dict[str, np.ndarray]:
    """The way of the released evaluation code."""
    regress = dense(assets.J_regressor)
    return loop(predicted, truth, points_of(assets, dense), lambda mesh, part: regress(mesh)[ROOTS[part]])


def stream(meshes: tuple[np.ndarray, np.ndarray], geometry, **options) -> dict[str, np.ndarray]:
    """Measure everyone, a batch at a time."""
    found = [measure_people(*meshes, geometry, MEASURES, **options) for _ in range(PEOPLE // BATCH)]
    return {measure.name: np.concatenate([rows[measure.name] for rows in found]) for measure in MEASURES}


@pytest.mark.parametrize("threads", [1, None], ids=["one thread", "all processors"])
def test_ours_beside_the_loops(benchmark, assets, meshes, threads):
    geometry = build_geometry(assets)
    ours = benchmark.pedantic(stream, (meshes, geometry), {"threads": threads}, rounds=3)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    a_person = benchmark.stats.stats.median / PEOPLE
    benchmark.extra_info |= {"people_per_second": 1 / a_person, "peak_memory_mb": peak_mb}
    few = tuple(mesh[:LOOP] for mesh in meshes)
    for peer, tolerance in ((in_doubles, 1e-9), (as_released, 1e-3)):
        start = time.perf_counter()
        theirs = peer(*few, assets)
        benchmark.extra_info[f"{peer.__name__}_over_ours"] = (time.perf_counter() - start) / LOOP / a_person
        for name, values in theirs.items():
            np.testing.assert_allclose(ours[name][:LOOP], values, rtol=tolerance, err_msg=name)
