"""The frame around the pages: page settings, navigation, and one place where an error becomes a sentence.

A page's module is imported when it is first shown, so that the first page does not wait for what others draw with.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import streamlit as st

from ..errors import EhpsError
from . import state
from .loading import load
from .theme import ICON, LOGO, SIDEBAR, STYLE

Visibility = Literal["visible", "hidden"]


@dataclass(frozen=True)
class Place:
    """A page: where its address is, and how the navigation names it."""

    name: str  # of its module in ``views``; other pages lead to it by this name
    path: str
    title: str
    icon: str
    help: str
    visibility: Visibility = "visible"  # hidden: reached by links of other pages, kept out of the menu


MENU: dict[str, tuple[Place, ...]] = {
    "": (
        Place("overview", "overview", "Overview", "space_dashboard",
              "What is converted here, what needs attention, and which model is best where."),
    ),
    "Data": (
        Place("catalog", "datasets", "Datasets", "dataset",
              "All sources that ehps knows: filter by labels, licence, scene and state on this machine."),
        Place("card", "card", "Dataset card", "badge",
              "One source: licence, how to get it, what is labelled and how, pictures, distributions, rejects.",
              "hidden"),
        Place("people", "people", "People", "groups",
              "Everyone in the catalog: filter, sort by any measure or error, look, take away as a mixture."),
        Place("person", "person", "Person", "person",
              "One person: picture with labels, body in 3D, every field, and where it comes from.",
              "hidden"),
        Place("study", "study", "Dataset study", "hub",
              "How alike data sets are, how much their hands do, what each is worth alone."),
        Place("conversions", "conversions", "Conversions", "factory",
              "Units of each source: done, running, failed with the last error line; who was left out and why."),
    ),
    "Training": (
        Place("mixture", "mixture", "Mixture", "blender",
              "Put sources together for training: shares, epochs, labels, licences, leakage, the command."),
        Place("runs", "runs", "Runs", "monitoring",
              "Training runs: alive or stalled, losses, rates, what they consume."),
    ),
    "Results": (
        Place("matrix", "benchmark", "Benchmark", "leaderboard",
              "Models by protocols; choose a cell to see its people."),
        Place("cell", "cell", "One result", "query_stats",
              "One model under one protocol: how errors are distributed, where it fails, on whom, against another.",
              "hidden"),
        Place("scaling", "scaling", "Scaling", "trending_down",
              "Errors over training people, data sets and size of the network, published and measured."),
    ),
}  # fmt: skip


def run() -> None:
    """Show the page that the address names."""
    st.set_page_config(page_title="ehps", page_icon=ICON, layout="wide", initial_sidebar_state=SIDEBAR)
    st.html(STYLE)
    st.logo(LOGO, size="medium", icon_image=LOGO)
    pages = {place.name: _page(place) for places in MENU.values() for place in places}
    state.register_pages(pages)
    chosen = _navigate(pages)
    state.name_tab(chosen.title)
    try:
        chosen.run()
    except EhpsError as error:
        st.error(str(error), icon=":material/error:")


def _render(name: str) -> None:
    """Show a page."""
    load(f"views.{name}").render()


def _navigate(pages: dict[str, st.Page]) -> st.Page:
    """Draw the menu and return the page to show; the section that it lies in says so, folded as it is."""
    sections = {title: [pages[place.name] for place in places] for title, places in MENU.items()}
    chosen = st.navigation(sections, position="top")
    named = {_named(title, chosen) if chosen in places else title: places for title, places in sections.items()}
    return st.navigation(named, position="top")


def _named(title: str, chosen: st.Page) -> str:
    return title and f"{title} \N{MIDDLE DOT} **{chosen.title}**"


def _page(place: Place) -> st.Page:
    """Return a page as Streamlit takes it; the first of the menu is where the bare address leads."""
    return st.Page(
        partial(_render, place.name),
        title=place.title,
        icon=f":material/{place.icon}:",
        url_path=place.path,
        default=place is MENU[""][0],
        visibility=place.visibility,
        help=place.help,
    )
