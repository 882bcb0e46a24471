"""``ehps verify``: whether converted data still holds the bytes that were written, and says the same everywhere."""

from typing import Annotated

import typer

from .options import CatalogOption, JsonOption, SplitOption, ThreadsOption
from .output import emit_json, note, progress


def verify_shards(
    catalog: CatalogOption,
    dataset: Annotated[str | None, typer.Option("--dataset", "-d", help="Only this source.")] = None,
    split: SplitOption = None,
    fast: Annotated[bool, typer.Option("--fast", help="Sizes, sidecars and counts only; no picture is read.")] = False,
    jobs: ThreadsOption = 2,
    as_json: JsonOption = False,
) -> None:
    """Hold every file against its checksum, sidecars against tars, and counts against one another.

    Exit code 1 when anything is wrong. What is checked: docs/integrity.md.

    Example: ehps verify --catalog DATA --jobs 4
    """
    from ..errors import ShardError
    from ..shards.tree import unit_dirs
    from ..shards.verify import run_checks, tree_checks

    checks = tree_checks(catalog, dataset, split, fast=fast)
    if not unit_dirs(catalog, dataset, split):
        raise ShardError(catalog, "holds no converted unit of that choice", "run ehps convert first")
    found = 0
    with progress("verifying", sum(check.size for check in checks) or len(checks)) as advance:
        for check, problems in run_checks(checks, jobs):
            found += len(problems)
            rows = [{"path": str(problem.path), "problem": str(problem)} for problem in problems]
            emit_json(rows) if as_json else [typer.echo(str(problem)) for problem in problems]
            advance(1 if fast else check.size)
    note(f"{len(checks)} files: {f'{found} problem(s)' if found else 'all sound'}")
    if found:
        raise typer.Exit(1)
