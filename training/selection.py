"""The people of a mixture's members, as few numbers as possible.

A whole source is one range of ``person_id``, a strided one a range with a step; the few without a box interrupt it.
What a condition or a query chooses is a list, mapped from a file of the cache where it is long, so that processes
share it and the next start does not ask again.
"""

import hashlib
import os
import re
import tempfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import platformdirs
from jaxtyping import Bool, Float64, Int, Integer

from ..errors import QueryError, RecipeError
from ..shards.catalog import query
from .mixture_spec import Leaf, Member, Mixture, leaves
from .permutation import GOLDEN

LONG = 1 << 18  # people from which on a list is kept in the cache
_RANDOM = re.compile(r"\b(random|uuid|gen_random_uuid|setseed|tablesample|using\s+sample)\b", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Runs:
    """Ascending numbers in stretches of one step."""

    starts: Int[np.ndarray, " runs_and_end"]  # index of the first number of each stretch; the last: how many there are
    firsts: Int[np.ndarray, " runs"]
    step: int

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getitem__(self, index: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        run = np.searchsorted(self.starts, index, side="right") - 1
        return self.firsts[run] + (index - self.starts[run]) * self.step


def interrupted_range(first: int, count: int, step: int, without: Int[np.ndarray, " some"]) -> Runs:
    """Return ``count`` numbers from ``first`` on in steps, without some of them."""
    holes = (np.sort(without) - first) // step
    edges = np.concatenate([[-1], holes, [count]])
    lengths = np.diff(edges) - 1
    kept = lengths > 0
    starts = np.concatenate([[0], np.cumsum(lengths[kept])]).astype(np.int64)
    return Runs(starts, (first + (edges[:-1][kept] + 1) * step).astype(np.int64), step)


def compact(numbers: Int[np.ndarray, " n"]) -> Runs | Integer[np.ndarray, " n"]:
    """Return ascending numbers as runs where that is smaller, else as narrow integers."""
    breaks = np.flatnonzero(np.diff(numbers) != 1) + 1
    if len(numbers) and 4 * len(breaks) < len(numbers):
        starts = np.concatenate([[0], breaks])
        return Runs(np.append(starts, len(numbers)).astype(np.int64), numbers[starts].astype(np.int64), 1)
    return numbers.astype(np.uint32) if not len(numbers) or numbers[-1] < 2**32 else numbers


@dataclass(frozen=True, eq=False)
class Selection:
    """The people of one leaf in the order of the shards."""

    label: str
    member: Member
    ids: Runs | Integer[np.ndarray, " people"]  # person_id in the catalog, ascending
    weights: Float64[np.ndarray, " people"] | None  # running sum, where people have weights of their own
    num_without_box: int

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, person: Int[np.ndarray, " n"], turn: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """Return the row of ``ids`` of who comes as number ``person`` of the pass that a turn belongs to.

        With weights a pass is as long as the source, cut into equal parts of the sum of weights, and each part takes
        who lies at one place of it: someone of twice the mean weight comes twice a pass, of half of it every second.
        """
        if self.weights is None:
            return person
        passes = (turn // len(self)).astype(np.uint64)
        place = (person + (passes * np.uint64(GOLDEN)) / 2.0**64) / len(self) * self.weights[-1]
        return np.minimum(np.searchsorted(self.weights, place, side="right"), len(self) - 1)

    def person_ids(self, rows: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """Return the person_id of some rows of ``ids``."""
        return self.ids[rows].astype(np.int64)

    def reached(self, turns: int) -> float:
        """Return which share of the people come at least once in so many turns."""
        if self.weights is None:
            return min(turns / len(self), 1.0)
        visits = np.diff(self.weights, prepend=0.0) * (turns / self.weights[-1])
        return float(np.minimum(visits, 1).mean())

    @property
    def checksum(self) -> int:
        """CRC-32 of who is chosen and with which weights."""
        parts = (self.ids.starts, self.ids.firsts) if isinstance(self.ids, Runs) else (self.ids,)
        checksum = 0
        for part in parts if self.weights is None else (*parts, self.weights):
            checksum = zlib.crc32(np.ascontiguousarray(part).data, checksum)
        return checksum


def count_different(selections: Sequence[Selection]) -> int:
    """Return how many different people some selections hold together."""
    lasts = [int(one.person_ids(np.array([len(one) - 1]))[0]) for one in selections if len(one)]
    is_chosen = np.zeros(max(lasts, default=-1) + 1, np.bool_)
    for selection in selections:
        for start in range(0, len(selection), LONG):
            is_chosen[selection.person_ids(np.arange(start, min(start + LONG, len(selection))))] = True
    return int(is_chosen.sum())


class SourceRange(NamedTuple):
    """Where the people of a source and split lie in the catalog."""

    first: int
    people: int
    fingerprint: str  # of its shards


def source_ranges(out: Path) -> dict[tuple[str, str], SourceRange]:
    """Return the range of person_id of every source and split of a catalog."""
    prints = "sha256(string_agg(path || ' ' || blake3, chr(10) ORDER BY path))"
    columns = f"dataset, split, min(first_person_id)::BIGINT, sum(people)::BIGINT, {prints}"
    rows = query(out, f"SELECT {columns} FROM shards GROUP BY dataset, split").itertuples(index=False, name=None)
    return {(dataset, split): SourceRange(int(first), int(count), text) for dataset, split, first, count, text in rows}


def select_all(mixture: Mixture, out: Path) -> list[Selection]:
    """Return the people of every leaf of a mixture; a condition or query that DuckDB refuses raises QueryError."""
    found = list(leaves(mixture))
    ranges = source_ranges(out)
    sql = "SELECT person_id FROM people WHERE bbox_x0 IS NULL ORDER BY person_id"
    unboxed = query(out, sql)["person_id"].to_numpy(np.int64)
    return [(_whole if is_whole(leaf.member) else _chosen)(leaf, out, ranges, unboxed) for leaf in found]


def is_whole(member: Member) -> bool:
    """Return whether a member is a source without conditions."""
    return bool(member.dataset) and member.where.strip().lower() == "true" and not member.has


Ranges = Mapping[tuple[str, str], SourceRange]


def _whole(leaf: Leaf, _out: Path, ranges: Ranges, unboxed: Int[np.ndarray, " some"]) -> Selection:
    """Return the people of a whole source, or every n-th of them."""
    member = leaf.member
    there = ranges.get((member.dataset, member.split), SourceRange(0, 0, ""))
    inside = slice(*np.searchsorted(unboxed, [there.first, there.first + there.people]).tolist())
    without = unboxed[inside]
    without = without[(without - there.first) % member.stride == 0]
    ids = interrupted_range(there.first, -(-there.people // member.stride), member.stride, without)
    return Selection(leaf.label, member, ids, None, len(without))


def _chosen(leaf: Leaf, out: Path, ranges: Ranges, unboxed: Int[np.ndarray, " some"]) -> Selection:
    """Return the people that a condition or a query chooses, from the cache if they are there."""
    member = leaf.member
    if _RANDOM.search(member.sql or member.where):
        problem = "it must choose the same people each time; take hash(person_key) instead of a random number"
        raise QueryError(member.sql or member.where, problem)
    asked = [member.sql, member.dataset, member.split, member.where, ",".join(member.has), str(member.stride)]
    shards = [f"{source} {there.first} {there.fingerprint}" for source, there in sorted(ranges.items())]
    key = hashlib.sha256("\n".join([*asked, *shards]).encode()).hexdigest()[:32]
    ask = _ask_query if member.sql else _ask_condition
    ids, weights, num_without_box = _cached(key, lambda: ask(member, out, ranges, unboxed))
    return Selection(leaf.label, member, ids, weights, num_without_box)


class Answer(NamedTuple):
    """Whom a condition or a query chooses."""

    ids: Runs | Integer[np.ndarray, " people"]
    weights: Float64[np.ndarray, " people"] | None  # running sum
    num_without_box: int


def condition_sql(member: Member) -> tuple[str, list[Any]]:
    """Return an SQL FROM clause of the rows of ``people`` that a member with a dataset chooses, and its parameters."""
    has = "".join(f" AND label_{part} IS NOT NULL" for part in member.has)
    rows = f"FROM people WHERE dataset = ? AND split = ?{has} AND ({member.where})"
    if member.stride > 1:
        number = "row_number() OVER (ORDER BY person_id) - 1 AS row_of_member"
        rows = f"FROM (SELECT *, {number} {rows}) WHERE row_of_member % {member.stride} = 0"
    return rows, [member.dataset, member.split]


def _ask_condition(member: Member, out: Path, _ranges: Ranges, unboxed: Int[np.ndarray, " some"]) -> Answer:
    """Return whom a condition chooses."""
    rows, parameters = condition_sql(member)
    ids = query(out, f"SELECT person_id {rows}", parameters)["person_id"].to_numpy(np.int64)
    ids = np.sort(ids)
    has_box = ~_is_in(ids, unboxed)
    return Answer(compact(ids[has_box]), None, int((~has_box).sum()))


def _ask_query(member: Member, out: Path, ranges: Ranges, unboxed: Int[np.ndarray, " some"]) -> Answer:
    """Return whom a query chooses, with their weights."""
    sql = member.sql.strip().rstrip(";")
    found = query(out, sql)
    if "person_id" not in found:
        raise QueryError(sql, f"it should yield person_id, found {', '.join(found)}")
    order = np.argsort(_person_ids(sql, found, ranges), kind="stable")
    ids, weights = found["person_id"].to_numpy(np.int64)[order], _weights(sql, found)[order]
    if len(twice := ids[1:][ids[1:] == ids[:-1]]):
        raise QueryError(sql, f"it names person {twice[0]} more than once; group by person_id")
    if len(ids) and not weights.any():
        raise RecipeError(f"the query of {member.name} gives everyone the weight 0")
    has_box = ~_is_in(ids, unboxed)
    kept = has_box & (weights > 0)
    is_even = len(ids) == 0 or weights.min() == weights.max()
    return Answer(compact(ids[kept]), None if is_even else np.cumsum(weights[kept]), int((~has_box).sum()))


def _person_ids(sql: str, found: pd.DataFrame, ranges: Ranges) -> Int[np.ndarray, " n"]:
    """Return the person_ids of an answer; QueryError where they are none of the catalog's."""
    people = sum(there.people for there in ranges.values())
    ids = found["person_id"].astype(np.float64).to_numpy()
    if wrong := ids[~((ids >= 0) & (ids < people))].tolist():
        raise QueryError(sql, f"person_id should be from 0 to {people - 1}, found {wrong[0]:g}")
    return ids.astype(np.int64)


def _weights(sql: str, found: pd.DataFrame) -> Float64[np.ndarray, " people"]:
    """Return the weights of an answer, 1 where it has none; QueryError where they cannot be weights."""
    if "weight" not in found:
        return np.ones(len(found))
    weights = found["weight"].astype(np.float64).to_numpy()
    if wrong := weights[~(np.isfinite(weights) & (weights >= 0))].tolist():
        raise QueryError(sql, f"a weight should be a number from 0 on, found {wrong[0]:g}")
    return weights


def _is_in(ids: Int[np.ndarray, " n"], ascending: Int[np.ndarray, " some"]) -> Bool[np.ndarray, " n"]:
    """Return which numbers are among others."""
    place = np.searchsorted(ascending, ids)
    return np.append(ascending, -1)[place] == ids


def _cached(key: str, ask: Callable[[], Answer]) -> Answer:
    """Return an answer from the cache, or ask, and keep it if it is a long list."""
    folder = Path(os.environ.get("EHPS_CACHE") or platformdirs.user_cache_dir("ehps")) / "selections"
    lists, sums = folder / f"{key}.npy", folder / f"{key}-weights.npy"
    if not lists.is_file():
        answer = ask()
        if isinstance(answer.ids, Runs) or len(answer.ids) < LONG:
            return answer
        folder.mkdir(parents=True, exist_ok=True)
        _save(sums, np.zeros(0) if answer.weights is None else answer.weights)
        _save(lists, np.append(answer.ids, np.array([answer.num_without_box], answer.ids.dtype)))
    ids, weights = np.load(lists, mmap_mode="r"), np.load(sums, mmap_mode="r" if sums.stat().st_size > 256 else None)
    return Answer(ids[:-1], weights if len(weights) else None, int(ids[-1]))


def _save(path: Path, values: np.ndarray) -> None:
    """Write an array beside its place and rename it, so that nobody maps half of it."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        np.save(file, values)
    Path(file.name).replace(path)


def sources_of(selection: Selection, ranges: Ranges) -> list[tuple[str, str]]:
    """Return the sources and splits that a selection draws from, sorted."""
    if selection.member.dataset:
        return [(selection.member.dataset, selection.member.split)]
    return [source for source, (first, last) in rows_within(selection, ranges).items() if first < last]


def rows_within(selection: Selection, ranges: Ranges) -> dict[tuple[str, str], tuple[int, int]]:
    """Return which rows of a selection belong to each source and split, sorted."""
    ids = selection.person_ids(np.arange(len(selection)))
    sources = sorted(ranges)
    edges = [[ranges[source].first, ranges[source].first + ranges[source].people] for source in sources]
    rows = np.searchsorted(ids, np.array(edges).reshape(-1, 2)).tolist()
    return {source: (first, last) for source, (first, last) in zip(sources, rows, strict=True)}
