"""The joints of people in camera space: posed from their parameters or read off their mesh, many people at once.

Every person gets the 144 points of ``SMPLX_JOINTS``, NaN where the labels say nothing: fingers without a hand pose, the
face without jaw and expression, all but the 22 shared body joints of a SMPL or SMPL-H body, the face contour of a mesh
(which needs the neck's rotation). Without the user's body-model files nothing is posed, and what was wanted is noted.
Facts: the ``smplx`` package for the order of joints and for the kid's shape component (``age="kid"``).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ..body.assets import NUM_SMPLX_VERTICES
from ..body.joints import NUM_BODY_JOINTS, NUM_KINEMATIC_JOINTS
from ..body.models import model_fingerprint
from ..body.posing import PARAMETER_NAMES, PosingModel, model_path, stack_parameters
from ..errors import BodyModelError
from ..shards.record import Person

NUM_JOINTS = 144
_PICKED = slice(55, 76)
_LANDMARKS = slice(76, 127)
_FACE = slice(76, 144)
_FINGERS = {
    "left_hand_pose": np.r_[25:40, 66:71],  # joints, then tips
    "right_hand_pose": np.r_[40:55, 71:76],
}
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
        load = _kid_model if is_kid else PosingModel.load
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
        path = _kid_path(directory, kind)
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else None
    try:
        model_path(directory, kind, variant)
    except BodyModelError:
        return None
    return model_fingerprint(directory, kind, variant)


def _kid_path(directory: Path, kind: str) -> Path:
    return directory / kind / f"{kind}_kid_template.npy"


@lru_cache(maxsize=8)
def _kid_model(directory: Path, kind: str, gender: str, num_betas: int) -> PosingModel:
    """Return a model with one more shape component, which leads from the adult's template to the kid's."""
    adult = PosingModel.load(directory, kind, gender, num_betas)
    kid = np.load(_kid_path(directory, kind), allow_pickle=False)
    towards_kid = (kid - kid.mean(axis=0) - adult.template)[..., None]
    betas, expression = adult.shape_directions[..., :num_betas], adult.shape_directions[..., num_betas:]
    directions = np.concatenate([betas, towards_kid, expression], axis=2)
    return replace(adult, shape_directions=directions, num_betas=num_betas + 1)


def joints_of(people: Sequence[Person], bodies: Bodies) -> Float[np.ndarray, "people 144 3"]:
    """Return the joints of people in camera space (m), NaN where they are not known."""
    joints = np.full((len(people), NUM_JOINTS, 3), np.nan)
    for group, rows in _groups(people).items():
        model = bodies.model(*group)
        if model is not None:
            members = [people[row] for row in rows]
            joints[rows] = _posed(members, model, is_kid=group[3])
    rows = [row for row, person in enumerate(people) if not is_posable(person) and _has_mesh(person)]
    model = bodies.model("smplx", "neutral", 10) if rows else None
    if model is not None:
        joints[rows] = mesh_joints(np.stack([np.asarray(people[row].vertices) for row in rows]), model)
    return joints


def is_posable(person: Person) -> bool:
    """Return whether a person has all parameters that put a body into camera space."""
    return person.body_model not in (None, "mano") and all(getattr(person, name) is not None for name in _REQUIRED)


def _has_mesh(person: Person) -> bool:
    """Return whether a person carries a SMPL-X mesh."""
    return person.vertices is not None and len(person.vertices) == NUM_SMPLX_VERTICES


def _groups(people: Sequence[Person]) -> dict[Group, list[int]]:
    """Return the rows of posable people by the model that they share."""
    groups: dict[Group, list[int]] = {}
    for row, person in enumerate(people):
        if is_posable(person):
            assert person.body_model is not None
            assert person.gender is not None
            assert person.betas is not None
            key = (person.body_model, person.gender, len(person.betas), bool(person.kid_weight))
            groups.setdefault(key, []).append(row)
    return groups


def _posed(people: Sequence[Person], model: PosingModel, is_kid: bool) -> Float[np.ndarray, "people 144 3"]:
    """Return the joints of people who share a model."""
    posed = model.joints(_parameters(people, is_kid))
    if model.kind == "smplx":
        return _only_labelled(posed, people)
    joints = np.full((len(people), NUM_JOINTS, 3), np.nan)
    joints[:, :NUM_BODY_JOINTS] = posed[:, :NUM_BODY_JOINTS]
    return joints


def _parameters(people: Sequence[Person], is_kid: bool) -> dict[str, np.ndarray]:
    """Return the parameters of people who share a model as arrays; the kid weight is one more of a kid's betas."""
    values = stack_parameters([{name: getattr(person, name) for name in PARAMETER_NAMES} for person in people])
    if is_kid:
        weights = np.array([[person.kid_weight] for person in people], np.float64)
        values["betas"] = np.concatenate([values["betas"], weights], axis=1)
    return values


def _only_labelled(joints: np.ndarray, people: Sequence[Person]) -> Float[np.ndarray, "people 144 3"]:
    """Return SMPL-X joints with NaN for fingers and faces that nobody labelled."""
    for row, person in enumerate(people):
        for name, fingers in _FINGERS.items():
            if getattr(person, name) is None:
                joints[row, fingers] = np.nan
        if person.jaw_pose is None and person.expression is None:
            joints[row, _FACE] = np.nan
    return joints


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
