"""Conversions as the engine's small files tell, on the page and beneath it."""

import json
import time
from dataclasses import replace

import pandas as pd
import pytest

from ehps.cards import load_card
from ehps.converters.logs import LiveFile, append_line
from ehps.converters.report import UnitReport
from ehps.dashboard import conversions, health, inventory, settings
from ehps.tests.dashboard.test_pages import open_page, texts

DONE = UnitReport(
    "one", "done", frames=50, people=90, people_raw=100, rejects={"empty_box": 7, "no_pose": 3},
    examples={"empty_box": "img_7: the box is empty"}, seconds=10.0, warnings=("left and right are swapped",),
)  # fmt: skip
FAILED = UnitReport("two", "failed", error="line one\nShardError: a.tar: ends early\n\n", trace="Traceback: boom")


def write(out, dataset, report, updated=None):
    """One unit as the engine leaves it."""
    live = LiveFile.of(out, dataset, "train", report.unit)
    live.write(report)
    if updated is not None:
        live.path.write_text(json.dumps(live.read() | {"updated": updated}), encoding="utf-8")


@pytest.fixture
def out(tmp_path):
    """Units in every state."""
    write(tmp_path, "bedlam", DONE)
    write(tmp_path, "bedlam", FAILED)
    write(tmp_path, "bedlam", UnitReport("three", "running", frames=5, people=9))
    write(tmp_path, "bedlam", UnitReport("four", "queued"))
    write(tmp_path, "agora", UnitReport("five", "running", frames=2, people=2), updated=time.time() - 500)
    append_line(tmp_path, "bedlam", "train", DONE)
    append_line(tmp_path, "bedlam", "train", FAILED)
    return tmp_path


def test_units_that_need_a_person_come_first(out):
    table = conversions.unit_table(health.live_units(out))
    assert table["state"].tolist() == ["failed", "interrupted", "running", "queued", "done"]
    failed, done = table.iloc[0], table.iloc[-1]
    assert failed["error"] == "ShardError: a.tar: ends early"
    assert (done["reject_share"], done["frames_per_second"]) == (0.1, 5.0)
    assert done["reasons"] == "empty_box 7, no_pose 3"


def test_a_split_counts_its_units_and_expects_an_end(out):
    table = conversions.split_table(conversions.unit_table(health.live_units(out))).set_index("dataset")
    row = table.loc["bedlam"]
    assert [row[name] for name in conversions.STATES] == [1, 0, 1, 1, 1]
    assert (row["progress"], row["people"], row["rejected"]) == (0.25, 99, 10)
    assert row["eta_s"] == 20.0
    assert row["reject_share"] == pytest.approx(10 / 109)
    assert table.loc["agora", "interrupted"] == 1


def test_units_that_stood_already_count_as_done(tmp_path):
    write(tmp_path, "a", replace(DONE, state="skipped"))
    assert conversions.unit_table(health.live_units(tmp_path))["state"].tolist() == ["done"]


def test_reasons_are_added_up_with_an_example(out):
    table = conversions.rejects_of(health.live_units(out)).set_index("reason")
    assert table["people"].to_dict() == {"empty_box": 7, "no_pose": 3}
    assert table.loc["empty_box", "example"] == "img_7: the box is empty"


