"""The stand-in loads like the real models and is anatomically what its numbers claim."""

import hashlib
import multiprocessing
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from ehps.body.hands import LEFT_HAND_MEAN
from ehps.body.joints import SMPLX_INDEX, SMPLX_JOINTS
from ehps.body.posing import PosingModel
from ehps.body.rotations import axis_angle_to_matrix
from ehps.body.standin import build as standin
from ehps.body.standin import standin_dir as standin_folder
from ehps.body.standin import standin_version
from ehps.body.standin.figure import grow_figure
from ehps.body.unpickling import load_pickle

smplx = pytest.importorskip("smplx")
torch = pytest.importorskip("torch")

GENDERS = ("neutral", "male", "female")
REST = {"betas": np.zeros((1, 10))}
LEFT_ELBOW = SMPLX_INDEX["left_elbow"]


@pytest.fixture(scope="module")
def model(standin_dir):
    return PosingModel.load(standin_dir)


@pytest.fixture(scope="module")
def joints(model):
    places = model.joints(REST)[0]
    return {name: places[i] for i, name in enumerate(SMPLX_JOINTS)}


@pytest.fixture(scope="module")
def arrays(standin_dir):
    with np.load(standin_dir / "smplx" / "SMPLX_NEUTRAL.npz", allow_pickle=False) as file:
        return dict(file)


def body_pose(**joints):
    pose = np.zeros((1, 21, 3))
    for name, value in joints.items():
        pose[0, SMPLX_INDEX[name] - 1] = value
    return pose


@pytest.mark.parametrize("gender", GENDERS)
@pytest.mark.parametrize("options", [{"num_betas": 10}, {"num_betas": 16, "use_pca": True, "num_pca_comps": 12}])
def test_smplx_create_loads_every_gender(standin_dir, gender, options):
    options = {"use_pca": False, **options}
    layer = smplx.create(standin_dir, "smplx", gender=gender, use_face_contour=True, **options)
    with torch.no_grad():
        out = layer()
    assert out.vertices.shape == (1, 10475, 3)
    assert out.joints.shape == (1, 144, 3)
    assert layer.faces.shape == (20908, 3)
    assert layer.shapedirs.shape == (10475, 3, options["num_betas"])
    assert float(layer.left_hand_mean.abs().max()) > 0.5  # the default is the curled mean hand


@pytest.mark.parametrize(("kind", "joints", "faces"), [("smpl", 45, 13776), ("smplh", 73, 13776)])
@pytest.mark.parametrize("gender", GENDERS)
def test_smplx_create_loads_smpl_and_smplh(standin_dir, kind, joints, faces, gender):
    layer = smplx.create(standin_dir, kind, gender=gender, use_pca=False)
    with torch.no_grad():
        out = layer()
    assert out.vertices.shape == (1, 6890, 3)
    assert out.joints.shape == (1, joints, 3)
    assert layer.faces.shape == (faces, 3)


def test_every_array_has_the_shape_of_smplx(arrays):
    shapes = {name: array.shape for name, array in arrays.items()}
    assert shapes["shapedirs"] == (10475, 3, 400)
    assert shapes["posedirs"] == (10475, 3, 486)
    assert shapes["J_regressor"] == (55, 10475)
    assert shapes["weights"] == (10475, 55)
    assert shapes["kintree_table"] == (2, 55)
    assert shapes["lmk_faces_idx"] == (51,)
    assert shapes["lmk_bary_coords"] == (51, 3)
    assert shapes["dynamic_lmk_faces_idx"] == (79, 17)
    assert shapes["dynamic_lmk_bary_coords"] == (79, 17, 3)
    assert shapes["hands_componentsl"] == (45, 45)


def test_weights_and_regressors_are_convex(arrays):
    weights, regressor = arrays["weights"], arrays["J_regressor"]
    assert weights.min() >= 0
    assert (np.count_nonzero(weights, axis=1) <= 4).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-9)
    assert regressor.min() >= 0
    np.testing.assert_allclose(regressor.sum(axis=1), 1, atol=1e-9)
    assert (np.count_nonzero(regressor, axis=1) <= 512).all()


def test_hand_components_are_orthogonal_and_not_the_identity(arrays):
    basis = arrays["hands_componentsl"]
    np.testing.assert_allclose(basis @ basis.T, np.eye(45), atol=1e-12)
    assert np.abs(basis - np.eye(45)).max() > 0.3
    np.testing.assert_array_equal(arrays["hands_meanl"].reshape(15, 3), LEFT_HAND_MEAN)


