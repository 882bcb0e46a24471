"""Data sets for training loops of one's own."""

import itertools
import pickle
import time

import pytest
import torch
from torch.utils.data import DataLoader

from ehps.errors import RecipeError
from ehps.shards.reader import PeopleIndex
from ehps.training.batches import collate
from ehps.training.mixture import Member, Mixture, mix
from ehps.training.samples import SampleSettings
from ehps.training.stream import Stream
from ehps.training.torch_data import PeopleDataset, PeopleLoader, PeopleStream

MEMBERS = (Member(dataset="bedlam"), Member(dataset="ehf", split="test"))
ENDLESS = Mixture(name="m", about="test", strategy="balance", members=MEMBERS)
ONCE = ENDLESS.model_copy(update={"exhaustion": "renormalise", "strategy": "concat"})
SETTINGS = SampleSettings(seed=4)


@pytest.fixture(scope="module")
def endless(converted):
    return mix(ENDLESS, converted), PeopleIndex.open(converted).load


@pytest.fixture(scope="module")
def once(converted):
    return mix(ONCE, converted), PeopleIndex.open(converted).load


def from_stream(source, count, **options):
    return list(itertools.islice(Stream(*source, SETTINGS, **{"batch_size": 6} | options), count))


def assert_same(found, expected):
    assert [batch.keys for batch in found] == [batch.keys for batch in expected]
    assert [batch.positions for batch in found] == [batch.positions for batch in expected]
    for one, other in zip(found, expected, strict=True):
        for a, b in zip(
            (one.crops, one.colour, *one.targets), (other.crops, other.colour, *other.targets), strict=True
        ):
            torch.testing.assert_close(a, b, rtol=0, atol=0)


@pytest.mark.parametrize("workers", [0, 2])
def test_the_data_set_has_the_samples_of_the_stream(endless, workers):
    loader = DataLoader(
        PeopleDataset(*endless, SETTINGS, length=24), batch_size=6, collate_fn=collate, num_workers=workers
    )
    found = list(loader)
    assert_same(found, from_stream(endless, 4))
    assert [batch.end for batch in found] == [6, 12, 18, 24]


def test_the_data_set_knows_its_length(endless, once):
    assert len(PeopleDataset(*once, SETTINGS)) == 17
    with pytest.raises(RecipeError, match="length"):
        PeopleDataset(*endless, SETTINGS)
    with pytest.raises(IndexError, match="position 17 is not among the 17"):
        PeopleDataset(*once, SETTINGS)[17]


@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
@pytest.mark.parametrize("options", [{}, {"num_workers": 2}, {"num_workers": 3, "prefetch_factor": 1}])
def test_workers_divide_the_stream_and_keep_its_order(endless, options):
    loader = PeopleLoader(PeopleStream(*endless, SETTINGS, batch_size=6), **options)
    found = list(itertools.islice(loader, 5))
    assert_same(found, from_stream(endless, 5))
    assert loader.state_dict() == {"position": 30, "order": endless[0].fingerprint}


def second_worker_late(number):
    time.sleep(number)


def test_a_worker_that_starts_late_leaves_nobody_out(endless):
    """It begins where the iteration did, however many batches of the others were handed out meanwhile."""
    loader = PeopleLoader(
        PeopleStream(*endless, SETTINGS, batch_size=6), num_workers=2, worker_init_fn=second_worker_late
    )
    assert_same(list(itertools.islice(loader, 3)), from_stream(endless, 3))


def test_a_finite_order_is_read_once_whatever_the_workers(once):
    for workers in (0, 2):
        stream = PeopleStream(*once, SETTINGS, batch_size=6, keeps_tail=True)
        found = list(PeopleLoader(stream, num_workers=workers))
        assert [position for batch in found for position in batch.positions] == list(range(17))
        assert stream.position == 17


def test_persistent_workers_go_on_where_the_last_iteration_stopped(endless):
    loader = PeopleLoader(PeopleStream(*endless, SETTINGS, batch_size=6), num_workers=2, persistent_workers=True)
    found = [*itertools.islice(loader, 2), *itertools.islice(loader, 3)]
    assert_same(found, from_stream(endless, 5))


def test_another_world_and_a_pickled_stream_go_on_with_the_same_order(endless):
    first = PeopleLoader(PeopleStream(*endless, SETTINGS, batch_size=6), num_workers=1)
    list(itertools.islice(first, 2))
    second = [PeopleStream(*endless, SETTINGS, batch_size=6, rank=rank, world_size=2) for rank in range(2)]
    for stream in second:
        stream.load_state_dict(first.state_dict())
    # What a spawned worker gets; spawning one is left out, because PyTorch's own threads may abort it when it ends.
    pickled = pickle.loads(pickle.dumps(second[0]))
    parts = [next(iter(pickled)), next(iter(second[1]))]
    (expected,) = from_stream(endless, 1, position=12)
    assert sorted(parts[0].positions + parts[1].positions) == list(expected.positions)
    assert set(parts[0].keys + parts[1].keys) == set(expected.keys)


def test_a_state_of_another_order_is_refused(endless, once):
    state = PeopleStream(*once, SETTINGS, batch_size=6).state_dict()
    assert len(pickle.dumps(state)) < 1000
    with pytest.raises(RecipeError, match="mixture or shards have changed"):
        PeopleStream(*endless, SETTINGS, batch_size=6).load_state_dict(state)
