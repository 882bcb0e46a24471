"""The order of ten million people: how soon it answers and how fast, beside shuffles that are kept in memory.

``peak_mb`` is what the call allocates at most, numpy and Python together.
"""

import tracemalloc

import numpy as np
import pytest
from torch.utils.data import DistributedSampler

from ehps.training.dealing import rank_positions
from ehps.training.order import Lanes, endless_order

pytestmark = pytest.mark.speed
PEOPLE, SOURCES, BATCH, MANY = 10_000_000, 40, 256, 1 << 17
ZIPF = np.arange(1.0, SOURCES + 1) ** -1.2
SIZES = [round(PEOPLE * part) for part in (ZIPF / ZIPF.sum()).tolist()]
SHARES = [1 / SOURCES] * SOURCES


def ours(lanes=None):
    return endless_order(SIZES, SHARES, PEOPLE, seed=1, lanes=lanes)


def first_batch(lanes=None, ranks=1):
    order = ours(lanes)
    return order.at(rank_positions(order, 3 * BATCH, BATCH, 0, ranks)).person


def permutation():
    return np.random.default_rng(1).permutation(PEOPLE)[3 * BATCH : 4 * BATCH]


def sampler():
    shuffled = DistributedSampler(range(PEOPLE), num_replicas=1, rank=0, seed=1)
    iterator = iter(shuffled)
    return [next(iterator) for _ in range(BATCH)]


def permutation_of_each_source():
    rng = np.random.default_rng(1)
    return [rng.permutation(size) for size in SIZES]


STARTS = {
    "ours": first_batch,
    "ours, in lanes": lambda: first_batch(Lanes(64, 64)),
    "ours, rank 0 of 8": lambda: first_batch(ranks=8),
    "numpy permutation of all": permutation,
    "numpy permutation of each source": permutation_of_each_source,
    "torch DistributedSampler": sampler,
}


def peak_mb(call):
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return round(peak / 1e6, 1)


@pytest.mark.benchmark(group="set-up and first batch, ten million people")
@pytest.mark.parametrize("name", STARTS)
def test_first_batch(benchmark, name):
    if name != "torch DistributedSampler":  # torch's own memory is not traced
        benchmark.extra_info["peak_mb"] = peak_mb(STARTS[name])
    benchmark.pedantic(STARTS[name], rounds=3, warmup_rounds=1)


@pytest.mark.benchmark(group=f"{MANY:,} positions in a row")
@pytest.mark.parametrize("lanes", [None, Lanes(64, 64)], ids=["one by one", "in lanes"])
def test_positions_in_a_row(benchmark, lanes):
    order = ours(lanes)
    found = benchmark.pedantic(lambda: order.at(np.arange(MANY)), rounds=3, warmup_rounds=1)
    assert len(found.person) == MANY
    benchmark.extra_info["positions_per_second"] = round(MANY / benchmark.stats.stats.median)


@pytest.mark.benchmark(group=f"{MANY:,} positions in a row")
def test_positions_of_a_permutation_in_memory(benchmark):
    shuffled, sources = np.random.default_rng(1).permutation(PEOPLE), np.random.default_rng(2).integers(0, 40, PEOPLE)
    positions = np.arange(MANY)
    benchmark.pedantic(lambda: (shuffled[positions], sources[positions]), rounds=3, warmup_rounds=1)
    benchmark.extra_info["positions_per_second"] = round(MANY / benchmark.stats.stats.median)
