"""The order of training samples: a pure function of the mixture, its people, a seed and a position.

Nothing is shuffled in memory and no state is kept but a counter, so a run resumes at any position, with any number of
workers and ranks, and meets the same people. Two parts:

- which **source** stands at a position: a schedule of one period, in which each source's turns are spread evenly
  (its k-th turn falls at a random time within the k-th of equal intervals), so any window of the order holds each
  source in its share, give or take one person;
- which **person** of the source: the n-th turn of a source takes person ``permuted(n)``; every pass over the source is
  a keyed permutation (a generalised Feistel network, Black and Rogaway 2002, with cycle walking), so everyone is
  reached before anyone comes again.

``released_balance`` reproduces the data strategy "balance" of the released SMPLest-X, which never passes the first
quota of a large source.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int, UInt64

MAX_PERIOD = 1 << 20
ROUNDS = 6
GOLDEN = 0x9E3779B97F4A7C15  # splitmix64's increment: 2^64 over the golden ratio


class Picks(NamedTuple):
    """Who stands at some positions."""

    source: Int[np.ndarray, " positions"]
    person: Int[np.ndarray, " positions"]  # number within the source
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


def mixed(x: UInt64[np.ndarray, "*n"]) -> UInt64[np.ndarray, "*n"]:
    """Return well-mixed bits of each number (the finaliser of splitmix64, by Stafford)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def keys_of(*parts: int | Int[np.ndarray, "*n"]) -> UInt64[np.ndarray, "*n"]:
    """Return one key for each row of numbers; every part counts."""
    key = np.zeros(np.broadcast_shapes(*(np.shape(part) for part in parts)), np.uint64)
    for part in parts:
        key = mixed(key + np.asarray(part).astype(np.uint64) + np.uint64(GOLDEN))
    return key


def permuted(
    index: Int[np.ndarray, " n"], size: Int[np.ndarray, " n"], key: UInt64[np.ndarray, " n"]
) -> Int[np.ndarray, " n"]:
    """Return where the permutation of [0, size) that belongs to ``key`` takes each index."""
    rows = np.ceil(np.sqrt(size)).astype(np.uint64)
    columns = -(-size.astype(np.int64) // rows.astype(np.int64)).astype(np.uint64)
    x = index.astype(np.uint64)
    outside = np.ones(len(x), bool)
    while outside.any():
        # The network permutes rows x columns >= size cells; who lands past the end walks on until inside.
        x[outside] = _feistel(x[outside], rows[outside], columns[outside], key[outside])
        outside = x >= size.astype(np.uint64)
    return x.astype(np.int64)


def _feistel(
    x: UInt64[np.ndarray, " n"],
    rows: UInt64[np.ndarray, " n"],
    columns: UInt64[np.ndarray, " n"],
    key: UInt64[np.ndarray, " n"],
) -> UInt64[np.ndarray, " n"]:
    """Return the cell that each of the rows x columns cells is taken to."""
    left, right = x // columns, x % columns
    for number in range(ROUNDS):
        turn = mixed(key + np.uint64(number * GOLDEN % 2**64))
        if number % 2:
            right = (right + mixed(turn ^ left) % columns) % columns
        else:
            left = (left + mixed(turn ^ right) % rows) % rows
    return left * columns + right


@dataclass(frozen=True, eq=False)
class SpreadOrder:
    """Sources spread evenly over a period, people of each source in keyed passes."""

    sizes: Int[np.ndarray, " sources"]
    turns: Int[np.ndarray, " sources"]  # of each source in a period
    source: Int[np.ndarray, " period"]
    rank: Int[np.ndarray, " period"]  # how many turns its source had before, within the period
    seed: int
    length: int | None

    def at(self, positions: Int[np.ndarray, " positions"]) -> Picks:
        """Return who stands at each position; beyond the end of a finite order there is nobody (IndexError)."""
        if self.length is not None and len(positions) and positions.max() >= self.length:
            raise IndexError(f"position {positions.max()} lies beyond the end of the order at {self.length}")
        period, place = np.divmod(positions, len(self.source))
        source = self.source[place].astype(np.int64)
        turn = period * self.turns[source] + self.rank[place]
        passes, index = np.divmod(turn, self.sizes[source])
        person = permuted(index, self.sizes[source], keys_of(self.seed, source, passes))
        return Picks(source, person, turn)


def spread(
    turns: Int[np.ndarray, " sources"], rates: Float[np.ndarray, " sources"], seed: int
) -> tuple[Int[np.ndarray, " total"], Float[np.ndarray, " total"]]:
    """Return which source has each turn and when: the k-th turn of a source falls at (k + random) / rate."""
    sources = np.repeat(np.arange(len(turns), dtype=np.int32), turns)
    number = np.concatenate([np.arange(n) for n in turns])
    jitter = keys_of(seed, sources, number) / 2.0**64
    times = (number + jitter) / rates[sources]
    order = np.argsort(times, kind="stable")
    return sources[order], times[order]


def _order(sizes: np.ndarray, turns: np.ndarray, source: np.ndarray, seed: int, length: int | None) -> SpreadOrder:
    """Return the order of a schedule."""
    rank = np.empty(len(source), np.int32)
    for number in range(len(sizes)):
        where = np.flatnonzero(source == number)
        rank[where] = np.arange(len(where), dtype=np.int32)
    return SpreadOrder(sizes, turns, source, rank, seed, length)


def endless_order(sizes: Sequence[int], shares: Sequence[float], epoch_length: int, seed: int) -> SpreadOrder:
    """Return the order in which each source starts again when all its people have come.

    The schedule repeats after one epoch (after ``MAX_PERIOD`` positions where that is longer) and gives each source its
    share to the nearest person.
    """
    period = min(epoch_length, MAX_PERIOD)
    turns = rounded(np.array(shares, np.float64) * period)
    source, _ = spread(turns, np.maximum(turns, 1).astype(np.float64), seed)
    return _order(np.array(sizes, np.int64), turns, source, seed, None)


def finite_order(sizes: Sequence[int], shares: Sequence[float], seed: int, *, stops_early: bool) -> SpreadOrder:
    """Return the order in which nobody comes twice.

    It ends with the first source that has nobody left (``stops_early``), or when all are through; then the others keep
    their proportions after a source has ended.
    """
    counts, rates = np.array(sizes, np.int64), np.array(shares, np.float64)
    source, times = spread(counts, rates, seed)
    if stops_early:
        source = source[times < (counts / rates).min()]
    turns = np.bincount(source, minlength=len(counts))
    return _order(counts, turns, source, seed, len(source))


def rounded(wanted: Float[np.ndarray, " sources"]) -> Int[np.ndarray, " sources"]:
    """Return whole numbers with the same sum, by the largest remainder."""
    whole = np.floor(wanted).astype(np.int64)
    missing = round(float(wanted.sum())) - int(whole.sum())
    whole[np.argsort(whole - wanted, kind="stable")[:missing]] += 1
    return whole


@dataclass(frozen=True, eq=False)
class ReleasedBalance:
    """The released strategy "balance": equal quotas, a fixed subset of large sources, random repeats of small ones."""

    sizes: Int[np.ndarray, " sources"]
    epoch_length: int
    seed: int
    length: int | None = None

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
