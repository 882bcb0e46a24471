"""Reading ahead of a stream in runs, for tars on a store or on a disk that would rather not jump.

Who stands at the next positions is known, and so are the bytes that each of them needs: the index says where labels and
rows of tiles lie, the box which rows the crop looks at. The bytes of some batches (a window) are sorted by tar and
offset, neighbours are joined to runs (``shards/runs.py``), and threads ask for several runs at once. Each piece of a
batch takes its own bytes and lets them go when it is decoded, and then another window begins. Samples do not change:
what was not foreseen, or could not be read ahead, is read when it is needed, and fails there.
"""

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from ..errors import EhpsError
from ..shards.cutting import view_of
from ..shards.held import HeldTar, Part
from ..shards.reader import PeopleIndex
from ..shards.runs import GAP, LONGEST, Run, Span, join_runs
from ..shards.stored import StoredPerson, TarFile
from ..shards.ustar import Place
from .augment import Augmentation, draw_all
from .samples import People, SampleSettings, affine_of

WINDOWS = 4  # that share the memory: one is decoded while others are on their way
MOST_BATCHES = 32  # that are planned
SMALLEST_GAP = 1 << 15  # bytes that are read over even while the line is what is waited for
SHORTEST = 1 << 18  # bytes of a run, on average, below which gaps do not shrink: requests take time of their own
_IDLE = 0.2  # share of one thread's time
PROBES = 8  # people of a window on a disk who are looked for in memory


@dataclass(frozen=True, kw_only=True)
class ReadAhead:
    """How far a stream reads ahead."""

    memory: int = 128 << 20
    """Bytes that may be on their way or wait to be decoded. The bytes of one batch are asked for at once, however many
    they are."""
    requests: int | None = None
    """Runs that are asked for at the same time; None: 32 of a store, 4 of a disk."""
    gap: int = GAP
    """Bytes between two pieces that are read rather than skipped; fewer of a store while threads wait for its line."""
    longest: int | None = None
    """Bytes of a run; None: 2 MiB of a store, 8 MiB of a disk."""

    def of_store(self) -> "ReadAhead":
        """Return it with what is left open chosen for many short requests, whose waiting overlaps."""
        return replace(self, requests=self.requests or 32, longest=self.longest or LONGEST)

    def of_disk(self) -> "ReadAhead":
        """Return it with what is left open chosen for few long runs, so that a disk seldom jumps."""
        return replace(self, requests=self.requests or 4, longest=self.longest or 4 * LONGEST)


@dataclass
class Counts:
    """What was read ahead so far."""

    runs: int = 0
    read_bytes: int = 0
    used_bytes: int = 0  # of them, what people need
    missed: int = 0  # reads of what was not foreseen or could not be read ahead
    most_bytes: int = 0  # that were on their way or waited to be decoded at one time
    waited_s: float = 0.0  # that pieces waited for their bytes, over all threads


class Piece:
    """Some positions that one thread reads, in a ``with`` block: it waits for their bytes and lets them go after."""

    def __init__(self, positions: Int[np.ndarray, " positions"], load: Callable[[int], Any]) -> None:
        self.positions, self.load = positions, load

    def __enter__(self) -> Callable[[int], Any]:
        """Return what loads the people of the piece."""
        return self.load

    def __exit__(self, *_: object) -> None:
        """Let go of what was held."""


class Planned(NamedTuple):
    """One rank's part of a batch, in pieces."""

    start: int
    positions: Int[np.ndarray, " positions"]
    pieces: list[Piece]


class HeldPiece(Piece):
    """A piece whose bytes are on their way."""

    def __init__(self, positions: Int[np.ndarray, " positions"], owner: "RunReader") -> None:
        super().__init__(positions, self._load)
        self.owner, self.runs = owner, set[Future[None]]()
        self.parts: dict[int, list[Part]] = {}  # of each person_id

    def __enter__(self) -> Callable[[int], Any]:
        """Return what loads the people of the piece, when their bytes are there."""
        began = time.perf_counter()
        for run in self.runs:
            error = run.exception()
            if error is not None and not isinstance(error, EhpsError | OSError):
                raise error  # the others are met again where it is known what to do about them
        self.owner.counts.waited_s += time.perf_counter() - began
        return self.load

    def __exit__(self, *_: object) -> None:
        """Let go of the bytes."""
        self.owner.release(self)

    def _load(self, person_id: int) -> StoredPerson:
        person, parts = self.owner.index.load(person_id), self.parts.get(person_id)
        if parts is None:
            return person
        return StoredPerson(person.frame.through(lambda tar: HeldTar(tar, parts, self.owner.miss)), person.index)


