"""One batch of frames: everyone in it posed, measured, boxed, and accepted or rejected, as arrays over people.

The converter's frames go in; frames with complete people and a Reject for everyone else come out. Pictures are not
opened here. Geometry is in camera space (m) and pixels of the stored picture.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

import numpy as np
from jaxtyping import Float

from ..body.cameras import Distortion, project
from ..body.joints import NUM_BODY_JOINTS, SMPLX_JOINTS
from ..body.keypoints import convert_keypoints
from ..cards import Checks
from ..shards.record import Camera, Frame, Person, Reject, check_person
from . import boxes, checks
from .bodies import NUM_JOINTS, Bodies, joints_of

# A lens polynomial is fitted inside the picture; further out than this many picture sizes it may fold points back in.
MAX_BEND_REACH = 1.0
_PART_POINTS = {
    "face_bbox_xyxy": np.arange(76, 144),
    "left_hand_bbox_xyxy": np.array(checks.HAND_POINTS["left"]),
    "right_hand_bbox_xyxy": np.array(checks.HAND_POINTS["right"]),
}
_DECIMALS = 4  # of a stored measure, finer than any label; the rest would be rounding noise of the machine


@dataclass(frozen=True, eq=False)
class Crowd:
    """Everyone in a batch as arrays; NaN or a confidence of zero where something is unknown."""

    frames: list[Frame]  # of each person
    people: list[Person]
    cameras: list[Camera]
    sizes: Float[np.ndarray, "people 2"]  # width, height of the picture
    joints: Float[np.ndarray, "people 144 3"]
    pixels: Float[np.ndarray, "people 144 2"]
    keypoints: Float[np.ndarray, "people 144 3"]
    keypoints_3d: Float[np.ndarray, "people 144 4"]
    boxes: Float[np.ndarray, "people 4"]


@dataclass(frozen=True)
class Outcome:
    """What a batch came to."""

    frames: list[Frame]  # with the accepted people only; frames that lost everyone are gone
    rejects: list[Reject]
    crowd: Crowd
    accepted: list[int]  # rows of the crowd


def examine(frames: Sequence[Frame], bodies: Bodies, bounds: Checks) -> Outcome:
    """Return the frames with joints, boxes and measures, and everyone who cannot stay; RecordError is a bug."""
    crowd = gather(frames, bodies)
    measures = measure(crowd)
    rejected = _rejections(crowd, measures, bounds)
    finished = list(_finished(crowd, measures))
    kept: list[Frame] = []
    start = 0
    for frame in frames:
        rows = range(start, start + len(frame.people))
        people = tuple(finished[row] for row in rows if row not in rejected)
        start = rows.stop
        if people:
            kept.append(replace(frame, people=people))
    accepted = [row for row in range(len(crowd.people)) if row not in rejected]
    return Outcome(kept, [_reject(crowd, row, *why) for row, why in sorted(rejected.items())], crowd, accepted)


def gather(frames: Sequence[Frame], bodies: Bodies) -> Crowd:
    """Return everyone in some frames as arrays, posed and projected."""
    owners = [frame for frame in frames for _ in frame.people]
    people = [person for frame in frames for person in frame.people]
    for frame, person in zip(owners, people, strict=True):
        check_person(frame.key, person)
    cameras = [person.camera or frame.camera for frame, person in zip(owners, people, strict=True)]
    sizes = np.array([(frame.width, frame.height) for frame in owners], np.float64).reshape(-1, 2)
    joints = joints_of(people, bodies)
    pixels = project_people(joints, cameras, sizes)
    return Crowd(
        frames=owners,
        people=people,
        cameras=cameras,
        sizes=sizes,
        joints=joints,
        pixels=pixels,
        keypoints=_in_smplx_order(people, "keypoints_2d"),
        keypoints_3d=_in_smplx_order(people, "keypoints_3d"),
        boxes=_body_boxes(people, cameras, sizes, pixels),
    )


def project_people(
    points: Float[np.ndarray, "people points 3"], cameras: Sequence[Camera], sizes: Float[np.ndarray, "people 2"]
) -> Float[np.ndarray, "people points 2"]:
    """Return pixels of each person's points in the own camera; NaN without one and behind it."""
    pixels = np.full((*points.shape[:2], 2), np.nan)
    for lens, rows in _rows_by_lens(cameras):
        K = np.stack([_intrinsics(cameras[row]) for row in rows])
        straight = project(points[rows], K)
        if lens is None:
            pixels[rows] = straight
            continue
        reach = MAX_BEND_REACH * sizes[rows][:, None]
        within = ((straight > -reach) & (straight < sizes[rows][:, None] + reach)).all(axis=-1, keepdims=True)
        pixels[rows] = np.where(within, project(points[rows], K, lens), straight)
    return pixels


