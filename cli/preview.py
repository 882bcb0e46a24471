"""``ehps preview``: a contact sheet of converted people with their labels drawn on them."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from .options import CatalogOption, SplitOption
from .output import note

if TYPE_CHECKING:
    from ..dashboard.previews import Overlay

# People with a box, in an order that a seed shuffles.
_CHOOSE = """
    SELECT person_key FROM people
    WHERE (? IS NULL OR dataset = ?) AND (? IS NULL OR split = ?) AND box_height_px > 0
    ORDER BY hash(person_key || ?), person_key LIMIT ?
"""


def preview_people(
    catalog: CatalogOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="The PNG to write.")] = Path("people.png"),
    dataset: Annotated[str | None, typer.Option("--dataset", "-d", help="Only this source.")] = None,
    split: SplitOption = None,
    overlay: Annotated[
        list[str] | None, typer.Option("--overlay", help="keypoints, joints, boxes, mesh or none.")
    ] = None,
    people: Annotated[int, typer.Option("--people", "-n", min=1, help="How many.")] = 24,
    seed: Annotated[int, typer.Option("--seed", help="Another seed, other people.")] = 0,
) -> None:
    """Draw a contact sheet: each person cut with a margin, labels on top.

    Example: ehps preview --catalog DATA --dataset mscoco --overlay keypoints --out sheet.png
    """
    write_sheet(catalog, out, dataset, split, tuple(overlay or ("keypoints",)), people, seed)
    note(f"wrote {out}")


def write_sheet(
    catalog: Path,
    out: Path,
    dataset: str | None,
    split: str | None,
    overlays: tuple[str, ...],
    people: int,
    seed: int = 0,
) -> None:
    """Write a PNG of randomly chosen people, one tile a person and overlay."""
    from ..body.draw import contact_sheet
    from ..shards.picture import encode_png

    tiles = list(_tiles(catalog, dataset, split, overlays, people, seed))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(encode_png(contact_sheet(tiles, columns=min(6, max(1, len(tiles))), tile_size=300)))


def _tiles(
    catalog: Path, dataset: str | None, split: str | None, overlays: tuple[str, ...], people: int, seed: int
) -> Iterator[tuple]:
    from ..dashboard.lookup import Lookup
    from ..dashboard.previews import OVERLAYS, person_tiles
    from ..errors import ShardError, UnknownNameError
    from ..shards.catalog import query
    from ..shards.picture import decode_rgb

    for overlay in overlays:
        if overlay not in OVERLAYS:
            raise UnknownNameError("overlay", overlay, OVERLAYS)
    chosen = query(catalog, _CHOOSE, [dataset, dataset, split, split, f"#{seed}", people])["person_key"]
    if chosen.empty:
        wanted = " ".join(name for name in (dataset, split) if name) or "anything"
        raise ShardError(catalog, f"holds nobody of {wanted}", "run ehps convert first")
    shown = Lookup(catalog).people(tuple(sorted(chosen)))
    keys = [person.person_key for person in shown]
    tiles = [person_tiles(shown, cast("Overlay", overlay), 1.0, keys) for overlay in overlays]
    for person in zip(*tiles, strict=True):
        for tile in person:
            if tile.problem:
                note(f"{tile.caption} is not drawn: {tile.problem}")
            yield decode_rgb(tile.data), tile.caption
