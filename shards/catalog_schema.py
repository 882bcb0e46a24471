"""What the tables and views of the catalog are called, what their columns mean, and how the views are made.

``docs/catalog.md`` explains them; a test holds it against this module.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from .sidecar import (
    FRAME_COLUMNS,
    IDENTITY_COLUMNS,
    LIST_COLUMNS,
    MEMBER_COLUMNS,
    PERSON_COLUMNS,
    REJECT_COLUMNS,
    Column,
    quality_columns,
    schema_of,
)

_TEXT, _LONG, _FLOAT, _BOOL = pa.string(), pa.int64(), pa.float64(), pa.bool_()
_TIME = pa.timestamp("us", tz="UTC")
WHERE = [c for c in IDENTITY_COLUMNS if c.name in ("dataset", "split", "unit")]
PERSON_ID = Column("person_id", _LONG, "number of the person in the catalog; row number of index.PeopleIndex")
FIRST_PERSON_ID = Column("first_person_id", _LONG, "person_id of its first person; the others follow")
FIRST_ROW = Column("first_row", _LONG, "row of its first person in people.parquet")
RARITY_COLUMNS = [
    Column(
        "quality_body_pose_rarity", pa.float32(), "distance of the body pose from the catalog's reference; 3 is rare"
    ),
    Column("quality_hand_pose_rarity", pa.float32(), "the same of the rarer hand"),
]
# The places of the rows of tiles are mapped arrays (tiles.npy), not columns.
FRAME_TABLE = [c for c in IDENTITY_COLUMNS if c.name not in ("person_key", "person")] + [
    c for c in FRAME_COLUMNS + MEMBER_COLUMNS if not c.name.startswith("tile_row_")
]
_COUNTS = [Column("frames", _LONG, "frames written"), Column("people", _LONG, "people written")]
SHARD_COLUMNS = [
    *WHERE,
    Column("shard", _TEXT, "file name of the tar"),
    Column("path", _TEXT, "path of the tar from the root of the converted tree"),
    *_COUNTS,
    Column("size", _LONG, "bytes of the tar"),
    Column("blake3", _TEXT, "BLAKE3 of the tar"),
    FIRST_PERSON_ID,
]
CONVERSION_COLUMNS = [
    *WHERE,
    *_COUNTS,
    Column("rejected_people", _LONG, "people left out, see rejects"),
    Column("shards", _LONG, "number of tars"),
    Column("bytes", _LONG, "bytes of all tars"),
    Column("ehps_version", _TEXT, "version of ehps that wrote the unit"),
    Column("converter_version", _LONG, "version of the converter of the source"),
    Column("rejects_by_reason", _TEXT, "people left out by reason, JSON"),
    Column("conversion", _TEXT, "how the unit was made (options, body model, raw files), JSON"),
    Column("checks", _TEXT, "what the engine measured over the unit, JSON; the table checks has it by rows"),
]
CHECK_COLUMNS = [
    *WHERE,
    Column("name", _TEXT, "what was measured over the unit; parts of a measure follow after a dot"),
    Column("value", _FLOAT, "the number; null where the finding is a text"),
    Column("text", _TEXT, "the finding where it is no number: a sentence or a verdict"),
]
SOURCE_COLUMNS = [
    Column("dataset", _TEXT, "id of the source"),
    Column("name", _TEXT, "name of the source"),
    Column("summary", _TEXT, "what the source is"),
    Column("kind", _TEXT, "synthetic, mocap, pseudo or scan"),
    Column("year", _LONG, "year of publication"),
    Column("home", _TEXT, "page of the source"),
    Column("licence", _TEXT, "name of the licence"),
    Column("is_commercial", _BOOL, "whether commercial use is allowed"),
    Column("may_redistribute", _BOOL, "whether the data may be passed on"),
    Column("may_preview", _BOOL, "whether pictures may be shown"),
    Column("access", _TEXT, "open, registration or form"),
    Column("scene", _TEXT, "indoor, outdoor, studio, mixed or in-the-wild"),
    Column("paper_mix", _LONG, "smallest mixture of the SMPLer-X and SMPLest-X papers that has it"),
    Column("stride", _LONG, "every n-th person in the papers' training"),
]
PARTITION_COLUMNS = [
    *WHERE[:2],
    *_COUNTS,
    Column("rejects", _LONG, "records left out"),
    Column("poses", _LONG, "people with a body pose of 21 joints or more"),
    Column("bytes", _LONG, "bytes of the partition's own files"),
    FIRST_PERSON_ID,
    Column("fingerprint", _TEXT, "fingerprint of its shards"),
    Column("folder", _TEXT, "path of its folder from the root of the converted tree"),
    Column("more_measures", _TEXT, "quality columns that other partitions may not have, JSON"),
]
INFO_COLUMNS = [
    Column("fingerprint", _TEXT, "fingerprint of the shards that the catalog was built from"),
    Column("format", _LONG, "version of the layout of shards and sidecars"),
    Column("layout", _LONG, "version of the layout of the catalog's own files"),
    Column("ehps_version", _TEXT, "version of ehps that built the catalog"),
    Column("reference_people", _LONG, "people of the tree when the reference of the poses was made"),
]
_RESULT_OF = [
    Column("model", _TEXT, "name of the model"),
    Column("revision", _TEXT, "which weights"),
    Column("protocol", _TEXT, "id of the protocol"),
]
RESULT_COLUMNS = [
    *_RESULT_OF,
    Column("protocol_version", _LONG, "version of the protocol"),
    *WHERE[:2],
    Column("measure", _TEXT, "PVE, PA-PVE@hands, ..."),
    Column("is_primary", _BOOL, "whether the protocol ranks by it"),
    Column("mean", _FLOAT, "mean over the people who were answered"),
    Column("penalised_mean", _FLOAT, "mean with the missing counted by missing_rule"),
    Column("median", _FLOAT, "median over the people who were answered"),
    Column("ci_low", _FLOAT, "lower end of the 95 % interval of the mean"),
    Column("ci_high", _FLOAT, "upper end of the 95 % interval of the mean"),
    Column("people", _LONG, "people who have the measure"),
    Column("expected", _LONG, "people who should have it"),
    Column("asked", _LONG, "people whom the protocol asked about"),
    Column("answered", _LONG, "people whom the model answered"),
    Column("missing", _LONG, "people whom it did not"),
    Column("coverage", _FLOAT, "answered / asked"),
    Column("missing_rule", _TEXT, "how the missing count"),
    Column("box_source", _TEXT, "ground_truth, or the detector's name"),
    Column("is_trained_on", _BOOL, "whether the model was trained on the source"),
    Column("is_finetuned_on", _BOOL, "whether the model was fine-tuned on the source"),
    Column("shard_fingerprint", _TEXT, "fingerprint of the shards that were asked about"),
    Column("ehps_version", _TEXT, "version of ehps that scored"),
    Column("date", _TIME, "when it was scored"),
    Column("hardware", _TEXT, "what it ran on"),
    Column("command", _TEXT, "how to run it again"),
    Column("path", _TEXT, "the JSON of the result"),
]
PERSON_RESULT_COLUMNS = [
    *_RESULT_OF,
    Column("person_key", _TEXT, "the person, as in the table people"),
    Column("measure", _TEXT, "PVE, PA-PVE@hands, ..."),
    Column("value", _FLOAT, "the person's error; null where it is missing"),
]
PUBLISHED_COLUMNS = [
    Column("paper", _TEXT, "where the number stands"),
    Column("table", _TEXT, "in which table"),
    Column("method", _TEXT, "whose it is"),
    Column("backbone", _TEXT, "size of its network"),
    Column("train_set", _TEXT, "what it was trained on, in the paper's words"),
    Column("test_set", _TEXT, "what it was tested on, in the paper's words"),
    Column("metric", _TEXT, "the metric in the paper's words"),
    Column("part", _TEXT, "all, body, hands, lhand, rhand or face"),
    Column("value", _FLOAT, "the number, in unit"),
    Column("note", _TEXT, "what must be known to compare it"),
    Column("source", _TEXT, "where it was read"),
    Column("protocol", _TEXT, "our protocol of that test set; null where we have none"),
    Column("measure", _TEXT, "our measure of that metric; null where we have none"),
    Column("kind", _TEXT, "published, or a reproduction by somebody else"),
    Column("unit", _TEXT, "mm, or empty for shares"),
]
RUN_COLUMNS = [
    Column("path", _TEXT, "folder of the run"),
    Column("recipe", _TEXT, "name of the recipe"),
    Column("mixture", _TEXT, "name of the mixture"),
    Column("step", _LONG, "last reported step"),
    Column("loss", _FLOAT, "loss at that step"),
    Column("people_per_s", _FLOAT, "people a second at that step"),
    Column("data", _TEXT, "fingerprint of mixture and shards"),
    Column("device", _TEXT, "what it ran on"),
    Column("world_size", _LONG, "number of processes"),
    Column("ehps_version", _TEXT, "version of ehps that trained"),
    Column("facts", _TEXT, "all of run.json"),
]
LABELS = [c for c in PERSON_COLUMNS if c.name.startswith("label_")]
LABEL_COUNT_COLUMNS = [*WHERE[:2], *LABELS, Column("people", _LONG, "people whose parts are labelled just so")]
TABLES: dict[str, list[Column]] = {
    "sources": SOURCE_COLUMNS,
    "shards": SHARD_COLUMNS,
    "conversions": CONVERSION_COLUMNS,
    "checks": CHECK_COLUMNS,
    "partitions": PARTITION_COLUMNS,
    "label_counts": LABEL_COUNT_COLUMNS,
    "catalog_info": INFO_COLUMNS,
}
# What lies outside of the converted tree; the caller brings it, else these tables are empty.
OUTSIDE: dict[str, list[Column]] = {
    "results": RESULT_COLUMNS,
    "person_results": PERSON_RESULT_COLUMNS,
    "published": PUBLISHED_COLUMNS,
    "runs": RUN_COLUMNS,
}
VIEWS: dict[str, str] = {
    "people_with_body": "SELECT * FROM people WHERE has_body_pose",
    "people_with_hands": "SELECT * FROM people WHERE has_left_hand_pose AND has_right_hand_pose",
    "people_with_face": "SELECT * FROM people WHERE has_expression OR has_jaw_pose",
    "people_with_shape": "SELECT * FROM people WHERE has_betas",
    "people_with_2d": "SELECT * FROM people WHERE has_keypoints_2d",
    "people_with_3d": "SELECT * FROM people WHERE has_keypoints_3d OR has_vertices",
    "people_with_metric_camera": "SELECT * FROM people "
    "WHERE camera_kind IN ('measured', 'fitted') AND transl_is_metric",
    "video_sequences": "SELECT dataset, split, unit, sequence, count(*) AS frames, "
    "count(DISTINCT camera_name) AS cameras, min(frame_index) AS first_frame, max(frame_index) AS last_frame "
    "FROM frames WHERE sequence IS NOT NULL GROUP BY dataset, split, unit, sequence",
    "reject_summary": "SELECT dataset, split, reason, sum(people)::BIGINT AS people, count(*) AS rejects, "
    "min(detail) AS example FROM rejects GROUP BY ALL ORDER BY dataset, split, people DESC, reason",
}
VIEW_COLUMNS: dict[str, list[Column]] = {
    "video_sequences": [
        *(c for c in IDENTITY_COLUMNS + FRAME_COLUMNS if c.name in ("dataset", "split", "unit", "sequence")),
        Column("frames", _LONG, "frames of the sequence, those of all its cameras together"),
        Column("cameras", _LONG, "cameras with a name"),
        Column("first_frame", _LONG, "smallest frame_index"),
        Column("last_frame", _LONG, "largest frame_index"),
    ],
    "reject_summary": [
        *(c for c in REJECT_COLUMNS if c.name in ("dataset", "split", "reason")),
        Column("people", _LONG, "people left out"),
        Column("rejects", _LONG, "records left out"),
        Column("example", _TEXT, "one of the sentences that say why"),
    ],
}


def people_columns(measures: Iterable[str] = ()) -> list[Column]:
    """Return the columns of people.parquet; ``measures`` are names beside the engine's own."""
    return [*IDENTITY_COLUMNS, *FRAME_COLUMNS, *PERSON_COLUMNS, *quality_columns(measures), *RARITY_COLUMNS]


