"""Training runs as their folders tell, on the page and beneath it."""

import json
import os
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from ehps.dashboard import durations, health, runs, settings
from ehps.dashboard.views import tiles
from ehps.tests.dashboard.test_pages import click_cell, open_page, texts
from ehps.training.recipe import recipe_to_dict
from ehps.training.recipes import get_recipe

NOW = 1_000_000.0


def report(step: int, **changed) -> dict:
    values = {"step": step, "steps": 300, "people": step * 16, "loss": 1 / step, "losses": {"pose": 0.7, "betas": 0.3}}
    values |= {"lr": 1e-3, "grad_norm": 2.0, "people_per_s": 32.0, "mfu": None, "data_wait": 0.25, "eta_s": 90.0}
    return values | {"members": {"bedlam": 12, "mscoco": 4}, "replaced": {"mscoco": 1}} | changed


def write_run(folder: Path, steps: list[int], age: float = 0.0, now: float = NOW, **recipe) -> Path:
    """A run of 300 steps that has reported so often, the last time ``age`` seconds ago."""
    folder.mkdir(parents=True)
    stored = recipe_to_dict(get_recipe("demo")) | {"steps": 300} | recipe
    (folder / "recipe.json").write_text(json.dumps(stored), encoding="utf-8")
    facts = {"device": "abacus", "world_size": 2, "data": "f", "body_model_is_standin": True}
    (folder / "run.json").write_text(json.dumps(facts), encoding="utf-8")
    (folder / "log.jsonl").write_text("".join(json.dumps(report(step)) + "\n" for step in steps), encoding="utf-8")
    begun = now - age - (3600 if steps else 0)
    for name, when in (("run.json", begun), ("log.jsonl", now - age)):
        os.utime(folder / name, (when, when))
    return folder


def test_a_run_is_running_stalled_or_done_by_its_reports(tmp_path):
    write_run(tmp_path / "live", [20, 40], age=30)
    write_run(tmp_path / "group" / "dead", [20, 40], age=500)
    write_run(tmp_path / "through", [20, 300], age=90_000)
    write_run(tmp_path / "young", [], age=600)
    found = runs.find_runs(tmp_path)
    table = runs.run_table(found, NOW).set_index("name")
    states = {"live": "running", "group/dead": "stalled", "through": "done", "young": "running"}
    assert table["state"].to_dict() == states
    assert table.loc["live", "progress"] == pytest.approx(40 / 300)
    assert next(iter(table.index)) == "live"
    assert runs.find_runs(tmp_path / "live")[0].name == "live"


def test_a_slow_run_is_given_three_of_its_intervals(tmp_path):
    folder = write_run(tmp_path / "slow", [20], age=1000, log_every=1000)
    run = runs.find_runs(tmp_path)[0]
    assert run.patience() == pytest.approx(3 * 1000 * 16 / 32)
    assert run.state(NOW) == "running"
    assert run.path == folder


def test_a_line_that_is_being_written_waits_for_the_next_look(tmp_path):
    log = write_run(tmp_path / "a", [20, 40]) / "log.jsonl"
    with log.open("a", encoding="utf-8") as file:
        file.write('{"step": 60, "lo')
    assert runs.last_report(log)["step"] == 40
    assert [entry["step"] for entry in runs.read_reports(log)] == [20, 40]
    assert runs.read_reports(tmp_path / "none") == []


def test_a_line_that_a_crash_cut_off_is_nobodys(tmp_path):
    log = write_run(tmp_path / "a", [20]) / "log.jsonl"
    with log.open("a", encoding="utf-8") as file:
        file.write('{"step": 40, "lo\n' + json.dumps(report(60)) + '\n{"step": 80, "l\n')
    assert [entry["step"] for entry in runs.read_reports(log)] == [20, 60]
    assert runs.last_report(log)["step"] == 60


def test_folders_of_others_and_files_that_are_being_written_are_no_runs(tmp_path):
    write_run(tmp_path / "run", [20])
    for name, recipe, facts in (("other", "{}", "[1]"), ("half", '{"name": "x', "{}"), ("list", "[]", "{}")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "recipe.json").write_text(recipe, encoding="utf-8")
        (tmp_path / name / "run.json").write_text(facts, encoding="utf-8")
    assert [run.name for run in runs.find_runs(tmp_path)] == ["run"]


