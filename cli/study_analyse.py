"""``ehps study analyse``: how alike sources are, from where their people are seen, and what their hands do."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from .options import CatalogOption
from .output import emit_json, emit_table, note


class Table(StrEnum):
    """What can be asked."""

    distances = "distances"
    map = "map"
    orientation = "orientation"
    directions = "directions"
    lean = "lean"
    hands = "hands"
    fingers = "fingers"


class Kind(StrEnum):
    """What sources are compared by."""

    body = "body"
    orientation = "orientation"
    hands = "hands"
    features = "features"


class Distance(StrEnum):
    """How distributions are compared."""

    energy = "energy"
    frechet = "frechet"
    nearest = "nearest"


class Side(StrEnum):
    """Which hands are looked at."""

    both = "both"
    left = "left"
    right = "right"


class Form(StrEnum):
    """How the answer is printed."""

    text = "text"
    csv = "csv"
    json = "json"


def analyse_sources(
    catalog: CatalogOption,
    table: Annotated[Table, typer.Argument(help="What to print.")] = Table.distances,
    by: Annotated[Kind, typer.Option("--by", help="What distances and map are about.")] = Kind.body,
    distance: Annotated[Distance, typer.Option("--distance", help="How distributions are compared.")] = Distance.energy,
    by_split: Annotated[bool, typer.Option("--by-split", help="Splits apart, not sources.")] = False,
    side: Annotated[Side, typer.Option("--side", help="Which hands.")] = Side.both,
    features: Annotated[
        str | None, typer.Option("--features", help="Which set of image features, if there are several.")
    ] = None,
    form: Annotated[Form, typer.Option("--format", "-f", help="json: one object a row.")] = Form.text,
) -> None:
    """Compare the people of sources, from samples of a fixed seed; docs/analyses.md has the formulas.

    Example: ehps study analyse distances --by orientation --catalog DATA
    """
    from ..shards.analyses.tables import Question, answer

    question = Question(table.value, by.value, distance.value, side.value, by_split, features)
    found = answer(catalog, question)
    if form is Form.csv:
        typer.echo(found.to_csv(index=False, lineterminator="\n"), nl=False)
    elif form is Form.json:
        emit_json(found.to_dict("records"))
    else:
        emit_table(_printed(found, table))
        if table is Table.distances:
            note(f"{distance.value} distance by {by.value}; the diagonal is what chance alone makes: docs/analyses.md")


def _printed(found: Any, table: Table) -> list[dict[str, Any]]:
    """Return the lines of a table: distances as a matrix, like sources side by side."""
    from ..shards.analyses.distances import ordered

    if table is not Table.distances or found.empty:
        return found.to_dict("records")
    names = ordered(found)
    wide = found.pivot_table(index="a", columns="b", values="value").loc[names, names]
    return wide.rename_axis("").reset_index().to_dict("records")
