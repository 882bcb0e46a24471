"""``ehps table``: the cross-dataset matrix of measured results, with the published numbers in a block of their own."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

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
) -> None:
    """Print the benchmark matrix: models by protocols, each column's best marked.

    Example: ehps table --results RESULTS --measure PVE --format latex
    """
    if form is Form.json:
        from ..benchmark.results import load_results

        rows = load_results(results).to_dict("records")
        emit_json(row for row in rows if not measure or row["measure"] in measure)
        return
    typer.echo(matrix_text(results, measure, form, published=published), nl=False)


def matrix_text(results: Path, measures: list[str] | None, form: Form, *, published: bool = True) -> str:
    """Return the printed matrix of a folder of results; by default each protocol's primary measure and MPE."""
    from ..benchmark import measures as catalogue
    from ..benchmark import render, tables
    from ..benchmark.protocol import protocols
    from ..benchmark.published import load_published
    from ..benchmark.results import load_results

    rows = load_results(results)
    if rows.empty:
        return f"no results in {results}; ehps bench MODEL --protocol ehf --catalog DATA --out {results} makes one\n"
    names = [catalogue.get_measure(name).name for name in measures or []]
    have = set(zip(rows["protocol"], rows["measure"], strict=True))
    columns = sorted((p, m) for p, m in have if m in names) if names else None
    matrix = tables.build_matrix(rows, columns)
    if not names:
        matrix = tables.add_mean(matrix, catalogue.means()["MPE"], {p.id: p.primary for p in protocols().values()})
    printers = {Form.text: render.to_text, Form.csv: render.to_csv, Form.markdown: render.to_markdown}
    out = printers.get(form, render.to_latex)(matrix)
    block = tables.published_block(load_published(), list(matrix.values.columns))
    if published and form in (Form.text, Form.markdown) and len(block):
        shown = block.loc[:, ["protocol", "measure", "method", "value", "paper", "table"]].astype(str)
        printer = render.frame_to_text if form is Form.text else render.frame_to_markdown
        out += f"\nPublished, on the real data sets:\n{printer(shown)}\n"
    return out
