"""What the columns of a predictions file mean as points: meshes, posed parameters, joints in the expected order.

Beside the points as the file declares them there are the readings that are often confused with it (``mistakes``): the
other convention of hand poses, another order of the joints, left for right. Scoring tries them on some people.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ..body.assets import NUM_SMPLX_VERTICES
from ..body.hands import HAND_MEANS
from ..body.joints import finger_chain
from ..body.keypoints import CONVENTIONS, convert_keypoints
from ..body.kids import with_kid_weight
from ..body.posing import PARAMETER_SHAPES, PoseParameters, PosingModel
from ..body.rotations import matrix_to_axis_angle
from ..errors import ProtocolError
from .comparison import NUM_H36M_JOINTS, PredictionKind
from .geometry import HAND_CLOUD, NUM_HAND_VERTICES, NUM_SMPL_VERTICES
from .orientations import CHALLENGE_JOINTS, challenge_orientations
from .protocol import Protocol
from .truth import HAND_NAMES, by_model, with_joints

Table = Mapping[str, Any]
Rows = Int[np.ndarray, " rows"]
Points = Callable[[Rows], np.ndarray]  # (rows, points, 3 or 2)
_MESHES: dict[int, PredictionKind] = {NUM_SMPLX_VERTICES: "smplx", NUM_SMPL_VERTICES: "smpl"}
_POSES = tuple(name for name in PARAMETER_SHAPES if name != "transl")
_HAND_POSES = ("left_hand_pose", "right_hand_pose")
_BODY_JOINTS = {"smpl_24": 24, "h36m_17": NUM_H36M_JOINTS}


class Content(NamedTuple):
    """What a file predicts."""

    kind: PredictionKind
    points: Points
    mistakes: Mapping[str, Points]  # what should have been said: how it would read
    orientations: Points | None = None  # (rows, 9, 3, 3) of ``orientations.CHALLENGE_JOINTS``


def content_of(path: Path, table: Table, count: int, protocol: Protocol, model_dir: Path) -> Content:
    """Return what kind of prediction a table holds, its points, and how else it might have been meant."""
    content = _content(path, table, count, protocol, model_dir)
    return content._replace(orientations=_orientations(path, table)) if "orientations" in table else content


def _orientations(path: Path, table: Table) -> Points:
    """Return the given orientations; ProtocolError when they are no rotations."""
    given = array_of(path, table, "orientations", (len(CHALLENGE_JOINTS), 3, 3))
    squares = given @ np.swapaxes(given, -1, -2)
    if not np.allclose(squares, np.eye(3), atol=1e-3) or not (np.linalg.det(given) > 0).all():
        raise ProtocolError(path, "orientations should be rotation matrices, in camera space", "R R^T is the identity")
    return given.__getitem__


def _content(path: Path, table: Table, count: int, protocol: Protocol, model_dir: Path) -> Content:
    if protocol.ground_truth == "keypoints_2d":
        points = array_of(path, table, "joints_2d", (17, 2))
        return Content("points_2d", points.__getitem__, {})
    if "vertices" in table:
        vertices = np.asarray(table["vertices"], np.float64).reshape(count, -1, 3)
        if vertices.shape[1] == NUM_HAND_VERTICES:
            return _hand_cloud(path, table, vertices)
        if vertices.shape[1] not in _MESHES:
            known = f"{NUM_SMPLX_VERTICES} (SMPL-X), {NUM_SMPL_VERTICES} (SMPL) or {NUM_HAND_VERTICES} (a hand)"
            raise ProtocolError(path, f"vertices should be {known} a person, found {vertices.shape[1]}")
        return Content(_MESHES[vertices.shape[1]], vertices.__getitem__, {})
    if "joints" in table:
        return _joints(path, table, protocol)
    if protocol.ground_truth == "template" or "global_orient" in table:
        return _parameters(path, table, count, protocol, model_dir)
    raise ProtocolError(path, "holds betas alone", "add global_orient and body_pose, or give vertices")


def array_of(path: Path, table: Table, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return a column as floats; ProtocolError when it is absent or of another shape."""
    if name not in table:
        raise ProtocolError(path, f"lacks {name}, {shape} a person; found {', '.join(sorted(table))}")
    values = np.asarray(table[name], np.float64)
    if values.shape[1:] != shape and values.size != len(values) * np.prod(shape):
        raise ProtocolError(path, f"{name} should be of shape {shape} a person, found {values.shape[1:]}")
    return values.reshape(len(values), *shape)


