"""How far a converted person is from the true one: as a body in millimetres, in the stored picture in pixels.

This is the check that notices label errors: both bodies are posed and seen, so swapped hands, a mean added twice or a
picture left on its side show up as distances, whatever the fields look like.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ehps.body.cameras import pixels_after_quarter_turns, project
from ehps.body.posing import PosingModel
from ehps.converters import get_converter, list_sources
from ehps.shards.record import Frame, Person, Reject, array_fields
from ehps.tests.raw._hands import TrueHands, found_hands
from ehps.tests.raw._people import Parameters, TruePerson, Truth, batch, body_model, points_2d, with_kid

PARAMETERS = (
    *("global_orient", "body_pose", "left_hand_pose", "right_hand_pose", "jaw_pose", "leye_pose", "reye_pose"),
    *("betas", "expression", "transl", "left_hand_orient", "right_hand_orient"),
)
_EVERY = 40  # these tell as much as all vertices
_STEADY = 127  # the 17 joints after these slide along the jaw by whole degrees of the neck's yaw: rounding moves them


@dataclass(frozen=True)
class Difference:
    """How a converted person differs from the true one; NaN where the source does not tell."""

    mesh_mm: float  # farthest vertex
    joints_px: float  # farthest joint in the stored picture
    keypoints_px: float  # farthest keypoint that counts
    missing: frozenset[str]  # labels that the source tells and the record lacks
    invented: frozenset[str]  # labels that the record holds and the source does not tell


def converted(dataset: str, root: Path, split: str, **options: str) -> Iterator[Frame | Reject]:
    """Yield everything that a converter makes of a split."""
    for source in list_sources(dataset, root, split, options):
        yield from get_converter(dataset).frames(source)


def differences(dataset: str, root: Path, truth: Truth, splits: Iterable[str], **options: str) -> list[Difference]:
    """Return the difference of every true person of the splits; a person who was not converted raises KeyError."""
    return differences_of({split: converted(dataset, root, split, **options) for split in splits}, truth)


def differences_of(splits: Mapping[str, Iterable[Frame | Reject]], truth: Truth) -> list[Difference]:
    """Return the same of what was converted already."""
    found = {}
    for split, records in splits.items():
        for frame in records:
            if isinstance(frame, Frame):
                found |= {(split, frame.key, person.provenance.row): (frame, person) for person in frame.people}
    trios = [(*found[key], true) for key, true in truth.people.items() if key[0] in splits]
    bodies = _bodies([person for _, person, _ in trios])
    for i, (_, person, true) in enumerate(trios):
        if true.own_model is not None:
            bodies[i] = _posed(true.own_model, [_in_own_shape({n: getattr(person, n) for n in _carried(person)})])[0]
    return [_difference(*trio, body) for trio, body in zip(trios, bodies, strict=True)]


def worst(found: Iterable[Difference]) -> tuple[float, float, float]:
    """Return the largest distances (mesh in mm, joints in px, keypoints in px) of several people."""
    rows = np.array([(one.mesh_mm, one.joints_px, one.keypoints_px) for one in found])
    return tuple(float(np.nanmax(column)) if np.isfinite(column).any() else float("nan") for column in rows.T)


def _difference(frame: Frame, person: Person, true: TruePerson, body: np.ndarray | None) -> Difference:
    """Return how a converted person, posed as ``body``, differs from the true one."""
    carried = _carried(person)
    camera = person.camera or frame.camera
    mesh_mm = joints_px = float("nan")
    if isinstance(true, TrueHands):
        body = found_hands(person, carried)
    if body is not None and camera.K is not None:
        want = _true_body(true)
        seen = _in_stored_picture(want, true, frame)
        mesh_mm = 1000 * _farthest(body - want)
        # A body without mesh and transl stands at the origin, the true one, too.
        if person.vertices is not None or person.transl is not None or isinstance(true, TrueHands):
            bent = None if camera.is_undistorted else camera.distortion
            joints_px = _farthest(project(body, camera.K, bent) - seen)
    keypoints_px = _keypoint_error(frame, person, true)
    return Difference(mesh_mm, joints_px, keypoints_px, true.labelled - carried, carried - true.labelled)


def _farthest(offsets: np.ndarray) -> float:
    """Return the length of the longest known offset; NaN when none is known."""
    lengths = np.linalg.norm(offsets, axis=1)
    return float(np.nanmax(lengths)) if np.isfinite(lengths).any() else float("nan")


def _carried(person: Person) -> frozenset[str]:
    """Return the names of the pose and shape labels that a person carries."""
    return frozenset(array_fields(person)) & {*PARAMETERS, "vertices"}


def _bodies(people: Sequence[Person]) -> list[np.ndarray | None]:
    """Return, for each person, the sampled vertices and the joints in camera space (m); None without parameters.

    A person with a mesh has its sampled vertices alone, one without transl stands at the origin. People of one kind are
    posed together.
    """
    out: list[np.ndarray | None] = [None] * len(people)
    groups: dict[tuple, list[int]] = {}
    for i, person in enumerate(people):
        if person.vertices is not None:
            out[i] = person.vertices[::_EVERY].astype(np.float64)
        elif {"global_orient", "body_pose", "betas"} <= _carried(person):
            kind = (person.body_model, person.gender, len(person.betas))
            groups.setdefault((kind, person.kid_weight is not None, _carried(person)), []).append(i)
    for (kind, is_kid, carried), rows in groups.items():
        members = [
            with_kid({name: getattr(people[i], name).astype(np.float64) for name in carried}, people[i].kid_weight)
            for i in rows
        ]
        for row, body in zip(rows, _posed(body_model(*kind, is_kid=is_kid), members), strict=True):
            out[row] = body
    return out


@lru_cache(maxsize=1024)
def _true_body(true: TruePerson) -> np.ndarray:
    """Return the same points of the true person, posed with what the source tells about it."""
    if isinstance(true, TrueHands):
        return true.told()
    if "vertices" in true.labelled and true.own_model is None:
        return true.vertices()[::_EVERY].astype(np.float64)
    told = {name: true.parameters[name] for name in true.labelled - {"vertices"}}
    if true.own_model is not None:
        told = _in_own_shape(told)
    return _posed(true.model, [with_kid(told, true.kid_weight)])[0]


def _in_own_shape(told: Parameters) -> Parameters:
    """Return the parameters of somebody whose model has the shape already: no betas, and the mesh is left out."""
    parameters = {name: value.astype(np.float64) for name, value in told.items() if name != "vertices"}
    return {**parameters, "betas": np.zeros(0)}


@lru_cache(maxsize=1024)
def _true_joints(true: TruePerson) -> np.ndarray:
    return true.joints()


def _posed(model: PosingModel, people: Sequence[Parameters]) -> np.ndarray:
    together = batch(people)
    vertices = model.points(together, np.arange(0, len(model.template), _EVERY))
    return np.concatenate([vertices, model.joints(together)[:, :_STEADY]], axis=1)


def _in_stored_picture(points: np.ndarray, true: TruePerson, frame: Frame) -> np.ndarray:
    """Return where points of the true person are in the owner's picture after the turns that the frame asks for."""
    turns = (frame.quarter_turns - true.quarter_turns) % 4
    return pixels_after_quarter_turns(project(points, true.K, true.distortion), *true.size, turns)


def _keypoint_error(frame: Frame, person: Person, true: TruePerson) -> float:
    """Return the largest distance of a counted keypoint from the true joint of that name (px)."""
    if person.keypoints_2d is None:
        return float("nan")
    pixels = points_2d(_in_stored_picture(_true_joints(true), true, frame), person.keypoints_2d_convention)
    counts = person.keypoints_2d[:, 2] > 0
    return _farthest(person.keypoints_2d[counts, :2] - pixels[counts])
