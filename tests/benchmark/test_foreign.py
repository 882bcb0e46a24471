"""Predictions that somebody else made: what is read as what, who gets which row, and which mistakes are refused."""

import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.transform import Rotation

from ehps.benchmark.comparison import compare, smplx_to_smpl
from ehps.benchmark.foreign import score_predictions
from ehps.benchmark.orientations import challenge_orientations
from ehps.benchmark.people import benchmark_people
from ehps.benchmark.predictions import read_predictions
from ehps.benchmark.protocol import load_protocol
from ehps.body.hands import HAND_MEANS
from ehps.body.keypoints import CONVENTIONS
from ehps.body.posing import PosingModel
from ehps.errors import ProtocolError, RecordError

PARAMETERS = ("global_orient", "body_pose", "left_hand_pose", "right_hand_pose", "jaw_pose", "betas", "expression")
EYES = ("leye_pose", "reye_pose")


@pytest.fixture
def trees(converted):
    """The converted test split of a data set."""
    return lambda dataset: converted(dataset, "test")


def people_of(tree: Path, protocol) -> list:
    return list(benchmark_people(tree, protocol))


def everyone(name: str):
    return load_protocol(name).model_copy(update={"stride": 1})


@pytest.fixture
def scored(tmp_path, standin_dir, trees):
    """Score columns as a file of a kind under a protocol."""

    def score(columns: dict, protocol, *, suffix: str = ".npz", **options):
        path = tmp_path / f"predictions{suffix}"
        save(path, columns)
        return score_predictions(path, protocol, trees(protocol.dataset), standin_dir, **options)

    return score


def save(path: Path, columns: dict) -> None:
    if path.suffix == ".npz":
        np.savez(path, **columns)
    elif path.suffix == ".pkl":
        path.write_bytes(pickle.dumps(columns))
    else:
        rows = len(columns["person_key"])
        table = {k: v.reshape(rows, -1).tolist() if np.ndim(v) > 1 else v for k, v in columns.items()}
        pd.DataFrame(table).to_parquet(path)


@pytest.fixture
def meshes(trees):
    """The true meshes of EHF by key, as somebody's predictions."""
    people = people_of(trees("ehf"), everyone("ehf"))
    return {
        "person_key": np.array([person.person_key for person in people]),
        "vertices": np.stack([person.vertices for person in people]),
    }


@pytest.mark.parametrize("suffix", [".npz", ".pkl", ".parquet"])
def test_the_truth_scores_nothing_from_any_file(scored, meshes, suffix):
    found = scored(meshes, load_protocol("ehf"), suffix=suffix)
    assert found.notes == ()
    assert found.people["answered"].all()
    assert found.people["PVE"].max() < 1e-3


def test_people_without_a_row_are_missing_and_rows_of_nobody_are_told(scored, meshes):
    fewer = {"person_key": np.append(meshes["person_key"][1:], "ehf-test-999#0"), "vertices": meshes["vertices"]}
    found = scored(fewer, load_protocol("ehf"))
    assert found.people["answered"].tolist() == [False, *[True] * (len(found.people) - 1)]
    assert found.notes == (
        "1 predictions belong to nobody of the split",
        f"1 of {len(found.people)} people have no prediction",
    )


def test_pictures_and_boxes_find_people_in_any_order(scored, meshes, trees):
    people = people_of(trees("ehf"), load_protocol("ehf"))
    order = np.arange(len(people))[::-1]
    names = np.array([f"{people[row].picture.removeprefix('ehf-test-')}.png" for row in order])
    boxes = np.stack([people[row].bbox_xyxy for row in order])
    columns = {"picture": names, "bbox_xyxy": boxes, "vertices": meshes["vertices"][order]}
    found = scored(columns, load_protocol("ehf"))
    assert found.people["answered"].all()
    assert found.people["PVE"].max() < 1e-3
    columns["bbox_xyxy"] = boxes * 3
    with pytest.raises(ProtocolError, match=r"pixels of another size: 3 people fit when they are multiplied by 0\.333"):
        scored(columns, load_protocol("ehf"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c | {"vertices": c["vertices"] * 1000}, "looks to be in millimetres: people are .* divide by 1000"),
        (lambda c: c | {"vertices": c["vertices"] * 100}, "looks to be in centimetres: .* divide by 100"),
        (lambda c: c | {"vertices": c["vertices"] / 1000}, "about 1.6 m is usual; give metres"),
        (lambda c: c | {"vertices": c["vertices"][:, :500]}, r"vertices should be 10475 \(SMPL-X\), 6890 .* found 500"),
        (lambda c: c | {"vertices": c["vertices"][:, :6890]}, "cannot score predictions of the kind smpl"),
        (lambda c: {"vertices": c["vertices"]}, "says of nobody who it is; add person_key, or picture"),
        (lambda c: {"person_key": c["person_key"]}, "holds none of vertices, joints"),
        (lambda c: c | {"person_key": c["person_key"][[0, 0, 1]]}, "names ehf-test-01#0 twice"),
        (
            lambda c: c | {"person_key": np.array(["a", "b", "c"])},
            "names nobody of the protocol: expected keys",
        ),
        (lambda c: c | {"person_key": c["person_key"][:2]}, "person_key should hold 3 rows as vertices, found 2"),
    ],
)
def test_usual_mistakes_are_refused_in_one_sentence(scored, meshes, change, message):
    with pytest.raises(ProtocolError, match=message):
        scored(change(meshes), load_protocol("ehf"))


