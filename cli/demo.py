"""``ehps demo``: the whole chain on built-in data, from raw trees to a benchmark matrix and a report."""

from pathlib import Path
from typing import Annotated

import typer


def run_demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the demo; it can be deleted.")] = Path("demo_out"),
    frames: Annotated[int, typer.Option("--frames", min=12, help="Pictures to render, over all sources.")] = 260,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Training steps; the recipe's when absent.")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes.")] = 2,
) -> None:
    """Write raw trees, convert, catalog, mix, train, evaluate before and after, report.

    Everything is drawn from our own stand-in body: no data set and no body model is needed. A run that was stopped
    continues where it was.

    Example: ehps demo --out demo_out
    """
    from .demo_chain import run

    run(out, frames=frames, steps=steps, jobs=jobs)
