"""AGORA's points and averages, worked by hand, and the numbers of the official code on the owner's sample (-m real)."""

import numpy as np
import pandas as pd
import pytest

from ehps.benchmark.agora import (
    JOINT_MEASURES,
    PLAIN_SUMMARY,
    VERTEX_MEASURES,
    AgoraSide,
    agora_summary,
)
from ehps.benchmark.align import similarity_transform
from ehps.benchmark.measures import get_measure
from ehps.benchmark.metrics import measure_points
from ehps.body.unpickling import load_pickle

JOINTS = [get_measure(name) for name in JOINT_MEASURES]
VERTICES = [get_measure(name) for name in VERTEX_MEASURES]
BODY24 = get_measure("MPJPE@body24")
IDS = {
    "body": np.arange(0, 40),
    "left_hand": np.arange(40, 50),
    "right_hand": np.arange(50, 60),
    "face": np.arange(60, 99),
}


def side(vertices: np.ndarray, joints: np.ndarray, ids=IDS) -> AgoraSide:
    return AgoraSide(vertices[None], joints[None], ids)


def errors(pair: tuple[AgoraSide, AgoraSide], measures=JOINTS + VERTICES) -> dict[str, float]:
    return {name: float(values[0]) for name, values in measure_points(*pair, measures).items()}


def stepped(points: np.ndarray) -> np.ndarray:
    """The perturbation of case C: rows are displaced by sines of their index."""
    i = np.arange(len(points))
    return points + np.stack([0.01 * np.sin(i), 0.01 * np.cos(i), 0.005 * np.sin(2 * i)], axis=1)


@pytest.fixture(scope="module")
def person() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    return rng.normal(size=(100, 3)), rng.normal(size=(144, 3))


def test_parts_meet_at_hips_wrists_and_neck(person):
    vertices, joints = person
    other_vertices, other_joints = stepped(vertices), stepped(joints)
    found = errors((side(vertices, joints), side(other_vertices, other_joints)))

    def mean(a, b, root_a, root_b):
        return 1000 * np.linalg.norm((a - root_a) - (b - root_b), axis=1).mean()

    hips = joints[[1, 2]].mean(0), other_joints[[1, 2]].mean(0)
    roots = {"body": hips} | {
        name: (joints[j], other_joints[j]) for name, j in (("left_hand", 20), ("right_hand", 21), ("face", 12))
    }
    rows = {
        "body": range(22),
        "left_hand": [20, *range(25, 40)],
        "right_hand": [21, *range(40, 55)],
        "face": [12, *range(76, 127)],
    }
    for part, joint_name, vertex_name in zip(rows, JOINT_MEASURES, VERTEX_MEASURES, strict=True):
        picked = [all_joints[list(rows[part])] for all_joints in (joints, other_joints)]
        np.testing.assert_allclose(found[joint_name], mean(*picked, *roots[part]), rtol=1e-12)
        picked = [mesh[IDS[part]] for mesh in (vertices, other_vertices)]
        np.testing.assert_allclose(found[vertex_name], mean(*picked, *roots[part]), rtol=1e-12)


def rows(**columns) -> pd.DataFrame:
    size = len(columns["found"])
    names = {name: np.full(size, 10.0 * (k + 1)) for k, name in enumerate((*JOINT_MEASURES, *VERTEX_MEASURES))}
    table = pd.DataFrame({"has_predictions": [True] * size, **names, **columns})
    table.loc[~table["found"].to_numpy(bool), list(names)] = np.nan
    return table


def test_missed_people_lower_hands_and_face_but_not_the_body():
    found = agora_summary(rows(found=[True, True, True, False]), 1)
    assert (found["Precision"], found["Recall"], found["F1"]) == (0.75, 0.75, 0.75)
    assert found["MPJPE@body22"] == 10
    assert (found["MPJPE@left_hand16"], found["MPJPE@right_hand16"], found["MPJPE@face52"]) == (15, 22.5, 30)
    assert found["MPJPE"] == 32.5
    assert found["NMJE"] == 43.3
    assert found["NMJE@body"] == 13.3
    assert found["MVE"] == np.round(50 + (60 + 70 + 80) * 0.75 / 3, 1)


def test_a_missed_person_in_a_picture_without_predictions_lowers_nothing():
    found = agora_summary(rows(found=[True, False], has_predictions=[True, False]), 0)
    assert found["MPJPE@left_hand16"] == 20
    assert found["F1"] == 0.67


def test_without_quirks_nothing_is_rounded_and_the_missed_have_no_error():
    found = agora_summary(rows(found=[True, True, False]), 1, quirks=PLAIN_SUMMARY)
    assert found["MPJPE"] == 10 + (20 + 30 + 40) / 3
    np.testing.assert_allclose(found["F1"], 2 / (2 + 0.5 * 2))
    np.testing.assert_allclose(found["NMJE"], 40 * 1.5)


def test_kids_share_the_false_positives_of_everyone():
    table = rows(found=[True, True, True, True], is_kid=[True, False, False, False])
    found = agora_summary(table, 2)
    assert (found["F1"], found["kid-F1"]) == (0.8, 0.5)
    assert found["kid-NMJE@body"] == 20
    assert found["kid-NMJE"] == np.round(found["kid-MPJPE"] / 0.8, 1)
    plain = agora_summary(table, 2, quirks=PLAIN_SUMMARY)
    assert "kid-F1" not in plain
    assert plain["kid-NMJE"] is None


