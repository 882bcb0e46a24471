"""``ehps compare`` and ``ehps slice`` on results about people of a converted source."""

import json
import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from ehps.benchmark.agora import SummaryQuirks
from ehps.benchmark.detection import MatchingQuirks
from ehps.benchmark.measures import measures
from ehps.benchmark.protocol import load_protocol
from ehps.benchmark.results import RunFacts, make_result, write_result
from ehps.cli.main import app
from ehps.errors import ProtocolError, QueryError
from ehps.shards.catalog import query

EHF = load_protocol("ehf")
DOCS = (Path(__file__).resolve().parents[2] / "docs/benchmark.md").read_text(encoding="utf-8")


def ehps(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=True)


def lines(*arguments: object) -> list[dict]:
    result = ehps(*arguments, "--json")
    assert result.exit_code == 0, result.output + str(result.exception)
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture(scope="session")
def data(marked):
    return marked


@pytest.fixture(scope="module")
def made(data, tmp_path_factory):
    """Write a result in which everyone's error is 10 mm a person number, plus a step."""
    folder = tmp_path_factory.mktemp("results")
    keys = query(data, "select person_key from people order by person_id")["person_key"].tolist()

    def make(model: str, step: float = 0.0, fingerprint: str = "f") -> Path:
        values = 10.0 * np.arange(len(keys)) + step
        rows = pd.DataFrame(
            {
                "person_key": keys,
                "sequence": [f"s{k}" for k in range(len(keys))],
                "answered": True,
                **{f"has_{part}": True for part in ("body", "left_hand", "right_hand", "face")},
                "box_height": 100.0,
                **dict.fromkeys(EHF.measures, values),
            }
        )
        facts = RunFacts(model=model, revision="main", shard_fingerprint=fingerprint)
        return write_result(make_result(rows, EHF, facts), rows, folder)

    return make


def test_compare_says_who_is_better_and_by_how_much(made):
    (found,) = lines("compare", made("ours"), made("theirs", 1.0), "--measure", "PVE")
    assert (found["measure"], found["difference"]) == ("PVE", 1)
    assert found["sequences_better_a"] == found["people"] == found["sequences"]
    table = ehps("compare", made("ours"), made("theirs", 1.0))
    assert "A: ours main, B: theirs main" in table.stdout
    assert "PA-PVE@hands" in table.stdout


def test_results_on_other_data_are_not_compared(made):
    result = ehps("compare", made("ours"), made("elsewhere", 0.0, "g"))
    assert isinstance(result.exception, ProtocolError)
    assert "shard_fingerprint should be f" in str(result.exception)


def test_slices_by_a_column_and_by_an_expression(data, made):
    path = made("ours")
    found = lines("slice", path, "--by", "label_body is not null", "--catalog", data)
    people = query(data, "select count(*) as n from people")["n"].item()
    assert sum(one["people"] for one in found) == people
    assert {one["measure"] for one in found} == {"PVE"}
    (whole,) = lines("slice", path, "--catalog", data, "--measure", "PA-PVE")
    assert (whole["slice"], whole["people"], whole["mean"]) == ("ochuman", people, 5.0 * (people - 1))
    ranges = lines("slice", path, "--by", "person_id", "--catalog", data, "--edges", "0,2,1000")
    assert [one["mean"] for one in ranges] == [5, 10 * (2 + people - 1) / 2]
    assert "by person_id" in ehps("slice", path, "--by", "person_id", "--catalog", data).stdout


def test_the_worst_people_are_listed_with_what_they_are_like(data, made):
    found = lines("slice", made("ours"), "--by", "box_height_px", "--catalog", data, "--worst", "2")
    last = query(data, "select person_key, box_height_px from people order by person_id desc limit 2")
    assert [one["person_key"] for one in found] == last["person_key"].tolist()
    assert [one["box_height_px"] for one in found] == last["box_height_px"].tolist()


def test_a_wrong_column_measure_border_or_catalog_is_named(data, made, tmp_path):
    path = made("ours")
    assert isinstance(ehps("slice", path, "--by", "occlusoin", "--catalog", data).exception, QueryError)
    assert "has no ACC" in str(ehps("compare", path, path, "--measure", "ACC").exception)
    assert "has no ACC" in str(ehps("slice", path, "--catalog", data, "--measure", "ACC").exception)
    assert "'0,x' should be numbers" in ehps("slice", path, "--catalog", data, "--edges", "0,x").output
    rows = pd.read_parquet(path.with_suffix(".parquet"))
    stranger = rows.assign(person_key=[f"other#{k}" for k in range(len(rows))])
    facts = RunFacts(model="strange", revision="main", shard_fingerprint="f")
    path = write_result(make_result(stranger, EHF, facts), stranger, tmp_path)
    assert f"none of its {len(rows)} people is in" in str(ehps("slice", path, "--catalog", data).exception)


def test_the_statement_of_the_docs_joins_two_models_with_the_catalog(data, made):
    made("theirs", 1.0)
    results = made("ours").parents[2]
    (statement,) = re.findall(r"```sql\n(.+?)```", DOCS, re.DOTALL)
    found = lines("sql", "--catalog", data, "--results", results, statement)
    assert sum(row["people"] for row in found) == query(data, "select count(*) as n from people")["n"].item()
    assert all(row["difference"] == pytest.approx(1) for row in found)


def test_the_docs_name_every_family_and_every_habit():
    families = {measure.family for measure in measures().values()}
    assert not [name for name in families if f"| {name} |" not in DOCS]
    habits = [(kind.__name__, field.name) for kind in (MatchingQuirks, SummaryQuirks) for field in fields(kind)]
    assert not [habit for habit in habits if f"| `{'.'.join(habit)}` |" not in DOCS]
