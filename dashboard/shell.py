"""The frame around the pages: page settings, navigation, and one place where an error becomes a sentence."""

import streamlit as st

from ..errors import EhpsError
from . import state
from .theme import ICON, LOGO
from .views import card, catalog, matrix, overview


def run() -> None:
    """Show the page that the address names."""
    st.set_page_config(page_title="ehps", page_icon=ICON, layout="wide")
    st.logo(LOGO, size="medium", icon_image=LOGO)
    pages = {
        "overview": st.Page(
            overview.render,
            title="Overview",
            icon=":material/space_dashboard:",
            url_path="overview",
            default=True,
            help="What is converted here, what needs attention, and which model is best where.",
        ),
        "catalog": st.Page(
            catalog.render,
            title="Datasets",
            icon=":material/dataset:",
            url_path="datasets",
            help="All sources that ehps knows: filter by labels, licence, scene and state on this machine.",
        ),
        "card": st.Page(
            card.render,
            title="Dataset card",
            icon=":material/badge:",
            url_path="card",
            help="One source: licence, how to get it, what is labelled and how, pictures, distributions, rejects.",
        ),
        "matrix": st.Page(
            matrix.render,
            title="Benchmark",
            icon=":material/leaderboard:",
            url_path="benchmark",
            help="Models by protocols; choose a cell to see its people.",
        ),
    }
    state.register_pages(pages)
    chosen = st.navigation(list(pages.values()), position="top")
    try:
        chosen.run()
    except EhpsError as error:
        st.error(str(error), icon=":material/error:")
