"""``ehps train``: train a recipe on a mixture of converted data."""

from pathlib import Path
from typing import Annotated

import typer

from .options import CatalogOption
from .output import note


def train_recipe(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe: demo, smplestx_h, ...")],
    catalog: CatalogOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run: checkpoints, log, first batch.")],
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Changes to the recipe.")
    ] = None,
    mixture: Annotated[str | None, typer.Option("--mixture", help="Another mixture than the recipe's.")] = None,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda; auto takes the GPU if there is one.")] = "auto",
) -> None:
    """Train SMPLest-X. The same command continues a stopped run with the identical sequence of samples.

    Example: ehps train demo --catalog DATA --out RUN batch_size=16 steps=200
    """
    from ..training.loop import train
    from ..training.recipes import get_recipe

    overrides = [*(settings or []), *([f"mixture={mixture}"] if mixture else [])]
    train(get_recipe(recipe, overrides), out, catalog, device=device, report=lambda status: note(str(status)))
    note(f"score it: ehps bench {out} --protocol ehf --catalog {catalog} --out results")
