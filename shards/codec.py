"""How one frame lies in a shard: a picture, a small JSON for people to read, and one numpy array for programs.

``<key>.jpg`` or ``.png`` is the picture. ``<key>.json`` holds every scalar of the record, one person a line; an entry
that is missing means absent. ``<key>.npy`` is a structured float32 array with one row a person, for ``numpy.load``.
It has only the fields that some person of the frame carries. Bit i of its subfield ``valid`` says whether one carries
``ARRAY_FIELDS[i]``; where the bit is false the numbers are NaN. People whose arrays differ in length share the longest:
the subfield ``<field>_count`` then says how many leading entries are each person's own.
The npy layout is numpy's (numpy.lib.format); lengths are metres and pixels, rotations axis-angle in radians.
"""

import hashlib
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..body.cameras import Distortion
from ..errors import RecordError, ShardError
from .record import ARRAY_FIELDS, Camera, Frame, Labels, Person, Provenance, scalar_fields

FORMAT_VERSION = 1  # a reader refuses what is newer; ARRAY_FIELDS may only grow at its end
MAX_NAME_BYTES = 100  # the name field of a USTAR header, extension included
_MAX_KEY_BYTES = MAX_NAME_BYTES - len(".json")
_KEY = re.compile(r"[A-Za-z0-9_-]+")
_NAME = re.compile(r"[a-z0-9_-]+")


def sample_key(dataset: str, split: str, frame_key: str) -> str:
    """Return the globally unique key of a frame: ``<dataset>-<split>-<slug>`` without dots and slashes.

    A slash becomes ``-``, any other character outside ``[A-Za-z0-9_-]`` becomes ``_``. A key that would pass 95 bytes
    keeps its beginning and ends in twelve hexadecimal digits of its hash.
    """
    slug = re.sub(r"[^A-Za-z0-9_-]", "_", frame_key.strip("/").replace("/", "-"))
    key = f"{dataset}-{split}-{slug}"
    if len(key) > _MAX_KEY_BYTES:
        digest = hashlib.sha256(f"{dataset}-{split}-{frame_key}".encode()).hexdigest()[:12]
        key = f"{key[: _MAX_KEY_BYTES - 13]}-{digest}"
    return key


def person_key(key: str, person: int) -> str:
    """Return the globally unique key of a person: ``<key>#<index in the frame>``."""
    return f"{key}#{person}"


def check_key(key: str) -> None:
    """Raise RecordError unless the key can name the members of a sample."""
    if not _KEY.fullmatch(key) or len(key) > _MAX_KEY_BYTES:
        raise RecordError(key, "key", f"of at most {_MAX_KEY_BYTES} letters, digits, '-' and '_'", repr(key))


def check_name(kind: str, name: str) -> None:
    """Raise ValueError unless a dataset, split or unit can name a folder and a shard."""
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME_BYTES:
        raise ValueError(f"{kind} {name!r} must consist of at most {MAX_NAME_BYTES} of [a-z0-9_-]")


def encode_frame(
    frame: Frame, image: bytes, ext: str, dataset: str, split: str, unit: str, key: str, stored: str = "as_distributed"
) -> dict[str, bytes]:
    """Return the members of one sample by extension, in the order in which they lie in the tar."""
    meta = frame_meta(frame, dataset=dataset, split=split, unit=unit, key=key)
    meta["image"] = {"encoding": ext, "stored": stored}
    return {ext: image, "json": encode_meta(meta), "npy": encode_people(frame.people)}


def frame_meta(frame: Frame, *, dataset: str, split: str, unit: str, key: str) -> dict[str, Any]:
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
        "people": [_person_meta(key, person) for person in frame.people],
    }
    return _present(meta)


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


def _person_meta(key: str, person: Person) -> dict[str, Any]:
    """Return the scalars of a person as JSON values; ``fields`` lists the arrays that the person carries."""
    meta = scalar_fields(person)
    meta["provenance"] = {"file": person.provenance.file, "row": person.provenance.row}
    meta["labels"] = _present(vars(person.labels))
    meta["camera"] = None if person.camera is None else _camera_meta(key, person.camera)
    meta["kid_weight"] = None if person.kid_weight is None else float(person.kid_weight)
    meta["quality"] = finite_quality(person.quality)
    meta["fields"] = [name for name in ARRAY_FIELDS if getattr(person, name) is not None]
    return _present(meta)


