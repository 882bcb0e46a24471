"""The catalog: one DuckDB file over all shards of a converted tree, built from the sidecars and thrown away at will.

Tables: ``people`` (one row a person), ``poses`` (the numeric labels of the same ``person_id``), ``frames``,
``rejects``, ``shards``, ``conversions`` (one row a unit), ``sources`` (facts of the cards) and ``catalog_info``.
``person_id`` counts everyone in the order of the shards and is the row number of ``reader.PeopleIndex``.
The meaning and unit of every column is in its comment. A rebuild replaces the file by one rename.
Only what DuckDB can do without extensions is used, so that the file opens anywhere.
"""

import json
import os
import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from .. import __version__
from ..cards import Card, load_card
from ..errors import QueryError, ShardError, UnknownNameError
from .codec import FORMAT_VERSION
from .reader import PeopleIndex, index_path
from .sidecar import (
    FRAME_COLUMNS,
    IDENTITY_COLUMNS,
    LIST_COLUMNS,
    MEMBER_COLUMNS,
    PERSON_COLUMNS,
    REJECT_COLUMNS,
    Column,
    empty_sidecar,
    quality_columns,
)
from .tree import (
    REJECTS_FILE,
    ShardPlace,
    list_shards,
    read_unit,
    shards_fingerprint,
    sync,
    temporary_folder,
    unit_dir,
    unit_dirs,
    unit_shards,
)

