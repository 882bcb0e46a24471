"""``ehps gc``: what aborted conversions and rebuilds left."""

from typing import Annotated

import typer

from .options import CatalogOption, JsonOption
from .output import emit_json, emit_table, note


def collect_garbage(
    catalog: CatalogOption,
    delete: Annotated[bool, typer.Option("--delete", help="Remove what is listed.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List what aborted conversions and rebuilds left, with sizes and reasons; nothing is removed without --delete.

    What a running process holds is never listed. Finished units, their shards and the catalog are never touched.

    Example: ehps gc --catalog DATA --delete
    """
    from ..shards.garbage import find_garbage, remove_garbage

    found = find_garbage(catalog)
    removed = [remove_garbage(catalog, leftover) for leftover in found] if delete else [False] * len(found)
    rows = [
        {"path": str(leftover.path), "bytes": leftover.size, "reason": leftover.reason, "removed": done}
        for leftover, done in zip(found, removed, strict=True)
    ]
    if as_json or rows:
        emit_json(rows) if as_json else emit_table(rows)
    total = sum(leftover.size for leftover in found)
    advice = "" if delete or not found else "; ehps gc --delete removes them"
    note(f"{len(found)} leftovers, {total:,} bytes{f', {sum(removed)} removed' if delete else ''}{advice}")
