"""The same number for the same person."""

import numpy as np

from ehps.training.boxes import Box
from ehps.training.tracking import Tracker


def walker(x, y=100.0, width=40.0, height=120.0):
    return Box(np.array([x, y, x + width, y + height]), 0.9)


def tracks(tracker, *frames):
    """The tracks of each frame, whose boxes are given by left edge; None is nobody."""
    return [[box.track for box in tracker.number([walker(x) for x in frame])] for frame in frames]


def test_people_keep_their_numbers_in_whatever_order_they_come():
    assert tracks(Tracker(), [0, 300], [305, 6], [12, 310]) == [[0, 1], [1, 0], [0, 1]]


def test_people_who_cross_keep_their_numbers():
    rng = np.random.default_rng(0)
    for speed in (4, 9, 16):
        tracker, found = Tracker(), []
        for frame in range(60):
            left, right = (
                walker(-200 + speed * frame + rng.normal(0, 1)),
                walker(300 - speed * frame + rng.normal(0, 1)),
            )
            turned = frame % 2
            boxes = tracker.number([right, left] if turned else [left, right])
            found.append([box.track for box in boxes][:: -1 if turned else 1])
        assert found == [[0, 1]] * 60, speed


def test_somebody_hidden_while_crossing_comes_out_on_the_other_side_with_the_same_number():
    tracker, found = Tracker(), []
    for frame in range(40):
        front, behind = walker(8.0 * frame), walker(300 - 8.0 * frame)
        hidden = abs(front.bbox_xyxy[0] - behind.bbox_xyxy[0]) < 30
        found.append([box.track for box in tracker.number([front] if hidden else [front, behind])])
    assert {tuple(row) for row in found} == {(0, 1), (0,)}
    assert sum(len(row) == 1 for row in found) > 2


def test_a_gap_is_bridged_until_it_is_too_long():
    tracker = Tracker(most_missed=3)
    assert tracks(tracker, [0], [5], [], [], [], [25]) == [[0], [0], [], [], [], [0]]
    assert tracks(tracker, [], [], [], [], [30]) == [[], [], [], [], [1]]


def test_somebody_new_gets_a_new_number_and_numbers_are_not_used_again():
    assert tracks(Tracker(most_missed=0), [0], [2, 500], [501], [700], []) == [[0], [0, 1], [1], [2], []]


def test_a_far_box_does_not_pull_a_track_over():
    """The largest total overlap alone could trade a good pair for two poor ones."""
    assert tracks(Tracker(), [0, 36], [0, 72]) == [[0, 1], [0, 2]]


def test_boxes_are_kept_as_they_are():
    box = walker(3)
    (numbered,) = Tracker().number([box])
    assert numbered.bbox_xyxy is box.bbox_xyxy
    assert numbered.score == box.score
