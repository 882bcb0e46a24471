"""How many turns each source has up to any position, in whole numbers: the timetable of an order.

The order is cut into cells. Inside a cell the shares are constant, and each source has a whole number of turns, by
largest remainder of what it should have had up to the cell's end, so no error adds up. Where shares change with the
position there is a short list of cells; after it, and from the start where nothing changes, cells of equal length
follow for ever and are computed, not stored.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

# (positions, who has people left) -> shares that add up to 1 at each position, or to 0 where nobody has any
Shares = Callable[
    [Float[np.ndarray, " positions"], Bool[np.ndarray, " sources"]], Float[np.ndarray, "positions sources"]
]
_GAUSS = (0.5 - 0.15**0.5, 0.5, 0.5 + 0.15**0.5)  # three-point quadrature on [0, 1], which never asks at a border
_GAUSS_WEIGHTS = (5 / 18, 8 / 18, 5 / 18)


class Cell(NamedTuple):
    """A stretch of positions in which shares are constant."""

    number: int
    start: int  # position
    length: int
    before: Int[np.ndarray, " sources"]  # turns of each source before the cell
    turns: Int[np.ndarray, " sources"]  # turns within it; they add up to its length


@dataclass(frozen=True, eq=False)
class Timetable:
    """The cells of an order: a list, then equal ones for ever (``tail_length`` 0: the order ends with the list)."""

    starts: Int[np.ndarray, " cells_and_end"]
    before: Int[np.ndarray, "cells_and_end sources"]
    tail_shares: Float[np.ndarray, " sources"]
    tail_length: int

    @property
    def length(self) -> int | None:
        """Return where the order ends, None for never."""
        return None if self.tail_length else int(self.starts[-1])

    def cell_starts(self, positions: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """Return where the cell of each position starts."""
        listed = self.starts[np.searchsorted(self.starts, positions, side="right") - 1]
        if not self.tail_length:
            return listed
        end = int(self.starts[-1])
        return np.where(positions < end, listed, positions - (positions - end) % self.tail_length)

    def cell(self, position: int) -> Cell:
        """Return the cell that holds a position."""
        number, end = len(self.starts) - 1, int(self.starts[-1])
        if position < end:
            number = int(np.searchsorted(self.starts, position, side="right")) - 1
            start, length = int(self.starts[number]), int(self.starts[number + 1] - self.starts[number])
            return Cell(number, start, length, self.before[number], self.before[number + 1] - self.before[number])
        tail = (position - end) // self.tail_length
        before, after = self._tail_turns(tail), self._tail_turns(tail + 1)
        start = end + tail * self.tail_length
        return Cell(number + tail, start, self.tail_length, self.before[-1] + before, after - before)

    def _tail_turns(self, cells: int) -> Int[np.ndarray, " sources"]:
        """Return how many turns each source has in the first cells of the tail."""
        total = cells * self.tail_length
        return apportioned(self.tail_shares * float(total), total)


def apportioned(wanted: Float[np.ndarray, " sources"], total: int) -> Int[np.ndarray, " sources"]:
    """Return whole numbers that add up to ``total``, nobody's below zero, by the largest remainder."""
    whole = np.floor(np.maximum(wanted, 0)).astype(np.int64)
    missing = total - int(whole.sum())
    order = np.argsort(whole - wanted, kind="stable")
    if missing >= 0:
        whole[order[:missing]] += 1
    else:
        whole[[source for source in order[::-1] if whole[source] > 0][:-missing]] -= 1
    return whole


def endless_timetable(
    shares: Shares, borders: Int[np.ndarray, " borders"], sources: int, epoch_length: int
) -> Timetable:
    """Return the timetable in which each source begins again when it is through.

    ``borders`` are the positions between which shares are taken as constant, beginning with 0; behind the last they
    stay as they are there. Cells of the tail are an epoch long, or as many epochs as the smallest share needs for one
    person, so that a source with half a person an epoch has its turn in every second one.
    """
    everyone = np.ones(sources, bool)
    average = _mean_shares(shares, borders, everyone)
    turns, owed = np.zeros((len(borders), sources), np.int64), np.zeros(sources)
    for number, length in enumerate(np.diff(borders).tolist()):
        owed += average[number] * length
        given = apportioned(owed, length)
        owed -= given
        turns[number + 1] = turns[number] + given
    tail = shares(np.array([float(borders[-1])]), everyone)[0]
    smallest = tail[tail > 0].min()
    epochs = max(1, int(np.ceil(1 / (smallest * epoch_length) - 1e-9)))
    return Timetable(borders, turns, tail, epochs * epoch_length)


def finite_timetable(
    shares: Shares, borders: Int[np.ndarray, " borders"], sizes: Int[np.ndarray, " sources"], *, stops_early: bool
) -> Timetable:
    """Return the timetable in which nobody comes twice.

    It ends with the first source that has nobody left (``stops_early``), or when all are through; then the others keep
    their proportions after a source has ended. A source whose share is zero for good is not waited for.
    """
    turns, starts = [np.zeros(len(sizes), np.int64)], [0]
    owed = np.zeros(len(sizes))
    while (left := sizes - turns[-1]).any() and not (stops_early and not left.all()):
        border = _next_border(borders, starts[-1])
        span = (border or starts[-1] + 1) - starts[-1]
        share = _mean_shares(shares, np.array([starts[-1], starts[-1] + span]), left > 0)[0]
        if not share.any():
            break
        given, owed = _stage(share, left, owed - share * owed.sum(), span if border else None)
        turns.append(turns[-1] + given)
        starts.append(starts[-1] + int(given.sum()))
    return Timetable(np.array(starts, np.int64), np.stack(turns), np.zeros(len(sizes)), 0)


def _next_border(borders: Int[np.ndarray, " borders"], position: int) -> int | None:
    """Return the first border behind a position."""
    number = int(np.searchsorted(borders, position, side="right"))
    return int(borders[number]) if number < len(borders) else None


def _stage(
    share: Float[np.ndarray, " sources"],
    left: Int[np.ndarray, " sources"],
    owed: Float[np.ndarray, " sources"],
    length: int | None,
) -> tuple[Int[np.ndarray, " sources"], Float[np.ndarray, " sources"]]:
    """Return the turns until the next source ends, or of ``length`` positions where none ends, and what stays owed."""
    lasts = np.where(share > 0, (left - owed) / np.maximum(share, 1e-300), np.inf)
    first = int(np.argmin(lasts))
    if length is not None and lasts[first] >= length:
        given = np.minimum(apportioned(owed + share * length, length), left)
        return given, np.where(left > given, owed + share * length - given, 0)
    wanted = owed + share * max(float(lasts[first]), 0.0)
    given = np.clip(np.rint(wanted).astype(np.int64), 0, left)
    given[first] = left[first]
    return given, np.where(left > given, wanted - given, 0)


def _mean_shares(
    shares: Shares, borders: Int[np.ndarray, " borders"], active: Bool[np.ndarray, " sources"]
) -> Float[np.ndarray, "cells sources"]:
    """Return the mean shares between neighbouring borders."""
    lengths = np.diff(borders)
    mean = np.zeros((len(lengths), len(active)))
    for place, weight in zip(_GAUSS, _GAUSS_WEIGHTS, strict=True):
        mean += weight * shares(borders[:-1] + place * lengths, active)
    return mean
