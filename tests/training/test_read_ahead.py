"""Reading ahead: the same batches as from memory, in runs, within bounds, and no failure is hidden."""

import contextlib
import itertools
import threading

import fsspec
import numpy as np
import pytest
import torch

from ehps.errors import ShardError
from ehps.shards import remote
from ehps.shards.held import HeldTar, Part
from ehps.shards.index import PeopleIndex
from ehps.shards.mirror import local_catalog
from ehps.shards.stored import TarFile
from ehps.shards.ustar import Place
from ehps.tests.shards.store_server import as_s3
from ehps.training.mixture import Member, Mixture, mix
from ehps.training.stream import ReadAhead, SampleSettings, Stream
from ehps.training.torch_data import PeopleLoader, PeopleStream

MEMBERS = (Member(dataset="bedlam"), Member(dataset="ehf", split="test"))
MIXTURE = Mixture(name="m", about="test", strategy="balance", epoch_length=48, members=MEMBERS)
SETTINGS = SampleSettings(seed=4, crop_size=(30, 40))
BATCH = 10
AHEAD = ReadAhead(memory=1_000_000)


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
    monkeypatch.setattr(remote, "FIRST_PAUSE", 0.001)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache of this module's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EHPS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def local(converted):
    return mix(MIXTURE, converted), PeopleIndex.open(converted).load


@pytest.fixture(scope="module")
def far(converted, cache):
    """The same tree on fsspec's store in memory."""
    store = fsspec.filesystem("memory")
    store.put(str(converted), "/converted", recursive=True)
    catalog = local_catalog("memory://converted")
    yield mix(MIXTURE, catalog), PeopleIndex.open(catalog).load
    store.rm("/converted", recursive=True)


@pytest.fixture(scope="module")
def s3(converted, cache):
    """The same tree on a server."""
    pytest.importorskip("s3fs", reason="s3fs is not installed (ehps[remote])")
    with as_s3(converted) as store:
        catalog = local_catalog("s3://bucket")
        yield store, (mix(MIXTURE, catalog), PeopleIndex.open(catalog).load)


def take(source, count, **options):
    stream = Stream(*source, SETTINGS, **{"batch_size": BATCH, "read_ahead": AHEAD} | options)
    with contextlib.closing(iter(stream)) as batches:
        return list(itertools.islice(batches, count)), stream


def assert_same(found, expected):
    assert len(found) == len(expected) > 0
    for one, other in zip(found, expected, strict=True):
        assert (one.keys, one.positions, one.end) == (other.keys, other.positions, other.end)
        for a, b in zip((one.crops, *one.targets), (other.crops, *other.targets), strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=0)


@pytest.mark.parametrize("workers", [0, 3])
@pytest.mark.parametrize(
    "ahead",
    [AHEAD, ReadAhead(memory=1), ReadAhead(memory=60_000, requests=1), ReadAhead(memory=500_000, gap=0, longest=1)],
    ids=["plenty", "nothing", "little", "pieces"],
)
def test_a_store_gives_the_batches_of_the_local_tree(local, far, workers, ahead):
    found, stream = take(far, 5, workers=workers, read_ahead=ahead)
    assert_same(found, take(local, 5)[0])
    assert stream.counts.missed == 0
    assert stream.counts.read_bytes > 0


def test_ranks_divide_what_is_read_ahead(local, far):
    whole, _ = take(local, 4)
    parts = [take(far, 4, rank=rank, world_size=3, workers=2)[0] for rank in range(3)]
    for step, batch in enumerate(whole):
        mine = sorted(pair for part in parts for pair in zip(part[step].positions, part[step].keys, strict=True))
        assert mine == list(zip(batch.positions, batch.keys, strict=True))


def test_going_on_with_other_ranks_threads_and_windows(local, far):
    expected, _ = take(local, 7)
    random = np.random.default_rng(1)
    for _ in range(4):
        stop, workers = int(random.integers(1, 6)), random.integers(0, 4, 2).tolist()
        memory = (10 ** random.integers(3, 6, 2)).tolist()
        begun, first = take(far, stop, workers=workers[0], read_ahead=ReadAhead(memory=memory[0]))
        assert_same(begun, expected[:stop])
        ahead = ReadAhead(memory=memory[1], requests=2)
        later = Stream(*far, SETTINGS, batch_size=BATCH, workers=workers[1], read_ahead=ahead)
        later.load_state_dict(first.state_dict())
        with contextlib.closing(iter(later)) as batches:
            assert_same(list(itertools.islice(batches, 7 - stop)), expected[stop:])


