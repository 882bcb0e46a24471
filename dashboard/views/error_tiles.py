"""People of a result as tiles, with their labels and what models predicted of them drawn on the picture."""

from collections.abc import Mapping, Sequence

import numpy as np
import streamlit as st

from .. import predicted, previews, scored, solid, state
from ..plaintext import plain
from . import tiles

_LABEL = "label"
_CAPTION = 9  # characters of a key
_COLOURS = (solid.SECOND, (0.45, 0.78, 0.58))  # of the predictions of two models
_BADGES = ("orange", "green")


def show(prefix: str, person_keys: Sequence[str], notes: Sequence[str], models: Mapping[str, str]) -> None:
    """Draw people, as far as they are in the catalog and their cards allow it.

    ``notes`` stand under them before their keys. ``models`` are names and paths of results, whose predictions can be
    drawn; a tile leads to the person's page, with the prediction beside the label or two predictions side by side.
    """
    if not state.has_catalog():
        st.caption("There is no catalog here, so the people cannot be shown.")
        return
    datasets = tiles.datasets_of(person_keys)
    if not datasets:
        st.caption("These people are not in the catalog of this machine.")
        return
    allowed = {name for name in set(datasets.values()) if tiles.may_show(name)}
    for name in sorted(set(datasets.values()) - allowed):
        st.caption(f"The card of {name} does not allow pictures to be shown.")
    notes_of = {key: f"{note} {_tail(key)}" for key, note in zip(person_keys, notes, strict=True)}
    shown = [key for key in person_keys if datasets.get(key) in allowed]
    layers, opacity = _controls(prefix, models)
    if not shown:
        return
    drawn = _drawn(
        state.catalog(),
        tuple(shown),
        tuple(notes_of[key] for key in shown),
        _LABEL in layers,
        tuple((scored.snapshot(path), _COLOURS[place]) for place, (name, path) in _kept(models) if name in layers),
        opacity,
    )
    tiles.show(drawn, columns=6, links=shown, more=_address(models))
    st.markdown(" ".join(tiles.licence_line(name) for name in sorted({datasets[key] for key in shown})))
    if layers:
        tiles.stand_in_note("mesh")


def _tail(person_key: str) -> str:
    """Return the end of a key, which tells people of one source apart, as short as a caption."""
    return plain(person_key if len(person_key) <= _CAPTION else f"\N{HORIZONTAL ELLIPSIS}{person_key[-_CAPTION:]}")


def _kept(models: Mapping[str, str]) -> list[tuple[int, tuple[str, str]]]:
    """Return the models whose predictions were kept, with their places."""
    return [one for one in enumerate(models.items()) if scored.result(one[1][1]).predictions is not None]


def _controls(prefix: str, models: Mapping[str, str]) -> tuple[list[str], float]:
    """Draw the choice of what is drawn, and say why something is not there."""
    kept = [name for _, (name, _) in _kept(models)]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        layers = st.pills(
            "Bodies",
            [_LABEL, *kept],
            selection_mode="multi",
            default=kept[:1],
            key=f"{prefix}_bodies_{state.table_key(kept)}",
            format_func=lambda name: name if name == _LABEL else f"prediction of {name}",
        )
        opacity = tiles.opacity_control(prefix, is_disabled=not layers)
    for name, path in models.items():
        if name not in kept:
            st.caption(predicted.says_why_not(scored.result(path)))
    return list(layers), opacity


def _address(models: Mapping[str, str]) -> dict[str, str]:
    """Return how the page of a person shows the predictions."""
    kept = [predicted.result_name(scored.result(path).model_dump()) for _, (_, path) in _kept(models)]
    if not kept:
        return {}
    first = {"person_first": kept[0]} if len(kept) > 1 else {}
    return {"person_tab": "Compare", **first, "person_second": kept[-1]}


@st.cache_data(max_entries=64, show_spinner="Drawing")
def _drawn(
    snapshot: state.Snapshot,
    person_keys: tuple[str, ...],
    notes: tuple[str, ...],
    has_labels: bool,
    results: tuple[tuple[state.Snapshot, tuple[float, ...]], ...],
    opacity: float,
) -> list[previews.Tile]:
    people = state.lookup_of(snapshot).people(person_keys)
    others: dict[str, list[previews.Painted]] = {}
    for result, colour in results:
        found = predicted.predictions(result.path, person_keys)
        for person in people:
            if (one := found.get(person.person_key)) is not None:
                painted = previews.Painted(predicted.on_picture(one, person), np.array(colour))
                others.setdefault(person.person_key, []).append(painted)
    return previews.person_tiles(people, "mesh" if has_labels else "none", opacity, notes, others)
