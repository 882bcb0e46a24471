"""Counts and sizes as pages write them."""

import pytest

from ehps.dashboard.amounts import compact, counted, several, stored


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (9_999, "9,999"), (10_000, "10.0k"), (123_456, "123k"), (5_300_000, "5.3M"), (2 * 10**9, "2.0G")],
)
def test_counts_keep_within_four_digits_and_a_letter(number, text):
    assert compact(number) == text


@pytest.mark.parametrize(
    ("size", "text"), [(999, "999 bytes"), (1_000, "1.0 kB"), (29_100_000, "29.1 MB"), (1_234 * 10**9, "1.2 TB")]
)
def test_sizes_are_told_in_their_largest_unit(size, text):
    assert stored(size) == text


def test_one_is_not_many():
    assert [counted(n, "frame") for n in (0, 1, 2_000)] == ["**0** frames", "**1** frame", "**2,000** frames"]
    assert counted(2, "person", "people") == "**2** people"
    assert [several(n, "frame") for n in (0, 1, 2_000)] == ["0 frames", "1 frame", "2,000 frames"]
    assert several(2, "person", "people") == "2 people"
