"""Small pictures of frames and people with labels drawn on them.

A tile is a window of the stored picture, cut by one affine map; keypoints, boxes and the camera go through the same
map, so that labels stay where they are in the picture. Of whom only labels were converted, they are drawn on an empty
ground. Pixel centres lie at integers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from ..body.cameras import project
from ..body.draw import LEFT_COLOR, RIGHT_COLOR, draw_box, draw_skeleton, render_mesh
from ..body.keypoints import convention
from ..errors import PictureError, ShardError
from ..shards.cutting import cut_person
from ..shards.picture import encode_jpeg
from ..shards.stored import StoredFrame, StoredPerson
from .plaintext import plain
from .posed import Body, bodies

Image = UInt8[np.ndarray, "height width 3"]
Mark = Literal["keypoints", "joints", "boxes", "mesh"]
Overlay = Literal["none", "keypoints", "joints", "boxes", "mesh"]
OVERLAYS: tuple[str, ...] = get_args(Overlay)
MARKS: tuple[str, ...] = get_args(Mark)
FRAME_WIDTH, FRAME_HEIGHTS = 480, (270, 400)  # px of a tile; the height keeps between these bounds
UPRIGHT_WIDTH, UPRIGHT_HEIGHTS = 320, (320, 480)  # the same where most pictures are higher than wide
PERSON_SIZE = (270, 360)
LARGE = (900, 900)  # px; no larger side of the picture of one person's page
_LEAST_WIDTH = 0.95  # of the height, so that people who stand fit on a screen
MARGIN = 0.25  # of a person's box, on each side
QUALITY = 88
_KEY = 22  # letters of a frame's key under its tile
_GROUND = (24, 28, 34)


@dataclass(frozen=True)
class Tile:
    """One encoded picture and what to write under it."""

    data: bytes  # JPEG
    caption: str  # Markdown
    alt: str
    has_picture: bool = True  # False: only labels were converted
    problem: str = ""  # why nothing could be read: a sentence
    is_upright: bool = False  # higher than wide, so that more of them stand in a row


def has_picture(frame: StoredFrame) -> bool:
    """Return whether the picture of a frame was converted, and not only its labels."""
    return "image" in frame.meta


def frame_tiles(frames: Sequence[StoredFrame], overlay: Overlay, opacity: float) -> list[Tile]:
    """Return whole frames with everyone's labels.

    All tiles have one size, so that they stand in rows: its height follows the median shape of the pictures.
    """
    shape = float(np.median([frame.meta["height"] / frame.meta["width"] for frame in frames] or [0]))
    width, bounds = (UPRIGHT_WIDTH, UPRIGHT_HEIGHTS) if shape > 1 else (FRAME_WIDTH, FRAME_HEIGHTS)
    size = width, int(np.clip(width * shape, *bounds))
    brush = _brush([person for frame in frames for person in frame.people], overlay, opacity)
    return [_frame_tile(frame, size, brush) for frame in frames]


@dataclass(frozen=True, eq=False)
class Painted:
    """A body that is no label, such as a prediction, in one colour or one a vertex (0..1)."""

    body: Body
    colour: Float[np.ndarray, "*vertices 3"]


def person_tiles(
    people: Sequence[StoredPerson],
    overlay: Overlay,
    opacity: float,
    notes: Sequence[str] = (),
    others: Mapping[str, Sequence[Painted]] | None = None,
) -> list[Tile]:
    """Return people cut out with a margin; notes replace captions. Who cannot be read has an empty tile.

    ``others`` are bodies by person key that are drawn over the labels.
    """
    problems = [_problem_of(person) for person in people]
    brush = _brush([person for person, why in zip(people, problems, strict=True) if not why], overlay, opacity)
    brush = replace(brush, others=others or {})
    tiles = []
    for number, (person, why) in enumerate(zip(people, problems, strict=True)):
        caption = notes[number] if notes else "" if why else _caption(person.frame)
        tiles.append(_empty_tile(caption, why) if why else _readable_tile(person, caption, brush))
    return tiles


def _problem_of(person: StoredPerson) -> str:
    """Return why someone's labels cannot be read; empty when they can."""
    try:
        return "" if len(person.frame.meta["people"]) == len(person.frame) else "the labels do not belong together"
    except ShardError as error:
        return str(error)


def _readable_tile(person: StoredPerson, caption: str, brush: "_Brush") -> Tile:
    """Return a person's tile, or an empty one where the picture turns out to be damaged."""
    try:
        return _person_tile(person, caption, brush)
    except (ShardError, PictureError) as error:
        return _empty_tile(caption, str(error))


def _empty_tile(caption: str, problem: str) -> Tile:
    ground = np.full((PERSON_SIZE[1], PERSON_SIZE[0], 3), _GROUND, np.uint8)
    return Tile(encode_jpeg(ground, QUALITY), caption, "nothing to see", has_picture=False, problem=problem)


