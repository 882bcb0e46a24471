"""The JSON files of InterHand2.6M, which BlurHand and others of the same makers write too.

``data`` lists pictures and annotations in COCO's way; ``camera``, ``joint_3d`` and ``MANO_NeuralAnnot`` are objects by
capture, then by camera or frame, all of these as text. The world is that of a capture: places of cameras and joints in
millimetres, MANO's translation in metres.
Facts: InterHand2.6M home page and ``data/InterHand2.6M/dataset.py``; BlurHand documentation of its annotations.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...body.cameras import intrinsics, rigid
from ...body.hands import Side
from ...errors import RawSchemaError
from ...shards.record import Camera
from ..raw import are_intrinsics, load_json, require
from .keeping import keeps_last
from .mano_json import NUM_BETAS, NUM_POSE, Hand, numbers

NUM_JOINTS = 42
MM = 1e-3
SIDES: tuple[Side, Side] = ("right", "left")
_OF_IMAGE = ("id", "file_name", "width", "height", "capture", "seq_name", "camera", "frame_idx")
_OF_ANNOTATION = ("id", "image_id", "bbox", "joint_valid")
_HINT = "unpack all annotations of one release"


class Image(NamedTuple):
    """An entry of ``images``."""

    identity: int
    name: str
    width: int
    height: int
    capture: str
    sequence: str
    camera: str
    frame: int


class Annotation(NamedTuple):
    """An entry of ``annotations``: the hands of a person; None for what is not of its shape."""

    identity: int
    image: int
    box: np.ndarray | None  # left, top, width, height
    seen: np.ndarray | None  # which of the 42 joints are annotated and inside the picture


Entry = tuple[Image, list[Annotation]]


@keeps_last
def read_labels(path: Path) -> dict[str, list[Entry]]:
    """Return the pictures of a ``data`` file by capture; entries shrink while they are read, for there are millions."""
    content = load_json(path, object_hook=partial(_shrunk, path))
    require(path, content, "images", "annotations")
    entries: dict[int, Entry] = {image.identity: (image, []) for image in content["images"]}
    for annotation in content["annotations"]:
        if annotation.image not in entries:
            found = f"image {annotation.image}, which is not listed"
            raise RawSchemaError(path, f"image_id of annotation {annotation.identity}", "one of images", found, _HINT)
        entries[annotation.image][1].append(annotation)
    captures: dict[str, list[Entry]] = {}
    for entry in entries.values():
        captures.setdefault(entry[0].capture, []).append(entry)
    return captures


def _shrunk(path: Path, record: dict[str, Any]) -> Any:
    """Return an entry of the two lists as a small tuple, anything else as it is."""
    if "image_id" in record:
        require(path, record, *_OF_ANNOTATION)
        seen = numbers(record["joint_valid"], NUM_JOINTS, 1)
        box = numbers(record["bbox"], 4)
        return Annotation(record["id"], record["image_id"], box, None if seen is None else seen[:, 0] > 0)
    if "file_name" in record:
        require(path, record, *_OF_IMAGE)
        identity, name, width, height, capture, sequence, camera, frame = (record[field] for field in _OF_IMAGE)
        return Image(identity, name, width, height, str(capture), sequence, str(camera), frame)
    return record


def _by_capture(path: Path) -> dict[str, Any]:
    """Return a JSON object whose fields are captures."""
    content = load_json(path)
    require(path, content)
    return content


# One reader a file, because each keeps its last.
read_cameras, read_joints, read_fits = (keeps_last(_by_capture) for _ in range(3))


def camera_of(cameras: Mapping[str, Any], name: str) -> Camera | None:
    """Return a camera of a capture, or None when some of its numbers are missing or unsound."""
    shapes = {"campos": (3,), "camrot": (3, 3), "focal": (2,), "princpt": (2,)}
    known = {field: numbers(cameras.get(field, {}).get(name), *shape) for field, shape in shapes.items()}
    place, R, focal, centre = known.values()
    if place is None or R is None or focal is None or centre is None:
        return None
    K = intrinsics(*focal.tolist(), *centre.tolist())
    if not are_intrinsics(K[None])[0]:
        return None
    return Camera(K=K, kind="measured", T_camera_world=rigid(R, -R @ place * MM))  # campos is where the camera stands


def joints_of(frame: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the 42 joints of a frame in the world (m) and which are known; None when they are not of their shape."""
    points, valid = numbers(frame.get("world_coord"), NUM_JOINTS, 3), numbers(frame.get("joint_valid"), NUM_JOINTS, 1)
    return None if points is None or valid is None else (points * MM, valid[:, 0] > 0)


def hands_of(frame: Mapping[str, Any]) -> dict[Side, Hand] | None:
    """Return the fitted hands of a frame in the world; None when one is not of its shape."""
    hands: dict[Side, Hand] = {}
    for side in SIDES:
        if (fit := frame.get(side)) is None:
            continue
        pose, betas = numbers(fit.get("pose"), NUM_POSE), numbers(fit.get("shape"), NUM_BETAS)
        if pose is None or betas is None:
            return None
        hands[side] = Hand(pose, betas)
    return hands
