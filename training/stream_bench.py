"""How fast a mixture streams on this machine, stage by stage, and what limits it."""

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..shards.cutting import view_of, warp_region
from ..shards.held import HeldTar, Part
from .augment import Augmentation, draw_all
from .batches import empty_batch, rows_of
from .effects import apply_effects
from .read_ahead import Piece, ReadAhead
from .samples import UNREADABLE, People, SampleSettings, affine_of, write_labels
from .stream import Stream

STAGES = {
    "draw": "who stands where, and how it is changed",
    "read": "bytes of labels and needed tiles",
    "decode": "checksums, and the tiles to pixels",
    "warp": "pixels to the crop, in the batch",
    "augment": "occlusion, blur and compression",
    "targets": "labels to what the losses compare with",
    "batch": "memory of the batch",
}
_MUCH = 1 / 3  # share of the time that is worth a word
_PYTHON = ("draw", "targets", "batch")  # hold the interpreter's lock


@dataclass(frozen=True)
class Stage:
    """What a stage costs for one person on one thread."""

    name: str
    milliseconds: float
    processor_milliseconds: float


@dataclass(frozen=True)
class Reading:
    """What a stream read ahead, from a store or a disk."""

    mb_per_s: float
    mb_per_run: float  # a run is one request or one seek
    used: float  # share of the bytes that people needed
    waited: float  # share of the threads' time in which they waited for bytes


@dataclass(frozen=True)
class Rates:
    """The speed of a stream."""

    people: int  # that were read
    first_batch_s: float
    stages: tuple[Stage, ...]
    by_threads: dict[int, float]  # people per second, by the number of threads that read ahead; 0: none
    reading: dict[int, Reading]  # what was read ahead, by the number of threads; empty where all was in memory
    bytes_per_person: float  # that were read
    limit: str


class _Clock:
    """Times of stages."""

    def __init__(self) -> None:
        self.wall, self.processor = dict.fromkeys(STAGES, 0.0), dict.fromkeys(STAGES, 0.0)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        wall, processor = time.perf_counter(), time.thread_time()
        yield
        self.wall[name] += time.perf_counter() - wall
        self.processor[name] += time.thread_time() - processor


def measure(
    people: People,
    load: Callable[[int], Any],
    settings: SampleSettings,
    *,
    count: int = 512,
    batch_size: int = 64,
    threads: tuple[int, ...] = (0, 1, 2),
    read_ahead: ReadAhead | None = None,
) -> Rates:
    """Read ``count`` people of a mixture in several ways and return how long it took.

    The stages are those of one thread; they are read first, so that they tell of a disk whose pictures are not yet in
    memory. People who cannot be read are passed over.
    """
    count = count if people.length is None else min(count, people.length)

    def stream(start: int, workers: int) -> Stream:
        start = start if people.length is None or start + count <= people.length else 0
        size = min(batch_size, count)
        options = {"batch_size": size, "position": start, "keeps_tail": True, "read_ahead": read_ahead}
        return Stream(people, load, settings, workers=workers, **options)

    began = time.perf_counter()
    stream(0, 0).read(0)
    first = time.perf_counter() - began
    clock = _Clock()
    read, size = _staged(clock, stream(batch_size, 0), count)
    stages = tuple(Stage(n, clock.wall[n] / read * 1e3, clock.processor[n] / read * 1e3) for n in STAGES)
    found = {number: _rate(stream(0, number), count) for number in threads}
    rates = {number: rate for number, (rate, _) in found.items()}
    reading = {number: ahead for number, (_, ahead) in found.items() if ahead is not None}
    return Rates(read, first, stages, rates, reading, size / read, limit_of(stages, rates, reading))


def expected_rate(
    people: People, load: Callable[[int], Any], settings: SampleSettings, *, workers: int, seconds: float = 1.0
) -> float:
    """Return how many people a second the stream has yielded in a short trial from its beginning on."""
    stream = Stream(people, load, settings, batch_size=16, workers=workers, keeps_tail=True)
    return _rate(stream, 1 << 30, seconds)[0]


def _staged(clock: _Clock, stream: Stream, count: int) -> tuple[int, int]:
    """Read people one stage after the other; return how many there were, and how many bytes they needed."""
    read = size = 0
    with closing(stream.planned()) as batches:
        pieces = itertools.chain.from_iterable(batch.pieces for batch in batches)
        for piece in pieces:
            found = _staged_piece(clock, stream, piece)
            read, size = read + found[0], size + found[1]
            count -= len(piece.positions)
            if count <= 0:
                break
    return max(read, 1), size


