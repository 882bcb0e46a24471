"""The true points: meshes as recorded or posed from the recorded parameters, joints of hands, points in the picture.

A part that a person's record does not carry rests at zero (flat hands, closed mouth); whether its measures count is the
business of the ``has_*`` flags.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ..body import posing
from ..body.joints import finger_chain
from ..body.keypoints import convention, convert_keypoints
from ..body.kids import load_kid_model, with_kid_weight
from ..body.posing import PoseParameters, PosingModel
from ..errors import RecordError
from .geometry import HAND_CLOUD, NUM_SMPL_VERTICES, SMPL_WITH_JOINTS
from .interface import BenchmarkPerson, Pose
from .protocol import Protocol

_REQUIRED = ("global_orient", "body_pose", "betas")
_SIDES = ("left", "right")
HAND_NAMES = tuple(f for side in _SIDES for f in (f"{side}_wrist", *finger_chain(side)))  # first of ``HAND_CLOUD``
PICTURE_NAMES = convention("coco_17")


def recorded_meshes(people: Sequence[BenchmarkPerson]) -> Float[np.ndarray, "people vertices 3"]:
    """Return the meshes that the records carry (m, camera space)."""
    for person in people:
        if person.vertices is None:
            raise RecordError(person.person_key, "vertices", "given, because the protocol's truth is a mesh", "none")
    return np.stack([person.vertices for person in people if person.vertices is not None])


def posed_meshes(model_dir: Path, protocol: Protocol) -> Pose:
    """Return the function that poses people's parameters with the body the protocol names (m, camera space).

    Behind the vertices stand the 24 joints of the kinematic tree where the protocol compares those.
    """
    body, posed_by = protocol.body_model, PosingModel.vertices
    if protocol.regressors.body == "kinematic_24":
        posed_by = with_joints

    def pose(people: Sequence[BenchmarkPerson]) -> np.ndarray:
        whose = [(_gender(person, protocol), person.kid_weight is not None) for person in people]
        return by_model(
            (model_dir, body.kind, body.num_betas),
            whose,
            lambda model, rows: posed_by(model, _parameters([people[row] for row in rows], protocol)),
        )

    return pose


def by_model(
    models: tuple[Path, str, int],
    whose: Sequence[tuple[str, bool]],
    of: Callable[[PosingModel, list[int]], np.ndarray],
) -> np.ndarray:
    """Return what ``of`` makes of each row with its body model, row by row; rows of one model are taken together.

    ``models`` are folder, kind and number of betas, ``whose`` each row's gender and whether it is a kid.
    """
    model_dir, kind, num_betas = models
    groups: dict[tuple[str, bool], list[int]] = {}
    for row, key in enumerate(whose):
        groups.setdefault(key, []).append(row)
    points: dict[int, np.ndarray] = {}
    for (gender, is_kid), rows in groups.items():
        load = load_kid_model if is_kid else PosingModel.load
        points |= dict(zip(rows, of(load(model_dir, kind, gender, num_betas), rows), strict=True))
    return np.stack([points[row] for row in range(len(whose))])


def with_joints(model: PosingModel, parameters: PoseParameters) -> Float[np.ndarray, "people 6914 3"]:
    """Return the vertices of SMPL bodies and the joints of their kinematic tree, one behind the other (m)."""
    joints = model.joints(parameters)[:, : SMPL_WITH_JOINTS - NUM_SMPL_VERTICES]
    return np.concatenate([model.vertices(parameters), joints], axis=1)


def stack_parameters(people: Sequence[BenchmarkPerson]) -> dict[str, np.ndarray]:
    """Return the parameters of several people with a leading people axis, absent parts at zero."""
    for person in people:
        absent = [name for name in _REQUIRED if name not in (person.parameters or {})]
        if absent:
            raise RecordError(person.person_key, ", ".join(absent), "given, because the truth is posed", "none")
    return posing.stack_parameters([person.parameters or {} for person in people])


def _parameters(people: Sequence[BenchmarkPerson], protocol: Protocol) -> dict[str, np.ndarray]:
    """Return the parameters of people who share a model; the weight of a kid's template is one more of its betas."""
    stacked = stack_parameters(people)
    if people[0].kid_weight is not None:
        weights = np.array([person.kid_weight for person in people], np.float64)
        stacked["betas"] = with_kid_weight(stacked["betas"], weights, protocol.body_model.num_betas)
    return stacked


