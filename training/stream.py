"""The stream of training batches: crops and labels of the people of a mixture, in their order.

Threads decode and cut (the interpreter's lock is free meanwhile), a bounded number of batches ahead, each a few people
at a time straight into the memory of the batch. The position in the order is the only state: it counts people over all
ranks, so a run continues with any number of ranks, workers and prefetched batches. Ranks never ask one another.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from ..errors import RecipeError
from .batches import Batch, CropMemory, collate, empty_batch, float_images, rows_of
from .samples import Named, People, Sample, SampleReader, SampleSettings, make_sample

__all__ = ["Batch", "People", "Sample", "SampleSettings", "Stream", "collate", "float_images", "make_sample"]

PIECE = 32  # people that one thread reads at a time


class Stream:
    """Batches of a mixture from ``position`` on; iterate it once, and read ``position`` to continue later."""

    def __init__(
        self,
        people: People,
        load: Callable[[int], Any],
        settings: SampleSettings,
        *,
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
        workers: int = 0,
        prefetch: int = 4,
        position: int = 0,
        keeps_tail: bool = False,
        pinned: bool = False,
        every: tuple[int, int] = (0, 1),
    ) -> None:
        """``batch_size`` is that of all ranks together; ``load`` returns the stored person of a person_id.

        ``keeps_tail`` also yields the last, smaller batch of a finite order, to every rank, perhaps with nobody in it.
        ``pinned`` batches lie in memory that a GPU copies from directly. ``every`` (number, count) yields only one of
        ``count`` batches, for processes that divide a rank's.
        """
        self.reader = SampleReader(people, load, settings)
        self.batch_size, self.rank, self.world_size = batch_size, rank, world_size
        self.workers, self.prefetch = workers, max(1, prefetch)
        self.position, self.keeps_tail = position, keeps_tail
        self._memory = CropMemory(self.prefetch + 3, pinned=pinned)  # what is read, held by the caller, and on its way
        self.every = every
        self.replaced: Counter[str] = Counter()
        """How many people of each member could not be read, on this rank."""

    @property
    def people(self) -> People:
        """Who stands where."""
        return self.reader.people

    def __iter__(self) -> Iterator[Batch]:
        """Yield batches for ever, or until a finite order is through."""
        batches = self._read_ahead() if self.workers else map(self.read, self._starts())
        for batch in batches:
            self.position = batch.end
            self.replaced.update(one.member for one in batch.replaced)
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """Return where to continue, and in which order."""
        return {"position": self.position, "order": getattr(self.people, "fingerprint", "")}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where another stream of the same order stopped; RecipeError where the order is another."""
        order = getattr(self.people, "fingerprint", "")
        if state["order"] != order:
            raise RecipeError(
                f"the stream stopped in the order {state['order'][:12]}, this one is {order[:12]}: "
                "mixture or shards have changed"
            )
        self.position = state["position"]

    def read(self, start: int) -> Batch:
        """Return this rank's part of the global batch that starts at a position."""
        return self._begun(start, lambda read: read()).whole()

    def _begun(self, start: int, submit: Callable[[Callable[[], Any]], Any]) -> "_Begun":
        """Return a batch whose pieces are handed to ``submit``."""
        positions = self.people.rank_positions(start, self.batch_size, self.rank, self.world_size)
        batch = empty_batch(len(positions), self.reader.settings.size, self._memory)
        rows, pieces = rows_of(batch), []
        for first in range(0, len(positions), PIECE):
            where = slice(first, first + PIECE)
            pieces.append(submit(partial(self.reader.fill, positions[where], rows.part(where))))
        length = self.people.length
        end = start + self.batch_size
        return _Begun(batch, pieces, positions, start, end if length is None else min(end, length))

    def _starts(self) -> Iterator[int]:
        """Yield the positions at which global batches start."""
        number, count = self.every
        position, length = self.position + number * self.batch_size, self.people.length
        least = 1 if self.keeps_tail else self.batch_size
        while length is None or position + least <= length:
            yield position
            position += count * self.batch_size

    def _read_ahead(self) -> Iterator[Batch]:
        """Yield batches that threads have read ahead of time, in order."""
        starts, pending = self._starts(), deque[_Begun]()
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="stream")
        try:
            while True:
                while len(pending) < self.prefetch and (start := next(starts, None)) is not None:
                    pending.append(self._begun(start, pool.submit))
                if not pending:
                    return
                yield pending.popleft().whole()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


class _Begun(NamedTuple):
    """A batch that is being read."""

    batch: Batch
    pieces: list[list[Named] | Future[list[Named]]]
    positions: Int[np.ndarray, " samples"]
    start: int
    end: int

    def whole(self) -> Batch:
        """Return the batch when all of it is there; raise what went wrong in a thread."""
        named = [one for piece in self.pieces for one in (piece.result() if isinstance(piece, Future) else piece)]
        return self.batch.named(named, self.positions.tolist(), self.start, self.end)
