"""The measures of EHF over 200 people of 10,475 vertices: ours in batches, beside a loop over people in plain numpy."""

import time

import numpy as np
import pytest

from ehps.benchmark.geometry import build_geometry, fingertip_ids, hand_regressor
from ehps.benchmark.metrics import measure_people
from ehps.benchmark.protocol import load_protocol
from ehps.body.assets import EvaluationAssets

pytestmark = [pytest.mark.speed, pytest.mark.benchmark(group="measures of 200 people")]
PEOPLE, VERTICES = 200, 10475
PROTOCOL = load_protocol("ehf")


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
    truth = rng.normal(0, 0.4, (PEOPLE, VERTICES, 3))
    return (truth + rng.normal(0, 0.05, truth.shape)).astype(np.float32), truth.astype(np.float32)


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


def loop_over_people(predicted: np.ndarray, truth: np.ndarray, assets: EvaluationAssets) -> dict[str, np.ndarray]:
    """The same measures one person at a time."""
    tips = fingertip_ids()
    sides = {"left_hand": (20, assets.left_hand_ids), "right_hand": (21, assets.right_hand_ids)}
    joints = {side: hand_regressor(assets.J_regressor, side, tips[side]) for side in sides}
    rows = []
    for p, t in zip(predicted.astype(np.float64), truth.astype(np.float64), strict=True):
        roots = {row: (assets.J_regressor[row] @ p, assets.J_regressor[row] @ t) for row in (0, 12, 20, 21)}
        points = {"PVE": (p, t, 0), "PVE@face": (p[assets.face_ids], t[assets.face_ids], 12)}
        points |= {f"PVE@{side}": (p[ids], t[ids], root) for side, (root, ids) in sides.items()}
        row = {name: distance(a - roots[r][0] + roots[r][1], b) for name, (a, b, r) in points.items()}
        row |= {f"PA-{name}": distance(rigid_align(a, b), b) for name, (a, b, _) in points.items()}
        for prefix in ("", "PA-"):
            row[f"{prefix}PVE@hands"] = (row[f"{prefix}PVE@left_hand"] + row[f"{prefix}PVE@right_hand"]) / 2
        body = assets.J14 @ p, assets.J14 @ t
        row["MPJPE@body"] = distance(body[0] - roots[0][0] + roots[0][1], body[1])
        row["PA-MPJPE@body"] = distance(rigid_align(*body), body[1])
        hands = [distance(rigid_align(m @ p, m @ t), m @ t) for m in joints.values()]
        row["PA-MPJPE@hands21"] = sum(hands) / 2
        rows.append(row)
    return {name: np.array([row[name] for row in rows]) for name in PROTOCOL.measures}


def test_measures_in_batches_beside_a_loop(benchmark, assets, meshes):
    geometry = build_geometry(assets)
    ours = benchmark(measure_people, *meshes, geometry, PROTOCOL.measure_objects)
    start = time.perf_counter()
    theirs = loop_over_people(*meshes, assets)
    loop_seconds = time.perf_counter() - start
    for name, values in theirs.items():
        np.testing.assert_allclose(ours[name], values, rtol=1e-9, err_msg=name)
    benchmark.extra_info["people_per_second"] = PEOPLE / benchmark.stats.stats.median
    benchmark.extra_info["loop_seconds"] = loop_seconds
    benchmark.extra_info["loop_over_ours"] = loop_seconds / benchmark.stats.stats.median
