"""The catalog: SQL over everything in a converted tree, made from the sidecars and thrown away at will.

``build_catalog`` makes it, ``open_catalog`` and ``query`` answer from it. ``OUT/catalog.duckdb`` is small: tables of
what was converted and how, and views over the Parquet files of the partitions (``catalog_files``), so that one more
source leaves all others as they are. Tables, views and columns: docs/catalog.md.
Only what DuckDB can do without extensions is used, so that the files open anywhere.
"""

import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pandas as pd
import pyarrow as pa

from ..errors import QueryError, ShardError
from .catalog_build import build_catalog
from .catalog_files import CATALOG, Partition
from .catalog_schema import OUTSIDE, TABLES, VIEWS, People, file_views, literal, outside_table, pattern_of
from .tree import list_shards, shards_fingerprint

__all__ = [
    "CATALOG",
    "build_catalog",
    "explain",
    "fingerprint",
    "open_catalog",
    "partitions_of",
    "query",
    "query_arrow",
]

Answer = TypeVar("Answer")
_ALIAS = "ehps"
_SELECT, _MULTI = duckdb.StatementType.SELECT, duckdb.StatementType.MULTI
_NO_POSES = "the poses are read from the sidecars, which are not beside this copy of the catalog, or not all of them"
# What a PIVOT may be part of.
_QUESTION = re.compile(r"\s*(PIVOT|FROM|SELECT|WITH)\b", re.IGNORECASE)


def fingerprint(out: Path, dataset: str | None = None, split: str | None = None) -> str:
    """Return 64 hexadecimal digits that change with any byte of the tars of a tree, or of one source or split."""
    return shards_fingerprint(list_shards(out, dataset, split))


def open_catalog(out: Path, tables: Mapping[str, pa.Table] | None = None) -> duckdb.DuckDBPyConnection:
    """Return a connection that reads the catalog of a converted tree; ShardError when there is none.

    The catalog is attached read-only to a private empty database, which has the views for the place where the tree
    lies now. So the next connection sees a rebuild even while older ones are open, which a plain ``duckdb.connect`` in
    one process does not. ``tables`` brings what lies outside of the tree (results, person_results, published, runs).
    """
    path = Path(out) / CATALOG
    if not path.is_file():
        hint = "run ehps convert, or ehps catalog when the shards are there already"
        raise ShardError(path, "the catalog is not there", hint)
    connection = duckdb.connect(config={"temp_directory": f"{tempfile.gettempdir()}/ehps-duckdb-{os.getpid()}"})
    try:
        connection.execute(f"ATTACH {literal(str(path))} AS {_ALIAS} (READ_ONLY)")
        connection.execute("SET parquet_metadata_cache = true")
        _define(connection, Path(out).resolve(), dict(tables or {}))
    except duckdb.CatalogException as error:
        connection.close()
        problem = f"another version of ehps built the catalog ({str(error).splitlines()[0]})"
        raise ShardError(path, problem, "run ehps catalog once") from error
    except duckdb.Error as error:
        connection.close()
        raise ShardError(path, f"DuckDB cannot open the catalog ({error})", "rebuild it with ehps catalog") from error
    return connection


def _define(connection: duckdb.DuckDBPyConnection, root: Path, tables: dict[str, pa.Table]) -> None:
    """Create the views, and the tables that the caller brings."""
    partitions = [People(p.folder, p.people, p.has_more_measures) for p in partitions_of(connection, root)]
    listed = f"SELECT path, people FROM {_ALIAS}.shards ORDER BY rowid"
    shards = connection.execute(listed).fetchall()
    sidecars = [(f"{root}/{path.removesuffix('.tar')}.parquet", people) for path, people in shards]
    for name in TABLES:
        connection.execute(f"CREATE VIEW {name} AS FROM {_ALIAS}.{name}")
    views = file_views(partitions, sidecars) | VIEWS
    try:
        connection.execute(f"CREATE VIEW poses AS {views.pop('poses')}")
    except duckdb.IOException:  # a unit was taken away since, or this is a copy of the catalog alone
        no_poses = f"{file_views(partitions, [])['poses']} OR error({literal(_NO_POSES)})"
        connection.execute(f"CREATE VIEW poses AS {no_poses}")
    for name, sql in views.items():
        connection.execute(f"CREATE VIEW {name} AS {sql}")
    for name in OUTSIDE:
        connection.register("brought", outside_table(name, tables.get(name)))
        connection.execute(f"CREATE TABLE {name} AS FROM brought")
        connection.unregister("brought")


