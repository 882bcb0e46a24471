"""One batch of frames: everyone in it posed, measured, boxed, and accepted or rejected, as arrays over people.

The converter's frames go in; frames with complete people and a Reject for everyone else come out. Pictures are not
opened here. Geometry is in camera space (m) and pixels of the stored picture.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal, TypeVar

import numpy as np
from jaxtyping import Float, Int

from ..body.cameras import Distortion, project
from ..body.joints import NUM_BODY_JOINTS, SMPLX_JOINTS
from ..body.keypoints import convert_keypoints
from ..cards import Checks
from ..shards.record import Camera, Frame, Person, Reject
from . import boxes, checks
from .bodies import NUM_JOINTS, Bodies, joints_of
from .columns import Columns
from .mano_hands import hung_hands
from .neutral_shape import NeutralShapes, neutral_shapes
from .occlusion import occlusion

Record = TypeVar("Record", Frame, Person)

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
    pictures: Int[np.ndarray, " people"]  # number of each person's frame in the batch
    people: list[Person]
    cameras: list[Camera]
    columns: Columns
    sizes: Float[np.ndarray, "people 2"]  # width, height of the picture
    joints: Float[np.ndarray, "people 144 3"]
    pixels: Float[np.ndarray, "people 144 2"]
    keypoints: Float[np.ndarray, "people 144 3"]
    keypoints_3d: Float[np.ndarray, "people 144 4"]
    boxes: Float[np.ndarray, "people 4"]
    measured_joints: Float[np.ndarray, "people 144 3"]  # ``joints``, and those of hands without a body
    measured_pixels: Float[np.ndarray, "people 144 2"]
    shapes: NeutralShapes


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
    finished = _finished(crowd, measures)
    kept: list[Frame] = []
    start = 0
    for frame in frames:
        rows = range(start, start + len(frame.people))
        people = tuple([finished[row] for row in rows if row not in rejected])
        start = rows.stop
        if people:
            kept.append(changed(frame, people=people))
    accepted = [row for row in range(len(crowd.people)) if row not in rejected]
    return Outcome(kept, [_reject(crowd, row, *why) for row, why in sorted(rejected.items())], crowd, accepted)


def changed(record: Record, **changes: Any) -> Record:
    """Return a record with some fields changed, at a twentieth of the time of ``dataclasses.replace``."""
    out = object.__new__(type(record))
    vars(out).update(vars(record), **changes)
    return out


def gather(frames: Sequence[Frame], bodies: Bodies) -> Crowd:
    """Return everyone in some frames as arrays, posed and projected."""
    owners = [frame for frame in frames for _ in frame.people]
    people = [person for frame in frames for person in frame.people]
    columns = Columns(people)
    columns.check([frame.key for frame in owners])
    cameras = [person.camera or frame.camera for frame, person in zip(owners, people, strict=True)]
    sizes = np.array([(frame.width, frame.height) for frame in owners], np.float64).reshape(-1, 2)
    joints = joints_of(columns, bodies)
    pixels = project_people(joints, cameras, sizes)
    keypoints_3d = _in_smplx_order(columns, "keypoints_3d")
    hands = hung_hands(columns, keypoints_3d, bodies)
    has_hands = np.isfinite(hands).any()
    measured = np.where(np.isnan(joints), hands, joints) if has_hands else joints
    return Crowd(
        frames=owners,
        pictures=np.repeat(np.arange(len(frames)), [len(frame.people) for frame in frames]),
        people=people,
        cameras=cameras,
        columns=columns,
        sizes=sizes,
        joints=joints,
        pixels=pixels,
        keypoints=_in_smplx_order(columns, "keypoints_2d"),
        keypoints_3d=keypoints_3d,
        boxes=_body_boxes(columns, cameras, sizes, pixels),
        measured_joints=measured,
        measured_pixels=project_people(measured, cameras, sizes) if has_hands else pixels,
        shapes=neutral_shapes(columns, bodies),
    )


def project_people(
    points: Float[np.ndarray, "people points 3"], cameras: Sequence[Camera], sizes: Float[np.ndarray, "people 2"]
) -> Float[np.ndarray, "people points 2"]:
    """Return pixels of each person's points in the own camera; NaN without one and behind it."""
    pixels = np.full((*points.shape[:2], 2), np.nan)
    for lens, rows in _rows_by_lens(cameras):
        K = _intrinsics([cameras[row] for row in rows])
        straight = project(points[rows], K)
        if lens is None:
            pixels[rows] = straight
            continue
        reach = MAX_BEND_REACH * sizes[rows][:, None]
        within = ((straight > -reach) & (straight < sizes[rows][:, None] + reach)).all(axis=-1, keepdims=True)
        pixels[rows] = np.where(within, project(points[rows], K, lens), straight)
    return pixels


