"""MANO hands of any source: what is read of JSON, and what becomes of it in a record."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ehps.body.cameras import intrinsics, rigid, transform_points
from ehps.body.hands import HAND_MEANS
from ehps.converters.formats.mano_json import Hand, hand_fields, joint_fields, numbers
from ehps.tests.raw._hands import Hand as WorldHand
from ehps.tests.raw._hands import random_mano
from ehps.tests.raw._people import rotation

ORIGINS = {"fits": "fitted", "keypoints_2d": "measured"}


@pytest.mark.parametrize(
    "value",
    [
        None,
        "12",
        [],
        [1.0, 2.0],
        [1.0, 2.0, float("nan")],
        [1.0, 2.0, float("inf")],
        [[1.0, 2.0, 3.0]],
        [1.0, [2.0], 3.0],
    ],
)
def test_what_is_not_of_its_shape_is_nothing(value):
    assert numbers(value, 3) is None


def test_truth_values_count_as_numbers():
    np.testing.assert_array_equal(numbers([[True], [False]], 2, 1), [[1.0], [0.0]])


@given(st.integers(0, 2**32 - 1), st.sampled_from(["left", "right"]))
def test_a_hand_of_the_world_stands_in_the_camera_where_the_camera_sees_it(seed, side):
    rng = np.random.default_rng(seed)
    world = random_mano(rng, side, rng.normal(0, 1, 3))
    T = rigid(rotation(*rng.uniform(-3, 3, 3)), rng.normal(0, 1, 3))
    pose = np.concatenate([world.orient, (world.pose - HAND_MEANS[side]).ravel()])
    found = hand_fields({side: Hand(pose, world.betas)}, R_camera_owner=T[:3, :3], **ORIGINS)
    wrist = transform_points(T, world.wrist[None])[0]
    parts = {name: found[f"{side}_hand_{name}"].astype(np.float64) for name in ("pose", "orient")}
    seen = WorldHand(side, betas=found["betas"].astype(np.float64), wrist=wrist, **parts).vertices()
    np.testing.assert_allclose(seen, transform_points(T, world.vertices()), atol=1e-6)


def test_a_zero_deviation_is_the_mean_hand_and_not_an_absent_one():
    hands = {"left": Hand(np.zeros(48), np.zeros(10)), "right": Hand(np.zeros(48), np.zeros(10))}
    fields = hand_fields(hands, **ORIGINS)
    np.testing.assert_allclose(fields["left_hand_pose"], HAND_MEANS["left"], atol=1e-7)
    np.testing.assert_allclose(fields["right_hand_pose"], HAND_MEANS["right"], atol=1e-7)
    assert (fields["labels"].left_hand, fields["labels"].right_hand, fields["labels"].shape) == (
        "fitted",
        "fitted",
        None,
    )
    assert "betas" not in fields


def test_without_a_fit_no_model_is_named():
    fields = hand_fields({}, **ORIGINS)
    assert set(fields) == {"labels"}
    assert (fields["labels"].left_hand, fields["labels"].keypoints_2d) == (None, "measured")


def test_a_joint_has_a_pixel_where_it_is_known_seen_and_in_front():
    joints = np.array([[0.0, 0.0, 1.0], [0.1, 0.0, 1.0], [0.0, 0.1, 2.0], [0.0, 0.0, -1.0]])
    known, seen = np.array([True, False, True, True]), np.array([True, True, False, True])
    fields = joint_fields(joints, intrinsics(100, 100, 50, 60), "right_hand_21", known, seen)
    assert fields["keypoints_3d"][:, 3].tolist() == [1, 0, 1, 1]
    assert fields["keypoints_2d"].tolist() == [[50, 60, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
