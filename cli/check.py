"""``ehps check``: whether a raw tree is what its card says, and its labels agree with one another."""

from typing import Annotated

import typer

from .options import JsonOption, RawOption, SetOption, SplitOption, key_values
from .output import emit_json, emit_table


def check_raw(
    dataset: Annotated[str, typer.Argument(help="Id of the source, as ehps list shows it.")],
    raw: RawOption,
    split: SplitOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Only the first people of each unit.")] = 200,
    options: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read a raw tree without writing anything, and report counts, rejects and geometric checks.

    Example: ehps check bedlam --raw RAW/bedlam --split val
    """
    from ..converters.engine import check

    report = check(dataset, raw, split, limit=limit, options=key_values(options))
    if as_json:
        emit_json([report.to_json()])
        return
    for title, rows in report.tables():
        typer.secho(title, bold=True)
        emit_table(rows)
        typer.echo()
    for text in report.warnings:
        typer.echo(f"warning: {text}")
    typer.echo(f"{len(report.warnings)} warning(s)" if report.warnings else "no warnings")
