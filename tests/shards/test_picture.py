"""Pictures enter a shard with tiles or as they are, and a damaged one is found."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from ehps.errors import PictureError
from ehps.shards.digest import digest
from ehps.shards.jpeg import map_tiles
from ehps.shards.picture import decode_rgb, encode_jpeg, encode_png, encoded_picture, picture_of, picture_size

KEEP = {"jpeg": "keep", "png": "keep"}


def pixels(width: int = 37, height: int = 21) -> np.ndarray:
    """A smooth picture whose corners differ, RGB."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return np.stack([x, y, 255 - x], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("ext", ["jpg", "png"])
def test_the_owners_bytes_can_be_kept(make, ext, tmp_path):
    path, data = tmp_path / "picture", make.picture(3, ext)
    path.write_bytes(data)
    found = encoded_picture(path, **KEEP)
    assert found[:6] == (data, ext, make.width, make.height, "as_distributed", digest(data))
    assert found.luma is None
    assert found[:6] == picture_of(data)[:6]


def test_tiles_that_a_picture_brings_along_are_found():
    tiled, plain = encode_jpeg(pixels()), cv2.imencode(".jpg", pixels())[1].tobytes()
    for found in (encoded_picture(tiled, **KEEP), picture_of(tiled, "tiled")):
        assert found.tiles is not None
        assert (found.tiles.width, found.tiles.height) == (37, 21)
    assert picture_of(tiled, "tiled").stored == "tiled"
    assert picture_of(plain).tiles is None
    assert picture_of(encode_png(pixels())).tiles is None


def test_a_jpeg_gets_tiles_and_keeps_its_pixels():
    data = cv2.imencode(".jpg", pixels(), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    found = encoded_picture(data)
    assert (found.ext, found.width, found.height, found.stored) == ("jpg", 37, 21, "tiled")
    assert found.blake3 == digest(data) != digest(found.data)
    assert found.luma.shape == (3, 5)
    tiles = map_tiles(found.data)
    np.testing.assert_array_equal(tiles.row_offsets, found.tiles.row_offsets)
    np.testing.assert_array_equal(decode_rgb(found.data), decode_rgb(data))


def test_a_png_becomes_a_tiled_jpeg():
    data = encode_png(pixels(370, 210))
    found = encoded_picture(data)
    assert (found.ext, found.width, found.height, found.stored) == ("jpg", 370, 210, "png_to_jpeg_95")
    assert found.blake3 == digest(data)
    assert found.tiles.restart_mcus == 8
    assert found.data == encoded_picture(data).data
    assert np.abs(decode_rgb(found.data).astype(int) - pixels(370, 210)).max() < 12


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "I;16", "1"])
def test_a_png_of_any_kind_becomes_8_bits_without_transparency(mode, tmp_path):
    path = tmp_path / "a.png"
    gray = Image.fromarray(pixels()).convert("L")
    deep = Image.fromarray(np.asarray(gray).astype(np.uint16) * 257)
    (deep if mode == "I;16" else Image.fromarray(pixels()).convert(mode)).save(path)
    found = encoded_picture(path)
    expected = decode_rgb(encoded_picture(path, png="keep").data)
    assert np.abs(decode_rgb(found.data).astype(int) - expected).mean() < (40 if mode in "1P" else 5)
    assert Image.open(path).size == (found.width, found.height)
    channels = cv2.imdecode(np.frombuffer(found.data, np.uint8), cv2.IMREAD_UNCHANGED).ndim
    assert channels == (2 if mode in ("L", "I;16", "1") else 3)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"exif": b"Exif\0\0" + bytes(3000)}, {"quality": 10}])
def test_the_size_of_a_jpeg_is_read_from_its_header(options, tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(pixels()).save(path, **options)
    assert picture_size(path.read_bytes()) == (37, 21)


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "I;16", "1"])
def test_the_size_of_a_png_is_read_from_its_header(mode, tmp_path):
    path = tmp_path / "a.png"
    gray = Image.fromarray(pixels()).convert("L")
    (gray.convert("I").convert("I;16") if mode == "I;16" else gray.convert(mode)).save(path)
    assert picture_size(path.read_bytes()) == (37, 21)
    assert decode_rgb(path.read_bytes()).shape == (21, 37, 3)


@pytest.mark.parametrize("turns", [1, 2, 3, 4, 5, -1])
def test_a_png_is_turned_clockwise_without_loss(turns):
    found = encoded_picture(encode_png(pixels()), turns, png="keep")
    np.testing.assert_array_equal(decode_rgb(found.data), np.rot90(pixels(), -turns))
    assert found.stored == ("as_distributed" if turns == 4 else "turned_png")
    assert (found.width, found.height) == ((37, 21) if turns % 2 == 0 else (21, 37))


@pytest.mark.parametrize("options", [{}, KEEP])
@pytest.mark.parametrize("encode", [encode_jpeg, encode_png])
def test_a_turned_jpeg_stays_a_jpeg_and_says_so(encode, options):
    if options and encode is encode_png:
        return
    data = encode(pixels())
    found = encoded_picture(data, 1, **options)
    assert (found.ext, found.width, found.height, found.stored) == ("jpg", 21, 37, "turned_jpeg_95")
    assert found.blake3 == digest(data)
    assert (found.tiles.width, found.tiles.height) == (21, 37)
    difference = decode_rgb(found.data).astype(int) - np.rot90(pixels(), -1)
    assert np.abs(difference).mean() < 4


