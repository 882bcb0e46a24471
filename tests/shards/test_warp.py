"""The warp gives the bits of OpenCV 4, on every path and from every window."""

import itertools

import cv2
import numpy as np
import pytest

from ehps.shards.warp import warp_affine

SIZES = ((8, 8), (33, 17), (96, 64), (5, 40), (1, 1), (16, 3))


def opencv(picture, affine, size):
    return cv2.warpAffine(picture, affine, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)


def every_path(picture, affine, size, **options):
    """Return the crop on both paths, and as planes on both paths."""
    for is_portable in (False, True):
        yield warp_affine(picture, affine, size, is_portable=is_portable, **options)
        planes = np.full((3, size[1], size[0]), 77, np.uint8)
        yield warp_affine(picture, affine, size, is_portable=is_portable, out=planes, **options).transpose(1, 2, 0)


def random_picture(rng, limit=200):
    height, width = rng.integers(1, rng.choice([6, limit]), 2)
    return rng.integers(0, 256, (int(height), int(width), 3), np.uint8)


def random_map(rng, picture, size):
    """Return a map that turns, scales and skews about a point in or near the picture."""
    angle, scale = rng.uniform(-np.pi, np.pi), 10 ** rng.uniform(-1.5, 1.5)
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if rng.random() < 0.3:
        linear = linear @ rng.normal(size=(2, 2))
    centre = rng.uniform(-0.3, 1.3, 2) * (picture.shape[1], picture.shape[0])
    return np.column_stack([linear, np.array(size) / 2 - linear @ centre])


@pytest.mark.parametrize("seed", range(8))
def test_pixels_are_those_of_opencv_for_random_maps(seed):
    rng = np.random.default_rng(seed)
    for _ in range(250):
        picture, size = random_picture(rng), SIZES[rng.integers(len(SIZES))]
        affine = random_map(rng, picture, size)
        expected = opencv(picture, affine, size)
        for found in every_path(picture, affine, size):
            np.testing.assert_array_equal(found, expected, err_msg=f"{picture.shape} {size} {affine.tolist()}")


def test_maps_at_the_ends_of_the_number_range_too():
    rng = np.random.default_rng(9)
    values = (0.0, 1.0, -1.0, 0.5, 1e-3, 1e6, -1e6, 3e9, 1e300, np.inf, np.nan, 2**21 + 0.5)
    for _ in range(400):
        picture, size = random_picture(rng, 40), SIZES[rng.integers(len(SIZES))]
        affine = np.array(rng.choice(values, (2, 3)))
        with np.errstate(all="ignore"):
            expected = opencv(picture, affine, size)
        for found in every_path(picture, affine, size):
            np.testing.assert_array_equal(found, expected, err_msg=f"{picture.shape} {size} {affine.tolist()}")


@pytest.mark.parametrize("name", ["identity", "half a pixel", "flip", "doubled", "no inverse", "far away"])
def test_plain_maps_are_those_of_opencv(name):
    affine = {
        "identity": [[1, 0, 0], [0, 1, 0]],
        "half a pixel": [[1, 0, 0.5], [0, 1, -0.5]],
        "flip": [[-1, 0, 39], [0, 1, 0]],
        "doubled": [[2, 0, 0.5], [0, 2, 0.5]],
        "no inverse": [[1, 2, 3], [2, 4, 6]],
        "far away": [[1, 0, 5000], [0, 1, -70000]],
    }[name]
    picture = np.random.default_rng(1).integers(0, 256, (24, 40, 3), np.uint8)
    matrix = np.array(affine, np.float64)
    for found in every_path(picture, matrix, (40, 24)):
        np.testing.assert_array_equal(found, opencv(picture, matrix, (40, 24)))


@pytest.mark.parametrize("value", [0, 1, 128, 255])
def test_a_flat_picture_stays_flat_at_every_fraction(value):
    picture = np.full((64, 64, 3), value, np.uint8)
    for step in range(32):
        affine = np.array([[1, 0, -8 - step / 32], [0, 1, -9 + step / 32]])
        for found in every_path(picture, affine, (32, 32)):
            assert (found == value).all()


@pytest.mark.parametrize("seed", range(4))
def test_a_window_gives_the_pixels_of_the_whole(seed):
    """Its origin shifts whole pixels, which is exact in fixed point."""
    rng = np.random.default_rng(seed)
    size = (48, 64)
    for _ in range(40):
        picture = rng.integers(0, 256, (300, 400, 3), np.uint8)
        affine = random_map(rng, picture, size)
        corners = (
            np.array(list(itertools.product((0, size[0] - 1), (0, size[1] - 1), (1,))))
            @ np.linalg.inv(np.vstack([affine, [0, 0, 1]]))[:2].T
        )
        low = np.clip(np.floor(corners.min(0)) - 1, 0, (399, 299)).astype(int)
        high = np.maximum(np.clip(np.ceil(corners.max(0)) + 2, 0, (400, 300)).astype(int), low + 1)
        window = picture[low[1] : high[1], low[0] : high[0]]
        for found in every_path(window, affine, size, origin=(int(low[0]), int(low[1]))):
            np.testing.assert_array_equal(found, opencv(picture, affine, size))


def test_pictures_too_wide_for_the_fast_path_are_warped_too():
    picture = np.random.default_rng(2).integers(0, 256, (6, 11000, 3), np.uint8)
    affine = np.array([[0.9, 0.1, -9800.0], [-0.1, 0.9, 990.0]])
    for found in every_path(picture, affine, (64, 16)):
        np.testing.assert_array_equal(found, opencv(picture, affine, (64, 16)))


def test_bytes_beyond_the_crop_stay():
    picture = np.full((50, 50, 3), 200, np.uint8)
    for width in range(1, 20):
        room = np.full(width * 7 * 3 + 64, 9, np.uint8)
        for shape in ((7, width, 3), (3, 7, width)):
            out = room[: width * 7 * 3].reshape(shape)
            assert warp_affine(picture, np.array([[1.0, 0, -5], [0, 1, -5]]), (width, 7), out=out) is out
            assert (out == 200).all()
            assert (room[width * 7 * 3 :] == 9).all()


@pytest.mark.parametrize("out", [np.empty((4, 5, 3), np.uint8), np.empty((5, 4, 6), np.uint8)[..., ::2]])
def test_an_output_of_another_layout_is_refused(out):
    with pytest.raises(ValueError, match="out should be contiguous, 5 4 3 or 3 5 4"):
        warp_affine(np.zeros((9, 9, 3), np.uint8), np.eye(3)[:2], (4, 5), out=out)


def test_an_empty_crop_is_refused():
    with pytest.raises(ValueError, match="0 x 5"):
        warp_affine(np.zeros((9, 9, 3), np.uint8), np.eye(3)[:2], (0, 5))
