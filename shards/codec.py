"""How one frame lies in a shard: a picture, a small JSON for people to read, and one numpy array for programs.

``<key>.jpg`` or ``.png`` is the picture, absent where labels were converted alone. ``<key>.json`` holds every scalar of
the record, one person a line; an entry that is missing means absent. ``<key>.rows`` holds the numbers, one row a
person, for ``numpy.load`` (``rows.py``). Lengths are metres and pixels, rotations axis-angle in radians.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..body.cameras import Distortion
from ..errors import RecordError, ShardError
from .picture import Picture
from .record import ARRAY_FIELDS, Camera, Cut, Frame, Labels, Numbers, Person, Provenance
from .rows import decode_people, encode_numbers, encode_people, person_array

__all__ = ["decode_people", "encode_people", "person_array"]

FORMAT_VERSION = 3  # of shards and sidecars; ARRAY_FIELDS may only grow at its end
# Numpy's own format under a name that no tool decodes unasked: Hugging Face's reader cannot hold structured arrays.
NUMBERS_EXT = "rows"
MAX_NAME_BYTES = 100  # the name field of a USTAR header, extension included
MAX_KEY_BYTES = MAX_NAME_BYTES - len(".json")
_KEY = re.compile(r"[A-Za-z0-9_-]+")
_NAME = re.compile(r"[a-z0-9_-]+")


def sample_key(dataset: str, split: str, frame_key: str) -> str:
    """Return the globally unique key of a frame: ``<dataset>-<split>-<slug>`` without dots and slashes.

    A slash becomes ``-``, any other character outside ``[A-Za-z0-9_-]`` becomes ``_``. A key that would pass 95 bytes
    keeps its beginning and ends in twelve hexadecimal digits of its hash.
    """
    slug = re.sub(r"[^A-Za-z0-9_-]", "_", frame_key.strip("/").replace("/", "-"))
    key = f"{dataset}-{split}-{slug}"
    if len(key) > MAX_KEY_BYTES:
        digest = hashlib.sha256(f"{dataset}-{split}-{frame_key}".encode()).hexdigest()[:12]
        key = f"{key[: MAX_KEY_BYTES - 13]}-{digest}"
    return key


def person_key(key: str, person: int) -> str:
    """Return the globally unique key of a person: ``<key>#<index in the frame>``."""
    return f"{key}#{person}"


def check_key(key: str) -> None:
    """Raise RecordError unless the key can name the members of a sample."""
    if not _KEY.fullmatch(key) or len(key) > MAX_KEY_BYTES:
        raise RecordError(key, "key", f"of at most {MAX_KEY_BYTES} letters, digits, '-' and '_'", repr(key))


def check_name(kind: str, name: str) -> None:
    """Raise ValueError unless a dataset, split or unit can name a folder and a shard."""
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME_BYTES:
        raise ValueError(f"{kind} {name!r} must consist of at most {MAX_NAME_BYTES} of [a-z0-9_-]")


def frame_meta(
    frame: Frame, picture: Picture | None, numbers: Sequence[Numbers], *, dataset: str, split: str, unit: str, key: str
) -> dict[str, Any]:
    """Return everything of a frame that is not an array, as plain JSON values; absent values have no key."""
    meta = {
        "format": FORMAT_VERSION,
        "dataset": dataset,
        "split": split,
        "unit": unit,
        "key": key,
        "frame_key": frame.key,
        "width": int(frame.width),
        "height": int(frame.height),
        "camera": _camera_meta(key, frame.camera),
        "sequence": frame.sequence,
        "frame_index": None if frame.frame_index is None else int(frame.frame_index),
        "camera_name": frame.camera_name,
        "cut": None if frame.cut is None else vars(frame.cut),
        "people": [_person_meta(key, person, own) for person, own in zip(frame.people, numbers, strict=True)],
    }
    if picture is not None:
        meta["image"] = {"encoding": picture.ext, "stored": picture.stored, "blake3": picture.blake3}
    return _present(meta)


