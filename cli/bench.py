"""``ehps bench``: score a model under protocols, streamed from the shards."""

from pathlib import Path
from typing import Annotated, Any

import typer

from .options import CatalogOption
from .output import note, progress
from .table import Form, matrix_text

_NOT_SCORED = {
    "matching": "it asks for everyone in a picture, without boxes (ehps score)",
    "hidden": "its truth lies on the owner's server (ehps submit)",
    "keypoints_2d": "it compares points in the picture (ehps score)",
    "template": "it compares shapes without a pose (ehps score)",
}


def run_benchmark(
    model: Annotated[Path, typer.Argument(help="A run's folder or a checkpoint, ours or released.")],
    catalog: CatalogOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of results.")] = Path("results"),
    protocol: Annotated[
        list[str] | None, typer.Option("--protocol", "-p", help="ehf, ... (ehps protocol list); all when absent.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda; auto takes the GPU if there is one.")] = "auto",
) -> None:
    """Score a model: per-person errors as Parquet, aggregates with intervals as JSON, and the matrix.

    Example: ehps bench RUN --protocol ehf --catalog DATA --out RESULTS
    """
    from ..benchmark.protocol import protocols
    from ..training.predictor import load_predictor

    predictor = load_predictor(model, device=device)
    for name in protocol or sorted(protocols()):
        score_model(predictor, name, catalog, out)
    typer.echo(matrix_text(out, None, Form.text), nl=False)


def score_model(predictor: Any, protocol_name: str, catalog: Path, out: Path) -> Path | None:
    """Score a predictor under one protocol and return the result's file; None when nobody of it is converted."""
    from ..benchmark.comparison import compare
    from ..benchmark.people import benchmark_people, shard_fingerprint
    from ..benchmark.protocol import load_protocol
    from ..benchmark.results import RunFacts, make_result, write_result
    from ..benchmark.scoring import score_points
    from ..body.models import require_model_dir
    from ..shards.reader import iter_shards

    protocol, models = load_protocol(protocol_name), require_model_dir()
    why = _NOT_SCORED.get(protocol.ground_truth) or (_NOT_SCORED["matching"] if protocol.matching else None)
    if why is not None:
        note(f"{protocol.id}: {why}; not scored")
        return None
    if not list(iter_shards(catalog, protocol.dataset, protocol.split)):
        note(f"{protocol.id}: nobody of {protocol.dataset} {protocol.split} in {catalog}; not scored")
        return None
    with progress(f"{predictor.name} on {protocol.id}") as advance:

        def predict(batch: Any) -> Any:
            advance(len(batch))
            return predictor(batch)

        people = score_points(predict, benchmark_people(catalog, protocol), protocol, compare(protocol, models))
    facts = RunFacts(
        model=predictor.name,
        revision=predictor.revision,
        shard_fingerprint=shard_fingerprint(catalog, protocol),
        trained_on=tuple(predictor.trained_on),
    )
    return write_result(make_result(people, protocol, facts), people, out)
