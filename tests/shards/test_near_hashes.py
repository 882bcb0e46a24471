"""The search for near hashes, against comparing all with all."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ehps.shards.near_hashes import HashTable


def flipped(value: int, bits: set[int]) -> int:
    for bit in bits:
        value ^= 1 << bit
    return value


hashes = st.lists(
    st.one_of(
        st.integers(1, 2**64 - 1), st.integers(1, 63).map(lambda bit: flipped(0x0F0F_3355_AAAA_1234, {bit, bit // 2}))
    ),
    max_size=30,
)


@settings(deadline=None, max_examples=30)
@given(hashes, hashes, st.integers(0, 15), st.data())
def test_the_search_finds_what_comparing_all_with_all_finds(train, test, distance, data):
    for _ in range(min(len(test), 5)):
        bits = data.draw(st.sets(st.integers(0, 63), max_size=distance + 1))
        train.append(flipped(data.draw(st.sampled_from(test)), bits))
    ours, theirs = np.unique(np.array(train, np.uint64)), np.unique(np.array(test, np.uint64))
    everything = np.bitwise_count(ours[:, None] ^ theirs[None])
    expected = {(a, b, everything[a, b]) for a, b in np.argwhere(everything <= distance).tolist()}
    found = [
        triple
        for a, b, bits in HashTable(theirs, distance).near(ours)
        for triple in zip(a.tolist(), b.tolist(), bits.tolist(), strict=True)
    ]
    assert len(found) == len(set(found))
    assert set(found) == expected