def test_a_turned_16_bit_png_keeps_its_depth():
    deep = (np.arange(12, dtype=np.uint16) * 5000).reshape(3, 4)
    found = encoded_picture(cv2.imencode(".png", deep)[1].tobytes(), 1, png="keep")
    stored = cv2.imdecode(np.frombuffer(found.data, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(stored, np.rot90(deep, -1))


def test_a_bitmap_becomes_a_png_without_loss_or_a_jpeg_like_a_png():
    data = cv2.imencode(".bmp", pixels()[..., ::-1])[1].tobytes()
    found = encoded_picture(data, png="keep")
    assert (found.ext, found.stored, found.blake3) == ("png", "lossless_png", digest(data))
    np.testing.assert_array_equal(decode_rgb(found.data), pixels())
    assert encoded_picture(data).data == encoded_picture(encode_png(pixels())).data


@pytest.mark.parametrize("turns", [0, 1])
def test_exif_orientation_is_ignored(turns, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.jpg"
    Image.fromarray(pixels()).save(path, exif=exif, quality=95)
    assert encoded_picture(path, jpeg="keep").data == path.read_bytes()
    found = encoded_picture(path, turns)
    expected = np.rot90(decode_rgb(path.read_bytes()), -turns)
    assert expected.shape == ((37, 21, 3) if turns else (21, 37, 3))
    assert np.abs(decode_rgb(found.data).astype(int) - expected).mean() < (4 if turns else 1e-9)
    seen = cv2.imdecode(np.frombuffer(found.data, np.uint8), cv2.IMREAD_COLOR)  # which obeys the tag
    assert seen.shape == expected.shape


@pytest.mark.parametrize("options", [{}, KEEP])
@pytest.mark.parametrize("ext", ["jpg", "png"])
@pytest.mark.parametrize("keep", [3, 12, 30, 200, -1])
@pytest.mark.parametrize("turns", [0, 3])
def test_a_cut_off_picture_is_damaged(make, ext, keep, turns, options):
    with pytest.raises(PictureError) as error:
        encoded_picture(make.picture(1, ext)[:keep], turns, name="scene/1.jpg", **options)
    assert error.value.reason in ("damaged_image", "unsupported_image")
    assert "scene/1.jpg" in str(error.value)


def test_a_thumbnail_does_not_hide_that_a_jpeg_is_cut_off(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(pixels()).save(path, exif=b"Exif\0\0" + encode_jpeg(pixels(8, 8)))
    for options in ({}, KEEP):
        with pytest.raises(PictureError, match="cut off after"):
            encoded_picture(path.read_bytes()[:-2], **options)


def test_bytes_after_the_end_do_no_harm(make):
    assert picture_size(make.picture() + bytes(50)) == (make.width, make.height)


@pytest.mark.parametrize(("ext", "words"), [("png", "cannot decode"), ("jpg", "cannot be used")])
def test_damage_in_the_middle_is_found_unless_the_bytes_are_kept(make, ext, words):
    data = bytearray(make.picture(1, ext))
    data[-300:-270] = bytes(30)
    assert encoded_picture(bytes(data), **KEEP).width == make.width
    for turns in (0, 2):
        with pytest.raises(PictureError, match=words):
            encoded_picture(bytes(data), turns)


def test_a_header_that_asks_for_too_much_memory_is_refused(make):
    data = bytearray(make.picture(1, "png"))
    data[16:24] = struct.pack(">II", 60000, 60000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    for read in (encoded_picture, decode_rgb):
        with pytest.raises(PictureError, match="OpenCV refuses"):
            read(bytes(data))


def test_what_is_too_large_for_a_jpeg_is_refused_by_name():
    wide = encode_png(np.zeros((1, 70000, 3), np.uint8))
    assert encoded_picture(wide, png="keep").width == 70000
    with pytest.raises(PictureError, match="70000 x 1 px of uint8 cannot be written as jpg") as error:
        encoded_picture(wide)
    assert error.value.reason == "unsupported_image"


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "missing_image"), (b"", "unsupported_image"), (b"GIF89a", "unsupported_image")]
)
def test_the_error_names_the_reason_of_the_reject(tmp_path, content, reason):
    path = tmp_path / "a.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PictureError, match=r"a\.jpg") as error:
        encoded_picture(path)
    assert error.value.reason == reason


@pytest.mark.parametrize(("reduce", "shape"), [(1, (64, 96, 3)), (2, (32, 48, 3)), (4, (16, 24, 3)), (8, (8, 12, 3))])
def test_a_jpeg_can_be_decoded_smaller(reduce, shape):
    found = decode_rgb(encode_jpeg(pixels(96, 64)), reduce=reduce)
    assert found.shape == shape
    np.testing.assert_allclose(found.mean(axis=(0, 1)), pixels(96, 64).mean(axis=(0, 1)), atol=4)
