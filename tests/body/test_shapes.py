"""A gendered shape as a neutral one: the nearest body, found without posing anybody."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ehps.body.posing import PosingModel
from ehps.body.shapes import shape_map

GENDERED = [(kind, gender) for kind in ("smplx", "smplh") for gender in ("male", "female")]


def models(standin_dir, kind="smplx", gender="male", num_betas=10):
    return [PosingModel.load(standin_dir, kind, variant, num_betas) for variant in (gender, "neutral")]


def distance_mm(one, two) -> float:
    """Root mean square distance of vertices, wherever the two stand."""
    offset = one - two
    return 1000 * float(np.sqrt(((offset - offset.mean(axis=0)) ** 2).sum(axis=-1).mean()))


def shaped(model, betas, kid=None, weight=0.0):
    body = model.template + model.shape_directions[..., : len(betas)] @ betas
    return body if kid is None else body + weight * (kid - model.template)


@pytest.mark.parametrize(("kind", "gender"), GENDERED)
def test_a_neutral_body_with_the_betas_found_is_the_gendered_one(standin_dir, kind, gender):
    # The stand-in's genders lie within its sixteen neutral components, so nothing may be left over.
    source, target = models(standin_dir, kind, gender, 16)
    betas = np.random.default_rng(3).normal(size=(5, 16))
    neutral, left_mm = shape_map(source, target)(betas)
    for own, found in zip(betas, neutral, strict=True):
        assert distance_mm(shaped(source, own), shaped(target, found)) < 1e-3
    assert left_mm.max() < 1e-3
    assert np.abs(neutral - betas).max() > 0.5, "the genders differ, so must the betas"


def test_what_ten_components_cannot_say_is_told_in_millimetres(standin_dir):
    source, target = models(standin_dir)
    betas = np.random.default_rng(4).normal(size=(4, 10))
    neutral, left_mm = shape_map(source, target)(betas)
    measured = [
        distance_mm(shaped(source, own), shaped(target, found)) for own, found in zip(betas, neutral, strict=True)
    ]
    np.testing.assert_allclose(left_mm, measured, rtol=1e-6)
    assert left_mm.min() > 0.5


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1 << 16), step=st.floats(0.05, 1.0))
def test_no_other_betas_come_nearer(standin_dir, seed, step):
    source, target = models(standin_dir, gender="female")
    rng = np.random.default_rng(seed)
    betas = rng.normal(size=(1, 10))
    (neutral,), (left_mm,) = shape_map(source, target)(betas)
    other = neutral + step * rng.normal(size=10)
    assert distance_mm(shaped(source, betas[0]), shaped(target, other)) > left_mm


def test_a_kid_keeps_its_weight(standin_dir):
    source, target = models(standin_dir, num_betas=16)
    kid = np.load(standin_dir / "smplx" / "smplx_kid_template.npy")
    betas, weights = np.random.default_rng(5).normal(size=(3, 16)), np.array([0.0, 0.4, 1.0])
    neutral, left_mm = shape_map(source, target)(betas, weights)
    for own, found, weight in zip(betas, neutral, weights, strict=True):
        assert distance_mm(shaped(source, own, kid, weight), shaped(target, found, kid, weight)) < 1e-3
    assert left_mm.max() < 1e-3
    np.testing.assert_allclose(neutral[2], betas[2], atol=1e-6, err_msg="a kid altogether has no gender left")


def test_a_neutral_body_stays_what_it_is(standin_dir):
    _, target = models(standin_dir, num_betas=11)
    betas = np.random.default_rng(6).normal(size=(2, 11))
    neutral, left_mm = shape_map(target, target)(betas)
    np.testing.assert_allclose(neutral, betas, atol=1e-9)
    assert left_mm.max() < 1e-3


def test_different_meshes_have_no_betas_in_common(standin_dir):
    smplx, smpl = (PosingModel.load(standin_dir, kind, "neutral", 10) for kind in ("smplx", "smpl"))
    with pytest.raises(ValueError, match="smpl and smplx are different meshes"):
        shape_map(smpl, smplx)