def large_picture(
    person: StoredPerson,
    marks: Sequence[Mark],
    opacity: float,
    *,
    is_whole: bool,
    colours: Mapping[str, Float[np.ndarray, "vertices 3"]] | None = None,
    others: Sequence[Painted] = (),
) -> Tile:
    """Return a person, or the whole frame with everyone in it, as large as a page can show, with some marks.

    ``colours`` paint the surface of a person key by its vertices (0..1); ``others`` are drawn over the person's label.
    """
    frame = person.frame
    people = frame.people if is_whole else [person]
    box = _frame_box(frame) if is_whole else _enlarged(person)
    size = _fitting(box, least_width=0.0 if is_whole else _LEAST_WIDTH)
    made = bodies([other for other in people if other.K is not None]) if "mesh" in marks else {}
    brush = _Brush(tuple(marks), opacity, made, colours or {}, {person.person_key: tuple(others)}, smooth=2)
    image = _draw(frame, people, _window(box, size), size, brush)
    return Tile(encode_jpeg(image, QUALITY), "", f"person {person.person_key}", has_picture(frame))


def _fitting(box: Float[np.ndarray, "4"], least_width: float) -> tuple[int, int]:
    """Return the size of a picture of a box that is as large as allowed, its width at least a share of its height."""
    extent = np.maximum(box[2:] - box[:2] + 1, 8)
    extent[0] = max(extent[0], least_width * extent[1])
    scale = (np.array(LARGE) / extent).min()
    width, height = np.maximum(np.rint(extent * scale).astype(int), 64).tolist()
    return width, height


@dataclass(frozen=True)
class _Brush:
    """What is drawn on every tile of a page."""

    marks: tuple[Mark, ...]
    opacity: float
    bodies: Mapping[str, Body]  # by person key
    colours: Mapping[str, np.ndarray] = field(default_factory=dict)
    others: Mapping[str, Sequence[Painted]] = field(default_factory=dict)  # by person key
    smooth: int = 1  # tiles are shown at half their size, which smooths edges already


def _brush(people: Sequence[StoredPerson], overlay: Overlay, opacity: float) -> _Brush:
    marks: tuple[Mark, ...] = () if overlay == "none" else (overlay,)
    made = bodies([person for person in people if person.K is not None]) if overlay == "mesh" else {}
    return _Brush(marks, opacity, made)


def _frame_tile(frame: StoredFrame, size: tuple[int, int], brush: _Brush) -> Tile:
    window = _window(_frame_box(frame), size)
    people = f"{len(frame)} people" if len(frame) != 1 else "1 person"
    image = _draw(frame, frame.people, window, size, brush)
    return Tile(
        encode_jpeg(image, QUALITY),
        _caption(frame, people),
        f"frame {frame.key}",
        has_picture(frame),
        is_upright=size[1] > size[0],
    )


def _caption(frame: StoredFrame, people: str = "") -> str:
    """Return the split and who is there, and below it the frame's key, of a long one its end."""
    key = frame.meta["frame_key"]
    shown = key if len(key) <= _KEY else f"\N{HORIZONTAL ELLIPSIS}{key[1 - _KEY :]}"
    above = f"{frame.meta['split']} \N{MIDDLE DOT} {people}" if people else frame.meta["split"]
    return f"{plain(above)}  \n{plain(shown)}"


def _person_tile(person: StoredPerson, caption: str, brush: _Brush) -> Tile:
    """Return a person's tile; without a box it shows the whole frame."""
    window = _window(_enlarged(person), PERSON_SIZE)
    image = _draw(person.frame, [person], window, PERSON_SIZE, brush)
    return Tile(encode_jpeg(image, QUALITY), caption, f"person {person.person_key}", has_picture(person.frame))


def _frame_box(frame: StoredFrame) -> Float[np.ndarray, "4"]:
    return np.array([0.0, 0.0, frame.meta["width"] - 1, frame.meta["height"] - 1])


def _enlarged(person: StoredPerson) -> Float[np.ndarray, "4"]:
    """Return the person's box with its margin, px of the stored picture."""
    if person.bbox_xyxy is None:
        return _frame_box(person.frame)
    box = person.bbox_xyxy.astype(np.float64)
    margin = MARGIN * np.maximum(box[2:] - box[:2], 8).max() / 2
    return box + margin * np.array([-1, -1, 1, 1])


def _window(box: Float[np.ndarray, "4"], size: tuple[int, int]) -> Float[np.ndarray, "2 3"]:
    """Return the affine map from stored pixels to a tile of ``size`` that shows all of a box, centred."""
    extent = np.maximum(box[2:] - box[:2], 1)
    scale = float((np.array(size) / extent).min())
    shift = (np.array(size) - 1) / 2 - scale * (box[:2] + box[2:]) / 2
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])


