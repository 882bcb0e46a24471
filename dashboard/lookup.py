"""People of the catalog by their keys: where they lie, without a query."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from ..errors import ShardError
from ..shards.catalog_files import Partition
from ..shards.index import PeopleIndex
from ..shards.stored import StoredPerson
from ..shards.tree import ShardPlace


class Found(NamedTuple):
    """One person, whose labels and picture are read when they are first asked for, and the tar they lie in."""

    person: StoredPerson
    shard: ShardPlace


class Lookup:
    """Everyone whom the catalog of a tree knows, or some partitions of it; what was converted since is not there."""

    def __init__(self, out: Path, partitions: Sequence[Partition] | None = None) -> None:
        if partitions is None:
            self._index = PeopleIndex.open(out, shards=out)
        else:
            self._index = PeopleIndex.of_partitions(out, partitions)
        self._shards = self._index.shards
        self._ends = list(accumulate(shard.people for shard in self._shards))

    def find(self, person_key: str) -> Found | None:
        """Return the person of a key; None when nobody bears it."""
        try:
            number = self._index.find(person_key)
        except ShardError:  # nobody bears the key, which is an answer here
            return None
        return Found(self._index.load(number), self._shards[bisect_right(self._ends, number)])

    def people(self, person_keys: tuple[str, ...]) -> list[StoredPerson]:
        """Return people in the order of their keys; who is not here is left out."""
        return [found.person for key in person_keys if (found := self.find(key)) is not None]