def test_the_skin_is_closed_but_for_the_backs_of_the_eyes(model):
    faces = model.triangles
    edges = Counter(map(tuple, np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).tolist()))
    assert max(edges.values()) == 1
    assert sum((b, a) not in edges for a, b in edges) == 34
    a, b, c = (model.template[faces[:, i]] for i in range(3))
    assert 0.05 < (np.cross(a, b) * c).sum() / 6 < 0.08  # outward faces: cubic metres of a person


def test_a_person_stands_upright_facing_forwards_with_the_left_hand_at_positive_x(model, joints):
    height = np.ptp(model.template[:, 1])
    assert 1.65 < height < 1.75
    assert joints["left_wrist"][0] > 0.6
    assert joints["right_wrist"][0] < -0.6
    assert joints["nose"][2] > joints["head"][2] + 0.08
    assert joints["left_bigtoe"][2] > joints["left_heel"][2] + 0.15
    np.testing.assert_allclose(joints["pelvis"], [0.003, -0.35, 0.012], atol=5e-4)


def test_named_vertices_are_where_their_names_say(model, joints):
    template = model.template
    head = template[template[:, 1] > 0.2]
    assert joints["nose"][2] == head[:, 2].max()
    for side, sign in (("left", 1), ("right", -1)):
        for name in ("eye", "ear", "bigtoe", "smalltoe", "heel"):
            assert sign * (joints[f"{side}_{name}"][0] - 0.003) > 0.02
        assert sign * joints[f"{side}_ear"][0] > sign * joints[f"{side}_eye"][0] + 0.03
        assert sign * joints[f"{side}_smalltoe"][0] > sign * joints[f"{side}_bigtoe"][0] + 0.02
        assert np.linalg.norm(joints[f"{side}_eye"] - joints[f"{side}_eyeball"]) < 0.014
        assert sign * joints[f"{side}_middle"][0] == (sign * template[:, 0]).max()
        assert joints[f"{side}_thumb"][2] > max(joints[f"{side}_{f}"][2] for f in ("index", "middle", "ring", "pinky"))
        chain = [joints[f"{side}_wrist"]] + [joints[f"{side}_{f}_1"] for f in ("index", "middle", "ring", "pinky")]
        assert [c[2] for c in chain[1:]] == sorted((c[2] for c in chain[1:]), reverse=True)


@pytest.mark.parametrize("kind", ["smpl", "smplh"])
def test_smpl_names_the_same_places_as_smplx(standin_dir, model, kind):
    other = PosingModel.load(standin_dir, kind)
    assert np.abs(other.template[other.picks] - model.template[model.picks]).max() < 0.004
    assert np.abs(other.rest_joints(REST)[0][:22] - model.rest_joints(REST)[0][:22]).max() < 0.006


def test_bending_the_left_elbow_moves_only_the_left_forearm_and_hand(model):
    rest = model.vertices(REST)[0]
    moved = np.linalg.norm(model.vertices({**REST, "body_pose": body_pose(left_elbow=[0, -1.0, 0])})[0] - rest, axis=1)
    forearm = rest[:, 0] > 0.50
    assert moved[forearm].min() > 0.02
    assert moved[rest[:, 0] < 0.30].max() < 1e-3  # the upper arm swells a little


def test_each_joint_of_the_pose_moves_its_own_side(model):
    some = np.arange(0, 10475, 9)
    rest = model.points(REST, some)[0]
    for name in SMPLX_JOINTS[1:22]:
        posed = {**REST, "body_pose": body_pose(**{name: [0.3, 0.2, 0.4]})}
        moved = np.linalg.norm(model.points(posed, some)[0] - rest, axis=1)
        side = (moved * np.sign(rest[:, 0] - 0.003)).sum() / moved.sum()
        expected = {"left": 1, "right": -1}.get(name.partition("_")[0], 0)
        assert abs(side - expected) < 0.25, name


def test_pose_corrections_of_every_joint_are_felt_and_small(arrays):
    size = np.linalg.norm(arrays["posedirs"], axis=1).reshape(10475, 54, 9)
    assert (size.max(axis=(0, 2)) > 1e-4).all()
    assert size.max() < 0.006


@pytest.mark.parametrize("expression", [False, True])
def test_each_shape_and_expression_direction_is_its_own(arrays, expression):
    first, count = (300, 10) if expression else (0, 16)
    directions = arrays["shapedirs"][:, :, first : first + count].astype(float)
    largest = np.linalg.norm(directions, axis=1).max(axis=0)
    assert (largest > 1e-3).all()
    assert (largest < 0.06).all()
    flat = directions.reshape(-1, count)
    alike = np.abs(flat.T @ flat / np.outer(*2 * [np.linalg.norm(flat, axis=0)]))
    assert (alike - np.eye(count)).max() < 0.95


