"""Distances between distributions: closed forms, invariances, and what chance makes of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ehps.shards.analyses import distances
from ehps.shards.analyses.distances import Fit, distance_table, energy_distance, frechet_distance, frechet_squared
from ehps.shards.analyses.products import covariance, product


def drawn(seed: int, shift: float = 0.0, count: int = 400, numbers: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.3, (count, numbers)) + shift


def rotation(seed: int, numbers: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(numbers, numbers)))[0]


def test_the_frechet_distance_of_gaussians_that_share_their_axes_is_known():
    axes = rotation(2, 3)
    a = Fit(np.array([1.0, 2, 3]), axes @ np.diag([4.0, 9, 1]) @ axes.T)
    b = Fit(np.array([1.0, 0, 6]), axes @ np.diag([1.0, 25, 1]) @ axes.T)
    # (2 - 0)^2 + (3 - 6)^2 between the means, (2 - 1)^2 + (3 - 5)^2 + 0 between the deviations.
    assert frechet_squared(a, b) == pytest.approx(13 + 5)
    assert frechet_squared(b, a) == pytest.approx(18)
    assert frechet_squared(a, a) == pytest.approx(0, abs=1e-9)


def test_the_frechet_distance_of_samples_nears_that_of_their_gaussians():
    a, b = drawn(1, count=4000), drawn(2, shift=0.5, count=4000) * 2
    known = np.sqrt(6 * 1.0**2 + 6 * (0.6 - 0.3) ** 2)
    assert frechet_distance(a, b) == pytest.approx(known, rel=0.03)


@pytest.mark.parametrize("count", [100, 400])
def test_the_frechet_distance_of_one_distribution_is_freed_of_most_of_its_sampling_error(count):
    pairs = [(drawn(2 * i, count=count), drawn(2 * i + 1, count=count)) for i in range(20)]
    plain = np.mean([float(frechet_squared(Fit.of(a), Fit.of(b))[0]) for a, b in pairs])
    freed = np.mean([frechet_distance(a, b) ** 2 for a, b in pairs])
    assert freed < plain / 2


def test_the_energy_distance_of_two_points_is_known():
    a, b = np.zeros((5, 2)), np.tile([3.0, 4.0], (7, 1))
    assert energy_distance(a, b) == pytest.approx(np.sqrt(2 * 5))


def test_the_energy_distance_on_a_line_is_that_of_the_distribution_functions():
    # Its square is twice the integral of (F - G)^2 (Székely): of uniforms on (0, 1) and (1, 2) 2 / 3 each half.
    a, b = np.linspace(0, 1, 2001)[:, None], np.linspace(1, 2, 2001)[:, None]
    assert energy_distance(a, b) ** 2 == pytest.approx(2 * (2 / 3), rel=2e-3)


@pytest.mark.parametrize("count", [20, 300])
def test_the_energy_distance_of_one_distribution_is_zero_on_average_however_few_people(count):
    found = [
        2 * np.sqrt(distances._squares(a, b)).mean() - distances._mean_within(a) - distances._mean_within(b)
        for a, b in ((drawn(i, count=count), drawn(i + 500, count=count)) for i in range(60))
    ]
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(len(found))


@given(st.integers(0, 10**6), st.sampled_from(sorted(distances.DISTANCES)))
@settings(max_examples=10, deadline=None)
def test_distances_do_not_change_when_everything_is_turned_moved_and_shuffled(seed, kind):
    rng = np.random.default_rng(seed)
    a, b = drawn(seed, count=64, numbers=4), drawn(seed + 1, shift=0.4, count=80, numbers=4)
    turn, shift = rotation(seed, 4), rng.normal(size=4)
    plain = value(kind, a, b)
    assert value(kind, a @ turn + shift, b @ turn + shift) == pytest.approx(plain, abs=2e-5)
    if kind == "energy":  # the others look at halves, or at every n-th person
        assert value(kind, rng.permutation(a), rng.permutation(b)) == pytest.approx(plain, abs=2e-5)
        assert value(kind, b, a) == pytest.approx(plain, abs=1e-6)


def value(kind: str, a: np.ndarray, b: np.ndarray) -> float:
    return distance_table({"a": a, "b": b}, kind).set_index(["a", "b"])["value"]["a", "b"]


@pytest.mark.parametrize("kind", distances.DISTANCES)
def test_tables_hold_every_pair_and_put_like_sources_nearer(kind):
    clouds = {"one": drawn(1), "far": drawn(2, shift=3.0), "like": drawn(3, count=200)}
    table = distance_table(clouds, kind)
    assert len(table) == 9
    found = table.set_index(["a", "b"])
    assert found.loc[("like", "far"), ["people_a", "people_b"]].tolist() == [200, 400]
    numbers = found["value"]
    assert numbers["one", "far"] > 5 * numbers["one", "like"]
    assert numbers["one", "like"] <= 2 * numbers["one", "one"] + 0.1
    if kind != "nearest":
        assert numbers["far", "one"] == numbers["one", "far"]


def test_the_nearest_of_a_source_that_covers_another_is_near_but_not_the_other_way_round():
    wide, narrow = drawn(1, count=400, numbers=2) * 4, drawn(2, count=400, numbers=2) * 0.2
    numbers = distance_table({"wide": wide, "narrow": narrow}, "nearest").set_index(["a", "b"])["value"]
    assert numbers["narrow", "wide"] < numbers["wide", "narrow"] / 3


def test_a_source_of_many_people_is_not_nearer_than_the_same_source_of_few():
    seekers, stock = drawn(1, count=100), drawn(2, count=300)
    numbers = distance_table({"a": seekers, "many": stock, "few": stock[:100]}, "nearest").set_index(["a", "b"])[
        "value"
    ]
    assert numbers["a", "many"] == pytest.approx(numbers["a", "few"], rel=0.1)


def test_nothing_to_compare_gives_an_empty_table():
    assert distance_table({}).empty


def test_like_sources_stand_together():
    clouds = {name: drawn(i, shift=s) for i, (name, s) in enumerate({"b": 0, "z": 2, "a": 2.1, "c": 0.1}.items())}
    order = distances.ordered(distance_table(clouds))
    assert order[0] in "az"  # the end with the first name comes first
    assert {*order[:2]} == {"a", "z"}
    assert distances.ordered(distance_table(dict(list(clouds.items())[:2]))) == ["b", "z"]


@pytest.mark.parametrize("shape", [(1, 1, 1), (64, 64, 64), (70, 200, 3), (5, 65, 129)])
def test_products_in_tiles_are_products(shape):
    rng, (rows, inner, columns) = np.random.default_rng(0), shape
    a, b = rng.normal(size=(rows, inner)), rng.normal(size=(inner, columns))
    assert product(a, b) == pytest.approx(a @ b)
    if rows > 1:
        assert covariance(a) == pytest.approx(np.cov(a, rowvar=False, bias=True).reshape(inner, inner))
