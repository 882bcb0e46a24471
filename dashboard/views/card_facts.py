"""What a card says about its source: how to get it, what is labelled and how, pitfalls, citation."""

import math
from typing import Any

import pandas as pd
import streamlit as st

from ...cards import Card
from .. import inventory, queries, state
from ..plaintext import plain

_ORIGIN_COLOURS = {"measured": "green", "fitted": "blue", "pseudo": "orange", "synthetic": "violet"}


def render(card: Card | None, row: dict[str, Any]) -> None:
    """Show what the card says, and what the catalog counts of it."""
    if card is None:
        st.caption("There is no card, so nothing is known of it but what was converted: docs/adding_a_dataset.md.")
        return
    left, right = st.columns([3, 2], gap="large")
    with left:
        _how_to_get(card)
        _listed("Pitfalls", [plain(item) for item in card.pitfalls], "warning")
        _listed(
            "Not certain", [f"{plain(item.fact)} :gray-badge[{item.confidence}]" for item in card.uncertain], "help"
        )
    with right:
        _labels(card, bool(row["units"]))
        _conventions(card, row)
        st.markdown("###### Citation")
        st.code(card.citation, language=None, wrap_lines=True)
        st.markdown("###### Where these facts were read")
        st.markdown("\n".join(f"- :small[{plain(source)}]" for source in card.sources))


def _how_to_get(card: Card) -> None:
    st.markdown("###### How to get it")
    st.markdown(plain(card.raw.how))
    st.code("\n".join(card.raw.tree), language=None, wrap_lines=True)
    out = state.here().catalog
    commands = f"ehps check {card.id} --raw DIR\nehps convert {card.id} --raw DIR --out {out}"
    st.code(commands, language="shell")


def _listed(title: str, items: list[str], icon: str) -> None:
    if items:
        st.markdown(f"###### :material/{icon}: {title}")
        st.markdown("\n".join(f"- {item}" for item in items))


def _labels(card: Card, is_converted: bool) -> None:
    """Draw how each part is labelled, and in which share of the people here."""
    shares = state.ask(queries.label_shares, card.id) if is_converted else None
    rows = []
    for part, word in inventory.PARTS.items():
        origin = getattr(card.labels, part)
        row = {
            "Part": word,
            "Labels": f":{_ORIGIN_COLOURS[origin]}-badge[{origin}]" if origin else ":gray[\N{EN DASH}]",
        }
        rows.append(row | ({"People here": _share(shares, part)} if shares is not None else {}))
    st.markdown("###### Labels")
    st.table(pd.DataFrame(rows).set_index("Part"), border="horizontal")


def _share(shares: pd.DataFrame, part: str) -> str:
    """Return the share of people that carry a part, with the origins where there are several."""
    here = [row for row in shares.to_dict("records") if row["part"] == part]
    if not here:
        return ":gray[\N{EN DASH}]"
    if len(here) == 1:
        return f"{here[0]['share']:.0%}"
    return ", ".join(f"{row['share']:.0%} {row['origin']}" for row in here)


def _conventions(card: Card, row: dict[str, Any]) -> None:
    conventions = card.conventions
    rows = {
        "body model": f"{conventions.body_model}, {conventions.gender}, {conventions.betas} betas",
        "hands": conventions.hands,
        "space": f"{conventions.space}, {conventions.units}",
        "camera": conventions.camera.replace("_", " "),
        "pictures": plain(card.images.container),
        **_video(card),
        "splits": ", ".join(card.splits),
        "in the papers": f"mixtures of {card.paper_mix} datasets and more, {_stride(card)}" if card.paper_mix else "no",
        "may be left out": f"{card.checks.max_reject:.1%} of the people",
        "converter": _versions(card, row),
    }
    st.markdown("###### As the owner writes it")
    whole = {name.replace(" ", "\N{NO-BREAK SPACE}"): value for name, value in rows.items()}
    st.table({f":gray[{name}]": value for name, value in whole.items()}, border="horizontal")


def _video(card: Card) -> dict[str, str]:
    """Return the row on the frame rate, which only video has."""
    rate = card.images.frame_rate
    said = "frame rate not known" if rate is None else f"{rate:g} frames a second"
    return {"video": said} if card.images.video else {}


def _stride(card: Card) -> str:
    return "everybody" if card.stride == 1 else f"one person in {card.stride}"


def _versions(card: Card, row: dict[str, Any]) -> str:
    """Return which code converts the source, and which version of it wrote the shards here."""
    current = inventory.converter_version(card.id)
    if current is None:
        return "none yet"
    here = f", shards here by version {row['version']:.0f}" if row["units"] and math.isfinite(row["version"]) else ""
    return f"`converters/{card.id}.py`, version {current}{here}"
