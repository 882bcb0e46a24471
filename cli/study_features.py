"""``ehps study features``: what a checkpoint's encoder sees in a sample of every source."""

from pathlib import Path
from typing import Annotated

import typer

from .options import CatalogOption, JsonOption, ThreadsOption
from .output import emit_json, emit_table, progress


def make_features(
    catalog: CatalogOption,
    checkpoint: Annotated[Path, typer.Option("--checkpoint", "-m", help="A run's folder or a checkpoint.")],
    datasets: Annotated[list[str] | None, typer.Argument(help="Ids of sources; all of the catalog if none.")] = None,
    people: Annotated[int, typer.Option("--people", min=16, help="People of each source and split.")] = 512,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda; auto takes the GPU if there is one.")] = "auto",
    heads: Annotated[int | None, typer.Option("--heads", help="Attention heads of a released file's network.")] = None,
    threads: ThreadsOption = 4,
    as_json: JsonOption = False,
) -> None:
    """Write image features of a sample of people of every source beside the catalog, for the study of data sets.

    What is current is kept: the same command continues, and brings a grown catalog up to date.

    Example: ehps study features --catalog DATA --checkpoint RUN
    """
    from ..studies import features

    rows = []
    with progress("image features") as advance:
        for made in features.make_features(
            catalog, checkpoint, people=people, datasets=datasets, device=device, threads=threads, num_heads=heads
        ):
            rows.append({**made._asdict(), "path": str(made.path) if made.path else None})
            advance(text=f"{made.dataset} {made.split}")
    emit_json(rows) if as_json else emit_table(rows)
