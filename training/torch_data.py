"""The people of a mixture for training loops of one's own: a map-style and an iterable ``Dataset`` of PyTorch.

``PeopleDataset[i]`` is the sample at position i of the training order, for any sampler. ``PeopleStream`` yields whole
batches in that order; the workers of a DataLoader and the ranks of a job divide them, and the loader hands them out in
their order. ``PeopleLoader`` is a DataLoader over a stream that knows where it is. Every class can be pickled, so
workers may be forked or spawned; what is read is mapped, so workers share it.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

from ..errors import RecipeError
from .batches import Batch
from .samples import People, Sample, SampleReader, SampleSettings
from .stream import ReadAhead, Stream


class PeopleDataset(Dataset[Sample]):
    """The sample at each position of the training order; give ``batches.collate`` to the DataLoader."""

    def __init__(
        self, people: People, load: Callable[[int], Any], settings: SampleSettings, *, length: int | None = None
    ) -> None:
        """``load`` returns the stored person of a person_id; ``length`` is needed where the order never ends."""
        if length is None and people.length is None:
            raise RecipeError("the order of this mixture never ends; say how many positions the data set has (length)")
        self.reader = SampleReader(people, load, settings)
        self._length = people.length if length is None else length

    def __len__(self) -> int:
        assert self._length is not None
        return self._length

    def __getitem__(self, position: int) -> Sample:
        return self.__getitems__([position])[0]

    def __getitems__(self, positions: Sequence[int]) -> list[Sample]:
        """Return the samples of some positions, for which PyTorch asks at once."""
        if outside := [position for position in positions if not 0 <= position < len(self)]:
            raise IndexError(f"position {outside[0]} is not among the {len(self)} of the data set")
        return self.reader.samples(np.array(positions, np.int64))


def unchanged(batch: Any) -> Any:
    """Return a batch as the stream made it; PyTorch's own default would make lists of its tuples."""
    return batch


class PeopleStream(IterableDataset[Batch]):
    """Batches in training order from ``position`` on; each worker of a DataLoader yields every n-th of them.

    ``position`` lies in shared memory: set in the main process, it is where workers begin their next iteration, also
    persistent ones. A DataLoader over it takes ``batch_size=None, collate_fn=unchanged``.
    """

    def __init__(
        self,
        people: People,
        load: Callable[[int], Any],
        settings: SampleSettings,
        *,
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
        threads: int = 0,
        position: int = 0,
        keeps_tail: bool = False,
        read_ahead: ReadAhead | None = None,
    ) -> None:
        """The arguments are those of ``stream.Stream``; ``threads`` decode, and runs are read, in each process."""
        ours = {"batch_size": batch_size, "rank": rank, "world_size": world_size, "keeps_tail": keeps_tail}
        self._make = partial(Stream, people, load, settings, workers=threads, read_ahead=read_ahead, **ours)
        self._position = position
        self._first = torch.tensor([position]).share_memory_()  # where workers begin, persistent ones too

    @property
    def position(self) -> int:
        """Where the next iteration begins."""
        return self._position

    @position.setter
    def position(self, value: int) -> None:
        self._position = value
        self._first[0] = value

    def passed(self, position: int) -> None:
        """Take note of how far batches were handed out; a worker that starts late begins where the others did."""
        self._position = position

    def __iter__(self) -> Iterator[Batch]:
        """Yield batches for ever, or until a finite order is through."""
        info = get_worker_info()
        number, count = (info.id, info.num_workers) if info else (0, 1)
        return iter(self._make(position=int(self._first[0]), every=(number, count)))

    def state_dict(self) -> dict[str, Any]:
        """Return where to continue, and in which order."""
        return self._make(position=self.position).state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where another stream of the same order stopped."""
        stream = self._make()
        stream.load_state_dict(state)
        self.position = stream.position


class PeopleLoader:
    """A DataLoader over a stream whose ``position`` follows the batches that were handed out.

    ``state_dict`` between two batches says where another loader continues, with any number of workers and ranks.
    """

    def __init__(self, stream: Any, **options: Any) -> None:
        """``stream`` is a PeopleStream, ``options`` are those of ``torch.utils.data.DataLoader``."""
        self.stream: PeopleStream = stream
        self._loader: DataLoader[Batch] = DataLoader(stream, batch_size=None, collate_fn=unchanged, **options)

    def __iter__(self) -> Iterator[Batch]:
        """Yield batches from where the stream stands."""
        self.stream.position = self.stream.position  # workers begin where the last iteration stopped
        for batch in self._loader:
            self.stream.passed(batch.end)
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """Return where to continue, and in which order."""
        return self.stream.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where another loader of the same order stopped."""
        self.stream.load_state_dict(state)
