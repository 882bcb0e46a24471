"""Leakage: pictures that training sets share with a benchmark, exactly (the owner's bytes) or nearly (the hashes).

Every picture of the benchmark gets at most one verdict for each training set, the first of: ``exact`` (BLAKE3 of the
owner's bytes), ``near`` (perceptual hashes within a distance), ``name`` (the same distinctive file name: a hint only).
What cannot be judged, because a picture has no hash or no contrast, is counted rather than called sound.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.parquet as pq
from jaxtyping import Bool, Int64, UInt8, UInt64

from .near_hashes import HashTable, ranges
from .phash import BITS, NO_HASH
from .sidecar import read_sidecar
from .tree import list_shards

Kind = Literal["exact", "near", "name"]
KINDS: tuple[Kind, ...] = ("exact", "near", "name")
DISTANCE = 4  # bits
LISTED = 3  # training pictures that are listed for one picture of the benchmark and one training set
_COLUMNS = ["key", "frame_key", "person", "image_blake3", "image_phash"]
_MIN_NAME = 10  # characters; shorter names (000123) are in every data set


@dataclass(frozen=True, eq=False)
class PictureTable:
    """The pictures of one source and split, one row each; null and False stand for what is not known."""

    dataset: str
    split: str
    keys: pa.Array  # of the frames
    names: pa.Array  # file names without folder and extension
    blake3: pa.Array  # of the owner's bytes; null: no picture
    hashes: UInt64[np.ndarray, " pictures"]
    is_hashed: Bool[np.ndarray, " pictures"]

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def name(self) -> str:
        """The source and split in one word."""
        return f"{self.dataset}/{self.split}"

    @cached_property
    def own_names(self) -> pa.Array:
        """The names that are long and occur once; null for the others, which say nothing."""
        counts = self.names.value_counts()
        values, once = counts.field("values"), counts.field("counts").to_numpy(zero_copy_only=False) == 1
        lengths = pc.call_function("utf8_length", [values]).fill_null(0).to_numpy(zero_copy_only=False)
        known = values.filter(pa.array(once & (lengths >= _MIN_NAME)))
        return pc.call_function("if_else", [_in(self.names, known), self.names, pa.scalar(None, self.names.type)])

    @cached_property
    def is_near_judged(self) -> Bool[np.ndarray, " pictures"]:
        """Which pictures have a hash that says something."""
        return self.is_hashed & (self.hashes != NO_HASH)

    def unjudged(self) -> "Unjudged":
        """Return how many pictures cannot be judged, and why."""
        flat = int((self.is_hashed & (self.hashes == NO_HASH)).sum())
        return Unjudged(self.name, len(self), self.blake3.null_count, int((~self.is_hashed).sum()), flat)


class Unjudged(NamedTuple):
    """Pictures of one source and split about which nothing can be said."""

    source: str
    pictures: int
    without_blake3: int
    without_hash: int
    without_contrast: int


class Shared(NamedTuple):
    """What one training set shares with one benchmark."""

    train: str
    test: str
    kind: Kind
    test_pictures: int  # of the benchmark, that have such a picture in the training set
    test_share: float
    train_pictures: int  # of the training set, that have such a picture in the benchmark
    pairs: int


@dataclass
class Leakage:
    """What was found: sums by pair of sources, the nearest pairs, and what could not be judged."""

    distance: int
    shared: list[Shared] = field(default_factory=list)
    pairs: list[pa.Table] = field(default_factory=list)  # of PAIR_SCHEMA
    unjudged: list[tuple[str, Unjudged]] = field(default_factory=list)  # "train" or "test"

    @property
    def is_found(self) -> bool:
        """Whether a picture is shared exactly or nearly; equal names alone prove nothing."""
        return any(shared.kind != "name" for shared in self.shared)

    def pair_table(self) -> pa.Table:
        """Return the listed pairs."""
        return pa.concat_tables([PAIR_SCHEMA.empty_table(), *self.pairs])


PAIR_SCHEMA = pa.schema(
    [
        ("kind", pa.string()),
        ("train", pa.string()),
        ("train_key", pa.string()),
        ("test", pa.string()),
        ("test_key", pa.string()),
        ("distance", pa.int32()),  # bits of 64 between the hashes; null unless near
    ]
)


def read_pictures(out: Path, dataset: str | None = None, split: str | None = None) -> Iterator[PictureTable]:
    """Yield the pictures of each source and split of a converted tree, read from the sidecars."""
    parts: dict[tuple[str, str], list[pa.Table]] = {}
    for shard in list_shards(out, dataset, split):
        table = read_sidecar((Path(out) / shard.path).with_suffix(".parquet"), _COLUMNS)
        parts.setdefault((shard.dataset, shard.split), []).append(
            table.filter(pc.call_function("equal", [table.column("person"), pa.scalar(0)]))
        )
    for where in sorted(parts):
        yield picture_table(*where, pa.concat_tables(parts.pop(where)))


def picture_table(dataset: str, split: str, frames: pa.Table) -> PictureTable:
    """Return the pictures of frames given as a table of key, frame_key, image_blake3 and image_phash."""
    hashes, column = frames.column("image_phash").combine_chunks(), frames.combine_chunks().column
    no_folder = pc.ReplaceSubstringOptions(r"^.*/|\.[A-Za-z0-9]+$", "")
    names = pc.call_function("replace_substring_regex", [column("frame_key").combine_chunks()], no_folder)
    return PictureTable(
        dataset,
        split,
        keys=column("key").combine_chunks(),
        names=names,
        blake3=column("image_blake3").combine_chunks(),
        hashes=hashes.fill_null(0).to_numpy(zero_copy_only=False).astype(np.uint64),
        is_hashed=hashes.is_valid().to_numpy(zero_copy_only=False),
    )


def find_leakage(
    train_tables: Iterable[PictureTable], test_tables: Sequence[PictureTable], distance: int = DISTANCE
) -> Leakage:
    """Return what each training set shares with each benchmark; near is at most ``distance`` of 64 bits apart.

    Training sets are taken one after another, so only one of them need be in memory.
    """
    if not 0 <= distance < BITS // 4:
        raise ValueError(f"distance is a number of bits from 0 to {BITS // 4 - 1}, found {distance}")
    found = Leakage(distance, unjudged=[("test", test.unjudged()) for test in test_tables])
    benchmarks = [(test, HashTable(test.hashes[test.is_near_judged], distance)) for test in test_tables]
    for train in train_tables:
        found.unjudged.append(("train", train.unjudged()))
        hashes = _Hashes.of(train.hashes, train.is_near_judged)
        for test, table in benchmarks:
            _compare(train, hashes, test, table, found)
    return found


class _Hashes(NamedTuple):
    """The different hashes of some pictures."""

    values: UInt64[np.ndarray, " hashes"]
    first: Int64[np.ndarray, " hashes"]  # the first picture with each
    pictures: Int64[np.ndarray, " hashes"]  # how many have each

    @classmethod
    def of(cls, hashes: UInt64[np.ndarray, " pictures"], chosen: Bool[np.ndarray, " pictures"]) -> "_Hashes":
        values, first, count = np.unique(hashes[chosen], return_index=True, return_counts=True)
        return cls(values, np.flatnonzero(chosen)[first], count)


class _Match(NamedTuple):
    """Which pictures of a benchmark have a counterpart in a training set."""

    kind: Kind
    test: Int64[np.ndarray, " listed"]  # rows of listed pairs
    train: Int64[np.ndarray, " listed"]
    distance: Int64[np.ndarray, " listed"] | None
    is_hit: Bool[np.ndarray, " test_pictures"]
    train_pictures: int
    pairs: int


def _compare(train: PictureTable, hashes: _Hashes, test: PictureTable, table: "HashTable", found: Leakage) -> None:
    """Add what a training set and a benchmark share; each picture of the benchmark counts in one kind."""
    is_open = np.ones(len(test), bool)
    for kind in KINDS:
        if kind == "near":
            match = _near_match(hashes, test, table, is_open)
        else:
            match = _equal_match(kind, train, test, is_open)
        if not match.is_hit.any():
            continue
        is_open &= ~match.is_hit
        count = int(match.is_hit.sum())
        found.shared.append(
            Shared(train.name, test.name, kind, count, count / len(test), match.train_pictures, match.pairs)
        )
        found.pairs.append(_pair_rows(match, train, test))


def _pair_rows(match: _Match, train: PictureTable, test: PictureTable) -> pa.Table:
    """Return listed pairs as rows of PAIR_SCHEMA."""
    count = len(match.test)
    columns = [
        pa.repeat(match.kind, count),
        pa.repeat(train.name, count),
        train.keys.take(pa.array(match.train)),
        pa.repeat(test.name, count),
        test.keys.take(pa.array(match.test)),
        pa.nulls(count, pa.int32()) if match.distance is None else pa.array(match.distance, pa.int32()),
    ]
    return pa.Table.from_arrays(columns, schema=PAIR_SCHEMA)


def _equal_match(
    kind: Kind, train: PictureTable, test: PictureTable, is_open: Bool[np.ndarray, " test_pictures"]
) -> _Match:
    """Return which open pictures have a training picture of the same bytes, or of the same distinctive name."""
    of_train, of_test = (train.blake3, test.blake3) if kind == "exact" else (train.own_names, test.own_names)
    group = _row_in(of_test, of_test)  # of each picture of the benchmark: the first one that equals it
    found = _row_in(of_train, of_test)
    train_rows = np.flatnonzero(found >= 0)
    count, first = np.bincount(found[train_rows], minlength=len(test)), np.zeros(len(test), np.int64)
    first[found[train_rows][::-1]] = train_rows[::-1]
    is_hit = is_open & (group >= 0) & (count[group] > 0)
    rows = np.flatnonzero(is_hit)
    train_pictures = int(count[np.unique(group[rows])].sum())
    return _Match(kind, rows, first[group[rows]], None, is_hit, train_pictures, int(count[group[rows]].sum()))


def _in(values: pa.Array, known: pa.Array) -> pa.Array:
    """Return which values are among the known ones."""
    return pc.call_function("is_in", [values], pc.SetLookupOptions(value_set=known, skip_nulls=True))


def _row_in(values: pa.Array, known: pa.Array) -> Int64[np.ndarray, " values"]:
    """Return for each value the first row of ``known`` that equals it; -1 for none, and for null."""
    options = pc.SetLookupOptions(value_set=known, skip_nulls=True)
    return pc.call_function("index_in", [values], options).fill_null(-1).to_numpy().astype(np.int64)


def _near_match(
    train: _Hashes, test: PictureTable, table: "HashTable", is_open: Bool[np.ndarray, " test_pictures"]
) -> _Match:
    """Return which open pictures have a training picture with nearly the same hash."""
    rows = np.flatnonzero(test.is_near_judged)
    rows, hashes = rows[is_open[rows]], table.row_of[is_open[rows]]
    weight = np.bincount(hashes, minlength=len(table.values))  # open pictures with each hash of the benchmark
    nearest, train_hit, pairs = _Nearest(len(table.values)), np.zeros(len(train.values), bool), 0
    for a, b, bits in table.near(train.values):
        counts = weight[b] > 0
        train_hit[a[counts]] = True
        pairs += int((train.pictures[a] * weight[b]).sum())
        nearest.add(a[counts], b[counts], bits[counts])
    listed_test, listed_train, distance = nearest.expand(rows, hashes)
    is_hit = np.zeros(len(test), bool)
    is_hit[listed_test] = True
    return _Match(
        "near", listed_test, train.first[listed_train], distance, is_hit, int(train.pictures[train_hit].sum()), pairs
    )


class _Nearest:
    """For each hash of a benchmark, the few nearest hashes of a training set."""

    def __init__(self, hashes: int) -> None:
        self._hashes = hashes
        self._a, self._b, self._bits = (np.zeros(0, np.int64) for _ in range(3))

    def add(
        self, a: Int64[np.ndarray, " pairs"], b: Int64[np.ndarray, " pairs"], bits: UInt8[np.ndarray, " pairs"]
    ) -> None:
        """Take pairs of a training hash ``a`` and a hash ``b`` of the benchmark, and forget all but the nearest."""
        a, b, bits = np.concatenate([self._a, a]), np.concatenate([self._b, b]), np.concatenate([self._bits, bits])
        order = np.lexsort((a, bits, b))
        rank = np.arange(len(b)) - np.searchsorted(b[order], b[order])
        kept = order[rank < LISTED]
        self._a, self._b, self._bits = a[kept], b[kept], bits[kept].astype(np.int64)

    def expand(
        self, rows: Int64[np.ndarray, " pictures"], hashes: Int64[np.ndarray, " pictures"]
    ) -> tuple[Int64[np.ndarray, " pairs"], Int64[np.ndarray, " pairs"], Int64[np.ndarray, " pairs"]]:
        """Return picture, training hash and distance of the pairs of these pictures, given the hash of each."""
        begin, end = (np.searchsorted(self._b, hashes, side) for side in ("left", "right"))
        picture, pair = ranges(begin, end - begin)
        return rows[picture], self._a[pair], self._bits[pair]


def write_pairs(pairs: pa.Table, path: Path) -> None:
    """Write listed pairs as CSV, JSON lines or Parquet, by the end of the file's name."""
    if path.suffix == ".parquet":
        pq.write_table(pairs, path)
    elif path.suffix == ".csv":
        csv.write_csv(pairs, path)
    elif path.suffix in (".json", ".jsonl"):
        path.write_text("".join(json.dumps(row) + "\n" for row in pairs.to_pylist()), encoding="utf-8")
    else:
        raise ValueError(f"{path} should end in .csv, .json or .parquet")
