"""The CRC-32 of joined pieces is zlib's of the joined bytes."""

import zlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ehps.shards.crc32 import joined_crc32


@given(st.lists(st.lists(st.binary(max_size=300), min_size=1, max_size=6), min_size=1, max_size=5))
def test_joined_pieces_have_the_crc32_of_their_bytes(wholes):
    after = [sum(map(len, pieces[place + 1 :])) for pieces in wholes for place in range(len(pieces))]
    begin = np.cumsum([0] + [len(pieces) for pieces in wholes[:-1]]).astype(np.int64)
    crc32 = np.array([zlib.crc32(piece) for pieces in wholes for piece in pieces], np.uint32)
    found = joined_crc32(crc32, np.array(after, np.int64), begin)
    assert found.tolist() == [zlib.crc32(b"".join(pieces)) for pieces in wholes]


def test_a_piece_before_many_bytes():
    first, rest = b"some bytes", bytes(range(256)) * 70_000
    crc32 = np.array([zlib.crc32(first), zlib.crc32(rest)], np.uint32)
    found = joined_crc32(crc32, np.array([len(rest), 0], np.int64), np.array([0], np.int64))
    assert found.tolist() == [zlib.crc32(first + rest)]
