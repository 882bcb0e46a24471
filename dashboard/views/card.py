"""The page of one source: may I use it, how do I get it, what exactly is labelled, and is it sound."""

from typing import Any, Literal

import streamlit as st

from ...cards import Card, card_ids, load_card
from .. import inventory, queries, state
from ..plaintext import plain
from . import card_facts, card_numbers, tiles

_TILES = 24
_TABS = ("Facts", "Pictures", "Distributions", "Left out")


def render() -> None:
    """Show the page."""
    table = {row["id"]: row for row in state.sources().to_dict("records")}
    dataset = _choose(list(table))
    if dataset is None:
        st.caption("Choose a source above, or click one in the table of all datasets.")
        return
    row = table[dataset]
    card = load_card(dataset) if dataset in card_ids() else None
    _head(dataset, row, card)
    facts, pictures, distributions, rejects = st.tabs(_TABS, key="card_tab", bind="query-params")
    if facts.open:
        with facts:
            card_facts.render(card, row)
    for tab, draw in (
        (pictures, _pictures),
        (distributions, card_numbers.show_distributions),
        (rejects, card_numbers.show_rejects),
    ):
        if tab.open:
            with tab:
                draw(dataset, row) if row["units"] else _nothing(dataset)


def _choose(ids: list[str]) -> str | None:
    """Draw the choice of a source."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        chosen = st.selectbox(
            "Source",
            ids,
            index=None,
            placeholder="Choose a source",
            key="card_id",
            bind="query-params",
            label_visibility="collapsed",
            width=260,
            icon=":material/dataset:",
        )
        st.page_link(state.page("catalog"), label="All datasets", icon=":material/arrow_back:")
    return chosen


def _head(dataset: str, row: dict[str, Any], card: Card | None) -> None:
    """Draw name, summary and, before anything else, the licence."""
    st.markdown(f"#### {plain(row['name'])}")
    if card is None:
        st.warning(f"{dataset} lies in the catalog and has no card: its licence is unknown.", icon=":material/help:")
        return
    where = {"converted": "green", "partly": "orange", "stale": "orange", "absent": "gray"}[row["state"]]
    badges = [f":{where}-badge[{inventory.STATES[row['state']]}]", f":gray-badge[{card.kind}]"]
    badges += [f":gray-badge[{card.year}]", f":gray-badge[{card.images.scene}]", f":gray-badge[{card.images.people}]"]
    badges += [":gray-badge[video]"] if card.images.video else []
    st.markdown(f"{plain(card.summary)}  \n{' '.join(badges)} [{card.home}]({card.home})")
    _licence(card)


def _licence(card: Card) -> None:
    """Draw the licence box."""
    licence = card.licence
    rights = {
        "commercial use": licence.commercial,
        "redistribution": licence.redistribute,
        "previews": licence.previews,
    }
    with st.container(border=True, gap="xsmall"):
        marks = [
            f":green-badge[:material/check: {name}]" if is_allowed else f":red-badge[:material/block: no {name}]"
            for name, is_allowed in rights.items()
        ]
        access = {"open": "open download", "registration": "access by registration", "form": "access by form"}
        marks.append(f":blue-badge[:material/key: {access[licence.access]}]")
        st.markdown(f":material/gavel: **Licence** {plain(licence.name)}")
        st.markdown(" ".join(marks))
        if licence.notes:
            st.caption(plain(licence.notes))


def _nothing(dataset: str) -> None:
    """Say which command to run for a source that is not converted."""
    st.markdown("Nothing of this source is converted here yet. Check the raw files first; it writes nothing.")
    out = state.here().catalog
    commands = f"ehps check {dataset} --raw DIR\nehps convert {dataset} --raw DIR --out {out}"
    st.code(commands, language="shell")


def _pictures(dataset: str, _row: dict[str, Any]) -> None:
    """Draw frames or people drawn with a seed, with the chosen labels on them."""
    if not tiles.may_show(dataset):
        st.info("The card does not allow pictures of this source to be shown.", icon=":material/visibility_off:")
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        what = st.segmented_control(
            "Show", ("frames", "people"), default="frames", required=True, key="card_show", bind="query-params"
        )
        overlay, opacity = tiles.overlay_controls("card")
        seed = st.number_input("Seed", 0, 9999, 0, key="card_seed", bind="query-params", width=110)
        st.button("Reshuffle", icon=":material/shuffle:", key="card_reshuffle", on_click=_reshuffle)
    kind: Literal["frames", "people"] = "frames" if what == "frames" else "people"
    query = queries.sample_frames if kind == "frames" else queries.sample_people
    rows = state.ask(query, dataset, int(seed), _TILES)
    if rows.empty:
        st.caption("There is nothing to show: only labels were converted (`--images none`), or nobody here has a box.")
        return
    keys = rows["person_key"].tolist()
    tiles.show(tiles.drawn(kind, keys, overlay, opacity), columns=4 if kind == "frames" else 8, links=keys)
    st.markdown(tiles.licence_line(dataset))
    tiles.stand_in_note(overlay)


def _reshuffle() -> None:
    st.session_state["card_seed"] = (int(st.session_state.get("card_seed", 0)) + 1) % 10000
