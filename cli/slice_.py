"""``ehps slice``: the errors of a result by anything in the catalog."""

from pathlib import Path
from typing import Annotated

import typer

from .compare import MeasureOption
from .options import CatalogOption, JsonOption
from .output import emit_json, emit_table


def slice_result(
    result: Annotated[Path, typer.Argument(help="A result's JSON (RESULTS/model/revision/protocol.json).")],
    catalog: CatalogOption,
    by: Annotated[
        str, typer.Option("--by", help="A column of the table people, or an SQL expression of its columns.")
    ] = "dataset",
    measure: MeasureOption = None,
    bins: Annotated[int, typer.Option("--bins", min=2, help="Ranges of about as many people, for numbers.")] = 4,
    edges: Annotated[str | None, typer.Option("--edges", help="Borders of ranges instead: 0,0.1,0.5,1.")] = None,
    worst: Annotated[int, typer.Option("--worst", min=0, help="List so many of the worst people instead.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Show where a model fails: mean, median and interval of each slice of the people, or the worst of them.

    Example: ehps slice RESULTS/ours/main/ehf.json --by quality_occlusion --catalog DATA
    """
    from ..benchmark.slicing import slice_errors, sliced_people, worst_people

    joined = sliced_people(result, catalog, by, measure or ())
    if worst:
        listed = worst_people(joined, worst).rename(columns={"slice": by}).astype(object)
        rows = listed.where(listed.notna(), None).to_dict("records")
    else:
        rows = [one.model_dump() for one in slice_errors(joined, bins=bins, edges=_numbers(edges))]
    emit_json(rows) if as_json else emit_table(rows, title=None if worst else f"by {by}")


def _numbers(text: str | None) -> list[float]:
    """Return comma-separated numbers."""
    try:
        return [float(part) for part in (text or "").split(",") if part]
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} should be numbers with commas between them, such as 0,0.1,0.5,1") from error
