"""``ehps train``: train a recipe on a mixture of converted data."""

from pathlib import Path
from typing import Annotated

import typer

from .options import DataOption
from .output import note


def train_recipe(
    recipe: Annotated[str, typer.Argument(help="demo, smplestx_h40, smplerx_l32, finetune_agora, ...")],
    data: DataOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run: checkpoints, log, first batch.")],
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Changes to the recipe.")
    ] = None,
    mixture: Annotated[str | None, typer.Option("--mixture", help="Another mixture than the recipe's.")] = None,
    checkpoint: Annotated[
        Path | None, typer.Option("--from", help="Finetune this checkpoint or run: its network, and its weights.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda; auto takes the GPU if there is one.")] = "auto",
) -> None:
    """Train SMPLest-X or SMPLer-X. The same command continues a stopped run with the identical sequence of samples.

    Example: ehps train demo --catalog DATA --out RUN batch_size=16 steps=200
    """
    from ..shards.mirror import local_catalog
    from ..training.loop import train
    from ..training.recipes import get_recipe
    from ..training.start import started_from

    overrides = [*(settings or []), *([f"mixture={mixture}"] if mixture else [])]
    chosen = get_recipe(recipe, overrides)
    if checkpoint is not None:
        chosen = started_from(chosen, checkpoint)
    train(chosen, out, local_catalog(data), device=device, report=lambda status: note(str(status)), note=note)
    note(f"score it: ehps bench {out} --protocol ehf --catalog {data} --out results")
