"""Result files: what is written is what is read, and what does not hold together is named."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ehps.benchmark.interface import PersonPrediction
from ehps.benchmark.protocol import load_protocol, protocols
from ehps.benchmark.results import (
    RunFacts,
    check_result,
    load_results,
    make_result,
    read_people,
    read_result,
    result_path,
    write_result,
)
from ehps.benchmark.scoring import score
from ehps.errors import ProtocolError

PROTOCOL = load_protocol("ehf")
FACTS = RunFacts(model="tiny-l", revision="abc123", shard_fingerprint="0123", trained_on=("bedlam", "ehf"))


@pytest.fixture
def rows(people, geometry) -> pd.DataFrame:
    """Six people of whom one is missing and one has no right hand."""
    people[4] = replace(people[4], has_right_hand=False)

    def predict(batch):
        rng = np.random.default_rng(0)
        noisy = [PersonPrediction(p.vertices + rng.normal(size=(300, 3)) * 0.02) for p in batch]
        return [None, *noisy[1:]]

    return score(predict, people, PROTOCOL, geometry)


@pytest.fixture
def written(rows, tmp_path):
    return write_result(make_result(rows, PROTOCOL, FACTS, hardware="a test"), rows, tmp_path)


def change(path, **fields):
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_a_result_says_who_was_asked_and_where_it_comes_from(rows):
    result = make_result(rows, PROTOCOL, FACTS)
    assert (result.asked, result.answered, result.missing) == (6, 5, 1)
    assert result.coverage == 5 / 6
    assert (result.protocol, result.protocol_version, result.dataset) == ("ehf", 1, "ehf")
    assert (result.box_source, result.missing_rule, result.shard_fingerprint) == ("ground_truth", "report", "0123")
    assert result.hardware
    assert result.measures["PVE"].mean == pytest.approx(rows["PVE"].mean())
    assert result.measures["PVE@right_hand"].people == 4
    assert result.measures["PVE"].ci_low < result.measures["PVE"].mean < result.measures["PVE"].ci_high


def test_files_lie_by_model_revision_and_protocol_and_nothing_else_is_left(written, tmp_path):
    assert written == result_path(tmp_path, "tiny-l", "abc123", "ehf")
    names = sorted(path.name for path in written.parent.iterdir())
    assert names == ["ehf.json", "ehf.parquet"]


def test_what_is_written_is_read_back(rows, written):
    pd.testing.assert_frame_equal(read_people(written), rows, check_dtype=False)
    assert read_result(written) == make_result(rows, PROTOCOL, FACTS, hardware="a test").model_copy(
        update={"date": read_result(written).date}
    )


def test_writing_again_replaces(rows, written, tmp_path):
    write_result(make_result(rows, PROTOCOL, FACTS, hardware="another"), rows, tmp_path)
    assert read_result(written).hardware == "another"


def test_every_measure_becomes_a_row(written, tmp_path):
    table = load_results(tmp_path)
    assert list(table["measure"]) == list(PROTOCOL.measures)
    assert table.loc[table["is_primary"], "measure"].tolist() == ["PVE"]
    first = table.iloc[0]
    assert (first["model"], first["asked"], first["missing"], first["path"]) == ("tiny-l", 6, 1, str(written))
    assert first["is_trained_on"]
    assert not first["is_finetuned_on"]


def test_an_empty_or_absent_folder_holds_no_results(tmp_path):
    for folder in (tmp_path, tmp_path / "no"):
        table = load_results(folder)
        assert len(table) == 0
        assert "measure" in table.columns


def test_a_sound_result_has_no_problems(written):
    assert check_result(written, protocols()) == []


def test_a_changed_number_is_found(written):
    measures = json.loads(written.read_text())["measures"]
    measures["PVE"]["mean"] += 1e-3
    change(written, measures=measures)
    (problem,) = check_result(written, protocols())
    assert "ehf.json: PVE should be" in problem


def test_a_dropped_person_is_found(rows, written):
    rows.iloc[1:].to_parquet(written.with_suffix(".parquet"))
    problems = check_result(written, protocols())
    assert any("asked and answered should be (5, 5) as in the table, found (6, 5)" in text for text in problems)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"answered": 6}, "asked 6 should be answered 6 plus missing 1"),
        ({"model": "other"}, "should hold model, revision and protocol"),
        ({"asked": "many"}, "asked: input should be a valid integer.*found 'many'; run ehps bench again"),
        ({"colour": "red"}, "colour: extra inputs are not permitted"),
        ({"primary": "PVE@face2"}, "the primary PVE@face2 is not among the measures"),
    ],
)
def test_a_wrong_file_names_itself_and_the_field(written, fields, message):
    change(written, **fields)
    with pytest.raises(ProtocolError, match=message) as caught:
        read_result(written)
    assert str(written) in str(caught.value)
    assert check_result(written, protocols()) == [str(caught.value)]


def test_a_lost_table_is_named(written):
    written.with_suffix(".parquet").unlink()
    with pytest.raises(ProtocolError, match=r"ehf\.parquet: is missing"):
        read_people(written)


def test_a_result_of_an_older_protocol_is_told_apart(written):
    newer = {"ehf": PROTOCOL.model_copy(update={"version": 2})}
    assert check_result(written, newer) == [f"{written}: protocol ehf version 1 is not known here"]


def test_a_table_of_other_people_is_not_written(rows, tmp_path):
    result = make_result(rows, PROTOCOL, FACTS)
    with pytest.raises(ProtocolError, match="the table should hold 6 people, found 5"):
        write_result(result, rows.iloc[:5], tmp_path)


@pytest.mark.parametrize("name", ["a/b", "", "..", ".hidden", "a b"])
def test_a_model_must_be_able_to_name_a_folder(name):
    with pytest.raises(ValueError, match="model"):
        RunFacts(model=name, revision="x", shard_fingerprint="y")
