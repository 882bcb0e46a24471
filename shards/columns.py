"""The arrays of several people side by side: those whose rows have one layout are taken out together."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from .rows import carried
from .stored import StoredPerson


class Given(NamedTuple):
    """An array that some people carry in one shape."""

    people: Int[np.ndarray, " some"]  # their numbers
    values: np.ndarray  # some ...


class Columns:
    """The arrays of some people, who need not carry the same."""

    def __init__(self, people: Sequence[Any]) -> None:
        """``people`` are stored people, or others with the attributes of ``record.Person``."""
        self._others = [(i, person) for i, person in enumerate(people) if not isinstance(person, StoredPerson)]
        layouts: dict[int, tuple[np.dtype, list[int], list[bytes]]] = {}
        for i, person in enumerate(people):
            if isinstance(person, StoredPerson):
                rows = person.frame.rows
                # Layouts that are alike are mostly the same object; where they are not, they make two groups.
                _, numbers, parts = layouts.setdefault(id(rows.dtype), (rows.dtype, [], []))
                numbers.append(i)
                parts.append(rows[person.index : person.index + 1].tobytes())
        self._groups = [
            (np.array(numbers), np.frombuffer(b"".join(parts), dtype)) for dtype, numbers, parts in layouts.values()
        ]

    def given(self, name: str) -> Iterator[Given]:
        """Yield an array of ``record.ARRAY_FIELDS`` for everyone who carries it."""
        for numbers, rows in self._groups:
            for mine, values in carried(rows, name):
                yield Given(numbers[mine], values)
        for i, person in self._others:
            if (value := getattr(person, name)) is not None:
                yield Given(np.array([i]), value[None])

    def has(self, name: str, count: int) -> Bool[np.ndarray, " count"]:
        """Return which of ``count`` people carry an array."""
        there = np.zeros(count, bool)
        for numbers, _ in self.given(name):
            there[numbers] = True
        return there