def test_genders_and_the_kid_differ_by_centimetres(standin_dir):
    heights = {}
    for gender in GENDERS:
        with np.load(standin_dir / "smplx" / f"SMPLX_{gender.upper()}.npz", allow_pickle=False) as file:
            heights[gender] = np.ptp(file["v_template"][:, 1])
    assert heights["female"] + 0.02 < heights["neutral"] < heights["male"] - 0.02
    layer = smplx.create(
        standin_dir,
        "smplx",
        age="kid",
        kid_template_path=standin_dir / "smplx" / "smplx_kid_template.npy",
        use_pca=False,
    )
    betas = torch.zeros(1, 11)
    betas[:, 10] = 1
    with torch.no_grad():
        kid = np.ptp(layer(betas=betas).vertices[0, :, 1].numpy())
    assert kid < heights["neutral"] - 0.5


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_mano_hand_is_the_hand_of_smplx(standin_dir, model, side):
    hand = PosingModel.load(standin_dir, "mano", side)
    ids = load_pickle(standin_dir / "smplx" / "MANO_SMPLX_vertex_ids.pkl")[f"{side}_hand"]
    pose = np.random.default_rng(1).normal(0, 0.5, (1, 15, 3))
    body = {**REST, "body_pose": body_pose(**{f"{side}_elbow": [0.2, 0.5, 0.1]}), f"{side}_hand_pose": pose}
    _, transforms, _ = model.kinematic(body)
    wrist = transforms[0, SMPLX_INDEX[f"{side}_wrist"]]
    still = {"betas": REST["betas"], "hand_pose": pose, "global_orient": np.zeros((1, 1, 3))}
    alone, root = hand.vertices(still)[0], hand.rest_joints(still)[0, 0]
    offset = model.rest_joints(REST)[0, SMPLX_INDEX[f"{side}_wrist"]] - root
    expected = (alone + offset) @ wrist[:, :3].T + wrist[:, 3]
    np.testing.assert_allclose(model.vertices(body)[0][ids], expected, atol=1e-6)
    assert len(set(ids.tolist())) == 778
    tips = smplx.vertex_ids.vertex_ids
    assert all(ids[tips["mano"][name]] == tips["smplx"][side[0] + name] for name in tips["mano"])


def test_the_mean_hand_curls_the_fingers_towards_the_palm(model):
    curled = model.joints({**REST, "left_hand_pose": LEFT_HAND_MEAN[None]})[0]
    flat = model.joints(REST)[0]
    for finger in ("index", "middle", "ring", "pinky"):
        tip = SMPLX_INDEX[f"left_{finger}"]
        assert curled[tip, 1] < flat[tip, 1] - 0.02


def test_fourteen_joints_lie_near_their_joints(standin_dir, model, joints):
    regressed = load_pickle(standin_dir / "smplx" / "SMPLX_to_J14.pkl") @ model.template
    order = [f"right_{n}" for n in ("ankle", "knee", "hip")] + [f"left_{n}" for n in ("hip", "knee", "ankle")]
    order += [f"right_{n}" for n in ("wrist", "elbow", "shoulder")] + [
        f"left_{n}" for n in ("shoulder", "elbow", "wrist")
    ]
    for place, name in zip(regressed, [*order, "neck"], strict=False):
        assert np.linalg.norm(place - joints[name]) < 0.01, name
    assert regressed[13, 1] == pytest.approx(model.template[:, 1].max(), abs=1e-6)


def test_landmarks_run_from_the_right_to_the_left_and_lie_on_their_features(joints):
    brows = [joints[f"right_eyebrow_{i}"][0] for i in range(1, 6)] + [
        joints[f"left_eyebrow_{i}"][0] for i in range(5, 0, -1)
    ]
    assert all(a < b for a, b in pairwise(brows))
    assert (
        joints["right_eyebrow_3"][1] > joints["right_eye_2"][1] > joints["right_eye_5"][1] > joints["nosebridge_4"][1]
    )
    assert joints["nose_middle"][1] > joints["mouth_top"][1] > joints["lip_top"][1] > joints["lip_bottom"][1]
    assert joints["lip_bottom"][1] > joints["mouth_bottom"][1] > joints["contour_middle"][1]
    assert joints["right_mouth_1"][0] < -0.015 < 0.02 < joints["left_mouth_1"][0]
    for side in ("left", "right"):
        corners = [joints[f"{side}_eye_{i}"] for i in (1, 4)]
        assert np.linalg.norm(np.mean(corners, axis=0) - joints[f"{side}_eye"]) < 0.012