def _intrinsics(cameras: Sequence[Camera]) -> Float[np.ndarray, "people 3 3"]:
    """Return K of each camera, NaN where it has none."""
    unknown = np.full((3, 3), np.nan)
    return np.concatenate([unknown if c.K is None else c.K for c in cameras], dtype=np.float64).reshape(-1, 3, 3)


def _rows_by_lens(cameras: Sequence[Camera]) -> Iterator[tuple[Distortion | None, list[int]]]:
    """Yield the rows of people whose pictures are bent alike: None where the stored pixels follow a pinhole."""

    def lens(row: int) -> Distortion | None:
        return None if cameras[row].is_undistorted else cameras[row].distortion

    rows = [row for row, camera in enumerate(cameras) if camera.K is not None]
    for _, group in groupby(sorted(rows, key=lambda row: repr(lens(row))), key=lambda row: repr(lens(row))):
        members = list(group)
        yield lens(members[0]), members


def _in_smplx_order(
    columns: Columns, name: Literal["keypoints_2d", "keypoints_3d"]
) -> Float[np.ndarray, "people 144 values"]:
    """Return everyone's keypoints by the names of SMPL-X; 2D points may stand for a near neighbour, 3D points not."""
    width = 3 if name == "keypoints_2d" else 4
    out = np.zeros((len(columns), NUM_JOINTS, width))
    if not columns.stacks(name):
        return out
    orders = np.array([getattr(person, f"{name}_convention") or "" for person in columns.people], str)
    for rows, points in columns.stacks(name):
        for order in np.unique(orders[rows]).tolist():
            members = orders[rows] == order
            named = convert_keypoints(points[members], order, SMPLX_JOINTS, approximate=width == 3)
            out[rows[members]] = named
    known = np.isfinite(out[..., 0])
    for axis in range(1, width):  # numpy is slow to reduce an axis as short as this
        known &= np.isfinite(out[..., axis])
    out[~known] = 0
    return out


def _body_boxes(
    columns: Columns, cameras: Sequence[Camera], sizes: np.ndarray, pixels: np.ndarray
) -> Float[np.ndarray, "people 4"]:
    """Return the owner's boxes, and tight ones cut to the picture where the owner has none."""
    out = columns.filled("bbox_xyxy", (4,), np.nan)
    lacking = ~columns.has("bbox_xyxy")
    for rows, points in _extents(columns, cameras, sizes, pixels):
        without = lacking[rows]
        some = rows[without]
        out[some] = boxes.clip_boxes(boxes.tight_boxes(points[without]), sizes[some])
        lacking[some] = False
        if not lacking.any():
            break  # before the next extent is computed
    return out


def _extents(
    columns: Columns, cameras: Sequence[Camera], sizes: np.ndarray, pixels: np.ndarray
) -> Iterator[tuple[Int[np.ndarray, " rows"], Float[np.ndarray, "rows points 2"]]]:
    """Yield points in the picture that bound people, the best first: mesh, joints, 2D keypoints, 3D keypoints."""
    for rows, vertices in columns.stacks("vertices"):
        seen = np.array([cameras[row].K is not None for row in rows], bool)
        yield rows[seen], _seen_by(vertices[seen], rows[seen], cameras, sizes)
    posed = np.flatnonzero(np.isfinite(pixels[..., 0]).any(axis=1))
    yield posed, pixels[posed]
    for rows, points in columns.stacks("keypoints_2d"):
        yield rows, np.where(points[..., 2:] > 0, points[..., :2], np.nan)
    for rows, points in columns.stacks("keypoints_3d"):
        yield rows, _seen_by(np.where(points[..., 3:] > 0, points[..., :3], np.nan), rows, cameras, sizes)


def _seen_by(
    points: np.ndarray, rows: Int[np.ndarray, " rows"], cameras: Sequence[Camera], sizes: np.ndarray
) -> Float[np.ndarray, "rows points 2"]:
    """Return the pixels of some people's points."""
    return project_people(points, [cameras[row] for row in rows], sizes[rows])