def test_a_run_that_an_error_stopped_has_failed_until_it_goes_on(tmp_path):
    folder = write_run(tmp_path / "a", [20], age=500)
    failed = folder / "failed.json"
    failed.write_text('{"error": "the loss of step 21 is nan", "step": 21}', encoding="utf-8")
    os.utime(failed, (NOW - 100, NOW - 100))
    (run,) = runs.find_runs(tmp_path)
    assert (run.state(NOW), run.error, run.updated) == ("failed", "the loss of step 21 is nan", NOW - 100)
    (finding,) = health.run_findings([run], NOW)
    assert (finding.level, finding.text) == ("error", "run a: the loss of step 21 is nan")
    failed.unlink()  # as a run does that goes on; it also writes its facts anew
    os.utime(folder / "run.json", (NOW - 500, NOW - 500))
    (run,) = runs.find_runs(tmp_path)
    assert (run.state(NOW), run.patience()) == ("running", runs.FIRST_AFTER)


def test_smoothing_has_no_number_where_the_loss_has_none():
    reports = [report(step, loss=value) for step, value in ((1, 8.0), (2, float("nan")), (3, 4.0))]
    curve = runs.loss_curves(reports, ["loss"], 0.5)
    assert curve["smooth"].isna().tolist() == [False, True, False]


def test_the_last_report_of_a_long_log_is_read_from_its_end(tmp_path):
    log = write_run(tmp_path / "a", list(range(1, 1001))) / "log.jsonl"
    assert log.stat().st_size > 4 * runs._TAIL
    assert runs.last_report(log)["step"] == 1000


def test_smoothing_is_a_mean_that_starts_unbiased():
    reports = [report(step, loss=value) for step, value in ((1, 8.0), (2, 4.0), (3, 4.0))]
    curve = runs.loss_curves(reports, ["loss"], 0.5)
    assert curve["raw"].tolist() == [8, 4, 4]
    assert curve["smooth"].tolist() == pytest.approx([8, (8 * 0.5 + 4) / 1.5, (8 * 0.25 + 4 * 0.5 + 4) / 1.75])
    assert runs.loss_curves(reports, ["loss"], 0.0)["smooth"].tolist() == [8, 4, 4]


def test_long_curves_are_thinned_and_keep_their_ends():
    reports = [report(step) for step in range(1, 3001)]
    steps = runs.loss_curves(reports, ["loss"], 0.9)["step"]
    assert (len(steps), steps.iloc[0], steps.iloc[-1]) == (runs.POINTS, 1, 3000)
    assert set(runs.rate_curves(reports)) == {"people_per_s", "data_wait", "lr", "grad_norm"}


def test_shares_consumed_stand_beside_those_wanted():
    table = runs.consumed([report(1), report(2)], {"bedlam": 0.5, "mscoco": 0.25, "agora": 0.25}).set_index("member")
    assert table["people"].to_dict() == {"bedlam": 24, "mscoco": 8, "agora": 0}
    assert table["share"].tolist() == [0.75, 0.25, 0]
    assert table.loc["mscoco", "replaced"] == 2
    assert runs.consumed([report(1)], None)["wanted"].isna().all()


def test_recipes_differ_field_by_field():
    a = recipe_to_dict(get_recipe("demo"))
    b = recipe_to_dict(get_recipe("demo", ["lr=0.5", "network.depth=7"]))
    rows = runs.differences(a, b).set_index("field")
    assert rows["other"].to_dict() == {"network.depth": "7", "lr": "0.5"}
    assert runs.differences(a, a).empty


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "0 s"), (59.6, "1 min"), (61, "1 min 1 s"), (7500, "2 h 5 min"), (200_000, "2 d 7 h"), (float("nan"), "–")],
)
def test_lengths_of_time_in_words(seconds, said):
    assert durations.span(seconds) == said


