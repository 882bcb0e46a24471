"""Each member's share of the samples, at any position of the training."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from ..errors import RecipeError
from .mixture_spec import Member, Mixture, leaves
from .timetable import Shares

SMALLEST = 1e-9  # smaller shares are none: nobody of them would come in a training
_CELLS = 256  # between two points of a schedule, unless they lie close together
_CELL_LENGTH = 64


def shares_of(mixture: Mixture, sizes: Sequence[int], *, at: int = 0, total: int | None = None) -> list[float]:
    """Return the share of each leaf of a mixture at a position; leaves without people have none."""
    people = np.array(sizes, np.int64)
    return shares_over(mixture, people, total)(np.array([float(at)]), people > 0)[0].tolist()


def shares_over(mixture: Mixture, sizes: Int[np.ndarray, " leaves"], total: int | None) -> Shares:
    """Return the shares of the leaves of a mixture as a function of the position.

    ``total`` is the length of the training in people, which schedules in shares of it need.
    """

    def shares(
        positions: Float[np.ndarray, " positions"], active: Bool[np.ndarray, " leaves"]
    ) -> Float[np.ndarray, "positions leaves"]:
        found = _divided(mixture, sizes, active, positions, total)
        found[found < SMALLEST] = 0
        sums = found.sum(axis=1, keepdims=True)
        return found / np.where(sums > 0, sums, 1)

    return shares


def _divided(
    mixture: Mixture,
    sizes: Int[np.ndarray, " leaves"],
    active: Bool[np.ndarray, " leaves"],
    positions: Float[np.ndarray, " positions"],
    total: int | None,
) -> Float[np.ndarray, "positions leaves"]:
    """Return how a mixture divides its share among its leaves; the inner mixtures divide theirs."""
    found, weights, first = np.zeros((len(positions), len(sizes))), [], 0
    slices: list[slice] = []
    for member in mixture.members:
        nested = member.mixture
        mine = slice(first, first + (1 if nested is None else sum(1 for _ in leaves(nested))))
        slices.append(mine)
        first = mine.stop
        found[:, mine] = 1 if nested is None else _divided(nested, sizes[mine], active[mine], positions, total)
        weights.append(_weight(mixture, member, int(sizes[mine].sum())) * active[mine].any() * np.ones(len(positions)))
        if member.schedule is not None:
            weights[-1] *= member.schedule.factors(positions, total)
    sums = np.sum(weights, axis=0)
    for mine, weight in zip(slices, weights, strict=True):
        found[:, mine] *= (weight / np.where(sums > 0, sums, 1))[:, None]
    return found


def _weight(mixture: Mixture, member: Member, size: int) -> float:
    """Return what a member weighs beside the others before schedules; ``size`` is its number of people."""
    match mixture.strategy:
        case "concat":
            return float(size)
        case "balance":
            return 1.0
        case "weighted":
            return member.weight
        case "temperature":
            return size ** (1 / (mixture.temperature or 1.0))
        case "explicit":
            return float(member.per_epoch or 0)


def schedules_of(mixture: Mixture) -> Iterator[Member]:
    """Yield the members whose weight changes, those of inner mixtures too."""
    for member in mixture.members:
        if member.schedule is not None:
            yield member
        if member.mixture is not None:
            yield from schedules_of(member.mixture)


def borders_of(mixture: Mixture, total: int | None) -> Int[np.ndarray, " borders"]:
    """Return the positions between which shares are taken as constant: 0 alone where no schedule changes them."""
    moving = [member.schedule for member in schedules_of(mixture) if member.schedule is not None]
    places = [schedule.places(total) for schedule in moving]
    points = np.unique(np.concatenate([[0], *places])).astype(np.int64)
    parts = [points[:1]]
    for start, end in zip(points[:-1].tolist(), points[1:].tolist(), strict=True):
        is_gliding = any(
            schedule.kind != "step" and place[0] <= start and end <= place[-1]
            for schedule, place in zip(moving, places, strict=True)
        )
        count = min(_CELLS, max(1, (end - start) // _CELL_LENGTH)) if is_gliding else 1
        parts.append(np.rint(np.linspace(start, end, count + 1)[1:]).astype(np.int64))
    return np.concatenate(parts)


def require_shares(mixture: Mixture, shares: Shares, borders: Int[np.ndarray, " borders"], leaf_count: int) -> None:
    """Raise RecipeError where schedules leave nobody a share."""
    everyone = np.ones(leaf_count, bool)
    middles = np.append((borders[:-1] + borders[1:]) / 2, float(borders[-1]))
    empty = np.flatnonzero(shares(middles, everyone).sum(axis=1) == 0)
    if len(empty):
        raise RecipeError(
            f"mixture {mixture.name}: the schedules leave nobody a share at position {int(middles[empty[0]]):,}; "
            "give some member a weight there"
        )
