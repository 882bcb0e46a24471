"""``ehps bench``: score a model under protocols, streamed from the shards."""

from pathlib import Path
from typing import Annotated, Any

import typer

from .options import CatalogOption, PredictionsOption
from .output import note, progress
from .table import Form, matrix_text


def run_benchmark(
    model: Annotated[Path, typer.Argument(help="A run's folder or a checkpoint, ours or released.")],
    catalog: CatalogOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of results.")] = Path("results"),
    protocol: Annotated[
        list[str] | None, typer.Option("--protocol", "-p", help="ehf, ... (ehps protocol list); all when absent.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda; auto takes the GPU if there is one.")] = "auto",
    predictions: PredictionsOption = True,
) -> None:
    """Score a model: per-person errors and predictions as Parquet, aggregates with intervals as JSON, and the matrix.

    Example: ehps bench RUN --protocol ehf --catalog DATA --out RESULTS
    """
    from ..benchmark.protocol import protocols
    from ..errors import BodyModelError
    from ..training.predictor import load_predictor

    predictor = load_predictor(model, device=device)
    for name in protocol or sorted(protocols()):
        command = f"ehps bench {model} --protocol {name} --catalog {catalog} --out {out}"
        try:
            score_model(predictor, name, catalog, out, keeps_predictions=predictions, command=command)
        except BodyModelError as error:  # a file that only this protocol needs
            if len(protocol or ()) == 1:
                raise
            note(f"{name}: {error}; not scored")
    typer.echo(matrix_text(out, None, Form.text), nl=False)


def score_model(
    predictor: Any, protocol_name: str, catalog: Path, out: Path, *, keeps_predictions: bool = True, **facts: Any
) -> Path | None:
    """Score a predictor under one protocol and return the result's file; None when nobody of it is converted.

    ``facts`` are fields of ``benchmark.results.ModelFacts`` that the predictor does not know of itself.
    """
    from ..benchmark.protocol import load_protocol
    from ..benchmark.run import not_scored, run_protocol
    from ..body.models import require_model_dir

    chosen = load_protocol(protocol_name)
    if why := not_scored(chosen, catalog):
        note(f"{chosen.id}: {why}; not scored")
        return None
    with progress(f"{predictor.name} on {chosen.id}") as advance:
        places = catalog, require_model_dir(), out
        return run_protocol(predictor, chosen, *places, keeps_predictions=keeps_predictions, advance=advance, **facts)
