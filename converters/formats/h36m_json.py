"""Human3.6M as Moon's parsed release writes it, one set of JSON files a subject; MPI-INF-3DHP's is its sister.

``data`` lists pictures and annotations in COCO's way; ``camera`` is an object by camera, ``joint_3d`` and
``SMPLX_NeuralAnnot`` are objects by action, sub-action and frame. Joints and places of cameras are millimetres of the
subject's world, NeuralAnnot's translation is metres. ``t`` is a translation; in files of before June 2020 it was the
place of the camera. Boxes are 1.2 times the rectangle of the 17 projected joints, not cut to the picture.
Facts: OSX ``data/Human36M/Human36M.py``; NeuralAnnot_RELEASE ``Human3.6M/demo_smplx.py``; 3DMPPE_POSENET_RELEASE
``tool/Human36M/h36m2coco.py`` and issue 58.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ...body.cameras import intrinsics, rigid
from ...errors import RawSchemaError
from ...shards.record import Camera
from ..raw import are_intrinsics, load_json, require
from .json_stream import stream_json
from .keeping import keeps_last
from .mano_json import numbers

NUM_JOINTS = 17
MM = 1e-3
_OF_IMAGE = ("id", "file_name", "width", "height", "subject", "action_idx", "subaction_idx", "cam_idx", "frame_idx")
_HINT = "unpack all annotations of one release"


class Image(NamedTuple):
    """An entry of ``images``."""

    identity: int
    name: str
    width: int
    height: int
    subject: int
    action: int
    subaction: int
    camera: int
    frame: int

    @property
    def sequence(self) -> str:
        """Folder of the picture: one camera's view of a sub-action."""
        return self.name.split("/")[0]

    def of_frame(self, content: Mapping[str, Any]) -> Any:
        """Return what an object by action, sub-action and frame holds of this frame, None where it holds nothing."""
        return content.get(str(self.action), {}).get(str(self.subaction), {}).get(str(self.frame))


class Annotation(NamedTuple):
    """An entry of ``annotations``; the box is None where it is not four finite numbers."""

    identity: int
    box: np.ndarray | None  # left, top, width, height


Entry = tuple[Image, list[Annotation]]


@keeps_last
def read_pictures(path: Path, every: int) -> dict[str, list[Entry]]:
    """Return the pictures of a ``data`` file whose frame is a multiple of ``every``, by sequence and frame.

    RawSchemaError for an annotation of a picture that is not listed.
    """
    entries: dict[int, Entry] = {}
    passed_over: set[int] = set()
    annotations: list[tuple[int, Annotation]] = []
    for item in _entries(path):
        if isinstance(item, Image) and item.frame % every == 0:
            entries[item.identity] = (item, [])
        elif isinstance(item, Image):
            passed_over.add(item.identity)
        else:
            annotations.append(item)
    for image, annotation in annotations:
        if image in entries:
            entries[image][1].append(annotation)
        elif image not in passed_over:
            found = f"image {image}, which is not listed"
            raise RawSchemaError(path, f"image_id of annotation {annotation.identity}", "one of images", found, _HINT)
    sequences: dict[str, list[Entry]] = {}
    for entry in sorted(entries.values(), key=lambda entry: (entry[0].sequence, entry[0].frame)):
        sequences.setdefault(entry[0].sequence, []).append(entry)
    return sequences


def _entries(path: Path) -> Iterator[Image | tuple[int, Annotation]]:
    """Yield the two lists of a ``data`` file as small tuples, annotations with the id of their picture."""
    for item in stream_json(path, members=("images", "annotations")):
        if item.name == "images":
            require(path, item.value, *_OF_IMAGE)
            yield Image(*(item.value[field] for field in _OF_IMAGE))
        elif item.name == "annotations":
            require(path, item.value, "id", "image_id", "bbox")
            yield item.value["image_id"], Annotation(item.value["id"], numbers(item.value["bbox"], 4))


@keeps_last
def read_cameras(path: Path) -> dict[str, Camera | None]:
    """Return the cameras of a subject by number; None for one whose numbers are missing or unsound."""
    content = load_json(path)
    require(path, content)
    return {name: _camera(camera) for name, camera in content.items()}


def _camera(camera: Mapping[str, Any]) -> Camera | None:
    """Return one camera; its file tells no distortion."""
    shapes = {"R": (3, 3), "t": (3,), "f": (2,), "c": (2,)}
    R, t, focal, centre = (numbers(camera.get(field), *shape) for field, shape in shapes.items())
    if R is None or t is None or focal is None or centre is None:
        return None
    K = intrinsics(*focal.tolist(), *centre.tolist())
    return Camera(K=K, kind="measured", T_camera_world=rigid(R, t * MM)) if are_intrinsics(K) else None


def _by_frame(path: Path) -> dict[str, Any]:
    """Return an object by action, sub-action and frame."""
    content = load_json(path, object_hook=_packed)
    require(path, content)
    return content


def _packed(record: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON object with lists as arrays: numbers of Python take four times the room."""
    return {name: _array(value) if isinstance(value, list) else value for name, value in record.items()}


def _array(value: list[Any]) -> Any:
    """Return a list of numbers, however nested, as float64; as it is where it is none."""
    try:
        return np.array(value, np.float64)
    except (TypeError, ValueError):
        return value


# One reader a file, because each keeps its last.
read_joints, read_fits = (keeps_last(_by_frame) for _ in range(2))


def joints_of(value: Any) -> Float[np.ndarray, "17 3"] | None:
    """Return the joints of a frame in the world (m); None when they are not 17 finite points."""
    joints = numbers(value, NUM_JOINTS, 3)
    return None if joints is None else joints * MM