def commented(measures: Iterable[str]) -> dict[str, list[Column]]:
    """Return the columns of every table and view that have a meaning."""
    people = [PERSON_ID, *people_columns(measures)]
    found = {"people": people, "frames": [FIRST_PERSON_ID, *FRAME_TABLE], "poses": [PERSON_ID, *LIST_COLUMNS]}
    found |= {"rejects": REJECT_COLUMNS, **TABLES, **OUTSIDE, **VIEW_COLUMNS}
    return found | {name: people for name in VIEWS if name.startswith("people_with_")}


def outside_table(name: str, table: pa.Table | None = None) -> pa.Table:
    """Return a table of ``OUTSIDE`` in its columns, those that it lacks null; empty when there is none."""
    schema = schema_of(OUTSIDE[name])
    if table is None:
        return schema.empty_table()
    columns = [
        table[field.name].cast(field.type) if field.name in table.column_names else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


class People(NamedTuple):
    """What the views over the files need to know of one partition."""

    folder: Path
    people: int
    has_more_measures: bool


def file_views(partitions: Sequence[People], sidecars: Sequence[tuple[str, int]]) -> dict[str, str]:
    """Return the SQL of the views over Parquet files; ``sidecars`` come with the number of their people.

    ``person_id`` is worked out from the number of the file and the row in it, which costs nothing unless it is asked
    for.
    """
    more = ", union_by_name = true" if any(p.has_more_measures for p in partitions) else ""
    ids = _ids([p.people for p in partitions])
    lists = ", ".join(quoted(column.name) for column in LIST_COLUMNS)
    views = {
        "people": f"SELECT {ids} + file_row_number AS person_id, * FROM {_parquet(partitions, 'people', more)}",
        "frames": f"SELECT {ids} + first_row AS first_person_id, * EXCLUDE (first_row) "
        f"FROM {_parquet(partitions, 'frames')}",
        "rejects": f"SELECT * FROM {_parquet(partitions, 'rejects')}",
    }
    if sidecars:
        read = f"read_parquet({_paths(path for path, _ in sidecars)})"
        poses = f"SELECT {_ids([n for _, n in sidecars])} + file_row_number AS person_id, {lists} FROM {read}"
    else:
        nulls = ", ".join(f"NULL::FLOAT[] AS {quoted(column.name)}" for column in LIST_COLUMNS)
        poses = f"SELECT NULL::BIGINT AS person_id, {nulls} WHERE false"
    return views | {"poses": poses}


def _ids(counts: Sequence[int]) -> str:
    """Return the SQL of the person_id of the first person of the file that a row is from."""
    firsts, first = [], 0
    for count in counts:
        firsts.append(first)
        first += count
    return f"({firsts}::BIGINT[])[file_index::BIGINT + 1]"


def _parquet(partitions: Sequence[People], name: str, options: str = "") -> str:
    """Return the SQL that reads one file of each partition."""
    return f"read_parquet({_paths(p.folder / f'{name}.parquet' for p in partitions)}{options})"


def _paths(paths: Iterable[Path | str]) -> str:
    """Return an SQL list of paths, the characters of patterns in their names taken literally."""
    return literal([pattern_of(path) for path in paths])


def pattern_of(path: Path | str) -> str:
    """Return the pattern that only this path fits: ``*``, ``?`` and ``[`` in names are taken literally."""
    return re.sub(r"[*?\[]", r"[\g<0>]", str(path))


def quoted(name: str) -> str:
    """Return an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str | list[str]) -> str:
    """Return an SQL literal of a text or a list of texts."""
    if isinstance(value, list):
        return "[" + ", ".join(literal(item) for item in value) + "]"
    return "'" + value.replace("'", "''") + "'"