def test_a_nan_is_refused_by_the_persons_key(scored, meshes):
    meshes["vertices"][1, 5] = np.nan
    with pytest.raises(RecordError, match=meshes["person_key"][1]):
        scored(meshes, load_protocol("ehf"), as_is=True)


def test_objects_and_code_are_refused(tmp_path, standin_dir, meshes):
    path = tmp_path / "objects.npz"
    np.savez(path, person_key=meshes["person_key"], vertices=np.array([None, 1, 2], object))
    with pytest.raises(ProtocolError, match=r"cannot be read .* save plain arrays"):
        read_predictions(path, load_protocol("ehf"), standin_dir)
    path = tmp_path / "code.pkl"
    path.write_bytes(pickle.dumps({"person_key": print}))
    with pytest.raises(ProtocolError, match=r"cannot be read .* refers to builtins\.print"):
        read_predictions(path, load_protocol("ehf"), standin_dir)


@pytest.fixture
def parameters(trees):
    """The true parameters of SynHand, as somebody's predictions with absolute hands."""
    people = people_of(trees("synhand"), everyone("synhand"))
    own = {
        name: np.stack([p.parameters[name] for p in people])
        for name in (*PARAMETERS, *EYES)
        if name in people[0].parameters
    }
    return {"person_key": np.array([p.person_key for p in people]), "flat_hand_mean": np.array(True), **own}


def relative(columns: dict) -> dict:
    hands = {f"{side}_hand_pose": columns[f"{side}_hand_pose"] - mean for side, mean in HAND_MEANS.items()}
    return columns | hands | {"flat_hand_mean": np.array(False)}


def test_parameters_score_nothing_with_either_convention_of_hands(scored, parameters):
    for columns in (parameters, relative(parameters)):
        assert scored(columns, everyone("synhand")).people["PVE"].max() < 0.01


def test_the_wrong_convention_of_hands_is_noticed(scored, parameters):
    wrong = relative(parameters) | {"flat_hand_mean": np.array(True)}
    with pytest.raises(ProtocolError, match=r"better read with flat_hand_mean false, not true: PA-PVE@hands is 0\.0"):
        scored(wrong, everyone("synhand"))
    assert scored(wrong, everyone("synhand"), as_is=True).people["PVE@hands"].min() > 5
    del wrong["flat_hand_mean"]
    with pytest.raises(ProtocolError, match="does not say whether zero is a flat hand; add flat_hand_mean"):
        scored(wrong, everyone("synhand"))


def test_components_of_a_pca_are_refused(scored, parameters):
    parameters["left_hand_pose"] = np.zeros((len(parameters["person_key"]), 12))
    with pytest.raises(ProtocolError, match="left_hand_pose should hold 45 numbers a person, found 12; components"):
        scored(parameters, everyone("synhand"))


def hands_of(trees) -> dict:
    people = people_of(trees("freihand"), load_protocol("freihand_eval"))
    return {
        "person_key": np.array([person.person_key for person in people]),
        "joints": np.stack([person.keypoints_3d[:, :3] for person in people]),
        "joints_convention": np.array("right_hand_21"),
    }


def test_joints_alone_score_what_needs_no_mesh(scored, trees):
    found = scored(hands_of(trees), load_protocol("freihand_eval"))
    assert found.people["PA-MPJPE@right_hand21-freihand"].max() < 1e-3
    assert found.people["PA-PVE@right_hand-freihand"].isna().all()
    assert any("without points for PA-PVE@right_hand-freihand" in note for note in found.notes)


def test_joints_in_another_order_are_noticed_and_the_order_must_be_named(scored, trees):
    columns = hands_of(trees)
    names = CONVENTIONS["right_hand_21"]
    fingers = ("index", "middle", "pinky", "ring", "thumb")
    mano = ["right_wrist", *(f"right_{finger}_{n}" for finger in fingers for n in (1, 2, 3))]
    mano += [f"right_{finger}" for finger in ("thumb", "index", "middle", "ring", "pinky")]
    columns["joints"] = columns["joints"][:, [names.index(name) for name in mano]]
    with pytest.raises(ProtocolError, match="much better read with the joints in MANO's order"):
        scored(columns, load_protocol("freihand_eval"))
    del columns["joints_convention"]
    with pytest.raises(ProtocolError, match="does not say in which order its joints are; add joints_convention"):
        scored(columns, load_protocol("freihand_eval"))


def test_freihands_own_file_is_read(tmp_path, trees, standin_dir):
    protocol = load_protocol("freihand_eval")
    people = people_of(trees("freihand"), protocol)
    cloud = compare(protocol, standin_dir, "hand_cloud").truth(people)
    order = np.argsort([person.picture for person in people])
    path = tmp_path / "pred.json"
    path.write_text(json.dumps([cloud[order, 21:42].tolist(), cloud[order, 820:].tolist()]))
    found = score_predictions(path, protocol, trees("freihand"), standin_dir)
    assert found.people["answered"].all()
    assert found.people["PA-PVE@right_hand-freihand"].max() < 1e-3
    np.testing.assert_allclose(found.people["F@5"], 1)