class RunReader:
    """Plans batches and has their bytes fetched; yields the batches in their order."""

    def __init__(
        self, people: People, index: PeopleIndex, settings: SampleSettings, ahead: ReadAhead, piece_size: int
    ) -> None:
        self.people, self.index, self.settings, self.piece_size = people, index, settings, piece_size
        self.ahead = ahead.of_store() if index.is_remote else ahead.of_disk()
        self.counts = Counts()
        self._held, self._lock, self._planning = 0, threading.Lock(), threading.Lock()
        self._todo: Iterator[tuple[int, Int[np.ndarray, " positions"]]] = iter(())
        self._ready = deque[Planned]()
        self._batches = 1  # of the next window: the first is small, so that the first batch comes soon
        self._gap = ahead.gap // 4 if index.is_remote else ahead.gap  # grows where the line has room
        self._waited, self._planned_at = 0.0, time.perf_counter()
        self._is_warm = True  # whether the last window was in memory already
        self._pool = ThreadPoolExecutor(self.ahead.requests, thread_name_prefix="ehps-run")

    def batches(self, todo: Iterable[tuple[int, Int[np.ndarray, " positions"]]]) -> Generator[Planned]:
        """Yield batches, given where each starts and the positions of this rank in it."""
        self._todo = iter(todo)
        try:
            while self._plan(needed=True):
                yield self._ready.popleft()
        finally:
            with self._planning:
                self._todo = iter(())
            self._pool.shutdown(wait=True, cancel_futures=True)

    def release(self, piece: HeldPiece) -> None:
        """Let go of what a piece has held, and go on planning."""
        freed = 0
        with self._lock:
            for part in itertools.chain.from_iterable(piece.parts.values()):
                part.users -= 1
                if not part.users:
                    freed, part.data = freed + part.place.size, b""
        piece.parts.clear()
        piece.runs.clear()
        self._hold(-freed)
        self._plan()

    def miss(self) -> None:
        """Count a read of what was not at hand."""
        with self._lock:
            self.counts.missed += 1

    def _hold(self, size: int) -> None:
        """Count bytes that are held from now on, or no longer."""
        with self._lock:
            self._held += size
            self.counts.most_bytes = max(self.counts.most_bytes, self._held)

    def _plan(self, *, needed: bool = False) -> bool:
        """Plan windows while there is room for them; return whether a batch is ready."""
        if not self._planning.acquire(blocking=needed):
            return False  # another thread is at it
        try:
            while self._has_room() or (needed and not self._ready):
                if not self._plan_window():
                    break
            return bool(self._ready)
        finally:
            self._planning.release()

    def _has_room(self) -> bool:
        """Return whether another window may begin."""
        is_free = self._held <= self.ahead.memory * (1 - 1 / WINDOWS)
        return is_free and not self._is_warm and len(self._ready) < MOST_BATCHES

    def _plan_window(self) -> bool:
        """Plan the next batches, whose bytes are asked for together; return whether there were any."""
        wasted = max(self.counts.read_bytes / max(self.counts.used_bytes, 1), 1.0)
        window, batches = _Window(self), 0
        for start, positions in itertools.islice(self._todo, self._batches):
            self._ready.append(window.planned(start, positions))
            batches += 1
            if window.size * wasted > self.ahead.memory / WINDOWS:
                break
        runs = join_runs(window.parts, gap=self._gap, longest=self.ahead.longest or LONGEST)
        for run in runs:
            self._submit(run, window)
        if self.index.is_remote and runs:
            self._adapt(sum(run.end - run.start for run in runs) / len(runs))
        self._is_warm = window.is_warm
        self._batches = 1 if window.is_warm else min(4 * self._batches, MOST_BATCHES)
        return batches > 0

    def _adapt(self, run_size: float) -> None:
        """Skip more bytes in the next window if threads had to wait for this one, else ask less often."""
        waited, now = self.counts.waited_s, time.perf_counter()
        if waited - self._waited > _IDLE * (now - self._planned_at):
            self._gap = max(self._gap // 2, SMALLEST_GAP) if run_size > SHORTEST else self._gap
        else:
            self._gap = min(self._gap * 2, self.ahead.gap)
        self._waited, self._planned_at = waited, now

    def _submit(self, run: Run, window: "_Window") -> None:
        """Have a run fetched for the pieces that need it."""
        parts = [window.parts[span] for span in run.spans]
        self._hold(run.end - run.start)
        self.counts.runs += 1
        self.counts.read_bytes += run.end - run.start
        self.counts.used_bytes += sum(part.place.size for part in parts)
        future = self._pool.submit(self._fetch, run, window.tars[run.file], parts)
        for span in run.spans:
            for piece in window.pieces[span]:
                piece.runs.add(future)

    def _fetch(self, run: Run, tar: TarFile, parts: list[Part]) -> None:
        """Read a run and hand its bytes to the parts in it."""
        try:
            data = tar.unchecked(run.start, run.end)
            for part in parts:
                first = part.place.offset - run.start
                part.data = data[first : first + part.place.size]
        finally:
            self._hold(sum(part.place.size for part in parts) - (run.end - run.start))


class _Window:
    """Some batches whose bytes are asked for together, or which are in memory already (``is_warm``)."""

    def __init__(self, owner: RunReader) -> None:
        self.owner = owner
        self.tars: list[TarFile] = []
        self.parts: dict[Span, Part] = {}
        self.pieces: dict[Span, set[HeldPiece]] = {}
        self.size = 0
        self._numbers: dict[int, int] = {}
        self.is_warm = False

    def planned(self, start: int, positions: Int[np.ndarray, " positions"]) -> Planned:
        """Return a batch, of whose people the bytes were added to the window."""
        owner, step = self.owner, self.owner.piece_size
        ids = owner.people.draw(positions).person_id.tolist()
        if not self.parts:
            self.is_warm = not owner.index.is_remote and self._mostly_at_hand(ids[:: max(len(ids) // PROBES, 1)])
        if self.is_warm:
            return Planned(start, positions, [Piece(part, owner.index.load) for part in cut_positions(positions, step)])
        changes = draw_all(owner.settings.seed, positions, owner.settings.ranges)
        pieces = []
        for first, part in zip(range(0, len(positions), step), cut_positions(positions, step), strict=True):
            piece = HeldPiece(part, owner)
            for person_id, change in zip(ids[first : first + step], changes[first : first + step], strict=True):
                self._add(piece, person_id, change)
            pieces.append(piece)
        return Planned(start, positions, pieces)

    def _mostly_at_hand(self, ids: Sequence[int]) -> bool:
        """Return whether the labels of most of some people are in memory already.

        A busy system now and then denies that of bytes which are, so one that is not proves nothing.
        """
        try:
            return sum(self.owner.index.load(person_id).frame.is_at_hand for person_id in ids) > len(ids) / 2
        except EhpsError:
            return True  # met again by who reads this person

    def _add(self, piece: HeldPiece, person_id: int, change: Augmentation) -> None:
        """Add what somebody needs."""
        index, settings = self.owner.index, self.owner.settings
        frame = index.load(person_id).frame
        try:
            box, reduce, _ = view_of(affine_of(index.seen(person_id), change, settings), settings.size, settings.mode)
            places = frame.needed(box, reduce)
        except EhpsError:
            return  # met again by who reads this person
        number = self._numbers.setdefault(id(frame.tar), len(self.tars))
        if number == len(self.tars):
            self.tars.append(frame.tar)
        piece.parts.setdefault(person_id, []).extend(self._part(piece, number, place) for place in places)

    def _part(self, piece: HeldPiece, number: int, place: Place) -> Part:
        """Return the part of a place, which a piece needs."""
        span = Span(number, place.offset, place.offset + place.size)
        part = self.parts.get(span)
        if part is None:
            part = self.parts[span] = Part(place)
            self.pieces[span] = set()
            self.size += place.size
        part.users += 1
        self.pieces[span].add(piece)
        return part


def cut_positions(positions: Int[np.ndarray, " positions"], step: int) -> list[Int[np.ndarray, " some"]]:
    """Return positions in stretches of a length, the last shorter."""
    return [positions[first : first + step] for first in range(0, len(positions), step)]
