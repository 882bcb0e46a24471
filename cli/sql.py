"""``ehps sql``: ask the catalog anything."""

from typing import Annotated

import typer

from .options import CatalogOption, JsonOption
from .output import emit_json, emit_table


def run_sql(
    statement: Annotated[str, typer.Argument(help="A query over people, frames, rejects, shards, sources, ...")],
    catalog: CatalogOption,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values.")] = False,
) -> None:
    """Run a read-only SQL query over the catalog.

    Example: ehps sql --catalog DATA "select dataset, count(*) from people group by 1"
    """
    from ..shards.catalog import query

    frame = query(catalog, statement)
    if as_csv:
        typer.echo(frame.to_csv(index=False), nl=False)
        return
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    emit_json(rows) if as_json else emit_table(rows)
