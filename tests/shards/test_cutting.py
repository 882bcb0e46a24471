"""A person cut from the tiles of a stored frame has the pixels of the full decode, and reads no more than it needs."""

import os
import threading
import zlib

import cv2
import numpy as np
import pytest

from ehps.errors import ShardError
from ehps.shards.cutting import cut_person, cut_picture, reduction_of
from ehps.shards.jpeg import tile_jpeg
from ehps.shards.picture import decode_rgb, encode_png
from ehps.shards.stored import StoredFrame, TarFile
from ehps.shards.ustar import Place

BEFORE = b"bytes of other members"
SAMPLINGS = {
    "4:2:0": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    "4:2:2": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
    "4:4:0": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440,
    "4:4:4": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
}


def photo(width, height, seed=0):
    """Return smooth colours with edges and noise, so that neighbouring pixels differ and upsampling matters."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (max(height // 8, 2), max(width // 8, 2), 3), np.uint8)
    smooth = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC).astype(int)
    return np.clip(smooth + rng.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)


def natural(width, height, seed=0):
    """Return details at all sizes, large ones stronger, as in photographs, and a little noise of the sensor."""
    rng = np.random.default_rng(seed)
    picture = rng.normal(128, 2, (height, width, 3))
    for step in (1, 2, 4, 8, 16, 32, 64, 128):
        coarse = rng.normal(0, 1.5 * step**0.7, (height // step + 1, width // step + 1, 3))
        picture += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(picture, 0, 255).astype(np.uint8)


def jpeg(pixels, sampling="4:2:0", quality=90):
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, SAMPLINGS[sampling]]
    return cv2.imencode(".jpg", pixels, options)[1].tobytes()


def stored(path, data, tiles=None):
    """Return a frame whose picture lies somewhere in a file."""
    path.write_bytes(BEFORE + data + b"after")
    return StoredFrame(TarFile(path), {"image": Place(len(BEFORE), len(data), zlib.crc32(data))}, lambda: tiles)


def tiled(path, pixels, **options):
    picture = tile_jpeg(jpeg(pixels, **options))
    return stored(path, picture.data, picture.tiles), picture


def crop_map(centre, angle, factor, size, *, is_flipped=False):
    """Return the map of a crop of ``size`` about a centre, with ``factor`` pixels of the picture for one of its own."""
    turn = np.deg2rad(angle)
    linear = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) / factor
    linear = linear * [-1, 1] if is_flipped else linear
    return np.column_stack([linear, np.array(size) / 2 - linear @ np.array(centre, float)])


def random_crops(rng, width, height, count):
    for _ in range(count):
        size = (int(rng.integers(8, 96)), int(rng.integers(8, 128)))
        centre = rng.uniform(-0.1, 1.1, 2) * (width, height)
        factor = float(np.exp(rng.uniform(np.log(0.3), np.log(14.0))))
        yield crop_map(centre, rng.uniform(-180, 180), factor, size, is_flipped=rng.random() < 0.5), size


def opencv(picture, affine, size):
    return cv2.warpAffine(picture, affine, size, flags=cv2.INTER_LINEAR)


def shrunk_map(affine, factor):
    """Return the map from a picture smaller by a factor, by matrices."""
    centres = np.array([[factor, 0, (factor - 1) / 2], [0, factor, (factor - 1) / 2], [0, 0, 1]])
    return affine @ centres


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize(("width", "height"), [(640, 360), (501, 333), (97, 410)])
def test_exact_cuts_are_the_bits_of_the_full_decode_and_warp(tmp_path, sampling, width, height):
    frame, picture = tiled(tmp_path / "a.tar", photo(width, height), sampling=sampling)
    whole, rng = decode_rgb(picture.data), np.random.default_rng(width)
    for affine, size in random_crops(rng, width, height, 25):
        found = cut_person(frame, affine, size, mode="exact")
        np.testing.assert_array_equal(found, opencv(whole, affine, size), err_msg=f"{affine.tolist()} {size}")


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_scaled_cuts_are_those_of_the_picture_decoded_smaller(tmp_path, sampling):
    frame, picture = tiled(tmp_path / "a.tar", photo(901, 707), sampling=sampling)
    rng, seen = np.random.default_rng(3), set()
    for affine, size in random_crops(rng, 901, 707, 40):
        reduce = reduction_of(affine)
        seen.add(reduce)
        expected = opencv(decode_rgb(picture.data, reduce=reduce), shrunk_map(affine, reduce), size)
        found = cut_person(frame, affine, size)
        # The two ways to shrink a map differ in their last bits, and so at most in one of 32 fractions of a pixel.
        assert (found != expected).mean() < 1e-3
    assert seen == {1, 2, 4, 8}


def test_pictures_without_tiles_give_the_same_crops(tmp_path):
    data = tile_jpeg(jpeg(photo(420, 330)))
    with_tiles = stored(tmp_path / "a.tar", data.data, data.tiles)
    without = stored(tmp_path / "b.tar", data.data)
    for affine, size in random_crops(np.random.default_rng(4), 420, 330, 30):
        for mode in ("exact", "scaled"):
            found, expected = (
                cut_person(with_tiles, affine, size, mode=mode),
                cut_person(without, affine, size, mode=mode),
            )
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("reduce", [2, 4, 8])
@pytest.mark.parametrize("extension", ["jpg", "png", "decoded"])
def test_a_picture_made_smaller_keeps_its_places(tmp_path, extension, reduce):
    """On a ramp of one grey level each four pixels, half a level is two pixels."""
    width, height = 1003, 797
    rows, columns = np.mgrid[0:height, 0:width]
    ramp = np.stack([columns / 4, rows / 4, np.full_like(rows, 90.0)], axis=-1).astype(np.uint8)
    affine = crop_map((700, 600), 0, reduce * 1.2, (48, 64))
    if extension == "decoded":
        found = cut_picture(ramp, affine, (48, 64))
    elif extension == "png":
        found = cut_person(stored(tmp_path / "a.tar", encode_png(ramp)), affine, (48, 64))
    else:
        found = cut_person(tiled(tmp_path / "a.tar", ramp[..., ::-1])[0], affine, (48, 64))
    expected = cut_picture(ramp, affine, (48, 64), mode="exact")
    assert reduction_of(affine) == reduce
    inside = expected[..., 2] == 90  # beyond the picture all is black, and its edge is a blend
    difference = np.abs(found.astype(float) - expected)[inside & (found[..., 2] > 80)]
    assert difference.mean(axis=0).max() < 0.8


def test_exact_cuts_of_other_pictures_are_those_of_opencv(tmp_path):
    pixels = photo(300, 200)
    frame = stored(tmp_path / "a.tar", encode_png(pixels))
    for affine, size in random_crops(np.random.default_rng(5), 300, 200, 20):
        expected = opencv(pixels, affine, size)
        np.testing.assert_array_equal(cut_person(frame, affine, size, mode="exact"), expected)
        np.testing.assert_array_equal(cut_picture(pixels, affine, size, mode="exact"), expected)
        np.testing.assert_array_equal(cut_person(frame, affine, size), cut_picture(pixels, affine, size))


def error_of(crop, whole, affine):
    """Return the mean squared difference to an ideal crop: sixteen samples a pixel, averaged."""
    height, width = crop.shape[:2]
    fine = np.array([[4, 0, 1.5], [0, 4, 1.5], [0, 0, 1]]) @ np.vstack([affine, [0, 0, 1]])
    large = opencv(whole, fine[:2], (4 * width, 4 * height))
    return np.square(crop - cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA).astype(float)).mean()


def test_scaled_cuts_are_nearer_to_an_ideal_resampling(tmp_path):
    frame, picture = tiled(tmp_path / "a.tar", natural(1280, 960, seed=6))
    whole, size = decode_rgb(picture.data), (96, 128)
    for factor in (2.5, 3.5, 4.7, 6.5, 9.3):
        affine = crop_map((640, 480), 20, factor, size)
        ours, plain = cut_person(frame, affine, size), opencv(whole, affine, size)
        assert error_of(ours, whole, affine) < 0.9 * error_of(plain, whole, affine)


def test_only_the_rows_of_the_person_are_read(tmp_path, monkeypatch):
    frame, picture = tiled(tmp_path / "a.tar", photo(640, 960))
    reads, pread = [], os.pread
    monkeypatch.setattr(os, "pread", lambda fd, size, offset: reads.append((size, offset)) or pread(fd, size, offset))
    cut_person(frame, crop_map((320, 480), 0, 1.0, (64, 96)), (64, 96))
    (header, _), (rows, start) = reads
    assert header == picture.tiles.header_size
    assert rows < len(picture.data) / 5
    assert start in picture.tiles.row_offsets + len(BEFORE)


def test_damage_in_what_is_read_is_found_and_elsewhere_does_not_matter(tmp_path):
    path = tmp_path / "a.tar"
    frame, picture = tiled(path, photo(640, 960))
    affine, size = crop_map((320, 480), 30, 1.0, (64, 96)), (64, 96)
    expected, whole = cut_person(frame, affine, size), path.read_bytes()
    used = picture.tiles.row_offsets[[30, 31]]
    for position, is_found in ((10, True), (int(used.mean()), True), (int(picture.tiles.row_offsets[5]), False)):
        damaged = bytearray(whole)
        damaged[len(BEFORE) + position] ^= 0x10
        path.write_bytes(damaged)
        if is_found:
            with pytest.raises(ShardError, match=r"a\.tar: the \d+ bytes at \d+ are damaged; convert the unit again"):
                cut_person(frame, affine, size)
        else:
            np.testing.assert_array_equal(cut_person(frame, affine, size), expected)


def test_a_cut_off_file_is_damaged(tmp_path):
    path = tmp_path / "a.tar"
    frame, _ = tiled(path, photo(640, 960))
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(ShardError, match="are damaged"):
        cut_person(frame, crop_map((320, 900), 0, 1.0, (64, 96)), (64, 96))


def test_a_crop_beside_the_picture_is_black(tmp_path):
    frame, _ = tiled(tmp_path / "a.tar", photo(200, 100) | 1)
    for centre in ((-4000, 50), (100, 1e7), (5000, -5000)):
        assert not cut_person(frame, crop_map(centre, 15, 1.3, (40, 30)), (40, 30)).any()


def test_planes_are_filled_where_they_are_wanted(tmp_path):
    frame, _ = tiled(tmp_path / "a.tar", photo(300, 300))
    affine, batch = crop_map((150, 150), 40, 1.2, (40, 56)), np.zeros((3, 3, 56, 40), np.uint8)
    assert np.shares_memory(cut_person(frame, affine, (40, 56), out=batch[1]), batch)
    np.testing.assert_array_equal(batch[1].transpose(1, 2, 0), cut_person(frame, affine, (40, 56)))
    assert not batch[[0, 2]].any()


def test_threads_cut_the_same(tmp_path):
    frame, _ = tiled(tmp_path / "a.tar", photo(640, 480))
    crops = list(random_crops(np.random.default_rng(7), 640, 480, 60))
    alone = [cut_person(frame, *crop) for crop in crops]
    together = [[] for _ in range(4)]
    threads = [
        threading.Thread(target=lambda out=out: out.extend(cut_person(frame, *crop) for crop in crops))
        for out in together
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for found in together:
        for a, b in zip(alone, found, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("factors", "expected"),
    [
        ((1.0, 1.0), 1),
        ((2.29, 2.29), 1),
        ((2.31, 2.31), 2),
        ((4.5, 4.5), 2),
        ((4.7, 4.7), 4),
        ((80, 80), 8),
        ((12, 1.5), 1),
    ],
)
def test_a_picture_shrinks_while_its_pixels_stay_smaller_than_those_of_the_crop(factors, expected):
    turn = np.deg2rad(33)
    linear = np.diag(1 / np.array(factors)) @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    assert reduction_of(np.column_stack([linear, [5.0, 6.0]])) == expected
    assert reduction_of(np.column_stack([linear @ np.diag([-1, 1]), [5.0, 6.0]])) == expected


def test_a_map_without_inverse_is_refused(tmp_path):
    frame, _ = tiled(tmp_path / "a.tar", photo(64, 64))
    with pytest.raises(ValueError, match="has no inverse"):
        cut_person(frame, np.array([[1.0, 2, 3], [2, 4, 6]]), (8, 8))


def test_a_frame_without_picture_says_so(tmp_path):
    frame = StoredFrame(TarFile(tmp_path / "a.tar"), {})
    with pytest.raises(ShardError, match="--images none"):
        cut_person(frame, np.eye(3)[:2], (8, 8))


@pytest.mark.real
def test_cuts_of_real_photographs_are_exact_and_scaled_ones_nearer_to_the_ideal(tmp_path, real_dir):
    size, rng, gains = (96, 128), np.random.default_rng(8), []
    for path in sorted(real_dir.rglob("*.jpg")):
        whole, picture = decode_rgb(path.read_bytes()), tile_jpeg(path.read_bytes(), path.name)
        frame = stored(tmp_path / f"{path.stem}.tar", picture.data, picture.tiles)
        height, width = whole.shape[:2]
        for affine, some_size in random_crops(rng, width, height, 20):
            found = cut_person(frame, affine, some_size, mode="exact")
            np.testing.assert_array_equal(found, opencv(whole, affine, some_size), err_msg=path.name)
        affine = crop_map((width / 2, height / 2), 10, min(height / size[1], width / size[0]), size)
        if reduction_of(affine) > 1:
            ours, plain = cut_person(frame, affine, size), opencv(whole, affine, size)
            gains.append(error_of(plain, whole, affine) / error_of(ours, whole, affine))
    assert len(gains) > 3
    assert min(gains) > 1