def _staged_piece(clock: _Clock, stream: Stream, piece: Piece) -> tuple[int, int]:
    """Read the people of a piece; return how many there were, and how many bytes they needed."""
    people, settings, positions = stream.people, stream.reader.settings, piece.positions
    with clock.stage("batch"):
        rows = rows_of(empty_batch(len(positions), settings.size))
    with clock.stage("draw"):
        drawn, changes = people.draw(positions), draw_all(settings.seed, positions, settings.ranges)
    kept, affines, size = [], [], 0
    with ExitStack() as stack:
        with clock.stage("read"):
            load = stack.enter_context(piece)
        for person_id, change in zip(drawn.person_id.tolist(), changes, strict=True):
            try:
                with clock.stage("read"):
                    person = load(person_id)
                    labels = person.frame.rows.nbytes if person.frame.meta else 0
                affine, pixels = _cut(clock, person, change, settings, rows.crops[len(kept)])
            except UNREADABLE:
                continue
            kept.append((person, change))
            affines.append(affine)
            size += labels + pixels
    if kept:
        with clock.stage("targets"):
            mine, changes = zip(*kept, strict=True)
            write_labels(list(mine), list(changes), np.stack(affines), settings, rows.part(slice(0, len(kept))))
    return len(kept), size


def _cut(
    clock: _Clock, person: Any, change: Augmentation, settings: SampleSettings, crop: np.ndarray
) -> tuple[np.ndarray, int]:
    """Cut one person; return the map, and how many bytes of the picture were read."""
    with clock.stage("warp"):
        affine = affine_of(person, change, settings)
        view = view_of(affine, settings.size, settings.mode)
    with clock.stage("read"):
        parts = [Part(place) for place in person.frame.needed(view.box, view.reduce)[1:]]  # the first is the labels
        for part in parts:
            part.data = person.frame.tar.unchecked(part.place.offset, part.place.offset + part.place.size)
        frame = person.frame.through(lambda tar: HeldTar(tar, parts, lambda: None))
    with clock.stage("decode"):
        region = frame.region(*view)
    with clock.stage("warp"):
        warp_region(region, affine, settings.size, crop)
    with clock.stage("augment"):
        apply_effects(crop, change)
    return affine, sum(part.place.size for part in parts)


def _rate(stream: Stream, count: int, seconds: float = 60.0) -> tuple[float, Reading | None]:
    """Return how many people a second a stream yields, from its second batch on, and how it read ahead."""
    batches, read, spent = iter(stream), 0, 0.0
    opened = time.perf_counter()
    next(batches)
    began = time.perf_counter()
    for batch in batches:
        read, spent = read + len(batch.keys), time.perf_counter() - began
        if read >= count or spent > seconds:
            break
    counts, open_s = stream.counts, time.perf_counter() - opened
    batches.close()  # pyright: ignore[reportAttributeAccessIssue] it is a generator
    if not read:  # all of a short order was in the first batch
        read, spent = stream.batch_size, began - opened
    if not counts.runs:
        return read / spent, None
    waited = counts.waited_s / (max(stream.workers, 1) * open_s)
    used = min(counts.used_bytes / counts.read_bytes, 1.0)
    size = counts.read_bytes / 1e6
    return read / spent, Reading(size / open_s, size / counts.runs, used, waited)


def limit_of(stages: tuple[Stage, ...], rates: dict[int, float], reading: dict[int, Reading] | None = None) -> str:
    """Return in a sentence what a faster machine should have more of."""
    if reading and (ahead := reading.get(max(rates))) is not None and ahead.waited > _MUCH:
        said = f"reading: threads wait {ahead.waited:.0%} of their time while {ahead.mb_per_s:.0f} MB/s come"
        return f"{said} in runs of {ahead.mb_per_run:.2g} MB; a faster line, or more neighbours a run (locality)"
    wall = {stage.name: stage.milliseconds for stage in stages}
    total, processor = sum(wall.values()), sum(stage.processor_milliseconds for stage in stages)
    waiting = total - processor
    if not reading and waiting > total * _MUCH:
        return (
            f"reading: {waiting / total:.0%} of the time is spent waiting, not computing; more threads or a faster disk"
        )
    largest = max(wall, key=lambda name: wall[name])
    said = f"the processor: {largest} takes {wall[largest] / total:.0%} of its time ({STAGES[largest]})"
    alone, most = rates.get(1) or rates.get(0) or 0.0, max(rates)
    if most > 1 and rates[most] < 0.6 * most * alone:
        alike = sum(wall[name] for name in _PYTHON) / total
        said += f"; {most} threads yield {rates[most] / alone:.1f} times what one does: cores are taken"
        said += f", or the {alike:.0%} of the work that one thread at a time can do"
    return said
