"""Boxes and affine maps of a crop, and the pixels that they bring into it."""

import cv2
import numpy as np
import pytest

from ehps.shards.cutting import cut_person, cut_picture, reduction_of
from ehps.shards.reader import PeopleIndex
from ehps.training.augment import Augmentation
from ehps.training.compat import SMPLESTX_RELEASED
from ehps.training.crops import FULL_SIZE, HALF_SIZE, crop_affine, crop_box, move_points, padded_box
from ehps.training.stream import SampleSettings, make_sample


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
        affine = crop_affine(box, FULL_SIZE, augmentation, picture.shape[1])
        crop = cut_picture(picture, affine, FULL_SIZE, mode="exact")
        difference = np.abs(crop[::4, ::4].astype(int) - golden["crop.patch_every_4th_pixel"][i])
        # OpenCV 4 samples at 1/32 pixel, OpenCV 5 (which made the numbers) exactly.
        assert (difference > 1).mean() < 2e-3
        assert difference.mean() < 0.1


def test_the_small_crop_is_every_second_pixel_of_the_large_one():
    picture = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    box, turn = np.array([20.0, 10.0, 45.0, 60.0]), Augmentation(rotation=10.0, scale=1.1)
    large = cut_picture(picture, crop_affine(box, FULL_SIZE, turn, 120), FULL_SIZE)
    small = cut_picture(picture, crop_affine(box, HALF_SIZE, turn, 120), HALF_SIZE)
    assert np.abs(large[::2, ::2].astype(int) - small).mean() < 0.5


def test_points_follow_their_pixels_through_flip_turn_and_scale():
    picture = np.zeros((200, 300, 3), np.uint8)
    where = np.array([[130.0, 90.0]])
    cv2.circle(picture, (130, 90), 3, (255, 255, 255), -1)
    change = Augmentation(scale=1.2, rotation=35.0, is_flipped=True)
    affine = crop_affine(np.array([80.0, 40.0, 90.0, 120.0]), FULL_SIZE, change, 300)
    rows, columns = np.nonzero(cut_picture(picture, affine, FULL_SIZE)[..., 0] > 127)
    np.testing.assert_allclose(move_points(affine, where)[0], [columns.mean(), rows.mean()], atol=0.5)


def test_compatibility_samples_the_whole_picture_and_training_one_of_fitting_size(converted):
    """A person who fills the frame is twice as large as the small crop: the released code skips pixels there."""
    person = PeopleIndex.from_shards(converted).load(0)
    picture, enlarged = person.image(), Augmentation(scale=4.0)
    box = crop_box(padded_box(person.bbox_xyxy.astype(np.float64)), person.width, person.height)
    released = make_sample(person, enlarged, SampleSettings(quirks=SMPLESTX_RELEASED)).crop.transpose(1, 2, 0)
    affine = crop_affine(box, FULL_SIZE, enlarged, person.width)
    np.testing.assert_array_equal(released, cv2.warpAffine(picture, affine, FULL_SIZE, flags=cv2.INTER_LINEAR))
    affine = crop_affine(box, HALF_SIZE, enlarged, person.width)
    found = make_sample(person, enlarged, SampleSettings()).crop.transpose(1, 2, 0)
    assert reduction_of(affine) == 2
    np.testing.assert_array_equal(found, cut_person(person.frame, affine, HALF_SIZE))
    assert not np.array_equal(found, cut_person(person.frame, affine, HALF_SIZE, mode="exact"))
