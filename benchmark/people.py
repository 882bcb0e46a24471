"""From converted shards to the people that a protocol asks about.

A box is the record's tight one, enlarged about its centre as the protocol says; it is not clipped to the picture. A
hand, face or body counts as labelled when the record says how it was labelled. A frame without a sequence is a sequence
of its own.
"""

from collections.abc import Iterator
from functools import lru_cache, partial
from itertools import groupby
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from ..body.posing import PARAMETER_NAMES
from ..errors import RecordError, ShardError
from ..shards.digest import new_digest
from ..shards.reader import PeopleIndex, StoredFrame, StoredPerson, iter_shards
from ..shards.sidecar import sidecar_facts
from .interface import BenchmarkPerson
from .protocol import Protocol


def benchmark_people(catalog_dir: Path, protocol: Protocol) -> Iterator[BenchmarkPerson]:
    """Yield everyone whom a protocol asks about: every ``stride``-th person of the split in the order of the shards."""
    index = PeopleIndex.from_shards(catalog_dir, _tars(catalog_dir, protocol))
    ids = range(0, len(index), protocol.stride)
    # People of one frame share what is read of it.
    for _, group in groupby(ids, key=index.frame_of):
        frame: StoredFrame | None = None
        for row in group:
            loaded = index.load(row)
            frame = frame or loaded.frame
            yield to_benchmark(StoredPerson(frame, loaded.index), protocol)


def shard_fingerprint(catalog_dir: Path, protocol: Protocol) -> str:
    """Return 16 hex digits that change with any byte of the shards that a protocol reads."""
    state = new_digest()
    for path in _tars(catalog_dir, protocol):
        state.update(sidecar_facts(path.with_suffix(".parquet"))["ehps_tar_blake3"].encode())
    return state.hexdigest()[:16]


def to_benchmark(person: StoredPerson, protocol: Protocol) -> BenchmarkPerson:
    """Return what the benchmark needs of a stored person; RecordError when the protocol cannot use it."""
    _require_usable(person, protocol)
    labels = person.labels
    given = {name: getattr(person, name) for name in PARAMETER_NAMES}
    return BenchmarkPerson(
        person_key=person.person_key,
        sequence=f"{person.unit}/{person.sequence or person.key}",
        image=partial(_decode, person.frame),
        bbox_xyxy=enlarge_box(person.bbox_xyxy, protocol.boxes.padding),
        K=person.K,
        vertices=person.vertices,
        parameters={name: value for name, value in given.items() if value is not None},
        gender=person.gender,
        has_body=labels.body is not None,
        has_left_hand=labels.left_hand is not None,
        has_right_hand=labels.right_hand is not None,
        has_face=labels.face is not None,
    )


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
    if protocol.ground_truth == "vertices":
        return
    if person.body_model != protocol.body_model.kind:
        raise RecordError(key, "body_model", protocol.body_model.kind, str(person.body_model))
    if person.kid_weight:
        raise RecordError(key, "kid_weight", f"absent: protocol {protocol.id} poses adults", f"{person.kid_weight:g}")


@lru_cache(maxsize=2)
def _decode(frame: StoredFrame) -> UInt8[np.ndarray, "height width 3"]:
    """Return a frame's picture, kept for the other people in it and therefore read-only."""
    image = frame.image()
    image.setflags(write=False)
    return image


def _tars(catalog_dir: Path, protocol: Protocol) -> list[Path]:
    """Return the tars of the protocol's split; ShardError when there are none."""
    paths = list(iter_shards(catalog_dir, protocol.dataset, protocol.split))
    if not paths:
        problem = f"holds no shards of {protocol.dataset} {protocol.split}, which protocol {protocol.id} needs"
        raise ShardError(catalog_dir, problem, f"run ehps convert {protocol.dataset}")
    return paths
