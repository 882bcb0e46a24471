"""Options that several verbs share."""

from pathlib import Path
from typing import Annotated

import typer

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]
CatalogOption = Annotated[
    Path, typer.Option("--catalog", "-c", help="Folder of converted data.", envvar="EHPS_CATALOG")
]
DataOption = Annotated[
    str, typer.Option("--catalog", "-c", help="Folder of converted data, or its URL (s3://...).", envvar="EHPS_CATALOG")
]
ShardsOption = Annotated[
    str | None, typer.Option("--shards", help="Folder or URL of the tars, if they are not beside the catalog.")
]
RawOption = Annotated[Path, typer.Option("--raw", help="Folder of the owner's files; read, never written.")]
SplitOption = Annotated[str | None, typer.Option("--split", help="train, val or test; all of the card when not given.")]
JobsOption = Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes.")]
ThreadsOption = Annotated[int, typer.Option("--jobs", "-j", min=1, help="Threads.")]
PredictionsOption = Annotated[
    bool, typer.Option("--predictions/--no-predictions", help="Keep predicted SMPL-X parameters beside the errors.")
]
LimitOption = Annotated[int | None, typer.Option("--limit", min=1, help="Only the first people of each unit.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="An option of the converter.")]


def key_values(pairs: list[str] | None) -> dict[str, str]:
    """Return KEY=VALUE arguments as a dict; anything else is refused in one sentence."""
    out = {}
    for pair in pairs or []:
        key, sep, value = pair.partition("=")
        if not sep or not key:
            raise typer.BadParameter(f"{pair!r} should look like KEY=VALUE")
        out[key] = value
    return out
