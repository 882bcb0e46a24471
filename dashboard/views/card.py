"""The page of one source: may I use it, how do I get it, what exactly is labelled, and is it sound."""

from collections.abc import Mapping
from typing import Any, Literal

import streamlit as st

from ...cards import Card, card_ids, load_card
from .. import inventory, queries, state
from ..amounts import counted, stored
from ..plaintext import plain
from . import card_checks, card_facts, card_numbers, card_rejects, chips, tiles

_TILES = 24
_CROWDS = {"one": "one person a picture", "several": "several people a picture", "many": "many people a picture"}
_TABS = ("Facts", "Pictures", "Checks", "Distributions", "Left out")


def render() -> None:
    """Show the page."""
    table = {row["id"]: row for row in state.sources().to_dict("records")}
    dataset = _choose(list(table), {name: row["done_splits"][0] for name, row in table.items() if row["units"]})
    if dataset is None:
        st.caption("Choose a source above, or click one in the table of all datasets.")
        return
    state.name_tab(dataset)
    row = table[dataset]
    card = load_card(dataset) if dataset in card_ids() else None
    _head(dataset, row, card)
    facts, pictures, checks, distributions, rejects = st.tabs(_TABS, key="card_tab", bind="query-params")
    if facts.open:
        with facts:
            card_facts.render(card, row)
    for tab, draw in (
        (pictures, _pictures),
        (checks, card_checks.show),
        (distributions, card_numbers.show_distributions),
        (rejects, card_rejects.show),
    ):
        if tab.open:
            with tab:
                draw(dataset, row) if row["units"] else _nothing(dataset)


def _choose(ids: list[str], converted: Mapping[str, str]) -> str | None:
    """Draw the choice of a source, and the ways to what was made of it; ``converted`` names a split of each."""
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
        if chosen is not None and chosen in converted:
            _ways(chosen, converted[chosen])
    return chosen


def _ways(dataset: str, split: str) -> None:
    """Draw the ways to the people of a converted source, and to how it was converted."""
    for name, label, icon, choice in (
        ("people", "Its people", "groups", {f"people_source_{dataset}": "true"}),
        ("conversions", "Its conversion", "factory", {"conv_place": f"{dataset} {split}"}),
    ):
        st.page_link(state.page(name), label=label, icon=f":material/{icon}:", query_params=choice)


def _head(dataset: str, row: dict[str, Any], card: Card | None) -> None:
    """Draw name, summary and, before anything else, the licence."""
    st.markdown(f"#### {plain(row['name'])}")
    if card is None:
        st.warning(
            f"{plain(dataset)} lies in the catalog and has no card: its licence is unknown.", icon=":material/help:"
        )
    else:
        _about(card, row)
        _licence(card)
    if row["units"]:
        st.markdown(" :gray[\N{MIDDLE DOT}] ".join(_counts(row)))


def _about(card: Card, row: dict[str, Any]) -> None:
    """Draw what the source is."""
    here = chips.STATES.get(row["state"], "gray")
    badges = [f":{here}-badge[{inventory.STATES[row['state']]}]", f":{chips.KINDS[card.kind]}-badge[{card.kind}]"]
    badges += [f":gray-badge[{card.year}]", f":gray-badge[{card.images.scene}]"]
    badges += [f":gray-badge[{_CROWDS[card.images.people]}]", *([":gray-badge[video]"] if card.images.video else [])]
    st.markdown(f"{plain(card.summary)}  \n{' '.join(badges)} [{card.home}]({card.home})")


def _counts(row: dict[str, Any]) -> list[str]:
    """Return what of a source is on this machine."""
    splits, share = row["done_splits"], row["reject_share"]
    return [
        f"{counted(row['people'], 'person', 'people')} in {counted(row['frames'], 'frame')}",
        f"split{'s' * (len(splits) > 1)} {plain(', '.join(splits))}",
        "nobody left out" if not row["rejected"] else f"**{row['rejected']:,}** left out ({share:.1%})",
        stored(row["bytes"]),
    ]


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


def _pictures(dataset: str, row: dict[str, Any]) -> None:
    """Draw frames or people drawn with a seed, with the chosen labels on them."""
    if not tiles.may_show(dataset):
        st.info(
            "The card does not allow pictures of this source to be shown. Its people can be looked at without one.",
            icon=":material/visibility_off:",
        )
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        what = st.segmented_control(
            "Show", ("frames", "people"), default="frames", required=True, key="card_show", bind="query-params"
        )
        overlay, opacity = tiles.overlay_controls("card")
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small", width="content"):
            seed = st.number_input("Seed", 0, 9999, 0, key="card_seed", bind="query-params", width=110)
            st.button("Reshuffle", icon=":material/shuffle:", key="card_reshuffle", on_click=_reshuffle)
    kind: Literal["frames", "people"] = "frames" if what == "frames" else "people"
    query = queries.sample_frames if kind == "frames" else queries.sample_people
    rows = state.ask(query, dataset, int(seed), _TILES)
    if rows.empty:
        st.caption("There is nothing to show: only labels were converted (`--images none`), or nobody here has a box.")
        return
    keys = rows["person_key"].tolist()
    drawn = tiles.drawn(kind, keys, overlay, opacity)
    tiles.show(drawn, columns=tiles.frame_columns(drawn) if kind == "frames" else 8, links=keys)
    count = f":small[:gray[{len(keys)} of {row[kind]:,} {kind}, drawn with seed {int(seed)}]]"
    st.markdown(f"{tiles.licence_line(dataset)} {count}")
    tiles.stand_in_note(overlay)


def _reshuffle() -> None:
    st.session_state["card_seed"] = (int(st.session_state.get("card_seed", 0)) + 1) % 10000
