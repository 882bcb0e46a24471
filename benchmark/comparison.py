"""What is compared with what: the points of a prediction, the points of the truth, and how each comes about.

A protocol names the body of the truth; a prediction may be a SMPL-X mesh, a SMPL mesh, or points by themselves. Both
sides become arrays of points with a geometry each (``geometry``), and only points that both geometries know by one name
are compared.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_matrix

from ..body.assets import NUM_SMPLX_VERTICES, load_evaluation_assets
from ..body.unpickling import load_pickle
from ..errors import BodyModelError, ProtocolError
from . import truth
from .geometry import (
    HAND_CLOUD,
    NUM_SMPL_VERTICES,
    PELVIS,
    SMPL_WITH_JOINTS,
    body_joints_geometry,
    hand_cloud_geometry,
    load_smpl_geometry,
    load_smplx_geometry,
    smpl_with_joints_geometry,
    smpl_with_root_geometry,
)
from .girths import GIRTHS, Girths, load_girths
from .interface import BenchmarkPerson, Pose
from .measures import Measure
from .metrics import Geometry
from .protocol import PROTOCOL_DIR, Protocol

# What a prediction is: a mesh of either body, a SMPL mesh with the joints of its tree, joints of the body, a cloud of
# hand points without or with vertices, points in the picture.
PredictionKind = Literal["smplx", "smpl", "smpl_with_joints", "body_joints", "hand_joints", "hand_cloud", "points_2d"]
Convert = Callable[[np.ndarray], np.ndarray]
NUM_H36M_JOINTS = 17
SIDES = ("left_hand", "right_hand")
_NOTHING = Geometry({}, {})


@dataclass(frozen=True, eq=False)
class Comparison:
    """Both sides of a protocol for one kind of prediction."""

    predicted: Geometry
    true: Geometry
    truth: Pose  # true points of some people
    num_points: int | None = None  # of a prediction, before it is converted; None: as many as the truth has
    convert: Convert | None = None  # of predicted points, (people, points, 3) to those of ``predicted``
    girths: Girths | None = None  # where the protocol measures them

    def measurable(self, measures: Sequence[Measure]) -> list[Measure]:
        """Return the measures whose points both sides have."""
        return [measure for measure in measures if self._has(measure)]

    def _has(self, measure: Measure) -> bool:
        if not measure.is_of_points and measure.family not in ("angle", "motion"):
            return True  # it looks at the points as they are
        sides = SIDES if measure.part == "hands" else (measure.part,)
        return all((s, measure.points) in g.points for s in sides for g in (self.predicted, self.true))


def compare(protocol: Protocol, model_dir: Path, prediction: PredictionKind = "smplx") -> Comparison:
    """Return both sides of a protocol; ProtocolError where such a prediction cannot be compared under it."""
    if protocol.ground_truth == "hidden":
        problem = "has no truth here: it lies on its owner's server"
        raise ProtocolError(_path(protocol), problem, f"ehps submit {protocol.submission} writes what the owner scores")
    if protocol.ground_truth in ("keypoints_2d", "template"):
        return _of_points(protocol, model_dir, prediction)
    becomes_smpl = protocol.conversion == "smplx_to_smpl" and prediction == "smplx"
    return Comparison(
        predicted=_predicted_geometry(protocol, model_dir, prediction),
        true=_true_geometry(protocol, model_dir),
        truth=true_points(protocol, model_dir),
        num_points=_num_points(protocol, prediction),
        convert=_conversion(protocol, model_dir) if becomes_smpl else None,
    )


def compare_meshes(protocol: Protocol, model_dir: Path) -> Comparison:
    """Return both sides of a protocol for SMPL-X predictions as whole meshes and nothing else, as they are drawn.

    All joints are regressed there, because a drawn mesh has no others.
    """
    regressors = protocol.regressors.model_copy(update={"converted_root": "smpl"})
    if regressors.body == "kinematic_24":
        regressors = regressors.model_copy(update={"body": "J_regressor_24"})
    return compare(protocol.model_copy(update={"regressors": regressors}), model_dir)


_NUM_POINTS: dict[PredictionKind, int] = {
    "smplx": NUM_SMPLX_VERTICES,
    "smpl": NUM_SMPL_VERTICES,
    "smpl_with_joints": SMPL_WITH_JOINTS,
    "body_joints": 24,
    "hand_joints": HAND_CLOUD["right_hand", "joints"].stop,
    "hand_cloud": HAND_CLOUD["right_hand", "vertices"].stop,
    "points_2d": 17,
}


def _num_points(protocol: Protocol, prediction: PredictionKind) -> int:
    if prediction == "body_joints" and protocol.regressors.body == "J_regressor_h36m":
        return NUM_H36M_JOINTS
    return _NUM_POINTS[prediction]


def _of_points(protocol: Protocol, model_dir: Path, prediction: PredictionKind) -> Comparison:
    """Return the sides of protocols whose measures look at all points as they are: shapes and pictures."""
    takes_smplx = protocol.body_model.kind == "smplx" or protocol.conversion == "smplx_to_smpl"
    shapes = [kind for kind, is_taken in (("smplx", takes_smplx), ("smpl", _takes_smpl(protocol))) if is_taken]
    expected = ["points_2d"] if protocol.ground_truth == "keypoints_2d" else shapes
    if prediction not in expected:
        raise _mismatch(protocol, prediction, " or ".join(expected))
    becomes_smpl = protocol.conversion == "smplx_to_smpl" and prediction == "smplx"
    return Comparison(
        _NOTHING,
        _NOTHING,
        true_points(protocol, model_dir),
        _NUM_POINTS[prediction],
        convert=smplx_to_smpl(model_dir) if becomes_smpl else None,
        girths=load_girths(model_dir) if set(protocol.measures) & set(GIRTHS) else None,
    )


def _takes_smpl(protocol: Protocol) -> bool:
    """Return whether a protocol compares SMPL meshes."""
    return protocol.body_model.kind == "smpl" or protocol.conversion == "smplx_to_smpl"


def true_points(protocol: Protocol, model_dir: Path) -> Pose:
    """Return the function that gives the true points of some people (m, camera space; px for points in a picture)."""
    if protocol.ground_truth == "keypoints_2d":
        return truth.picture_points
    if protocol.ground_truth in ("vertices", "template"):
        return truth.recorded_meshes
    if protocol.ground_truth == "joints":
        return truth.hand_joints
    if protocol.ground_truth == "hand":
        return truth.hand_clouds(model_dir, protocol)
    posed = truth.posed_meshes(model_dir, protocol)
    if protocol.body_model.kind == "smplx" and protocol.conversion == "smplx_to_smpl":
        convert = smplx_to_smpl(model_dir)
        return lambda people: convert(posed(people))
    return posed


def _true_geometry(protocol: Protocol, model_dir: Path) -> Geometry:
    if protocol.ground_truth in ("joints", "hand"):
        return hand_cloud_geometry(with_vertices=protocol.ground_truth == "hand")
    if protocol.regressors.body == "kinematic_24":
        return smpl_with_joints_geometry(protocol)
    return (
        load_smpl_geometry(model_dir, protocol) if _takes_smpl(protocol) else load_smplx_geometry(model_dir, protocol)
    )


def _predicted_geometry(protocol: Protocol, model_dir: Path, prediction: PredictionKind) -> Geometry:
    """Return the geometry of a kind of prediction; ProtocolError where the protocol has no use for it."""
    if prediction in ("hand_joints", "hand_cloud") and protocol.ground_truth in ("joints", "hand"):
        return hand_cloud_geometry(with_vertices=prediction == "hand_cloud")
    if prediction == "body_joints" and (geometry := body_joints_geometry(protocol)).points:
        return geometry
    if prediction == "smpl" and _takes_smpl(protocol):
        return load_smpl_geometry(model_dir, protocol)
    if prediction == "smpl_with_joints" and protocol.regressors.body == "kinematic_24":
        return smpl_with_joints_geometry(protocol)
    if prediction == "smplx" and protocol.conversion == "smplx_to_smpl":
        converted = load_smpl_geometry(model_dir, protocol)
        return smpl_with_root_geometry(converted) if protocol.regressors.converted_root == "smplx" else converted
    if prediction == "smplx":
        return load_smplx_geometry(model_dir, protocol)
    expected = "SMPL-X meshes or parameters" + (", SMPL meshes, or joints" if _takes_smpl(protocol) else "")
    raise _mismatch(protocol, prediction, expected)


def _mismatch(protocol: Protocol, prediction: str, expected: str) -> ProtocolError:
    problem = f"cannot score predictions of the kind {prediction}: it compares {expected}"
    return ProtocolError(_path(protocol), problem, f"ehps protocol show {protocol.id}")


def _path(protocol: Protocol) -> Path:
    return PROTOCOL_DIR / f"{protocol.id}.yaml"


def smplx_to_smpl(model_dir: Path) -> Convert:
    """Return the map of SMPL-X meshes (people, 10475, 3) to SMPL meshes (people, 6890, 3) by ``smplx2smpl.pkl``."""
    matrix = _conversion_matrix(model_dir)

    def convert(meshes: Float[np.ndarray, "people 10475 3"]) -> Float[np.ndarray, "people 6890 3"]:
        flat = np.moveaxis(np.asarray(meshes, np.float64), 0, 1).reshape(NUM_SMPLX_VERTICES, -1)
        return np.ascontiguousarray(np.moveaxis((matrix @ flat).reshape(NUM_SMPL_VERTICES, -1, 3), 1, 0))

    return convert


def _conversion(protocol: Protocol, model_dir: Path) -> Convert:
    """Return the conversion of a protocol, which puts the pelvis of the SMPL-X mesh behind the last vertex if asked."""
    convert = smplx_to_smpl(model_dir)
    if protocol.regressors.converted_root == "smpl":
        return convert
    pelvis = load_evaluation_assets(model_dir).J_regressor[PELVIS]

    def with_root(meshes: Float[np.ndarray, "people 10475 3"]) -> Float[np.ndarray, "people 6891 3"]:
        return np.concatenate([convert(meshes), (pelvis @ meshes)[:, None]], axis=1)

    return with_root


@lru_cache(maxsize=2)
def _conversion_matrix(model_dir: Path) -> csr_matrix:
    path = model_dir / "smplx2smpl.pkl"
    if not path.is_file():
        raise BodyModelError(f"{path} is missing: it comes with the model transfer files of the SMPL-X home page")
    matrix = csr_matrix(load_pickle(path)["matrix"])
    if matrix.shape != (NUM_SMPL_VERTICES, NUM_SMPLX_VERTICES):
        raise BodyModelError(f"{path} should hold a matrix of (6890, 10475), found {matrix.shape}")
    return matrix


def inside_picture(points: Float[np.ndarray, "people points 3"], people: Sequence[BenchmarkPerson]) -> np.ndarray:
    """Return which points (m, camera space) of each person lie inside the picture: (people, points) bool."""
    inside = np.zeros(points.shape[:2], bool)
    for row, person in enumerate(people):
        if person.K is None or person.size is None:
            raise ValueError(f"{person.person_key} has no camera, which tells what is inside the picture")
        x, y, w = person.K @ points[row].T
        with np.errstate(invalid="ignore", divide="ignore"):
            u, v = x / w, y / w
            inside[row] = (w > 0) & (u > 0) & (v > 0) & (u < person.size[0]) & (v < person.size[1])
    return inside
