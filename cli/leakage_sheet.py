"""The contact sheet of ``ehps leakage``: near pairs side by side."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..body.draw import contact_sheet
from ..cards import card_ids, load_card
from ..shards.index import PeopleIndex
from ..shards.leakage import Leakage
from ..shards.picture import encode_png
from .output import note

_PAIRS, _PAIRS_A_ROW, _TILE_SIZE = 30, 3, 300


def write_sheet(found: Leakage, places: Mapping[str, tuple[Path, str]], path: Path) -> None:
    """Write near pairs as a PNG, training picture and benchmark picture in turn.

    ``places`` says in which converted tree, under which id, each source of the pairs lies. Sources whose card forbids
    previews are left out.
    """
    near = (row for row in found.pair_table().to_pylist() if row["kind"] == "near")
    shown = [row for row in near if all(_may_be_shown(places[row[side]][1]) for side in ("train", "test"))]
    if not shown:
        note("no near pair is there to show: no sheet is written")
        return
    tiles = list(_tiles(shown[:_PAIRS], places))
    path.write_bytes(encode_png(contact_sheet(tiles, columns=2 * _PAIRS_A_ROW, tile_size=_TILE_SIZE)))
    note(f"wrote {path}: {len(tiles) // 2} of {len(shown)} near pairs")


def _may_be_shown(dataset: str) -> bool:
    return dataset not in card_ids() or load_card(dataset).licence.previews


def _tiles(pairs: list[dict], places: Mapping[str, tuple[Path, str]]) -> Iterator[tuple[np.ndarray, str]]:
    """Yield the pictures of pairs with their keys."""
    index = lru_cache(PeopleIndex.open)
    for pair in pairs:
        for side in ("train", "test"):
            people, key = index(places[pair[side]][0]), pair[f"{side}_key"]
            yield people.load(people.find(f"{key}#0")).image(), key
