"""How far hands are from the relaxed hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ehps.body.hands import HAND_MEANS, LEFT_HAND_MEAN, RIGHT_HAND_MEAN, mirrored
from ehps.body.rotations import compose
from ehps.shards.analyses import hands
from ehps.shards.analyses.samples import PoseSample

NOBODY = np.zeros((0, 15, 3))


def sample(left: np.ndarray = NOBODY, right: np.ndarray = NOBODY) -> PoseSample:
    return PoseSample(np.zeros((0, 21, 3)), np.zeros((0, 3)), left, right, np.zeros((0, 10)))


def turned(side, joint: int, axis: np.ndarray, angle: float) -> np.ndarray:
    """The relaxed hand with one joint turned further."""
    hand = HAND_MEANS[side].copy()
    hand[joint] = compose(hand[joint], angle * axis / np.linalg.norm(axis))
    return hand[None]


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_relaxed_hand_has_no_complexity(side):
    assert hands.complexity(HAND_MEANS[side][None], side) == pytest.approx([0], abs=1e-12)


@given(st.integers(0, 14), st.floats(0.01, 3.1), st.integers(0, 100))
@settings(max_examples=30, deadline=None)
def test_a_turned_joint_counts_with_its_angle_whatever_the_axis(joint, angle, seed):
    axis = np.random.default_rng(seed).normal(size=3)
    hand = turned("right", joint, axis, angle)
    angles = hands.joint_angles(hand, "right")[0]
    assert angles[joint] == pytest.approx(angle, abs=1e-7)
    assert hands.complexity(hand, "right") == pytest.approx([angle / 15], abs=1e-7)


def test_an_angle_is_that_of_the_shorter_way():
    assert hands.angles_between(np.zeros(3), np.array([0.0, 0, 2 * np.pi - 0.5])) == pytest.approx(0.5)
    assert hands.angles_between(np.array([np.pi, 0, 0]), np.array([-np.pi, 0, 0])) == pytest.approx(0, abs=1e-9)
    assert hands.angles_between(np.array([0.3, 0, 0]), np.array([0.0, 0, 0])) == pytest.approx(0.3)


def test_a_hand_and_its_mirror_image_are_equally_complex():
    left = np.random.default_rng(5).normal(0, 0.5, (20, 15, 3))
    found = hands.complexity(left, "left")
    assert hands.complexity(mirrored(left), "right") == pytest.approx(found)
    assert np.abs(hands.complexity(left, "right") - found).mean() > 0.05  # and sides are not mistaken for one another
    assert hands.complexity(LEFT_HAND_MEAN[None], "right") > 0.3


def test_tables_put_the_busiest_hands_first_and_tell_defaults():
    rng = np.random.default_rng(2)
    busy = RIGHT_HAND_MEAN + rng.normal(0, 0.6, (30, 15, 3))
    relaxed, flat = np.tile(LEFT_HAND_MEAN, (10, 1, 1)), np.zeros((10, 15, 3))
    samples = {"default": sample(np.concatenate([relaxed, flat])), "busy": sample(right=busy), "none": sample()}
    table = hands.hand_table(samples)
    assert table["name"].tolist() == ["busy", "default"]
    assert table["hands"].tolist() == [30, 20]
    assert table.loc[1, ["relaxed", "flat"]].tolist() == [0.5, 0.5]
    assert table.loc[0, ["relaxed", "flat"]].tolist() == [0, 0]
    assert (table["p05"] <= table["median"]).all()
    assert table.loc[0, "median"] == pytest.approx(float(np.median(hands.complexity(busy, "right"))))
    assert hands.hand_table(samples, "left")["name"].tolist() == ["default"]
    assert hands.hand_table(samples, "right")["name"].tolist() == ["busy"]
    assert hands.hand_table({"none": sample()}).empty


def test_joints_are_named_by_finger():
    hand = turned("left", 12, np.array([0.0, 0, 1]), 0.9)  # the first joint of the thumb
    table = hands.finger_table({"a": sample(left=hand)}).set_index("joint")["angle"]
    assert list(table.index) == list(hands.JOINT_NAMES)
    assert table["thumb 1"] == pytest.approx(0.9)
    assert table.drop("thumb 1").max() < 1e-9
