"""Which rank reads which positions of a global batch: each position once, and every source in its share on every rank.

The n-th person of a source is meant for rank n modulo the ranks, so each rank has its share of every source in any
stretch of the training. A step needs the same number of people on each rank; so some move to another rank, and who
moves is chosen such that later moves make good for earlier ones. All of it is a pure function of the position: moves
are worked out group by group of steps, beginning without debts.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Int

from .order import Order
from .permutation import keys_of

GROUP = 16_384  # positions; a debt that is left at the end of a group is forgotten


def rank_positions(
    order: Order, start: int, batch_size: int, rank: int, world_size: int
) -> Int[np.ndarray, " positions"]:
    """Return this rank's positions of the global batch that starts at ``start``, ascending.

    All ranks together have each position once; how many they have differs by one at most. A finite order's last batch
    is shorter, and after it there are no positions.
    """
    if world_size == 1:
        end = start + batch_size
        return np.arange(start, end if order.length is None else max(start, min(end, order.length)))
    step, offset = divmod(start, batch_size)
    steps = max(1, GROUP // batch_size)
    ranks = _dealt(order, offset, batch_size, world_size, step // steps)
    first = step % steps * batch_size
    return start + np.flatnonzero(ranks[first : first + batch_size] == rank)


@lru_cache(maxsize=8)
def _dealt(order: Order, offset: int, batch_size: int, world_size: int, group: int) -> Int[np.ndarray, " positions"]:
    """Return the rank of each position of a group of steps; the first step of all starts at ``offset``."""
    length = max(1, GROUP // batch_size) * batch_size
    first = offset + group * length
    count = length if order.length is None else max(0, min(length, order.length - first))
    source, turn = order.turns(first + np.arange(count))
    ranks = ((turn.astype(np.uint64) + keys_of(source)) % np.uint64(world_size)).astype(np.int64)
    debts = np.zeros((int(source.max(initial=0)) + 1, world_size), np.int64)
    for place in range(0, count, batch_size):
        step = slice(place, place + batch_size)
        _even_out(ranks[step], source[step], debts, (first + place) // batch_size)
    return ranks


def _even_out(
    ranks: Int[np.ndarray, " batch"],
    source: Int[np.ndarray, " batch"],
    debts: Int[np.ndarray, "sources ranks"],
    step: int,
) -> None:
    """Move people of one step, in place, until every rank has as many as it should.

    ``debts`` says how many people of each source a rank has beyond those meant for it.
    """
    world_size = debts.shape[1]
    least, more = divmod(len(ranks), world_size)
    wanted = least + ((np.arange(world_size) + step * more) % world_size < more)
    excess = np.bincount(ranks, minlength=world_size) - wanted
    for giver in np.flatnonzero(excess > 0).tolist():
        for _ in range(int(excess[giver])):
            takers = np.flatnonzero(excess < 0)
            mine = np.flatnonzero(ranks == giver)
            gain = debts[source[mine], giver][:, None] - debts[source[mine]][:, takers]
            person, taker = np.divmod(int(gain.argmax()), len(takers))
            moved, taker = source[mine[person]], takers[taker]
            ranks[mine[person]] = taker
            debts[moved, giver] -= 1
            debts[moved, taker] += 1
            excess[taker] += 1