@pytest.fixture
def place(tree, tmp_path, monkeypatch):
    """A running run, an older one beside it, and the small catalog."""
    folder = tmp_path / "runs"
    write_run(folder / "one", [20, 40, 60], now=time.time())
    write_run(folder / "two", [20, 300], age=9000, now=time.time(), lr=0.5)
    sheet = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    (folder / "one" / "first_batch.png").write_bytes(sheet)
    (folder / "one" / "checkpoints").mkdir()
    (folder / "one" / "checkpoints" / "00000060.pt").write_bytes(b"weights")
    for name, value in settings.environment(tree.catalog, tree.results, folder).items():
        monkeypatch.setenv(name, value)
    return folder


def test_without_runs_the_page_says_what_to_run(tmp_path, monkeypatch):
    for name, value in settings.environment(tmp_path / "d", tmp_path / "r", tmp_path / "runs").items():
        monkeypatch.setenv(name, value)
    app = open_page("runs")
    assert not app.exception
    assert "ehps train RECIPE" in texts(app)


@pytest.mark.parametrize("tab", ["Learning", "Rates", "Data", "First batch", "Checkpoints", "Recipe"])
def test_every_tab_of_a_run_opens(tab, place):
    app = open_page("runs", run_tab=tab)
    assert not app.exception
    assert not app.error
    assert app.dataframe[0].value["name"].tolist() == ["one", "two"]
    assert {metric.label: metric.value for metric in app.metric}["Data wait"] == "25%"
    assert len(app.get("image")) == (tab == "First batch")


def test_the_address_chooses_a_run_and_a_run_that_went_is_forgotten(place):
    app = open_page("runs", run_id="two")
    assert {metric.label: metric.value for metric in app.metric}["Step of 300"] == "300"
    assert not open_page("runs", run_id="gone").exception


def test_a_click_on_a_run_chooses_it(place):
    app = open_page("runs")
    click_cell(app, "run_table_", 1, "loss")
    assert not app.exception
    assert app.selectbox(key="run_id").value == "two"
    app.selectbox(key="run_id").select("one").run()
    assert app.selectbox(key="run_id").value == "one"


@pytest.mark.parametrize("widget", [("run_loss", "terms"), ("run_smoothing", "0.97"), ("run_scale", "linear")])
def test_losses_follow_their_widgets(widget, place):
    assert not open_page("runs", **dict([widget])).exception


def test_two_runs_stand_side_by_side(place):
    app = open_page("runs")
    app.selectbox(key="run_other").select("two").run()
    assert not app.exception
    app = open_page("runs", run_tab="Recipe")
    app.selectbox(key="run_diff").select("two").run()
    assert app.dataframe[1].value["field"].tolist() == ["lr"]


def test_a_mixture_that_is_not_here_costs_only_the_wanted_shares(place, tmp_path):
    write_run(tmp_path / "runs" / "zero", [20], now=time.time() + 60, mixture="/nowhere/mine.yaml")
    app = open_page("runs", run_id="zero", run_tab="Data")
    assert not app.exception
    assert "is not known here" in texts(app)


def test_the_first_batch_is_not_shown_where_a_card_forbids_it(place, monkeypatch):
    monkeypatch.setattr(tiles, "may_show", lambda dataset: dataset != "mscoco")
    app = open_page("runs", run_tab="First batch")
    assert not app.get("image")
    assert "The card of mscoco does not allow" in texts(app)


def test_a_failed_run_says_what_stopped_it(place):
    folder = write_run(place / "nan", [20, 40], now=time.time() + 60)
    lines = [report(20), report(40, loss=float("nan"))]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    (folder / "failed.json").write_text('{"error": "the loss of step 41 is nan", "step": 41}', encoding="utf-8")
    app = open_page("runs", run_id="nan")
    assert not app.exception
    assert app.error[0].value == "the loss of step 41 is nan"
    assert "The loss is not finite in 1 report, the first at step 40" in texts(app)
    assert app.dataframe[0].value.set_index("name").loc["nan", "state"] == "failed"


def test_a_run_without_a_report_says_when_one_comes(place):
    write_run(place / "young", [], now=time.time() + 60)
    for tab in ("Learning", "Rates", "Data", "Checkpoints"):
        app = open_page("runs", run_id="young", run_tab=tab)
        assert not app.exception
        assert "No report yet; one comes every" in texts(app) or "None yet" in texts(app)
