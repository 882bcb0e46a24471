"""Joining the bytes that are wanted to the runs that are read."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from ehps.shards.runs import Run, Span, join_runs

SPANS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 2000), st.integers(0, 300)).map(
        lambda v: Span(v[0], v[1], v[1] + v[2])
    ),
    max_size=40,
)


@given(SPANS, st.integers(0, 200), st.integers(1, 800))
def test_every_span_lies_in_one_run(spans, gap, longest):
    runs = join_runs(spans, gap=gap, longest=longest)
    inside = [span for run in runs for span in run.spans]
    assert sorted(inside) == sorted(set(spans))
    for run in runs:
        assert all(span.file == run.file and run.start <= span.start <= span.end <= run.end for span in run.spans)
        assert run.start == min(span.start for span in run.spans)
        assert run.end == max(span.end for span in run.spans)


@given(SPANS, st.integers(0, 200), st.integers(1, 800))
def test_runs_are_neither_longer_nor_more_than_they_must(spans, gap, longest):
    runs = join_runs(spans, gap=gap, longest=longest)
    for run in runs:
        assert run.end - run.start <= max(longest, *(span.end - span.start for span in run.spans))
        reached = run.start
        for span in run.spans:
            assert span.start <= reached + gap
            reached = max(reached, span.end)
    for one, other in itertools.pairwise(runs):
        assert (one.file, one.start) <= (other.file, other.start)
        first = other.spans[0]
        is_far = one.file != other.file or first.start > one.end + gap
        assert is_far or max(first.end, one.end) - one.start > longest


def test_neighbours_are_read_at_once():
    spans = [Span(1, 900, 950), Span(0, 0, 10), Span(0, 30, 40), Span(0, 30, 40), Span(0, 100, 110)]
    assert join_runs(spans, gap=20, longest=1000) == [
        Run(0, 0, 40, [Span(0, 0, 10), Span(0, 30, 40)]),
        Run(0, 100, 110, [Span(0, 100, 110)]),
        Run(1, 900, 950, [Span(1, 900, 950)]),
    ]


def test_a_span_longer_than_a_run_may_be_is_read_alone():
    runs = join_runs([Span(0, 0, 5000), Span(0, 100, 200), Span(0, 5001, 5002)], gap=10, longest=1000)
    assert [(run.start, run.end, len(run.spans)) for run in runs] == [(0, 5000, 2), (5001, 5002, 1)]


def test_nothing_is_read_for_nobody():
    assert join_runs([]) == []
