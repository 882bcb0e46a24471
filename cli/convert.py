"""``ehps convert``: the owner's raw files become shards, sidecars, rejects and a catalog."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from .options import JobsOption, JsonOption, LimitOption, RawOption, SetOption, SplitOption, key_values
from .output import emit_json, emit_table, note, progress

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def byte_count(text: str) -> int:
    """Return the bytes that a number with K, M or G (of 1024) stands for; anything else is refused in one sentence."""
    number, unit = text[:-1], text[-1:].upper()
    if unit.isdecimal():
        number, unit = text, ""
    if unit not in _UNITS or not number.isdecimal() or int(number) == 0:
        raise typer.BadParameter(f"{text!r} should look like 500M or 1G")
    return int(number) * _UNITS[unit]


def convert_raw(
    dataset: Annotated[str, typer.Argument(help="Id of the source, as ehps list shows it.")],
    raw: RawOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of converted data; several sources share one.")],
    split: SplitOption = None,
    jobs: JobsOption = 1,
    scheduler: Annotated[str | None, typer.Option("--scheduler", help="A Dask cluster, tcp://HOST:PORT.")] = None,
    only: Annotated[str | None, typer.Option("--only", help="One unit, by name.")] = None,
    part: Annotated[
        str | None,
        typer.Option("--part", metavar="i/n", help="Only every n-th unit, from the i-th; no catalog is built."),
    ] = None,
    limit: LimitOption = None,
    images: Annotated[
        Literal["frame", "person", "none"],
        typer.Option(
            "--images", help="Whole pictures, a cut for each person, or labels alone (none on the disk needed)."
        ),
    ] = "frame",
    jpeg: Annotated[
        Literal["tile", "keep"],
        typer.Option("--jpeg", help="Put markers into JPEGs, without loss, for quick cuts; or copy them."),
    ] = "tile",
    png: Annotated[
        Literal["jpeg", "keep"], typer.Option("--png", help="Store PNGs as JPEGs of quality 95, or copy them.")
    ] = "jpeg",
    sharpness: Annotated[
        bool | None,
        typer.Option("--sharpness/--no-sharpness", help="Measure it; by default of pictures that are not copied."),
    ] = None,
    shard_size: Annotated[str, typer.Option("--shard-size", help="Bytes of a shard: 500M, 1G.")] = "1G",
    options: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Convert a source. Killed at any moment, the same command continues and ends with the same bytes.

    Several machines share the work with --part 1/4, --part 2/4, ... into one folder; ehps catalog then ends it.

    Example: ehps convert mscoco --raw RAW/mscoco --split val --out DATA
    """
    # Read when numpy is imported: its products are small here, and further threads would only wait for one another.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from ..converters.engine import convert
    from ..converters.storing import Storing

    storing = Storing(images=images, jpeg=jpeg, png=png, sharpness=sharpness)

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
            max_shard_bytes=byte_count(shard_size),
            storing=storing,
            part=None if part is None else _part(part),
            options=key_values(options),
            progress=shown,
        )
    rows = [report.to_json() for report in reports]
    emit_json(rows) if as_json else emit_table([report.summary() for report in reports])
    note(f"look at it: ehps sql --catalog {out} 'select * from people limit 5'")


def _part(text: str) -> Any:
    """Return the part that i/n names; anything else is refused in one sentence."""
    from ..converters.plan import Part

    try:
        return Part.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
