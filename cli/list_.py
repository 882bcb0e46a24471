"""``ehps list``: the sources that ehps knows, what they label, and which of the paper's forty are still to come."""

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import JsonOption
from .output import emit_json, emit_table, note

if TYPE_CHECKING:
    from ..cards import Card

_PARTS = ("body", "left_hand", "right_hand", "face", "shape", "keypoints_2d")
# What fits a terminal of 100 columns; --json has the rest.
_SHOWN = ("id", "state", "mix", "kind", "labels", "instances", "count", "membership")
_BOTH_HANDS = {"left_hand", "right_hand"}


class State(StrEnum):
    """How far a source is: people of it are in the catalog, it can be converted, or its converter is to come."""

    converted = "converted"
    available = "available"
    planned = "planned"


def list_datasets(
    has: Annotated[list[str] | None, typer.Option("--has", help="hands, face, body or shape; repeat for more.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="synthetic, mocap, pseudo or scan.")] = None,
    licence: Annotated[
        str | None, typer.Option("--licence", help="commercial: only what may be used commercially.")
    ] = None,
    state: Annotated[
        State | None, typer.Option("--state", help="available, planned, or (with --catalog) converted.")
    ] = None,
    catalog: Annotated[Path | None, typer.Option("--catalog", "-c", help="Also count what is converted here.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the sources that ehps can convert, and those of the SMPLest-X paper's forty that are planned.

    ``mix`` is the smallest of the papers' mixtures (5, 10, 20, 32, 40 sources) with the source; ``instances`` are its
    people for training as the papers count them, ``count`` says how sure the number is, ``membership`` how sure it is
    that the source is one of the forty. datasets/the_forty.yaml says where these facts were read.

    Example: ehps list --has hands --kind synthetic
    """
    if state is State.converted and catalog is None:
        raise typer.BadParameter(
            "needs --catalog: which sources are converted is known by a tree", param_hint="--state"
        )
    counts = _people_by_dataset(catalog) if catalog else None
    rows = [row for row in _rows(counts) if _is_wanted(row, has or [], kind, licence, state)]
    if as_json:
        emit_json(rows)
        return
    shown = _SHOWN if counts is None else (*_SHOWN, "people")
    emit_table([{name: row[name] for name in shown} for row in rows])
    note(_summary(rows))


def _summary(rows: list[dict[str, Any]]) -> str:
    """Return how many sources there are of each state."""
    states = Counter(row["state"] for row in rows)
    return f"{len(rows)} sources: " + ", ".join(f"{states[state]} {state}" for state in State if states[state])


def _rows(counts: Mapping[str, int] | None) -> list[dict[str, Any]]:
    """Return every source, the forty first in the order of the mixtures."""
    from ..cards import card_ids, load_card, the_forty
    from ..converters import converter_ids

    forty, known, converters = the_forty(), card_ids(), converter_ids()
    rows = []
    for name in [*forty, *(name for name in known if name not in forty)]:
        paper, card = forty.get(name), load_card(name) if name in known else None
        facts = card or paper
        row: dict[str, Any] = {"id": name, "name": facts and facts.name, "kind": facts and facts.kind}
        state = State.available if name in converters else State.planned
        state = State.converted if (counts or {}).get(name) else state
        row |= {"state": str(state), **_of_card(card)}
        row |= {fact: paper and getattr(paper, fact) for fact in ("mix", "membership", "instances", "count")}
        rows.append(row | ({} if counts is None else {"people": counts.get(name, 0)}))
    return rows


def _of_card(card: "Card | None") -> dict[str, Any]:
    """Return what only a card tells."""
    if card is None:
        return dict.fromkeys(("year", "labels", "parts", "splits", "commercial", "access"))
    parts = {part: getattr(card.labels, part) for part in _PARTS if getattr(card.labels, part)}
    facts = {"year": card.year, "labels": _in_words(parts), "parts": parts, "splits": card.splits}
    return facts | {"commercial": card.licence.commercial, "access": card.licence.access}


def _in_words(parts: Mapping[str, str]) -> str:
    """Return the labelled parts in a few words; what everyone has beside them, 2D keypoints, only where it is alone."""
    words = [
        "hands" if part == "left_hand" and parts.keys() >= _BOTH_HANDS else part.replace("_", " ") for part in parts
    ]
    if "hands" in words:
        words.remove("right hand")
    return " ".join(words if len(words) == 1 else [word for word in words if word != "keypoints 2d"])


def _is_wanted(
    row: Mapping[str, Any], has: list[str], kind: str | None, licence: str | None, state: State | None
) -> bool:
    """Return whether a source passes the filters; what a planned one labels, and its licence, is not known."""
    from ..errors import UnknownNameError

    for part in has:
        names = _BOTH_HANDS if part == "hands" else {part}
        if not names <= set(_PARTS):
            raise UnknownNameError("part", part, ("hands", *_PARTS))
        if not names <= (row["parts"] or {}).keys():
            return False
    is_free = licence != "commercial" or row["commercial"]
    return is_free and kind in (None, row["kind"]) and state in (None, row["state"])


def _people_by_dataset(catalog: Path) -> dict[str, int]:
    from ..shards.catalog import query

    frame = query(catalog, "select dataset, count(*) as people from people group by dataset")
    return dict(zip(frame["dataset"], frame["people"].astype(int), strict=True))