def test_nobody_found_has_no_errors():
    found = agora_summary(rows(found=[False, False]), 0)
    assert (found["F1"], found["MPJPE@body22"], found["MPJPE"], found["NMVE"]) == (0, None, None, None)
    empty = agora_summary(rows(found=[]), 3)
    assert (empty["F1"], empty["MVE"]) == (0, None)


# What the official functions gave on the owner's sample: body joints, left hand, right hand, face, body vertices (mm).
GOLDEN_NAMES = (*JOINT_MEASURES, "PVE@body")
GOLDEN = {
    "A": (0.0, 0.0, 0.0, 0.0, 0.0),
    "B": (43.324837, 9.693217, 9.362588, 21.013855, 42.585356),
    "C": (12.076281, 11.964943, 12.349956, 13.641218, 12.665538),
}
GOLDEN_SMPL = {"B": (54.804781, 51.229872), "C": (12.424067, 12.683850)}  # 24 joints, body vertices
TRUTH_OF = {"A": np.asarray, "B": lambda points: 1.1 * points, "C": stepped}


@pytest.mark.parametrize("seed", range(3))
def test_joints_off_by_what_their_row_says_give_the_official_numbers_on_any_body(seed):
    """In case C the truth is the prediction plus a step that the row alone decides, so the body cancels out."""
    rng = np.random.default_rng(seed)
    joints, mesh = rng.normal(size=(144, 3)) + rng.normal(size=3), np.zeros((0, 3))
    for case in ("A", "C"):
        found = errors((side(mesh, joints), side(mesh, TRUTH_OF[case](joints))), JOINTS)
        np.testing.assert_allclose(list(found.values()), GOLDEN[case][:4], atol=1e-6)
    found = errors((side(mesh, joints[:45]), side(mesh, stepped(joints[:45]))), [BODY24])
    np.testing.assert_allclose(found["MPJPE@body24"], GOLDEN_SMPL["C"][0], atol=1e-6)


@pytest.mark.parametrize("row", [0, 1, 2, 12, 20, 21, 22, 24, 25, 39, 40, 54, 55, 75, 76, 126, 127, 143])
def test_a_row_counts_in_its_own_part_alone(row):
    """A joint that moves changes the parts of which it is a point or a root, and no other."""
    joints, mesh = np.random.default_rng(7).normal(size=(144, 3)), np.zeros((0, 3))
    moved = joints.copy()
    moved[row] += 0.1
    found = errors((side(mesh, moved), side(mesh, joints)), JOINTS)
    ranges = [{*range(22)}, {20, *range(25, 40)}, {21, *range(40, 55)}, {12, *range(76, 127)}]
    assert [value > 0 for value in found.values()] == [row in rows for rows in ranges]


@pytest.fixture(scope="module")
def sample(real_dir):
    """The owner's sample predictions and vertex ids: agora_evaluation's folders, fetched by the user."""
    folder = real_dir / "agora_evaluation"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there: clone github.com/pixelite1201/agora_evaluation into it")

    def load(kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        found = load_pickle(folder / "sample_pred_format" / f"{kind}_verts_personId_0.pkl")
        ids = np.load(folder / "utils" / f"body_verts_{kind}.npy", allow_pickle=False)
        joints = np.asarray(found["allSmplJoints3d"], np.float64)
        return np.asarray(found["verts"], np.float64), joints, ids.astype(np.int64)

    return load


@pytest.mark.real
@pytest.mark.parametrize("case", GOLDEN)
def test_the_numbers_of_the_official_code(sample, case):
    vertices, joints, ids = sample("smplx")
    move = TRUTH_OF[case]
    measures = [*JOINTS, get_measure("PVE@body")]
    found = errors((side(vertices, joints, {"body": ids}), side(move(vertices), move(joints), {"body": ids})), measures)
    np.testing.assert_allclose([found[name] for name in GOLDEN_NAMES], GOLDEN[case], atol=1e-6)


@pytest.mark.real
def test_the_aligned_numbers_that_the_official_code_computes_and_drops(sample):
    vertices, joints, ids = sample("smplx")
    true_vertices, true_joints = stepped(vertices), stepped(joints)
    move = similarity_transform(joints[:22], true_joints[:22])
    found = [np.linalg.norm(move.apply(joints[:22]) - true_joints[:22], axis=1).mean()]
    found.append(np.linalg.norm(move.apply(vertices[ids]) - true_vertices[ids], axis=1).mean())
    np.testing.assert_allclose(np.array(found) * 1000, [10.409391, 10.697429], atol=1e-6)


@pytest.mark.real
@pytest.mark.parametrize("case", GOLDEN_SMPL)
def test_the_numbers_of_the_official_code_for_smpl(sample, case):
    vertices, joints, ids = sample("smpl")
    move, ids = TRUTH_OF[case], {"body": ids}
    pair = side(vertices, joints, ids), side(move(vertices), move(joints), ids)
    found = errors(pair, [BODY24, get_measure("PVE@body")])
    np.testing.assert_allclose(list(found.values()), GOLDEN_SMPL[case], atol=1e-6)