def partitions_of(connection: duckdb.DuckDBPyConnection, out: Path) -> list[Partition]:
    """Return the partitions that a connection of ``open_catalog`` reads, in their order."""
    listed = "SELECT dataset, split, folder, fingerprint, people, frames, more_measures <> '[]'"
    rows = connection.execute(f"{listed} FROM {_ALIAS}.partitions ORDER BY rowid").fetchall()
    return [Partition(dataset, split, out / folder, *rest) for dataset, split, folder, *rest in rows]


def query(
    out: Path,
    sql: str,
    parameters: Sequence[Any] | Mapping[str, Any] | None = None,
    tables: Mapping[str, pa.Table] | None = None,
) -> pd.DataFrame:
    """Return the answer to a question to the catalog, which can neither write nor reach files outside of the tree.

    QueryError says what DuckDB objects to. ``tables``: see ``open_catalog``.
    """
    with open_catalog(out, tables) as connection:
        return _asked(connection, out, sql, lambda: connection.execute(sql, parameters).df())


def query_arrow(
    out: Path,
    sql: str,
    parameters: Sequence[Any] | Mapping[str, Any] | None = None,
    tables: Mapping[str, pa.Table] | None = None,
) -> pa.Table:
    """Return the answer like ``query``, as an Arrow table: whole numbers stay whole where some are null."""
    with open_catalog(out, tables) as connection:
        return _asked(connection, out, sql, lambda: connection.sql(sql, params=parameters).to_arrow_table())


def explain(out: Path, sql: str, tables: Mapping[str, pa.Table] | None = None) -> str:
    """Return how DuckDB answers a question, after answering it: the plan with the time and the rows of each step."""
    with open_catalog(out, tables) as connection:
        plan = _asked(connection, out, sql, lambda: connection.execute(f"EXPLAIN ANALYZE {sql}").fetchall())
    return plan[0][1]


def _asked(connection: duckdb.DuckDBPyConnection, out: Path, sql: str, run: Callable[[], Answer]) -> Answer:
    """Return the answer to a question in a connection that is closed to everything else."""
    _lock(connection, out)
    try:
        _require_question(connection, sql)
        return run()
    except duckdb.Error as error:
        raise QueryError(sql, str(error)) from error


def _lock(connection: duckdb.DuckDBPyConnection, out: Path) -> None:
    """Leave nothing within reach but the files of the tree."""
    connection.execute("SET temp_directory = ''")  # DuckDB would let a query write there
    root = Path(out).resolve()
    connection.execute(f"SET allowed_directories = {literal([f'{root}/', f'{pattern_of(root)}/'])}")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _require_question(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Raise QueryError unless an SQL text only asks: COPY could write into the tree, which DuckDB leaves open."""
    statements = connection.extract_statements(sql)
    kinds = [statement.type for statement in statements]
    if kinds and all(kind == _SELECT for kind in kinds):
        return
    # A PIVOT is one statement of its own kind; before DuckDB 2 it was several without a text, the last a SELECT.
    is_pivot = kinds == [_MULTI] or (kinds[-1:] == [_SELECT] and not any(s.query for s in statements))
    if not (is_pivot and _QUESTION.match(sql)):
        raise QueryError(sql, "only SELECT, FROM, WITH, PIVOT, DESCRIBE, SHOW and SUMMARIZE are answered here")
