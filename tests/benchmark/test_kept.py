"""Kept predictions: what a model said is what is read back, and nothing is there by halves."""

from dataclasses import dataclass

import numpy as np
import pytest

from ehps.benchmark.interface import BenchmarkPerson, PersonPrediction
from ehps.benchmark.kept import Keeper, KeptBody, predictions_path, read_kept
from ehps.benchmark.prediction_files import read_table
from ehps.body.posing import PARAMETER_SHAPES
from ehps.errors import ProtocolError, RecordError

NAMES = ("global_orient", "body_pose", "left_hand_pose", "right_hand_pose", "jaw_pose", "transl")


@dataclass(frozen=True)
class Body:
    """A prediction with a mesh and its parameters."""

    vertices: np.ndarray
    parameters: dict[str, np.ndarray]
    K: np.ndarray | None


def body(number, *, names=NAMES, with_camera=True):
    rng = np.random.default_rng(number)
    parameters = {name: rng.normal(size=PARAMETER_SHAPES[name]) for name in names}
    parameters |= {"betas": rng.normal(size=10), "expression": rng.normal(size=10)}
    K = np.diag([5000.123456789, 5000.0, 1.0]) if with_camera else None
    return Body(rng.normal(size=(3, 3)), parameters, K)


def person(number):
    return BenchmarkPerson(
        person_key=f"p{number}", sequence="s", image=lambda: None, bbox_xyxy=np.array([0.0, 0, 9, 9])
    )


@pytest.fixture
def result(tmp_path):
    return tmp_path / "ehf.json"


def keep(result, answers, rows=2):
    """Ask a model some people at a time, and publish what it said."""

    def predict(people):
        return [answers[int(person.person_key[1:])] for person in people]

    with Keeper(result, "pred.npz 0123") as keeper:
        watched = keeper.watch(predict)
        for start in range(0, len(answers), rows):
            given = watched([person(number) for number in range(start, min(start + rows, len(answers)))])
            assert given == answers[start : start + rows]
        return keeper.publish()


def test_what_was_predicted_is_read_back_by_key(result):
    answers = [body(0), None, body(2), PersonPrediction(np.zeros((3, 3))), body(4)]
    kept = keep(result, answers)
    assert (kept.file, kept.people, kept.source) == ("ehf.predictions.parquet", 3, "pred.npz 0123")
    assert kept.bytes == predictions_path(result).stat().st_size
    found = read_kept(result, kept, ["p4", "p1", "p0", "p3", "nobody"])
    assert set(found) == {"p0", "p4"}
    assert list(found["p4"].parameters) == [*NAMES, "betas", "expression"]
    for name, value in answers[4].parameters.items():
        assert found["p4"].parameters[name].shape == value.shape
        np.testing.assert_allclose(found["p4"].parameters[name], value, rtol=1e-7, atol=1e-7)
    assert np.array_equal(found["p4"].K, answers[4].K)
    assert found["p4"].gender == "neutral"


def test_many_people_lie_in_several_groups(result, monkeypatch):
    monkeypatch.setattr("ehps.benchmark.kept.ROWS", 2)
    answers = [body(number) for number in range(5)]
    found = read_kept(result, keep(result, answers), ["p3"])
    np.testing.assert_allclose(found["p3"].parameters["transl"], answers[3].parameters["transl"], atol=1e-7)


def test_a_camera_that_nobody_names_has_no_column(result):
    kept = keep(result, [body(0, with_camera=False)])
    assert read_kept(result, kept, ["p0"])["p0"].K is None
    assert "K" not in read_table(predictions_path(result))


def test_the_file_says_what_scoring_a_file_asks_for(result):
    keep(result, [body(0)])
    table = read_table(predictions_path(result))
    assert table["person_key"].tolist() == ["p0"]
    assert table["flat_hand_mean"].tolist() == [True]
    assert table["body_pose"].shape == (1, 63)


def test_a_model_without_parameters_leaves_no_file(result):
    assert keep(result, [None, PersonPrediction(np.zeros((3, 3)))]) is None
    assert list(result.parent.iterdir()) == []


def test_an_interruption_leaves_nothing(result, monkeypatch):
    monkeypatch.setattr("ehps.benchmark.kept.ROWS", 1)
    with Keeper(result) as keeper:
        keeper.add("p0", body(0))
        assert len(list(result.parent.iterdir())) == 1
    assert list(result.parent.iterdir()) == []


def test_people_with_other_parameters_are_refused_by_name(result):
    with Keeper(result) as keeper:
        keeper.add("p0", body(0))
        with pytest.raises(RecordError, match=r"p1.*the predicted parameters"):
            keeper.add("p1", body(1, names=NAMES[:2]))


@pytest.mark.parametrize("damage", ["gone", "other"])
def test_a_file_that_is_not_the_results_own_is_refused(result, damage):
    kept = keep(result, [body(0)])
    if damage == "gone":
        predictions_path(result).unlink()
    else:
        keep(result, [body(0), body(1)])
    with pytest.raises(ProtocolError, match=r"ehf\.predictions\.parquet: is missing or another than the \d+ bytes"):
        read_kept(result, kept, ["p0"])


def test_a_gender_is_kept(result):
    one = body(0)
    with Keeper(result) as keeper:
        keeper.add("p0", KeptBody(one.parameters, gender="female"))
        kept = keeper.publish()
    assert read_kept(result, kept, ["p0"])["p0"].gender == "female"
