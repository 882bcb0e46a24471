"""Rows of pictures that several pages show, and the choice of what is drawn on them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import streamlit as st

from ...cards import card_ids, load_card
from .. import previews, queries, state
from ..plaintext import plain
from ..previews import Overlay, Tile

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
    opacity = st.segmented_control(
        "Opacity",
        _OPACITIES,
        default=80,
        required=True,
        format_func=lambda value: f"{value}%",
        key=f"{prefix}_opacity",
        bind="query-params",
        disabled=overlay == "none",
    )
    return cast(Overlay, overlay), opacity / 100


def show(tiles: Sequence[Tile], columns: int) -> None:
    """Draw tiles in a grid."""
    with st.grid(columns, min_column_width=130, gap="small"):
        for tile in tiles:
            st.image(tile.data, caption=tile.caption, width="stretch", alt=tile.alt)


def stand_in_note(overlay: Overlay) -> None:
    """Say so when meshes are drawn with a body that is not the people's own."""
    if overlay == "mesh" and previews.uses_standin():
        st.caption(
            ":material/info: Meshes are posed with the stand-in body of ehps; set `EHPS_BODY_MODELS` to the folder of "
            "your SMPL-X files to see the labelled bodies."
        )


def drawn(
    kind: str, rows: Sequence[dict[str, Any]], overlay: Overlay, opacity: float, notes: Sequence[str] = ()
) -> list[Tile]:
    """Return tiles of frames or people, drawn once for each state of the catalog."""
    records = tuple(tuple(sorted(row.items())) for row in rows)
    return _drawn(state.catalog(), kind, records, overlay, opacity, tuple(notes))


@st.cache_data(max_entries=64, show_spinner="Drawing")
def _drawn(
    snapshot: state.Snapshot, kind: str, records: tuple, overlay: Overlay, opacity: float, notes: tuple[str, ...]
) -> list[Tile]:
    rows: list[dict[str, Any]] = [dict(record) for record in records]
    out = Path(snapshot.path)
    if kind == "frames":
        return previews.frame_tiles(out, rows, overlay, opacity)
    return previews.person_tiles(out, rows, overlay, opacity, notes)


def show_people(keys: list[str], notes: list[str]) -> None:
    """Draw people by their keys, as far as they are in the catalog and their cards allow it."""
    if not state.has_catalog():
        st.caption("There is no catalog here, so the people cannot be shown.")
        return
    found = {row["person_key"]: row for row in state.ask(queries.find_people, tuple(keys)).to_dict("records")}
    if not found:
        st.caption("These people are not in the catalog of this machine.")
        return
    datasets = sorted({row["dataset"] for row in found.values()})
    hidden = [dataset for dataset in datasets if not may_show(dataset)]
    shown = [(found[key], note) for key, note in zip(keys, notes, strict=True) if key in found]
    shown = [(row, note) for row, note in shown if row["dataset"] not in hidden]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        overlay, opacity = overlay_controls("cell")
    for dataset in hidden:
        st.caption(f"The card of {dataset} does not allow pictures to be shown.")
    if shown:
        show(drawn("people", [row for row, _ in shown], overlay, opacity, [note for _, note in shown]), columns=6)
        st.markdown(" ".join(licence_line(dataset) for dataset in datasets if dataset not in hidden))
    stand_in_note(overlay)