def _cut(frame: StoredFrame, window: Float[np.ndarray, "2 3"], size: tuple[int, int]) -> Image:
    """Return the picture through a window, on a dark ground where it ends."""
    ground = np.full((size[1], size[0], 3), _GROUND, np.uint8)
    if not has_picture(frame):
        return ground
    edges = _mapped(_frame_box(frame).reshape(2, 2) + np.array([[-0.5], [0.5]]), window) + 0.5
    (left, top), (right, bottom) = np.clip(np.rint(edges).astype(int), 0, size).tolist()
    ground[top:bottom, left:right] = cut_person(frame, window, size)[top:bottom, left:right]
    return ground


def _draw(
    frame: StoredFrame,
    people: Sequence[StoredPerson],
    window: Float[np.ndarray, "2 3"],
    size: tuple[int, int],
    brush: _Brush,
) -> Image:
    """Return a window of a frame with the labels of some people."""
    plain = _cut(frame, window, size)
    if brush.opacity <= 0:
        return plain
    drawn = _with_meshes(plain, people, window, brush) if "mesh" in brush.marks else plain
    drawn = _with_others(drawn, people, window, brush)
    lines = drawn
    for mark in (mark for mark in brush.marks if mark != "mesh"):
        for person in people:
            lines = _DRAWERS[mark](lines, person, window)
    return drawn if lines is drawn else cv2.addWeighted(lines, brush.opacity, drawn, 1 - brush.opacity, 0)


def _mapped(points: Float[np.ndarray, "points 2"], window: Float[np.ndarray, "2 3"]) -> Float[np.ndarray, "points 2"]:
    """Return pixels of the stored picture as pixels of the tile."""
    return points @ window[:, :2].T + window[:, 2]


def _with_keypoints(image: Image, person: StoredPerson, window: np.ndarray) -> Image:
    """Return the image with the source's own 2D keypoints, the person's left in orange and right in blue."""
    if person.keypoints_2d is None:
        return image
    points = person.keypoints_2d.astype(np.float64)
    names = convention(person.keypoints_2d_convention)
    confidence = np.nan_to_num(points[:, 2])
    return draw_skeleton(image, _mapped(points[:, :2], window), names, confidence=confidence, thickness=1)


def _with_joints(image: Image, person: StoredPerson, window: np.ndarray) -> Image:
    """Return the image with the projected joints of the body model, in the same colours."""
    if person.joints_3d is None or person.K is None:
        return image
    lens = None if person.camera.is_undistorted else person.camera.distortion
    pixels = project(person.joints_3d.astype(np.float64), person.K, lens)
    return draw_skeleton(image, _mapped(pixels, window), thickness=1)


def _with_boxes(image: Image, person: StoredPerson, window: np.ndarray) -> Image:
    """Return the image with the boxes of body, hands and face."""
    colours = {
        "bbox_xyxy": (1.0, 1.0, 1.0),
        "left_hand_bbox_xyxy": LEFT_COLOR,
        "right_hand_bbox_xyxy": RIGHT_COLOR,
        "face_bbox_xyxy": (0.45, 0.85, 0.45),
    }
    for name, colour in colours.items():
        box = getattr(person, name)
        if box is not None:
            corners = _mapped(box.astype(np.float64).reshape(2, 2), window)
            image = draw_box(image, corners.reshape(4), color=colour, thickness=1)
    return image


_DRAWERS = {"keypoints": _with_keypoints, "joints": _with_joints, "boxes": _with_boxes}


def _with_meshes(image: Image, people: Sequence[StoredPerson], window: np.ndarray, brush: _Brush) -> Image:
    """Return the image with the bodies of everyone who could be posed; those of one kind and camera hide each other."""
    found = [(brush.bodies[person.person_key], person) for person in people if person.person_key in brush.bodies]
    groups: dict[tuple[str, bytes], list[tuple[Body, StoredPerson]]] = {}
    for body, person in found:
        groups.setdefault((body.kind, np.asarray(person.K).tobytes()), []).append((body, person))
    for group in groups.values():
        vertices = np.stack([body.vertices for body, _ in group])
        K = np.vstack([window, [0, 0, 1]]) @ group[0][1].K
        colour = _colours([brush.colours.get(person.person_key) for _, person in group])
        image = render_mesh(
            image, vertices, group[0][0].triangles, K, color=colour, opacity=brush.opacity, smooth=brush.smooth
        )
    return image


def _with_others(image: Image, people: Sequence[StoredPerson], window: np.ndarray, brush: _Brush) -> Image:
    """Return the image with the bodies that are no labels, each under its own camera, else under the person's."""
    for person in people:
        for other in brush.others.get(person.person_key, ()):
            K = person.K if other.body.K is None else other.body.K
            if K is None:
                continue
            image = render_mesh(
                image,
                other.body.vertices[None],
                other.body.triangles,
                np.vstack([window, [0, 0, 1]]) @ K,
                color=other.colour,
                opacity=brush.opacity,
                smooth=brush.smooth,
            )
    return image


def _colours(painted: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """Return the colours of people's vertices where somebody is painted; the others are grey then."""
    some = next((colours for colours in painted if colours is not None), None)
    if some is None:
        return None
    return np.stack([np.full_like(some, 0.6) if colours is None else colours for colours in painted])
