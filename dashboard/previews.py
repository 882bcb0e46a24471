"""Small pictures of frames and people with labels drawn on them.

A tile is a window of the stored picture, scaled and cut by one affine map; keypoints, boxes and the camera go through
the same map, so that labels stay where they are in the picture. Meshes are posed with numpy from the user's own body
model (or the stand-in body): no accelerator and no torch. Pixel centres lie at integers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from ..body.cameras import project
from ..body.draw import LEFT_COLOR, RIGHT_COLOR, draw_box, draw_skeleton, render_mesh
from ..body.keypoints import convention
from ..body.models import is_standin, model_dir
from ..body.posing import PARAMETER_NAMES, PosingModel, stack_parameters
from ..body.standin import standin_dir
from ..shards.index import member_places
from ..shards.picture import encode_jpeg
from ..shards.stored import Reduce, StoredFrame, StoredPerson, TarFile
from .plaintext import plain

Image = UInt8[np.ndarray, "height width 3"]
Overlay = Literal["none", "keypoints", "joints", "boxes", "mesh"]
OVERLAYS: tuple[str, ...] = get_args(Overlay)
FRAME_WIDTH, FRAME_HEIGHTS = 480, (270, 400)  # px of a tile; the height keeps between these bounds
PERSON_SIZE = (270, 360)
MARGIN = 0.25  # of a person's box, on each side
QUALITY = 88
LONGEST_EDGE = 0.05  # m; the median edge of a body's triangles is about a centimetre
_GROUND = (24, 28, 34)


@dataclass(frozen=True)
class Tile:
    """One encoded picture and what to write under it."""

    data: bytes  # JPEG
    caption: str  # Markdown
    alt: str


def body_folder() -> Path:
    """Return the user's body models, or the stand-in body where none are named."""
    return model_dir() or standin_dir()


def uses_standin() -> bool:
    """Return whether meshes are drawn with the stand-in body and only resemble the people."""
    folder = model_dir()
    return folder is None or is_standin(folder)


def stored_frame(out: Path, row: dict[str, Any]) -> StoredFrame:
    """Return the frame that a row of ``queries.sample_frames`` points to."""
    return StoredFrame(TarFile(out / row["tar"], int(row["tar_size"])), member_places(row))


def frame_tiles(out: Path, rows: Sequence[dict[str, Any]], overlay: Overlay, opacity: float) -> list[Tile]:
    """Return whole frames with everyone's labels, one for each row of ``queries.sample_frames``.

    All tiles have one size, so that they stand in rows: its height follows the median shape of the pictures.
    """
    frames = [stored_frame(out, row) for row in rows]
    meshes = _posed([person for frame in frames for person in frame.people]) if overlay == "mesh" else {}
    heights = [FRAME_WIDTH * frame.meta["height"] / frame.meta["width"] for frame in frames]
    size = FRAME_WIDTH, int(np.clip(np.median(heights or [0]), *FRAME_HEIGHTS))
    return [_frame_tile(frame, size, _Brush(overlay, opacity, meshes)) for frame in frames]


def person_tiles(
    out: Path, rows: Sequence[dict[str, Any]], overlay: Overlay, opacity: float, notes: Sequence[str] = ()
) -> list[Tile]:
    """Return people cut out with a margin, one for each row of ``queries.sample_people``; notes replace captions."""
    people = [stored_frame(out, row).people[int(row["person"])] for row in rows]
    meshes = _posed(people) if overlay == "mesh" else {}
    captions = notes or [_caption(person.frame) for person in people]
    brush = _Brush(overlay, opacity, meshes)
    return [_person_tile(person, caption, brush) for person, caption in zip(people, captions, strict=True)]


Mesh = tuple[np.ndarray, PosingModel]  # vertices in camera space (m), and whose they are


@dataclass(frozen=True)
class _Brush:
    """What is drawn on every tile of a page."""

    overlay: Overlay
    opacity: float
    meshes: dict[str, Mesh]  # by person key


def _frame_tile(frame: StoredFrame, size: tuple[int, int], brush: _Brush) -> Tile:
    window = _window(np.array([0.0, 0.0, frame.meta["width"] - 1, frame.meta["height"] - 1]), size)
    people = f", {len(frame)} people" if len(frame) > 1 else ""
    image = _draw(frame, frame.people, window, size, brush)
    return Tile(encode_jpeg(image, QUALITY), _caption(frame) + people, f"frame {frame.key}")


def _caption(frame: StoredFrame) -> str:
    return plain(f"{frame.meta['split']} \N{MIDDLE DOT} {frame.meta['frame_key']}")


def _person_tile(person: StoredPerson, caption: str, brush: _Brush) -> Tile:
    """Return a person's tile; without a box it shows the whole frame."""
    window = _window(_enlarged(person), PERSON_SIZE)
    image = _draw(person.frame, [person], window, PERSON_SIZE, brush)
    return Tile(encode_jpeg(image, QUALITY), caption, f"person {person.person_key}")


def _enlarged(person: StoredPerson) -> Float[np.ndarray, "4"]:
    """Return the person's box with its margin, px of the stored picture."""
    if person.bbox_xyxy is None:
        return np.array([0.0, 0.0, person.width - 1, person.height - 1])
    box = person.bbox_xyxy.astype(np.float64)
    margin = MARGIN * np.maximum(box[2:] - box[:2], 8).max() / 2
    return box + margin * np.array([-1, -1, 1, 1])


