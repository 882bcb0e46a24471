"""The frame around the pages: page settings, navigation, and one place where an error becomes a sentence."""

import streamlit as st

from ..errors import EhpsError
from . import state
from .theme import ICON, LOGO
from .views import card, catalog, conversions, matrix, mixture, overview, people, person, runs, scaling, study


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
        "people": st.Page(
            people.render,
            title="People",
            icon=":material/groups:",
            url_path="people",
            help="Everyone in the catalog: filter, sort by any measure or error, look, take away as a mixture.",
        ),
        "person": st.Page(
            person.render,
            title="Person",
            icon=":material/person:",
            url_path="person",
            help="One person: picture with labels, body in 3D, every field, and where it comes from.",
        ),
        "matrix": st.Page(
            matrix.render,
            title="Benchmark",
            icon=":material/leaderboard:",
            url_path="benchmark",
            help="Models by protocols; choose a cell to see its people.",
        ),
        "scaling": st.Page(
            scaling.render,
            title="Scaling",
            icon=":material/trending_down:",
            url_path="scaling",
            help="Errors over training people, data sets and size of the network, published and measured.",
        ),
        "mixture": st.Page(
            mixture.render,
            title="Mixture",
            icon=":material/blender:",
            url_path="mixture",
            help="Put sources together for training: shares, epochs, labels, licences, leakage, the command.",
        ),
        "runs": st.Page(
            runs.render,
            title="Runs",
            icon=":material/monitoring:",
            url_path="runs",
            help="Training runs: alive or stalled, losses, rates, what they consume.",
        ),
        "study": st.Page(
            study.render,
            title="Study",
            icon=":material/hub:",
            url_path="study",
            help="How alike data sets are, how much their hands do, what each is worth alone.",
        ),
        "conversions": st.Page(
            conversions.render,
            title="Conversions",
            icon=":material/factory:",
            url_path="conversions",
            help="Units of each source: done, running, failed with the last error line; who was left out and why.",
        ),
    }
    state.register_pages(pages)
    chosen = st.navigation(list(pages.values()), position="top")
    try:
        chosen.run()
    except EhpsError as error:
        st.error(str(error), icon=":material/error:")
