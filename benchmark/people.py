"""From converted shards to the people that a protocol asks about.

A box is the record's tight one, enlarged about its centre as the protocol says; it is not clipped to the picture. A
hand, face or body counts as labelled when the record says how it was labelled. A frame without a sequence is a sequence
of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import groupby
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from ..body.keypoints import convert_keypoints
from ..body.posing import PARAMETER_NAMES
from ..errors import RecordError, ShardError
from ..shards.digest import new_digest
from ..shards.reader import PeopleIndex, StoredFrame, StoredPerson, iter_shards
from ..shards.sidecar import sidecar_facts
from .interface import BenchmarkPerson
from .protocol import Protocol, Selection

HAND_ORIENTS = ("left_hand_orient", "right_hand_orient")


def benchmark_people(catalog_dir: Path, protocol: Protocol) -> Iterator[BenchmarkPerson]:
    """Yield everyone whom a protocol asks about, in the order of the shards.

    The stride counts everyone of the units that the protocol selects; who it leaves out for another reason is counted
    by the stride, too.
    """
    for number, person in enumerate(stored_people(catalog_dir, protocol)):
        if number % protocol.stride == 0 and is_selected(person, protocol.selection):
            yield to_benchmark(person, protocol)


@dataclass(frozen=True, eq=False)
class Place:
    """Where a person of a split is: key, picture, tight box (px of the stored picture) and the picture's size."""

    person_key: str
    picture: str
    bbox: Float[np.ndarray, "4"]
    size: tuple[int, int]


def stored_people(catalog_dir: Path, protocol: Protocol) -> Iterator[StoredPerson]:
    """Yield everyone of a protocol's units, asked about or not; people of one frame share what is read of it."""
    index = PeopleIndex.from_shards(catalog_dir, _tars(catalog_dir, protocol))
    for _, group in groupby(range(len(index)), key=index.frame_of):
        frame: StoredFrame | None = None
        for row in group:
            loaded = index.load(row)
            frame = frame or loaded.frame
            yield StoredPerson(frame, loaded.index)


def people_places(catalog_dir: Path, protocol: Protocol) -> Iterator[Place]:
    """Yield where everyone of a protocol's units is, asked about or not; who has no box is left out."""
    for person in stored_people(catalog_dir, protocol):
        if person.bbox_xyxy is not None:
            box = np.asarray(person.bbox_xyxy, np.float64)
            yield Place(person.person_key, person.key, box, (person.width, person.height))


def is_selected(person: StoredPerson, selection: Selection) -> bool:
    """Return whether a person of a selected unit is asked about."""
    if selection.kids == "leave_out" and person.kid_weight is not None:
        return False
    return all(getattr(person.labels, part) is not None for part in selection.labelled)


def shard_fingerprint(catalog_dir: Path, protocol: Protocol) -> str:
    """Return 16 hex digits that change with any byte of the shards that a protocol reads."""
    state = new_digest()
    for path in _tars(catalog_dir, protocol):
        state.update(sidecar_facts(path.with_suffix(".parquet"))["ehps_tar_blake3"].encode())
    return state.hexdigest()[:16]


def to_benchmark(person: StoredPerson, protocol: Protocol) -> BenchmarkPerson:
    """Return what the benchmark needs of a stored person; RecordError when the protocol cannot use it."""
    _require_usable(person, protocol)
    has = labelled_parts(person, protocol)
    given = {name: getattr(person, name) for name in (*PARAMETER_NAMES, *HAND_ORIENTS)}
    return BenchmarkPerson(
        person_key=person.person_key,
        sequence=f"{person.unit}/{person.sequence or person.key}",
        image=partial(_decode, person.frame),
        bbox_xyxy=enlarge_box(person.bbox_xyxy, protocol.boxes.padding),
        K=person.K,
        vertices=person.vertices,
        parameters={name: value for name, value in given.items() if value is not None},
        gender=person.gender,
        kid_weight=person.kid_weight,
        keypoints_3d=person.keypoints_3d,
        keypoints_3d_convention=person.keypoints_3d_convention,
        keypoints_2d=person.keypoints_2d,
        keypoints_2d_convention=person.keypoints_2d_convention,
        size=(person.width, person.height),
        picture=person.key,
        track=track_of(person),
        frame_index=person.frame_index,
        **{f"has_{part}": is_labelled for part, is_labelled in has.items()},
    )


def track_of(person: StoredPerson) -> str | None:
    """Return whose motion a person belongs to: the track, seen by one camera; None where the record has no track."""
    if person.track is None or person.frame_index is None:
        return None
    return "/".join([person.unit, person.sequence or "", person.camera_name or "", person.track])


def labelled_parts(person: StoredPerson, protocol: Protocol) -> dict[str, bool]:
    """Return which parts of a person count as labelled: what was fitted or, under a protocol of joints, has a wrist."""
    labels = person.labels
    has = {part: getattr(labels, part) is not None for part in ("body", "left_hand", "right_hand", "face")}
    if protocol.ground_truth != "joints" or person.keypoints_3d is None or person.keypoints_3d_convention is None:
        return has
    wrists = convert_keypoints(
        person.keypoints_3d, person.keypoints_3d_convention, ("left_wrist", "right_wrist"), approximate=True
    )
    return has | {f"{side}_hand": bool(wrist[3] > 0) for side, wrist in zip(("left", "right"), wrists, strict=True)}


def enlarge_box(bbox_xyxy: Float[np.ndarray, "4"], padding: float) -> Float[np.ndarray, "4"]:
    """Return a box ``padding`` times as wide and high about the same centre (px)."""
    corners = np.asarray(bbox_xyxy, np.float64).reshape(2, 2)
    centre = corners.mean(axis=0)
    return (centre + (corners - centre) * padding).reshape(4)


def _require_usable(person: StoredPerson, protocol: Protocol) -> None:
    """Raise RecordError unless the person has a box and the kind of truth that the protocol compares with."""
    key = person.person_key
    if person.bbox_xyxy is None:
        raise RecordError(key, "bbox_xyxy", f"given, because protocol {protocol.id} crops by it", "none")
    if protocol.ground_truth not in ("parameters", "hand"):
        return
    if person.body_model != protocol.body_model.kind:
        raise RecordError(key, "body_model", protocol.body_model.kind, str(person.body_model))


@lru_cache(maxsize=2)
def _decode(frame: StoredFrame) -> UInt8[np.ndarray, "height width 3"]:
    """Return a frame's picture, kept for the other people in it and therefore read-only."""
    image = frame.image()
    image.setflags(write=False)
    return image


def _tars(catalog_dir: Path, protocol: Protocol) -> list[Path]:
    """Return the tars of the protocol's split; ShardError when there are none."""
    paths = [
        path
        for path in iter_shards(catalog_dir, protocol.dataset, protocol.split)
        if protocol.selection.admits_unit(path.parent.name)
    ]
    if not paths:
        problem = f"holds no shards of {protocol.dataset} {protocol.split}, which protocol {protocol.id} needs"
        raise ShardError(catalog_dir, problem, f"run ehps convert {protocol.dataset}")
    return paths
