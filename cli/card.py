"""``ehps card``: what a person should know before using a source."""

import json
import shutil
import textwrap
from typing import Annotated

import typer

from .options import JsonOption


def show_card(
    dataset: Annotated[str, typer.Argument(help="Id of the source, as ehps list shows it.")],
    as_json: JsonOption = False,
) -> None:
    """Show the card of a source: licence first, then how to get it, labels, pitfalls.

    Example: ehps card bedlam
    """
    from ..cards import load_card
    from ..shards.statistics_file import card_statistics_path, read_statistics

    card, statistics = load_card(dataset), read_statistics(card_statistics_path(dataset))
    if as_json:
        counted = statistics and statistics.model_dump(mode="json")
        typer.echo(json.dumps(card.model_dump(mode="json") | {"statistics": counted}, ensure_ascii=False))
    else:
        typer.echo(_readable(card, statistics))


def _readable(card, statistics=None) -> str:
    labels = "  ".join(f"{part} {origin or '–'}" for part, origin in card.labels)
    lines = [
        f"{card.name}  ({card.id}, {card.year}, {card.kind})",
        card.summary,
        card.home,
        "",
        f"Licence   {_licence(card.licence)}",
        f"Get it    {card.raw.how}",
        *(f"            {line}" for line in card.raw.tree),
        f"Check it  ehps check {card.id} --raw DIR",
        f"Convert   ehps convert {card.id} --raw DIR --out DATA",
        "",
        f"Labels    {labels}",
        f"Written   {_conventions(card.conventions)}",
        f"Splits    {', '.join(card.splits)}    paper stride {card.stride}",
        *_listed(
            "Converted", [_counted(split, part) for split, part in statistics.splits.items()] if statistics else []
        ),
        *_listed("Pitfalls", card.pitfalls),
        *_listed("Uncertain", [f"{item.fact} ({item.confidence})" for item in card.uncertain]),
        *_listed("Sources", card.sources),
        "",
        f"Cite      {card.citation}",
    ]
    return "\n".join(_wrapped(line) for line in lines)


def _wrapped(line: str) -> str:
    """Return a line broken at the width of the terminal, its continuation below the text and not below the title."""
    width = max(60, shutil.get_terminal_size((110, 24)).columns)
    if len(line) <= width:
        return line
    indent = " " * 12 if line[9:10] == " " else ""
    return textwrap.fill(line, width, subsequent_indent=indent, break_on_hyphens=False, drop_whitespace=True)


def _counted(split: str, part) -> str:
    """Return what is in the shards of a split, in one line."""
    shares = ", ".join(f"{part.shares[name]:.0%} {name.replace('_', ' ')}" for name in ("body", "both_hands", "face"))
    box = part.measures.get("box_height_px")
    heights = f", boxes {box.p05:.0f} to {box.p95:.0f} px high" if box else ""
    rejected = f"{part.rejected_people:,} rejected ({part.reject_share:.1%})"
    return f"{split}: {part.people:,} people in {part.frames:,} frames, {rejected}; {shares}{heights}"


def _licence(licence) -> str:
    use = "commercial use" if licence.commercial else "non-commercial use only"
    share = "may be redistributed" if licence.redistribute else "no redistribution"
    return f"{licence.name}: {use}, {share}, access by {licence.access}. {licence.notes}".rstrip()


def _conventions(conventions) -> str:
    shape = f"{conventions.body_model}, {conventions.gender}, {conventions.betas} betas, hands {conventions.hands}"
    return f"{shape}, {conventions.space} space in {conventions.units}, camera {conventions.camera}"


def _listed(title: str, items: list[str]) -> list[str]:
    return [f"{title if i == 0 else '':<10}- {item}" for i, item in enumerate(items)]
