"""Gendered people get neutral betas beside their own; nobody else does, and nobody's own change."""

from dataclasses import replace

import numpy as np
import pytest

from ehps.body.posing import PosingModel
from ehps.cards import Checks
from ehps.converters import batch
from ehps.converters.bodies import Bodies
from ehps.converters.columns import Columns
from ehps.converters.neutral_shape import neutral_shapes
from ehps.shards.record import Camera, Frame, Labels, Person, Provenance


@pytest.fixture
def bodies(standin_dir):
    return Bodies(standin_dir)


def somebody(num_betas=16, **fields) -> Person:
    betas = np.random.default_rng(len(str(fields))).normal(size=num_betas).astype(np.float32)
    own = {"body_model": "smplx", "gender": "male", "betas": betas, **fields}
    return Person(provenance=Provenance(file="a", row="0"), labels=Labels(shape="fitted"), **own)


def examined(bodies, *people) -> tuple[Person, ...]:
    posed = [
        replace(
            person,
            global_orient=np.zeros(3, np.float32),
            body_pose=np.zeros((21, 3), np.float32),
            transl=np.float32([0, 0, 4]),
        )
        for person in people
    ]
    camera = Camera(K=np.array([[300.0, 0, 99.5], [0, 300.0, 149.5], [0, 0, 1]]), kind="measured")
    frame = Frame(key="f", image=b"", width=200, height=300, camera=camera, people=tuple(posed))
    outcome = batch.examine([frame], bodies, Checks())
    assert not outcome.rejects
    return outcome.frames[0].people


@pytest.mark.parametrize(
    ("kind", "num_betas", "within_m"),
    [
        ("smplx", 16, 2e-5),
        ("smplh", 16, 2e-5),
        ("smpl", 10, 0.01),
    ],  # ten components cannot say the genders of all hands
)
@pytest.mark.parametrize("gender", ["male", "female"])
def test_the_neutral_body_stands_where_the_gendered_one_does(bodies, standin_dir, kind, num_betas, within_m, gender):
    given = somebody(num_betas, body_model=kind, gender=gender)
    (found,) = examined(bodies, given)
    np.testing.assert_array_equal(found.betas, given.betas)
    own, neutral = (PosingModel.load(standin_dir, kind, name, num_betas) for name in (gender, "neutral"))
    joints = own.rest_joints({"betas": given.betas[None]})[0]
    same = neutral.rest_joints({"betas": found.betas_neutral[None].astype(np.float64)})[0]
    np.testing.assert_allclose(same - same[0], joints - joints[0], atol=within_m)
    assert found.quality["neutral_shape_mm"] < 300 * within_m


def test_people_of_all_kinds_share_a_batch(bodies):
    people = [
        somebody(gender="neutral"),
        somebody(gender="female", num_betas=10),
        somebody(gender="male", num_betas=16),
        somebody(gender="male", num_betas=16, kid_weight=0.5),
        somebody(body_model="smpl", gender="female", num_betas=10),
    ]
    found = examined(bodies, *people)
    assert [None if p.betas_neutral is None else len(p.betas_neutral) for p in found] == [None, 10, 16, 16, 10]
    assert ["neutral_shape_mm" in person.quality for person in found] == [False, True, True, True, True]
    assert not np.allclose(found[2].betas_neutral, found[3].betas_neutral, atol=0.1), "a kid's gender counts by half"


def test_hands_and_bodies_without_betas_have_no_neutral_shape(bodies):
    hand = somebody(body_model="mano", gender="neutral", num_betas=10)
    nobody = replace(somebody(), betas=None)
    stacks, distances = neutral_shapes(Columns([hand, nobody]), bodies)
    assert not stacks
    assert np.isnan(distances).all()
    assert not bodies.wanted


def test_without_the_neutral_model_its_absence_is_noted(standin_dir, tmp_path):
    (tmp_path / "smplx").mkdir()
    (tmp_path / "smplx" / "SMPLX_MALE.npz").symlink_to(standin_dir / "smplx" / "SMPLX_MALE.npz")
    bodies = Bodies(tmp_path)
    stacks, _ = neutral_shapes(Columns([somebody()]), bodies)
    assert not stacks
    assert bodies.missing == ["smplx/neutral"]