def _joints(path: Path, table: Table, protocol: Protocol) -> Content:
    """Return joints in the order that the geometry expects; their convention must be named."""
    if "joints_convention" not in table:
        hands = [name for name, joints in CONVENTIONS.items() if set(HAND_NAMES) & set(joints)]
        known = ", ".join([*_BODY_JOINTS, *hands])
        raise ProtocolError(
            path, "does not say in which order its joints are", f"add joints_convention, one of {known}"
        )
    convention = str(np.ravel(table["joints_convention"])[0])
    if convention in _BODY_JOINTS:
        joints = array_of(path, table, "joints", (_BODY_JOINTS[convention], 3))
        needs = "h36m_17" if protocol.regressors.body == "J_regressor_h36m" else "smpl_24"
        if convention != needs:
            problem = f"holds joints of {convention}, but protocol {protocol.id} compares joints of {needs}"
            raise ProtocolError(path, problem, f"ehps protocol show {protocol.id}")
        return Content("body_joints", joints.__getitem__, _mirrored(joints) if convention == "smpl_24" else {})
    if convention not in CONVENTIONS:
        known = ", ".join([*_BODY_JOINTS, *CONVENTIONS])
        raise ProtocolError(path, f"names joints of {convention!r}, which is not known", f"one of {known}")
    joints = array_of(path, table, "joints", (len(CONVENTIONS[convention]), 3))
    hands = in_hand_order(joints, convention)
    return Content("hand_joints", hands.__getitem__, _other_hand_orders(joints, convention))


def in_hand_order(joints: Float[np.ndarray, "people joints 3"], convention: str) -> Float[np.ndarray, "people 42 3"]:
    """Return the joints of both hands in the order of ``HAND_CLOUD``; those of a hand that is not given are zero."""
    with_ones = np.concatenate([joints, np.ones((*joints.shape[:2], 1))], axis=2)
    return convert_keypoints(with_ones, convention, HAND_NAMES, approximate=True)[..., :3]


def _other_hand_orders(joints: np.ndarray, convention: str) -> dict[str, Points]:
    """Return the readings of hand joints that are often confused with the given one."""
    out: dict[str, Points] = {}
    if joints.shape[1] == 21:
        from_mano = [_mano_place(name) for name in ("wrist", *finger_chain("right"))]
        in_mano_order = in_hand_order(joints[:, from_mano], convention)
        out["the joints in MANO's order (index, middle, pinky, ring, thumb, tips), not " + convention] = (
            in_mano_order.__getitem__
        )
    hands = in_hand_order(joints, convention)
    swapped = np.concatenate([hands[:, 21:], hands[:, :21]], axis=1)
    if joints.shape[1] != 21:
        out["left and right hand swapped"] = swapped.__getitem__
    return out


def _mano_place(name: str) -> int:
    """Return where MANO's own order, with the tips last, has a joint of the right hand."""
    if name == "wrist":
        return 0
    _, finger, *number = name.split("_")
    chain = ("index", "middle", "pinky", "ring", "thumb")
    tips = ("thumb", "index", "middle", "ring", "pinky")
    return 1 + 3 * chain.index(finger) + int(number[0]) - 1 if number else 16 + tips.index(finger)


def _mirrored(joints: Float[np.ndarray, "people 24 3"]) -> dict[str, Points]:
    names = CONVENTIONS["smpl_24"]
    other = [names.index(n.replace("left", "@").replace("right", "left").replace("@", "right")) for n in names]
    return {"left and right of the body swapped": joints[:, other].__getitem__}


def _hand_cloud(path: Path, table: Table, vertices: Float[np.ndarray, "people 778 3"]) -> Content:
    """Return the joints and vertices of right hands."""
    if "joints" not in table or "joints_convention" not in table:
        raise ProtocolError(path, "holds vertices of a hand without joints", "add joints and joints_convention")
    convention = str(np.ravel(table["joints_convention"])[0])
    if convention not in CONVENTIONS or "right_wrist" not in CONVENTIONS[convention]:
        raise ProtocolError(path, f"names joints of {convention!r}", "right hands are right_hand_21")
    joints = array_of(path, table, "joints", (len(CONVENTIONS[convention]), 3))
    cloud = np.zeros((len(vertices), HAND_CLOUD["right_hand", "vertices"].stop, 3))
    cloud[:, HAND_CLOUD["right_hand", "vertices"]] = vertices

    def with_joints(order: np.ndarray) -> Points:
        def points(rows: Rows) -> np.ndarray:
            out = cloud[rows]
            out[:, : len(HAND_NAMES)] = order[rows]
            return out

        return points

    every = np.arange(len(vertices))
    mistakes = {why: with_joints(order(every)) for why, order in _other_hand_orders(joints, convention).items()}
    return Content("hand_cloud", with_joints(in_hand_order(joints, convention)), mistakes)


