"""``ehps sql``: every form of an answer, with types that survive, and tables from outside of the tree."""

import csv
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from ehps.benchmark.protocol import load_protocol
from ehps.benchmark.results import RunFacts, make_result, write_result
from ehps.cli.main import app
from ehps.errors import EhpsError

STATEMENT = "select person_id, num_betas, sum(person_id) over () as total, [1.5, null] as list from people order by 1"


def ehps(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=True)


def text(result: Result) -> str:
    assert result.exit_code == 0, result.output + str(result.exception)
    return result.stdout


@pytest.fixture(scope="session")
def data(marked):
    return marked


def test_json_and_csv_keep_whole_numbers_and_nulls(data):
    rows = [json.loads(line) for line in text(ehps("sql", "-c", data, STATEMENT, "--format", "json")).splitlines()]
    total = len(rows) * (len(rows) - 1) // 2
    assert rows[1] == {"person_id": 1, "num_betas": None, "total": total, "list": [1.5, None]}
    lines = list(csv.DictReader(io.StringIO(text(ehps("sql", "-c", data, STATEMENT, "-f", "csv")))))
    assert lines[1] == {"person_id": "1", "num_betas": "", "total": str(total), "list": "[1.5, null]"}
    assert text(ehps("sql", "-c", data, STATEMENT, "--json")).splitlines() == [json.dumps(row) for row in rows]
    assert text(ehps("sql", "-c", data, STATEMENT, "--csv")).splitlines()[0] == "person_id,num_betas,total,list"


@pytest.mark.parametrize("form", ["json", "csv", "parquet", "arrow"])
def test_an_answer_goes_into_a_file(data, tmp_path, form):
    path = tmp_path / f"answer.{form}"
    result = ehps("sql", "-c", data, STATEMENT, "--format", form, "--out", path)
    assert text(result) == ""
    assert f"wrote {path}" in result.stderr
    if form in ("json", "csv"):
        assert path.read_text() == text(ehps("sql", "-c", data, STATEMENT, "--format", form))
        return
    table = pq.read_table(path) if form == "parquet" else pa.ipc.open_file(path).read_all()
    assert table.schema.field("person_id").type == pa.int64()
    assert table.schema.field("num_betas").type == pa.int32()
    assert table["num_betas"].null_count == len(table) > 0


def test_parquet_can_be_piped(data):
    table = pq.read_table(pa.BufferReader(ehps("sql", "-c", data, STATEMENT, "-f", "parquet").stdout_bytes))
    assert table.column_names == ["person_id", "num_betas", "total", "list"]


def test_a_table_does_not_go_into_a_file(data, tmp_path):
    result = ehps("sql", "-c", data, STATEMENT, "--out", tmp_path / "answer")
    assert result.exit_code == 2
    assert "csv, json, parquet or arrow" in result.output


def test_explain_prints_the_plan_instead_of_the_answer(data):
    plan = text(ehps("sql", "-c", data, "select count(*) from people", "--explain"))
    assert "Total Time" in plan
    assert "Scan" in plan
    assert isinstance(ehps("sql", "-c", data, "drop view people", "--explain").exception, EhpsError)


def test_pivot_is_answered(data):
    sql = "pivot (select split from people) on split using count(*)"
    (line,) = text(ehps("sql", "-c", data, sql, "--json")).splitlines()
    assert json.loads(line)["test"] > 0


def test_what_is_outside_of_the_tree_is_empty_unless_named(data):
    for name in ("results", "person_results", "runs"):
        assert text(ehps("sql", "-c", data, f"from {name}", "--json")) == ""
    published = text(ehps("sql", "-c", data, "select value, unit, kind from published limit 1", "--json"))
    assert json.loads(published).keys() == {"value", "unit", "kind"}


def test_results_are_tables(data, tmp_path):
    import numpy as np
    import pandas as pd

    protocol = load_protocol("ehf")
    keys = ["a#0", "b#0"]
    people = pd.DataFrame({"person_key": keys, "sequence": keys, "answered": [True, False], "box_height": 1.0})
    for part in ("body", "left_hand", "right_hand", "face"):
        people[f"has_{part}"] = True
    for number, measure in enumerate(protocol.measures):
        people[measure] = [50.0 + number, np.nan]
    facts = RunFacts(model="mine", revision="1", shard_fingerprint="f")
    write_result(make_result(people, protocol, facts, hardware="x"), people, tmp_path)
    sql = "select model, measure, mean, asked, missing, date from results where is_primary"
    (row,) = [
        json.loads(line) for line in text(ehps("sql", "-c", data, sql, "--results", tmp_path, "--json")).splitlines()
    ]
    assert (row["model"], row["measure"], row["asked"], row["missing"]) == ("mine", protocol.primary, 2, 1)
    sql = f"select person_key, value from person_results where measure = '{protocol.measures[0]}' order by 1"
    lines = text(ehps("sql", "-c", data, sql, "--results", tmp_path, "--json")).splitlines()
    assert [json.loads(line) for line in lines] == [
        {"person_key": "a#0", "value": 50.0},
        {"person_key": "b#0", "value": None},
    ]


def test_runs_are_a_table(data, tmp_path):
    run = tmp_path / "runs" / "one"
    run.mkdir(parents=True)
    (run / "run.json").write_text(json.dumps({"data": "abc", "device": "cpu", "world_size": 2, "ehps": "0.1"}))
    (run / "recipe.json").write_text(json.dumps({"name": "demo", "mixture": "demo"}))
    (run / "log.jsonl").write_text('{"step": 1, "loss": 2.0}\n{"step": 7, "loss": 1.5, "people_per_s": 30.0}\n')
    sql = "select path, recipe, step, loss, people_per_s, world_size from runs"
    (line,) = text(ehps("sql", "-c", data, sql, "--runs", tmp_path / "runs", "--json")).splitlines()
    assert list(json.loads(line).values()) == [str(run), "demo", 7, 1.5, 30.0, 2]
    (run / "run.json").write_text("{")
    failed = ehps("sql", "-c", data, sql, "--runs", tmp_path / "runs")
    assert "cannot be read" in str(failed.exception)


def test_catalog_says_what_it_wrote(data):
    for option in ([], ["--refresh"], ["--rebuild"]):
        assert f"wrote {data / 'catalog.duckdb'}" in ehps("catalog", "--catalog", data, *option).stderr
