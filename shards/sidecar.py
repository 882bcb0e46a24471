"""The Parquet file beside each tar: one row a person, with every scalar of the record and where its bytes lie.

Offsets and sizes are bytes of the tar, so that a member is read with one ``pread`` and no scan. The small numeric
labels are float32 lists, flattened row by row; keypoints, joints and vertices are in the numeric member only, because
they would outweigh everything else. Null means absent. The tables below are the one place that says what a column
means: the Parquet fields and the catalog's column comments both come from them. Equal input gives equal bytes.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import ShardError
from .codec import FORMAT_VERSION
from .record import ARRAY_FIELDS, Provenance, Reject

ROW_GROUP = 16_384
_TEXT, _INT, _LONG, _FLOAT, _BOOL = pa.string(), pa.int32(), pa.int64(), pa.float32(), pa.bool_()
_LIST, _COUNTS = pa.list_(pa.float32()), pa.list_(pa.uint32())
# Text that hardly repeats: a dictionary of it would cost time and save nothing.
_MOSTLY_UNIQUE = frozenset({"person_key", "key", "frame_key", "cut_frame_key", "provenance_row", "image_blake3"})


class Column(NamedTuple):
    """One column and what it means."""

    name: str
    type: pa.DataType
    meaning: str


def _members() -> list[Column]:
    """Return the columns that say where the members of the sample lie."""
    columns = []
    for member, what in (("image", "picture"), ("json", "readable record"), ("rows", "numeric record")):
        columns += [
            Column(f"{member}_offset", _LONG, f"first byte of the {what} in the tar"),
            Column(f"{member}_size", _INT, f"bytes of the {what}"),
            Column(f"{member}_crc32", pa.uint32(), f"zlib CRC-32 of the {what}"),
        ]
    return columns


IDENTITY_COLUMNS = [
    Column("person_key", _TEXT, "globally unique name of the person: <key>#<index in the frame>"),
    Column("key", _TEXT, "globally unique name of the frame and of its members in the tar"),
    Column("person", _INT, "index of the person in the frame, which is the row of the numeric member"),
    Column("dataset", _TEXT, "id of the source"),
    Column("split", _TEXT, "train, val or test"),
    Column("unit", _TEXT, "part of the source that was converted as one piece of work"),
    Column("shard", _TEXT, "file name of the tar"),
]
# On the row of a frame's first person alone, and null for a picture without tiles.
TILE_COLUMNS = [
    Column("tile_mcu_width", _INT, "width of a block of the tiled JPEG, px"),
    Column("tile_mcu_height", _INT, "height of a block of the tiled JPEG, px"),
    Column("tile_restart_mcus", _INT, "blocks between two restart markers"),
    Column("tile_header_size", _INT, "bytes of the JPEG before its pixels"),
    Column("tile_header_crc32", pa.uint32(), "zlib CRC-32 of these bytes"),
    Column("tile_row_offsets", _COUNTS, "first byte of each row of blocks in the JPEG, and where the last one ends"),
    Column("tile_row_crc32", _COUNTS, "zlib CRC-32 of the bytes of each row of blocks"),
]
MEMBER_COLUMNS = [
    *_members(),
    Column("image_ext", _TEXT, "jpg or png"),
    Column("image_stored", _TEXT, "as_distributed, tiled (without loss), or how the owner's picture was rewritten"),
    Column("image_blake3", _TEXT, "BLAKE3 of the owner's picture, before anything was done to it"),
    Column("image_phash", pa.uint64(), "perceptual hash of the picture: 64 bits, few of which differ in a copy"),
    *TILE_COLUMNS,
]
FRAME_COLUMNS = [
    Column("frame_key", _TEXT, "key of the frame within its source and split"),
    Column("width", _INT, "width of the stored picture, px"),
    Column("height", _INT, "height of the stored picture, px"),
    Column("num_people", _INT, "people labelled in the frame"),
    Column("sequence", _TEXT, "recording or video that the frame belongs to"),
    Column("frame_index", _LONG, "position of the frame in its sequence"),
    Column("camera_name", _TEXT, "name of the camera within the recording"),
    Column("cut_frame_key", _TEXT, "of a pack of single people: key of the whole frame that the picture is cut from"),
    Column("cut_person", _INT, "index of the person in that frame"),
    Column("cut_x0", _FLOAT, "left edge of the cut, px of the frame: u of the cut is (u + 0.5 - x0) * scale_x - 0.5"),
    Column("cut_y0", _FLOAT, "upper edge of the cut, px of the frame"),
    Column("cut_scale_x", _FLOAT, "px of the cut for one px of the frame, across"),
    Column("cut_scale_y", _FLOAT, "px of the cut for one px of the frame, down"),
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
    Column("template", _TEXT, "rest mesh of this very person in place of betas, relative to the raw tree"),
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
    "occlusion": "share of the body joints inside the picture that a nearer labelled person covers",
    "sharpness": "variance of the Laplacian of the grey cut at 256 px of box height",
    "box_coverage": "share of the visible body joints that the box holds",
    "min_depth_m": "depth of the joint nearest to the camera plane, m; below 0 is behind the camera",
    "neutral_shape_mm": "distance of the body of betas_neutral from that of betas, root mean square of vertices, mm",
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
    "betas_neutral": "gendered betas as those of the neutral body of the same body_model; null where neutral already",
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


def sidecar_columns(measures: Iterable[str] = ()) -> list[Column]:
    """Return all columns of a sidecar in their order; ``measures`` are names beside the engine's own."""
    people = [*IDENTITY_COLUMNS, *FRAME_COLUMNS, *PERSON_COLUMNS]
    return [*people, *quality_columns(measures), *LIST_COLUMNS, *MEMBER_COLUMNS]