def test_the_log_is_read_up_to_its_last_whole_line(out):
    with (out / ".log" / "bedlam-train.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"unit": "half')
    newest, older = conversions.log_tail(out, "bedlam", "train", 10)
    assert "two  failed: ShardError: a.tar: ends early" in newest
    assert "one  done: 50 frames, 90 people, 10 left out, 5.0 frames/s" in older
    assert conversions.log_tail(out, "nobody", "train", 10) == []


def test_checks_that_failed_are_findings_whether_the_log_or_the_catalog_tells(out, empty_sources):
    rows = [("bedlam", "train", "one", "left and right are swapped"), ("ehf", "test", "u", "3 of 9 boxes are odd")]
    rows += [("ehf", "test", "v", "4 of 7 boxes are odd"), ("ehf", "test", "v", "hands are flat")]
    checks = pd.DataFrame(rows, columns=["dataset", "split", "unit", "text"])
    found = health.findings(empty_sources, health.live_units(out), out, 0, checks)
    said = {(finding.dataset, finding.text) for finding in found if "a check fails" in finding.text}
    assert said == {
        ("bedlam", "train: a check fails in 1 unit; one: left and right are swapped"),
        ("ehf", "test: a check fails in 2 units; u: 3 of 9 boxes are odd"),
        ("ehf", "test: a check fails in 1 unit; v: hands are flat"),
    }


def test_what_is_said_of_several_sources_is_said_once(out):
    rows = [{"id": f"s{i}", "units": 1, "state": "converted", "splits": [], "done_splits": []} for i in range(6)]
    sources = pd.DataFrame(rows).assign(reject_share=0.0)
    (found,) = health.findings(sources, [], out, 0)
    assert found.dataset == "s0, s1, s2, s3 and 2 more:"
    (alone,) = health.findings(sources.head(1), [], out, 0)
    assert (alone.dataset, alone.text) == ("s0", "no card: licence and conventions are unknown")


def test_a_split_is_complete_when_all_units_are():
    units = pd.DataFrame([{"dataset": "a", "split": "val", "state": "done", "seconds": 1.0, "frames": 1, "people": 1,
                           "rejected": 0}] * 300)  # fmt: skip
    units.loc[0, "state"] = "failed"
    assert conversions.split_table(units)["progress"].tolist() == [0.99]


def test_missing_splits_are_findings(out):
    row = {"id": "ehf", "units": 1, "state": "partly", "splits": ["train", "test"], "done_splits": ["test"]}
    found = health._from_source(row | {"reject_share": 0.0}, load_card("ehf"), out)
    assert "train of its card is not converted" in found[0].text


@pytest.fixture
def empty_sources():
    return inventory.join_catalog(inventory.card_table(), inventory.no_counts())


@pytest.fixture
def page(out, monkeypatch):
    for name, value in settings.environment(out, out / "results").items():
        monkeypatch.setenv(name, value)


def test_without_conversions_the_page_says_what_to_run(empty):
    app = open_page("conversions")
    assert not app.exception
    assert "ehps convert DATASET" in texts(app)


@pytest.mark.parametrize("tab", ["Units", "Left out", "Log"])
def test_every_tab_opens(tab, page):
    app = open_page("conversions", conv_tab=tab)
    assert not app.exception
    assert not app.error
    numbers = {metric.label: metric.value for metric in app.metric}
    assert (numbers["Done of 5"], numbers["Failed"], numbers["Interrupted"]) == ("1", "1", "1")
    assert "ShardError\\: a.tar\\: ends early" in texts(app)
    assert "ehps convert bedlam" not in texts(app)


def test_what_goes_on_and_where_it_happened_can_be_unfolded(page):
    app = open_page("conversions", conv_again="true", conv_trace_1="true")
    assert not app.exception
    assert "ehps convert bedlam --raw DIR --split train" in texts(app)
    assert "Traceback: boom" in texts(app)


def test_units_are_drawn_by_state(page):
    bars = "".join(html.body for html in open_page("conversions").get("html") if "Units of each source" in html.body)
    assert "bedlam train: 1 failed" in bars
    assert "agora train: 1 interrupted" in bars


@pytest.mark.parametrize("state", conversions.STATES)
def test_every_state_can_be_chosen(state, page):
    app = open_page("conversions", conv_state=state)
    assert not app.exception
    assert set(app.dataframe[-1].value["state"]) == {state}


def test_columns_that_say_nothing_are_left_out(page):
    assert "error" in app_columns(open_page("conversions"))
    assert not {"error", "reasons", "warnings"} & set(app_columns(open_page("conversions", conv_state="queued")))


def app_columns(app) -> list[str]:
    """The columns of the table of units that a person sees."""
    return list(app.dataframe[-1].proto.column_order)


def test_a_state_and_a_place_choose_units(page):
    app = open_page("conversions", conv_state="failed")
    assert app.dataframe[-1].value["unit"].tolist() == ["two"]
    app = open_page("conversions", conv_place="agora train")
    assert app.dataframe[-1].value["unit"].tolist() == ["five"]
