"""Keyed permutations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ehps.training.permutation import keys_of, permuted


@pytest.mark.parametrize("size", [1, 2, 3, 5, 16, 37, 1000, 4099])
def test_a_pass_is_a_permutation_of_its_own(size):
    index, sizes = np.arange(size), np.full(size, size)
    first, second = (permuted(index, sizes, keys_of(7, 0, np.full(size, n))) for n in (0, 1))
    assert sorted(first) == list(range(size))
    if size > 15:
        assert (first == second).mean() < 0.3
        assert (first == index).mean() < 0.3


def test_a_permutation_leaves_no_trace_of_the_order():
    size = 5000
    taken = permuted(np.arange(size), np.full(size, size), keys_of(1, np.zeros(size, int)))
    assert abs(np.corrcoef(np.arange(size), taken)[0, 1]) < 0.05
    assert abs(np.corrcoef(taken[:-1], taken[1:])[0, 1]) < 0.05


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(1, 200), min_size=1, max_size=8), seed=st.integers(0, 2**32))
def test_permutations_of_several_sizes_are_computed_side_by_side(sizes, seed):
    index = np.concatenate([np.arange(size) for size in sizes])
    source = np.repeat(np.arange(len(sizes)), sizes)
    taken = permuted(index, np.repeat(sizes, sizes), keys_of(seed, source))
    for number, size in enumerate(sizes):
        assert sorted(taken[source == number]) == list(range(size))
