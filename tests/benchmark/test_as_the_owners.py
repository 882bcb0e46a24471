"""What owners' scripts compute, in a few lines of numpy, against the protocols that say they do the same."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ehps.benchmark.comparison import compare, compare_meshes, smplx_to_smpl
from ehps.benchmark.interface import BenchmarkPerson, PersonPrediction
from ehps.benchmark.prediction_points import content_of
from ehps.benchmark.protocol import Protocol, load_protocol
from ehps.benchmark.scoring import score_points
from ehps.body.posing import PosingModel
from ehps.body.unpickling import load_pickle

RNG = np.random.default_rng(17)
HERE = Path("predictions.npz")


def person(key: str, gender: str | None = None, **fields) -> BenchmarkPerson:
    return BenchmarkPerson(
        person_key=key,
        sequence=key,
        image=lambda: np.zeros((1, 1, 3), np.uint8),
        bbox_xyxy=np.array([0, 0, 10.0, 20]),
        gender=gender,
        **fields,
    )


def posed(gender: str) -> BenchmarkPerson:
    parameters = {
        "global_orient": RNG.normal(size=3),
        "body_pose": RNG.normal(size=(23, 3)) * 0.6,
        "betas": RNG.normal(size=10),
        "transl": np.array([0.2, -0.1, 3.0]),
    }
    return person(gender, gender, parameters=parameters)


def tree_joints(model: PosingModel, parameters: dict) -> np.ndarray:
    """The joints of the kinematic tree: rest joints of the shaped body, turned about their parents."""
    rest = model.joint_regressor @ (model.template + model.shape_directions[..., :10] @ parameters["betas"])
    turns = Rotation.from_rotvec(
        np.concatenate([parameters["global_orient"][None], parameters["body_pose"]])
    ).as_matrix()
    world, places = [turns[0]], [rest[0]]
    for joint, parent in list(enumerate(model.parents))[1:]:
        places.append(places[parent] + world[parent] @ (rest[joint] - rest[parent]))
        world.append(world[parent] @ turns[joint])
    return np.stack(places) + parameters["transl"]


def scored(protocol: Protocol, folder: Path, kind: str, people: list[BenchmarkPerson], points: np.ndarray):
    return score_points(
        lambda _: [PersonPrediction(own) for own in points], people, protocol, compare(protocol, folder, kind)
    )


def distance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return 1000 * np.linalg.norm(first - second, axis=-1).mean(axis=-1)


@pytest.fixture(scope="module")
def people() -> list[BenchmarkPerson]:
    return [posed("female"), posed("male")]


@pytest.fixture(scope="module")
def trees(standin_dir, people) -> np.ndarray:
    """True joints as 3dpw-eval (SMPL.py) and EMDB (evaluation_metrics.py) have them: of each gender's own tree."""
    return np.stack([tree_joints(PosingModel.load(standin_dir, "smpl", p.gender), p.parameters) for p in people])


@pytest.fixture(scope="module")
def true_meshes(standin_dir, people) -> np.ndarray:
    models = [PosingModel.load(standin_dir, "smpl", p.gender) for p in people]
    own = [{name: value[None] for name, value in p.parameters.items()} for p in people]
    return np.concatenate([model.vertices(parameters) for model, parameters in zip(models, own, strict=True)])


@pytest.mark.parametrize(("name", "roots"), [("pw3d_challenge", [0]), ("emdb1", [1, 2])])
def test_true_joints_are_those_of_the_gendered_tree(name, roots, standin_dir, people, trees):
    protocol = load_protocol(name)
    predicted = trees + RNG.normal(size=trees.shape) * 0.04
    local, true = (points - points[:, roots].mean(axis=1, keepdims=True) for points in (predicted, trees))
    found = scored(protocol, standin_dir, "body_joints", people, predicted)
    np.testing.assert_allclose(found["MPJPE@body24"], distance(local, true), rtol=1e-6)
    found = scored(protocol, standin_dir, "body_joints", people, trees)
    np.testing.assert_allclose(found["PA-MPJPE@body24"], 0, atol=1e-6)


def test_major_joints_are_counted_by_their_distance_from_the_tree(standin_dir, people, trees):
    protocol = load_protocol("pw3d_challenge")
    major = [1, 2, 4, 5, 7, 8, 16, 17, 18, 19, 20, 21]
    predicted = trees.copy()
    predicted[:, major[:3], 1] += 0.0509
    predicted[:, major[3:], 1] += 0.0499
    found = scored(protocol, standin_dir, "body_joints", people, predicted)
    np.testing.assert_allclose(found["PCK@body12"], 9 / 12)
    # Shares at 0 to 199 mm: nothing up to 49, nine of twelve at 50, all from 51 on (trapezoids of 1 mm).
    np.testing.assert_allclose(found["AUC@body12"], (0.375 + 0.875 + 148) / 199, rtol=1e-9)


