"""``ehps compare``: two models under one protocol, on the same people."""

from pathlib import Path
from typing import Annotated

import typer

from .options import JsonOption
from .output import emit_json, emit_table, note

MeasureOption = Annotated[
    list[str] | None, typer.Option("--measure", "-m", help="PVE, PA-PVE@hands, ...; repeat for more.")
]


def compare_results(
    a: Annotated[
        Path, typer.Argument(metavar="RESULT_A", help="A result's JSON (RESULTS/model/revision/protocol.json).")
    ],
    b: Annotated[Path, typer.Argument(metavar="RESULT_B", help="The other model's, under the same protocol.")],
    measure: MeasureOption = None,
    penalise: Annotated[
        bool, typer.Option("--penalise", help="Count a missing prediction with the protocol's max_error.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say whether one of two models is better: paired differences with intervals and tests over sequences.

    Example: ehps compare RESULTS/ours/main/ehf.json RESULTS/theirs/main/ehf.json
    """
    from ..benchmark.pairing import compare_people, require_comparable, unmatched
    from ..benchmark.protocol import load_protocol
    from ..benchmark.results import read_people, read_result
    from ..benchmark.slicing import require_measures

    results = read_result(a), read_result(b)
    require_comparable(a, b, *results)
    people = read_people(a), read_people(b)
    wanted = measure or [name for name in results[0].measures if all(name in rows for rows in people)]
    for path, rows in zip((a, b), people, strict=True):
        require_measures(path, rows, wanted)
    protocol = load_protocol(results[0].protocol) if penalise else None
    found = compare_people(*people, wanted, protocol=protocol)
    apart = {what: count for what, count in unmatched(*people).items() if count}
    if apart:
        note("not on both sides: " + ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in apart.items()))
    rows = [one.model_dump() | {"verdict": one.verdict} for one in found]
    if as_json:
        emit_json(rows)
        return
    shown = ("measure", "people", "sequences", "mean_a", "mean_b", "difference", "ci_low", "ci_high", "p_holm")
    names = f"A: {results[0].model} {results[0].revision}, B: {results[1].model} {results[1].revision}"
    emit_table([{name: row[name] for name in (*shown, "verdict")} for row in rows], title=names)
