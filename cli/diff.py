"""``ehps diff``: what differs between two converted trees."""

from pathlib import Path
from typing import Annotated

import typer

from .options import JsonOption, SplitOption, key_values
from .output import emit_json, emit_table, note, progress


def diff_trees(
    a: Annotated[Path, typer.Argument(help="Folder of converted data.")],
    b: Annotated[Path, typer.Argument(help="Another one.")],
    dataset: Annotated[str | None, typer.Option("--dataset", "-d", help="Only this source.")] = None,
    split: SplitOption = None,
    tolerance: Annotated[
        list[str] | None,
        typer.Option("--tolerance", metavar="WHAT=SIZE", help="Of a unit (px, m, rad, mm) or a field."),
    ] = None,
    pixels: Annotated[bool, typer.Option("--pixels/--no-pixels", help="Decode pictures whose bytes differ.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Compare two conversions person by person: who is only in one, which fields changed and by how much.

    Pictures and rejects are compared too. People are told by their place in the owner's files, so that other keys or
    other units are no obstacle. Exit code 1 when anything differs; other bytes of the same pixels do not count.

    Example: ehps diff OLD NEW --dataset bedlam --tolerance m=1e-5 --tolerance px=0.01
    """
    from ..errors import ShardError
    from ..shards.difference import Difference, compare_trees, field_unit

    found, tolerances = Difference(), {name: _size(name, text) for name, text in key_values(tolerance).items()}
    with progress("comparing") as advance:
        parts = compare_trees(a, b, dataset, split, tolerances=tolerances, pixels=pixels)
        for part in parts:
            found.add(part)
            advance(text=part.where)
    if not found.people and not found.is_any:
        raise ShardError(a, "and the other tree hold nothing of that choice", "run ehps convert first")
    rows = [
        {"what": what, "count": count, "largest": None, "unit": "", "one-sided": None, "example": found.examples[what]}
        for what, count in sorted(found.counts.items())
    ]
    for name, change in sorted(found.fields.items()):
        row = {"what": name, "count": change.people, "largest": change.largest, "unit": field_unit(name)}
        rows.append(row | {"one-sided": change.one_sided, "example": change.example})
    if rows or as_json:
        emit_json(rows) if as_json else emit_table(rows)
    note(f"{found.people:,} people are in both; {'they differ' if found.is_any else 'nothing differs'}")
    if found.is_any:
        raise typer.Exit(1)


def _size(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise typer.BadParameter(f"the tolerance of {name} should be a number, found {text!r}") from error
