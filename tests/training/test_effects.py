"""What an augmentation does to pixels and colours."""

import colorsys

import cv2
import numpy as np
import pytest

from ehps.training.augment import NO_AUGMENTATION, Augmentation, Occluder
from ehps.training.effects import LUMA, apply_effects, colour_map


@pytest.fixture
def planes():
    picture = np.random.default_rng(0).integers(0, 256, (64, 48, 3), np.uint8)
    return np.ascontiguousarray(cv2.GaussianBlur(picture, (0, 0), 2).transpose(2, 0, 1))


def changed(planes, **change):
    found = planes.copy()
    apply_effects(found, Augmentation(**change))
    return found


def recoloured(rgb, **change):
    table = colour_map(Augmentation(**change)).astype(np.float64)
    return table[:, :3] @ rgb + table[:, 3]


def test_nothing_is_changed_unless_drawn(planes):
    np.testing.assert_array_equal(changed(planes), planes)
    np.testing.assert_array_equal(colour_map(NO_AUGMENTATION), np.eye(3, 4))


def test_rectangles_cover_what_they_say_and_nothing_else(planes):
    found = changed(planes, occluders=(Occluder(0.5, 0.25, 0.25, 0.5, 10, 20, 30),))
    assert (found[:, 16:48, 24:36] == np.array([10, 20, 30])[:, None, None]).all()
    outside = np.ones((64, 48), bool)
    outside[16:48, 24:36] = False
    np.testing.assert_array_equal(found[:, outside], planes[:, outside])


def test_a_blur_is_that_of_the_picture_of_256_pixels(planes):
    found = changed(planes, blur=4.0)  # one pixel of a crop of 64 px height
    np.testing.assert_array_equal(found[1], cv2.GaussianBlur(planes[1], (0, 0), 1.0))
    assert found.std() < planes.std()


def test_compression_keeps_colours_in_their_planes(planes):
    planes[0] = 200
    planes[2] = 30
    fine, coarse = (np.abs(changed(planes, jpeg_quality=quality).astype(int) - planes) for quality in (95, 30))
    assert fine.mean() < coarse.mean() < 20
    assert fine[0].mean() < 12
    np.testing.assert_array_equal(changed(planes, jpeg_quality=60), changed(planes, jpeg_quality=60))


def test_tones_do_what_their_names_say():
    rgb = np.array([180.0, 90.0, 40.0])
    np.testing.assert_allclose(recoloured(rgb, colour=(0.5, 1.0, 2.0)), [90, 90, 80])
    np.testing.assert_allclose(recoloured(rgb, brightness=1.2), rgb * 1.2, rtol=1e-6)
    np.testing.assert_allclose(recoloured(rgb, contrast=0.5), 127.5 + (rgb - 127.5) / 2, rtol=1e-6)
    np.testing.assert_allclose(recoloured(rgb, saturation=0.0), [LUMA @ rgb] * 3, rtol=1e-5)
    stronger = recoloured(rgb, saturation=1.5)
    np.testing.assert_allclose(stronger - LUMA @ rgb, 1.5 * (rgb - LUMA @ rgb), rtol=1e-4)


def test_a_turn_of_hue_keeps_luma_and_grey_and_moves_colours_around_the_circle():
    rgb = np.array([180.0, 90.0, 90.0])
    turned = recoloured(rgb, hue=40.0)
    assert LUMA @ turned == pytest.approx(LUMA @ rgb, rel=1e-5)
    np.testing.assert_allclose(recoloured(np.full(3, 77.0), hue=40.0), 77, rtol=1e-5)
    np.testing.assert_allclose(recoloured(recoloured(rgb, hue=40.0), hue=-40.0), rgb, rtol=1e-4)
    before, after = (colorsys.rgb_to_hsv(*(values / 255))[0] * 360 for values in (rgb, turned))
    assert 20 < abs((after - before + 180) % 360 - 180) < 60
