"""Angles and motion through the whole of scoring: posed truth, planted errors, batches that cut tracks."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ehps.benchmark.aggregate import aggregate
from ehps.benchmark.comparison import Comparison, compare
from ehps.benchmark.interface import BenchmarkPerson, PersonPrediction
from ehps.benchmark.metrics import MeshSide
from ehps.benchmark.orientations import challenge_orientations
from ehps.benchmark.protocol import load_protocol
from ehps.benchmark.scoring import score_points

EMDB = load_protocol("emdb1")
STILL = [0, 7, 8, 10, 11, 20, 21, 22, 23]


@dataclass(frozen=True, eq=False)
class Body:
    """A prediction with the pose behind its mesh, as models of ours have it."""

    vertices: np.ndarray
    parameters: dict[str, np.ndarray]


def person(track: str, frame: int, seed: int) -> BenchmarkPerson:
    """One body of a track: the same pose in every picture, walking along x."""
    rng = np.random.default_rng(seed)
    return BenchmarkPerson(
        person_key=f"{track}-{frame}",
        sequence=track,
        image=lambda: np.zeros((2, 2, 3), np.uint8),
        bbox_xyxy=np.array([0.0, 0, 10, 10]),
        parameters={
            "global_orient": rng.normal(size=3),
            "body_pose": rng.normal(size=(23, 3)) * 0.3,
            "betas": rng.normal(size=10),
            "transl": np.array([0.1 * frame**2, 0, 4]),
        },
        gender="male",
        track=track,
        frame_index=frame,
    )


@pytest.fixture(scope="module")
def people() -> list[BenchmarkPerson]:
    """Two tracks, mixed and in disorder; frame 5 of the second is missing."""
    frames = [("a", frame) for frame in (3, 0, 1, 2, 4)] + [("b", frame) for frame in (2, 3, 4, 6)]
    order = np.random.default_rng(3).permutation(len(frames))
    return [person(*frames[i], seed=10 * ord(frames[i][0])) for i in order]


@pytest.fixture(scope="module")
def comparison(standin_dir, people) -> Comparison:
    """SMPL bodies with the joints of their trees against such, posed once."""
    found = compare(EMDB, standin_dir, "smpl_with_joints")
    meshes = dict(zip([p.person_key for p in people], found.truth(people), strict=True))
    return replace(found, truth=lambda some: np.stack([meshes[p.person_key] for p in some]))


def joints(comparison: Comparison, some: list[BenchmarkPerson]) -> np.ndarray:
    return MeshSide(comparison.truth(some), comparison.true).points("body", "joints24")


def scored(comparison, people, predict, batch_size=2):
    answers = {own.person_key: predict(own, mesh) for own, mesh in zip(people, comparison.truth(people), strict=True)}

    def model(batch):
        return [answers[own.person_key] for own in batch]

    return score_points(model, people, EMDB, comparison, batch_size=batch_size).set_index("person_key")


def test_a_turned_knee_is_an_angle_and_a_mesh_without_a_pose_has_none(comparison, people):
    turn = Rotation.from_rotvec([0.2, 0, 0.1])

    def predict(own, mesh):
        pose = own.parameters["body_pose"].copy()
        pose[3] = (Rotation.from_rotvec(pose[3]) * turn).as_rotvec()  # the left knee
        parameters = {**own.parameters, "body_pose": pose}
        return PersonPrediction(mesh) if own.track == "b" else Body(mesh, parameters)

    rows = scored(comparison, people, predict)
    is_posed = rows["sequence"] == "a"
    expected = np.degrees(turn.magnitude()) / 9
    for name in ("MPJAE", "PA-MPJAE"):  # the meshes agree, so that no alignment helps
        np.testing.assert_allclose(rows.loc[is_posed, name], expected, atol=1e-6)
        assert rows.loc[~is_posed, name].isna().all()
    np.testing.assert_allclose(rows["MPJPE@body24"], 0, atol=1e-9)


def test_a_turn_of_the_whole_body_is_forgiven_by_the_aligned_angle_alone(comparison, people):
    turn = Rotation.from_rotvec([0, 0.4, 0])

    def predict(own, mesh):
        orient = (turn * Rotation.from_rotvec(own.parameters["global_orient"])).as_rotvec()
        own_joints = challenge_orientations({**own.parameters, "global_orient": orient})
        return PersonPrediction(turn.apply(mesh), own_joints)

    rows = scored(comparison, people, predict)
    np.testing.assert_allclose(rows["MPJAE"], np.degrees(0.4), atol=1e-6)
    np.testing.assert_allclose(rows["PA-MPJAE"], 0, atol=1e-4)


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_a_body_that_grows_with_the_square_of_time_has_the_acceleration_of_its_size(comparison, people, batch_size):
    rows = scored(comparison, people, lambda own, mesh: PersonPrediction(mesh * (1 + 1e-3 * own.frame_index**2)))
    # Walking is common to both; what grows is the distance of the joints from the roots.
    known = rows["ACC"].dropna()
    assert sorted(known.index) == ["a-1", "a-2", "a-3", "b-3"]
    for track in "ab":
        some = [own for own in people if own.track == track][:1]
        side = MeshSide(comparison.truth(some), comparison.true)
        reach = np.linalg.norm(joints(comparison, some)[0] - side.root("body", "joints24")[0], axis=1).mean()
        own = known[[key for key in known.index if key.startswith(track)]]
        np.testing.assert_allclose(own, 2 * reach, rtol=1e-6)


def test_jitter_is_that_of_the_prediction_alone(comparison, people):
    rows = scored(comparison, people, lambda own, mesh: PersonPrediction(mesh * (1 + 1e-4 * own.frame_index**3)))
    assert sorted(rows["jitter"].dropna().index) == ["a-1", "a-2"]
    some = [own for own in people if own.track == "a"][:1]
    local = joints(comparison, some)[0] - joints(comparison, some)[0, 0]
    local[STILL] = 0
    expected = 6e-4 * np.linalg.norm(local, axis=1).mean() * 30**3 / 10
    np.testing.assert_allclose(rows["jitter"].dropna(), expected, rtol=1e-6)
    still = scored(comparison, people, lambda _, mesh: PersonPrediction(mesh))
    np.testing.assert_allclose(still["jitter"].dropna(), 0, atol=1e-6)
    np.testing.assert_allclose(still["ACC"].dropna(), 0, atol=1e-9)


def test_someone_who_is_missed_leaves_a_gap_and_costs_what_can_be_said(comparison, people):
    def predict(own, mesh):
        return None if own.person_key == "a-2" else Body(mesh, dict(own.parameters))

    rows = scored(comparison, people, predict)
    assert rows["ACC"].dropna().index.tolist() == ["b-3"]
    assert rows["jitter"].isna().all()
    found = aggregate(rows.reset_index(), EMDB)
    np.testing.assert_allclose(found["MPJAE"].mean, 0, atol=1e-6)
    np.testing.assert_allclose(found["MPJAE"].penalised_mean, 180 / len(people), rtol=1e-6)
    assert found["ACC"].penalised_mean == found["ACC"].mean
    assert found["jitter"].mean is None


def test_someone_without_a_track_or_a_body_has_no_motion(comparison, people):
    some = [replace(own, track=None) if own.frame_index == 2 else own for own in people]
    some = [replace(own, has_body=False) if own.person_key == "b-3" else own for own in some]
    rows = scored(comparison, some, lambda own, mesh: Body(mesh, dict(own.parameters)))
    assert rows["ACC"].isna().all()
    assert rows["MPJAE"].isna().tolist() == (rows.index == "b-3").tolist()