def _parameters(path: Path, table: Table, count: int, protocol: Protocol, model_dir: Path) -> Content:
    """Return the posed meshes of parameters; hands are made absolute as the file says they are written."""
    kind = str(np.ravel(table.get("body_model", "smplx"))[0])
    if kind not in ("smplx", "smpl"):
        raise ProtocolError(path, f"body_model should be smplx or smpl, found {kind!r}")
    betas = np.asarray(table.get("betas", np.zeros((count, 10))), np.float64).reshape(count, -1)
    genders = _genders(path, table, count)
    if protocol.ground_truth == "template":
        return Content(_kind(kind), PosedRows(model_dir, kind, genders, {"betas": betas}), {})
    own = {name: _rotations(path, table, name) for name in _POSES if name in table}
    absent = [name for name in ("global_orient", "body_pose") if name not in own]
    if absent:
        raise ProtocolError(path, f"lacks {' and '.join(absent)}, which posing a body needs")
    own |= {"betas": betas}
    kid_weights = np.asarray(table.get("kid_weight", np.full(count, np.nan)), np.float64).reshape(count)
    if "expression" in table:
        own["expression"] = np.asarray(table["expression"], np.float64).reshape(count, -1)
    has_hands = any(name in own for name in _HAND_POSES)
    if has_hands and "flat_hand_mean" not in table:
        problem = "holds hand poses and does not say whether zero is a flat hand"
        raise ProtocolError(path, problem, "add flat_hand_mean: true (zero is flat) or false (zero is the mean hand)")
    is_flat = not has_hands or bool(np.ravel(table["flat_hand_mean"])[0])
    added = own | {name: own[name] + HAND_MEANS[name.split("_")[0]] for name in _HAND_POSES if name in own}
    has_tree = kind == "smpl" and protocol.regressors.body == "kinematic_24"
    flat, relative = (
        PosedRows(model_dir, kind, genders, parameters, kid_weights, has_tree) for parameters in (own, added)
    )
    mistakes: dict[str, Points] = {}
    if has_hands:
        mistakes[f"flat_hand_mean {'false' if is_flat else 'true'}, not {str(is_flat).lower()}"] = (
            relative if is_flat else flat
        )
    declared = flat if is_flat else relative
    return Content("smpl_with_joints" if has_tree else _kind(kind), declared, mistakes, declared.orientations)


def _kind(kind: str) -> PredictionKind:
    return "smplx" if kind == "smplx" else "smpl"


def _genders(path: Path, table: Table, count: int) -> list[str]:
    genders = [str(value) for value in np.ravel(table.get("gender", "neutral"))]
    genders = genders * count if len(genders) == 1 else genders
    strange = set(genders) - {"neutral", "male", "female"}
    if strange or len(genders) != count:
        found = ", ".join(sorted(strange)) or f"{len(genders)} rows"
        raise ProtocolError(path, f"gender should be neutral, male or female of {count} people, found {found}")
    return genders


def _rotations(path: Path, table: Table, name: str) -> np.ndarray:
    """Return a pose as axis-angle vectors in the shape of the record, from vectors or from rotation matrices."""
    values = np.asarray(table[name], np.float64)
    shape = PARAMETER_SHAPES[name]
    joints = int(np.prod(shape)) // 3
    if name == "body_pose" and values[0].size in (69, 23 * 9):
        joints, shape = 23, (23, 3)
    if values[0].size == 9 * joints:
        values = matrix_to_axis_angle(values.reshape(len(values), joints, 3, 3))
    if values[0].size != 3 * joints:
        found = values[0].size
        why = "; components of a PCA are to be multiplied out first" if name in _HAND_POSES and found < 45 else ""
        raise ProtocolError(path, f"{name} should hold {3 * joints} numbers a person, found {found}{why}")
    return values.reshape(len(values), *shape)


@dataclass(frozen=True, eq=False)
class PosedRows:
    """Poses the bodies of some rows when they are asked for."""

    model_dir: Path
    kind: str
    genders: Sequence[str]
    parameters: Mapping[str, np.ndarray]
    kid_weights: Float[np.ndarray, " people"] | None = None  # of the kid's template; NaN: an adult
    has_tree: bool = False  # SMPL's 24 joints stand behind the vertices

    def __call__(self, rows: Rows) -> np.ndarray:
        """Return the meshes of some rows (m)."""
        return self._posed(rows, with_joints if self.has_tree else PosingModel.vertices)

    def joints(self, rows: Rows) -> np.ndarray:
        """Return the joints of some rows in smplx's order (m)."""
        return self._posed(rows, PosingModel.joints)

    def orientations(self, rows: Rows) -> np.ndarray:
        """Return the orientations of ``CHALLENGE_JOINTS`` of some rows, (rows, 9, 3, 3) in camera space."""
        own = ({name: self.parameters[name][row] for name in ("global_orient", "body_pose")} for row in rows)
        return np.stack([challenge_orientations(parameters) for parameters in own])

    def _posed(self, rows: Rows, of: Callable[[PosingModel, PoseParameters], np.ndarray]) -> np.ndarray:
        whose = [(str(self.genders[row]), self._is_kid(row)) for row in rows.tolist()]
        models = (self.model_dir, self.kind, self.parameters["betas"].shape[1])
        return by_model(models, whose, lambda model, places: of(model, self._of(rows[places])))

    def _is_kid(self, row: int) -> bool:
        return self.kid_weights is not None and bool(np.isfinite(self.kid_weights[row]))

    def _of(self, rows: Rows) -> PoseParameters:
        """Return the parameters of rows that share a model; the weight of a kid's template is one more of its betas."""
        own = {name: value[rows] for name, value in self.parameters.items()}
        if self.kid_weights is not None and self._is_kid(int(rows[0])):
            own["betas"] = with_kid_weight(own["betas"], self.kid_weights[rows], own["betas"].shape[1])
        return own
