"""The joints of people in camera space: posed from their parameters or read off their mesh, many people at once.

Every person gets the 144 points of ``SMPLX_JOINTS``, NaN where the labels say nothing: fingers without a hand pose, the
face without jaw and expression, all but the 22 shared body joints of a SMPL body (and the fingers of a SMPL-H one), the
face contour of a mesh (which needs the neck's rotation). Without the user's body-model files nothing is posed, and what
was wanted is noted.
Facts: the ``smplx`` package for the order of joints.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from ..body.assets import NUM_SMPLX_VERTICES
from ..body.joints import NUM_BODY_JOINTS, NUM_KINEMATIC_JOINTS
from ..body.kids import kid_template_path, load_kid_model, with_kid_weight
from ..body.models import model_fingerprint
from ..body.posing import PARAMETER_SHAPES, PosingModel, model_path
from ..errors import BodyModelError
from ..shards.record import Person
from .columns import Columns

NUM_JOINTS = 144
_PICKED = slice(55, 76)
_LANDMARKS = slice(76, 127)
_FACE = slice(76, 144)
_FINGERS = {
    "left_hand_pose": np.r_[25:40, 66:71],  # joints, then tips
    "right_hand_pose": np.r_[40:55, 71:76],
}
_SMPLH_FINGERS = {"left_hand_pose": np.r_[22:37, 63:68], "right_hand_pose": np.r_[37:52, 68:73]}
_REQUIRED = ("global_orient", "body_pose", "betas", "transl")
Group = tuple[str, str, int, bool]  # body model, gender, number of betas, whether it is a kid


@dataclass
class Bodies:
    """The user's body models, and which of them were wanted so far."""

    directory: Path | None
    wanted: dict[str, str | None] = field(default_factory=dict)  # "smplx/neutral" -> fingerprint, None: not there

    def model(self, kind: str, gender: str, num_betas: int, is_kid: bool = False) -> PosingModel | None:
        """Return a posing model, None when the user has no file of it; either way it is noted as wanted."""
        names = [f"{kind}/{gender}"] + ([f"{kind}/kid"] if is_kid else [])
        for name in names:
            self.wanted.setdefault(name, fingerprint(self.directory, name))
        if self.directory is None or any(self.wanted[name] is None for name in names):
            return None
        load = load_kid_model if is_kid else PosingModel.load
        return load(self.directory, kind, gender, num_betas)

    @property
    def used(self) -> dict[str, str]:
        """Return the fingerprints of the models that took part."""
        return {name: digest for name, digest in sorted(self.wanted.items()) if digest is not None}

    @property
    def missing(self) -> list[str]:
        """Return the models that people needed and the user has not got."""
        return sorted(name for name, digest in self.wanted.items() if digest is None)


def fingerprint(directory: Path | None, name: str) -> str | None:
    """Return the fingerprint of a model such as ``smplx/neutral`` or ``smplx/kid``; None when there is no such file."""
    if directory is None:
        return None
    kind, variant = name.split("/")
    if variant == "kid":
        path = kid_template_path(directory, kind)
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else None
    try:
        model_path(directory, kind, variant)
    except BodyModelError:
        return None
    return model_fingerprint(directory, kind, variant)


def joints_of(people: Sequence[Person] | Columns, bodies: Bodies) -> Float[np.ndarray, "people 144 3"]:
    """Return the joints of people in camera space (m), NaN where they are not known."""
    columns = people if isinstance(people, Columns) else Columns(people)
    joints = np.full((len(columns), NUM_JOINTS, 3), np.nan)
    posable = _are_posable(columns)
    for group, rows in _groups(columns, posable).items():
        model = bodies.model(*group)
        if model is not None:
            _pose(joints, columns, np.array(rows), model, is_kid=group[3])
    for rows, meshes in columns.stacks("vertices"):
        lone = ~posable[rows]
        if meshes.shape[1] == NUM_SMPLX_VERTICES and lone.any():
            model = bodies.model("smplx", "neutral", 10)
            if model is not None:
                joints[rows[lone]] = mesh_joints(meshes[lone], model)
    for rows, given in columns.stacks("joints_3d"):  # of bodies that only the converter can pose
        joints[rows[~posable[rows]]] = given[~posable[rows]]
    return joints


