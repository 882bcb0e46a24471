"""From index sets and regressors to the points that the measures compare.

The whole mesh and the body are rooted at the pelvis, each hand at its wrist, the head at the neck; all are rows of
SMPL-X's ``J_regressor`` applied to the mesh. Hand joints are the rows of wrist and fingers with the five fingertip
vertices of the ``smplx`` package (``vertex_ids``), in the order thumb, index, middle, ring, little.

Prediction and truth may be points of different kinds, each with a geometry of its own: a SMPL-X mesh, a SMPL mesh, or
a cloud of hand points (``HAND_CLOUD``). What the two geometries call by one name are the same points.

Facts: SMPLer-X ``data/PW3D/PW3D.py`` (14 rows of ``J_regressor``); SPIN ``constants.py`` (H36M_TO_J14).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ..body.assets import EvaluationAssets, load_evaluation_assets
from ..body.joints import LEFT_HAND_21, RIGHT_HAND_21, SMPLX_INDEX
from ..body.keypoints import CONVENTIONS
from ..body.posing import PosingModel, smplx_vertex_ids
from ..errors import BodyModelError
from .metrics import Geometry, PointSet, Regressor
from .protocol import Protocol

# Rows of SMPL-X's J_regressor.
PELVIS, NECK, LEFT_WRIST, RIGHT_WRIST = (SMPLX_INDEX[name] for name in ("pelvis", "neck", "left_wrist", "right_wrist"))
_FINGERS = ("thumb", "index", "middle", "ring", "pinky")
# Wrist, then finger by finger three kinematic joints and the tip, which is a vertex.
_HANDS = {"left_hand": LEFT_HAND_21, "right_hand": RIGHT_HAND_21}
# Rows of J_regressor that SMPLer-X compares on 3DPW, the same for SMPL and SMPL-X.
LSP14 = (1, 2, 4, 5, 7, 8, 12, 15, *range(16, 22))
HIPS = (1, 2)
MAJOR12 = (1, 2, 4, 5, 7, 8, *range(16, 22))  # hips, knees, ankles, shoulders, elbows, wrists: PCK of 3DPW's challenge
# Rows of J_regressor_h36m from the right ankle to the top of the head, and its pelvis.
H36M_TO_J14 = (6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10)
H36M_PELVIS = 0
NUM_SMPL_VERTICES = 6890
NUM_HAND_VERTICES = 778
SMPL_WITH_JOINTS = NUM_SMPL_VERTICES + len(CONVENTIONS["smpl_24"])  # points of a mesh and of its tree, in this order
_SMPL_MESH = PointSet("pelvis", vertex_ids=np.arange(NUM_SMPL_VERTICES))
# A cloud of hand points: 21 joints of the left hand and of the right, then 778 vertices of the left and of the right.
HAND_CLOUD = {
    ("left_hand", "joints"): slice(0, 21),
    ("right_hand", "joints"): slice(21, 42),
    ("left_hand", "vertices"): slice(42, 42 + NUM_HAND_VERTICES),
    ("right_hand", "vertices"): slice(42 + NUM_HAND_VERTICES, 42 + 2 * NUM_HAND_VERTICES),
}


def fingertip_ids() -> dict[str, tuple[int, ...]]:
    """Return the SMPL-X vertices of the five fingertips of each hand, as the ``smplx`` package names them."""
    table = smplx_vertex_ids()["smplx"]
    return {side: tuple(int(table[side[0] + finger]) for finger in _FINGERS) for side in _HANDS}


def hand_regressor(
    J_regressor: Float[np.ndarray, "55 vertices"], side: str, tips: Sequence[int]
) -> Float[np.ndarray, "21 vertices"]:
    """Return the map from mesh to wrist and, finger by finger, three joints and the tip."""
    fingertips = iter(tips)
    rows = [
        J_regressor[joint] if joint < len(J_regressor) else np.eye(1, J_regressor.shape[1], next(fingertips))[0]
        for joint in _HANDS[side]
    ]
    return np.stack(rows).astype(np.float64)


def build_geometry(
    assets: EvaluationAssets, tips: Mapping[str, Sequence[int]] | None = None, protocol: Protocol | None = None
) -> Geometry:
    """Return the roots and point sets of SMPL-X meshes; ``tips`` default to those of the ``smplx`` package.

    ``protocol`` says by which joints of the body and about which points; without one they are those of SMPLer-X.
    """
    tips = tips or fingertip_ids()
    body = _body_joints(protocol, assets.J_regressor, assets.J14)
    points = {
        ("all", "vertices"): PointSet("pelvis"),
        ("face", "vertices"): PointSet("neck", vertex_ids=assets.face_ids),
        **{("body", kind): PointSet("pelvis", regressor=Regressor.from_dense(rows)) for kind, rows in body.items()},
    }
    for side, ids in (("left_hand", assets.left_hand_ids), ("right_hand", assets.right_hand_ids)):
        root = side.replace("hand", "wrist")
        joints = hand_regressor(assets.J_regressor, side, tips[side])
        points[side, "vertices"] = PointSet(root, vertex_ids=ids)
        points[side, "joints21"] = PointSet(root, regressor=Regressor.from_dense(joints))
        points[side, "joints20"] = PointSet(root, regressor=Regressor.from_dense(joints[1:]))
    rows = {"neck": [NECK], "left_wrist": [LEFT_WRIST], "right_wrist": [RIGHT_WRIST], "pelvis": _pelvis_rows(protocol)}
    return Geometry({name: _mean_of(assets.J_regressor, own) for name, own in rows.items()}, points)


def smpl_geometry(
    J_regressor: Float[np.ndarray, "24 vertices"],
    protocol: Protocol,
    J_regressor_h36m: Float[np.ndarray, "17 vertices"] | None = None,
) -> Geometry:
    """Return the roots and point sets of SMPL meshes: the whole mesh and the joints of the body."""
    if protocol.regressors.body == "J_regressor_h36m":
        assert J_regressor_h36m is not None
        body = {"joints14": J_regressor_h36m[list(H36M_TO_J14)]}
        root = _mean_of(J_regressor_h36m, [H36M_PELVIS])
    else:
        body, root = _body_joints(protocol, J_regressor, None), _mean_of(J_regressor, _pelvis_rows(protocol))
    joints = {("body", kind): PointSet("pelvis", regressor=Regressor.from_dense(rows)) for kind, rows in body.items()}
    return Geometry({"pelvis": root}, {("all", "vertices"): PointSet("pelvis"), **joints})


def smpl_with_joints_geometry(protocol: Protocol) -> Geometry:
    """Return the roots and point sets of SMPL meshes behind whose vertices stand the joints of their kinematic tree."""
    joints = np.arange(NUM_SMPL_VERTICES, SMPL_WITH_JOINTS)
    rows = joints[_pelvis_rows(protocol)]
    kinds = {"joints24": joints, "joints12": joints[list(MAJOR12)]}
    sets = {("body", kind): PointSet("pelvis", vertex_ids=ids) for kind, ids in kinds.items()}
    root = Regressor(rows, np.full((1, len(rows)), 1 / len(rows)))
    return Geometry({"pelvis": root}, {("all", "vertices"): _SMPL_MESH, **sets})


def smpl_with_root_geometry(own: Geometry) -> Geometry:
    """Return the geometry of SMPL meshes whose root stands behind the last vertex; all else is as in ``own``."""
    root = Regressor(np.array([NUM_SMPL_VERTICES]), np.ones((1, 1)))
    return Geometry({"pelvis": root}, {**own.points, ("all", "vertices"): _SMPL_MESH})


def hand_cloud_geometry(*, with_vertices: bool) -> Geometry:
    """Return the roots and point sets of clouds laid out as ``HAND_CLOUD``; joints alone without the vertices."""
    points, roots = {}, {}
    for side in _HANDS:
        root, joints = side.replace("hand", "wrist"), _ids(HAND_CLOUD[side, "joints"])
        roots[root] = Regressor(joints[:1], np.ones((1, 1)))
        points[side, "joints21"] = PointSet(root, vertex_ids=joints)
        points[side, "joints20"] = PointSet(root, vertex_ids=joints[1:])
        if with_vertices:
            points[side, "vertices"] = PointSet(root, vertex_ids=_ids(HAND_CLOUD[side, "vertices"]))
    return Geometry(roots, points)


def body_joints_geometry(protocol: Protocol) -> Geometry:
    """Return the root and point set of joints given by themselves: 24 of SMPL, or 17 of J_regressor_h36m."""
    all_24 = {"joints24": range(24), "joints12": MAJOR12}
    chosen = {
        "J_regressor_lsp14": {"joints14": LSP14},
        "J_regressor_h36m": {"joints14": H36M_TO_J14},
        "J_regressor_24": all_24,
        "kinematic_24": all_24,
    }
    is_h36m = protocol.regressors.body == "J_regressor_h36m"
    root = _mean_of(np.eye(24), [H36M_PELVIS] if is_h36m else _pelvis_rows(protocol))
    kinds = chosen.get(protocol.regressors.body, {})
    sets = {("body", kind): PointSet("pelvis", vertex_ids=np.array(rows)) for kind, rows in kinds.items()}
    return Geometry({"pelvis": root}, sets)


def load_smplx_geometry(model_dir: Path, protocol: Protocol) -> Geometry:
    """Return the geometry of SMPL-X meshes from the user's folder of body models."""
    return build_geometry(load_evaluation_assets(model_dir), protocol=protocol)


