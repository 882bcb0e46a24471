"""Scoring: everyone asked gets a row, whether answered or not."""

from dataclasses import replace

import numpy as np
import pytest
from pandas.testing import assert_frame_equal

from ehps.benchmark.interface import PersonPrediction
from ehps.benchmark.measures import get_measure
from ehps.benchmark.metrics import measure_people
from ehps.benchmark.protocol import load_protocol
from ehps.benchmark.scoring import LABEL_COLUMNS, score
from ehps.errors import RecordError

PROTOCOL = load_protocol("ehf")


def off_by(centimetres: float, missing: tuple[str, ...] = ()):
    """A model whose every other vertex is off, and who finds nobody in some boxes."""

    def predict(batch):
        step = np.zeros((300, 3))
        step[::2, 0] = centimetres / 100
        return [None if p.person_key in missing else PersonPrediction(p.vertices + step) for p in batch]

    return predict


def test_everyone_gets_a_row_with_every_measure(people, geometry):
    rows = score(off_by(1), people, PROTOCOL, geometry)
    assert list(rows.columns) == [
        "person_key",
        "sequence",
        "answered",
        *LABEL_COLUMNS,
        "box_height",
        *PROTOCOL.measures,
    ]
    assert rows["person_key"].tolist() == ["p0", "p1", "p2", "p3", "p4", "p5"]
    assert rows["box_height"].tolist() == [100, 101, 102, 103, 104, 105]
    assert rows["answered"].all()
    assert np.isfinite(rows[list(PROTOCOL.measures)].to_numpy()).all()


def test_the_numbers_are_those_of_the_measures(people, geometry):
    rows = score(off_by(2), people, PROTOCOL, geometry)
    truth = np.stack([person.vertices for person in people])
    predicted = np.stack([prediction.vertices for prediction in off_by(2)(people)])
    wanted = measure_people(predicted, truth, geometry, [get_measure(name) for name in PROTOCOL.measures])
    for name, values in wanted.items():
        np.testing.assert_allclose(rows[name], values, rtol=1e-12)


def test_the_size_of_the_batches_changes_nothing(people, geometry):
    once, twice = (score(off_by(1), iter(people), PROTOCOL, geometry, batch_size=size) for size in (100, 4))
    assert_frame_equal(once, twice)


def test_missing_predictions_are_counted_and_never_skipped(people, geometry):
    rows = score(off_by(1, missing=("p1", "p4")), people, PROTOCOL, geometry, batch_size=2)
    assert len(rows) == 6
    assert rows.loc[~rows["answered"], "person_key"].tolist() == ["p1", "p4"]
    assert rows.loc[~rows["answered"], list(PROTOCOL.measures)].isna().all(axis=None)
    answered = score(off_by(1), people, PROTOCOL, geometry)
    assert_frame_equal(rows.loc[[0, 2, 3, 5]], answered.loc[[0, 2, 3, 5]])


def test_a_model_that_finds_nobody_still_gets_all_rows(people, geometry):
    rows = score(lambda batch: [None] * len(batch), people, PROTOCOL, geometry)
    assert len(rows) == 6
    assert not rows["answered"].any()


def test_nobody_asked_gives_an_empty_table(geometry):
    rows = score(off_by(1), [], PROTOCOL, geometry)
    assert len(rows) == 0
    assert list(rows.columns)[-1] == PROTOCOL.measures[-1]


def test_an_unlabelled_hand_is_nan_in_its_own_measure_only(people, geometry):
    people[2] = replace(people[2], has_left_hand=False)
    rows = score(off_by(1), people, PROTOCOL, geometry)
    assert rows["has_left_hand"].tolist() == [True, True, False, True, True, True]
    assert rows["PVE@left_hand"].isna().tolist() == [False, False, True, False, False, False]
    assert rows.loc[2, "PVE@hands"] == rows.loc[2, "PVE@right_hand"]
    assert rows["PVE"].notna().all()


def test_a_nan_in_a_prediction_is_refused_by_the_persons_key(people, geometry):
    def predict(batch):
        answers = off_by(1)(batch)
        answers[-1].vertices[3] = np.nan
        return answers

    with pytest.raises(RecordError, match="record p5: the predicted mesh should be finite"):
        score(predict, people, PROTOCOL, geometry)


def test_a_mesh_of_another_topology_is_refused_by_the_persons_key(people, geometry):
    with pytest.raises(RecordError, match=r"record p0: the predicted mesh should be of shape \(300, 3\), found \(6890"):
        score(lambda batch: [PersonPrediction(np.zeros((6890, 3)))] * len(batch), people, PROTOCOL, geometry)


def test_too_few_answers_are_refused(people, geometry):
    with pytest.raises(ValueError, match="asked for 6 people and gave 5 answers"):
        score(lambda batch: off_by(1)(batch)[:-1], people, PROTOCOL, geometry)


def test_asking_for_a_person_twice_is_refused(people, geometry):
    with pytest.raises(RecordError, match="record p0: person_key should be asked once"):
        score(off_by(1), [*people, people[0]], PROTOCOL, geometry, batch_size=2)


def test_a_protocol_of_parameters_needs_and_uses_the_pose_function(people, geometry):
    protocol = load_protocol("bedlam_val")
    with pytest.raises(ValueError, match="protocol bedlam_val poses the truth from parameters"):
        score(off_by(1), people, protocol, geometry)
    zero = score(off_by(0), people, protocol, geometry, lambda batch: np.stack([p.vertices + 1 for p in batch]))
    np.testing.assert_allclose(zero["PVE"], 0, atol=1e-9)
