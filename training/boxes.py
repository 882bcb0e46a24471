"""Boxes of people in pictures: what a person stands in, how much two boxes share, and files that list them.

A file of boxes is JSON in one of three forms. The plain one maps a picture's name, or the number of a frame, to boxes:
``{"a.jpg": [[x0, y0, x1, y1], ...], "12": [...]}``; a fifth number is a score. Where frames of several videos are
listed, each video's name holds such a mapping of its own. The other two are COCO's: a list of detections, each with
``image_id``, ``bbox`` (x, y, width, height) and perhaps ``category_id`` and ``score``, or a dict with ``images`` and
``annotations``. Boxes are tight, in px of the upright picture, pixel centres at integers.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ..errors import RawFileError, RawSchemaError

PERSON_CATEGORY = 1  # of COCO
BoxRow = Float[np.ndarray, "4"]
_FORMS = '{"picture.jpg": [[x0, y0, x1, y1], ...]}, {"frame number": [...]} or COCO detections'


class Box(NamedTuple):
    """Where a person stands in a picture."""

    bbox_xyxy: BoxRow  # px, tight
    score: float | None = None
    track: int | None = None  # the same number for the same person throughout a video


class BoxFile:
    """The boxes of a JSON file, found by the name of a picture or by the number of a frame."""

    def __init__(self, path: Path, boxes: Mapping[str, Sequence[Box]]) -> None:
        self.path, self._boxes = path, boxes

    def __len__(self) -> int:
        """How many pictures and frames it names."""
        return len(self._boxes)

    def boxes_of(self, source: str, frame: int | None = None) -> Sequence[Box] | None:
        """Return the boxes of a picture, or of a frame of a video; None where the file does not name it.

        A picture goes by its path below the input, its file name, the name without suffix, or the number that COCO
        writes in its place.
        """
        return next((self._boxes[name] for name in _names(source, frame) if name in self._boxes), None)


def _names(source: str, frame: int | None) -> Iterable[str]:
    """Yield the names under which a file may list a picture, the most exact first."""
    path = PurePosixPath(source)
    own = [source, path.name, str(path.with_suffix("")), path.stem]
    if frame is not None:
        yield from (f"{name}/{frame}" for name in own)
        yield str(frame)
        return
    yield from own
    if path.stem.rpartition("_")[2].isdigit():
        yield str(int(path.stem.rpartition("_")[2]))


def read_boxes(path: Path) -> BoxFile:
    """Return the boxes of a JSON file; RawFileError or RawSchemaError where it is none of the three forms."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RawFileError(path, f"cannot be read as JSON ({error})", f"it should hold {_FORMS}") from error
    if isinstance(content, list):
        return BoxFile(path, _detections(path, content, {}))
    if isinstance(content, dict) and isinstance(content.get("annotations"), list):
        return BoxFile(path, _annotations(path, content))
    if isinstance(content, dict):
        return BoxFile(path, _plain(path, content))
    raise RawSchemaError(path, "the file", _FORMS, type(content).__name__)


def _plain(path: Path, content: Mapping[str, Any], prefix: str = "") -> dict[str, list[Box]]:
    """Return the boxes of the plain form; a video's own mapping is read under its name."""
    out: dict[str, list[Box]] = {}
    for name, rows in content.items():
        if isinstance(rows, dict) and not prefix:
            out |= _plain(path, rows, f"{name}/")
            continue
        if not isinstance(rows, list):
            raise RawSchemaError(path, repr(prefix + name), "a list of boxes [x0, y0, x1, y1]", type(rows).__name__)
        out[prefix + name] = [_box(path, f"box {i} of {prefix + name!r}", row) for i, row in enumerate(rows)]
    return out


def _box(path: Path, field: str, row: Any) -> Box:
    """Return a box of the plain form."""
    if not isinstance(row, list) or len(row) not in (4, 5) or not all(map(_is_number, row)):
        raise RawSchemaError(path, field, "four numbers x0, y0, x1, y1 and perhaps a score", repr(row))
    if not (row[2] > row[0] and row[3] > row[1]):
        raise RawSchemaError(path, field, "x0, y0, x1, y1 with x1 > x0 and y1 > y0", repr(row))
    return Box(np.array(row[:4], np.float64), float(row[4]) if len(row) == 5 else None)


def _is_number(value: Any) -> bool:
    """Return whether a value of a JSON file is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _annotations(path: Path, content: Mapping[str, Any]) -> dict[str, list[Box]]:
    """Return the boxes of a COCO dict, by file name where its images have one."""
    images = content.get("images")
    if not isinstance(images, list) or not all(isinstance(one, dict) and "id" in one for one in images):
        raise RawSchemaError(path, "images", "a list of dicts with an id", type(images).__name__)
    files = {str(one["id"]): str(one.get("file_name", one["id"])) for one in images}
    kinds = content.get("categories") or []
    person = next((kind["id"] for kind in kinds if kind.get("name") == "person"), PERSON_CATEGORY)
    return _detections(path, content["annotations"], files, person)


def _detections(
    path: Path, rows: Sequence[Any], files: Mapping[str, str], person: int = PERSON_CATEGORY
) -> dict[str, list[Box]]:
    """Return the people of COCO's detections by picture, those of other categories left out."""
    out: dict[str, list[Box]] = {name: [] for name in files.values()}
    for i, row in enumerate(rows):
        if not isinstance(row, dict) or "image_id" not in row or "bbox" not in row:
            raise RawSchemaError(path, f"entry {i}", "a dict with image_id and bbox", repr(row)[:80])
        name = files.get(str(row["image_id"]), str(row["image_id"]))
        there = out.setdefault(name, [])
        if row.get("category_id", person) == person:
            there.append(_detection(path, f"bbox of entry {i}", row))
    if rows and not any(out.values()):
        raise RawSchemaError(path, "category_id", f"{person} (a person) in some entry", "other categories only")
    return out


def _detection(path: Path, field: str, row: Mapping[str, Any]) -> Box:
    """Return one of COCO's detections."""
    bbox, score = row["bbox"], row.get("score")
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(map(_is_number, bbox)) or min(bbox[2:]) <= 0:
        raise RawSchemaError(path, field, "four numbers x, y, width, height", repr(bbox))
    x, y, width, height = bbox
    return Box(np.array([x, y, x + width, y + height], np.float64), None if score is None else float(score))


def pairwise_iou(a: Float[np.ndarray, "n 4"], b: Float[np.ndarray, "m 4"]) -> Float[np.ndarray, "n m"]:
    """Return the area that boxes share, divided by the area that they cover together."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=-1) for boxes in (a, b)]
    return shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-12)


def whole_picture(width: int, height: int) -> Box:
    """Return the box of one person who fills the picture."""
    return Box(np.array([0.0, 0.0, width - 1, height - 1]))
