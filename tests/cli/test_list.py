"""``ehps list``: every one of the paper's forty, as far as it is, in a table that fits a terminal."""

import json

import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner

from ehps import cards
from ehps.cards import DATASETS_DIR, card_ids, load_card, the_forty
from ehps.cli import output
from ehps.cli.main import app
from ehps.converters import converter_ids
from ehps.errors import CardError

MIXTURES = {5: "five", 10: "ten", 20: "twenty", 32: "thirty_two", 40: "forty"}


def ehps(*arguments: object):
    return CliRunner().invoke(app, ["list", *map(str, arguments)])


def rows(*arguments) -> dict[str, dict]:
    result = ehps(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return {row["id"]: row for row in map(json.loads, result.stdout.splitlines())}


def mixture(name: str) -> set[str]:
    return {
        member["dataset"]
        for member in yaml.safe_load((DATASETS_DIR / "mixtures" / f"{name}.yaml").read_text())["members"]
    }


def test_all_forty_are_there_and_what_has_no_converter_is_planned():
    found = rows()
    assert len(the_forty()) == 40
    assert set(found) == {*the_forty(), *card_ids()}
    for name, row in found.items():
        assert row["state"] == ("available" if name in converter_ids() else "planned")
        assert row["mix"] == (the_forty()[name].mix if name in the_forty() else None)


@pytest.mark.parametrize("size", MIXTURES)
def test_the_forty_agree_with_the_mixtures(size):
    assert {name for name, member in the_forty().items() if member.mix <= size} == mixture(MIXTURES[size])


def test_the_forty_agree_with_the_cards():
    for name in card_ids():
        assert load_card(name).paper_mix == (the_forty()[name].mix if name in the_forty() else None), name


def test_a_number_says_how_sure_it_is():
    members = the_forty().values()
    assert all((member.instances is None) == (member.count is None) for member in members)
    assert {member.id for member in members if member.count == "low"} == {"agora", "gta_human2"}
    assert {member.membership for member in members if member.mix == 40} == {"inferred"}


def test_states_are_filters():
    planned = rows("--state", "planned")
    assert planned
    assert not planned.keys() & set(converter_ids())
    assert rows("--state", "available").keys() == set(converter_ids())
    assert rows("--state", "planned", "--kind", "synthetic").keys() < planned.keys()
    assert not rows("--state", "planned", "--has", "hands", "--licence", "commercial"), (
        "of planned ones nothing is known"
    )


def test_converted_needs_a_catalog_and_counts_its_people(monkeypatch, tmp_path):
    result = ehps("--state", "converted")
    assert result.exit_code == 2
    assert "--catalog" in result.output
    monkeypatch.setattr("ehps.cli.list_._people_by_dataset", lambda _: {"mscoco": 12})
    found = rows("--catalog", tmp_path, "--state", "converted")
    assert {name: row["people"] for name, row in found.items()} == {"mscoco": 12}
    assert rows("--catalog", tmp_path)["bedlam"]["state"] == "available"


def test_the_table_fits_a_hundred_columns(monkeypatch):
    monkeypatch.setattr(output, "_is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    assert Console().width == 100
    lines = ehps().stdout.splitlines()
    assert len(lines) == len(rows()) + 1, "no cell was folded"
    assert max(map(len, lines)) <= 100
    assert lines[1].split() == [
        "agora",
        "available",
        "5",
        "synthetic",
        "body",
        "hands",
        "face",
        "shape",
        "106,700",
        "low",
        "certain",
    ]


def test_a_wrong_fact_is_named(tmp_path, monkeypatch):
    path = tmp_path / "the_forty.yaml"
    path.write_text("sources: []\nmembers: [{id: agora, name: AGORA, kind: film, mix: 5, membership: certain}]")
    monkeypatch.setattr(cards, "FORTY_PATH", path)
    the_forty.cache_clear()
    try:
        with pytest.raises(CardError, match=r"the_forty.yaml.*members.0.kind"):
            the_forty()
    finally:
        the_forty.cache_clear()