def _gender(person: BenchmarkPerson, protocol: Protocol) -> str:
    """Return the gender that poses a person; RecordError when the protocol wants the labelled one and there is none."""
    if protocol.body_model.gendering == "neutral":
        return "neutral"
    if person.gender is None:
        raise RecordError(person.person_key, "gender", f"given, as protocol {protocol.id} asks", "none")
    return person.gender


def hand_joints(people: Sequence[BenchmarkPerson]) -> Float[np.ndarray, "people 42 3"]:
    """Return the recorded joints of both hands (m, camera space), NaN where not labelled.

    The joints of a hand whose wrist is not labelled are NaN too, because nothing says where the hand begins.
    """
    joints = np.stack([_named(person, "keypoints_3d", HAND_NAMES) for person in people])
    for side in _SIDES:
        of_side = HAND_CLOUD[f"{side}_hand", "joints"]
        joints[np.isnan(joints[:, of_side.start]).any(axis=-1), of_side] = np.nan
    return joints


def hand_clouds(model_dir: Path, protocol: Protocol) -> Pose:
    """Return the function that gives recorded joints of hands and meshes posed by MANO, laid out as ``HAND_CLOUD``.

    A mesh stands where its wrist joint is the recorded one.
    """

    def clouds(people: Sequence[BenchmarkPerson]) -> np.ndarray:
        cloud = np.full((len(people), HAND_CLOUD["right_hand", "vertices"].stop, 3), np.nan)
        cloud[:, : len(HAND_NAMES)] = hand_joints(people)
        for side in _SIDES:
            model = PosingModel.load(model_dir, "mano", side, protocol.body_model.num_betas)
            rows = [row for row, person in enumerate(people) if getattr(person, f"has_{side}_hand")]
            if rows:
                posed = _posed_hands([people[row] for row in rows], side, model)
                wrists = cloud[rows, HAND_CLOUD[f"{side}_hand", "joints"].start]
                cloud[rows, HAND_CLOUD[f"{side}_hand", "vertices"]] = posed + wrists[:, None]
        return cloud

    return clouds


def _posed_hands(people: Sequence[BenchmarkPerson], side: str, model: PosingModel) -> np.ndarray:
    """Return the meshes of one hand of each person, relative to its wrist joint (m)."""
    names = {"global_orient": f"{side}_hand_orient", "hand_pose": f"{side}_hand_pose", "betas": "betas"}
    for person in people:
        absent = [name for name in names.values() if name not in (person.parameters or {})]
        if absent:
            raise RecordError(person.person_key, ", ".join(absent), "given, because the truth is posed", "none")
    own = {to: np.stack([(p.parameters or {})[name] for p in people]) for to, name in names.items()}
    return model.vertices(own) - model.joints(own)[:, :1]


def picture_points(people: Sequence[BenchmarkPerson]) -> Float[np.ndarray, "people 17 2"]:
    """Return the 17 points of COCO in pixels of the stored picture, NaN where not labelled."""
    return np.stack([_named(person, "keypoints_2d", PICTURE_NAMES) for person in people])


def _named(person: BenchmarkPerson, field: str, names: tuple[str, ...]) -> np.ndarray:
    """Return a person's keypoints by name without confidence, NaN where there is none."""
    keypoints, own = getattr(person, field), getattr(person, f"{field}_convention")
    if keypoints is None or own is None:
        raise RecordError(person.person_key, field, "given, because the protocol's truth is points", "none")
    found = convert_keypoints(np.asarray(keypoints, np.float64), own, names, approximate=True)
    return np.where(found[:, -1:] > 0, found[:, :-1], np.nan)