def encode_frame(meta: Mapping[str, Any], picture: Picture | None, numbers: Sequence[Numbers]) -> dict[str, bytes]:
    """Return the members of one sample by extension, in the order in which they lie in the tar."""
    members = {} if picture is None else {picture.ext: picture.data}
    return members | {"json": encode_meta(meta), NUMBERS_EXT: encode_numbers(numbers)}


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries that are not None."""
    return {name: value for name, value in values.items() if value is not None}


def _camera_meta(key: str, camera: Camera) -> dict[str, Any]:
    """Return a camera as JSON values."""
    lens = camera.distortion
    distortion = lens and {"model": lens.model, "coefficients": [float(value) for value in lens.coefficients]}
    meta = {"kind": camera.kind, "distortion": distortion, "is_undistorted": bool(camera.is_undistorted)}
    for name in ("K", "T_camera_world"):
        matrix = getattr(camera, name)
        if matrix is not None and not np.isfinite(matrix).all():
            raise RecordError(key, f"camera.{name}", "finite", "NaN or infinity")
        meta[name] = None if matrix is None else np.asarray(matrix, np.float64).tolist()
    return _present(meta)


def _person_meta(key: str, person: Person, numbers: Numbers) -> dict[str, Any]:
    """Return the scalars of a person as JSON values; ``fields`` lists the arrays that the person carries."""
    values = vars(person)
    meta = {name: value for name in _TEXTS if (value := values[name]) is not None}
    if person.camera is not None:
        meta["camera"] = _camera_meta(key, person.camera)
    if person.kid_weight is not None:
        meta["kid_weight"] = float(person.kid_weight)
    meta["fields"] = list(numbers.kind.shapes)
    meta["labels"] = _present(vars(person.labels))
    meta["provenance"] = vars(person.provenance)
    meta["quality"] = finite_quality(person.quality)
    meta["transl_is_metric"] = bool(person.transl_is_metric)
    return meta


_TEXTS = ("body_model", "gender", "keypoints_2d_convention", "keypoints_3d_convention", "template", "track")


def finite_quality(quality: Mapping[str, float]) -> dict[str, float]:
    """Return the measures that are numbers: one that could not be taken is absent."""
    return {name: float(value) for name, value in quality.items() if math.isfinite(value)}


def encode_meta(meta: Mapping[str, Any]) -> bytes:
    """Return JSON with sorted keys, one key a line and one person a line, so that a frame can be read in a pager."""
    lines = [f' "{name}": {_text(name, meta[name])}' for name in sorted(meta)]
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def _text(name: str, value: Any) -> str:
    """Return the JSON of one entry of a frame."""
    if type(value) is int:
        return str(value)
    if name == "people" and value:
        return "[\n" + ",\n".join(["  " + _json(person) for person in value]) + "\n ]"
    return _json(value)


_json = json.JSONEncoder(sort_keys=True, ensure_ascii=False, allow_nan=False).encode  # on one line


def decode_meta(data: bytes) -> dict[str, Any]:
    """Return the JSON member; one written by a newer ehps raises ShardError."""
    meta = json.loads(data)
    if meta["format"] > FORMAT_VERSION:
        problem = f"format {meta['format']} is newer than this ehps, which reads up to {FORMAT_VERSION}"
        raise ShardError(meta["key"], problem, "update ehps")
    return meta


def decode_person(meta: Mapping[str, Any], rows: np.ndarray, person: int) -> Person:
    """Return one person of a decoded sample."""
    scalars: dict[str, Any] = dict(meta["people"][person])
    del scalars["fields"]
    if "camera" in scalars:
        scalars["camera"] = decode_camera(scalars["camera"])
    scalars["provenance"] = Provenance(**scalars["provenance"])
    scalars["labels"] = Labels(**scalars["labels"])
    arrays: dict[str, Any] = {name: person_array(rows, person, name) for name in ARRAY_FIELDS}
    return Person(**scalars, **arrays)


def decode_camera(meta: Mapping[str, Any]) -> Camera:
    """Return a camera from its JSON values, matrices as float64."""
    camera = dict(meta)
    for name in ("K", "T_camera_world"):
        if name in camera:
            camera[name] = np.array(camera[name], np.float64)
    if lens := camera.get("distortion"):
        camera["distortion"] = Distortion(lens["model"], tuple(lens["coefficients"]))
    return Camera(**camera)


_SAME_IN_META = ("width", "height", "sequence", "frame_index", "camera_name")


def decode_frame(meta: Mapping[str, Any], rows: np.ndarray, image: bytes) -> Frame:
    """Return the whole record of a sample, its picture as encoded bytes."""
    people = tuple(decode_person(meta, rows, person) for person in range(len(rows)))
    same: dict[str, Any] = {name: meta.get(name) for name in _SAME_IN_META}
    cut = Cut(**meta["cut"]) if "cut" in meta else None
    return Frame(
        key=meta["frame_key"], image=image, people=people, camera=decode_camera(meta["camera"]), cut=cut, **same
    )
