"""The order of training samples: a pure function of the mixture, its people, a seed and a position.

Nothing is shuffled in memory and no state is kept but a counter, so a run resumes at any position, with any number of
workers and ranks, and meets the same people. Two parts:

- which **source** stands at a position: a timetable gives each source whole numbers of turns (``timetable.py``), and
  its k-th turn of n in a cell falls at a random time within the k-th of n equal intervals, so any window of the order
  holds each source in its share, give or take two people. Only the turns near a position are ever computed;
- which **person** of the source: every pass over a source is a keyed permutation of its people, so everyone is reached
  before anyone comes again. With ``Lanes`` the permutation is of runs of neighbouring people, read side by side, so
  that disks and object stores read runs and not single samples.

``ReleasedBalance`` reproduces the data strategy "balance" of the released SMPLest-X, which never passes the first
quota of a large source.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int, UInt64

from .permutation import keys_of, mixed, permuted
from .timetable import Cell, Shares, Timetable, endless_timetable, finite_timetable

BLOCK = 4096  # positions whose sources are merged at a time
_LANES, _RUNS, _SHIFT = 1, 2, 3  # what a key is for


class Picks(NamedTuple):
    """Who stands at some positions."""

    source: Int[np.ndarray, " positions"]
    person: Int[np.ndarray, " positions"]  # number within the source
    turn: Int[np.ndarray, " positions"]  # how many people of the source came before


class Turns(NamedTuple):
    """Which source stands at some positions."""

    source: Int[np.ndarray, " positions"]
    turn: Int[np.ndarray, " positions"]  # how many people of the source came before


@runtime_checkable
class Order(Protocol):
    """A training order."""

    @property
    def length(self) -> int | None:
        """Positions of the order, None where it never ends."""
        ...

    def at(self, positions: Int[np.ndarray, " positions"]) -> Picks:
        """Return who stands at each position."""
        ...

    def turns(self, positions: Int[np.ndarray, " positions"]) -> Turns:
        """Return which source stands at each position, for the how manieth time."""
        ...


class Lanes(NamedTuple):
    """How a source is read in runs: so many lanes, each of which walks along its own stretch of the shuffled runs."""

    run: int  # neighbouring people that are read together
    lanes: int  # runs that are open at a time; turns that follow one another come from different lanes


class Block(NamedTuple):
    """Some positions of one cell, merged."""

    source: Int[np.ndarray, " positions"]
    turn: Int[np.ndarray, " positions"]
    before: Int[np.ndarray, " sources"]  # turns of each source before the block


@dataclass(frozen=True, eq=False)
class SpreadOrder:
    """Sources spread evenly over the cells of a timetable, people of each source in keyed passes."""

    sizes: Int[np.ndarray, " sources"]
    timetable: Timetable
    seed: int
    lanes: Lanes | None  # of each source that does not fit into them; None: all people are permuted at once

    @property
    def length(self) -> int | None:
        """Return where the order ends, None for never."""
        return self.timetable.length

    def at(self, positions: Int[np.ndarray, " positions"]) -> Picks:
        """Return who stands at each position; beyond the end of a finite order there is nobody (IndexError)."""
        source, turn = self.turns(positions)
        return Picks(source, self.people(source, turn), turn)

    def turns_before(self, position: int) -> Int[np.ndarray, " sources"]:
        """Return how many turns each source has before a position."""
        if position == 0:
            return np.zeros(len(self.sizes), np.int64)
        last, start = position - 1, int(_block_starts(self.timetable, np.array([position - 1]))[0])
        block = _merged_block(self, start)
        return block.before + np.bincount(block.source[: last - start + 1], minlength=len(self.sizes))

    def people(self, source: Int[np.ndarray, " turns"], turn: Int[np.ndarray, " turns"]) -> Int[np.ndarray, " turns"]:
        """Return which person of a source has each of its turns."""
        size = self.sizes[source]
        passes, index = np.divmod(turn, size)
        key = keys_of(self.seed, source, passes)
        if self.lanes is None:
            return permuted(index, size, key)
        in_lanes = size > self.lanes.run * self.lanes.lanes  # otherwise all of the source is open at once anyway
        person = np.empty_like(index)
        person[in_lanes] = along_lanes(index[in_lanes], size[in_lanes], self.lanes, key[in_lanes])
        person[~in_lanes] = permuted(index[~in_lanes], size[~in_lanes], key[~in_lanes])
        return person

    def turns(self, positions: Int[np.ndarray, " positions"]) -> Turns:
        """Return which source stands at each position, for the how manieth time."""
        if self.length is not None and len(positions) and positions.max() >= self.length:
            raise IndexError(f"position {positions.max()} lies beyond the end of the order at {self.length}")
        starts = _block_starts(self.timetable, positions)
        source, turn = np.empty_like(positions), np.empty_like(positions)
        for start in np.unique(starts).tolist():
            mine = np.flatnonzero(starts == start)
            block = _merged_block(self, start)
            source[mine] = block.source[positions[mine] - start]
            turn[mine] = block.turn[positions[mine] - start]
        return Turns(source, turn)


def _block_starts(timetable: Timetable, positions: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Return where the block of each position starts; blocks never cross the border of a cell."""
    return positions - (positions - timetable.cell_starts(positions)) % BLOCK


