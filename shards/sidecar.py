"""The Parquet file beside each tar: one row a person, with every scalar of the record and where its bytes lie.

Offsets and sizes are bytes of the tar, so that a member is read with one ``pread`` and no scan. The small numeric
labels are float32 lists, flattened row by row; keypoints, joints and vertices are in the npy member only, because they
would outweigh everything else. Null means absent. The tables below are the one place that says what a column means: the
Parquet fields and the catalog's column comments both come from them. Equal input gives equal bytes.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import ShardError
from .codec import finite_quality, person_key
from .record import ARRAY_FIELDS, Camera, Frame, Person, Provenance, Reject

_ROW_GROUP = 16_384
_TEXT, _INT, _LONG, _FLOAT, _BOOL = pa.string(), pa.int32(), pa.int64(), pa.float32(), pa.bool_()
_LIST = pa.list_(pa.float32())


class Column(NamedTuple):
    """One column and what it means."""

    name: str
    type: pa.DataType
    meaning: str


def _members() -> list[Column]:
    """Return the columns that say where the members of the sample lie."""
    columns = []
    for member, what in (("image", "picture"), ("json", "readable record"), ("npy", "numeric record")):
        columns += [
            Column(f"{member}_offset", _LONG, f"first byte of the {what} in the tar"),
            Column(f"{member}_size", _INT, f"bytes of the {what}"),
            Column(f"{member}_crc32", pa.uint32(), f"zlib CRC-32 of the {what}"),
        ]
    return columns


IDENTITY_COLUMNS = [
    Column("person_key", _TEXT, "globally unique name of the person: <key>#<index in the frame>"),
    Column("key", _TEXT, "globally unique name of the frame and of its members in the tar"),
    Column("person", _INT, "index of the person in the frame, which is the row of the npy member"),
    Column("dataset", _TEXT, "id of the source"),
    Column("split", _TEXT, "train, val or test"),
    Column("unit", _TEXT, "part of the source that was converted as one piece of work"),
    Column("shard", _TEXT, "file name of the tar"),
]
MEMBER_COLUMNS = [
    *_members(),
    Column("image_ext", _TEXT, "jpg or png"),
    Column("image_stored", _TEXT, "as_distributed, or how the owner's picture was rewritten"),
    Column("image_sha256", _TEXT, "SHA-256 of the picture as stored"),
]
FRAME_COLUMNS = [
    Column("frame_key", _TEXT, "key of the frame within its source and split"),
    Column("width", _INT, "width of the stored picture, px"),
    Column("height", _INT, "height of the stored picture, px"),
    Column("num_people", _INT, "people labelled in the frame"),
    Column("sequence", _TEXT, "recording or video that the frame belongs to"),
    Column("frame_index", _LONG, "position of the frame in its sequence"),
    Column("camera_name", _TEXT, "name of the camera within the recording"),
]
# Of the person's own camera where fits were made in a crop, else of the picture's.
CAMERA_COLUMNS = [
    Column("has_own_camera", _BOOL, "whether the camera is the person's own rather than that of the picture"),
    Column("camera_kind", _TEXT, "measured, fitted, virtual_crop or none"),
    Column("fx", _FLOAT, "horizontal focal length, px"),
    Column("fy", _FLOAT, "vertical focal length, px"),
    Column("cx", _FLOAT, "horizontal principal point, px, pixel centres at integers"),
    Column("cy", _FLOAT, "vertical principal point, px, pixel centres at integers"),
    Column("distortion_model", _TEXT, "lens model that the labels were made with"),
    Column("is_undistorted", _BOOL, "whether the stored pixels are free of distortion"),
    Column("has_T_camera_world", _BOOL, "whether the pose of the camera in the world is known"),
]
PERSON_COLUMNS = [
    *CAMERA_COLUMNS,
    Column("provenance_file", _TEXT, "owner's file that the person was read from, relative to the raw tree"),
    Column("provenance_row", _TEXT, "row, annotation id or key inside that file"),
    Column("track", _TEXT, "same person over the frames of a sequence"),
    Column("body_model", _TEXT, "model that pose and betas belong to: smplx, smplh, smpl or mano"),
    Column("gender", _TEXT, "gender of that model"),
    Column("num_betas", _INT, "number of shape coefficients as distributed"),
    Column("kid_weight", _FLOAT, "weight of the child template (0 adult, 1 child)"),
    Column("transl_is_metric", _BOOL, "whether transl is in true metres rather than up to scale"),
    Column("keypoints_2d_convention", _TEXT, "order of the 2D keypoints"),
    Column("keypoints_3d_convention", _TEXT, "order of the 3D keypoints"),
    *(
        Column(f"label_{part}", _TEXT, f"how {what} was labelled: measured, fitted, pseudo or synthetic; null: not")
        for part, what in (
            ("body", "the body pose"),
            ("left_hand", "the left hand"),
            ("right_hand", "the right hand"),
            ("face", "the face"),
            ("shape", "the shape"),
            ("keypoints_2d", "the set of 2D keypoints"),
        )
    ),
    Column("bbox_x0", _FLOAT, "left edge of the person's tight box, px"),
    Column("bbox_y0", _FLOAT, "upper edge of the person's tight box, px"),
    Column("bbox_x1", _FLOAT, "right edge of the person's tight box, px"),
    Column("bbox_y1", _FLOAT, "lower edge of the person's tight box, px"),
    Column("box_height_px", _FLOAT, "height of the person's tight box, px"),
    *(Column(f"has_{name}", _BOOL, f"whether the person carries {name}") for name in ARRAY_FIELDS),
]
# What the conversion engine measures; any other measure of a Person becomes a column of its own.
QUALITY_MEANINGS = {
    "reprojection_px": "median distance of the projected joints from the source's 2D keypoints, px",
    "reprojection_relative": "the same distance as a share of the longer side of the box",
    "joint_error_mm": "mean distance of the body model's joints from the source's 3D joints, nothing aligned, mm",
    "swap_gain": "how much better the limbs would fit with left and right swapped, share of the box; above 0 is odd",
    "truncation": "share of the body joints that lie outside of the picture",
    "box_coverage": "share of the visible body joints that the box holds",
    "min_depth_m": "depth of the joint nearest to the camera plane, m; below 0 is behind the camera",
    "distance_m": "distance of the pelvis from the camera's centre, m",
}
LIST_MEANINGS = {
    "global_orient": "rotation of the pelvis in camera space, axis-angle, rad",
    "body_pose": "21 body joints (23 for SMPL) relative to their parents, axis-angle, rad",
    "left_hand_pose": "15 joints of the left hand, absolute (zero is a flat hand), axis-angle, rad",
    "right_hand_pose": "15 joints of the right hand, absolute (zero is a flat hand), axis-angle, rad",
    "jaw_pose": "jaw, axis-angle, rad",
    "leye_pose": "left eye, axis-angle, rad",
    "reye_pose": "right eye, axis-angle, rad",
    "betas": "shape coefficients as distributed, of body_model and gender",
    "expression": "expression coefficients",
    "transl": "translation of the body model in camera space, m",
    "left_hand_orient": "rotation of the left MANO root in camera space, axis-angle, rad",
    "right_hand_orient": "rotation of the right MANO root in camera space, axis-angle, rad",
    "face_bbox_xyxy": "box of the face, px",
    "left_hand_bbox_xyxy": "box of the left hand, px",
    "right_hand_bbox_xyxy": "box of the right hand, px",
}
LIST_COLUMNS = [Column(name, _LIST, meaning) for name, meaning in LIST_MEANINGS.items()]
REJECT_COLUMNS = [
    Column("key", _TEXT, "key of the frame or person within its source and split"),
    Column("dataset", _TEXT, "id of the source"),
    Column("split", _TEXT, "train, val or test"),
    Column("unit", _TEXT, "part of the source that was converted as one piece of work"),
    Column("reason", _TEXT, "why it was left out, as a slug"),
    Column("detail", _TEXT, "why it was left out, as a sentence"),
    Column("provenance_file", _TEXT, "owner's file, relative to the raw tree"),
    Column("provenance_row", _TEXT, "row, annotation id or key inside that file"),
    Column("people", _INT, "people left out with it"),
]


def quality_columns(extra: Iterable[str] = ()) -> list[Column]:
    """Return the quality columns: the engine's measures, then any others by name."""
    columns = [Column(f"quality_{name}", _FLOAT, meaning) for name, meaning in QUALITY_MEANINGS.items()]
    others = sorted(set(extra) - set(QUALITY_MEANINGS))
    return columns + [Column(f"quality_{name}", _FLOAT, f"measure {name} of the conversion engine") for name in others]