def _window(box: Float[np.ndarray, "4"], size: tuple[int, int]) -> Float[np.ndarray, "2 3"]:
    """Return the affine map from stored pixels to a tile of ``size`` that shows all of a box, centred."""
    extent = np.maximum(box[2:] - box[:2], 1)
    scale = float((np.array(size) / extent).min())
    shift = (np.array(size) - 1) / 2 - scale * (box[:2] + box[2:]) / 2
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])


def _reduction(scale: float) -> Reduce:
    """Return by how much a picture may shrink while it is decoded and still be sharp at a scale."""
    if scale > 1 / 2:
        return 1
    if scale > 1 / 4:
        return 2
    return 4 if scale > 1 / 8 else 8


def _cut(frame: StoredFrame, window: Float[np.ndarray, "2 3"], size: tuple[int, int]) -> Image:
    """Return the picture through a window; it is decoded at the smallest size that is still sharp."""
    reduce = _reduction(window[0, 0])
    pixels = frame.image(reduce)
    # Pixel u of the reduced picture lies at reduce * (u + 0.5) - 0.5 of the stored one.
    to_stored = np.array([[reduce, 0, (reduce - 1) / 2], [0, reduce, (reduce - 1) / 2], [0, 0, 1]])
    matrix = window @ to_stored
    if matrix[0, 0] < 0.7:
        pixels, matrix = _shrunk(pixels, matrix)
    return cv2.warpAffine(pixels, matrix, size, flags=cv2.INTER_LINEAR, borderValue=_GROUND)


def _shrunk(
    pixels: UInt8[np.ndarray, "rows columns 3"], matrix: Float[np.ndarray, "2 3"]
) -> tuple[Image, Float[np.ndarray, "2 3"]]:
    """Return the picture averaged to the tile's scale, with the map that is left: warping alone would alias."""
    height, width = pixels.shape[:2]
    small = cv2.resize(pixels, None, fx=matrix[0, 0], fy=matrix[0, 0], interpolation=cv2.INTER_AREA)
    factor = np.array([width / small.shape[1], height / small.shape[0]])
    back = np.array([[factor[0], 0, (factor[0] - 1) / 2], [0, factor[1], (factor[1] - 1) / 2], [0, 0, 1]])
    return small, matrix @ back


def _draw(
    frame: StoredFrame,
    people: Sequence[StoredPerson],
    window: Float[np.ndarray, "2 3"],
    size: tuple[int, int],
    brush: _Brush,
) -> Image:
    """Return a window of a frame with the labels of some people."""
    plain = _cut(frame, window, size)
    if brush.overlay == "none" or brush.opacity <= 0:
        return plain
    if brush.overlay == "mesh":
        return _with_meshes(plain, people, window, brush)
    drawn = plain
    for person in people:
        drawn = _DRAWERS[brush.overlay](drawn, person, window)
    return cv2.addWeighted(drawn, brush.opacity, plain, 1 - brush.opacity, 0)


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
    """Return the image with the bodies of everyone who could be posed; bodies of one kind hide each other."""
    found = [(brush.meshes[person.person_key], person.K) for person in people if person.person_key in brush.meshes]
    for kind in dict.fromkeys(model.kind for (_, model), _ in found):
        group = [(mesh, K) for mesh, K in found if mesh[1].kind == kind]
        vertices = np.stack([mesh[0] for mesh, _ in group])
        K = np.vstack([window, [0, 0, 1]]) @ group[0][1]
        image = render_mesh(image, vertices, group[0][0][1].triangles, K, opacity=brush.opacity, smooth=2)
    return image


def _posed(people: Sequence[StoredPerson]) -> dict[str, Mesh]:
    """Return the meshes of all people whose labels say a whole body, posed together by model and gender."""
    meshes = {person.person_key: mesh for person in people if (mesh := _recorded(person)) is not None}
    groups: dict[tuple[str, str], list[StoredPerson]] = {}
    for person in people:
        if person.person_key not in meshes and _has_body(person):
            groups.setdefault((person.body_model, person.gender or "neutral"), []).append(person)
    for (kind, gender), group in groups.items():
        model = PosingModel.load(body_folder(), kind, gender)
        rows = [{name: getattr(person, name) for name in PARAMETER_NAMES} for person in group]
        vertices = model.vertices(stack_parameters(rows))
        meshes |= {person.person_key: (mesh, model) for person, mesh in zip(group, vertices, strict=True)}
    return meshes


def _has_body(person: StoredPerson) -> bool:
    """Return whether the labels say where the whole body is and how it stands."""
    needed = (person.K, person.global_orient, person.body_pose, person.transl)
    return person.body_model in ("smplx", "smplh", "smpl") and all(value is not None for value in needed)


def _recorded(person: StoredPerson) -> Mesh | None:
    """Return the mesh that the source ships, where the body model at hand has the triangles of that mesh."""
    if person.vertices is None or person.K is None:
        return None
    model = PosingModel.load(body_folder(), "smpl" if person.body_model == "smpl" else "smplx")
    vertices = person.vertices.astype(np.float64)
    if len(vertices) != len(model.template):
        return None
    # The stand-in body has as many vertices as SMPL-X in another order: its triangles would tear a real mesh.
    edges = np.linalg.norm(vertices[model.triangles[:, 0]] - vertices[model.triangles[:, 1]], axis=1)
    return (vertices, model) if np.median(edges) < LONGEST_EDGE else None
