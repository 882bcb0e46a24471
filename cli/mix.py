"""``ehps mix``: what a mixture would show to training, before it runs."""

from typing import Annotated

import typer

from .options import CatalogOption, JsonOption
from .output import emit_json, emit_table, note

app = typer.Typer(help="Plan training mixtures.", no_args_is_help=True)


@app.command("list")
def list_mixtures(as_json: JsonOption = False) -> None:
    """List the mixtures that come with ehps.

    Example: ehps mix list
    """
    from ..training.mixture import load_mixture, mixture_names

    mixtures = [load_mixture(name) for name in mixture_names()]
    rows = [{"name": m.name, "strategy": m.strategy, "members": len(m.members), "about": m.about} for m in mixtures]
    emit_json(rows) if as_json else emit_table(rows)


@app.command("plan")
def plan_mixture(
    mixture: Annotated[str, typer.Argument(help="Name of a mixture, or the path of a YAML file.")],
    catalog: CatalogOption,
    as_json: JsonOption = False,
) -> None:
    """Show people, shares, passes per epoch, labelled parts and licences of a mixture.

    Example: ehps mix plan demo --catalog DATA
    """
    from ..training.mixture import load_mixture, plan

    planned = plan(load_mixture(mixture), catalog)
    rows = [_row(member) for member in planned.members]
    emit_json(rows) if as_json else emit_table(rows)
    note(f"one epoch is {planned.epoch_length:,} people")
    for problem in planned.problems:
        note(f"note: {problem}")


def _row(member) -> dict:
    labelled = member.num_labelled
    return {
        "member": member.name,
        "split": member.split,
        "people": member.people,
        "share": f"{member.share:.1%}",
        "per epoch": member.people_per_epoch,
        "passes": round(member.passes_per_epoch, 2),
        **{
            part.replace("_", " "): labelled.get(part, 0)
            for part in ("body", "left_hand", "right_hand", "face", "shape")
        },
        "commercial": member.is_commercial,
    }
