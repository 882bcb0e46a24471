"""What every verb prints with: results on stdout (tables for people, JSON lines for programs), progress on stderr."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import typer


def emit_json(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print one JSON object a line."""
    for row in rows:
        typer.echo(json.dumps(row, ensure_ascii=False, default=str))


def emit_table(rows: Sequence[Mapping[str, Any]], *, title: str | None = None) -> None:
    """Print rows as a table, columns as in the first row; numbers to the right."""
    from rich.console import Console
    from rich.table import Table

    if not rows:
        typer.echo("nothing to show")
        return
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        numeric = all(isinstance(row[name], int | float) or row[name] is None for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    # Piped output must not be cut at the width of a terminal that is not there.
    console = Console(width=None if _is_terminal() else 400, highlight=False)
    console.print(table)


def _is_terminal() -> bool:
    import sys

    return sys.stdout.isatty()


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def note(text: str) -> None:
    """Print a line for people on stderr, so that stdout holds nothing but the result."""
    typer.echo(text, err=True)


@contextmanager
def progress(title: str, total: int | None = None) -> Iterator[Any]:
    """Show a progress bar on stderr; yields ``advance(n=1, text=None, total=None)``."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=total)

        def advance(n: float = 1, text: str | None = None, total: int | None = None) -> None:
            bar.update(task, advance=n, description=text or title, total=total)

        yield advance
