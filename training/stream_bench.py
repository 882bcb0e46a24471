"""How fast a mixture streams on this machine, stage by stage, and what limits it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..shards.cutting import view_of, warp_region
from ..shards.picture import decode_rgb
from ..shards.region import Region
from .augment import Augmentation, draw_all
from .batches import empty_batch, rows_of
from .effects import apply_effects
from .samples import UNREADABLE, People, SampleSettings, affine_of, write_labels
from .stream import PIECE, Stream

STAGES = {
    "draw": "who stands where, and how it is changed",
    "read": "bytes of labels and needed tiles, and their checksums",
    "decode": "the tiles to pixels",
    "warp": "pixels to the crop, in the batch",
    "augment": "occlusion, blur and compression",
    "targets": "labels to what the losses compare with",
    "batch": "memory of the batch",
}
_PYTHON = ("draw", "targets", "batch")  # hold the interpreter's lock


@dataclass(frozen=True)
class Stage:
    """What a stage costs for one person on one thread."""

    name: str
    milliseconds: float
    processor_milliseconds: float


@dataclass(frozen=True)
class Rates:
    """The speed of a stream."""

    people: int  # that were read
    first_batch_s: float
    stages: tuple[Stage, ...]
    by_threads: dict[int, float]  # people per second, by the number of threads that read ahead; 0: none
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
) -> Rates:
    """Read ``count`` people of a mixture in several ways and return how long it took.

    The stages are those of one thread; they are read first, so that they tell of a disk whose pictures are not yet in
    memory. People who cannot be read are passed over.
    """
    stream = Stream(people, load, settings, batch_size=min(batch_size, count))
    began = time.perf_counter()
    stream.read(0)
    first = time.perf_counter() - began
    clock = _Clock()
    read, size = _staged(clock, people, load, settings, _range(people, batch_size, count))
    stages = tuple(Stage(n, clock.wall[n] / read * 1e3, clock.processor[n] / read * 1e3) for n in STAGES)
    rates = {number: _rate(people, load, settings, count, batch_size, number) for number in threads}
    return Rates(read, first, stages, rates, size / read, limit_of(stages, rates))


def _range(people: People, start: int, count: int) -> np.ndarray:
    """Return positions behind the first batch, or all of a short order."""
    if people.length is not None and start + count > people.length:
        return np.arange(min(count, people.length))
    return np.arange(start, start + count)


def _staged(
    clock: _Clock, people: People, load: Callable[[int], Any], settings: SampleSettings, positions: np.ndarray
) -> tuple[int, int]:
    """Read people one stage after the other; return how many there were, and how many bytes were read."""
    read = size = 0
    for first in range(0, len(positions), PIECE):
        piece = positions[first : first + PIECE]
        with clock.stage("batch"):
            rows = rows_of(empty_batch(len(piece), settings.size))
        with clock.stage("draw"):
            drawn, changes = people.draw(piece), draw_all(settings.seed, piece, settings.ranges)
        kept, affines = [], []
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
        read += len(kept)
    return max(read, 1), size


def _cut(
    clock: _Clock, person: Any, change: Augmentation, settings: SampleSettings, crop: np.ndarray
) -> tuple[np.ndarray, int]:
    """Cut one person; return the map, and how many bytes were decoded."""
    with clock.stage("warp"):
        affine = affine_of(person, change, settings)
        view = view_of(affine, settings.size, settings.mode)
    with clock.stage("read"):
        tiles = person.frame.tiles
        data, window = (person.image_bytes, None) if tiles is None else person.frame.region_bytes(tiles, *view)
    with clock.stage("decode"):
        if window is None:
            region = person.frame.region(*view)
        else:
            region = Region(decode_rgb(data, reduce=view.reduce), window.x0, window.y0, view.reduce)
    with clock.stage("warp"):
        warp_region(region, affine, settings.size, crop)
    with clock.stage("augment"):
        apply_effects(crop, change)
    return affine, len(data)


def _rate(
    people: People, load: Callable[[int], Any], settings: SampleSettings, count: int, batch_size: int, threads: int
) -> float:
    """Return how many people a second the stream yields, from its second batch on."""
    stream = Stream(people, load, settings, batch_size=min(batch_size, count), workers=threads, keeps_tail=True)
    batches, read = iter(stream), 0
    next(batches)
    began = time.perf_counter()
    for batch in batches:
        read += len(batch.keys)
        if read >= count:
            break
    seconds = time.perf_counter() - began
    batches.close()  # pyright: ignore[reportAttributeAccessIssue] it is a generator
    return read / seconds


def limit_of(stages: tuple[Stage, ...], rates: dict[int, float]) -> str:
    """Return in a sentence what a faster machine should have more of."""
    wall = {stage.name: stage.milliseconds for stage in stages}
    total, processor = sum(wall.values()), sum(stage.processor_milliseconds for stage in stages)
    waiting = total - processor
    if waiting > total / 3:
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