def is_posable(person: Person) -> bool:
    """Return whether a person has all parameters that put a body into camera space."""
    return person.body_model not in (None, "mano") and all(getattr(person, name) is not None for name in _REQUIRED)


def _are_posable(columns: Columns) -> Bool[np.ndarray, " people"]:
    """Return ``is_posable`` of everyone."""
    has_model = np.array([person.body_model not in (None, "mano") for person in columns.people], bool)
    return np.logical_and.reduce([has_model, *(columns.has(name) for name in _REQUIRED)])


def _groups(columns: Columns, posable: Bool[np.ndarray, " people"]) -> dict[Group, list[int]]:
    """Return the rows of posable people by the model that they share."""
    groups: dict[Group, list[int]] = {}
    for row in np.flatnonzero(posable).tolist():
        person = columns.people[row]
        assert person.body_model is not None
        assert person.gender is not None
        assert person.betas is not None
        key = (person.body_model, person.gender, len(person.betas), bool(person.kid_weight))
        groups.setdefault(key, []).append(row)
    return groups


def _pose(
    joints: Float[np.ndarray, "everyone 144 3"],
    columns: Columns,
    rows: Int[np.ndarray, " members"],
    model: PosingModel,
    *,
    is_kid: bool,
) -> None:
    """Fill in the joints of people who share a model; landmarks are computed only for labelled faces."""
    if model.kind != "smplx":
        found = model.joints(_parameters(columns, rows, is_kid))
        joints[rows, :NUM_BODY_JOINTS] = found[:, :NUM_BODY_JOINTS]
        for name, fingers in _SMPLH_FINGERS.items() if model.kind == "smplh" else ():
            own = columns.has(name)[rows]
            joints[np.ix_(rows[own], _FINGERS[name])] = found[np.ix_(own, fingers)]
        return
    has_face = (columns.has("jaw_pose") | columns.has("expression"))[rows]
    for some, count in ((rows[has_face], NUM_JOINTS), (rows[~has_face], _FACE.start)):
        if len(some):
            parameters = _parameters(columns, some, is_kid)
            joints[some, :count] = model.joints(parameters, with_face=count == NUM_JOINTS)
    for name, fingers in _FINGERS.items():
        joints[np.ix_(rows[~columns.has(name)[rows]], fingers)] = np.nan


def _parameters(columns: Columns, rows: Int[np.ndarray, " members"], is_kid: bool) -> dict[str, np.ndarray]:
    """Return the parameters of people who share a model as arrays; the kid weight is one more of a kid's betas."""
    shapes = PARAMETER_SHAPES | {"body_pose": (max(21, columns.widest("body_pose")), 3)}
    shapes |= {name: (columns.widest(name),) for name in ("betas", "expression")}
    values = {name: columns.filled(name, shape)[rows] for name, shape in shapes.items() if columns.stacks(name)}
    if is_kid:
        assert columns.people[rows[0]].betas is not None
        weights = np.array([columns.people[row].kid_weight for row in rows], np.float64)
        values["betas"] = with_kid_weight(values["betas"], weights, len(columns.people[rows[0]].betas))
    return values


def mesh_joints(vertices: Float[np.ndarray, "people 10475 3"], model: PosingModel) -> Float[np.ndarray, "people 144 3"]:
    """Return the joints of SMPL-X meshes: regressed, picked, on the triangles of the face; the contour is NaN."""
    assert model.landmarks is not None
    vertices = vertices.astype(np.float64)
    joints = np.full((len(vertices), NUM_JOINTS, 3), np.nan)
    joints[:, :NUM_KINEMATIC_JOINTS] = model.joint_regressor @ vertices
    joints[:, _PICKED] = vertices[:, model.picks]
    corners = vertices[:, model.landmarks.faces]
    joints[:, _LANDMARKS] = np.einsum("lk,plkd->pld", model.landmarks.weights, corners)
    return joints
