"""``ehps verify``: whether converted data still holds the bytes that were written."""

from typing import Annotated

import typer

from .options import CatalogOption, JsonOption, SplitOption
from .output import emit_json, note, progress


def verify_shards(
    catalog: CatalogOption,
    dataset: Annotated[str | None, typer.Option("--dataset", "-d", help="Only this source.")] = None,
    split: SplitOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare every shard, sidecar and list of rejects with its checksum; exit code 1 when anything differs.

    Example: ehps verify --catalog DATA
    """
    from ..errors import ShardError
    from ..shards.tree import unit_dirs
    from ..shards.verify import verify_unit

    folders = unit_dirs(catalog, dataset, split)
    if not folders:
        raise ShardError(catalog, "holds no converted unit of that choice", "run ehps convert first")
    problems = []
    with progress("verifying", len(folders)) as advance:
        for folder in folders:
            problems += verify_unit(folder)
            advance()
    if as_json:
        emit_json({"problem": problem} for problem in problems)
    else:
        for problem in problems:
            typer.echo(problem)
    note(f"{len(folders)} units: {f'{len(problems)} problem(s)' if problems else 'all sound'}")
    if problems:
        raise typer.Exit(1)
