"""``ehps sql``: ask the catalog anything."""

import csv
import io
import json
import sys
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import CatalogOption, JsonOption
from .output import emit_json, emit_table, note

if TYPE_CHECKING:
    import pyarrow as pa


class Form(StrEnum):
    """How the answer is written."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"
    arrow = "arrow"


def run_sql(
    statement: Annotated[str, typer.Argument(help="A query over people, frames, rejects, shards, sources, ...")],
    catalog: CatalogOption,
    form: Annotated[Form, typer.Option("--format", "-f", help="json: one object a line.")] = Form.table,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the answer to this file.")] = None,
    results: Annotated[
        Path | None, typer.Option("--results", help="Folder of results: results, person_results.")
    ] = None,
    runs: Annotated[Path | None, typer.Option("--runs", help="Folder of training runs: the table runs.")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Print the plan with its times, not the answer.")] = False,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values.")] = False,
) -> None:
    """Run a read-only SQL query over the catalog.

    Example: ehps sql --catalog DATA "select dataset, count(*) from people group by 1"
    """
    from ..shards import catalog as shards_catalog
    from .outside import outside_tables

    tables = outside_tables(statement, results, runs)
    if explain:
        typer.echo(shards_catalog.explain(catalog, statement, tables))
        return
    form = Form.json if as_json else Form.csv if as_csv else form
    _write(shards_catalog.query_arrow(catalog, statement, tables=tables), form, out)


def _write(table: "pa.Table", form: Form, out: Path | None) -> None:
    """Write an answer to a file or to stdout."""
    if out is None and form in (Form.table, Form.json):
        rows = [{name: _plain(value) for name, value in row.items()} for row in table.to_pylist()]
        emit_json(rows) if form is Form.json else emit_table(rows)
        return
    if form is Form.table:
        raise typer.BadParameter("a file needs --format csv, json, parquet or arrow")
    if out is None and form in (Form.parquet, Form.arrow) and sys.stdout.isatty():
        raise typer.BadParameter(f"{form.value} is not for a terminal; give --out FILE")
    content = _encoded(table, form)
    if out is None:
        typer.echo(content, nl=False)
        return
    out.write_bytes(content)
    note(f"wrote {out}")


def _encoded(table: "pa.Table", form: Form) -> bytes:
    """Return an answer as the bytes of a file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if form in (Form.csv, Form.json):
        return (_csv(table) if form is Form.csv else _json_lines(table)).encode()
    sink = pa.BufferOutputStream()
    if form is Form.parquet:
        pq.write_table(table, sink, compression="zstd")
    else:
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    return sink.getvalue().to_pybytes()


def _csv(table: "pa.Table") -> str:
    """Return comma-separated values; null is empty, lists are JSON."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.column_names)
    for batch in table.to_batches():
        columns = [[_cell(value) for value in column.to_pylist()] for column in batch.columns]
        writer.writerows(zip(*columns, strict=True))
    return text.getvalue()


def _cell(value: Any) -> Any:
    value = _plain(value)
    return json.dumps(value, default=str) if isinstance(value, list | dict) else value


def _json_lines(table: "pa.Table") -> str:
    """Return one JSON object a line."""
    rows = ({name: _plain(value) for name, value in row.items()} for row in table.to_pylist())
    return "".join(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)


def _plain(value: Any) -> Any:
    """Return a value with the numbers that DuckDB gives as decimals as what they are."""
    if isinstance(value, Decimal):
        return float(value) if value.as_tuple().exponent else int(value)
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return {name: _plain(part) for name, part in value.items()} if isinstance(value, dict) else value
