"""How far an order is from a full shuffle, source by source, measured on a sample of its batches.

Every measure stands beside ``ideal``: the same measure where the people of each source are drawn at random from all
of it. So a small source, whose people must meet in a batch, does not look badly shuffled.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from ..shards.catalog import query
from ..shards.runs import GAP
from .mixture import MixedPeople
from .order import SpreadOrder
from .permutation import keys_of

BATCHES = 16  # that are looked at
TURNS = 4096  # of each source whose displacement is looked at
WINDOW = 4096  # positions that a reader reads ahead
NEAR_FRAMES = 30  # frames of one video that show much the same: a second


class Places(NamedTuple):
    """Where some people lie, and which video they belong to."""

    shard: Int[np.ndarray, " people"]
    offset: Int[np.ndarray, " people"]  # bytes from the start of the tar
    size: Int[np.ndarray, " people"]  # bytes of picture and labels
    video: Int[np.ndarray, " people"]  # -1: none
    frame: Int[np.ndarray, " people"]  # number within the video

    def at(self, rows: np.ndarray) -> "Places":
        """Return some of them."""
        return Places(*(values[rows] for values in self))


class Measures(NamedTuple):
    """What a sample of batches shows; means over the batches in which the source has people."""

    shards_per_batch: float  # different shards
    neighbours: float  # share of a batch's people with another of the same picture, or nearly the same frame
    runs_per_mb: float  # pieces that a reader reads in ``WINDOW`` positions, per megabyte (1e6 bytes) of theirs


@dataclass(frozen=True)
class ShuffleQuality:
    """The quality of one source's order, or of all of it."""

    name: str
    displacement: float | None  # mean |place in the pass - place in the source| / people; a full shuffle has 1/3
    found: Measures
    ideal: Measures
    bytes_per_person: float  # of picture and labels


def shuffle_quality(
    people: MixedPeople, places_of: Callable[[np.ndarray], Places], *, batch_size: int = 256
) -> list[ShuffleQuality]:
    """Return the quality of each source in the order of ``people.names``, and last that of all together.

    ``places_of`` takes person_ids (``catalog_places``); it is asked once.
    """
    batch_size = min(batch_size, people.length or batch_size)
    starts = _starts(people, batch_size)
    batches = [start + np.arange(batch_size) for start in starts]
    window = np.arange(min(WINDOW, people.length or WINDOW))
    positions = np.concatenate([*batches, window])
    drawn = people.draw(positions)
    ids = np.stack([drawn.person_id, _at_random(people, drawn.source, positions)])
    found, number = np.unique(ids, return_inverse=True)
    number = number.reshape(ids.shape)
    group = np.concatenate([np.repeat(np.arange(len(batches)), batch_size), np.full(len(window), -1)])
    places = places_of(found)
    sample = [_Sample(drawn.source, group, places.at(rows)) for rows in number]
    sources: Sequence[int | None] = [*range(len(people.names)), None]
    return [_quality(people, source, *sample) for source in sources]


class _Sample(NamedTuple):
    """The people of some batches and, in group -1, of a window of reading ahead."""

    source: Int[np.ndarray, " people"]
    group: Int[np.ndarray, " people"]
    places: Places


