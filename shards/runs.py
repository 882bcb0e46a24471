"""From the bytes that many readers want to the runs that a disk or an object store should be asked for.

A request costs time of its own (a seek, a round trip, a signature), so pieces with small gaps between them are read
in one, and what lies in the gaps is thrown away.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

GAP = 1 << 18  # bytes that a reader would rather read than skip
LONGEST = 2 << 20  # bytes of a run: several are on their way at once, and the processor's caches hold one


class Span(NamedTuple):
    """Some bytes of a file, half-open."""

    file: int  # number of the file in a list of the caller's
    start: int
    end: int


class Run(NamedTuple):
    """Bytes that are read at once, and the spans inside, by their start."""

    file: int
    start: int
    end: int
    spans: Sequence[Span]


def join_runs(spans: Iterable[Span], *, gap: int = GAP, longest: int = LONGEST) -> list[Run]:
    """Return the runs that hold every span, by file and start.

    Spans of one file that lie at most ``gap`` bytes apart share a run, unless it would have more than ``longest``
    bytes; only a single span may be longer than that. Equal spans come once.
    """
    runs: list[Run] = []
    inside: list[Span] = []
    file, start, end = -1, 0, 0
    for span in sorted(set(spans)):
        last = max(end, span.end)
        if inside and (span.file != file or span.start > end + gap or last - start > max(longest, end - start)):
            runs.append(Run(file, start, end, inside))
            inside = []
        if not inside:
            file, start, last = span.file, span.start, span.end
        inside.append(span)
        end = last
    return [*runs, Run(file, start, end, inside)] if inside else runs