def frame_values(frame: Frame) -> dict[str, Any]:
    """Return the columns that everyone in a frame shares."""
    values = {"frame_key": frame.key, "width": frame.width, "height": frame.height, "num_people": len(frame.people)}
    return values | {"sequence": frame.sequence, "frame_index": frame.frame_index, "camera_name": frame.camera_name}


def _camera_values(camera: Camera) -> dict[str, Any]:
    """Return the columns of a camera."""
    values: dict[str, Any] = {"camera_kind": camera.kind, "is_undistorted": camera.is_undistorted}
    values["distortion_model"] = camera.distortion and camera.distortion.model
    values["has_T_camera_world"] = camera.T_camera_world is not None
    if (K := camera.K) is not None:
        values |= {"fx": K[0, 0], "fy": K[1, 1], "cx": K[0, 2], "cy": K[1, 2]}
    return values


def person_values(key: str, index: int, frame: Frame) -> dict[str, Any]:
    """Return the columns of one person of a frame."""
    person = frame.people[index]
    values: dict[str, Any] = {"person_key": person_key(key, index), "person": index}
    values |= {"has_own_camera": person.camera is not None, **_camera_values(person.camera or frame.camera)}
    values |= {"provenance_file": person.provenance.file, "provenance_row": person.provenance.row}
    for name in ("track", "body_model", "gender", "kid_weight", "transl_is_metric"):
        values[name] = getattr(person, name)
    values["keypoints_2d_convention"] = person.keypoints_2d_convention
    values["keypoints_3d_convention"] = person.keypoints_3d_convention
    values |= {f"label_{part}": origin for part, origin in vars(person.labels).items()}
    values |= {f"quality_{name}": value for name, value in finite_quality(person.quality).items()}
    return values | _array_values(person)