def test_opening_the_jaw_parts_the_lips(model):
    gap = {}
    for angle in (0.0, 0.35):
        posed = model.joints({**REST, "jaw_pose": np.array([[angle, 0, 0]])})[0]
        gap[angle] = posed[SMPLX_INDEX["lip_top"], 1] - posed[SMPLX_INDEX["lip_bottom"], 1]
    assert gap[0.35] > gap[0.0] + 0.015


def test_eyeballs_turn_with_the_head_and_with_their_own_joints(model, standin_dir):
    rest = model.vertices(REST)[0]
    with np.load(standin_dir / "smplx_parts.npz", allow_pickle=False) as file:
        left, skin = file["parts"] == "left_eye", file["parts"] == "head"
    turned = model.vertices({**REST, "body_pose": body_pose(neck=[0, 0.6, 0])})[0]
    scalp = skin & (rest[:, 1] > 0.3)
    gaps = [np.linalg.norm(body[left].mean(axis=0) - body[scalp].mean(axis=0)) for body in (rest, turned)]
    assert gaps[1] == pytest.approx(gaps[0], abs=2e-3)
    looking = model.vertices({**REST, "leye_pose": np.array([[0, 0.4, 0]])})[0]
    moved = np.linalg.norm(looking - rest, axis=1)
    assert moved[left].max() > 4e-3
    assert moved[~left].max() < 1e-3


def test_the_contour_slides_to_the_front_on_the_side_turned_away(model):
    def widths(yaw):
        turned = model.joints({**REST, "body_pose": body_pose(neck=[0, yaw, 0])})[0]
        turn = axis_angle_to_matrix(np.array([0, yaw, 0]))
        local = (turned - turned[SMPLX_INDEX["neck"]]) @ turn
        return local[SMPLX_INDEX["right_contour_1"], 2], local[SMPLX_INDEX["left_contour_1"], 2]

    ahead_right, ahead_left = widths(0.0)
    assert ahead_right == pytest.approx(ahead_left, abs=0.004)
    right, left = widths(np.radians(30))  # the head turns to its left: the left cheek is turned away
    assert left > ahead_left + 0.02
    assert right < ahead_right + 0.004


def test_smplx2smpl_maps_the_mesh_onto_smpl(standin_dir, model):
    matrix = load_pickle(standin_dir / "smplx2smpl.pkl")["matrix"]
    assert matrix.shape == (6890, 10475)
    smpl = PosingModel.load(standin_dir, "smpl")
    np.testing.assert_allclose(matrix @ model.template, smpl.template, atol=1e-6)


def test_the_same_vertices_grow_every_time(standin_dir, arrays):
    figure = grow_figure()
    np.testing.assert_array_equal(figure.vertices + standin.SHIFT, arrays["v_template"])
    np.testing.assert_array_equal(figure.faces, arrays["f"])


def test_a_file_depends_on_its_arrays_only(tmp_path, arrays):
    small = {name: arrays[name] for name in ("J_regressor", "f", "lmk_bary_coords")}
    for name in ("a.npz", "b.npz"):
        standin.write_npz(tmp_path / name, small)
    digests = {hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("a.npz", "b.npz")}
    assert len(digests) == 1


def fake_build(out_dir):
    (out_dir / "smplx").mkdir()
    (out_dir / "VERSION").write_text("ehps stand-in body test\n")


def build_into(cache, queue):
    import os

    os.environ["EHPS_CACHE"] = str(cache)
    standin.build_standin = fake_build
    queue.put(str(standin_folder()))


def test_two_processes_build_one_folder(tmp_path):
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    workers = [context.Process(target=build_into, args=(tmp_path, queue)) for _ in range(2)]
    for worker in workers:
        worker.start()
    built = {queue.get(timeout=60) for _ in workers}
    for worker in workers:
        worker.join()
    assert [path.name for path in tmp_path.iterdir()] == [f"standin-{standin_version()}"]
    assert built == {str(tmp_path / f"standin-{standin_version()}")}


def test_a_broken_build_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(out_dir):
        (out_dir / "half").write_text("done")
        raise RuntimeError("no space left")

    monkeypatch.setenv("EHPS_CACHE", str(tmp_path))
    monkeypatch.setattr(standin, "build_standin", fail)
    with pytest.raises(RuntimeError, match="no space"):
        standin_folder()
    assert list(tmp_path.iterdir()) == []
