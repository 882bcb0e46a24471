"""The answers of a check: who is counted, what is worst, and when it is good."""

from array import array

import pytest

from ehps.cards import Checks
from ehps.converters.findings import findings, hand_groups, hand_rows
from ehps.converters.report import SplitReport, UnitReport


def split_of(*units: UnitReport) -> SplitReport:
    return SplitReport("toy", "train", units)


def unit(name="a", people=4, **values) -> UnitReport:
    rejects, hands = values.pop("rejects", {}), values.pop("hands", {})
    measured = {measure: array("d", numbers) for measure, numbers in values.items()}
    return UnitReport(name, "done", people=people, rejects=rejects, hands=hands, values=measured)


def answer(report, check, bounds=None):
    (found,) = [finding for finding in findings(report, bounds or Checks()) if finding.check == check]
    return found


def test_units_are_pooled_and_the_worst_is_the_largest_distance():
    found = answer(
        split_of(unit(joint_error_mm=[1, 2]), unit("b", joint_error_mm=[3, 9])), "distance from the 3D keypoints"
    )
    assert (found.people, found.median, found.worst, found.verdict) == (4, 2.5, 9, "no bound")
    assert 8 < found.p95 < 9


def test_the_worst_of_a_depth_is_the_smallest():
    found = answer(split_of(unit(min_depth_m=[5, 4, 0.2, 6])), "nearest joint before the camera")
    assert (found.median, found.worst, found.verdict) == (4.5, 0.2, "good")
    assert 0.2 < found.p95 < 4


def test_rejected_people_are_told_even_when_nobody_is_left():
    report = split_of(unit(people=0, rejects={"reprojection": 3}))
    found = answer(report, "distance from the 2D keypoints", Checks(max_reprojection_px=10))
    assert (found.people, found.worst, found.bound, found.verdict) == (0, None, 10, "3 rejected")


@pytest.mark.parametrize(("uncovered", "verdict"), [(1, "good"), (2, "look: 2% of the people")])
def test_a_share_of_the_people_may_pass_a_bound_that_rejects_nobody(uncovered, verdict):
    report = split_of(unit(people=100, box_coverage=[1.0] * (100 - uncovered) + [0.2] * uncovered))
    assert answer(report, "body inside its box").verdict == verdict


def test_a_vital_question_that_nobody_can_be_asked_is_shown():
    found = answer(split_of(unit()), "better if left and right were swapped")
    assert (found.people, found.median, found.verdict) == (0, None, "nothing to compare with")
    assert not [f for f in findings(split_of(unit()), Checks()) if f.check == "body hidden by other people"]
    assert not findings(split_of(), Checks()), "a split without people has no questions"


def test_a_camera_on_the_head_has_no_bound_of_depth():
    report = split_of(unit(min_depth_m=[-0.1]))
    assert answer(report, "nearest joint before the camera", Checks(may_be_behind_camera=True)).verdict == "no bound"


def test_units_that_read_hands_otherwise_get_a_row_of_their_own():
    sound = {"as_stored": 1.0, "mean_added": 20.0, "mean_removed": 22.0, "swapped": None, "unit": "px"}
    wrong = {"as_stored": 20.0, "mean_added": 2.0, "mean_removed": 40.0, "swapped": 30.0, "unit": "px"}
    units = [
        unit("a", hands={"2d": {**sound, "people": 10, "verdict": "as_stored"}}),
        unit("b", hands={"2d": {**sound, "as_stored": 4.0, "people": 20, "verdict": "as_stored"}}),
        unit("c", hands={"2d": {**wrong, "people": 7, "verdict": "mean_added"}}),
        unit("d", hands={"3d": {**wrong, "people": 1, "verdict": "as_stored"}}),
        unit("e", hands={"2d": {**wrong, "people": 3, "verdict": "as_stored"}}),
        unit("f", hands={"2d": {**wrong, "mean_added": 4.0, "people": 2, "verdict": "as_stored"}}),
    ]
    rows = hand_rows(split_of(*units))
    assert [(row["people"], row["as stored"], row["verdict"]) for row in rows] == [
        (30, pytest.approx(3.0), "good"),
        (12, 20.0, "look: fits with mean hand added"),  # with two units that could not tell alone
        (1, 20.0, "too few people to tell"),
    ]
    assert rows[1]["mean hand added"] == pytest.approx((7 * 2 + 3 * 2 + 2 * 4) / 12)
    assert rows[0]["hands swapped"] is None


def test_many_small_units_are_judged_together():
    wrong = {"as_stored": 20.0, "mean_added": 2.0, "mean_removed": 40.0, "swapped": None, "unit": "mm"}
    units = [unit(name, hands={"3d": {**wrong, "people": 2, "verdict": "as_stored"}}) for name in "abc"]
    (row,) = hand_rows(split_of(*units))
    assert (row["people"], row["verdict"]) == (6, "look: fits with mean hand added")
    assert hand_groups(split_of(*units))[0].are_small