def _starts(people: MixedPeople, batch_size: int) -> list[int]:
    """Return where the batches that are looked at start: evenly over an epoch, or over a shorter order."""
    length = people.epoch_length if people.length is None else min(people.length, people.epoch_length)
    last = max(length // batch_size - 1, 0)
    return [int(number) * batch_size for number in np.unique(np.linspace(0, last, BATCHES).astype(np.int64))]


def _at_random(
    people: MixedPeople, source: Int[np.ndarray, " n"], positions: Int[np.ndarray, " n"]
) -> Int[np.ndarray, " n"]:
    """Return a random person of each position's source."""
    ids = np.empty_like(positions)
    for number, selection in enumerate(people.selections):
        mine = np.flatnonzero(source == number)
        rows = (keys_of(number, positions[mine]) % np.uint64(len(selection))).astype(np.int64)
        ids[mine] = selection.person_ids(rows)
    return ids


def _quality(people: MixedPeople, source: int | None, found: _Sample, ideal: _Sample) -> ShuffleQuality:
    """Return the quality of one source, or of all."""
    mine = np.ones(len(found.source), bool) if source is None else found.source == source
    name = "all" if source is None else people.names[source]
    displacement = None if source is None else displacement_of(people, source)
    size = float(found.places.size[mine].mean()) if mine.any() else 0.0
    return ShuffleQuality(name, displacement, _measures(found, mine), _measures(ideal, mine), size)


def displacement_of(people: MixedPeople, source: int) -> float | None:
    """Return how far people come from where they lie in their source, as a mean share of it; None if not known."""
    if not isinstance(people.order, SpreadOrder):
        return None
    size = int(people.order.sizes[source])
    turns = np.unique(np.linspace(0, size - 1, min(size, TURNS)).astype(np.int64))
    person = people.order.people(np.full(len(turns), source), turns)
    return float(np.abs(person - turns).mean() / size)


def _measures(sample: _Sample, mine: np.ndarray) -> Measures:
    """Return the measures of some people of a sample."""
    groups = [np.flatnonzero(mine & (sample.group == group)) for group in range(int(sample.group.max()) + 1)]
    batches = [sample.places.at(rows) for rows in groups if len(rows)]
    shards = [len(np.unique(batch.shard)) for batch in batches]
    neighbours = [neighbour_share(batch) for batch in batches]
    pieces, size = runs(sample.places.at(np.flatnonzero(mine & (sample.group == -1))))
    return Measures(
        shards_per_batch=float(np.mean(shards)) if shards else 0.0,
        neighbours=float(np.mean(neighbours)) if neighbours else 0.0,
        runs_per_mb=pieces / (size / 1e6) if size else 0.0,
    )


def neighbour_share(places: Places) -> float:
    """Return the share of people with another of the same picture or of a frame of the same video a second away."""
    by_picture = np.lexsort((places.offset, places.shard))
    is_same = (np.diff(places.shard[by_picture]) == 0) & (np.diff(places.offset[by_picture]) == 0)
    by_video = np.lexsort((places.frame, places.video))
    is_near = (np.diff(places.video[by_video]) == 0) & (np.diff(places.frame[by_video]) <= NEAR_FRAMES)
    is_near &= places.video[by_video][1:] >= 0
    has_neighbour = np.zeros(len(places.shard), bool)
    for order, pair in ((by_picture, is_same), (by_video, is_near)):
        has_neighbour[order[1:][pair]] = True
        has_neighbour[order[:-1][pair]] = True
    return float(has_neighbour.mean())


def runs(places: Places) -> tuple[int, int]:
    """Return in how many pieces a reader reads these people, and their bytes; pictures are read once."""
    if not len(places.shard):
        return 0, 0
    _, first = np.unique(np.stack([places.shard, places.offset]), axis=1, return_index=True)
    shard, offset, size = places.shard[first], places.offset[first], places.size[first]
    gaps = offset[1:] - (offset[:-1] + size[:-1])
    return 1 + int(((np.diff(shard) != 0) | (gaps > GAP)).sum()), int(size.sum())


_PLACES_SQL = """
    WITH chosen AS (SELECT person_id, person_id - person AS first_person_id FROM people
                    WHERE person_id IN (SELECT unnest(?::BIGINT[])))
    SELECT dense_rank() OVER (ORDER BY dataset, split, unit, shard) AS shard,
           coalesce(image_offset, rows_offset) AS "offset",
           coalesce(image_size, 0)::BIGINT + rows_size AS size,
           CASE WHEN sequence IS NULL OR frame_index IS NULL THEN -1
                ELSE dense_rank() OVER (ORDER BY dataset, split, sequence, camera_name) END AS video,
           coalesce(frame_index, 0) AS frame
    FROM chosen JOIN frames USING (first_person_id) ORDER BY person_id
"""


def catalog_places(out: Path) -> Callable[[np.ndarray], Places]:
    """Return what looks people up in the catalog of a converted tree; person_ids ascend, each once."""

    def places_of(person_ids: np.ndarray) -> Places:
        found = query(out, _PLACES_SQL, [person_ids.tolist()])
        return Places(*(found[name].to_numpy(np.int64) for name in Places._fields))

    return places_of
