"""Parts of pictures, and the tiles under a quadrilateral."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ehps.shards.jpeg import TileMap, mcu_window
from ehps.shards.region import part_of, seen_tiles

NOTHING = np.zeros(0, np.uint32)


def tile_map(width, height, mcu, restart_mcus):
    return TileMap(width, height, mcu, mcu, restart_mcus, 0, 0, NOTHING, NOTHING)


@settings(max_examples=30, deadline=None)
@given(
    st.tuples(st.floats(-50, 450), st.floats(-50, 350)),
    st.floats(-3.2, 3.2),
    st.tuples(st.floats(2, 300), st.floats(2, 300)),
    st.sampled_from([(8, 1), (16, 5), (16, 25), (8, 50)]),
    st.integers(0, 20),
)
def test_a_tile_is_seen_when_a_pixel_of_it_is(centre, angle, size, tiles, margin):
    """Seen are the tiles with a pixel at most ``margin`` columns and rows away from the quadrilateral."""
    across, down = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    half = np.array(size) / 2
    signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    corners = [np.array(centre) + across * i * half[0] + down * j * half[1] for i, j in signs]
    tiles = tile_map(400, 300, *tiles)
    seen = seen_tiles(
        tiles, mcu_window(tiles, (0, 0, 400, 300)), tuple((x, y) for x, y in np.array(corners).tolist()), margin
    )
    room = 40 + margin
    grid = np.stack(np.meshgrid(np.arange(-room, 400 + room), np.arange(-room, 300 + room)), axis=-1) - np.array(centre)
    inside = ((np.abs(grid @ across) <= half[0]) & (np.abs(grid @ down) <= half[1])).astype(np.uint8)
    within, around = (
        cv2.dilate(inside, np.ones((2 * reach + 1, 2 * reach + 1)))[room:-room, room:-room]
        for reach in (margin, margin + 4)
    )
    height, width = tiles.mcu_height, tiles.mcu_width * tiles.restart_mcus
    for row, column in np.ndindex(seen.shape):
        place = np.s_[row * height : (row + 1) * height, column * width : (column + 1) * width]
        assert seen[row, column] or not within[place].any()
        assert not seen[row, column] or around[place].any()


@pytest.mark.parametrize("reduce", [1, 2, 4, 8])
@pytest.mark.parametrize(
    "box", [(0, 0, 61, 43), (-20, -5, 9, 11), (17, 9, 18, 10), (60, 42, 200, 100), (500, 500, 501, 501)]
)
def test_a_part_is_a_piece_of_the_means_of_the_whole(box, reduce):
    picture = np.random.default_rng(0).integers(0, 256, (43, 61, 3), np.uint8)
    padded = cv2.copyMakeBorder(picture, 0, -43 % 8, 0, -61 % 8, cv2.BORDER_REPLICATE).astype(float)
    rows, columns = padded.shape[0] // reduce, padded.shape[1] // reduce
    means = padded.reshape(rows, reduce, columns, reduce, 3).mean(axis=(1, 3))
    part = part_of(picture, box, 1, reduce)
    top, left = part.y0 // reduce, part.x0 // reduce
    height, width = part.pixels.shape[:2]
    assert (part.x0 % reduce, part.y0 % reduce, part.reduce) == (0, 0, reduce)
    assert np.abs(means[top : top + height, left : left + width] - part.pixels).max() <= 0.5
    if reduce == 1 and max(box) < 200:
        x0, y0, x1, y1 = np.clip(box, 0, (61, 43, 61, 43))
        np.testing.assert_array_equal(part.pixels, picture[y0:y1, x0:x1])


def test_what_is_decoded_smaller_is_not_shrunk_again():
    small = np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8)
    part = part_of(small, (16, 8, 40, 24), 4, 4)
    np.testing.assert_array_equal(part.pixels, small[2:6, 4:10])
    assert (part.x0, part.y0) == (16, 8)
