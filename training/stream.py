"""The stream of training batches: crops and labels of the people of a mixture, in their order.

Threads decode and cut (the interpreter's lock is free meanwhile), a bounded number of batches ahead, each a few people
at a time straight into the memory of the batch. What lies on a store or a slow disk is read further ahead, in runs
(``read_ahead.py``). The position in the order is the only state: it counts people over all
ranks, so a run continues with any number of ranks, workers and prefetched batches. Ranks never ask one another.
"""

from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from ..errors import RecipeError
from ..shards.reader import PeopleIndex
from .batches import Batch, CropMemory, collate, empty_batch, float_images, rows_of
from .read_ahead import Counts, Piece, Planned, ReadAhead, RunReader, cut_positions
from .samples import Named, People, Rows, Sample, SampleReader, SampleSettings, make_sample

__all__ = [
    "Batch",
    "People",
    "ReadAhead",
    "Sample",
    "SampleSettings",
    "Stream",
    "collate",
    "float_images",
    "make_sample",
]

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
        read_ahead: ReadAhead | None = None,
    ) -> None:
        """``batch_size`` is that of all ranks together; ``load`` returns the stored person of a person_id.

        Where ``load`` is the method of a PeopleIndex, what is not in memory is read ahead (``read_ahead``).

        ``keeps_tail`` also yields the last, smaller batch of a finite order, to every rank, perhaps with nobody in it.
        ``pinned`` batches lie in memory that a GPU copies from directly. ``every`` (number, count) yields only one of
        ``count`` batches, for processes that divide a rank's.
        """
        self.reader = SampleReader(people, load, settings)
        self.batch_size, self.rank, self.world_size = batch_size, rank, world_size
        self.workers, self.prefetch = workers, max(1, prefetch)
        self.position, self.keeps_tail = position, keeps_tail
        self._memory = CropMemory(self.prefetch + 3, pinned=pinned)  # what is read, held by the caller, and on its way
        self.every, self.read_ahead = every, read_ahead or ReadAhead()
        self.counts = Counts()
        """What was read ahead in the last iteration."""
        self.replaced: Counter[str] = Counter()
        """How many people of each member could not be read, on this rank."""

    @property
    def people(self) -> People:
        """Who stands where."""
        return self.reader.people

    def __iter__(self) -> Generator[Batch]:
        """Yield batches for ever, or until a finite order is through."""
        # Closed here, since whoever keeps an error keeps all that was at work when it happened, threads included.
        with closing(self.planned()) as planned, closing(self._batches(planned)) as batches:
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
        positions = self._positions(start)
        return self._begun(Planned(start, positions, [Piece(positions, self.reader.load)]), _at_once).whole()

    def _positions(self, start: int) -> Int[np.ndarray, " positions"]:
        """Return this rank's positions of the global batch that starts at ``start``."""
        return self.people.rank_positions(start, self.batch_size, self.rank, self.world_size)

    def planned(self) -> Generator[Planned]:
        """Yield the batches that are to be read from ``position`` on, in pieces."""
        todo = ((start, self._positions(start)) for start in self._starts())
        index = getattr(self.reader.load, "__self__", None)
        if isinstance(index, PeopleIndex):
            runs = RunReader(self.people, index, self.reader.settings, self.read_ahead, PIECE)
            self.counts = runs.counts
            return runs.batches(todo)
        load = self.reader.load
        return (Planned(*one, [Piece(part, load) for part in cut_positions(one[1], PIECE)]) for one in todo)

    def _begun(self, planned: Planned, submit: Callable[[Callable[[], Any]], Any]) -> "_Begun":
        """Return a batch whose pieces are handed to ``submit``."""
        batch = empty_batch(len(planned.positions), self.reader.settings.size, self._memory)
        rows, pieces, first = rows_of(batch), [], 0
        for piece in planned.pieces:
            last = first + len(piece.positions)
            pieces.append(submit(partial(self._filled, piece, rows.part(slice(first, last)))))
            first = last
        length = self.people.length
        end = planned.start + self.batch_size
        end = end if length is None else min(end, length)
        return _Begun(batch, pieces, planned.positions, planned.start, end)

    def _filled(self, piece: Piece, rows: Rows) -> list[Named]:
        """Write the samples of a piece into rows, and return who they are."""
        with piece as load:
            return replace(self.reader, load=load).fill(piece.positions, rows)

    def _starts(self) -> Iterator[int]:
        """Yield the positions at which global batches start."""
        number, count = self.every
        position, length = self.position + number * self.batch_size, self.people.length
        least = 1 if self.keeps_tail else self.batch_size
        while length is None or position + least <= length:
            yield position
            position += count * self.batch_size

    def _batches(self, planned: Generator[Planned]) -> Generator[Batch]:
        """Return the batches that are planned, read by threads or here."""
        if self.workers:
            return self._threaded(planned)
        return (self._begun(one, _at_once).whole() for one in planned)

    def _threaded(self, planned: Generator[Planned]) -> Generator[Batch]:
        """Yield batches that threads have read ahead of time, in order."""
        pending = deque[_Begun]()
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="stream")
        try:
            while True:
                while len(pending) < self.prefetch and (one := next(planned, None)) is not None:
                    pending.append(self._begun(one, pool.submit))
                if not pending:
                    return
                yield pending.popleft().whole()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            planned.close()  # threads that wait for bytes wait no longer
            pool.shutdown(wait=True)


def _at_once(read: Callable[[], Any]) -> Any:
    """Read in the thread that asks."""
    return read()


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