@lru_cache(maxsize=64)
def _merged_block(order: SpreadOrder, start: int) -> Block:
    """Return the block that starts at a position."""
    cell = order.timetable.cell(start)
    low = start - cell.start
    source, number, before = _merged(cell, low, min(low + BLOCK, cell.length), order.seed)
    return Block(source, cell.before[source] + number, cell.before + before)


def _merged(
    cell: Cell, low: int, high: int, seed: int
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"], Int[np.ndarray, " sources"]]:
    """Return the sources of places [low, high) of a cell, which turn of theirs it is, and their turns before ``low``.

    Turn k of a source's n falls at the time (k + random) / n of the cell. In any stretch from the start of the cell the
    number of turns differs from the stretch by less than one a source; so the turns of the places asked for fall no
    further from them than there are sources.
    """
    margin = len(cell.turns)
    rate = cell.turns / cell.length
    first = np.clip(np.floor((low - margin) * rate).astype(np.int64) - 1, 0, cell.turns)
    last = np.clip(np.ceil((high + margin) * rate).astype(np.int64) + 1, 0, cell.turns)
    source = np.repeat(np.arange(margin), last - first)
    number = np.arange(len(source)) - np.repeat(np.cumsum(last - first) - last, last - first)
    jitter = keys_of(seed, cell.number, source, number) / 2.0**64
    merged = np.argsort((number + jitter) / rate[source], kind="stable")
    skipped = low - int(first.sum())  # these fall before ``low``
    before = first + np.bincount(source[merged[:skipped]], minlength=margin)
    merged = merged[skipped : skipped + high - low]
    return source[merged], number[merged], before


def along_lanes(
    index: Int[np.ndarray, " n"], size: Int[np.ndarray, " n"], lanes: Lanes, key: UInt64[np.ndarray, " n"]
) -> Int[np.ndarray, " n"]:
    """Return the person at each index of a pass over ``size`` people that is read in runs; ``key`` tells passes apart.

    The people are cut into runs, at other places in each pass, and the runs are permuted. Each lane walks along an
    equal stretch of them; a round takes one person of every lane. The succession of the lanes is the same in all rounds
    of a pass, so that neighbours come a whole round apart.
    """
    length, longer = np.divmod(size, lanes.lanes)  # people of a lane; so many lanes have one more
    step, place = np.divmod(index, lanes.lanes)
    lane = permuted(place, np.where(step < length, lanes.lanes, longer), keys_of(_LANES, key))
    # Lanes begin at different places of a run, so that they do not all come to its end at once.
    along = (step + lane * lanes.run // lanes.lanes) % (length + (lane < longer))
    slot, offset = np.divmod(lane * length + np.minimum(lane, longer) + along, lanes.run)
    whole = size // lanes.run  # what is left over makes a shorter run, which stays the last
    inside = slot < whole
    slot[inside] = permuted(slot[inside], whole[inside], keys_of(_RUNS, key)[inside])
    shift = (keys_of(_SHIFT, key) % size.astype(np.uint64)).astype(np.int64)
    return (slot * lanes.run + offset + shift) % size


def constant_shares(shares: Sequence[float]) -> Shares:
    """Return shares that do not depend on the position; those of sources that are through go to the others."""

    def at(positions: np.ndarray, active: np.ndarray) -> np.ndarray:
        there = np.array(shares, np.float64) * active
        return np.tile(there / max(there.sum(), 1e-300), (len(positions), 1))

    return at


def endless_order(
    sizes: Sequence[int],
    shares: Sequence[float] | Shares,
    epoch_length: int,
    seed: int,
    *,
    borders: Sequence[int] = (0,),
    lanes: Lanes | None = None,
) -> SpreadOrder:
    """Return the order in which each source starts again when all its people have come.

    ``shares`` that change with the position are constant between ``borders`` and behind the last.
    """
    table = endless_timetable(_shares(shares), np.array(borders, np.int64), len(sizes), epoch_length)
    return _order(sizes, table, seed, lanes)


def finite_order(
    sizes: Sequence[int],
    shares: Sequence[float] | Shares,
    seed: int,
    *,
    stops_early: bool,
    borders: Sequence[int] = (0,),
    lanes: Lanes | None = None,
) -> SpreadOrder:
    """Return the order in which nobody comes twice.

    It ends with the first source that has nobody left (``stops_early``), or when all are through; then the others keep
    their proportions after a source has ended.
    """
    people = np.array(sizes, np.int64)
    table = finite_timetable(_shares(shares), np.array(borders, np.int64), people, stops_early=stops_early)
    return _order(sizes, table, seed, lanes)


def _shares(shares: Sequence[float] | Shares) -> Shares:
    """Return shares as a function of the position."""
    return shares if isinstance(shares, Callable) else constant_shares(shares)


def _order(sizes: Sequence[int], table: Timetable, seed: int, lanes: Lanes | None) -> SpreadOrder:
    """Return the order of a timetable."""
    return SpreadOrder(np.array(sizes, np.int64), table, seed, lanes)


@dataclass(frozen=True, eq=False)
class ReleasedBalance:
    """The released strategy "balance": equal quotas, a fixed subset of large sources, random repeats of small ones."""

    sizes: Int[np.ndarray, " sources"]
    epoch_length: int
    seed: int
    length: int | None = None

    def turns(self, positions: Int[np.ndarray, " positions"]) -> Turns:
        """Return which source stands at each position, for the how manieth time of its epoch."""
        picks = self.at(positions)
        return Turns(picks.source, picks.turn)

    def at(self, positions: Int[np.ndarray, " positions"]) -> Picks:
        """Return who stands at each position."""
        epoch, place = np.divmod(positions, self.epoch_length)
        index = permuted(place, np.full_like(place, self.epoch_length), keys_of(self.seed, epoch))
        quota = self.epoch_length // len(self.sizes)
        random = keys_of(self.seed, 1, positions)
        source, turn = np.divmod(index, quota)
        # What does not divide is given to sources at random.
        rest = source >= len(self.sizes)
        source = np.where(rest, (random % np.uint64(len(self.sizes))).astype(np.int64), source)
        size = self.sizes[source]
        is_extra = (size < quota) & (turn >= size * (quota // size))
        drawn = (mixed(random) % size.astype(np.uint64)).astype(np.int64)
        row = np.where(is_extra, drawn, turn % size)
        # People are shuffled once, so that a quota is a random part of a large source.
        person = permuted(row, size, keys_of(self.seed, 2, source))
        return Picks(source, person, turn)
