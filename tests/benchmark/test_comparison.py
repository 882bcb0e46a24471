"""Which points are compared with which, beyond whole meshes of one topology."""

from dataclasses import replace

import numpy as np
import pytest

from ehps.benchmark.comparison import compare, inside_picture
from ehps.benchmark.geometry import H36M_TO_J14, LSP14, load_h36m_regressor, smpl_geometry
from ehps.benchmark.interface import BenchmarkPerson, PersonPrediction
from ehps.benchmark.metrics import MeshSide
from ehps.benchmark.protocol import load_protocol
from ehps.benchmark.scoring import score_points
from ehps.body.keypoints import CONVENTIONS
from ehps.errors import BodyModelError, ProtocolError

RNG = np.random.default_rng(11)


def regressor(rows: int) -> np.ndarray:
    own = RNG.random((rows, 40))
    return own / own.sum(axis=1, keepdims=True)


def test_the_root_is_the_one_that_the_protocol_names():
    J, H36M, mesh = regressor(24), regressor(17), RNG.normal(size=(2, 40, 3))
    pelvis = MeshSide(mesh, smpl_geometry(J, load_protocol("pw3d_lsp14_smplx2smpl")))
    np.testing.assert_allclose(pelvis.root("body", "joints14"), J[0] @ mesh)
    np.testing.assert_allclose(pelvis.points("body", "joints14"), J[list(LSP14)] @ mesh)
    for name in ("emdb1", "rich_test"):
        hips = MeshSide(mesh, smpl_geometry(J, load_protocol(name)))
        np.testing.assert_allclose(hips.root("all", "vertices"), (J[1] + J[2]) / 2 @ mesh)
        np.testing.assert_allclose(hips.points("body", "joints24"), J @ mesh)
    h36m = MeshSide(mesh, smpl_geometry(J, load_protocol("pw3d_h36m14"), H36M))
    np.testing.assert_allclose(h36m.root("body", "joints14"), H36M[0] @ mesh)
    np.testing.assert_allclose(h36m.points("body", "joints14"), H36M[list(H36M_TO_J14)] @ mesh)


def test_the_regressor_of_h36m_is_asked_for_by_name(standin_dir, tmp_path):
    with pytest.raises(BodyModelError, match=r"J_regressor_h36m\.npy is missing: it comes with the data of SPIN"):
        load_h36m_regressor(standin_dir)
    (tmp_path / "smpl").mkdir()
    np.save(tmp_path / "smpl" / "J_regressor_h36m.npy", np.zeros((14, 6890)))
    with pytest.raises(BodyModelError, match=r"should hold a matrix of \(17, 6890\), found \(14, 6890\)"):
        load_h36m_regressor(tmp_path)


@pytest.mark.parametrize(
    ("name", "kind"), [("ehf", "smpl"), ("ehf", "hand_joints"), ("ehf", "body_joints"), ("humanart_val", "smplx")]
)
def test_what_cannot_be_compared_is_refused(name, kind, standin_dir):
    with pytest.raises(ProtocolError, match=f"cannot score predictions of the kind {kind}"):
        compare(load_protocol(name), standin_dir, kind)


def person(key: str = "p", **fields) -> BenchmarkPerson:
    return BenchmarkPerson(
        person_key=key,
        sequence=key,
        image=lambda: np.zeros((1, 1, 3), np.uint8),
        bbox_xyxy=np.array([0, 0, 10.0, 20]),
        **fields,
    )


def test_only_points_before_the_camera_and_inside_its_picture_count():
    K = np.array([[100.0, 0, 50], [0, 100, 40], [0, 0, 1]])
    asked = person(K=K, size=(100, 80))
    points = np.array([[[0, 0, 1.0], [0.49, 0, 1], [0.51, 0, 1], [0, -0.41, 1], [0, 0, -1], [np.nan, 0, 1]]])
    np.testing.assert_array_equal(inside_picture(points, [asked]), [[True, True, False, False, False, False]])
    with pytest.raises(ValueError, match="p has no camera"):
        inside_picture(points, [person()])


def hands(key: str, missing: tuple[str, ...] = (), seed: int = 0) -> BenchmarkPerson:
    """A person with the joints of InterHand2.6M in its order, some of them not labelled."""
    names = CONVENTIONS["interhand_42"]
    joints = np.random.default_rng(seed).normal(size=(42, 4))
    joints[:, 3] = [0 if name in missing else 1 for name in names]
    return person(key, keypoints_3d=joints, keypoints_3d_convention="interhand_42")


def test_unlabelled_joints_do_not_count_and_a_hand_without_wrist_not_at_all(standin_dir):
    """The prediction is off by 30 mm in one thumb tip, which is labelled for one of two people."""
    protocol = load_protocol("interhand26m_test")
    comparison = compare(protocol, standin_dir, "hand_joints")
    asked = [hands("a"), hands("b", ("right_thumb",)), replace(hands("c", ("left_wrist",)), has_left_hand=False)]
    tip = CONVENTIONS["right_hand_21"].index("right_thumb")

    def predict(batch):
        points = np.nan_to_num(comparison.truth(batch))
        points[:, 21 + tip, 0] += 0.03
        return [PersonPrediction(own) for own in points]

    rows = score_points(predict, asked, protocol, comparison).set_index("person_key")
    np.testing.assert_allclose(rows["MPJPE@right_hand21"], [30 / 21, 0, 30 / 21], atol=1e-9)
    np.testing.assert_allclose(rows["MPJPE@hands21"], [15 / 21, 0, 30 / 21], atol=1e-9)
    assert rows["MPJPE@left_hand21"].isna().tolist() == [False, False, True]
    assert rows["MRRPE"].isna().tolist() == [False, False, True]


def test_points_in_the_picture_are_scored_against_the_tight_box(standin_dir):
    protocol = load_protocol("humanart_val")
    keypoints = np.concatenate([RNG.uniform(0, 10, (17, 2)), np.ones((17, 1))], axis=1)
    keypoints[3, 2] = 0
    box = np.array([0, 0, 12.0, 24.0])  # 1.2 times the tight one, whose longer side is 20 px
    asked = [replace(person(keypoints_2d=keypoints, keypoints_2d_convention="coco_17"), bbox_xyxy=box)]
    moved = keypoints[:, :2].copy()
    moved[:4, 0] += [0.9, 1.1, 1.9, 5]  # px; 1 px is 0.05 of the box
    rows = score_points(
        lambda _: [PersonPrediction(moved)], asked, protocol, compare(protocol, standin_dir, "points_2d")
    )
    np.testing.assert_allclose(rows["PCK@0.05"], 14 / 16)
    np.testing.assert_allclose(rows["PCK@0.1"], 1)


def test_shapes_are_compared_at_their_means_and_by_height(standin_dir):
    protocol = load_protocol("hbw_val")
    mesh = RNG.normal(size=(10475, 3))
    asked = [person(vertices=mesh)]
    taller = mesh * [1, 1.1, 1] + 7
    rows = score_points(lambda _: [PersonPrediction(taller)], asked, protocol, compare(protocol, standin_dir))
    wanted = 100 * np.abs(mesh[:, 1] - mesh[:, 1].mean()).mean()
    np.testing.assert_allclose(rows["V2V"], wanted, rtol=1e-6)
    np.testing.assert_allclose(rows["height-error"], 100 * np.ptp(mesh[:, 1]), rtol=1e-6)
