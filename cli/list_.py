"""``ehps list``: the sources that ehps knows, and what they label."""

from pathlib import Path
from typing import Annotated

import typer

from .options import JsonOption
from .output import emit_json, emit_table

_PARTS = ("body", "left_hand", "right_hand", "face", "shape", "keypoints_2d")


def list_datasets(
    has: Annotated[list[str] | None, typer.Option("--has", help="hands, face, body or shape; repeat for more.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="synthetic, mocap, pseudo or scan.")] = None,
    licence: Annotated[
        str | None, typer.Option("--licence", help="commercial: only what may be used commercially.")
    ] = None,
    catalog: Annotated[Path | None, typer.Option("--catalog", "-c", help="Also count what is converted here.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the sources that ehps can convert.

    Example: ehps list --has hands --kind synthetic
    """
    from ..cards import card_ids, load_card

    counts = _people_by_dataset(catalog) if catalog else {}
    rows = []
    for name in card_ids():
        card = load_card(name)
        if (kind and card.kind != kind) or (licence == "commercial" and not card.licence.commercial):
            continue
        if not _labels(card, has or []):
            continue
        row = {"id": card.id, "name": card.name, "kind": card.kind, "year": str(card.year)}
        row |= {
            "labels": _summary(card),
            "splits": " ".join(card.splits),
            "mix": card.paper_mix and str(card.paper_mix),
        }
        row |= {"commercial": card.licence.commercial, "access": card.licence.access}
        rows.append(row | ({"people": counts.get(card.id, 0)} if catalog else {}))
    emit_json(rows) if as_json else emit_table(rows)


def _labels(card, wanted: list[str]) -> bool:
    """Return whether a card labels all the wanted parts; ``hands`` means both."""
    from ..errors import UnknownNameError

    for part in wanted:
        names = ("left_hand", "right_hand") if part == "hands" else (part,)
        if not set(names) <= set(_PARTS):
            raise UnknownNameError("part", part, ("hands", *_PARTS))
        if any(getattr(card.labels, name) is None for name in names):
            return False
    return True


def _summary(card) -> str:
    """Return the labelled parts with their origins, the same origin said once."""
    parts: dict[str, list[str]] = {}
    for name in _PARTS:
        if origin := getattr(card.labels, name):
            parts.setdefault(origin, []).append(name.replace("_", " "))
    return "; ".join(f"{origin}: {', '.join(names)}" for origin, names in parts.items())


def _people_by_dataset(catalog: Path) -> dict[str, int]:
    from ..shards.catalog import query

    frame = query(catalog, "select dataset, count(*) as people from people group by dataset")
    return dict(zip(frame["dataset"], frame["people"].astype(int), strict=True))