@pytest.mark.parametrize(("name", "roots"), [("pw3d_challenge", [0]), ("emdb1", [1, 2])])
def test_parameters_of_smpl_have_a_tree_and_meshes_are_regressed(name, roots, standin_dir, people, trees):
    protocol = load_protocol(name)
    table = {key: np.stack([p.parameters[key] for p in people]) for key in people[0].parameters}
    table |= {"gender": [p.gender for p in people], "body_model": "smpl"}
    content = content_of(HERE, table, len(people), protocol, standin_dir)
    points = content.points(np.arange(len(people)))
    assert content.kind == "smpl_with_joints"
    np.testing.assert_allclose(points[:, 6890:] - points[:, 6890:6891], trees - trees[:, :1], atol=1e-6)
    np.testing.assert_allclose(
        scored(protocol, standin_dir, content.kind, people, points)["MPJPE@body24"], 0, atol=1e-4
    )

    regressor = PosingModel.load(standin_dir, "smpl", "neutral").joint_regressor
    joints = regressor @ points[:, :6890]
    local, true = (own - own[:, roots].mean(axis=1, keepdims=True) for own in (joints, trees))
    found = scored(protocol, standin_dir, "smpl", people, points[:, :6890])
    np.testing.assert_allclose(found["MPJPE@body24"], distance(local, true), rtol=1e-5)
    assert (found["MPJPE@body24"] > 1).all()


@pytest.mark.parametrize(("name", "roots"), [("pw3d_challenge", [0]), ("emdb1", [1, 2])])
def test_a_mesh_of_smplx_meets_the_true_tree_by_regressed_roots(name, roots, standin_dir, people, trees, true_meshes):
    known = load_protocol(name)
    protocol = known.model_copy(update={"measures": ("PVE",), "primary": "PVE"})
    predicted = np.tile(PosingModel.load(standin_dir).template, (2, 1, 1))
    regressor = PosingModel.load(standin_dir, "smpl", "neutral").joint_regressor[roots].mean(axis=0)
    converted = smplx_to_smpl(standin_dir)(predicted)
    local = converted - (regressor @ converted)[:, None]
    true = true_meshes - trees[:, roots].mean(axis=1, keepdims=True)
    found = scored(protocol, standin_dir, "smplx", people, predicted)
    np.testing.assert_allclose(found["PVE"], distance(local, true), rtol=1e-5)


@pytest.fixture
def crossed(standin_dir, tmp_path) -> Path:
    """The stand-in bodies with a conversion that mixes vertices up: on their own both bodies have one pelvis."""
    for item in standin_dir.iterdir():
        if item.name != "smplx2smpl.pkl":
            (tmp_path / item.name).symlink_to(item)
    matrix = load_pickle(standin_dir / "smplx2smpl.pkl")["matrix"]
    mixed = matrix[np.random.default_rng(2).permutation(matrix.shape[0])]
    (tmp_path / "smplx2smpl.pkl").write_bytes(pickle.dumps({"matrix": mixed}))
    return tmp_path


def test_smplest_x_lets_the_pelvis_of_smplx_meet_that_of_smpl_before_it_converts(crossed, people, true_meshes):
    protocol = load_protocol("pw3d_lsp14_smplx2smpl")
    body, smpl = PosingModel.load(crossed), PosingModel.load(crossed, "smpl", "neutral").joint_regressor
    predicted = np.tile(body.template, (2, 1, 1)) + RNG.normal(size=(2, 10475, 3)) * 0.03 + [1, 2, 3]
    pelvis = body.joint_regressor[0] @ predicted
    moved = smplx_to_smpl(crossed)(predicted - pelvis[:, None] + (smpl[0] @ true_meshes)[:, None])
    rows = [1, 2, 4, 5, 7, 8, 12, 15, *range(16, 22)]
    found = scored(protocol, crossed, "smplx", people, predicted)
    np.testing.assert_allclose(found["PVE"], distance(moved, true_meshes), rtol=1e-6)
    np.testing.assert_allclose(found["MPJPE@body"], distance(smpl[rows] @ moved, smpl[rows] @ true_meshes), rtol=1e-6)
    later = protocol.regressors.model_copy(update={"converted_root": "smpl"})
    other = protocol.model_copy(update={"regressors": later})
    assert np.abs(scored(other, crossed, "smplx", people, predicted)["PVE"] - found["PVE"]).max() > 0.01


@pytest.mark.parametrize("name", ["pw3d_challenge", "emdb1", "pw3d_lsp14_smplx2smpl"])
def test_what_is_drawn_is_meshes_alone(name, standin_dir, people):
    comparison = compare_meshes(load_protocol(name), standin_dir)
    assert comparison.truth(people).shape == (2, 6890, 3)
    assert comparison.convert(np.zeros((1, 10475, 3))).shape == (1, 6890, 3)


def test_ssp3d_poses_predicted_betas_with_the_gender_of_the_file(standin_dir):
    """metrics.py of SSP-3D: both shapes in the zero pose, the predicted one at the truth's mean and spread."""
    protocol, betas = load_protocol("ssp3d"), RNG.normal(size=(2, 10))
    genders = ["male", "female"]
    models = [PosingModel.load(standin_dir, "smpl", gender) for gender in genders]
    predicted = np.stack(
        [m.template + m.shape_directions[..., :10] @ own for m, own in zip(models, betas, strict=True)]
    )
    truth = np.stack([m.template + m.shape_directions[..., 0] for m in models])
    table = {"betas": betas, "gender": genders, "body_model": "smpl"}
    points = content_of(HERE, table, 2, protocol, standin_dir).points(np.arange(2))
    found = scored(
        protocol, standin_dir, "smpl", [person(g, vertices=v) for g, v in zip("ab", truth, strict=True)], points
    )

    centred, true = (meshes - meshes.mean(axis=1, keepdims=True) for meshes in (predicted, truth))
    spread, wanted = (np.sqrt((meshes**2).sum(axis=(1, 2)) / 6890)[:, None, None] for meshes in (centred, true))
    np.testing.assert_allclose(found["PVE-T-SC"], distance(centred / spread * wanted, true), rtol=1e-5)
