"""The arrays of many people side by side: each label is stacked once and then read by every step of a batch."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from ..shards.record import ARRAY_FIELDS, Person, check_person


class Stack(NamedTuple):
    """One label of the people who carry it in one shape."""

    rows: Int[np.ndarray, " carriers"]
    values: Float[np.ndarray, "carriers ..."]


class Columns:
    """The labels of some people as arrays."""

    def __init__(self, people: Sequence[Person]) -> None:
        self.people = people
        self._fields = [vars(person) for person in people]
        self._stacks: dict[str, list[Stack]] = {}

    def __len__(self) -> int:
        return len(self.people)

    def stacks(self, name: str) -> list[Stack]:
        """Return a label of everyone who carries it, people whose arrays have the same shape together."""
        if name not in self._stacks:
            self._stacks[name] = list(self._stacked(name))
        return self._stacks[name]

    def _stacked(self, name: str) -> Iterator[Stack]:
        values = [fields[name] for fields in self._fields]
        carriers = [row for row, value in enumerate(values) if value is not None]
        shapes = [values[row].shape for row in carriers]
        for shape in dict.fromkeys(shapes):
            rows = [row for row, own in zip(carriers, shapes, strict=True) if own == shape]
            together = np.concatenate([values[row] for row in rows])
            yield Stack(np.array(rows), together.reshape(len(rows), *shape))

    def has(self, name: str) -> Bool[np.ndarray, " people"]:
        """Return who carries a label."""
        mask = np.zeros(len(self), bool)
        for stack in self.stacks(name):
            mask[stack.rows] = True
        return mask

    def filled(self, name: str, shape: tuple[int, ...], fill: float = 0.0) -> Float[np.ndarray, "people ..."]:
        """Return a label of everyone; what a person lacks, or has fewer entries of than ``shape``, is ``fill``."""
        out = np.full((len(self), *shape), fill)
        for rows, values in self.stacks(name):
            out[rows, : values.shape[1]] = values[:, : shape[0]]
        return out

    def widest(self, name: str) -> int:
        """Return the largest number of entries that somebody has of a label."""
        return max((stack.values.shape[1] for stack in self.stacks(name)), default=0)

    def check(self, keys: Sequence[str]) -> None:
        """Raise RecordError for the first person out of contract; ``keys`` are those of the people's frames.

        One person of each shape is looked at closely, and everyone with numbers that are not finite.
        """
        suspects = {row for row, person in enumerate(self.people) if _is_incomplete(person)}
        for name in ARRAY_FIELDS:
            for rows, values in self.stacks(name):
                finite = np.isfinite(values).reshape(len(rows), -1).all(axis=1)
                suspects.update(rows[~finite].tolist(), rows[:1].tolist())
        for row in sorted(suspects):
            check_person(keys[row], self.people[row])


def _is_incomplete(person: Person) -> bool:
    """Return whether a person carries numbers without what says how to read them."""
    return (
        (person.keypoints_2d is None) != (person.keypoints_2d_convention is None)
        or (person.keypoints_3d is None) != (person.keypoints_3d_convention is None)
        or (person.betas is not None and (person.body_model is None or person.gender is None))
    )