def _intrinsics(camera: Camera) -> Float[np.ndarray, "3 3"]:
    assert camera.K is not None
    return camera.K.astype(np.float64)


def _rows_by_lens(cameras: Sequence[Camera]) -> Iterator[tuple[Distortion | None, list[int]]]:
    """Yield the rows of people whose pictures are bent alike: None where the stored pixels follow a pinhole."""

    def lens(row: int) -> Distortion | None:
        return None if cameras[row].is_undistorted else cameras[row].distortion

    rows = [row for row, camera in enumerate(cameras) if camera.K is not None]
    for _, group in groupby(sorted(rows, key=lambda row: repr(lens(row))), key=lambda row: repr(lens(row))):
        members = list(group)
        yield lens(members[0]), members


def _in_smplx_order(
    people: Sequence[Person], name: Literal["keypoints_2d", "keypoints_3d"]
) -> Float[np.ndarray, "people 144 values"]:
    """Return everyone's keypoints by the names of SMPL-X; 2D points may stand for a near neighbour, 3D points not."""
    width = 3 if name == "keypoints_2d" else 4
    out = np.zeros((len(people), NUM_JOINTS, width))
    rows: dict[str, list[int]] = {}
    for row, person in enumerate(people):
        order = getattr(person, f"{name}_convention")
        if order is not None:
            rows.setdefault(order, []).append(row)
    for order, members in rows.items():
        points = np.stack([getattr(people[row], name) for row in members]).astype(np.float64)
        out[members] = convert_keypoints(points, order, SMPLX_JOINTS, approximate=width == 3)
    out[~np.all(np.isfinite(out), axis=-1)] = 0
    return out


def _body_boxes(
    people: Sequence[Person], cameras: Sequence[Camera], sizes: np.ndarray, pixels: np.ndarray
) -> Float[np.ndarray, "people 4"]:
    """Return the owner's boxes, and tight ones cut to the picture where the owner has none."""
    out = np.full((len(people), 4), np.nan)
    for row, person in enumerate(people):
        if person.bbox_xyxy is not None:
            out[row] = person.bbox_xyxy
            continue
        points = _extent(person, cameras[row], sizes[row], pixels[row])
        out[row] = boxes.clip_boxes(boxes.tight_boxes(points[None]), sizes[row : row + 1])[0]
    return out


def _extent(person: Person, camera: Camera, size: np.ndarray, pixels: np.ndarray) -> Float[np.ndarray, "points 2"]:
    """Return the best points in the picture that bound a person: mesh, joints, 2D keypoints, 3D keypoints."""
    if person.vertices is not None and camera.K is not None:
        return project_people(person.vertices[None], [camera], size[None])[0]
    if np.isfinite(pixels).any():
        return pixels
    if person.keypoints_2d is not None:
        return np.where(person.keypoints_2d[:, 2:] > 0, person.keypoints_2d[:, :2], np.nan)
    if person.keypoints_3d is not None:
        known = np.where(person.keypoints_3d[:, 3:] > 0, person.keypoints_3d[:, :3], np.nan)
        return project_people(known[None], [camera], size[None])[0]
    return pixels