def load_smpl_geometry(model_dir: Path, protocol: Protocol) -> Geometry:
    """Return the geometry of SMPL meshes from the user's folder, by the neutral model's regressor for both genders."""
    model = PosingModel.load(model_dir, "smpl", "neutral")
    wants_h36m = protocol.regressors.body == "J_regressor_h36m"
    return smpl_geometry(model.joint_regressor, protocol, load_h36m_regressor(model_dir) if wants_h36m else None)


def load_h36m_regressor(model_dir: Path) -> Float[np.ndarray, "17 6890"]:
    """Return the regressor of 17 joints of Human3.6M from SMPL meshes; BodyModelError when the user has none."""
    path = model_dir / "smpl" / "J_regressor_h36m.npy"
    if not path.is_file():
        raise BodyModelError(f"{path} is missing: it comes with the data of SPIN (J_regressor_h36m.npy, 17 x 6890)")
    matrix = np.load(path, allow_pickle=False)
    if matrix.shape != (17, NUM_SMPL_VERTICES):
        raise BodyModelError(f"{path} should hold a matrix of (17, {NUM_SMPL_VERTICES}), found {matrix.shape}")
    return matrix.astype(np.float64)


def _body_joints(
    protocol: Protocol | None, J_regressor: Float[np.ndarray, "rows vertices"], J14: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Return the regressor of each kind of body joints that a protocol knows, from a body's own regressor."""
    name = "SMPLX_to_J14" if protocol is None else protocol.regressors.body
    if name == "SMPLX_to_J14" and J14 is not None:
        return {"joints14": J14, "joints22": J_regressor[:22]}
    if name == "J_regressor_lsp14":
        return {"joints14": J_regressor[list(LSP14)]}
    # A mesh alone has lost its tree, so that its joints are regressed where those of the tree are asked for.
    if name in ("J_regressor_24", "kinematic_24") and len(J_regressor) == len(CONVENTIONS["smpl_24"]):
        return {"joints24": J_regressor, "joints12": J_regressor[list(MAJOR12)]}
    return {}


def _pelvis_rows(protocol: Protocol | None) -> list[int]:
    """Return the rows of J_regressor whose mean a protocol takes for the root of body and whole mesh."""
    return [PELVIS] if protocol is None or protocol.alignment.all == "pelvis" else list(HIPS)


def _mean_of(J_regressor: Float[np.ndarray, "rows vertices"], rows: Sequence[int]) -> Regressor:
    """Return the regressor of the mean of some rows."""
    return Regressor.from_dense(J_regressor[list(rows)].mean(axis=0, keepdims=True))


def _ids(where: slice) -> np.ndarray:
    return np.arange(where.start, where.stop)
