"""A blurred copy is less sharp, whatever the size, and tiles alone tell as much as the whole picture."""

import itertools

import cv2
import numpy as np
import pytest

from ehps.converters.sharpness import sharpness
from ehps.shards.picture import encoded_picture

BOX = np.float32([101.3, 77.8, 260.2, 290.1])


def scene(seed=0, size=(640, 800)):
    """Random shapes with hard edges."""
    rng = np.random.default_rng(seed)
    picture = np.full((*size, 3), 120, np.uint8)
    for _ in range(400):
        centre = tuple(int(v) for v in rng.integers(0, size[::-1]))
        colour = tuple(int(v) for v in rng.integers(0, 255, 3))
        cv2.circle(picture, centre, int(rng.integers(4, 40)), colour, -1)
    return picture


def encoded(pixels, ext=".jpg", **options):
    return encoded_picture(cv2.imencode(ext, pixels)[1].tobytes(), **options)


@pytest.mark.parametrize("box", [BOX, np.float32([10, 5, 780, 630])])
def test_a_blurred_copy_is_less_sharp(box):
    sharp = scene()
    values = [sharpness(encoded(cv2.GaussianBlur(sharp, (0, 0), s) if s else sharp), [box])[0] for s in (0, 1, 2, 4)]
    assert all(a > 1.5 * b for a, b in itertools.pairwise(values))


def test_tiles_tell_what_the_whole_picture_tells():
    pixels = scene(1)
    boxes = [BOX, None, np.float32([-40, 500, 60, 700])]
    tiled, kept = encoded(pixels), encoded(pixels, jpeg="keep")
    assert tiled.tiles is not None
    assert kept.tiles is None
    np.testing.assert_array_equal(sharpness(tiled, boxes), sharpness(kept, boxes))


def test_a_large_person_is_decoded_coarsely_and_measured_nearly_the_same():
    pixels = cv2.resize(scene(2), None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    box = np.float32([300, 200, 1500, 1500])
    (coarse,), (fine,) = (sharpness(encoded(pixels, jpeg=mode), [box]) for mode in ("tile", "keep"))
    assert coarse == pytest.approx(fine, rel=0.3)


def test_a_png_is_measured_when_asked():
    pixels = scene(3)
    (value,) = sharpness(encoded(pixels, ".png", png="keep"), [BOX])
    assert value == pytest.approx(sharpness(encoded(pixels, ".png"), [BOX])[0], rel=0.2)


@pytest.mark.parametrize("box", [None, np.float32([3, 3, 8, 200]), np.float32([900, 10, 950, 90])])
def test_a_box_that_shows_too_little_has_none(box):
    assert np.isnan(sharpness(encoded(scene()), [box])).all()