def finite_quality(quality: Mapping[str, float]) -> dict[str, float]:
    """Return the measures that are numbers: one that could not be taken is absent."""
    return {name: float(value) for name, value in sorted(quality.items()) if math.isfinite(value)}


def encode_meta(meta: Mapping[str, Any]) -> bytes:
    """Return JSON with sorted keys, one key a line and one person a line, so that a frame can be read in a pager."""
    lines = []
    for name in sorted(meta):
        value = meta[name]
        if name == "people" and value:
            value_text = "[\n" + ",\n".join("  " + _json(person) for person in value) + "\n ]"
        else:
            value_text = _json(value)
        lines.append(f' "{name}": {value_text}')
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


_json = json.JSONEncoder(sort_keys=True, ensure_ascii=False, allow_nan=False).encode  # on one line


def encode_people(people: Sequence[Person]) -> bytes:
    """Return the npy file with one row a person."""
    dtype = _people_dtype(people)
    rows = np.zeros(len(people), dtype)
    for name in ARRAY_FIELDS:
        if name in (rows.dtype.names or ()):
            _fill_field(rows, name, people)
    return _npy_header(dtype, len(people)) + rows.tobytes()


def _people_dtype(people: Sequence[Person]) -> np.dtype:
    """Return the row layout that holds everything these people carry."""
    layout: list[tuple] = [("valid", "<u4")]
    for name in ARRAY_FIELDS:
        shapes = {getattr(person, name).shape for person in people if getattr(person, name) is not None}
        if shapes:
            layout.append((name, "<f4", max(shapes)))
        if len(shapes) > 1:
            layout.append((f"{name}_count", "<u4"))
    return np.dtype(layout)


def _fill_field(rows: np.ndarray, name: str, people: Sequence[Person]) -> None:
    """Write one field of everyone, and the bits that say who carries it."""
    column, bit = rows[name], np.uint32(1 << ARRAY_FIELDS.index(name))
    column[...] = np.nan
    has_counts = f"{name}_count" in (rows.dtype.names or ())
    for index, person in enumerate(people):
        value = getattr(person, name)
        if value is None:
            continue
        column[index, : len(value)] = value
        rows["valid"][index] |= bit
        if has_counts:
            rows[f"{name}_count"][index] = len(value)


@lru_cache(maxsize=4096)
def _npy_header(dtype: np.dtype, count: int) -> bytes:
    """Return the npy header of a structured array."""
    buffer = io.BytesIO()
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (count,)}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue()


@lru_cache(maxsize=4096)
def _parse_header(header: bytes) -> tuple[np.dtype, int]:
    """Return row layout and number of rows; the headers of a dataset repeat, so each is parsed once."""
    buffer = io.BytesIO(header)
    try:
        if np.lib.format.read_magic(buffer) != (1, 0):
            raise ValueError("npy version is not 1.0")
        shape, _, dtype = np.lib.format.read_array_header_1_0(buffer)
        (count,) = shape
        if dtype.hasobject or "valid" not in (dtype.names or ()):
            raise ValueError(f"rows of {dtype}")
    except ValueError as error:
        raise ShardError("npy member", f"its header is not one of ehps ({error})") from error
    return dtype, count


def decode_people(data: bytes) -> np.ndarray:
    """Return the rows of an npy member as a read-only structured array over the given bytes."""
    end = 10 + int.from_bytes(data[8:10], "little")
    dtype, count = _parse_header(bytes(data[:end]))
    if len(data) != end + count * dtype.itemsize:
        raise ShardError("npy member", f"{count} people take {end + count * dtype.itemsize} bytes, found {len(data)}")
    return np.frombuffer(data, dtype, count, end)


def person_array(rows: np.ndarray, person: int, name: str) -> np.ndarray | None:
    """Return one array of one person in its own shape; None when the person does not carry it."""
    if not int(rows["valid"][person]) >> _BITS[name] & 1:
        return None
    value = rows[name][person]
    counts = f"{name}_count"
    return value[: rows[counts][person]] if counts in (rows.dtype.names or ()) else value


_BITS = {name: bit for bit, name in enumerate(ARRAY_FIELDS)}


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
    return Frame(
        key=meta["frame_key"],
        image=image,
        people=people,
        camera=decode_camera(meta["camera"]),
        **same,
    )
