"""``ehps repack``: converted frames become packs of single people, which are quicker to read and smaller."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from .convert import byte_count
from .options import JobsOption, JsonOption, SplitOption
from .output import emit_json, emit_table, note, progress


def repack_people(
    data: Annotated[Path, typer.Argument(help="Folder of converted data.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the packs.")],
    images: Annotated[Literal["person"], typer.Option("--images", help="What each sample shows.")] = "person",  # noqa: ARG001 - says in the command what comes out
    max_height: Annotated[int, typer.Option("--max-height", min=64, help="Largest body, px.")] = 640,
    margin: Annotated[float, typer.Option("--margin", min=1.0, help="Side of the cut for the height of a crop.")] = 1.6,
    dataset: Annotated[str | None, typer.Option("--dataset", "-d", help="Only this source.")] = None,
    split: SplitOption = None,
    shard_size: Annotated[str, typer.Option("--shard-size", help="Bytes of a shard: 500M, 1G.")] = "1G",
    jobs: JobsOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Cut everyone out of converted frames. Killed at any moment, the same command continues.

    Bodies up to --max-height are cut without loss; larger ones are averaged down and encoded at quality 95. The
    default margin leaves room for every augmentation of training.

    Example: ehps repack DATA --images person --out PACKS
    """
    from ..shards.catalog import build_catalog
    from ..shards.packs import PackOptions
    from ..shards.repack import repack
    from ..shards.tree import unit_dirs

    options, units = PackOptions(margin=margin, max_height=max_height), []
    with progress("repacking", len(unit_dirs(data, dataset, split))) as advance:
        for unit in repack(
            data, out, options, dataset=dataset, split=split, jobs=jobs, max_shard_bytes=byte_count(shard_size)
        ):
            units.append(unit._asdict())
            advance(text=f"repacking {unit.unit}")
    build_catalog(out)
    units.sort(key=lambda unit: (unit["dataset"], unit["split"], unit["unit"]))
    emit_json(units) if as_json else emit_table(units)
    note(f"{sum(unit['people'] for unit in units)} people in {out}; train on them with --catalog {out}")