def measure(crowd: Crowd) -> dict[str, Float[np.ndarray, " people"]]:
    """Return every measure of everyone, NaN where it cannot be taken."""
    side = boxes.box_sides(crowd.boxes).max(axis=1, initial=0)
    side = np.where(side > 0, side, np.nan)
    error = checks.reprojection_px(crowd.measured_pixels, crowd.keypoints)
    return {
        "reprojection_px": error,
        "reprojection_relative": error / side,
        "swap_gain": checks.swap_gain(crowd.pixels, crowd.keypoints, side),
        "joint_error_mm": checks.joint_error_mm(crowd.measured_joints, crowd.keypoints_3d),
        "truncation": checks.truncation(crowd.pixels, crowd.joints, crowd.sizes),
        "occlusion": _occlusion(crowd),
        "neutral_shape_mm": crowd.shapes.distances,
        "min_depth_m": checks.min_depth(crowd.measured_joints),
        "distance_m": checks.distance(crowd.joints),
        "box_coverage": _coverage(crowd),
    }


def _coverage(crowd: Crowd) -> Float[np.ndarray, " people"]:
    """Return the share of the visible body joints, or of the joints of hands without a body, that the box holds."""
    out = boxes.coverage(crowd.pixels[:, :NUM_BODY_JOINTS], crowd.boxes, crowd.sizes)
    hands = np.isnan(out) & np.isfinite(crowd.measured_pixels[..., 0]).any(axis=1)
    out[hands] = boxes.coverage(crowd.measured_pixels[hands], crowd.boxes[hands], crowd.sizes[hands])
    return out


def _occlusion(crowd: Crowd) -> Float[np.ndarray, " people"]:
    """Return the share of everyone's visible body joints that others hide.

    A fit made in a crop of its own, or without metres, says nothing about who stands in front of whom.
    """
    comparable = [
        person.transl_is_metric and camera.kind != "virtual_crop"
        for person, camera in zip(crowd.people, crowd.cameras, strict=True)
    ]
    focals = _intrinsics(crowd.cameras)[:, 0, 0] if crowd.cameras else np.zeros(0)
    return occlusion(crowd.pixels, crowd.joints, focals, crowd.sizes, crowd.pictures, np.array(comparable, bool))


def _rejections(crowd: Crowd, measures: dict[str, np.ndarray], bounds: Checks) -> dict[int, tuple[str, str]]:
    """Return (reason, sentence) for every row that cannot stay; the first reason of a person wins."""
    out: dict[int, tuple[str, str]] = {}
    rules: list[tuple[str, np.ndarray, Callable[[int], str]]] = [
        (
            "behind_camera",
            checks.is_behind_camera(crowd.measured_joints) & (not bounds.may_be_behind_camera),
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


def _finished(crowd: Crowd, measures: dict[str, np.ndarray]) -> list[Person]:
    """Return everyone with joints, boxes and measures filled in; what the owner gave is kept."""
    found = {"bbox_xyxy": crowd.boxes, **{name: _part_boxes(crowd, points) for name, points in _PART_POINTS.items()}}
    added: list[dict[str, Any]] = [{} for _ in crowd.people]
    for name, values in found.items():
        rows = np.flatnonzero(np.all(np.isfinite(values), axis=1) & ~crowd.columns.has(name))
        _add(added, name, values[rows], rows)
    for rows, betas in crowd.shapes.betas:
        _add(added, "betas_neutral", betas, rows)
    rows = np.flatnonzero(np.any(np.isfinite(crowd.joints[..., 0]), axis=1))
    _add(added, "joints_3d", crowd.joints[rows], rows)
    return [
        changed(person, **own, quality={**person.quality, **known})
        for person, own, known in zip(crowd.people, added, _known(measures), strict=True)
    ]


def _add(added: list[dict[str, Any]], name: str, values: np.ndarray, rows: Int[np.ndarray, " rows"]) -> None:
    """Give some people their row of values, as float32."""
    for row, value in zip(rows.tolist(), values.astype(np.float32), strict=True):
        added[row][name] = value


def _known(measures: dict[str, np.ndarray]) -> list[dict[str, float]]:
    """Return the measures that each person has, rounded."""
    table = np.round(np.stack(list(measures.values()), axis=1), _DECIMALS) + 0.0  # + 0.0: no -0
    known = np.isfinite(table)
    return [
        {name: value for name, value, is_known in zip(measures, row, mask, strict=True) if is_known}
        for row, mask in zip(table.tolist(), known.tolist(), strict=True)
    ]


def _part_boxes(crowd: Crowd, points: np.ndarray) -> Float[np.ndarray, "people 4"]:
    """Return boxes of a hand or face: from the projected joints, where there are none from the 2D keypoints."""
    pixels = crowd.pixels[:, points]
    out = boxes.part_boxes(pixels, crowd.sizes)
    lacking = np.flatnonzero(~np.isfinite(pixels[..., 0]).any(axis=1))
    marked = crowd.keypoints[np.ix_(lacking, points)]
    out[lacking] = boxes.part_boxes(np.where(marked[..., 2:] > 0, marked[..., :2], np.nan), crowd.sizes[lacking])
    return out
