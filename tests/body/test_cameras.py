"""Cameras: OpenCV's own projection, and pictures that change together with their intrinsics."""

import cv2
import numpy as np
import pytest

from ehps.body import cameras
from ehps.body.cameras import Distortion

K = cameras.intrinsics(900.0, 950.0, 320.0, 230.0)
POINTS = np.random.default_rng(0).uniform([-1, -1, 2], [1, 1, 5], size=(40, 3))


@pytest.mark.parametrize(
    "coefficients",
    [(0.1, -0.05, 0.01, -0.02), (0.1, -0.05, 0.01, -0.02, 0.03), (0.2, 0.1, 0.001, 0.002, 0.01, 0.1, 0.02, 0.003)],
)
def test_brown_conrady_is_opencvs(coefficients):
    theirs, _ = cv2.projectPoints(POINTS, np.zeros(3), np.zeros(3), K, np.array(coefficients))
    ours = cameras.project(POINTS, K, Distortion("brown_conrady", coefficients))
    np.testing.assert_allclose(ours, theirs[:, 0], atol=1e-9)


def test_fisheye_is_opencvs():
    coefficients = (0.1, 0.02, -0.01, 0.003)
    theirs, _ = cv2.fisheye.projectPoints(POINTS[:, None], np.zeros(3), np.zeros(3), K, np.array(coefficients))
    ours = cameras.project(POINTS, K, Distortion("fisheye", coefficients))
    np.testing.assert_allclose(ours, theirs[:, 0], atol=1e-6)


def test_a_point_behind_the_camera_has_no_picture():
    assert np.isnan(cameras.project(np.array([[0.1, 0.2, -1.0]]), K)).all()


def test_intrinsics_broadcast_over_people():
    many = np.stack([K, K + np.diag([100.0, 0, 0])])
    points = np.stack([POINTS, POINTS])
    pixels = cameras.project(points, many)
    np.testing.assert_allclose(pixels[1], cameras.project(POINTS, many[1]))


def test_the_pelvis_offset_keeps_the_body_in_place():
    """Rotate a toy body about its offset pelvis in world space; its camera parameters must give the same points."""
    rng = np.random.default_rng(3)
    offset = np.array([0.01, -0.35, 0.02])
    body = rng.normal(size=(5, 3))
    orient, transl = rng.normal(size=3), rng.normal(size=3)
    T = cameras.rigid(cameras.axis_angle_to_matrix(rng.normal(size=3)), rng.normal(size=3))

    def posed(root, move):
        return (body - offset) @ cameras.axis_angle_to_matrix(root).T + offset + move

    expected = cameras.transform_points(T, posed(orient, transl))
    root, move = cameras.parameters_to_camera(orient, transl, offset, T)
    np.testing.assert_allclose(posed(root, move), expected, atol=1e-12)
    _, forgotten = cameras.parameters_to_camera(orient, transl, np.zeros(3), T)
    assert np.abs(posed(root, forgotten) - expected).max() > 0.05


def test_inverse_undoes():
    T = cameras.rigid(cameras.axis_angle_to_matrix(np.array([0.1, 0.5, -0.3])), np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(T @ cameras.invert_rigid(T), np.eye(4), atol=1e-12)


def test_crop_scale_and_flip_follow_the_pixels():
    pixels = cameras.project(POINTS, K)
    np.testing.assert_allclose(cameras.project(POINTS, cameras.intrinsics_after_crop(K, 12.0, 7.0)), pixels - [12, 7])
    scaled = cameras.project(POINTS, cameras.intrinsics_after_scale(K, 0.5, 0.25))
    np.testing.assert_allclose(scaled, (pixels + 0.5) * [0.5, 0.25] - 0.5)
    mirrored = cameras.project(POINTS * [-1, 1, 1], cameras.intrinsics_after_flip(K, 640))
    np.testing.assert_allclose(mirrored, [639, 0] + pixels * [-1, 1])


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_quarter_turns_agree_with_the_turned_picture(turns):
    """Mark a pixel, turn the picture clockwise, and find it where the turned camera projects the turned point."""
    width, height = 640, 480
    point = np.array([[0.4, -0.2, 3.0]])
    u, v = np.round(cameras.project(point, K)[0]).astype(int)
    picture = np.zeros((height, width), np.uint8)
    picture[v, u] = 255
    turned = np.rot90(picture, -turns)
    turned_K = cameras.intrinsics_after_quarter_turns(K, width, height, turns)
    pixel = cameras.project(point @ cameras.quarter_turn_matrix(turns).T, turned_K)[0]
    found = np.argwhere(turned == 255)[0][::-1]
    np.testing.assert_allclose(pixel, found, atol=0.51)


FOLDS = Distortion("brown_conrady", (-0.25, 0.07, 0.001, 0.0, -0.005))  # rises to r = 2.775 and falls from there


@pytest.mark.parametrize(
    ("lens", "reach"),
    [
        (FOLDS, 2.775),
        (Distortion("brown_conrady", (-0.3, 0.0, 0.0, 0.0)), (1 / 0.9) ** 0.5),  # where 1 - 3 * 0.3 r^2 is zero
        (Distortion("fisheye", (-0.2, 0.0, 0.0, 0.0)), np.tan((1 / 0.6) ** 0.5)),  # where 1 - 3 * 0.2 t^2 is zero
        (Distortion("brown_conrady", (0.0, 0.0, 0.0, 0.0, 0.0, -0.25, 0.0, 0.0)), 2.0),  # a pole
        (Distortion("brown_conrady", (0.1, 0.02, 0.001, 0.0)), np.inf),
        (Distortion("fisheye", (0.05, -0.01, 0.0, 0.0)), np.inf),
    ],
)
def test_a_lens_reaches_as_far_as_its_curve_rises(lens, reach):
    assert cameras.lens_reach(lens) == pytest.approx(reach, abs=0.003)


def test_what_lies_beyond_the_reach_of_a_lens_has_no_picture():
    """Its numbers would put an arm far beside the picture into it."""
    arm = np.array([[0.2, 0.1, 1.0], [2.7, 0.0, 1.0], [-1.6, -2.4, 1.0]])
    pixels = cameras.project(arm, K, FOLDS)
    assert np.isfinite(pixels[:2]).all()
    assert np.isnan(pixels[2]).all()
    assert cameras.project(arm[1:2], K, FOLDS)[0, 0] > 1000
