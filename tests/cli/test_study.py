"""The verbs of studies: what they show, what they write, and how they end."""

import pytest
from typer.testing import CliRunner

from ehps.cli.main import app
from ehps.errors import StudyError
from ehps.studies import engine
from ehps.studies.declaration import read_study
from ehps.tests.studies.conftest import catalog  # noqa: F401 a fixture


def ehps(*arguments):
    return CliRunner().invoke(app, ["study", *map(str, arguments)])


def test_a_dry_run_shows_everything_and_writes_nothing(catalog, tmp_path):  # noqa: F811
    result = ehps("datasets", "-c", catalog, "-o", tmp_path / "s", "-p", "agora_val", "--dry-run", "steps=10")
    assert result.exit_code == 0, result.output
    assert "38 members of forty are not converted and left out: mscoco, spec" in result.stderr
    assert "left: 2 of 2 runs, 10,240 people to train on, 2 results to score" in result.stderr
    shown = [line.split() for line in result.stdout.splitlines()[1:]]
    assert shown == [["agora", "waits", "0/10", "6", "0/1", "5,120"], ["bedlam", "waits", "0/10", "2", "0/1", "5,120"]]
    assert not (tmp_path / "s").exists()


def test_what_is_declared_is_carried_out_with_the_options_of_the_command(catalog, tmp_path, monkeypatch):  # noqa: F811
    asked = {}
    monkeypatch.setattr(engine, "carry_out", lambda _, folder, **more: asked.update(more, folder=folder))
    more = ("--recipe", "demo", "--mixture", "demo_study", "--jobs", "3", "--dask", "tcp://there:8786")
    result = ehps(
        "datasets", "-c", catalog, "-o", tmp_path, "-r", tmp_path / "r", "-d", "agora", "-p", "agora_val", *more
    )
    assert result.exit_code == 0, result.output
    assert (asked["folder"], asked["jobs"], asked["scheduler"]) == (tmp_path, 3, "tcp://there:8786")
    assert read_study(tmp_path).datasets == ("agora",)
    assert "nothing is scored yet" in result.stdout
    assert f"--runs {tmp_path}" in result.stderr


def test_scaling_plans_its_grid_and_says_what_is_not_converted(catalog, tmp_path):  # noqa: F811
    result = ehps(
        "scaling", "-c", catalog, "-o", tmp_path, "-p", "agora_val", "--dry-run", "-s", "s", "-s", "b", "-m", 5
    )
    assert "nobody of spec (spec, train) is in the converted tree" in result.stderr
    assert [line.split()[:2] for line in result.stdout.splitlines()[1:]] == [["s-5", "blocked"], ["b-5", "blocked"]]


def test_a_study_that_cannot_be_is_one_sentence(catalog, tmp_path):  # noqa: F811
    result = ehps("datasets", "-c", catalog, "-o", tmp_path, "-p", "agora_val", "--name", "a/b", "--dry-run")
    assert isinstance(result.exception, StudyError)
    assert str(result.exception).startswith("this study cannot be: name: string should match pattern")
    with pytest.raises(StudyError, match=r"study\.yaml is missing"):
        CliRunner().invoke(app, ["study", "run", str(tmp_path)], catch_exceptions=False)
