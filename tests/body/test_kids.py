"""Children: the adult's model with one more component."""

import numpy as np
import pytest

from ehps.body.kids import kid_template_path, load_kid_model, with_kid_weight
from ehps.body.posing import PosingModel
from ehps.errors import BodyModelError


def test_a_weight_of_zero_is_the_adult_and_of_one_the_template(standin_dir):
    kid, adult = load_kid_model(standin_dir, "smplx", "male", 10), PosingModel.load(standin_dir, "smplx", "male", 10)
    betas = np.random.default_rng(0).normal(size=(1, 10))
    pose = {"global_orient": np.full((1, 3), 0.3), "expression": np.full((1, 10), 0.5)}
    grown = kid.vertices(pose | {"betas": with_kid_weight(betas, np.zeros(1), 10)})
    np.testing.assert_allclose(grown, adult.vertices(pose | {"betas": betas}), atol=1e-12)
    small = kid.vertices({"betas": with_kid_weight(np.zeros((1, 10)), np.ones(1), 10)})[0]
    template = np.load(kid_template_path(standin_dir, "smplx"))
    np.testing.assert_allclose(small, template - template.mean(axis=0), atol=1e-12)


def test_betas_are_padded_or_cut_before_the_weight():
    found = with_kid_weight(np.array([[1.0, 2, 3]]), np.array([0.5]), 4)
    np.testing.assert_array_equal(found, [[1, 2, 3, 0, 0.5]])
    np.testing.assert_array_equal(with_kid_weight(np.array([[1.0, 2, 3]]), np.array([0.5]), 2), [[1, 2, 0.5]])


def test_a_template_of_another_mesh_is_refused(standin_dir, tmp_path):
    (tmp_path / "smplx").mkdir()
    (tmp_path / "smplx" / "SMPLX_MALE.npz").symlink_to(standin_dir / "smplx" / "SMPLX_MALE.npz")
    np.save(kid_template_path(tmp_path, "smplx"), np.zeros((6890, 3)))
    with pytest.raises(BodyModelError, match=r"should hold a mesh of \(10475, 3\), found \(6890, 3\)"):
        load_kid_model(tmp_path, "smplx", "male", 10)
