"""A study goes on where it was, however it stopped, and never mixes what was made under other settings."""

import json
import shutil
import signal
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from ehps.benchmark.results import read_result, result_files
from ehps.cli.main import app
from ehps.errors import EhpsError, StudyError
from ehps.studies import work
from ehps.studies.declaration import FinetuneStudy, write_study
from ehps.studies.engine import carry_out
from ehps.studies.runs import runs_of
from ehps.studies.standing import held, left, standings
from ehps.tests.studies.conftest import PROTOCOLS, TINY, declared

CELLS = {(f"datasets-{name}", protocol) for name in ("bedlam", "agora") for protocol in PROTOCOLS}

# Runs a study until something happens, and then kills itself as a full memory or a power cut would.
KILLED = """
import os, signal, sys
from pathlib import Path
from ehps.studies.declaration import read_study
from ehps.studies.engine import carry_out
from ehps.studies.runs import runs_of
from ehps.training.predictor import Predictor
folder, when = Path(sys.argv[1]), sys.argv[2]
die = lambda: os.kill(os.getpid(), signal.SIGKILL)
answer, calls = Predictor.__call__, []
def predict(self, people):
    calls.append(len(people))
    return die() if when == "scoring" and len(calls) == 2 else answer(self, people)
Predictor.__call__ = predict
tell = lambda text: die() if when == "training" and "step 5/6" in text else None
carry_out(read_study(folder), folder, device="cpu", tell=tell)
"""


def means(results):
    """The number of every cell: nothing of it depends on when it was made."""
    found = [read_result(path) for path in result_files(results)]
    return {(one.model, one.protocol): one.measures[one.primary].mean for one in found}


def killed(folder, when):
    ended = subprocess.run([sys.executable, "-c", KILLED, folder, when], capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr


def test_every_run_is_scored_under_every_protocol_and_says_what_it_is(finished, catalog):
    assert set(means(finished / "results")) == CELLS
    result = read_result(finished / "results" / "datasets-agora" / "step-6" / "bedlam_val.json")
    assert (result.study, result.trained_on, result.training_people) == ("datasets", ("agora",), 6)
    assert result.network_parameters
    assert {one.state for one in standings(declared(catalog, finished), finished / "study")} == {"done"}


def test_what_is_finished_is_not_done_again(finished, catalog):
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file()}
    carry_out(declared(catalog, finished), finished / "study", device="cpu")
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file()} == before


def test_killed_while_training_and_while_scoring_it_ends_with_the_same_numbers(finished, catalog, tmp_path):
    study, folder = declared(catalog, tmp_path, datasets=("agora",)), tmp_path / "study"
    write_study(study, folder)
    killed(folder, "training")
    (run,) = standings(study, folder)
    assert run.state == "stopped"
    assert 2 <= run.step < 6
    assert not means(study.results)
    killed(folder, "scoring")
    (run,) = standings(study, folder)
    assert (run.state, run.step, run.scored) == ("trained", 6, ("bedlam_val",))
    carry_out(study, folder, device="cpu")
    assert means(study.results) == of_agora(finished)


def of_agora(finished):
    return {cell: mean for cell, mean in means(finished / "results").items() if cell[0] == "datasets-agora"}


def test_a_cluster_gives_the_same_numbers(finished, catalog, tmp_path):
    distributed = pytest.importorskip("distributed")
    study = declared(catalog, tmp_path, datasets=("agora",))
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
    ) as cluster:
        carry_out(study, tmp_path / "study", scheduler=cluster.scheduler_address, device="cpu")
    assert means(tmp_path / "results") == of_agora(finished)


@pytest.mark.slow
def test_processes_give_the_same_numbers(finished, catalog, tmp_path):
    carry_out(declared(catalog, tmp_path), tmp_path / "study", jobs=2, device="cpu")
    assert means(tmp_path / "results") == means(finished / "results")


@pytest.fixture
def copy(finished, tmp_path):
    """A finished study that may be changed; its catalog stays where it is."""
    return shutil.copytree(finished, tmp_path / "copy")


def test_a_run_of_other_settings_is_noticed_and_left_alone(copy, catalog):
    study = declared(catalog, copy)
    other = declared(catalog, copy, settings=(*study.settings, "lr=0.5"))
    assert write_study(study, copy / "study") == []
    (change,) = write_study(other, copy / "study")
    assert change.startswith("settings was network.embed_dim=16")
    before = means(copy / "results")
    with pytest.raises(StudyError, match=r"2 things went wrong.* bedlam: .*lr was 0.001 and is 0.5"):
        carry_out(other, copy / "study", device="cpu")
    assert means(copy / "results") == before


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("protocol_version", 99, "was scored under version 99"),
        ("shard_fingerprint", "0" * 16, "was scored on other shards of agora val"),
        ("training", "0" * 16, "was scored with other weights"),
        ("asked", 3, "should be answered"),
    ],
)
def test_a_number_of_other_conditions_is_due_again(copy, catalog, field, value, why):
    path = copy / "results" / "datasets-bedlam" / "step-6" / "agora_val.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    first, second = standings(declared(catalog, copy), copy / "study")
    assert why in first.due["agora_val"]
    assert any(why in remark for remark in first.remarks)
    assert (first.state, first.scored, second.state) == ("trained", ("bedlam_val",), "done")


