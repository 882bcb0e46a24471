"""``ehps dash``: the dashboard over converted data and results."""

from pathlib import Path
from typing import Annotated

import typer

from .options import CatalogOption


def open_dashboard(
    catalog: CatalogOption = Path("data"),
    results: Annotated[Path, typer.Option("--results", "-r", help="Folder of results.", envvar="EHPS_RESULTS")] = Path(
        "results"
    ),
    runs: Annotated[Path, typer.Option("--runs", help="Folder of training runs.", envvar="EHPS_RUNS")] = Path("runs"),
    port: Annotated[int, typer.Option("--port", help="Port on this machine.")] = 8501,
    address: Annotated[
        str, typer.Option("--address", help="Where to listen; anything but 127.0.0.1 shows pictures to others.")
    ] = "127.0.0.1",
    headless: Annotated[bool, typer.Option("--headless", help="Do not open a browser.")] = False,
) -> None:
    """Open the dashboard: what is converted, what the labels look like, who is best where, how training goes.

    Example: ehps dash --catalog DATA --results RESULTS --runs RUNS
    """
    from ..dashboard.launch import launch

    raise typer.Exit(launch(catalog, results, port, headless, address, runs))