def schema_of(columns: Iterable[Column]) -> pa.Schema:
    """Return the Arrow schema with the meaning of each column."""
    return pa.schema([pa.field(c.name, c.type, metadata={"comment": c.meaning}) for c in columns])


def write_table(path: Path, table: pa.Table, metadata: Mapping[str, str] | None = None) -> None:
    """Write a table as Parquet; floats without dictionary and byte-split, which is both smaller and faster."""
    columns = {field.name: field.type for field in table.schema}
    texts = [name for name, kind in columns.items() if kind == _TEXT and name not in _MOSTLY_UNIQUE]
    floats = [name for name, kind in columns.items() if kind == _FLOAT]
    lists = [f"{name}.list.element" for name, kind in columns.items() if kind == _LIST]
    pq.write_table(
        table.replace_schema_metadata(dict(metadata or {})),
        path,
        compression="zstd",
        row_group_size=ROW_GROUP,
        use_dictionary=texts,  # pyright: ignore[reportArgumentType]
        use_byte_stream_split=floats + lists,  # pyright: ignore[reportArgumentType]
    )


def write_rejects(path: Path, rejects: list[Reject], dataset: str, split: str, unit: str) -> None:
    """Write what a unit left out; the file has its columns even when nothing was."""
    where = {"dataset": dataset, "split": split, "unit": unit}
    rows = [where | _reject_values(reject) for reject in rejects]
    write_table(path, pa.Table.from_pylist(rows, schema_of(REJECT_COLUMNS)))


def _reject_values(reject: Reject) -> dict[str, Any]:
    """Return the columns of one reject."""
    place: Provenance = reject.provenance
    values = {"key": reject.key, "reason": reject.reason, "detail": reject.detail, "people": reject.people}
    return values | {"provenance_file": place.file, "provenance_row": place.row}


def empty_sidecar() -> pa.Table:
    """Return a sidecar without rows."""
    return schema_of(sidecar_columns()).empty_table()


def read_sidecar(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Return the sidecar, or some of its columns; ShardError when it is absent or no Parquet file."""
    with open_sidecar(path) as file, _named_damage(path):
        return file.read(columns=columns)


def sidecar_facts(path: Path) -> dict[str, str]:
    """Return what the sidecar says about its tar: ehps_tar_blake3, ehps_tar_size, ehps_format, ehps_version."""
    with open_sidecar(path) as file:
        metadata = file.schema_arrow.metadata or {}
    return {name.decode(): value.decode() for name, value in metadata.items() if name.startswith(b"ehps_")}


def open_sidecar(path: Path, read_dictionary: list[str] | None = None) -> pq.ParquetFile:
    """Return an open sidecar; ShardError when it is absent, something else, or of another format.

    Texts of the columns ``read_dictionary`` come as Arrow dictionaries.
    """
    with _named_damage(path):
        file = pq.ParquetFile(path, read_dictionary=read_dictionary)
        found = int((file.metadata.metadata or {}).get(b"ehps_format", FORMAT_VERSION))
    if found != FORMAT_VERSION:
        file.close()
        problem = f"the shard has format {found}, this ehps reads format {FORMAT_VERSION}"
        raise ShardError(path, problem, "convert the unit again" if found < FORMAT_VERSION else "update ehps")
    return file


@contextmanager
def _named_damage(path: Path) -> Iterator[None]:
    """Turn what reading a damaged or absent sidecar raises into ShardError."""
    try:
        yield
    except FileNotFoundError as error:
        raise ShardError(path, "the sidecar of the shard is not there", "convert the unit again") from error
    except (pa.ArrowException, OSError, ValueError) as error:  # pyarrow raises all three for damaged bytes
        raise ShardError(path, f"the sidecar is not a Parquet file ({error})", "convert the unit again") from error
