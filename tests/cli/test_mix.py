"""``ehps mix`` as its users type it."""

import json

import cv2
import fsspec
import pytest
import yaml
from typer.testing import CliRunner

from ehps.cli.main import app
from ehps.cli.mix import _rate_row
from ehps.training.stream_bench import Rates, Reading


def ehps(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=True)


@pytest.fixture(scope="session")
def data(fitted):
    return fitted


@pytest.fixture
def mine(tmp_path):
    """A mixture file: val and a growing share of test."""
    growing = {"points": [[0, 1], [1, 3]]}
    members = [
        {"dataset": "ochuman", "split": "val"},
        {"dataset": "ochuman", "split": "test", "name": "more", "schedule": growing},
    ]
    content = {"about": "a", "strategy": "balance", "epoch_length": 40, "members": members}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_the_mixtures_of_ehps_are_listed():
    found = [json.loads(line) for line in ehps("mix", "list", "--json").stdout.splitlines()]
    assert {"five", "ten", "twenty", "thirty_two", "forty"} < {row["name"] for row in found}


def test_a_plan_shows_shares_shuffling_and_the_schedule(data, mine):
    result = ehps("mix", "plan", mine, "-c", data, "--epochs", 3)
    assert result.exit_code == 0, result.output
    words = (
        "reached",
        "MB per epoch",
        "displacement",
        "neighbours",
        "pieces read per MB",
        "Shares at positions",
        "75.0%",
    )
    for word in words:
        assert word in result.stdout
    assert "one epoch is 40 people, planned are 3" in result.stderr


def test_a_plan_for_programs_is_one_object_a_member_and_one_of_all(data, mine):
    result = ehps("mix", "plan", mine, "-c", data, "--json", "--against", "ochuman:val")
    assert result.exit_code == 0, (result.output, repr(result.exception))
    ochuman_val, more, everyone = (json.loads(line) for line in result.stdout.splitlines())
    assert ochuman_val["sources"] == ["ochuman/val"]
    assert ochuman_val["people_per_epoch"] + more["people_per_epoch"] == everyone["epoch_length"] == 40
    assert more["quality"]["found"]["shards_per_batch"] == 1
    assert [at["position"] for at in everyone["schedule"]] == [0, 20, 40]
    assert everyone["bytes_per_epoch"] == ochuman_val["bytes_per_epoch"] + more["bytes_per_epoch"] > 0
    assert "leakage: the mixture trains on ochuman/val itself" in everyone["problems"]


def test_a_wrong_mixture_is_one_sentence(data, tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text("strategy: none\nabout: a\nmembers: [{dataset: a}]\n")
    result = ehps("mix", "plan", path, "-c", data)
    assert result.exit_code != 0
    assert str(result.exception).count("\n") == 0
    assert "strategy" in str(result.exception)


def test_the_first_batch_becomes_a_picture(data, mine, tmp_path):
    out = tmp_path / "sheets" / "batch.png"
    result = ehps("mix", "preview", mine, "-c", data, "--out", out, "--people", 3, "--size", "96x128")
    assert result.exit_code == 0, result.output
    picture = cv2.imread(str(out))
    assert picture.shape[1] > 3 * 96
    assert picture.std() > 10
    other = tmp_path / "other.png"
    ehps("mix", "preview", mine, "-c", data, "--out", other, "--people", 3, "--size", "96x128", "--seed", 1)
    assert out.read_bytes() != other.read_bytes()


def test_the_rate_is_measured_stage_by_stage(data, mine):
    result = ehps("mix", "bench", mine, "-c", data, "-n", 8, "--batch-size", 4, "--json", "--size", "24x32")
    assert result.exit_code == 0, result.output
    (found,) = (json.loads(line) for line in result.stdout.splitlines())
    assert list(found["stages"]) == ["draw", "read", "decode", "warp", "augment", "targets", "batch"]
    assert all(stage["milliseconds"] > 0 for stage in found["stages"].values())
    assert list(found["by_threads"]) == ["0", "1", "2"]
    assert found["people"] == 8
    assert found["bytes_per_person"] > 1000


def test_the_rate_is_a_table_for_people(data, mine):
    result = ehps("mix", "bench", mine, "-c", data, "-n", 4, "--batch-size", 4, "--threads", 3)
    assert result.exit_code == 0, result.output
    assert "people/s" in result.stdout
    assert "the limit is" in result.stderr


def test_a_wrong_size_is_one_sentence(data, mine):
    result = ehps("mix", "bench", mine, "-c", data, "--size", "256")
    assert result.exit_code == 2
    assert "192x256" in result.output


@pytest.fixture
def elsewhere(data, tmp_path, monkeypatch):
    """The same tree on a store in memory."""
    monkeypatch.setenv("EHPS_CACHE", str(tmp_path / "cache"))
    store = fsspec.filesystem("memory")
    store.put(str(data), "/mixed", recursive=True)
    yield "memory://mixed"
    store.rm("/mixed", recursive=True)


def test_a_plan_of_a_tree_on_a_store_expects_a_rate(mine, elsewhere):
    result = ehps("mix", "plan", mine, "-c", elsewhere, "--json")
    assert result.exit_code == 0, result.output
    everyone = json.loads(result.stdout.splitlines()[-1])
    assert everyone["people_per_s_estimated"] > 1
    assert "estimate: " in result.stderr
    result = ehps("mix", "plan", mine, "-c", elsewhere, "--no-rate")
    assert "estimate" not in result.stderr


def test_the_bench_of_a_store_says_how_it_was_read(mine, elsewhere):
    result = ehps("mix", "bench", mine, "-c", elsewhere, "-n", 16, "--batch-size", 8, "--threads", 2, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["reading"]["2"]["mb_per_s"] > 0
    assert 0 < found["reading"]["2"]["used"] <= 1


def test_the_rows_of_rates_tell_of_reading_where_there_was_any():
    reading = Reading(mb_per_s=120.0, mb_per_run=1.5, used=0.7, waited=0.1)
    found = Rates(8, 0.1, (), {0: 10.0, 2: 20.0}, {2: reading}, 1e5, "")
    assert _rate_row(found, 2) == {
        "threads": 2,
        "people/s": 20.0,
        "MB/s read": 120.0,
        "MB a run": 1.5,
        "used": 0.7,
        "waited": 0.1,
    }
    assert _rate_row(found, 0)["waited"] is None


def test_a_store_that_is_not_there_is_one_sentence(mine, tmp_path, monkeypatch):
    monkeypatch.setenv("EHPS_CACHE", str(tmp_path / "cache"))
    result = ehps("mix", "plan", mine, "-c", "memory://nowhere")
    assert result.exit_code != 0
    assert "there is no catalog of a converted tree here" in str(result.exception)