CATALOG = "catalog.duckdb"
_ALIAS = "ehps"
_TEXT, _LONG, _BOOL = pa.string(), pa.int64(), pa.bool_()
_WHERE = [c for c in IDENTITY_COLUMNS if c.name in ("dataset", "split", "unit")]
_PERSON_ID = Column("person_id", _LONG, "number of the person in the catalog; row number of reader.PeopleIndex")
_COUNTS = [
    Column("frames", _LONG, "frames written"),
    Column("people", _LONG, "people written"),
]
SHARD_COLUMNS = [
    *_WHERE,
    Column("shard", _TEXT, "file name of the tar"),
    Column("path", _TEXT, "path of the tar from the root of the converted tree"),
    *_COUNTS,
    Column("size", _LONG, "bytes of the tar"),
    Column("sha256", _TEXT, "SHA-256 of the tar"),
    Column("first_person_id", _LONG, "person_id of its first person"),
]
CONVERSION_COLUMNS = [
    *_WHERE,
    *_COUNTS,
    Column("rejected_people", _LONG, "people left out, see rejects"),
    Column("shards", _LONG, "number of tars"),
    Column("bytes", _LONG, "bytes of all tars"),
    Column("ehps_version", _TEXT, "version of ehps that wrote the unit"),
    Column("converter_version", _LONG, "version of the converter of the source"),
    Column("rejects_by_reason", _TEXT, "people left out by reason, JSON"),
    Column("conversion", _TEXT, "how the unit was made (options, body model, raw files), JSON"),
    Column("checks", _TEXT, "what the engine measured over the unit, JSON"),
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
_INFO_COLUMNS = [
    Column("fingerprint", _TEXT, "fingerprint of the shards that the catalog was built from"),
    Column("format", _LONG, "version of the layout of shards and sidecars"),
    Column("ehps_version", _TEXT, "version of ehps that built the catalog"),
]
_FRAME_TABLE = [c for c in IDENTITY_COLUMNS if c.name not in ("person_key", "person")] + FRAME_COLUMNS + MEMBER_COLUMNS
_FIRST = Column("first_person_id", _LONG, "person_id of its first person; the others follow")
_VIEWS = """
CREATE VIEW people_with_body AS SELECT * FROM people WHERE has_body_pose;
CREATE VIEW people_with_hands AS SELECT * FROM people WHERE has_left_hand_pose AND has_right_hand_pose;
CREATE VIEW people_with_face AS SELECT * FROM people WHERE has_expression OR has_jaw_pose;
CREATE VIEW reject_summary AS
    SELECT dataset, split, reason, sum(people)::BIGINT AS people, count(*) AS rejects, min(detail) AS example
    FROM rejects GROUP BY ALL ORDER BY dataset, split, people DESC, reason;
"""


_TABLES = f"""
SELECT table_name FROM duckdb_tables() WHERE database_name = '{_ALIAS}'
UNION ALL SELECT view_name FROM duckdb_views() WHERE database_name = '{_ALIAS}' AND NOT internal
"""


def fingerprint(out: Path, dataset: str | None = None, split: str | None = None) -> str:
    """Return 64 hexadecimal digits that change with any byte of the tars of a tree, or of one source or split."""
    return shards_fingerprint(list_shards(out, dataset, split))


def build_catalog(out: Path, *, poses: bool = True) -> Path:
    """Build ``OUT/catalog.duckdb`` and the saved index from all committed units; return the path of the catalog.

    Without the table ``poses``, which is most of its bytes, it is built in half the time.
    """
    out = Path(out)
    units = [unit for folder in unit_dirs(out) if (unit := read_unit(folder)) is not None]
    if not units:
        raise ShardError(out, "there is nothing converted here", "run ehps convert first")
    shards = [shard for unit in units for shard in unit_shards(unit)]
    with temporary_folder(out, "catalog") as folder:
        try:
            _build(folder / CATALOG, out, units, poses)
        except duckdb.Error as error:
            hint = "convert the unit that it names again"
            raise ShardError(out, f"the sidecars do not make a catalog ({error})", hint) from error
        np.save(folder / "people.npy", PeopleIndex.from_places(out, shards).rows)
        _publish(folder / "people.npy", index_path(out, shards))
        _publish(folder / CATALOG, out / CATALOG)
    for older in set(out.glob("people-*.npy")) - {index_path(out, shards)}:
        older.unlink()
    return out / CATALOG


def _publish(built: Path, target: Path) -> None:
    """Bring a finished file to the disk and rename it to its place."""
    sync(built)
    built.replace(target)
    sync(target.parent)


def _build(path: Path, out: Path, units: list[dict[str, Any]], poses: bool) -> None:
    """Write a new database in one transaction, because each statement of its own would wait for the disk."""
    shards = [shard for unit in units for shard in unit_shards(unit)]
    with duckdb.connect(str(path)) as connection:
        connection.begin()
        _small_tables(connection, units, shards)
        _people_tables(connection, [(out / shard.path).with_suffix(".parquet") for shard in shards])
        if poses:
            _poses_table(connection)
        _rejects_table(connection, out, units)
        _check_keys(connection, out)
        connection.execute(_VIEWS)
        connection.commit()


def _small_tables(connection: duckdb.DuckDBPyConnection, units: list[dict[str, Any]], shards: list[ShardPlace]) -> None:
    """Create the tables that say what was converted and how."""
    sources = sorted({unit["dataset"] for unit in units})
    _insert(connection, "shards", SHARD_COLUMNS, _shard_rows(shards))
    _insert(connection, "conversions", CONVERSION_COLUMNS, [_conversion_row(unit) for unit in units])
    _insert(connection, "sources", SOURCE_COLUMNS, [_source_row(source) for source in sources])
    info = {"fingerprint": shards_fingerprint(shards), "format": FORMAT_VERSION, "ehps_version": __version__}
    _insert(connection, "catalog_info", _INFO_COLUMNS, [info])


def _rejects_table(connection: duckdb.DuckDBPyConnection, out: Path, units: list[dict[str, Any]]) -> None:
    """Create the table of what was left out."""
    rejects = [unit_dir(out, unit["dataset"], unit["split"], unit["unit"]) / REJECTS_FILE for unit in units]
    connection.execute(f"CREATE TABLE rejects AS FROM {_parquet(rejects)}")
    _comment(connection, "rejects", REJECT_COLUMNS)


def _people_tables(connection: duckdb.DuckDBPyConnection, sidecars: list[Path]) -> None:
    """Create people and frames."""
    lists, members = _names(LIST_COLUMNS), _names(MEMBER_COLUMNS)
    connection.register("no_rows", empty_sidecar().append_column("file_row_number", pa.array([], pa.int64())))
    connection.execute(
        "CREATE TEMP VIEW sidecar_rows AS "
        "SELECT first_person_id + file_row_number AS person_id, stored.* EXCLUDE (file_row_number) "
        f"FROM {_parquet(sidecars, 'file_row_number = true') if sidecars else 'no_rows'} stored "
        "JOIN shards USING (dataset, split, unit, shard)"
    )
    connection.execute(f"CREATE TABLE people AS SELECT * EXCLUDE ({lists}, {members}) FROM sidecar_rows")
    connection.execute(
        f"CREATE TABLE frames AS SELECT {_names(_FRAME_TABLE)}, person_id AS first_person_id "
        "FROM sidecar_rows WHERE person = 0"
    )
    known = {row[0] for row in connection.execute("DESCRIBE people").fetchall()}
    measures = quality_columns(name.removeprefix("quality_") for name in known if name.startswith("quality_"))
    _comment(connection, "people", [_PERSON_ID, *IDENTITY_COLUMNS, *FRAME_COLUMNS, *PERSON_COLUMNS, *measures])
    _comment(connection, "frames", [*_FRAME_TABLE, _FIRST])


def _poses_table(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the table of the numeric labels."""
    connection.execute(f"CREATE TABLE poses AS SELECT person_id, {_names(LIST_COLUMNS)} FROM sidecar_rows")
    _comment(connection, "poses", [_PERSON_ID, *LIST_COLUMNS])


def _check_keys(connection: duckdb.DuckDBPyConnection, out: Path) -> None:
    """Raise ShardError when two frames of the tree have one key."""
    query = "SELECT key, min(shard), max(shard) FROM frames GROUP BY key HAVING count(*) > 1 ORDER BY key LIMIT 1"
    if found := connection.execute(query).fetchone():
        key, first, second = found
        raise ShardError(out, f"frame {key!r} is in both {first} and {second}", "remove one of the two units")


def _shard_rows(shards: Sequence[ShardPlace]) -> list[dict[str, Any]]:
    """Return the rows of the table shards, people counted on from tar to tar."""
    rows, first = [], 0
    for shard in shards:
        rows.append(shard._asdict() | {"shard": shard.path.rpartition("/")[2], "first_person_id": first})
        first += shard.people
    return rows


def _conversion_row(unit: dict[str, Any]) -> dict[str, Any]:
    """Return the row of a unit in the table conversions."""
    sizes = [shard["size"] for shard in unit["shards"]]
    row = unit | {"shards": len(sizes), "bytes": sum(sizes), "rejects_by_reason": _json(unit["rejects"])}
    row["converter_version"] = unit["conversion"].get("converter_version")
    return row | {"conversion": _json(unit["conversion"]), "checks": _json(unit["checks"])}


def _json(value: Any) -> str:
    """Return compact JSON with sorted keys."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _source_row(dataset: str) -> dict[str, Any]:
    """Return the card's facts of a source; only the id when it has no card."""
    try:
        card: Card = load_card(dataset)
    except UnknownNameError:
        return {"dataset": dataset}
    row = {name: getattr(card, name) for name in ("name", "summary", "kind", "year", "home", "paper_mix", "stride")}
    licence = card.licence
    row |= {"licence": licence.name, "is_commercial": licence.commercial, "may_redistribute": licence.redistribute}
    row |= {"may_preview": licence.previews, "access": licence.access, "scene": card.images.scene}
    return row | {"dataset": dataset}


def _insert(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Sequence[Column], rows: list[dict[str, Any]]
) -> None:
    """Create a commented table of plain rows."""
    arrays = [pa.array([row.get(column.name) for row in rows], column.type) for column in columns]
    connection.register("new_rows", pa.Table.from_arrays(arrays, names=[column.name for column in columns]))
    connection.execute(f"CREATE TABLE {table} AS FROM new_rows")
    connection.unregister("new_rows")
    _comment(connection, table, columns)


def _comment(connection: duckdb.DuckDBPyConnection, table: str, columns: Iterable[Column]) -> None:
    """Say in the database what the columns mean."""
    for column in columns:
        connection.execute(f'COMMENT ON COLUMN {table}."{column.name}" IS {_literal(column.meaning)}')


def _names(columns: Iterable[Column]) -> str:
    """Return quoted column names."""
    return ", ".join(f'"{column.name}"' for column in columns)


def _parquet(paths: Sequence[Path], *options: str) -> str:
    """Return the SQL that reads these Parquet files, the characters of patterns in their names taken literally."""
    names = [re.sub(r"[*?\[]", r"[\g<0>]", str(path)) for path in paths]
    return f"read_parquet({', '.join((_literal(names), 'union_by_name = true', *options))})"


def _literal(value: str | list[str]) -> str:
    """Return an SQL literal of a text or a list of texts."""
    if isinstance(value, list):
        return "[" + ", ".join(_literal(item) for item in value) + "]"
    return "'" + value.replace("'", "''") + "'"


def open_catalog(out: Path) -> duckdb.DuckDBPyConnection:
    """Return a connection that reads the catalog of a converted tree; ShardError when there is none.

    The catalog is attached read-only to a private empty database whose views bear the names of its tables. So the next
    connection sees a rebuild even while older ones are open, which a plain ``duckdb.connect`` in one process does not.
    """
    path = Path(out) / CATALOG
    if not path.is_file():
        hint = "run ehps convert, or ehps catalog when the shards are there already"
        raise ShardError(path, "the catalog is not there", hint)
    connection = duckdb.connect(config={"temp_directory": f"{tempfile.gettempdir()}/ehps-duckdb-{os.getpid()}"})
    try:
        connection.execute(f"ATTACH {_literal(str(path))} AS {_ALIAS} (READ_ONLY)")
        for (table,) in connection.execute(_TABLES).fetchall():
            connection.execute(f'CREATE VIEW "{table}" AS FROM {_ALIAS}."{table}"')
    except duckdb.Error as error:
        connection.close()
        raise ShardError(path, f"DuckDB cannot open the catalog ({error})", "rebuild it with ehps catalog") from error
    return connection


def query(out: Path, sql: str, parameters: Sequence[Any] | None = None) -> pd.DataFrame:
    """Return the answer to a SELECT over the catalog, which can neither write nor reach other files.

    QueryError says what DuckDB objects to.
    """
    with open_catalog(out) as connection:
        connection.execute("SET temp_directory = ''")  # DuckDB would let a query write there
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        try:
            # COPY could otherwise write to the catalog itself, the one file that DuckDB still lets through.
            if any(statement.type != duckdb.StatementType.SELECT for statement in connection.extract_statements(sql)):
                raise QueryError(sql, "only SELECT, FROM, WITH, DESCRIBE, SHOW and SUMMARIZE are answered here")
            return connection.execute(sql, parameters).df()
        except duckdb.Error as error:
            raise QueryError(sql, str(error)) from error
