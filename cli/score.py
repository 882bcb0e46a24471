"""``ehps score``: score predictions that somebody else made, from a file."""

from pathlib import Path
from typing import Annotated

import typer

from .options import CatalogOption
from .output import note
from .table import Form, matrix_text

_SETS = "Data set it was {}; repeat for more."


def score_file(
    predictions: Annotated[Path, typer.Option("--predictions", help="npz, pkl, parquet, json; folder or zip of pkl.")],
    protocol: Annotated[str, typer.Option("--protocol", "-p", help="ehf, pw3d_h36m14, ... (ehps protocol list).")],
    catalog: CatalogOption,
    model: Annotated[str, typer.Option("--model", help="Name of the model in tables.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of results.")] = Path("results"),
    trained_on: Annotated[list[str] | None, typer.Option(help=_SETS.format("trained on"))] = None,
    finetuned_on: Annotated[list[str] | None, typer.Option(help=_SETS.format("fine-tuned on"))] = None,
    as_is: Annotated[bool, typer.Option("--as-is", help="Score a file that looks mistaken, too.")] = False,
    no_predictions: Annotated[
        bool, typer.Option("--no-predictions", help="Keep errors only, without the SMPL-X parameters of the file.")
    ] = False,
) -> None:
    """Score anybody's predictions under a protocol: per-person errors as Parquet, aggregates as JSON.

    Example: ehps score --predictions pred.npz --protocol ehf --catalog DATA --model mine --out RESULTS
    """
    from contextlib import nullcontext

    from ..benchmark.foreign import score_predictions
    from ..benchmark.kept import Keeper
    from ..benchmark.official_agora import score_agora
    from ..benchmark.people import shard_fingerprint
    from ..benchmark.prediction_files import predictions_digest
    from ..benchmark.protocol import load_protocol
    from ..benchmark.results import RunFacts, make_result, result_path, write_result
    from ..body.models import require_model_dir

    chosen = load_protocol(protocol)
    _require_converter(chosen.id, chosen.dataset)
    digest = predictions_digest(predictions)[:12]
    path = result_path(out, model, f"file-{digest}", chosen.id)
    with nullcontext() if no_predictions else Keeper(path, f"{predictions.name} {digest}") as keeper:
        if chosen.matching is not None and chosen.ground_truth != "hidden":
            scored = score_agora(predictions, chosen, catalog, require_model_dir(), as_is=as_is)
            summary = scored.summary
        else:
            scored = score_predictions(predictions, chosen, catalog, require_model_dir(), as_is=as_is, keeper=keeper)
            summary = {}
        facts = RunFacts(
            model=model,
            revision=f"file-{digest}",
            shard_fingerprint=shard_fingerprint(catalog, chosen),
            trained_on=tuple(trained_on or ()),
            finetuned_on=tuple(finetuned_on or ()),
            command=f"ehps score --predictions {predictions.name} --protocol {chosen.id}",
            notes=scored.notes,
        )
        write_result(make_result(scored.people, chosen, facts, summary=summary), scored.people, out, keeper)
    for line in (*scored.notes, *(f"{name} {value}" for name, value in summary.items())):
        note(line)
    typer.echo(matrix_text(out, None, Form.text), nl=False)


def _require_converter(protocol: str, dataset: str) -> None:
    """Raise ProtocolError where nobody can have been converted."""
    from ..benchmark.protocol import PROTOCOL_DIR
    from ..converters import converter_ids
    from ..errors import ProtocolError

    if dataset not in converter_ids():
        problem = f"asks about {dataset}, of which there is no converter yet"
        raise ProtocolError(PROTOCOL_DIR / f"{protocol}.yaml", problem, "ehps protocol list says which have one")
