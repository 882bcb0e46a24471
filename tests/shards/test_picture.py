"""Pictures enter a shard as they are, and a damaged one is found."""

import cv2
import numpy as np
import pytest
from PIL import Image

from ehps.errors import PictureError
from ehps.shards.picture import decode_rgb, encode_jpeg, encode_png, encoded_picture, picture_size


def pixels(width: int = 37, height: int = 21) -> np.ndarray:
    """A smooth picture whose corners differ, RGB."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return np.stack([x, y, 255 - x], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("ext", ["jpg", "png"])
def test_the_owners_bytes_are_kept(make, ext, tmp_path):
    path = tmp_path / "picture"
    path.write_bytes(make.picture(3, ext))
    assert encoded_picture(path) == (path.read_bytes(), ext, make.width, make.height, "as_distributed")


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
    found = encoded_picture(encode_png(pixels()), turns)
    np.testing.assert_array_equal(decode_rgb(found.data), np.rot90(pixels(), -turns))
    assert found.stored == ("as_distributed" if turns == 4 else "turned_png")
    assert (found.width, found.height) == ((37, 21) if turns % 2 == 0 else (21, 37))


def test_a_turned_jpeg_stays_a_jpeg_and_says_so():
    found = encoded_picture(encode_jpeg(pixels()), 1)
    assert (found.ext, found.width, found.height, found.stored) == ("jpg", 21, 37, "turned_jpeg_95")
    difference = decode_rgb(found.data).astype(int) - np.rot90(pixels(), -1)
    assert np.abs(difference).mean() < 4


def test_a_turned_16_bit_png_keeps_its_depth():
    deep = (np.arange(12, dtype=np.uint16) * 5000).reshape(3, 4)
    found = encoded_picture(cv2.imencode(".png", deep)[1].tobytes(), 1)
    stored = cv2.imdecode(np.frombuffer(found.data, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(stored, np.rot90(deep, -1))


def test_a_bitmap_becomes_a_png_without_loss():
    found = encoded_picture(cv2.imencode(".bmp", pixels()[..., ::-1])[1].tobytes())
    assert (found.ext, found.stored) == ("png", "lossless_png")
    np.testing.assert_array_equal(decode_rgb(found.data), pixels())


def test_exif_orientation_is_ignored(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.jpg"
    Image.fromarray(pixels()).save(path, exif=exif, quality=95)
    assert encoded_picture(path).data == path.read_bytes()
    assert decode_rgb(path.read_bytes()).shape == (21, 37, 3)


@pytest.mark.parametrize("ext", ["jpg", "png"])
@pytest.mark.parametrize("keep", [3, 12, 30, 200, -1])
def test_a_cut_off_picture_is_damaged(make, ext, keep):
    with pytest.raises(PictureError) as error:
        encoded_picture(make.picture(1, ext)[:keep], name="scene/1.jpg")
    assert error.value.reason in ("damaged_image", "unsupported_image")
    assert "scene/1.jpg" in str(error.value)


def test_a_thumbnail_does_not_hide_that_a_jpeg_is_cut_off(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(pixels()).save(path, exif=b"Exif\0\0" + encode_jpeg(pixels(8, 8)))
    with pytest.raises(PictureError, match="cut off after"):
        encoded_picture(path.read_bytes()[:-2])


def test_bytes_after_the_end_do_no_harm(make):
    assert picture_size(make.picture() + bytes(50)) == (make.width, make.height)


def test_decoding_finds_damage_in_the_middle(make):
    data = bytearray(make.picture(1, "png"))
    data[60:90] = bytes(30)
    assert encoded_picture(bytes(data)).width == make.width
    with pytest.raises(PictureError, match="cannot decode"):
        encoded_picture(bytes(data), decode=True)


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
