"""Submissions: what is written passes the check, and every usual mistake is named."""

import json
import pickle
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ehps.benchmark.submission_checks import NUM_FREIHAND, NUM_HBW, PW3D_SPLITS, check_submission
from ehps.benchmark.submissions import write_submission
from ehps.body.hands import HAND_MEANS
from ehps.errors import ProtocolError

PEOPLE = 10


@pytest.fixture
def body() -> dict:
    """A table of parameters and joints of ten people, in pixels of pictures of 1280 x 720."""
    rng = np.random.default_rng(0)
    hands = {
        f"{side}_hand_pose": mean.ravel() + rng.normal(size=(PEOPLE, 45)) * 0.05 for side, mean in HAND_MEANS.items()
    }
    return {
        "picture": np.array([f"ag_validationset_{row // 2}_1280x720.png" for row in range(PEOPLE)]),
        "joints_2d": rng.uniform(100, 700, (PEOPLE, 127, 2)),
        "picture_width": np.array(1280),
        "flat_hand_mean": np.array(True),
        "betas": rng.normal(size=(PEOPLE, 10)),
        "global_orient": rng.normal(size=(PEOPLE, 3)),
        "body_pose": rng.normal(size=(PEOPLE, 63)),
        **hands,
    }


def written(tmp_path: Path, form: str, table: dict, suffix: str) -> Path:
    np.savez(tmp_path / "table.npz", **table)
    return write_submission(form, tmp_path / "table.npz", tmp_path / f"out{suffix}")


def edited(path: Path, change) -> Path:
    """The zip with the content of each pickle changed."""
    out = path.with_name("edited.zip")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            target.writestr(name, pickle.dumps(change(pickle.loads(source.read(name)))))
    return out


def test_agoras_zip_holds_a_file_a_person_in_pixels_of_the_large_pictures(tmp_path, body):
    path = written(tmp_path, "agora", body, ".zip")
    assert check_submission("agora", path) == []
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        first = pickle.loads(archive.read("predictions/ag_validationset_0_personId_0.pkl"))
    assert len(names) == PEOPLE
    assert "predictions/ag_validationset_4_personId_1.pkl" in names
    np.testing.assert_allclose(first["joints"], body["joints_2d"][0, :24] * 3, rtol=1e-6)
    wanted = body["left_hand_pose"][:1] - HAND_MEANS["left"].reshape(1, -1)
    np.testing.assert_allclose(first["params"]["left_hand_pose"], wanted, atol=1e-6)
    assert first["params"]["expression"].shape == (1, 10)


def test_a_kid_is_marked_and_has_the_weight_of_the_template_as_its_last_beta(tmp_path, body):
    weights = np.full(PEOPLE, np.nan)
    weights[1] = 0.4
    path = written(tmp_path, "agora", body | {"kid_weight": weights}, ".zip")
    assert check_submission("agora", path) == []
    with zipfile.ZipFile(path) as archive:
        adult, kid = (
            pickle.loads(archive.read(f"predictions/ag_validationset_0_personId_{row}.pkl")) for row in range(2)
        )
    assert (adult["age"], kid["age"], kid["kid_flag"]) == ("adult", "kid", True)
    np.testing.assert_allclose(kid["params"]["betas"], [[*body["betas"][1], 0.4]], rtol=1e-6)
    np.testing.assert_allclose(adult["params"]["betas"], body["betas"][:1], rtol=1e-6)


def test_equal_predictions_are_equal_files(tmp_path, body):
    first = written(tmp_path, "agora", body, ".zip").read_bytes()
    assert written(tmp_path, "agora", body, ".zip").read_bytes() == first


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("picture_width", "how wide the pictures are whose pixels joints_2d are; add picture_width"),
        ("flat_hand_mean", "does not say whether zero is a flat hand"),
        *((name, f"lacks {name}") for name in ("betas", "joints_2d", "picture")),
    ],
)
def test_what_the_table_does_not_say_is_asked_for(tmp_path, body, name, message):
    del body[name]
    with pytest.raises(ProtocolError, match=message):
        written(tmp_path, "agora", body, ".zip")
    assert not list(tmp_path.glob("*out*"))


def absolute(content: dict) -> dict:
    hands = {f"{side}_hand_pose": mean.reshape(1, 45) for side, mean in HAND_MEANS.items()}
    return content | {"params": content["params"] | {n: content["params"][n] + v for n, v in hands.items()}}


