"""Boxes, affine maps and pixels of a crop."""

import cv2
import numpy as np
import pytest

from ehps.shards.picture import decode_rgb
from ehps.training.augment import NO_AUGMENTATION, Augmentation
from ehps.training.crops import (
    FULL_SIZE,
    HALF_SIZE,
    crop_affine,
    crop_box,
    cut,
    move_points,
    padded_box,
    reduction_for,
    shrunk_by,
)


@pytest.fixture
def golden(golden_dir):
    with np.load(golden_dir / "transforms_a.npz", allow_pickle=False) as file:
        return {name: file[name] for name in file.files if name.startswith(("bbox.", "crop."))}


def xyxy(box_xywh):
    return np.concatenate([box_xywh[:2], box_xywh[:2] + box_xywh[2:]]).astype(np.float64)


def released_samples(golden):
    rows = zip(golden["crop.bbox_xywh"], golden["crop.scale_rot_flip"], strict=True)
    for i, (box, (scale, rotation, flip)) in enumerate(rows):
        augmentation = Augmentation(scale=float(scale), rotation=float(rotation), is_flipped=bool(flip))
        yield box.astype(np.float64), augmentation, golden["crop.affine_img2patch_and_inverse"][i, 0], i


def test_boxes_are_those_of_the_released_code(golden):
    width, height = (int(n) for n in golden["bbox.image_wh"])
    boxes = [crop_box(xyxy(box), width, height, float(golden["bbox.ratio"])) for box in golden["bbox.in_xywh"]]
    np.testing.assert_allclose(np.stack(boxes), golden["bbox.out_xywh"], rtol=1e-5, atol=2e-4)


def test_a_box_outside_the_picture_is_no_box():
    assert crop_box(np.array([700.0, 10.0, 800.0, 90.0]), 640, 360) is None
    assert crop_box(np.array([10.0, 10.0, 10.0, 90.0]), 640, 360) is None


def test_a_padded_box_keeps_its_centre():
    np.testing.assert_allclose(padded_box(np.array([10.0, 20.0, 30.0, 60.0]), 1.5), [5, 10, 35, 70])


def test_affine_maps_are_those_of_the_released_code(golden):
    width = golden["crop.image"].shape[1]
    mirror = np.array([[-1.0, 0, width - 1], [0, 1, 0], [0, 0, 1]])
    for box, augmentation, expected, _ in released_samples(golden):
        found = crop_affine(box, FULL_SIZE, augmentation, width)
        # The released map starts from the mirrored picture.
        expected = expected @ mirror if augmentation.is_flipped else expected
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=3e-3)


def test_pixels_are_those_of_the_released_code_to_the_rounding_of_opencv(golden):
    picture = golden["crop.image"]
    for box, augmentation, _, i in released_samples(golden):
        crop = cut(picture, crop_affine(box, FULL_SIZE, augmentation, picture.shape[1]), FULL_SIZE)
        difference = np.abs(crop[::4, ::4].astype(int) - golden["crop.patch_every_4th_pixel"][i])
        # OpenCV 4 samples at 1/32 pixel, OpenCV 5 (which made the numbers) exactly.
        assert (difference > 1).mean() < 2e-3
        assert difference.mean() < 0.1


def test_the_small_crop_is_every_second_pixel_of_the_large_one():
    picture = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    box, turn = np.array([20.0, 10.0, 45.0, 60.0]), Augmentation(rotation=10.0, scale=1.1)
    large = cut(picture, crop_affine(box, FULL_SIZE, turn, 120), FULL_SIZE)
    small = cut(picture, crop_affine(box, HALF_SIZE, turn, 120), HALF_SIZE)
    assert np.abs(large[::2, ::2].astype(int) - small).mean() < 0.5


def test_points_follow_their_pixels_through_flip_turn_and_scale():
    picture = np.zeros((200, 300, 3), np.uint8)
    where = np.array([[130.0, 90.0]])
    cv2.circle(picture, (130, 90), 3, (255, 255, 255), -1)
    change = Augmentation(scale=1.2, rotation=35.0, is_flipped=True)
    affine = crop_affine(np.array([80.0, 40.0, 90.0, 120.0]), FULL_SIZE, change, 300)
    rows, columns = np.nonzero(cut(picture, affine, FULL_SIZE)[..., 0] > 127)
    np.testing.assert_allclose(move_points(affine, where)[0], [columns.mean(), rows.mean()], atol=0.5)


def test_a_reduced_picture_gives_the_same_view_with_less_aliasing():
    rows, columns = np.mgrid[0:1600, 0:1200]
    smooth = (127 + 100 * np.sin(rows / 60) * np.cos(columns / 45)).astype(np.uint8)
    picture = np.repeat(smooth[..., None], 3, axis=2)
    box = np.array([100.0, 50.0, 1000.0, 1333.0])
    assert reduction_for(box, HALF_SIZE) == 4
    affine = crop_affine(box, HALF_SIZE, NO_AUGMENTATION, 1200)
    reduced = cv2.resize(picture, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    difference = cut(picture, affine, HALF_SIZE).astype(int) - cut(
        reduced, affine, HALF_SIZE, shrunk_by(reduced, 1200, 1600, 4)
    )
    assert np.abs(difference).max() <= 4


@pytest.mark.parametrize("extension", [".jpg", ".png"])
@pytest.mark.parametrize("reduction", [2, 4, 8])
def test_a_picture_decoded_smaller_keeps_its_places(extension, reduction):
    width, height = 1003, 797
    rows, columns = np.mgrid[0:height, 0:width]
    picture = np.stack([columns / 4, rows / 4, np.full_like(rows, 90.0)], axis=-1).astype(np.uint8)
    data = cv2.imencode(extension, picture[..., ::-1])[1].tobytes()
    small = decode_rgb(data, reduce=reduction)
    affine = crop_affine(np.array([200.0, 100.0, 450.0, 600.0]), (48, 64), NO_AUGMENTATION, width)
    found = cut(small, affine, (48, 64), shrunk_by(small, width, height, reduction))
    expected = cut(picture, affine, (48, 64))
    # A ramp of one grey level each four pixels: half a level is two pixels of the stored picture.
    assert np.abs(found.astype(float) - expected).mean(axis=(0, 1)).max() < 0.8
