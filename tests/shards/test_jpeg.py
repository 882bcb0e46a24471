"""A JPEG gets its tiles without loss, whatever kind it was, and a window of it holds the very pixels of the whole."""

import dataclasses
import io
import itertools
import shutil
import struct
import subprocess
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ehps.errors import PictureError
from ehps.shards.jpeg import TileMap, map_tiles, mcu_window, tile_jpeg, window_jpeg
from ehps.shards.picture import decode_rgb

SAMPLINGS = {
    "4:4:4": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    "4:2:2": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
    "4:2:0": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    "4:4:0": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440,
    "4:1:1": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411,
}
SIZES = [(1, 1), (7, 9), (8, 8), (17, 5), (333, 97), (640, 48), (129, 130)]  # one row, odd, prime, whole tiles


def photo(width: int, height: int, seed: int = 0) -> np.ndarray:
    """Noise at several scales with a hard edge: every kind of coefficient occurs."""
    rng = np.random.default_rng(seed)
    layers = [rng.normal(0, 40, (max(height // step, 1), max(width // step, 1), 3)) for step in (1, 4, 32)]
    out = 128 + sum(cv2.resize(layer, (width, height)) for layer in layers)
    out[:, width // 2 :] += 60
    return np.clip(out, 0, 255).astype(np.uint8)


def encode(pixels: np.ndarray, quality: int = 85, **options: int) -> bytes:
    """Write a JPEG with OpenCV; options by the last words of their names."""
    flat = [cv2.IMWRITE_JPEG_QUALITY, quality]
    for name, value in options.items():
        flat += [getattr(cv2, f"IMWRITE_JPEG_{name.upper()}"), value]
    return cv2.imencode(".jpg", pixels, flat)[1].tobytes()


def pillow(pixels: np.ndarray, mode: str = "RGB", **options: object) -> bytes:
    """Write a JPEG with Pillow."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, "jpeg", **options)
    return buffer.getvalue()


def segments(data: bytes) -> list[tuple[int, bytes]]:
    """The markers before the entropy-coded data with their bodies."""
    out, position = [], 2
    while not out or out[-1][0] != 0xDA:
        assert data[position] == 0xFF
        size = struct.unpack_from(">H", data, position + 2)[0]
        out.append((data[position + 1], data[position + 4 : position + 2 + size]))
        position += 2 + size
    return out


def joined(parts: list[tuple[int, bytes]], entropy: bytes) -> bytes:
    """The JPEG of these segments; ``entropy`` is what follows the last."""
    head = b"".join(struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body for marker, body in parts)
    return b"\xff\xd8" + head + entropy


def entropy_of(data: bytes) -> bytes:
    """What follows the header of the first scan."""
    return data[len(joined(segments(data), b"")) :]


def assert_same_pixels(data: bytes, tiled: bytes) -> None:
    """Both decoders see the same pixels, in colour and in the file's own channels."""
    for flags in (cv2.IMREAD_COLOR, cv2.IMREAD_UNCHANGED):
        before, after = (cv2.imdecode(np.frombuffer(d, np.uint8), flags) for d in (data, tiled))
        np.testing.assert_array_equal(before, after)
    before, after = (Image.open(io.BytesIO(d)) for d in (data, tiled))
    assert before.mode == after.mode
    np.testing.assert_array_equal(np.asarray(before), np.asarray(after))


def same_map(a: TileMap, b: TileMap) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in vars(a))


def check(data: bytes) -> TileMap:
    """Transcode, compare the pixels, hold the tiles against the bytes and return them."""
    tiled = tile_jpeg(data)
    assert_same_pixels(data, tiled.data)
    tiles = tiled.tiles
    found = map_tiles(tiled.data)
    assert found is not None
    assert same_map(found, tiles)
    offsets = tiles.row_offsets.tolist()
    assert tiled.data[offsets[-1] :] == b"\xff\xd9"
    assert offsets[0] == tiles.header_size
    assert tiles.header_crc32 == zlib.crc32(tiled.data[: offsets[0]])
    assert tiles.row_crc32.tolist() == [zlib.crc32(tiled.data[a:b]) for a, b in itertools.pairwise(offsets)]
    assert len(offsets) - 1 == -(-tiles.height // tiles.mcu_height)
    assert -(-tiles.width // tiles.mcu_width) % tiles.restart_mcus == 0
    again = tile_jpeg(tiled.data)
    assert (again.data, again.tiles.row_offsets.tolist()) == (tiled.data, offsets)
    gray = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_8 | cv2.IMREAD_IGNORE_ORIENTATION)
    assert np.abs(gray.astype(int) - tiled.luma).max() <= 1
    return tiles


@pytest.mark.parametrize("progressive", [0, 1])
@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("size", SIZES)
def test_a_jpeg_of_any_sampling_and_size_keeps_its_pixels(size, sampling, progressive):
    tiles = check(encode(photo(*size), progressive=progressive, sampling_factor=SAMPLINGS[sampling]))
    assert (tiles.width, tiles.height) == size


@pytest.mark.parametrize("size", [(65500, 3), (3, 65500)])
def test_the_longest_pictures_are_tiled(size):
    tiles = check(encode(np.tile(photo(100, 1), (size[1], size[0] // 100 + 1, 1))[:, : size[0]]))
    assert tiles.restart_mcus == {65500: 23, 3: 1}[size[0]]  # 4094 MCUs are 2 x 23 x 89
    assert len(tiles.row_crc32) == {3: 1, 65500: 4094}[size[1]]


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True}, {"quality": 100}, {"quality": 1}])
def test_gray_and_four_colours_keep_their_pixels(mode, options):
    tiles = check(pillow(photo(97, 61), mode, **options))
    assert (tiles.mcu_width, tiles.mcu_height) == ((8, 8) if mode == "L" else (16, 16) if mode == "RGB" else (8, 8))


def test_colours_that_are_not_luma_give_a_gray_thumbnail():
    data = pillow(photo(97, 61), keep_rgb=True)
    assert (0xEE, b"Adobe") in [(marker, body[:5]) for marker, body in segments(data)]
    check(data)


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
@pytest.mark.parametrize("blocks", [1, 3, 8, 100])
def test_restart_markers_in_another_rhythm_are_replaced(options, blocks):
    data = pillow(photo(200, 120), restart_marker_blocks=blocks, **options)
    assert tile_jpeg(data).tiles.restart_mcus == 13  # a row of 13 MCUs has no other divisor of four or more
    check(data)


def test_tiles_are_about_128_px_wide_and_divide_the_row():
    widths = {1920: 8, 3840: 8, 640: 8, 720: 9, 1080: 4, 336: 7, 208: 13, 37 * 16: 37, 48: 3}
    assert {w: check(encode(photo(w, 16))).restart_mcus for w in widths} == widths
    assert check(encode(photo(640, 16), sampling_factor=SAMPLINGS["4:4:4"])).restart_mcus == 16


def test_the_progressive_scans_of_a_flat_picture_are_runs_of_empty_blocks():
    check(encode(np.full((400, 800, 3), 77, np.uint8), progressive=1))


@pytest.mark.parametrize("quality", [30, 90, 100])
def test_noise_of_full_contrast_keeps_its_pixels(quality):
    noise = np.random.default_rng(1).integers(0, 2, (64, 80, 3), dtype=np.uint8) * 255
    check(encode(noise, quality))
    check(encode(noise, quality, progressive=1))


def one_scan_a_component(sizes: list[tuple[int, int]], factors: list[int], **options: object) -> bytes:
    """A sequential JPEG whose components come one after the other, made of gray JPEGs that share their tables."""
    grays = [pillow(photo(*size, seed), "L", **options) for seed, size in enumerate(sizes)]
    parts = [part for part in segments(grays[0]) if part[0] != 0xDA]
    marks = b"".join(bytes([number + 1, factor, 0]) for number, factor in enumerate(factors))
    frame = b"\x08" + struct.pack(">HHB", sizes[0][1], sizes[0][0], len(sizes)) + marks
    parts = [(marker, frame if marker == 0xC0 else body) for marker, body in parts]
    out = joined(parts, b"")
    for number, gray in enumerate(grays):
        books = [part for part in segments(gray) if part[0] == 0xC4]
        scan = [(0xDA, bytes([1, number + 1, 0, 0, 63, 0]))]
        out += joined(books + scan, entropy_of(gray)[:-2])[2:]
    return out + b"\xff\xd9"


@pytest.mark.parametrize("options", [{}, {"optimize": True}, {"restart_marker_blocks": 5}])
@pytest.mark.parametrize("size", [(64, 48), (101, 43)])
def test_components_in_scans_of_their_own_are_joined(size, options):
    half = (-(-size[0] // 2), -(-size[1] // 2))
    check(one_scan_a_component([size, half, half], [0x22, 0x11, 0x11], quality=60, **options))
    check(one_scan_a_component([size, size, size], [0x11, 0x11, 0x11], quality=60, **options))
    black = check(one_scan_a_component([size, half, half, size], [0x22, 0x11, 0x11, 0x22], quality=60, **options))
    assert (black.mcu_width, black.mcu_height) == (16, 16)


def test_optimised_tables_get_the_codes_that_new_tiles_need():
    # A ramp has small differences everywhere, so its own table cannot say the brightness that a tile begins with.
    ramp = np.repeat(np.linspace(0, 250, 512).astype(np.uint8)[None, :], 64, axis=0)
    data = pillow(ramp, "L", optimize=True, quality=50)
    before = dict(segments(data))[0xC4]
    assert len(dict(segments(tile_jpeg(data).data))[0xC4]) >= len(before) - 17
    check(data)
    assert len(tile_jpeg(data).data) < 1.2 * len(data)


def test_a_quantisation_of_16_bits_is_kept():
    data = encode(photo(64, 40))
    parts = []
    for marker, body in segments(data):
        if marker == 0xDB:
            body = bytes([0x10 | body[0]]) + b"".join(bytes([0, step]) for step in body[1:65])
        parts.append((0xC1 if marker == 0xC0 else marker, body))
    check(joined(parts, entropy_of(data)))
    large = [(m, b[:-2] + b"\x01\x2c" if m == 0xDB else b) for m, b in parts]
    check(joined(large, entropy_of(data)))


def test_several_tables_in_one_segment_and_fill_bytes_are_read():
    data = encode(photo(64, 40), optimize=1)
    parts = segments(data)
    books = b"".join(body for marker, body in parts if marker == 0xC4)
    others = [part for part in parts if part[0] not in (0xC4, 0xDA)]
    merged = joined([*others, (0xC4, books), parts[-1]], entropy_of(data))
    check(merged)
    assert tile_jpeg(merged.replace(b"\xff\xdb", b"\xff\xff\xff\xff\xdb")).data == tile_jpeg(merged).data
    assert tile_jpeg(merged[:-2] + b"\xff\xff\xff\xd9").data == tile_jpeg(merged).data


def test_what_decoders_pass_over_does_no_harm():
    data = encode(photo(64, 40))
    assert tile_jpeg(data + b"more behind the end").data == tile_jpeg(data).data
    assert tile_jpeg(data[:-2] + bytes(9) + data[-2:]).data == tile_jpeg(data).data


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("progressive", [False, True])
def test_the_orientation_is_made_upright_and_other_application_data_stay(order, progressive):
    entries = [(0x010E, 2, 4, b"abc\0"), (0x0112, 3, 1, struct.pack(order + "HH", 6, 0)), (0x0128, 3, 1, b"\2\0\2\0")]
    body = b"".join(struct.pack(order + "HHI", *entry[:3]) + entry[3] for entry in entries)
    mark = b"II" if order == "<" else b"MM"
    exif = b"Exif\0\0" + mark + struct.pack(order + "HIH", 42, 8, len(entries)) + body + bytes(4)
    colour = bytes(range(200))
    data = pillow(photo(40, 24), exif=exif, icc_profile=colour, comment=b"by hand", progressive=progressive)
    tiled = tile_jpeg(data).data
    found = Image.open(io.BytesIO(tiled))
    assert dict(found.getexif()) == {**Image.open(io.BytesIO(data)).getexif(), 0x0112: 1}
    assert found.info["icc_profile"] == colour
    assert found.info["comment"] == b"by hand"
    upright = cv2.imdecode(np.frombuffer(tiled, np.uint8), cv2.IMREAD_COLOR)
    assert upright.shape == (24, 40, 3)
    np.testing.assert_array_equal(decode_rgb(data), upright[..., ::-1])


@pytest.mark.parametrize("body", [b"", b"II", b"II*\0\xff\xff\xff\x7f", b"MM\0*\0\0\0\x08\xff\xff\x01\x12"])
def test_a_broken_exif_block_is_left_alone(body):
    data = pillow(photo(40, 24), exif=b"Exif\0\0" + body)
    kept = [part for part in segments(data) if part[0] == 0xE1]
    assert [part for part in segments(tile_jpeg(data).data) if part[0] == 0xE1] == kept


@pytest.mark.skipif(shutil.which("jpegtran") is None, reason="jpegtran is not installed (libjpeg-turbo-progs)")
@pytest.mark.parametrize("progressive", [0, 1])
def test_jpegtran_makes_the_same_pixels_of_it(progressive):
    data = encode(photo(333, 200), progressive=progressive)
    theirs = subprocess.run(["jpegtran", "-restart", "8B"], input=data, capture_output=True, check=True).stdout
    np.testing.assert_array_equal(decode_rgb(tile_jpeg(data).data), decode_rgb(theirs))
    check(theirs)


def test_only_even_tiles_are_mapped():
    even, odd = encode(photo(320, 64), rst_interval=5), encode(photo(320, 64), rst_interval=7)
    tiles = map_tiles(even)
    assert tiles is not None
    assert (tiles.restart_mcus, tiles.mcu_width, len(tiles.row_crc32)) == (5, 16, 4)
    assert map_tiles(odd) is None
    for other in (
        encode(photo(320, 64)),
        encode(photo(320, 64), rst_interval=5, progressive=1),
        even[:-2],
        b"",
        b"PNG",
    ):
        assert map_tiles(other) is None
    assert map_tiles(even.replace(b"\xff\xd3", b"\xff\xd4", 1)) is None


def cut(
    data: bytes, tiles: TileMap, box: tuple[int, int, int, int], reduce: int = 1, keep: object = None
) -> np.ndarray:
    """Decode the window of a box from the bytes of its rows alone and return the box."""
    window = mcu_window(tiles, box, reduce)
    rows = data[tiles.row_offsets[window.row0] : tiles.row_offsets[window.row1]]
    pixels = decode_rgb(window_jpeg(data[: tiles.header_size], rows, tiles, window, keep), reduce=reduce)
    assert pixels.shape[:2] == (-(-window.height // reduce), -(-window.width // reduce))
    x0, y0, x1, y1 = (-(-edge // reduce) for edge in box)
    left, top = window.x0 // reduce, window.y0 // reduce
    return pixels[y0 - top : y1 - top, x0 - left : x1 - left]


@st.composite
def pictures_and_boxes(draw) -> tuple[bytes, tuple[int, int, int, int], int]:
    reduce = draw(st.sampled_from([1, 1, 1, 2, 4, 8]))
    width, height = draw(st.integers(1, 700)), draw(st.integers(1, 120))
    kind = draw(st.sampled_from([*SAMPLINGS, "gray", "four colours"]))
    quality, progressive = draw(st.integers(5, 100)), draw(st.sampled_from([0, 0, 1]))
    pixels = photo(width, height, draw(st.integers(0, 99)))
    if kind in SAMPLINGS:
        data = encode(pixels, quality, progressive=progressive, sampling_factor=SAMPLINGS[kind])
    else:
        data = pillow(pixels, "L" if kind == "gray" else "CMYK", quality=quality, progressive=bool(progressive))
    x0, y0 = (draw(st.integers(0, (size - 1) // reduce)) * reduce for size in (width, height))
    x1, y1 = (draw(st.integers(1, -(-(size - a) // reduce))) * reduce + a for a, size in ((x0, width), (y0, height)))
    return data, (x0, y0, min(x1, width), min(y1, height)), reduce


@settings(max_examples=120, deadline=None)
@given(pictures_and_boxes())
def test_a_box_of_a_window_has_the_pixels_of_the_whole_picture(case):
    data, box, reduce = case
    tiled = tile_jpeg(data)
    assert_same_pixels(data, tiled.data)
    x0, y0, x1, y1 = (-(-edge // reduce) for edge in box)
    whole = decode_rgb(data, reduce=reduce)[y0:y1, x0:x1]
    np.testing.assert_array_equal(cut(tiled.data, tiled.tiles, box, reduce), whole)


def test_a_window_holds_no_more_tiles_than_its_box_needs():
    tiles = tile_jpeg(encode(photo(1280, 256))).tiles
    window = mcu_window(tiles, (300, 70, 380, 90))
    assert (window.column0, window.column1, window.row0, window.row1) == (16, 24, 4, 6)
    assert (window.x0, window.y0, window.width, window.height) == (256, 64, 128, 32)
    assert mcu_window(tiles, (257, 66, 380, 90)).column0 == 8
    assert mcu_window(tiles, (300, 65, 380, 90)).row0 == 3


@pytest.mark.parametrize("box", [(-50, -50, 5, 5), (1270, 250, 9999, 9999), (-9, 300, 2000, 400), (-90, -90, -10, -10)])
def test_a_box_beyond_the_picture_is_clipped_to_a_pixel_at_least(box):
    tiled = tile_jpeg(encode(photo(1280, 256)))
    window = mcu_window(tiled.tiles, box)
    assert 0 <= window.row0 < window.row1 <= 16
    assert 0 <= window.column0 < window.column1 <= 80
    assert window.x0 + window.width <= 1280
    assert window.y0 + window.height <= 256


def test_a_window_carries_no_application_data_but_what_tells_the_colours():
    data = pillow(photo(256, 64), "CMYK", exif=b"Exif\0\0" + bytes(9000), icc_profile=bytes(500))
    tiled = tile_jpeg(data)
    tiles, window = tiled.tiles, mcu_window(tiled.tiles, (0, 0, 9, 9))
    small = window_jpeg(
        tiled.data[: tiles.header_size], tiled.data[tiles.row_offsets[0] : tiles.row_offsets[2]], tiles, window
    )
    assert {marker for marker, _ in segments(small) if marker >= 0xE0} == {0xEE}
    assert len(small) < 4000


@pytest.mark.parametrize("options", [{}, {"optimize": 1}])
def test_tiles_that_nobody_needs_come_out_gray_and_small(options):
    tiled = tile_jpeg(encode(photo(512, 64), **options))
    tiles, window = tiled.tiles, mcu_window(tiled.tiles, (0, 0, 512, 64))
    keep = np.eye(4, dtype=bool)
    rows = tiled.data[tiles.row_offsets[0] : tiles.row_offsets[4]]
    small = window_jpeg(tiled.data[: tiles.header_size], rows, tiles, window, keep)
    assert len(small) < 0.5 * len(tiled.data)
    found, whole = decode_rgb(small), decode_rgb(tiled.data)
    np.testing.assert_array_equal(found[34:46, 258:382], whole[34:46, 258:382])  # the third tile of the third row
    assert set(found[2:14, 258:382].ravel()) == {128}
    with pytest.raises(ValueError, match="keep should have shape"):
        window_jpeg(tiled.data[: tiles.header_size], rows, tiles, window, keep[:2])


def test_offsets_may_be_a_view_with_gaps():
    tiled = tile_jpeg(encode(photo(256, 64)))
    table = np.zeros(5, [("offset", "<u4"), ("crc32", "<u4")])
    table["offset"] = tiled.tiles.row_offsets
    view = dataclasses.replace(tiled.tiles, row_offsets=table["offset"], row_crc32=table["crc32"][:-1])
    box = (130, 20, 250, 60)
    np.testing.assert_array_equal(cut(tiled.data, view, box), decode_rgb(tiled.data)[20:60, 130:250])


def test_rows_that_are_not_those_of_the_window_are_refused():
    tiled = tile_jpeg(encode(photo(512, 64)))
    tiles, window = tiled.tiles, mcu_window(tiled.tiles, (0, 0, 50, 20))
    header, rows = tiled.data[: tiles.header_size], tiled.data[tiles.row_offsets[0] : tiles.row_offsets[2]]
    for head, body in (
        (header, rows[:-1]),
        (header, b""),
        (header[:-1], rows),
        (b"", rows),
        (header, bytes(len(rows))),
    ):
        with pytest.raises(PictureError, match="restart markers"):
            window_jpeg(head, body, tiles, window)
    with pytest.raises(ValueError, match="has 4 MCU rows, the window ends at 9"):
        window_jpeg(header, rows, tiles, dataclasses.replace(window, row1=9))


@pytest.mark.real
def test_real_photographs_keep_their_pixels(real_dir):
    paths = sorted(real_dir.rglob("*.jpg"))
    assert len(paths) >= 11
    for path in paths:
        data = path.read_bytes()
        tiles = check(data)
        assert len(tile_jpeg(data).data) < 1.1 * len(data)
        box = (tiles.width // 3, tiles.height // 3, tiles.width // 2, tiles.height // 2)
        whole = decode_rgb(data)[box[1] : box[3], box[0] : box[2]]
        np.testing.assert_array_equal(cut(tile_jpeg(data).data, tiles, box), whole)