def with_params(name: str, value) -> object:
    return lambda content: content | {"params": content["params"] | {name: value}}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda c: c | {"joints": c["joints"] / 3}, "look to be in pixels of 1280 x 720: multiply by 3"),
        (
            lambda c: c | {"joints": c["joints"] * 3},
            "outside of pictures of 3840 x 2160: were they",
        ),
        (lambda c: c | {"joints": np.tile(c["joints"], (6, 1))[:137]}, "should be the 24 of SMPL, found 137: cut to"),
        (lambda c: c | {"joints": c["joints"][:14]}, r"joints should be 24 points in pixels, found an array \(14, 2\)"),
        (lambda c: c | {"joints": c["joints"] * np.nan}, "joints hold NaN or infinity"),
        (lambda c: {"joints": c["joints"]}, "there are neither verts nor params"),
        (absolute, "left_hand_pose looks absolute .*: subtract the mean hand"),
        (with_params("betas", np.zeros(10)), r"params of betas should be of shape \(1, 10\), found \(10,\)"),
        (with_params("left_hand_pose", np.zeros((1, 12))), r"left_hand_pose should be of shape \(1, 45\)"),
        (
            lambda c: {
                "joints": c["joints"],
                "verts": np.zeros((10475, 3)) + 1700,
                "allSmplJoints3d": np.zeros((22, 3)),
            },
            r"allSmplJoints3d should be \(127 or more, 3\), found \(22, 3\)",
        ),
    ],
)
def test_a_mistake_in_agoras_files_is_named(tmp_path, body, change, problem):
    path = edited(written(tmp_path, "agora", body, ".zip"), change)
    found = check_submission("agora", path)
    assert any(re.search(problem, own) for own in found), found


def test_bedlam_takes_meshes_only(tmp_path, body):
    path = written(tmp_path, "agora", body, ".zip")
    assert any("this owner takes no parameters" in own for own in check_submission("bedlam", path))
    with pytest.raises(ProtocolError, match="lacks vertices; this owner takes meshes and 3D joints only"):
        written(tmp_path, "bedlam", body, ".zip")
    rng = np.random.default_rng(1)
    meshes = rng.uniform(-0.8, 0.8, (PEOPLE, 10475, 3))
    table = {name: body[name] for name in ("picture", "joints_2d", "picture_width")}
    table |= {"vertices": meshes, "joints": meshes[:, :127]}
    assert check_submission("bedlam", written(tmp_path, "bedlam", table, ".zip")) == []
    with pytest.raises(ProtocolError, match="verts look to be in millimetres"):
        written(tmp_path, "bedlam", table | {"vertices": meshes * 1000}, ".zip")


@pytest.fixture
def few_hands(monkeypatch) -> int:
    """How many hands the server is said to want here."""
    for module in ("submission_checks", "submissions"):
        monkeypatch.setattr(f"ehps.benchmark.{module}.NUM_FREIHAND", 7)
    return 7


@pytest.fixture
def freihand(few_hands) -> tuple[np.ndarray, np.ndarray]:
    """Joints and vertices of hands, the tips on their vertices."""
    rng = np.random.default_rng(2)
    joints = rng.uniform(-0.09, 0.09, (few_hands, 21, 3)).round(3)
    vertices = np.repeat(rng.uniform(-0.09, 0.09, (1, 778, 3)).round(3), few_hands, axis=0)
    vertices[:, [744, 320, 443, 555, 672]] = joints[:, [4, 8, 12, 16, 20]]
    return joints, vertices


def test_freihands_file_is_in_the_order_of_the_pictures(tmp_path, freihand, few_hands):
    joints, vertices = freihand
    order = np.random.default_rng(3).permutation(few_hands)
    table = {
        "picture": np.array([f"{row:08d}.jpg" for row in order]),
        "joints": joints[order],
        "vertices": vertices[order],
        "joints_convention": np.array("right_hand_21"),
    }
    path = written(tmp_path, "freihand", table, ".json")
    assert check_submission("freihand", path) == []
    assert json.loads(path.read_text())[0][5] == joints[5].tolist()
    with pytest.raises(ProtocolError, match="should hold joints of joints_convention right_hand_21"):
        written(tmp_path, "freihand", table | {"joints_convention": np.array("mano")}, ".json")


