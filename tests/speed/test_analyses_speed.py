"""Samples of sources and the distances between them: ours, and what a library does with the same points."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from ehps.shards.analyses.clouds import rotation_points
from ehps.shards.analyses.distances import ENERGY_PEOPLE, distance_table, energy_matrix, thinned
from ehps.shards.analyses.samples import draw_sample, groups_of
from ehps.shards.catalog import build_catalog
from ehps.tests.speed.make_sidecars import make_tree

pytestmark = pytest.mark.speed
SOURCES = 12


@pytest.fixture(scope="module")
def clouds():
    rng = np.random.default_rng(0)
    return [rotation_points(rng.normal(0, 0.3, (1024, 21, 3)) + rng.normal(0, 0.05, (21, 3))) for _ in range(SOURCES)]


@pytest.mark.benchmark(group=f"energy distances of {SOURCES} sources by body pose")
def test_energy(benchmark, clouds):
    matrix = benchmark(energy_matrix, clouds)
    benchmark.extra_info["largest"] = float(matrix.max())


@pytest.mark.benchmark(group=f"energy distances of {SOURCES} sources by body pose")
def test_energy_with_scipy(benchmark, clouds):
    chosen = [thinned(cloud, ENERGY_PEOPLE) for cloud in clouds]

    def matrix():
        means = np.array([[cdist(a, b).mean() for b in chosen] for a in chosen])
        count = ENERGY_PEOPLE
        within = np.diag(means) * count / (count - 1)
        return np.sqrt(np.maximum(2 * means - within - within[:, None], 0))

    found = benchmark.pedantic(matrix, rounds=2)
    ours = energy_matrix(clouds)
    apart = ~np.eye(SOURCES, dtype=bool)
    assert found[apart] == pytest.approx(ours[apart], abs=1e-3)


@pytest.mark.parametrize("kind", ["frechet", "nearest"])
@pytest.mark.benchmark(group=f"other distances of {SOURCES} sources by body pose")
def test_other_distances(benchmark, clouds, kind):
    benchmark(distance_table, {str(i): cloud for i, cloud in enumerate(clouds)}, kind)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    out = tmp_path_factory.mktemp("analyses")
    make_tree(out, 100_000, SOURCES)
    build_catalog(out)
    return out


@pytest.mark.benchmark(group=f"samples of {SOURCES} sources of 100,000 people")
def test_samples(benchmark, tree):
    groups = groups_of(tree)
    found = benchmark.pedantic(lambda: [draw_sample(tree, group) for group in groups], rounds=3)
    benchmark.extra_info["people"] = sum(len(sample.bodies) for sample in found)