def test_processes_read_ahead_too(local, far):
    loader = PeopleLoader(PeopleStream(*far, SETTINGS, batch_size=BATCH, read_ahead=AHEAD), num_workers=2)
    assert_same(list(itertools.islice(loader, 3)), take(local, 3)[0])


def test_neighbours_are_read_in_one_request(s3):
    store, (people, load) = s3
    store.requests.clear()
    found, stream = take((people, load), 3)
    asked = [path for path, _ in store.requests if path.endswith(".tar")]
    assert len(found) == 3
    # Some of the last runs may still be on their way; one of either tar in a window.
    assert 2 <= len(asked) <= stream.counts.runs <= 12


def test_what_is_held_stays_within_bounds(far):
    _, stream = take(far, 12, workers=2, prefetch=1)
    assert 500_000 < stream.counts.most_bytes <= 1_500_000
    _, stream = take(far, 12, workers=2, prefetch=1, read_ahead=ReadAhead(memory=400_000))
    assert stream.counts.most_bytes <= 600_000


def test_a_cold_disk_is_read_in_runs_and_a_warm_one_as_it_is(local, monkeypatch):
    warm, stream = take(local, 4, workers=2)
    assert stream.counts.runs == 0
    monkeypatch.setattr(TarFile, "is_at_hand", lambda *_: False)
    cold, stream = take(local, 4, workers=2)
    assert_same(cold, warm)
    assert 0 < stream.counts.runs <= 24
    assert stream.counts.missed == 0


def test_one_failure_in_three_changes_nothing(local, s3):
    store, source = s3
    numbers = itertools.count()
    store.fault = lambda path: [None, 503, "cut"][next(numbers) % 3] if path.endswith(".tar") else None
    assert_same(take(source, 4, workers=2)[0], take(local, 4)[0])
    assert next(numbers) > 3


@pytest.mark.parametrize("workers", [0, 2])
def test_a_tar_that_is_not_there_stops_the_stream(s3, workers):
    store, source = s3
    store.fault = lambda path: 404 if path.startswith("ehf") else None
    with pytest.raises(ShardError, match=r"s3://bucket/ehf/.*\.tar: is not there"):
        take(source, 2, workers=workers)
    assert not threads_of_streams()


@pytest.mark.usefixtures("far")
def test_damaged_ranges_give_way_and_are_counted():
    catalog = local_catalog("memory://converted")
    index = PeopleIndex.open(catalog)
    replacing = tuple(member.model_copy(update={"on_failure": "replace"}) for member in MEMBERS)
    people = mix(MIXTURE.model_copy(update={"members": replacing}), catalog)
    place = index._pieces[0].part.rows[5]
    bad = range(int(place["rows_offset"]), int(place["rows_offset"] + place["rows_size"]))
    plain = remote.read_range

    def flipped(url, start, end):
        data = bytearray(plain(url, start, end))
        if "bedlam" in url and start <= bad[7] < end:
            data[bad[7] - start] ^= 1
        return bytes(data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(remote, "read_range", flipped)
        found, stream = take((people, index.load), 4, workers=2)
    replaced = [one for batch in found for one in batch.replaced]
    assert replaced
    assert {(one.member, one.person_id) for one in replaced} == {("bedlam", 5)}
    assert all("are damaged" in one.problem for one in replaced)
    assert stream.replaced["bedlam"] == len(replaced)


def test_a_stream_that_is_left_stops_its_threads(s3):
    store, source = s3
    store.latency, store.fault = 0.05, lambda _: None
    stream = Stream(*source, SETTINGS, batch_size=BATCH, workers=2, read_ahead=AHEAD)
    batches = iter(stream)
    next(batches)
    batches.close()
    assert not threads_of_streams()


def threads_of_streams():
    return [thread for thread in threading.enumerate() if thread.name.startswith(("stream", "ehps-run"))]


def test_held_bytes_serve_what_lies_within_them(tmp_path):
    path, missed = tmp_path / "a.tar", []
    path.write_bytes(bytes(range(100)))
    part = Part(Place(10, 20, 0))
    part.data = bytes(range(110, 130))
    tar = HeldTar(TarFile(path), [part], lambda: missed.append(1))
    assert tar.unchecked(10, 30) is part.data
    assert tar.unchecked(15, 17) == bytes([115, 116])
    assert not missed
    assert tar.unchecked(25, 35) == bytes(range(25, 35))
    assert len(missed) == 1
