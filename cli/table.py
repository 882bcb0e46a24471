"""``ehps table``: the cross-dataset matrix of measured results, with the published numbers in a block of their own."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from .output import emit_json


class Form(StrEnum):
    """How the matrix is printed."""

    text = "text"
    csv = "csv"
    markdown = "markdown"
    latex = "latex"
    json = "json"


def print_table(
    results: Annotated[Path, typer.Option("--results", "-r", help="Folder of benchmark results.")],
    measure: Annotated[
        list[str] | None, typer.Option("--measure", help="PVE, PA-PVE@hands, ...; repeat for more.")
    ] = None,
    form: Annotated[Form, typer.Option("--format", "-f", help="json: one object a measured number.")] = Form.text,
    published: Annotated[bool, typer.Option(help="Show published numbers below (text and markdown).")] = True,
    png: Annotated[Path | None, typer.Option("--png", help="Write the matrix as a picture, too.")] = None,
    scaling: Annotated[
        str | None, typer.Option("--scaling", metavar="PROTOCOL", help="Network's size by training people instead.")
    ] = None,
) -> None:
    """Print the benchmark matrix: models by protocols, each column's best marked.

    Example: ehps table --results RESULTS --measure PVE --format latex
    """
    if scaling is not None:
        typer.echo(scaling_text(results, scaling, (measure or [None])[0], form), nl=False)
        return
    if png is not None:
        from ..benchmark.heatmap import write_heatmap

        write_heatmap(built_matrix(results, measure), png)
    if form is Form.json:
        from ..benchmark.results import load_results

        rows = load_results(results).to_dict("records")
        emit_json(row for row in rows if not measure or row["measure"] in measure)
        return
    typer.echo(matrix_text(results, measure, form, published=published), nl=False)


def matrix_text(results: Path, measures: list[str] | None, form: Form, *, published: bool = True) -> str:
    """Return the printed matrix of a folder of results; by default each protocol's primary measure and MPE."""
    from ..benchmark import render, tables
    from ..benchmark.published import load_published
    from ..benchmark.results import load_results

    rows = load_results(results)
    if rows.empty:
        return f"no results in {results}; ehps bench MODEL --protocol ehf --catalog DATA --out {results} makes one\n"
    matrix = built_matrix(results, measures)
    printers = {Form.text: render.to_text, Form.csv: render.to_csv, Form.markdown: render.to_markdown}
    out = printers.get(form, render.to_latex)(matrix)
    if not published or form not in (Form.text, Form.markdown):
        return out
    printer = render.frame_to_text if form is Form.text else render.frame_to_markdown
    numbers = load_published()
    block = tables.published_block(numbers, list(matrix.values.columns))
    if len(block):
        shown = block.loc[:, ["protocol", "measure", "method", "value", "paper", "table"]].astype(str)
        out += f"\nPublished, on the real data sets:\n{printer(shown)}\n"
    gaps = tables.reproduction_gap(rows, numbers, {str(model): str(model) for model in rows["model"].unique()})
    if len(gaps):
        shown = (
            gaps.loc[:, ["model", "protocol", "measure", "measured", "published", "gap", "paper"]].round(1).astype(str)
        )
        out += f"\nReproduced, measured minus published:\n{printer(shown)}\n"
    return out


def built_matrix(results: Path, measures: list[str] | None) -> Any:
    """Return the matrix of a folder of results with the means that somebody has a part of.

    Means of primaries stand beside the primaries, means of a measure beside that measure.
    """
    from ..benchmark import measures as catalogue
    from ..benchmark import tables
    from ..benchmark.protocol import protocols
    from ..benchmark.results import load_results

    rows = load_results(results)
    names = [catalogue.get_measure(name).name for name in measures or []]
    have = set(zip(rows["protocol"], rows["measure"], strict=True))
    matrix = tables.build_matrix(rows, sorted((p, m) for p, m in have if m in names) if names else None)
    primaries = {own.id: own.primary for own in protocols().values()}
    measured = {protocol for protocol, _ in matrix.values.columns}
    for mean in catalogue.means().values():
        is_asked = mean.measure in names if names else mean.measure is None
        if is_asked and (mean.name == "MPE" or len(measured & set(mean.protocols)) > 1):
            matrix = tables.add_mean(matrix, mean, primaries)
    return matrix


def scaling_text(results: Path, protocol: str, measure: str | None, form: Form) -> str:
    """Return one measure of a protocol by the network's size and the people trained on."""
    from ..benchmark import render, scaling, tables
    from ..benchmark.measures import get_measure
    from ..benchmark.protocol import load_protocol, protocols
    from ..benchmark.results import read_result, result_files

    own = load_protocol(protocol)
    name = measure or own.primary
    if (unit := get_measure(name).unit) != "mm":
        return f"scaling is told of measures in mm; {name} has {f'the unit {unit}' if unit else 'none'}\n"
    known = protocols()
    points = scaling.measured_points([read_result(path) for path in result_files(results)], known)
    table = scaling.scaling_table(points, scaling.curve_name(own.id, name, known))
    if table.empty:
        return f"no results of {own.id} in {results} tell both the network's size and the people trained on\n"
    if form is Form.csv:
        return table.to_csv(lineterminator="\n")
    shown = table.map(lambda value: tables.HOLE if value != value else f"{value:.1f}")
    shown.columns = [f"{int(people):,} people" for people in table.columns]
    shown.insert(0, "parameters", [f"{int(size):,}" for size in table.index])
    printer = render.frame_to_markdown if form is Form.markdown else render.frame_to_text
    return f"{own.display_name} {name}\n{printer(shown)}\n"