def measure(crowd: Crowd) -> dict[str, Float[np.ndarray, " people"]]:
    """Return every measure of everyone, NaN where it cannot be taken."""
    side = boxes.box_sides(crowd.boxes).max(axis=1, initial=0)
    side = np.where(side > 0, side, np.nan)
    error = checks.reprojection_px(crowd.pixels, crowd.keypoints)
    body = slice(0, NUM_BODY_JOINTS)
    return {
        "reprojection_px": error,
        "reprojection_relative": error / side,
        "swap_gain": checks.swap_gain(crowd.pixels, crowd.keypoints, side),
        "joint_error_mm": checks.joint_error_mm(crowd.joints, crowd.keypoints_3d),
        "truncation": checks.truncation(crowd.pixels, crowd.joints, crowd.sizes),
        "min_depth_m": checks.min_depth(crowd.joints),
        "distance_m": checks.distance(crowd.joints),
        "box_coverage": boxes.coverage(crowd.pixels[:, body], crowd.boxes, crowd.sizes),
    }


def _rejections(crowd: Crowd, measures: dict[str, np.ndarray], bounds: Checks) -> dict[int, tuple[str, str]]:
    """Return (reason, sentence) for every row that cannot stay; the first reason of a person wins."""
    out: dict[int, tuple[str, str]] = {}
    rules: list[tuple[str, np.ndarray, Callable[[int], str]]] = [
        (
            "behind_camera",
            checks.is_behind_camera(crowd.joints),
            lambda row: f"the nearest joint lies {measures['min_depth_m'][row]:.3f} m in front of the camera",
        ),
        _above("reprojection", measures["reprojection_px"], bounds.max_reprojection_px, "px from its 2D keypoints"),
        _above("joint_error", measures["joint_error_mm"], bounds.max_joint_error_mm, "mm from its 3D joints"),
        (
            "empty_box",
            boxes.is_degenerate(crowd.boxes, crowd.sizes),
            lambda row: f"the box {_numbers(crowd.boxes[row])} shows nothing of a {_numbers(crowd.sizes[row])} picture",
        ),
    ]
    for reason, mask, sentence in rules:
        for row in np.flatnonzero(mask).tolist():
            out.setdefault(row, (reason, sentence(row)))
    return out


def _above(
    reason: str, values: np.ndarray, bound: float | None, what: str
) -> tuple[str, np.ndarray, Callable[[int], str]]:
    """Return the rule that a measure must not pass the bound of the card; without a bound nobody does."""
    mask = values > (np.inf if bound is None else bound)
    return reason, mask, lambda row: f"the body lies {values[row]:.1f} {what}, the card allows {bound:g}"


def _numbers(values: np.ndarray) -> str:
    """Return numbers for a sentence."""
    return "(" + ", ".join(f"{value:.0f}" for value in values) + ")"


def _reject(crowd: Crowd, row: int, reason: str, detail: str) -> Reject:
    """Return the Reject of one person."""
    where = crowd.people[row].provenance
    return Reject(key=crowd.frames[row].key, reason=reason, detail=detail, provenance=where)


def _finished(crowd: Crowd, measures: dict[str, np.ndarray]) -> Iterator[Person]:
    """Yield everyone with joints, boxes and measures filled in; what the owner gave is kept."""
    parts = {name: _part_boxes(crowd, points) for name, points in _PART_POINTS.items()}
    rounded = {name: np.round(values, _DECIMALS) + 0.0 for name, values in measures.items()}  # + 0.0: no -0
    for row, person in enumerate(crowd.people):
        found = {"bbox_xyxy": crowd.boxes[row], **{name: values[row] for name, values in parts.items()}}
        filled = {
            name: box.astype(np.float32)
            for name, box in found.items()
            if getattr(person, name) is None and np.isfinite(box).all()
        }
        if np.isfinite(crowd.joints[row]).any():
            filled["joints_3d"] = crowd.joints[row].astype(np.float32)
        known = {name: float(values[row]) for name, values in rounded.items() if np.isfinite(values[row])}
        yield replace(person, **filled, quality={**person.quality, **known})


def _part_boxes(crowd: Crowd, points: np.ndarray) -> Float[np.ndarray, "people 4"]:
    """Return boxes of a hand or face: from the projected joints, where there are none from the 2D keypoints."""
    projected = boxes.part_boxes(crowd.pixels[:, points], crowd.sizes)
    marked = crowd.keypoints[:, points]
    detected = boxes.part_boxes(np.where(marked[..., 2:] > 0, marked[..., :2], np.nan), crowd.sizes)
    has_joints = np.any(np.isfinite(crowd.pixels[:, points]), axis=(1, 2))
    return np.where(has_joints[:, None], projected, detected)
