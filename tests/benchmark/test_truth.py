"""The true meshes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ehps.benchmark.interface import BenchmarkPerson
from ehps.benchmark.protocol import load_protocol
from ehps.benchmark.truth import posed_meshes, recorded_meshes, stack_parameters
from ehps.body.posing import PosingModel
from ehps.errors import BodyModelError, RecordError

NEUTRAL = load_protocol("bedlam_val")
GENDERED = NEUTRAL.model_copy(
    update={"body_model": NEUTRAL.body_model.model_copy(update={"gendering": "labelled", "num_betas": 10})}
)


def person(key: str = "a", gender: str | None = None, **fields) -> BenchmarkPerson:
    parameters = {"global_orient": np.zeros(3), "body_pose": np.full((21, 3), 0.1), "betas": np.ones(10)} | fields
    return BenchmarkPerson(
        person_key=key,
        sequence="s",
        image=lambda: np.zeros((2, 2, 3), np.uint8),
        bbox_xyxy=np.zeros(4),
        parameters={name: value for name, value in parameters.items() if value is not None},
        gender=gender,
    )


class FakeModel:
    """Stands for a body: one vertex that holds the model's gender, number of betas and the first beta."""

    def __init__(self, gender: str, num_betas: int) -> None:
        self.facts = ("neutral", "male", "female").index(gender), num_betas

    @classmethod
    def load(cls, *place_kind_gender_betas):
        return cls(*place_kind_gender_betas[2:])

    def vertices(self, parameters):
        return np.array([[[*self.facts, own[0]]] for own in parameters["betas"]], float)


def test_recorded_meshes_are_taken_as_they_are(people):
    np.testing.assert_array_equal(recorded_meshes(people)[4], people[4].vertices)


def test_a_person_without_a_mesh_is_named():
    with pytest.raises(RecordError, match="record a: vertices should be given"):
        recorded_meshes([person()])


def test_absent_parts_rest_at_zero_and_short_betas_are_filled_up():
    hands = np.full((15, 3), 0.5)
    stacked = stack_parameters([person(left_hand_pose=hands), person(betas=np.full(11, 2.0), expression=np.ones(3))])
    np.testing.assert_array_equal(stacked["left_hand_pose"], [hands, np.zeros((15, 3))])
    np.testing.assert_array_equal(stacked["betas"][:, [0, 9, 10]], [[1, 1, 0], [2, 2, 2]])
    np.testing.assert_array_equal(stacked["expression"], [[0, 0, 0], [1, 1, 1]])
    assert not stacked["right_hand_pose"].any()


@pytest.mark.parametrize("name", ["global_orient", "body_pose", "betas"])
def test_a_person_without_the_body_is_named(name):
    with pytest.raises(RecordError, match=f"record b: {name} should be given"):
        stack_parameters([person(), person("b", **{name: None})])


def test_the_protocol_decides_whose_gender_poses_and_order_is_kept(monkeypatch):
    monkeypatch.setattr("ehps.benchmark.truth.PosingModel", FakeModel)
    asked = [person(gender=gender, betas=np.full(10, k)) for k, gender in enumerate(("male", "female", "male"))]
    labelled, neutral = (posed_meshes(Path("unused"), protocol)(asked)[:, 0] for protocol in (GENDERED, NEUTRAL))
    np.testing.assert_array_equal(labelled, [[1, 10, 0], [2, 10, 1], [1, 10, 2]])
    np.testing.assert_array_equal(neutral, [[0, 11, 0], [0, 11, 1], [0, 11, 2]])


def test_a_kid_is_the_adult_of_its_betas_led_towards_the_kids_template(standin_dir):
    adult, half, whole = (replace(person(gender="male"), kid_weight=weight) for weight in (None, 0.5, 1.0))
    rest = {"global_orient": np.zeros(3), "body_pose": np.zeros((21, 3))}
    adult, half, whole = (replace(p, parameters={**p.parameters, **rest}) for p in (adult, half, whole))
    meshes = posed_meshes(standin_dir, GENDERED)([half, adult, whole])
    kid = np.load(standin_dir / "smplx" / "smplx_kid_template.npy")
    step = kid - kid.mean(axis=0) - PosingModel.load(standin_dir, "smplx", "male").template
    np.testing.assert_allclose(meshes[0] - meshes[1], 0.5 * step, atol=1e-9)
    np.testing.assert_allclose(meshes[2] - meshes[1], step, atol=1e-9)


def test_a_kid_without_the_kids_template_says_where_to_get_it(standin_dir, tmp_path):
    (tmp_path / "smplx").mkdir()
    (tmp_path / "smplx" / "SMPLX_MALE.npz").symlink_to(standin_dir / "smplx" / "SMPLX_MALE.npz")
    kid = replace(person(gender="male"), kid_weight=0.5)
    with pytest.raises(BodyModelError, match=r"no template of kids for smplx: .*; download smplx_kid_template"):
        posed_meshes(tmp_path, GENDERED)([kid])


def test_a_person_without_a_gender_cannot_be_posed_by_it():
    with pytest.raises(RecordError, match="record a: gender should be given, as protocol bedlam_val asks"):
        posed_meshes(Path("unused"), GENDERED)([person()])


def test_truth_is_what_the_body_model_poses(standin_dir):
    shifted = person(transl=np.array([0.1, 0.2, 3.0]), left_hand_pose=np.full((15, 3), 0.2))
    posed = posed_meshes(standin_dir, NEUTRAL)([person(), shifted])
    model = PosingModel.load(standin_dir, "smplx", "neutral", 11)
    expected = model.vertices({name: value[None] for name, value in dict(shifted.parameters).items()})
    assert posed.shape == (2, 10475, 3)
    np.testing.assert_allclose(posed[1], expected[0], atol=1e-12)
