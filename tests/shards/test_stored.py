"""Bytes of a tar are read by their places, and damage is found."""

import itertools
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ehps.errors import ShardError
from ehps.shards.stored import TarFile
from ehps.shards.ustar import Place


def pieces_of(data, cuts, before):
    """Return where pieces start (and the last one ends) and the CRC-32 of each."""
    starts = np.array([0, *sorted(min(cut, len(data)) for cut in cuts), len(data)], np.uint32)
    checksums = [zlib.crc32(data[a:b]) for a, b in itertools.pairwise(starts.tolist())]
    return starts + np.uint32(before), np.array(checksums, np.uint32)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=700), st.lists(st.integers(0, 700), max_size=6), st.integers(0, 40), st.data())
def test_every_changed_bit_of_a_piece_is_found(tmp_path_factory, data, cuts, before, draw):
    path = tmp_path_factory.mktemp("pieces") / "a.tar"
    starts, checksums = pieces_of(data, cuts, before)
    path.write_bytes(b"*" * (before + 5) + data + b"after")
    place = Place(5, before + len(data), 0)
    assert TarFile(path).read_pieces(place, starts, checksums) == data
    if data:
        bit = draw.draw(st.integers(0, 8 * len(data) - 1))
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(b"*" * (before + 5) + damaged)
        piece = int(np.searchsorted(starts[1:], before + bit // 8, side="right"))
        with pytest.raises(
            ShardError, match=rf"the {starts[piece + 1] - starts[piece]} bytes at {starts[piece] + 5} are"
        ):
            TarFile(path).read_pieces(place, starts, checksums)


def test_long_pieces_have_the_checksum_of_zlib(tmp_path):
    data = np.random.default_rng(0).integers(0, 256, 100_000, np.uint8).tobytes()
    (tmp_path / "a.tar").write_bytes(data)
    tar = TarFile(tmp_path / "a.tar")
    for length in (*range(56, 90), 127, 128, 129, 1023, 65_536, 99_999):
        starts, checksums = pieces_of(data[:length], [length // 3], 0)
        assert tar.read_pieces(Place(0, length, 0), starts, checksums) == data[:length]


def test_a_piece_beyond_the_end_is_damaged(tmp_path):
    (tmp_path / "a.tar").write_bytes(b"short")
    starts, checksums = pieces_of(b"longer than that", [], 0)
    with pytest.raises(ShardError, match="the 16 bytes at 0 are damaged; convert the unit again"):
        TarFile(tmp_path / "a.tar").read_pieces(Place(0, 16, 0), starts, checksums)


@pytest.mark.parametrize("starts", [(9, 3), (0, 4_000_000_000), (5, 2, 8), (0, 9, 4), (0, 4_294_967_295, 8), (7, 0, 9)])
def test_places_that_cannot_be_are_damaged(tmp_path, starts):
    """A damaged index must not make the check read what is not there."""
    (tmp_path / "a.tar").write_bytes(b"0123456789")
    checksums = np.zeros(len(starts) - 1, np.uint32)
    with pytest.raises(ShardError, match="are damaged; convert the unit again"):
        TarFile(tmp_path / "a.tar").read_pieces(Place(0, 10, 0), np.array(starts, np.uint32), checksums)
