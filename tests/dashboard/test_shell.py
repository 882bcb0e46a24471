"""The frame around the pages: each has a module, an address of its own and a place in the menu."""

import inspect
import re
from pathlib import Path

import streamlit

from ehps.dashboard.loading import load
from ehps.dashboard.shell import MENU
from ehps.dashboard.theme import STYLE

PLACES = [place for places in MENU.values() for place in places]


def test_every_page_has_a_module_that_draws_it():
    for place in PLACES:
        assert not inspect.signature(load(f"views.{place.name}").render).parameters


def test_addresses_and_titles_are_unique():
    assert len({place.path for place in PLACES}) == len({place.title for place in PLACES}) == len(PLACES)


def test_the_bare_address_is_the_overview_and_pages_of_one_thing_stay_out_of_the_menu():
    assert [place.name for place in MENU[""]] == ["overview"]
    assert {place.name for place in PLACES if place.visibility == "hidden"} == {"card", "person", "cell"}


def test_the_style_names_parts_that_streamlit_has():
    [part] = re.findall(r'data-testid="(\w+)"', STYLE)
    scripts = Path(streamlit.__file__).with_name("static").rglob("index*.js")
    assert any(part in script.read_text(encoding="utf-8") for script in scripts)
