"""Some people of each source, drawn with a fixed seed, so that sources of any size cost the same and compare fairly.

Body poses are drawn evenly from all that the catalog has (``poses.npy``). Orientations and hands lie in the sidecars:
shards are drawn with a probability that grows with their people, and the same number of people from each, which gives
everyone the same chance (two stages, systematic; Cochran, Sampling Techniques, 3rd ed., 9A). People of one shard are
alike, so such a sample says less than its number of people would.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int64

from ...errors import ShardError
from ..catalog_files import POSES, Partition, partition_shards, read_state
from ..poses import BODY, HAND, JOINTS, poses_of
from ..sidecar import open_sidecar
from ..tree import ShardPlace

PEOPLE = 1024  # of a source
SHARDS = 16  # of a source that are opened
SEED = 0
_FINGERS = HAND // 3
BETAS = 10
_COLUMNS = ("global_orient", "left_hand_pose", "right_hand_pose", "betas", "betas_neutral")


class Group(NamedTuple):
    """What is compared: a source, or one of its splits."""

    name: str
    partitions: tuple[Partition, ...]

    @property
    def people(self) -> int:
        """How many it has."""
        return sum(partition.people for partition in self.partitions)

    @property
    def fingerprint(self) -> str:
        """What changes with any of its shards."""
        return "-".join(partition.fingerprint for partition in self.partitions)


@dataclass(frozen=True, eq=False)
class PoseSample:
    """Some people of a group, of each kind those that have it; axis-angle, rad.

    The order is random. Where there are several shards, every second hand or orientation is from every second shard, so
    that the two halves tell how much the choice of shards matters.
    """

    bodies: Float[np.ndarray, "bodies 21 3"]
    orients: Float[np.ndarray, "oriented 3"]
    left_hands: Float[np.ndarray, "left 15 3"]
    right_hands: Float[np.ndarray, "right 15 3"]
    betas: Float[np.ndarray, "shaped 10"]
    """Of the neutral body where the catalog has them, else as distributed."""
    unread: int = 0
    """Shards that were drawn and whose sidecars are not here."""


def groups_of(out: Path, *, by_split: bool = False) -> list[Group]:
    """Return the sources of a catalog, or its sources and splits; ShardError when there is no catalog."""
    state = read_state(out)
    if state is None:
        raise ShardError(out, "there is no catalog of this version of ehps here", "run ehps catalog first")

    def name(partition: Partition) -> str:
        return f"{partition.dataset} {partition.split}" if by_split else partition.dataset

    chosen = sorted((p for p in state.partitions if p.people), key=lambda p: (p.dataset, p.split))
    return [Group(title, tuple(parts)) for title, parts in groupby(chosen, key=name)]


def generator(*names: str | int) -> np.random.Generator:
    """Return the random numbers that belong to some names, the same on every machine and in any order of calls."""
    words = hashlib.sha256("\n".join(map(str, (SEED, *names))).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(words[:16], "little")))


def draw_rows(count: int, limit: int, rng: np.random.Generator) -> Int64[np.ndarray, " drawn"]:
    """Return at most ``limit`` different rows out of ``count``, each as likely as any other, in order."""
    if count <= limit:
        return np.arange(count, dtype=np.int64)
    return np.sort(rng.choice(count, limit, replace=False, shuffle=False)).astype(np.int64)


def draw_places(sizes: Sequence[int], picks: int, rng: np.random.Generator) -> Int64[np.ndarray, " picks"]:
    """Return the places of groups drawn systematically with a probability proportional to their sizes.

    A group larger than the step from pick to pick comes several times.
    """
    ends = np.cumsum(sizes)
    if not len(ends) or not ends[-1]:
        return np.zeros(0, np.int64)
    spots = (np.arange(picks) + rng.random()) * (ends[-1] / picks)
    return np.searchsorted(ends, spots, "right").clip(0, len(ends) - 1).astype(np.int64)


def draw_sample(out: Path, group: Group, people: int = PEOPLE, shards: int = SHARDS) -> PoseSample:
    """Return the sample of a group: at most ``people`` from at most ``shards`` shards, and as many body poses."""
    places = [place for partition in group.partitions for place in partition_shards(partition.folder) if place.people]
    tables, unread = _tables(Path(out), places, people, shards, group.name)
    orients = [poses_of(table["global_orient"], 3).numbers for table in tables]
    left, right = ([_hands(table, side) for table in tables] for side in ("left", "right"))
    rng = generator(group.name, "order")
    return PoseSample(
        draw_bodies(group, people),
        _mixed(orients, (3,), rng),
        _mixed(left, (_FINGERS, 3), rng),
        _mixed(right, (_FINGERS, 3), rng),
        _mixed([_betas(table) for table in tables], (BETAS,), rng),
        unread,
    )


def draw_bodies(group: Group, people: int = PEOPLE) -> Float[np.ndarray, "bodies 21 3"]:
    """Return at most so many body poses of a group, drawn evenly from all that the catalog has."""
    parts = [np.load(partition.folder / POSES, mmap_mode="r") for partition in group.partitions]
    starts = np.cumsum([0, *(len(part) for part in parts)]).tolist()
    rng = generator(group.name, "bodies")
    rows = draw_rows(starts[-1], people, rng)
    chosen = [
        part[rows[(rows >= first) & (rows < last)] - first]
        for part, (first, last) in zip(parts, pairwise(starts), strict=True)
    ]
    return rng.permutation(_joined(chosen, (BODY,))).reshape(-1, JOINTS, 3)


def _tables(out: Path, places: Sequence[ShardPlace], people: int, shards: int, name: str) -> tuple[list[pa.Table], int]:
    """Return drawn rows of drawn sidecars, and how many of those are not here."""
    rng = generator(name, "people")
    total = sum(place.people for place in places)
    picks = range(len(places)) if total <= people else draw_places([p.people for p in places], shards, rng)
    times = {int(place): 0 for place in picks}
    for place in picks:
        times[int(place)] += 1
    tables, unread = [], 0
    for place, count in times.items():
        path = (out / places[place].path).with_suffix(".parquet")
        if path.is_file():
            wanted = people if total <= people else -(-people * count // len(picks))
            tables.append(_some_rows(path, wanted, rng))
        else:
            unread += 1
    return tables, unread


def _some_rows(path: Path, count: int, rng: np.random.Generator) -> pa.Table:
    """Return rows of a sidecar, all from one of its row groups."""
    with open_sidecar(path) as file:
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        if sum(sizes) <= count:
            return file.read(columns=list(_COLUMNS))
        chosen = int(draw_places(sizes, 1, rng)[0])
        table = file.read_row_group(chosen, list(_COLUMNS), use_threads=False)
    return table.take(pa.array(draw_rows(len(table), count, rng)))


def _hands(table: pa.Table, side: str) -> np.ndarray:
    return poses_of(table[f"{side}_hand_pose"], HAND).numbers.reshape(-1, _FINGERS, 3)


def _betas(table: pa.Table) -> np.ndarray:
    """Return the first coefficients of everyone who has as many."""
    own, neutral = (poses_of(table[name], BETAS) for name in ("betas", "betas_neutral"))
    found = np.full((len(table), BETAS), np.nan)
    for poses in (own, neutral):
        found[poses.rows] = poses.numbers
    return found[~np.isnan(found[:, 0])]


def _mixed(parts: Sequence[np.ndarray], shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return the rows of shards in random order, those of even and of odd shards by turns as long as there are both."""
    even, odd = (rng.permutation(_joined(parts[first::2], shape)) for first in (0, 1))
    both = min(len(even), len(odd))
    turns = np.stack([even[:both], odd[:both]], axis=1).reshape(-1, *shape)
    return np.concatenate([turns, even[both:], odd[both:]])


def _joined(parts: Iterable[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Return arrays of rows one after the other in double precision, none of them perhaps."""
    return np.concatenate([np.zeros((0, *shape)), *(np.asarray(part, np.float64) for part in parts)])
