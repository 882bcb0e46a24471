"""Which row of a predictions file is which person: by the person's key, or by the name of the picture and the box.

Everybody of a picture takes part, whether the protocol asks about them or not, so that nobody gets the prediction of a
neighbour who is not asked about. Rows that belong to nobody are counted; people without a row are missing.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from jaxtyping import Float

from ..errors import ProtocolError
from ..shards.codec import sample_key
from .people import Place
from .predictions import Predictions
from .protocol import Protocol

MIN_IOU = 0.1  # as AGORA's evaluation
_SCALES = (3.0, 1 / 3, 2.0, 1 / 2)  # of pixels that were taken in pictures of another size
_LOW_RESOLUTION = "_1280x720"


@dataclass(frozen=True)
class Found:
    """The row of each person who has one, and how many rows belong to nobody."""

    rows: Mapping[str, int]  # by person_key
    strangers: int


def find_people(predictions: Predictions, places: Iterable[Place], protocol: Protocol) -> Found:
    """Return who has which row; ProtocolError where keys, pictures or boxes do not fit the protocol's people at all."""
    places = list(places)
    if predictions.person_keys is not None:
        return _by_key(predictions, predictions.person_keys, places)
    return _by_picture(predictions, places, protocol)


def _by_key(predictions: Predictions, keys: Sequence[str], places: Sequence[Place]) -> Found:
    twice = [key for key, count in Counter(keys).items() if count > 1]
    if twice:
        raise ProtocolError(predictions.path, f"names {twice[0]} twice", "give one row a person")
    known = {place.person_key for place in places}
    rows = {key: row for row, key in enumerate(keys) if key in known}
    if not rows:
        example = places[0].person_key if places else "nobody"
        raise ProtocolError(
            predictions.path, f"names nobody of the protocol: expected keys such as {example}, found {keys[0]}"
        )
    return Found(rows, len(keys) - len(rows))


def _by_picture(predictions: Predictions, places: Sequence[Place], protocol: Protocol) -> Found:
    """Return who has which row, picture by picture, the best overlap of boxes first."""
    assert predictions.pictures is not None
    rows_of: dict[str, list[int]] = defaultdict(list)
    known = {place.picture for place in places}
    for row, name in enumerate(predictions.pictures):
        rows_of[picture_key(name, known, protocol)].append(row)
    people_of: dict[str, list[Place]] = defaultdict(list)
    for place in places:
        people_of[place.picture].append(place)
    shared = sorted(rows_of.keys() & people_of.keys())
    if not shared:
        found, example = predictions.pictures[0], next(iter(sorted(known)), "none")
        problem = (
            f"names no picture of the protocol: found {found}, which would be {picture_key(found, known, protocol)}"
        )
        raise ProtocolError(predictions.path, f"{problem}; the catalog has pictures such as {example}")
    matched = _match(predictions, rows_of, people_of, shared, 1.0)
    possible = sum(min(len(rows_of[p]), len(people_of[p])) for p in shared)
    if len(matched) < 0.5 * possible:
        _refuse_scale(predictions, rows_of, people_of, shared, len(matched), possible)
    return Found(matched, predictions.count - len(matched))


def picture_key(name: str, known: set[str], protocol: Protocol) -> str:
    """Return the key of a frame whose picture the owner calls by this name, with or without folder and suffix."""
    path = PurePosixPath(name.replace("\\", "/"))
    bare = path.with_suffix("") if path.suffix.lower() in (".png", ".jpg", ".jpeg", ".bmp") else path
    short = bare.with_name(bare.name.removesuffix(_LOW_RESOLUTION))
    names = [name, *(sample_key(protocol.dataset, protocol.split, part.as_posix()) for part in (bare, short))]
    names.append(sample_key(protocol.dataset, protocol.split, short.name))
    return next((own for own in names if own in known), names[1])


def _match(
    predictions: Predictions,
    rows_of: Mapping[str, list[int]],
    people_of: Mapping[str, list[Place]],
    pictures: Sequence[str],
    scale: float,
) -> dict[str, int]:
    """Return the row of each person, with the boxes of the file multiplied by a scale."""
    out: dict[str, int] = {}
    for picture in pictures:
        rows, people = rows_of[picture], people_of[picture]
        if predictions.bboxes_xyxy is None:
            if len(rows) > 1 or len(people) > 1:
                problem = f"gives no boxes, but picture {picture} has {len(people)} people and {len(rows)} rows"
                raise ProtocolError(predictions.path, problem, "add bbox_xyxy or person_key")
            out[people[0].person_key] = rows[0]
            continue
        width = predictions.width or people[0].size[0]
        boxes = predictions.bboxes_xyxy[rows] * (scale * people[0].size[0] / width)
        out |= {people[p].person_key: rows[r] for r, p in greedy(overlaps(boxes, np.stack([p.bbox for p in people])))}
    return out


def overlaps(
    boxes: Float[np.ndarray, "rows 4"], others: Float[np.ndarray, "people 4"]
) -> Float[np.ndarray, "rows people"]:
    """Return the intersection over union of every pair of boxes."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=-1)
    areas = [(own[:, 2:] - own[:, :2]).prod(axis=-1) for own in (boxes, others)]
    union = areas[0][:, None] + areas[1][None] - shared
    return np.where(union > 0, shared / np.maximum(union, 1e-12), 0.0)


def greedy(iou: Float[np.ndarray, "rows people"]) -> list[tuple[int, int]]:
    """Return pairs (row, person), the largest overlap first, each taken once; small overlaps are no pairs."""
    pairs, rows, people = [], set(), set()
    for flat in np.argsort(-iou, axis=None, kind="stable"):
        row, person = divmod(int(flat), iou.shape[1])
        if iou[row, person] < MIN_IOU:
            break
        if row not in rows and person not in people:
            pairs.append((row, person))
            rows.add(row)
            people.add(person)
    return pairs


def _refuse_scale(
    predictions: Predictions,
    rows_of: Mapping[str, list[int]],
    people_of: Mapping[str, list[Place]],
    pictures: Sequence[str],
    matched: int,
    possible: int,
) -> None:
    """Raise ProtocolError when boxes of another size of the pictures would fit more than twice as many people."""
    if predictions.bboxes_xyxy is None:
        return
    for scale in _SCALES:
        better = len(_match(predictions, rows_of, people_of, pictures, scale))
        if better > max(2 * matched, 0.5 * possible):
            what = "joints" if predictions.width else "boxes"
            wanted = f"pictures {predictions.width} wide" if predictions.width else "the stored pictures"
            fits = f"{better} people fit when they are multiplied by {scale:g}, {matched} as they are"
            problem = f"has {what} in pixels of another size: {fits}"
            raise ProtocolError(predictions.path, problem, f"give pixels of {wanted}")