def test_other_shards_stop_a_training_that_has_begun(copy, catalog, tmp_path):
    facts = copy / "study" / "runs" / "agora" / "run.json"
    facts.write_text(json.dumps(json.loads(facts.read_text()) | {"data": "other"}))
    first, second = standings(declared(catalog, copy), copy / "study")
    assert (first.state, second.state) == ("done", "blocked")
    assert "mixture or shards have changed" in second.problem


def test_other_weights_to_start_from_stop_a_training_that_has_begun(finished, catalog, tmp_path):
    trained = {name: finished / "study" / "runs" / name / "checkpoints" / "00000006.pt" for name in ("bedlam", "agora")}
    start = tmp_path / "start.pt"
    shutil.copy(trained["bedlam"], start)
    settings = (*TINY, "steps=2", f"start_from={start}")
    study = declared(catalog, tmp_path, datasets=("agora",), settings=settings, protocols=("agora_val",))
    carry_out(study, tmp_path / "study", device="cpu")
    shutil.copy(trained["agora"], start)
    (run,) = standings(study, tmp_path / "study")
    assert (run.state, run.step) == ("blocked", 2)
    assert f"holds a run that started from other weights than {start} has now; delete it" in run.problem
    with pytest.raises(StudyError, match=r"agora: .*started from other weights"):
        carry_out(study, tmp_path / "study", device="cpu")


def forget(root, *cells):
    for model, protocol in cells:
        (root / "results" / model / "step-6" / f"{protocol}.json").unlink()


def test_one_thing_that_fails_does_not_stop_the_others(copy, catalog, monkeypatch):
    real = work.run_protocol

    def fails(model, protocol, *rest, **more):
        if model.name == "datasets-bedlam":
            raise ZeroDivisionError("a bug")
        return real(model, protocol, *rest, **more)

    monkeypatch.setattr(work, "run_protocol", fails)
    forget(copy, ("datasets-bedlam", "bedlam_val"), ("datasets-agora", "bedlam_val"))
    study = declared(catalog, copy, datasets=("bedlam", "spec", "agora"))
    with pytest.raises(StudyError, match=r"2 things.*spec: .*nobody of spec.*bedlam on bedlam_val: ZeroDivisionError"):
        carry_out(study, copy / "study", device="cpu")
    assert set(means(study.results)) == CELLS - {("datasets-bedlam", "bedlam_val")}
    first, missing, last = standings(study, copy / "study")
    assert (first.state, missing.state, last.state) == ("trained", "blocked", "done")
    assert "ZeroDivisionError: a bug" in first.failure


def test_two_processes_do_not_do_the_same_run(copy, catalog):
    study = declared(catalog, copy)
    forget(copy, ("datasets-agora", "bedlam_val"))
    with held(copy / "study" / "runs" / "agora"):
        assert [one.state for one in standings(study, copy / "study")] == ["done", "running"]
        with pytest.raises(StudyError, match="agora: another process works at it"):
            carry_out(study, copy / "study", device="cpu")
    assert set(means(study.results)) == CELLS - {("datasets-agora", "bedlam_val")}


def test_what_is_left_is_said_in_runs_people_and_results(catalog, tmp_path):
    assert left(standings(declared(catalog, tmp_path), tmp_path)) == (
        "left: 2 of 2 runs, 48 people to train on, 4 results to score"
    )


def test_specialists_start_from_the_generalist_which_is_scored_as_it_is(finished, catalog):
    checkpoint = finished / "study" / "runs" / "bedlam"
    said = {"catalog": catalog, "results": finished / "results", "protocols": ("agora_val",)}
    study = FinetuneStudy(name="finetune", checkpoint=checkpoint, targets=("agora",), settings=("steps=3",), **said)
    generalist, specialist = runs_of(study)
    assert (generalist.recipe, generalist.model, generalist.revision) == (None, "datasets-bedlam", "step-6")
    assert specialist.recipe.start_from == str(checkpoint / "checkpoints" / "00000006.pt")
    assert (specialist.recipe.mixture, specialist.recipe.network.embed_dim) == ("finetune_agora", 16)
    with pytest.raises(EhpsError, match="finetune_nobody"):
        runs_of(study.model_copy(update={"targets": ("nobody",)}))


def test_the_verbs_tell_of_a_finished_study(finished, catalog):
    write_study(declared(catalog, finished), finished / "study")

    def ehps(*arguments):
        return CliRunner().invoke(app, ["study", *map(str, arguments)], catch_exceptions=False)

    rows = [json.loads(line) for line in ehps("status", finished / "study", "--json").stdout.splitlines()]
    assert [(row["run"], row["state"], row["scored"]) for row in rows] == [
        ("bedlam", "done", list(PROTOCOLS)),
        ("agora", "done", list(PROTOCOLS)),
    ]
    assert "nothing is left to do" in ehps("status", finished / "study").stderr
    assert "1/5" in ehps("table", finished / "study").stdout
    assert ehps("run", finished / "study").stdout.endswith(ehps("table", finished / "study").stdout)
    places = ("-c", catalog, "-o", finished / "tuned", "--from", finished / "study" / "runs" / "bedlam")
    settings = ("steps=2", "batch_size=4", "allow_missing=true")
    planned = ehps("finetune", *places, "-t", "agora", "-p", "agora_val", "--dry-run", *settings)
    assert [line.split()[:2] for line in planned.stdout.splitlines()[1:]] == [
        ["generalist", "waits"],
        ["agora", "waits"],
    ]
