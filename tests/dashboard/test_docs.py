"""The page of documentation has every page and every picture that is taken."""

import re
from pathlib import Path

from ehps.dashboard.shell import MENU
from ehps.tests.dashboard import screenshots

DOCS = Path(__file__).resolve().parents[2] / "docs"
TEXT = (DOCS / "dashboard.md").read_text(encoding="utf-8")
PLACES = {place.path: place for places in MENU.values() for place in places}
LIMIT = 5_000_000  # bytes of all pictures together


def test_every_page_is_told_with_its_address():
    for path, place in PLACES.items():
        address = "/" if place.name == "overview" else f"/{path}"
        assert f"| [{place.title}](#{place.title.lower().replace(' ', '-')}) | `{address}` |" in TEXT


def test_every_picture_that_is_taken_is_shown():
    names = screenshots.addresses("somebody#0")
    wanted = {screenshots.file_name(n, s, w) for n in names for s in screenshots.SCHEMES for w in screenshots.WIDTHS}
    assert set(re.findall(r"images/dashboard/([\w.-]+)", TEXT)) == wanted


def test_pictures_are_there_and_small():
    files = {path.name: path.stat().st_size for path in (DOCS / "images" / "dashboard").iterdir()}
    assert set(files) == set(re.findall(r"images/dashboard/([\w.-]+)", TEXT))
    assert sum(files.values()) < LIMIT


def test_links_to_other_pages_lead_somewhere():
    links = re.findall(r"\]\(([\w./-]+\.md)[)#]", TEXT)
    assert links
    assert [link for link in links if not (DOCS / link).is_file()] == []