def _array_values(person: Person) -> dict[str, Any]:
    """Return which arrays a person carries, its box, and the lists."""
    values: dict[str, Any] = {f"has_{name}": getattr(person, name) is not None for name in ARRAY_FIELDS}
    values["num_betas"] = None if person.betas is None else len(person.betas)
    if (box := person.bbox_xyxy) is not None:
        values |= {f"bbox_{edge}": box[i] for i, edge in enumerate(("x0", "y0", "x1", "y1"))}
        values["box_height_px"] = box[3] - box[1]
    return values | {name: getattr(person, name) for name in LIST_MEANINGS}


def _schema(columns: Iterable[Column], metadata: Mapping[str, str]) -> pa.Schema:
    """Return the Arrow schema with the meaning of each column and the facts of the file."""
    fields = [pa.field(c.name, c.type, metadata={"comment": c.meaning}) for c in columns]
    return pa.schema(fields, metadata=dict(metadata))


def _array(column: Column, values: list[Any]) -> pa.Array:
    """Return one column as an Arrow array."""
    if column.type != _LIST:
        return pa.array(values, column.type, from_pandas=False)
    parts = [np.zeros(0, np.float32) if value is None else np.asarray(value, np.float32).ravel() for value in values]
    ends = np.cumsum([0] + [len(part) for part in parts]).astype(np.int32)
    absent = pa.array([value is None for value in values], pa.bool_())
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(np.concatenate(parts)), mask=absent)


def _write(path: Path, columns: list[Column], rows: list[dict[str, Any]], metadata: Mapping[str, str]) -> None:
    """Write rows as Parquet; floats without dictionary and byte-split, which is both smaller and faster."""
    arrays = [_array(column, [row.get(column.name) for row in rows]) for column in columns] if rows else None
    schema = _schema(columns, metadata)
    table = schema.empty_table() if arrays is None else pa.Table.from_arrays(arrays, schema=schema)
    floats = [c.name if c.type == _FLOAT else f"{c.name}.list.element" for c in columns if c.type in (_FLOAT, _LIST)]
    pq.write_table(
        table,
        path,
        compression="zstd",
        row_group_size=_ROW_GROUP,
        use_dictionary=[c.name for c in columns if c.type == _TEXT],  # pyright: ignore[reportArgumentType]
        use_byte_stream_split=floats,  # pyright: ignore[reportArgumentType]
    )


def write_sidecar(path: Path, rows: list[dict[str, Any]], metadata: Mapping[str, str]) -> None:
    """Write the sidecar of one tar; ``metadata`` holds the tar's checksum and size and the versions."""
    measured = {name.removeprefix("quality_") for name in set().union(*rows) if name.startswith("quality_")}
    columns = [*IDENTITY_COLUMNS, *FRAME_COLUMNS, *PERSON_COLUMNS, *quality_columns(measured)]
    _write(path, [*columns, *LIST_COLUMNS, *MEMBER_COLUMNS], rows, metadata)


def write_rejects(path: Path, rejects: list[Reject], dataset: str, split: str, unit: str) -> None:
    """Write what a unit left out; the file has its columns even when nothing was."""
    where = {"dataset": dataset, "split": split, "unit": unit}
    rows = [where | _reject_values(reject) for reject in rejects]
    _write(path, REJECT_COLUMNS, rows, {})


def _reject_values(reject: Reject) -> dict[str, Any]:
    """Return the columns of one reject."""
    place: Provenance = reject.provenance
    values = {"key": reject.key, "reason": reject.reason, "detail": reject.detail, "people": reject.people}
    return values | {"provenance_file": place.file, "provenance_row": place.row}


def empty_sidecar() -> pa.Table:
    """Return a sidecar without rows."""
    columns = [*IDENTITY_COLUMNS, *FRAME_COLUMNS, *PERSON_COLUMNS, *quality_columns(), *LIST_COLUMNS, *MEMBER_COLUMNS]
    return _schema(columns, {}).empty_table()


def read_sidecar(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Return the sidecar, or some of its columns; ShardError when it is absent or no Parquet file."""
    with _opened(path) as file:
        return file.read(columns=columns)


def sidecar_facts(path: Path) -> dict[str, str]:
    """Return what the sidecar says about its tar: ehps_tar_sha256, ehps_tar_size, ehps_format, ehps_version."""
    with _opened(path) as file:
        metadata = file.schema_arrow.metadata or {}
    return {name.decode(): value.decode() for name, value in metadata.items() if name.startswith(b"ehps_")}


def _opened(path: Path) -> pq.ParquetFile:
    """Return an open Parquet file; ShardError when it is absent or something else."""
    try:
        return pq.ParquetFile(path)
    except FileNotFoundError as error:
        raise ShardError(path, "the sidecar of the shard is not there", "convert the unit again") from error
    except pa.ArrowInvalid as error:
        raise ShardError(path, f"the sidecar is not a Parquet file ({error})", "convert the unit again") from error
