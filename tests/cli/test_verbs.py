"""The command line as its users type it: results on stdout, one sentence on an error, exit code 2."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
import typer
from typer.testing import CliRunner, Result

from ehps.cli.main import app
from ehps.errors import EhpsError


def ehps(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=True)


def rows(result: Result) -> list[dict]:
    assert result.exit_code == 0, result.output + str(result.exception)
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture(scope="session")
def converted(fitted) -> Path:
    """The folder of the raw tree and of the converted one, ``data``."""
    return fitted.parent


def test_list_shows_what_is_labelled():
    assert {row["id"] for row in rows(ehps("list", "--json"))} >= {"bedlam", "ehf", "mscoco", "ochuman"}
    with_hands = {row["id"] for row in rows(ehps("list", "--has", "hands", "--json"))}
    assert "bedlam" in with_hands
    assert "ochuman" not in with_hands


def test_card_begins_with_the_licence():
    text = ehps("card", "bedlam").stdout
    assert text.index("Licence") < text.index("Get it") < text.index("Pitfalls")
    assert json.loads(ehps("card", "bedlam", "--json").stdout)["conventions"]["betas"] == 11


def test_check_reads_without_writing(converted):
    before = sorted(converted.rglob("*"))
    result = ehps("check", "ochuman", "--raw", converted / "raw", "--json")
    assert rows(result)
    assert sorted(converted.rglob("*")) == before


def test_sql_answers_as_table_json_and_csv(converted):
    statement = "select dataset, count(*) as people from people group by 1"
    (row,) = rows(ehps("sql", "--catalog", converted / "data", statement, "--json"))
    assert row["dataset"] == "ochuman"
    (line,) = csv.DictReader(io.StringIO(ehps("sql", "-c", converted / "data", statement, "--csv").stdout))
    assert int(line["people"]) == row["people"] > 0
    assert "ochuman" in ehps("sql", "-c", converted / "data", statement).stdout


def test_the_catalog_and_the_sidecars_open_without_ehps(converted):
    with duckdb.connect(str(converted / "data" / "catalog.duckdb"), read_only=True) as catalog:
        (people,) = catalog.execute("select count(*) from people").fetchall()[0]
    sidecars = str(converted / "data" / "ochuman" / "*" / "*" / "ochuman-*.parquet")
    assert duckdb.sql(f"select count(*) from read_parquet('{sidecars}')").fetchall() == [(people,)]


def test_sql_cannot_reach_files(converted):
    secret = converted / "secret.csv"
    secret.write_text("a\n1\n")
    assert isinstance(ehps("sql", "-c", converted / "data", f"select * from '{secret}'").exception, EhpsError)
    assert isinstance(ehps("sql", "-c", converted / "data", "drop table people").exception, EhpsError)


def test_verify_finds_a_flipped_byte(converted):
    assert ehps("verify", "-c", converted / "data").exit_code == 0
    shard = next((converted / "data" / "ochuman" / "val").rglob("*.tar"))
    sound = shard.read_bytes()
    try:
        shard.write_bytes(sound[:700] + bytes([sound[700] ^ 1]) + sound[701:])
        result = ehps("verify", "-c", converted / "data", "--json")
        assert result.exit_code == 1
        assert shard.name in json.loads(result.stdout)["problem"]
    finally:
        shard.write_bytes(sound)


def test_preview_draws_a_sheet(converted):
    sheet = converted / "sheet.png"
    assert ehps("preview", "-c", converted / "data", "--out", sheet, "--overlay", "keypoints").exit_code == 0
    assert sheet.read_bytes().startswith(b"\x89PNG")


def test_mix_plan_says_what_is_missing(converted):
    result = ehps("mix", "plan", "five", "-c", converted / "data", "--json")
    assert {row["member"]: row["people"] for row in rows(result)}["bedlam"] == 0
    assert "missing" in result.stderr


def test_table_of_no_results_says_what_to_run(tmp_path):
    assert "ehps bench" in ehps("table", "--results", tmp_path).stdout


def test_doctor_names_the_body_models():
    (facts,) = rows(ehps("doctor", "--json"))
    assert "stand-in" in facts["body models"]["EHPS_BODY_MODELS"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["card", "bedlm"], "there is no dataset called 'bedlm'; did you mean bedlam?"),
        (["list", "--has", "hand"], "did you mean hands"),
        (["convert", "ochuman", "--raw", "GONE", "--out", "OUT"], "GONE"),
        (["sql", "--catalog", "GONE", "select 1"], "ehps convert"),
        (["preview", "--catalog", "GONE"], "ehps convert"),
    ],
)
def test_an_error_is_one_sentence_and_exit_code_2(arguments, sentence, tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "ehps.cli.main", *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert result.returncode == 2
    assert result.stdout == ""
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr


def verbs(commands: dict, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], str]]:
    """Every verb of the tree with its help text."""
    out = []
    for name, command in commands.items():
        inner = getattr(command, "commands", None)
        out += verbs(inner, (*path, name)) if inner else [((*path, name), command.help)]
    return out


def test_every_verb_explains_itself_with_an_example():
    found = verbs(typer.main.get_command(app).commands)
    assert len(found) >= 13
    for path, text in found:
        assert f"Example: ehps {' '.join(path)}" in (text or ""), path


def test_the_reference_page_is_fresh():
    from ehps.cli.reference import PAGE, reference

    assert PAGE.read_text(encoding="utf-8") == reference(), "run: make docs"
