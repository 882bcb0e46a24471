"""``ehps convert``: the owner's raw files become shards, sidecars, rejects and a catalog."""

from pathlib import Path
from typing import Annotated

import typer

from .options import JobsOption, JsonOption, LimitOption, RawOption, SetOption, SplitOption, key_values
from .output import emit_json, emit_table, note, progress


def convert_raw(
    dataset: Annotated[str, typer.Argument(help="Id of the source, as ehps list shows it.")],
    raw: RawOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of converted data; several sources share one.")],
    split: SplitOption = None,
    jobs: JobsOption = 1,
    scheduler: Annotated[str | None, typer.Option("--scheduler", help="A Dask cluster, tcp://HOST:PORT.")] = None,
    only: Annotated[str | None, typer.Option("--only", help="One unit, by name.")] = None,
    limit: LimitOption = None,
    options: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Convert a source. Killed at any moment, the same command continues and ends with the same bytes.

    Example: ehps convert mscoco --raw RAW/mscoco --split val --out DATA
    """
    from ..converters.engine import convert

    with progress(f"converting {dataset}") as advance:

        def shown(event) -> None:
            advance(1 if event.state in ("done", "failed", "skipped") else 0, text=event.text, total=event.total)

        reports = convert(
            dataset,
            raw,
            out,
            split,
            jobs=jobs,
            scheduler=scheduler,
            only=only,
            limit=limit,
            options=key_values(options),
            progress=shown,
        )
    rows = [report.to_json() for report in reports]
    emit_json(rows) if as_json else emit_table([report.summary() for report in reports])
    note(f"look at it: ehps sql --catalog {out} 'select * from people limit 5'")
