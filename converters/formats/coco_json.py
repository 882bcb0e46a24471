"""People in COCO's JSON: images, annotations, and a person with 17 keypoints or the 133 of COCO-WholeBody.

Boxes are x, y, width, height and keypoints x, y, v in pixels, 0-indexed. A keypoint is reliable where v > 0: for
automatically labelled hands v is a confidence, often far below one. Crowds, people without keypoints and boxes that are
empty inside the picture become rejects, as the reference loaders skip them.
Facts: COCO data format; COCO-WholeBody ``data_format.md``; OSX ``common/utils/preprocessing.py``.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ...shards.record import Frame, Labels, Origin, Person, Provenance, Reject
from ..pictures import assemble
from ..raw import compact_numbers, require
from ..source import Source
from .json_stream import stream_json

Annotation = dict[str, Any]

# Lists of keypoints in the order of the convention, with their number of points.
_BODY = {"keypoints": 17}
_WHOLE_BODY = {"keypoints": 17, "foot_kpts": 6, "face_kpts": 68, "lefthand_kpts": 21, "righthand_kpts": 21}
_UNUSED = frozenset({"segmentation", "license", "coco_url", "flickr_url", "date_captured", "area"})


@dataclass(frozen=True)
class CocoImage:
    """One entry of ``images``."""

    file_name: str
    width: int
    height: int


@dataclass(frozen=True)
class CocoFile:
    """A COCO file, its annotations grouped by image id."""

    path: Path
    images: Mapping[int, CocoImage]
    annotations: Mapping[int, list[Annotation]]


def read_coco(path: Path) -> CocoFile:
    """Return a COCO file; cached, because blocks of one file are converted one by one."""
    return _read_coco(path, path.stat().st_mtime_ns if path.is_file() else 0)


@lru_cache(maxsize=2)
def _read_coco(path: Path, _changed: int) -> CocoFile:
    images, annotations = {}, {}
    hook = partial(compact_numbers, drop=_UNUSED)
    for name, entry, *_ in stream_json(path, hook, members=("images", "annotations")):
        if name == "images":
            require(path, entry, "id", "file_name", "width", "height")
            images[entry["id"]] = CocoImage(Path(entry["file_name"]).name, entry["width"], entry["height"])
        elif name == "annotations":
            require(path, entry, "id", "image_id", "bbox", "keypoints")
            annotations.setdefault(entry["image_id"], []).append(entry)
    return CocoFile(path, images, annotations)


def coco_sources(
    root: Path,
    split: str,
    files: Mapping[str, Path],
    options: Mapping[str, str] | None = None,
    *,
    images_per_unit: int = 2000,
) -> list[Source]:
    """Return blocks of images of the file ``files["annotations"]``; ``files["images"]`` is the folder of pictures."""
    ids = sorted(read_coco(files["annotations"]).annotations)
    return [
        Source(f"images-{i:07d}", root, split, files, {**(options or {}), "block": f"{i}:{i + images_per_unit}"})
        for i in range(0, len(ids), images_per_unit)
    ]


def coco_frames(
    source: Source, finish: Callable[[Person, Annotation, CocoImage], Person | Reject] | None = None
) -> Iterator[Frame | Reject]:
    """Yield the images of a block with their people; ``finish`` may add to a person or refuse it."""
    coco = read_coco(source.files["annotations"])
    first, stop = (int(bound) for bound in source.options["block"].split(":"))
    file = source.relative(coco.path)
    for image_id in sorted(coco.annotations)[first:stop]:
        annotations, image = coco.annotations[image_id], coco.images.get(image_id)
        provenance = Provenance(file=file, row=f"image {image_id}")
        if image is None:
            detail = f"{file}: {len(annotations)} annotations belong to image {image_id}, which the file does not list"
            key = str(image_id)
            yield Reject(key=key, reason="unknown_image", detail=detail, provenance=provenance, people=len(annotations))
            continue
        key = Path(image.file_name).stem
        people = [person_of(key, file, annotation, image) for annotation in annotations]
        if finish is not None:
            people = [
                finish(person, annotation, image) if isinstance(person, Person) else person
                for person, annotation in zip(people, annotations, strict=True)
            ]
        picture = source.files["images"] / image.file_name
        yield from assemble(key, picture, people, provenance, expected_size=(image.width, image.height))


def person_of(
    key: str, file: str, annotation: Annotation, image: CocoImage, keypoints_2d: Origin = "measured"
) -> Person | Reject:
    """Return the person of an annotation of a picture with this key, or why there is none."""
    provenance = Provenance(file=file, row=str(annotation["id"]))
    reason, detail = _refusal(annotation, image)
    if reason:
        return Reject(key=f"{key}/{annotation['id']}", reason=reason, detail=detail, provenance=provenance)
    whole_body = "face_kpts" in annotation
    return Person(
        provenance=provenance,
        labels=Labels(keypoints_2d=keypoints_2d),
        keypoints_2d=keypoints(annotation, _WHOLE_BODY if whole_body else _BODY),
        keypoints_2d_convention="coco_wholebody" if whole_body else "coco_17",
        bbox_xyxy=corners(annotation["bbox"]),
        face_bbox_xyxy=_part_box(annotation, "face"),
        left_hand_bbox_xyxy=_part_box(annotation, "lefthand"),
        right_hand_bbox_xyxy=_part_box(annotation, "righthand"),
    )


def _refusal(annotation: Annotation, image: CocoImage) -> tuple[str, str]:
    """Return (reason, detail) when an annotation is no usable person, else two empty strings."""
    if annotation.get("iscrowd"):
        return "crowd", "iscrowd is set: the annotation covers a group of people"
    if annotation.get("num_keypoints") == 0:
        return "no_keypoints", "num_keypoints is 0: only a box was labelled"
    if clipped_box(annotation["bbox"], image.width, image.height) is None:
        shown = np.asarray(annotation["bbox"]).tolist()
        return "empty_box", f"nothing of bbox {shown} lies inside the {image.width} x {image.height} picture"
    for name, points in (_WHOLE_BODY if "face_kpts" in annotation else _BODY).items():
        value = annotation.get(name)
        if not isinstance(value, np.ndarray) or value.shape != (3 * points,) or not np.isfinite(value).all():
            return "bad_keypoints", f"{name}: expected {3 * points} finite numbers, got {_described(value)}"
    return "", ""


def _described(value: Any) -> str:
    """Return what a list of numbers turned out to be, for a message."""
    if not isinstance(value, np.ndarray):
        return f"a value of type {type(value).__name__}"
    return f"{value.size} numbers" if np.isfinite(value).all() else f"{value.size} numbers with NaN or infinity"


def keypoints(annotation: Annotation, parts: Mapping[str, int]) -> Float[np.ndarray, "points 3"]:
    """Return the listed parts one below the other: u, v in pixels, confidence 1 where v > 0 and else 0."""
    points = np.concatenate([annotation[name].reshape(-1, 3) for name in parts]).astype(np.float32)
    points[:, 2] = points[:, 2] > 0
    return points


def corners(box: Float[np.ndarray, "4"]) -> Float[np.ndarray, "4"]:
    """Return the corners (left, top, right, bottom) of a box x, y, width, height, in pixels."""
    x, y, width, height = box
    return np.array([x, y, x + width, y + height], np.float32)


def _part_box(annotation: Annotation, part: str) -> Float[np.ndarray, "4"] | None:
    """Return the box of a hand or the face, or None where it is flagged invalid or empty."""
    box = annotation.get(f"{part}_box")
    if not annotation.get(f"{part}_valid") or not isinstance(box, np.ndarray) or box.shape != (4,):
        return None
    return corners(box) if min(box[2:]) > 0 else None


def clipped_box(box: Any, width: int, height: int) -> Float[np.ndarray, "4"] | None:
    """Return x, y, width, height of what lies inside the picture, or None when that is empty.

    Written as the reference loaders write it, with their width - 1, so that the same people are left out.
    """
    if not isinstance(box, np.ndarray) or box.shape != (4,) or not np.isfinite(box).all():
        return None
    x, y, w, h = box
    left, top = max(0.0, x), max(0.0, y)
    right, bottom = min(width - 1, left + max(0.0, w - 1)), min(height - 1, top + max(0.0, h - 1))
    if w * h <= 0 or right <= left or bottom <= top:
        return None
    return np.array([left, top, right - left, bottom - top])
