"""Rows of pictures that several pages show, and the choice of what is drawn on them."""

from collections.abc import Mapping, Sequence
from typing import Literal, cast
from urllib.parse import urlencode

import streamlit as st

from ...cards import card_ids, load_card
from .. import posed, previews, state
from ..plaintext import plain
from ..previews import Overlay, Tile

_NARROWEST = 118  # px, a tile
_OPACITIES = (30, 50, 80, 100)  # per cent


def may_show(dataset: str) -> bool:
    """Return whether the card of a source allows pictures of it to be shown."""
    return dataset not in card_ids() or load_card(dataset).licence.previews


def licence_line(dataset: str) -> str:
    """Return what must stand beside every picture of a source."""
    name = load_card(dataset).licence.name if dataset in card_ids() else "licence unknown: the source has no card"
    return f":gray-badge[:material/copyright: {plain(name)}]"


def overlay_controls(prefix: str) -> tuple[Overlay, float]:
    """Draw the choice of overlay and its opacity, and return both."""
    overlay = st.segmented_control(
        "Overlay", previews.OVERLAYS, default="none", required=True, key=f"{prefix}_overlay", bind="query-params"
    )
    return cast(Overlay, overlay), opacity_control(prefix, is_disabled=overlay == "none")


def solid_control(key: str, bodies: str) -> list[str]:
    """Draw the choice of what is seen in 3D, and return it; ``bodies`` is how the meshes are called."""
    return st.pills(
        "In 3D",
        (bodies, "joints", "camera"),
        selection_mode="multi",
        default=[bodies],
        key=key,
        bind="query-params",
    )


def opacity_control(prefix: str, *, is_disabled: bool = False) -> float:
    """Draw the choice of how strongly labels cover the picture, and return it (0..1)."""
    opacity = st.segmented_control(
        "Opacity",
        _OPACITIES,
        default=80,
        required=True,
        format_func=lambda value: f"{value}%",
        key=f"{prefix}_opacity",
        bind="query-params",
        disabled=is_disabled,
    )
    return opacity / 100


def frame_columns(tiles: Sequence[Tile]) -> int:
    """Return how many whole frames stand in a row."""
    return 6 if tiles and tiles[0].is_upright else 4


def show(tiles: Sequence[Tile], columns: int, links: Sequence[str] = (), more: Mapping[str, str] | None = None) -> None:
    """Draw tiles in a grid, and one sentence on those that have nothing to show.

    ``links`` are keys of people, whose pages open with ``more`` values of their widgets.
    """
    problems = [tile.problem for tile in tiles if tile.problem]
    if problems:
        st.warning(
            f"{len(problems)} of {len(tiles)} cannot be read. {plain(problems[0])}", icon=":material/broken_image:"
        )
    with st.grid(columns, min_column_width=_NARROWEST, gap="small") as grid:
        for number, tile in enumerate(tiles):
            with grid.cell(), st.container(gap="xxsmall"):
                _tile(tile, {"person_key": links[number], **(more or {})} if links else {})
    if any(not tile.has_picture and not tile.problem for tile in tiles):
        st.caption(
            ":material/hide_image: Of some people only labels were converted (`--images none`), so there is no picture."
        )


def show_names(notes: Mapping[str, str], columns: int) -> None:
    """Draw links to people of whom no picture may be shown; ``notes`` stand for them by person key."""
    with st.grid(columns, min_column_width=_NARROWEST, gap="small") as grid:
        for key, note in notes.items():
            with grid.cell():
                _link(note, f"person {key}", {"person_key": key})


def _tile(tile: Tile, address: dict[str, str]) -> None:
    """Draw one tile; the picture and the words below it lead to the person whom an address names."""
    if not address:
        st.image(tile.data, caption=tile.caption, width="stretch", alt=tile.alt)
        return
    st.image(tile.data, width="stretch", alt=tile.alt, link=f"person?{urlencode(address)}")
    _link(tile.caption, tile.alt, address)


def _link(text: str, meaning: str, address: dict[str, str]) -> None:
    """Draw the way to a person; without words of its own it would show icon and help of the page."""
    st.page_link(state.page("person"), label=text, icon="", help=meaning, query_params=address, width="stretch")


def stand_in_note(overlay: Overlay) -> None:
    """Say so when meshes are drawn with a body that is not the people's own."""
    if overlay == "mesh" and posed.uses_standin():
        st.caption(
            ":material/info: Meshes are posed with the stand-in body of ehps; set `EHPS_BODY_MODELS` to the folder of "
            "your SMPL-X files to see the labelled bodies."
        )


def drawn(
    kind: Literal["frames", "people"],
    person_keys: Sequence[str],
    overlay: Overlay,
    opacity: float,
    notes: Sequence[str] = (),
) -> list[Tile]:
    """Return tiles of people, or of the whole frames that they are in, drawn once for each state of the catalog."""
    return _drawn(state.catalog(), kind, tuple(person_keys), overlay, opacity, tuple(notes))


@st.cache_data(max_entries=64, show_spinner="Drawing")
def _drawn(
    snapshot: state.Snapshot, kind: str, keys: tuple[str, ...], overlay: Overlay, opacity: float, notes: tuple[str, ...]
) -> list[Tile]:
    people = state.lookup_of(snapshot).people(keys)
    if kind == "frames":
        return previews.frame_tiles([person.frame for person in people], overlay, opacity)
    return previews.person_tiles(people, overlay, opacity, notes)


def datasets_of(keys: Sequence[str]) -> dict[str, str]:
    """Return the source of each person who is in the catalog."""
    lookup = state.lookup()
    return {key: found.shard.dataset for key in keys if (found := lookup.find(key)) is not None}
