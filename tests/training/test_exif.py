"""What a camera wrote beside the pixels."""

import struct

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ehps.shards.picture import decode_rgb, encode_jpeg, encode_png
from ehps.training.exif import Exif, read_exif, upright

PICTURE = np.zeros((48, 64, 3), np.uint8)
PICTURE[:16, :16] = (255, 0, 0)
PICTURE[-16:, :32] = (0, 0, 255)


def tiff(order, orientation, focal):
    """A TIFF block with both tags, and one that holds text, in either byte order."""
    mark, start = {"<": b"II", ">": b"MM"}[order], 8
    entries = [(0x010F, 2, 4, b"abc\0"), (0x0112, 3, 1, struct.pack(f"{order}H", orientation) + b"\0\0")]
    further = start + 2 + 12 * 3 + 4
    entries.append((0x8769, 4, 1, struct.pack(f"{order}I", further)))
    out = mark + struct.pack(f"{order}HI", 42, start) + struct.pack(f"{order}H", 3)
    out += b"".join(struct.pack(f"{order}HHI", *entry[:3]) + entry[3] for entry in entries) + b"\0" * 4
    return out + struct.pack(f"{order}HHHIH", 1, 0xA405, 3, 1, focal) + b"\0" * 6


def with_exif(order="<", orientation=1, focal=0):
    block = b"Exif\0\0" + tiff(order, orientation, focal)
    data = encode_jpeg(PICTURE)
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + data[2:]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_as_opencv_turns_them(order, orientation):
    data = with_exif(order, orientation, 28)
    exif = read_exif(data)
    assert exif == Exif(orientation, 28.0)
    turned = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    np.testing.assert_array_equal(upright(decode_rgb(data), exif.orientation), turned)


def test_the_focal_length_goes_by_the_diagonal():
    """36 x 24 mm at 36 mm: as many px as the picture is wide."""
    assert Exif(focal_35mm=36).focal_px(3600, 2400) == pytest.approx(3600, rel=1e-5)
    assert Exif().focal_px(3600, 2400) is None


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8\xff", encode_jpeg(PICTURE), encode_png(PICTURE), with_exif(focal=0, orientation=9)]
)
def test_what_says_nothing_has_the_defaults(data):
    assert read_exif(data) == Exif()


@given(cut=st.integers(0, 120), changed=st.integers(2, 120), value=st.integers(0, 255))
def test_broken_notes_are_no_error(cut, changed, value):
    data = bytearray(with_exif(orientation=6, focal=35))
    data[changed] = value
    assert 1 <= read_exif(bytes(data)).orientation <= 8
    assert 1 <= read_exif(bytes(data[:cut])).orientation <= 8