def freihand_problems(tmp_path, joints, vertices) -> str:
    path = tmp_path / "pred.json"
    path.write_text(json.dumps([joints.tolist(), vertices.tolist()]))
    return "; ".join(check_submission("freihand", path))


def test_mistakes_of_freihands_file_are_named(tmp_path, freihand):
    assert NUM_FREIHAND == 3960
    joints, vertices = (own[:5] for own in freihand)
    assert freihand_problems(tmp_path, joints, vertices) == (
        "it should hold joints of 7 pictures, found 5; it should hold vertices of 7 pictures, found 5"
    )
    mano = [0, *[1 + 4 * f + n for f in (1, 2, 4, 3, 0) for n in range(3)], 4, 8, 12, 16, 20]
    assert "look to be in MANO's order" in freihand_problems(tmp_path, joints[:, mano], vertices)
    assert "look to be in millimetres" in freihand_problems(tmp_path, joints * 1000, vertices)
    assert "joints of picture 0 should be (21, 3), found (20, 3)" in freihand_problems(
        tmp_path, joints[:, 1:], vertices
    )


def test_hbw_wants_every_picture_in_the_templates_pose(tmp_path, monkeypatch):
    monkeypatch.setattr("ehps.benchmark.submission_checks.NUM_HBW", 3)
    names = [f"data/HBW/images/test/00{row}_a_b/Photos_Lab/0132{row}.png" for row in range(3)]
    shapes = np.random.default_rng(4).uniform(-0.8, 0.8, (3, 10475, 3))
    table = {"picture": np.array(names), "vertices": shapes}
    path = written(tmp_path, "shapy", table, ".npz")
    assert check_submission("shapy", path) == []
    with np.load(path) as file:
        assert file["image_name"][0] == "test/000_a_b/Photos_Lab/01320.png"
    with pytest.raises(ProtocolError, match="v_shaped looks posed"):
        written(tmp_path, "shapy", table | {"vertices": shapes * [0.4, 1, 1]}, ".npz")
    with pytest.raises(ProtocolError, match="it should name 3 pictures, each once, found 2"):
        written(tmp_path, "shapy", {name: own[:2] for name, own in table.items()}, ".npz")
    assert NUM_HBW == 1631


@pytest.fixture
def pw3d() -> dict:
    """A frame of one actor in each of the 60 sequences."""
    rng = np.random.default_rng(5)
    splits = [split for split, count in PW3D_SPLITS.items() for _ in range(count)]
    return {
        "split": np.array(splits),
        "sequence": np.array([f"walk_{row:02d}" for row in range(60)]),
        "actor": np.zeros(60, int),
        "frame": np.full(60, 2),
        "joints": rng.uniform(-0.8, 0.8, (60, 24, 3)),
        "orientations": np.tile(np.eye(3), (60, 9, 1, 1)),
    }


def test_the_challenges_zip_mirrors_the_data_set(tmp_path, pw3d):
    path = written(tmp_path, "pw3d_challenge", pw3d, ".zip")
    assert check_submission("pw3d_challenge", path) == []
    with zipfile.ZipFile(path) as archive:
        content = pickle.loads(archive.read("validation/walk_24.pkl"))
    assert content["jointPositions"].shape == (1, 3, 24, 3)
    np.testing.assert_array_equal(content["jointPositions"][0, 2], pw3d["joints"][24])
    assert content["orientations"].shape == (1, 3, 9, 3, 3)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda t: {name: own[1:] for name, own in t.items()}, "24 of train, found 23"),
        (lambda t: t | {"joints": t["joints"] * 1000}, "jointPositions look to be in millimetres"),
        (lambda t: t | {"orientations": t["orientations"] * 0.5}, "orientations should be rotation matrices"),
        (lambda t: t | {"joints": t["joints"][:, :14]}, r"joints should be of shape \('people', 24, 3\), found"),
        (lambda t: t | {"split": np.full(60, "val")}, "should lie in a folder train, validation or test"),
    ],
)
def test_a_mistake_in_the_challenges_files_is_named(tmp_path, pw3d, change, problem):
    with pytest.raises(ProtocolError, match=problem):
        written(tmp_path, "pw3d_challenge", change(pw3d), ".zip")
