"""Mixtures: which people a network is trained on, in which proportions and in which order.

``mix`` turns a mixture (``mixture_spec.py``) and a converted tree into ``MixedPeople``: who stands at a position, for
any position, without a list of positions. ``mixture_plan.plan`` says beforehand what training will see.
The strategies "concat" and "balance" are those of SMPLer-X and SMPLest-X, whose mixtures lie in ``datasets/mixtures``.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from ..errors import RecipeError
from .compat import quirks_named
from .dealing import rank_positions
from .mixture_spec import Leaf, Locality, Member, Mixture, Schedule, leaves, load_mixture, mixture_names
from .order import BLOCK, Lanes, Order, ReleasedBalance, endless_order, finite_order
from .recipe import Recipe
from .selection import Selection, count_different, select_all, source_ranges, sources_of
from .shares import borders_of, require_shares, schedules_of, shares_over

__all__ = [
    "Drawn",
    "Leaf",
    "Locality",
    "Member",
    "MixedPeople",
    "Mixture",
    "Schedule",
    "leaves",
    "load_mixture",
    "mix",
    "mixture_names",
    "people_of",
]


class Drawn(NamedTuple):
    """Who stands at some positions."""

    source: Int[np.ndarray, " positions"]  # row of MixedPeople.selections
    person_id: Int[np.ndarray, " positions"]
    row: Int[np.ndarray, " positions"]  # number within the selection
    turn: Int[np.ndarray, " positions"]  # how many people of the source came before


@dataclass(frozen=True, eq=False)
class MixedPeople:
    """The people of a mixture in training order."""

    selections: tuple[Selection, ...]  # of the leaves that are there
    order: Order
    epoch_length: int
    datasets: tuple[str, ...]  # that people come from
    fingerprint: str  # of mixture and shards; the same fingerprint means the same order

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the leaves that are there."""
        return tuple(selection.label for selection in self.selections)

    @cached_property
    def num_people(self) -> int:
        """Return how many different people there are; who is in several leaves counts once."""
        return count_different(self.selections)

    @property
    def length(self) -> int | None:
        """Return where the order ends, None for never."""
        return self.order.length

    @property
    def replaces(self) -> tuple[bool, ...]:
        """Of each leaf: whether a person who cannot be read gives way to the next (``on_failure: replace``)."""
        return tuple(selection.member.on_failure == "replace" for selection in self.selections)

    def draw(self, positions: Int[np.ndarray, " positions"]) -> Drawn:
        """Return who stands at each position, as arrays.

        People are looked up some thousands of positions at a time and kept for a while: ask in a row, not at random.
        """
        if self.length is not None and len(positions) and positions.max() >= self.length:
            raise IndexError(f"position {positions.max()} lies beyond the end of the mixture at {self.length}")
        numbers = positions // BLOCK
        if len(numbers) and (numbers == numbers[0]).all():  # as is usual
            places = positions - numbers[0] * BLOCK
            return Drawn(*(block[places] for block in _drawn_block(self, int(numbers[0]))))
        drawn = Drawn(*(np.empty(len(positions), np.int64) for _ in Drawn._fields))
        for number in np.unique(numbers).tolist():
            mine = np.flatnonzero(numbers == number)
            for values, block in zip(drawn, _drawn_block(self, number), strict=True):
                values[mine] = block[positions[mine] - number * BLOCK]
        return drawn

    def at(self, positions: Int[np.ndarray, " positions"]) -> list[tuple[str, int]]:
        """Return the leaf and the person_id at each position."""
        drawn, names = self.draw(positions), self.names
        pairs = zip(drawn.source.tolist(), drawn.person_id.tolist(), strict=True)
        return [(names[source], person_id) for source, person_id in pairs]

    def next_person(self, source: int, row: int, attempt: int) -> int:
        """Return the person_id that takes the place of an unreadable person: the ``attempt``-th after it."""
        selection = self.selections[source]
        return int(selection.person_ids(np.array([(row + attempt) % len(selection)]))[0])

    def rank_positions(self, start: int, batch_size: int, rank: int, world_size: int) -> Int[np.ndarray, " positions"]:
        """Return a rank's positions of the global batch that starts at ``start`` (``dealing.rank_positions``)."""
        return rank_positions(self.order, start, batch_size, rank, world_size)


@lru_cache(maxsize=32)
def _drawn_block(people: MixedPeople, number: int) -> Drawn:
    """Return who stands at the positions of a block."""
    end = (number + 1) * BLOCK if people.length is None else min((number + 1) * BLOCK, people.length)
    picks = people.order.at(np.arange(number * BLOCK, end))
    person_id, row = np.empty_like(picks.turn), np.empty_like(picks.turn)
    for source, selection in enumerate(people.selections):
        mine = np.flatnonzero(picks.source == source)
        row[mine] = selection.rows(picks.person[mine], picks.turn[mine])
        person_id[mine] = selection.person_ids(row[mine])
    return Drawn(picks.source, person_id, row, picks.turn)


