"""Our decoder of tiles gives the bits of OpenCV's libjpeg, and leaves to it what it does not know."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ehps.errors import PictureError, ShardError
from ehps.shards import stored as of_frames
from ehps.shards.jpeg import decode_window, mcu_window, tile_jpeg, window_jpeg
from ehps.shards.picture import decode_rgb
from ehps.tests.shards.test_cutting import tiled
from ehps.tests.shards.test_jpeg import encode, photo, pillow

SAMPLINGS = {"4:4:4": 0x111111, "4:2:2": 0x211111, "4:2:0": 0x221111}
OTHERS = {"4:4:0": 0x121111, "4:1:1": 0x411111}


def parts(picture, window, keep=None):
    """The arguments of ``window_jpeg`` and ``decode_window``."""
    tiles = picture.tiles
    rows = picture.data[tiles.row_offsets[window.row0] : tiles.row_offsets[window.row1]]
    return picture.data[: tiles.header_size], rows, tiles, window, keep


def whole(picture):
    return mcu_window(picture.tiles, (0, 0, picture.tiles.width, picture.tiles.height))


def assert_same(picture, window, reduce=1):
    arguments = parts(picture, window)
    found = decode_window(*arguments, reduce)
    np.testing.assert_array_equal(found, decode_rgb(window_jpeg(*arguments), reduce=reduce))


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(list(SAMPLINGS)),
    st.tuples(st.integers(1, 300), st.integers(1, 120)),
    st.integers(1, 100),
    st.sampled_from([1, 2, 4, 8]),
    st.tuples(*[st.integers(-20, 320)] * 4),
    st.booleans(),
)
def test_every_window_has_the_bits_of_opencv(sampling, size, quality, reduce, edges, is_optimised):
    options = {"sampling_factor": SAMPLINGS[sampling], "optimize": int(is_optimised)}
    picture = tile_jpeg(encode(photo(*size, seed=quality), quality, **options))
    x0, x1, y0, y1 = *sorted(edges[:2]), *sorted(edges[2:])
    assert_same(picture, mcu_window(picture.tiles, (x0, y0, x1, y1), reduce), reduce)


@pytest.mark.parametrize("reduce", [1, 2, 4, 8])
@pytest.mark.parametrize("quality", [1, 50, 100])
@pytest.mark.parametrize("kind", ["board", "stripes", "noise", "flat"])
def test_the_hardest_pictures_have_the_bits_of_opencv(kind, quality, reduce):
    rows, columns = np.mgrid[0:75, 0:210]
    random = np.random.default_rng(1).integers(0, 2, (75, 210, 3))
    pixels = {"board": (rows + columns) % 2, "stripes": columns // 3 % 2, "noise": random, "flat": rows * 0 + 1}[kind]
    pixels = np.broadcast_to(pixels.reshape(75, 210, -1) * 255, (75, 210, 3)) * np.array([1, 0.9, 0.1])
    for sampling in SAMPLINGS.values():
        picture = tile_jpeg(encode(pixels.astype(np.uint8), quality, sampling_factor=sampling))
        assert_same(picture, whole(picture), reduce)


def test_pictures_of_other_encoders_have_the_bits_of_opencv():
    pixels = photo(260, 140)
    for options in ({"progressive": True}, {"optimize": True, "subsampling": 0}, {"qtables": "web_low"}):
        picture = tile_jpeg(pillow(pixels, quality=options.pop("quality", 75), **options))
        assert_same(picture, whole(picture))


def test_more_codes_than_are_kept_do_not_mix():
    """Each picture has tables of its own; those of one thread are kept a few at a time."""
    pictures = [tile_jpeg(encode(photo(64, 48, seed), 40 + 7 * seed, optimize=1)) for seed in range(7)]
    for picture in [*pictures, *pictures[::-1], *pictures[::2]]:
        assert_same(picture, whole(picture))


@pytest.mark.parametrize("reduce", [1, 2, 4, 8])
def test_tiles_that_nobody_looks_at_are_gray_and_change_nothing_two_pixels_away(reduce):
    picture = tile_jpeg(encode(photo(640, 160), 90))
    tiles, window = picture.tiles, whole(picture)
    keep = np.random.default_rng(2).random((window.row1, -(-640 // (tiles.mcu_width * tiles.restart_mcus)))) < 0.5
    found, full = decode_window(*parts(picture, window, keep), reduce), decode_window(*parts(picture, window), reduce)
    side = (tiles.mcu_height // reduce, tiles.mcu_width * tiles.restart_mcus // reduce)
    kept = np.kron(keep, np.ones(side, np.uint8))[: found.shape[0], : found.shape[1]]
    kernel = np.ones((5, 5), np.uint8)
    inside, outside = cv2.erode(kept, kernel) > 0, cv2.dilate(kept, kernel) == 0
    np.testing.assert_array_equal(found[inside], full[inside])
    assert (found[outside] == 128).all()
    assert inside.any()
    assert outside.any() or reduce > 4
    np.testing.assert_array_equal(found, decode_window(*parts(picture, window, keep), reduce))


@pytest.mark.parametrize("kind", [*OTHERS, "gray", "rgb", "cmyk"])
def test_other_kinds_are_left_to_opencv(kind):
    pixels = photo(200, 60)
    if kind in OTHERS:
        data = encode(pixels, sampling_factor=OTHERS[kind])
    else:
        options = {"keep_rgb": True} if kind == "rgb" else {}
        data = pillow(pixels, {"gray": "L", "cmyk": "CMYK"}.get(kind, "RGB"), **options)
    picture = tile_jpeg(data)
    assert decode_window(*parts(picture, whole(picture))) is None


def test_a_frame_of_another_kind_is_cut_by_opencv(tmp_path):
    frame, picture = tiled(tmp_path / "a.tar", photo(300, 200), sampling="4:4:0")
    box = (20, 30, 180, 150)
    expected = decode_rgb(picture.data)
    found = frame.region(box)
    inside = np.s_[30 - found.y0 : 150 - found.y0, 20 - found.x0 : 180 - found.x0]
    np.testing.assert_array_equal(found.pixels[inside], expected[30:150, 20:180])


def test_markers_that_are_not_where_they_should_be_are_named(tmp_path, monkeypatch):
    frame, picture = tiled(tmp_path / "a.tar", photo(640, 200))
    header, rows, tiles, window, _ = parts(picture, whole(picture))
    broken = rows.replace(b"\xff\xd1", b"\x00\xd1")
    with pytest.raises(PictureError, match="restart markers"):
        decode_window(header, broken, tiles, window)
    with pytest.raises(PictureError, match="restart markers"):
        decode_window(header[:40], rows, tiles, window)
    with pytest.raises(PictureError, match="restart markers"):
        decode_window(header, rows[:-200], tiles, window)
    monkeypatch.setattr(of_frames.TarFile, "read_pieces", lambda *_: broken)
    with pytest.raises(ShardError, match="are not where its sidecar says"):
        frame.region((0, 0, 640, 200))
