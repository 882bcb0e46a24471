"""``ehps submit``: what the owners of hidden test sets take, written from predictions or checked, offline."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Server(StrEnum):
    """Who takes submissions."""

    agora = "agora"
    bedlam = "bedlam"
    freihand = "freihand"
    shapy = "shapy"
    pw3d_challenge = "pw3d_challenge"


def submit_predictions(
    server: Annotated[Server, typer.Argument(help="Who shall score it.")],
    predictions: Annotated[Path | None, typer.Option("--predictions", help="npz, pkl or parquet: write it.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The file that is sent.")] = None,
    check: Annotated[Path | None, typer.Option("--check", help="Check this file instead; nothing is written.")] = None,
) -> None:
    """Write what a server takes from a file of predictions, or check such a file; nothing is sent.

    Example: ehps submit agora --predictions pred.npz --out predictions.zip
    """
    from ..benchmark.submission_checks import check_submission
    from ..benchmark.submissions import write_submission

    if check is not None:
        problems = check_submission(server.value, check)
        for problem in problems:
            typer.echo(f"{check}: {problem}")
        if problems:
            raise typer.Exit(1)
        typer.echo(f"{check}: {server.value} can score this")
        return
    if predictions is None or out is None:
        raise typer.BadParameter("give --predictions and --out to write a file, or --check to check one")
    typer.echo(write_submission(server.value, predictions, out))