def people_of(recipe: Recipe, shards: Path) -> MixedPeople:
    """Return whom a recipe trains on, in training order; RecipeError where a member of its mixture is missing."""
    return mix(
        load_mixture(recipe.mixture),
        shards,
        total=recipe.steps * recipe.batch_size,
        released_balance=quirks_named(recipe.compat).first_quota_sampling,
        allow_missing=recipe.allow_missing,
    )


def mix(
    mixture: Mixture,
    out: Path,
    *,
    total: int | None = None,
    released_balance: bool = False,
    allow_missing: bool = False,
) -> MixedPeople:
    """Return the people of a mixture in training order; RecipeError where a member is missing.

    ``total`` is the length of the training in people, for schedules in shares of it. ``allow_missing`` trains on the
    members that are there. ``released_balance`` takes the released code's strategy.
    """
    selected = select_all(mixture, out)
    against = [] if allow_missing else missing(selected)
    if against or not any(len(selection) for selection in selected):
        raise RecipeError(f"mixture {mixture.name} cannot be trained on: {'; '.join(against) or 'it is empty'}")
    return mixed_people(mixture, selected, out, total=total, released_balance=released_balance)


def mixed_people(
    mixture: Mixture,
    selections: Sequence[Selection],
    out: Path,
    *,
    total: int | None = None,
    released_balance: bool = False,
) -> MixedPeople:
    """Return the selected people of a mixture in training order; somebody must be there."""
    there = tuple(selection for selection in selections if len(selection))
    ranges = source_ranges(out)
    sources = sorted({source for selection in there for source in sources_of(selection, ranges)})
    facts = [*(ranges[source].fingerprint for source in sources), str(released_balance)]
    facts += [str(total)] if any(schedules_of(mixture)) else []
    return MixedPeople(
        selections=there,
        order=order_of(mixture, selections, total=total, released_balance=released_balance),
        epoch_length=epoch_length_of(mixture, selections),
        datasets=tuple(sorted({dataset for dataset, _ in sources})),
        fingerprint=_fingerprint(mixture, facts, there),
    )


def missing(selections: Sequence[Selection]) -> list[str]:
    """Return a sentence for each leaf of whom nobody is there."""
    return [_missing(selection) for selection in selections if not len(selection)]


def _missing(selection: Selection) -> str:
    """Return the sentence about a leaf of whom nobody is there."""
    member = selection.member
    if member.sql or member.has or member.where != "true":
        return f"missing: {selection.label} chooses nobody of the converted tree; look at its conditions"
    return (
        f"missing: nobody of {selection.label} ({member.dataset}, {member.split}) is in the converted tree; "
        f"run: ehps convert {member.dataset}"
    )


def epoch_length_of(mixture: Mixture, selections: Sequence[Selection]) -> int:
    """Return the people of one epoch: as the mixture says, or as many as there are."""
    counted = sum(member.per_epoch or 0 for member in mixture.members)
    return mixture.epoch_length or counted or sum(len(selection) for selection in selections)


def order_of(
    mixture: Mixture, selections: Sequence[Selection], *, total: int | None = None, released_balance: bool = False
) -> Order:
    """Return the training order of the leaves of whom somebody is there."""
    every = np.array([len(selection) for selection in selections], np.int64)
    there = every > 0
    sizes, epoch_length = every[there].tolist(), epoch_length_of(mixture, selections)
    if released_balance and mixture.strategy == "balance":
        return ReleasedBalance(every[there], epoch_length, mixture.seed)
    all_shares = shares_over(mixture, every, total)

    def shares(positions: np.ndarray, active: np.ndarray) -> np.ndarray:
        people = there.copy()
        people[there] = active
        return all_shares(positions, people)[:, there]

    borders = borders_of(mixture, total)
    require_shares(mixture, shares, borders, len(sizes))
    lanes = mixture.locality and Lanes(mixture.locality.run, mixture.locality.lanes)
    if mixture.exhaustion == "repeat":
        return endless_order(sizes, shares, epoch_length, mixture.seed, borders=borders.tolist(), lanes=lanes)
    stops_early = mixture.exhaustion == "stop"
    return finite_order(sizes, shares, mixture.seed, stops_early=stops_early, borders=borders.tolist(), lanes=lanes)


def _fingerprint(mixture: Mixture, facts: Sequence[str], selections: Sequence[Selection]) -> str:
    """Return the SHA-256 over the mixture, the shards that it draws from, and who is chosen."""
    talk = {"about", "uncertain", "sources"}
    lines = [mixture.model_dump_json(exclude=talk), *facts]
    lines += [f"{selection.label} {len(selection)} {selection.checksum}" for selection in selections]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
