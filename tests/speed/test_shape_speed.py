"""Neutral betas of 1,024 people: one product with a map made once, beside a least-squares problem for each person."""

import numpy as np
import pytest

from ehps.body.posing import PosingModel
from ehps.body.shapes import shape_map

pytestmark = [pytest.mark.speed, pytest.mark.benchmark(group="neutral betas of 1,024 people")]
PEOPLE, SOME = 1024, 8


@pytest.fixture(scope="module")
def models(standin_dir):
    return [PosingModel.load(standin_dir, "smplx", gender) for gender in ("male", "neutral")]


@pytest.fixture(scope="module")
def betas():
    return np.random.default_rng(0).normal(size=(PEOPLE, 10))


def test_one_map_for_all(benchmark, models, betas):
    neutral, distances = benchmark(shape_map(*models), betas)
    benchmark.extra_info["people"] = PEOPLE
    assert neutral.shape == (PEOPLE, 10)
    assert distances.max() < 3


def test_making_the_map(benchmark, models):
    assert benchmark(shape_map.__wrapped__, *models).betas.shape == (10, 11)


def test_least_squares_for_each_person(benchmark, models, betas):
    male, neutral = models
    directions = neutral.shape_directions[..., :10].reshape(-1, 10)

    def fit(own):
        body = male.template + male.shape_directions[..., :10] @ own
        return np.linalg.lstsq(directions, (body - neutral.template).ravel(), rcond=None)[0]

    assert len(benchmark(lambda: [fit(own) for own in betas[:SOME]])) == SOME
    benchmark.extra_info["people"] = SOME