def test_smplx_meshes_meet_smpl_truth_by_each_protocols_own_joints(scored, trees, standin_dir):
    """The two variants of 3DPW give different numbers of one prediction, each what its definition says."""
    protocol = load_protocol("pw3d_lsp14_smplreg")
    people = people_of(trees("pw3d"), protocol)
    body = PosingModel.load(standin_dir)
    orients = np.stack([p.parameters["global_orient"] for p in people])
    vertices = body.vertices({"betas": np.zeros((len(people), 10)), "global_orient": orients})
    vertices = vertices + np.random.default_rng(8).normal(size=vertices.shape) * 0.05
    columns = {"person_key": np.array([p.person_key for p in people]), "vertices": vertices}
    direct = scored(columns, protocol).people["MPJPE@body"].to_numpy()
    converted = scored(columns, load_protocol("pw3d_lsp14_smplx2smpl")).people["MPJPE@body"].to_numpy()

    smpl = PosingModel.load(standin_dir, "smpl", "neutral").joint_regressor
    truth = compare(protocol, standin_dir, "smpl").truth(people)
    rows = [1, 2, 4, 5, 7, 8, 12, 15, *range(16, 22)]

    pelvis = (body.joint_regressor[0] @ vertices)[:, None]

    def joints(regressor, meshes):
        own = np.einsum("jv,pvc->pjc", regressor, meshes)
        return own[:, rows] - own[:, :1]

    for found, predicted in (
        (direct, joints(body.joint_regressor, vertices)),
        (converted, smpl[rows] @ smplx_to_smpl(standin_dir)(vertices - pelvis)),
    ):
        wanted = np.linalg.norm(predicted - joints(smpl, truth), axis=-1).mean(axis=1) * 1000
        np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert np.abs(direct - converted).max() > 0.01


def test_24_joints_of_smpl_serve_3dpw_and_left_for_right_is_noticed(scored, trees, standin_dir):
    protocol = load_protocol("pw3d_lsp14_smplreg")
    people = people_of(trees("pw3d"), protocol)
    smpl = PosingModel.load(standin_dir, "smpl", "neutral").joint_regressor
    joints = np.einsum("jv,pvc->pjc", smpl, compare(protocol, standin_dir, "smpl").truth(people))
    columns = {"person_key": np.array([p.person_key for p in people]), "joints_convention": np.array("smpl_24")}
    assert scored(columns | {"joints": joints}, protocol).people["MPJPE@body"].max() < 1e-6
    names = CONVENTIONS["smpl_24"]
    swapped = [names.index(n.replace("left", "@").replace("right", "left").replace("@", "right")) for n in names]
    with pytest.raises(ProtocolError, match="left and right of the body swapped"):
        scored(columns | {"joints": joints[:, swapped]}, protocol)
    with pytest.raises(ProtocolError, match=r"holds joints of smpl_24, but protocol pw3d_h36m14 compares .* h36m_17"):
        scored(columns | {"joints": joints}, load_protocol("pw3d_h36m14"))


def test_angles_come_from_the_pose_or_from_orientations_beside_joints(scored, trees, standin_dir):
    protocol = load_protocol("pw3d_challenge")
    people = people_of(trees("pw3d"), protocol)
    keys = np.array([p.person_key for p in people])
    names = ("global_orient", "body_pose", "betas", "transl")
    pose = {name: np.stack([p.parameters[name] for p in people]) for name in names}
    pose |= {"person_key": keys, "body_model": np.array("smpl"), "gender": np.array([p.gender for p in people])}
    rows = scored(pose, protocol).people
    np.testing.assert_allclose(rows[["MPJAE", "PA-MPJAE"]], 0, atol=1e-3)

    joints = compare(protocol, standin_dir, "smpl").truth(people)[:, 6890:]
    turns = np.stack([challenge_orientations(p.parameters) for p in people])
    columns = {"person_key": keys, "joints": joints, "joints_convention": np.array("smpl_24")}
    turned = turns @ Rotation.from_rotvec([0.3, 0, 0]).as_matrix()
    rows = scored(columns | {"orientations": turned}, protocol).people
    np.testing.assert_allclose(rows["MPJAE"], np.degrees(0.3), atol=1e-6)
    assert scored(columns, protocol).people["MPJAE"].isna().all()
    with pytest.raises(ProtocolError, match="orientations should be rotation matrices, in camera space"):
        scored(columns | {"orientations": turns * 2}, protocol)


def test_a_hidden_truth_says_what_to_do_instead(tmp_path, standin_dir, meshes):
    path = tmp_path / "meshes.npz"
    np.savez(path, **meshes)
    with pytest.raises(ProtocolError, match="lies on its owner's server; ehps submit agora writes what the owner"):
        score_predictions(path, load_protocol("agora_test"), tmp_path, standin_dir)
