"""What a stream yields from a store and from a cold disk, beside the local rate, the line or disk itself, and peers.

Photographs of 1920 x 1080 are cut to 512 x 384 with two threads, in blocks of 64 neighbours in 4 lanes. The store is a
server on this machine (``tests/shards/store_server.py``) that waits 30 ms before each answer and lets 1 or 10 Gbit/s
through; it takes some of the same two cores. Cold are the files of a disk after posix_fadvise(DONTNEED), as far as the
machine below has not kept them, and a simulated disk: one head, 150 MB/s, 8 ms for each jump.
Methods take turns; recorded are medians of people per second, processor time of this process, and shares of the limits.
People that were read before the clock starts are at most a sixth of those that it counts: 64 MB are held.
"""

import gc
import os
import statistics
import subprocess
import sys
import threading
import time

import cv2
import numpy as np
import pytest
import torch
import webdataset
from torch.utils.data import DataLoader

from ehps.shards.held import HeldTar, Part
from ehps.shards.mirror import local_catalog
from ehps.shards.reader import PeopleIndex, iter_shards
from ehps.shards.stored import StoredPerson, TarFile, around
from ehps.tests.shards.store_server import forget_stores
from ehps.tests.speed.people_tree import PEOPLE, make_tree
from ehps.tests.speed.test_stream_speed import SETTINGS, WithOpenCV, as_it_is
from ehps.training.mixture import Locality, Member, Mixture, mix
from ehps.training.stream import ReadAhead, Stream

pytestmark = pytest.mark.speed
BLOCKS = Mixture(
    name="blocks",
    about="all, in runs",
    strategy="concat",
    locality=Locality(run=64, lanes=4),
    members=(Member(dataset="bedlam"),),
)
BATCH = 32
ROUNDS = 3
LATENCY = 0.03  # s
AHEAD = ReadAhead(memory=64 << 20)
COUNTED, SECONDS = 640, 4.0  # people, and the time after which fewer will do
GIGABIT = 125e6  # bytes/s
DISK_RATE, DISK_JUMP = 150e6, 0.008  # bytes/s, s


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    return make_tree(tmp_path_factory.mktemp("people"))


@pytest.fixture(scope="module")
def source(tree):
    return mix(BLOCKS, tree.out), PeopleIndex.open(tree.out).load


@pytest.fixture(params=[1, 10], ids=["1Gbit", "10Gbit"])
def store(request, tree, monkeypatch, tmp_path):
    """A server in a process of its own, the people on it, and its rate."""
    line = request.param * GIGABIT
    command = [sys.executable, "-m", "ehps.tests.shards.store_server", str(tree.out), str(LATENCY), str(line)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        endpoint = process.stdout.readline().strip()
        for name, value in (("ACCESS_KEY_ID", "key"), ("SECRET_ACCESS_KEY", "secret"), ("ENDPOINT_URL", endpoint)):
            monkeypatch.setenv(f"AWS_{name}", value)
        monkeypatch.setenv("EHPS_CACHE", str(tmp_path))
        forget_stores()
        catalog = local_catalog("s3://bucket")
        yield endpoint, (mix(BLOCKS, catalog), PeopleIndex.open(catalog).load), line
        process.stdin.close()
    forget_stores()


def streamed(source, found=None):
    stream = Stream(*source, SETTINGS, batch_size=BATCH, workers=2, read_ahead=AHEAD)
    for batch in stream:
        yield len(batch.keys)
        if found is not None:
            found.append(stream.counts)


def one_request_each(source):
    """People whose sample is read whole with one request when its turn comes: what a plain Dataset does."""
    people, load = source

    def whole(person_id):
        person = load(person_id)
        place = around(list(person.frame._places.values()))
        part = Part(place)
        part.data = person.frame.tar.unchecked(place.offset, place.offset + place.size)
        return StoredPerson(person.frame.through(lambda tar: HeldTar(tar, [part], lambda: None)), person.index)

    return streamed((people, whole))


def webdataset_from(endpoint, tree):
    """Whole shards, one after the other, through curl, as webdataset reads a store."""
    urls = [f"pipe:curl -s -f {endpoint}/bucket/{path.relative_to(tree.out)}" for path in iter_shards(tree.out)]
    data = webdataset.WebDataset(urls, shardshuffle=len(urls), seed=0).shuffle(100)  # pyright: ignore[reportAttributeAccessIssue]
    data = data.map(WithOpenCV(tree)).repeat()
    return map(len, DataLoader(data, batch_size=BATCH, num_workers=2, collate_fn=as_it_is))


def rate(batches):
    """Return people per second and processor milliseconds a person, given how many are in each batch."""
    for _ in range(4):
        next(batches)
    began, processor, read = time.perf_counter(), time.process_time(), 0
    for size in batches:
        read += size
        if read >= COUNTED or time.perf_counter() - began > SECONDS:
            break
    found = read / (time.perf_counter() - began), (time.process_time() - processor) / read * 1e3
    close = getattr(batches, "close", gc.collect)
    close()
    return found


def in_turns(methods):
    """Return the median rate and the median processor time of each method."""
    found = {name: [] for name in methods}
    for turn in range(ROUNDS):
        for name in methods if turn % 2 == 0 else reversed(methods):
            found[name].append(rate(methods[name]()))
    return {name: [statistics.median(values) for values in zip(*pairs, strict=True)] for name, pairs in found.items()}


@pytest.mark.benchmark(group="people from a store to crops of 512x384")
def test_a_store_beside_the_local_tree(benchmark, tree, source, store):
    endpoint, far, line = store
    counts = []
    methods = {
        "local": lambda: streamed(source),
        "ours": lambda: streamed(far, counts),
        "one request each": lambda: one_request_each(far),
        "webdataset, OpenCV": lambda: webdataset_from(endpoint, tree),
    }
    measured = in_turns(methods)
    found = {name: speed for name, (speed, _) in measured.items()}
    read = counts[-1]
    came = sum(one is read for one in counts) * BATCH
    size = (read.used_bytes - read.most_bytes) / came  # what a person needs; the rest is still ahead
    benchmark.extra_info.update(
        people_per_second={name: round(value) for name, value in found.items()},
        processor_ms={name: round(measured[name][1], 2) for name in ("local", "ours")},
        share_of_local=round(found["ours"] / found["local"], 2),
        times_webdataset=round(found["ours"] / found["webdataset, OpenCV"], 2),
        times_one_request_each=round(found["ours"] / found["one request each"], 2),
        kb_needed_a_person=round(size / 1e3),
        most_people_per_second_of_the_line=round(line / size),
        used_of_read=round(read.used_bytes / read.read_bytes, 2),
        mb_a_run=round(read.read_bytes / read.runs / 1e6, 2),
        most_mb_held=round(read.most_bytes / 1e6),
        missed=read.missed,
    )
    benchmark.pedantic(lambda: next(streamed(far)), rounds=3)


def forgotten(out):
    """Ask the system to keep nothing of the tars in memory."""
    for path in iter_shards(out):
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def sequential(out):
    """Return how many people a second come when every byte is read from front to end."""
    began = time.perf_counter()
    for path in iter_shards(out):
        tar, size = TarFile(path), path.stat().st_size
        for start in range(0, size, 1 << 20):
            tar.unchecked(start, min(start + (1 << 20), size))
    return PEOPLE / (time.perf_counter() - began)


def in_blocks(source):
    """Return how many people a second have their bytes read, in the order of training and without decoding."""
    stream, read = Stream(*source, SETTINGS, batch_size=BATCH), 0
    planned, began = stream.planned(), time.perf_counter()
    while read < PEOPLE - BATCH:
        batch = next(planned)
        for piece in batch.pieces:
            with piece:
                read += len(piece.positions)
    spent = time.perf_counter() - began
    planned.close()
    return read / spent, stream.counts


def decoded_once(source):
    """Return how many people a second come out of the stream in one pass over a source."""
    stream, read = Stream(*source, SETTINGS, batch_size=BATCH, workers=2), 0
    batches, began = iter(stream), time.perf_counter()
    while read < PEOPLE - BATCH:
        read += len(next(batches).keys)
    spent = time.perf_counter() - began
    batches.close()
    return read / spent


def compare_cold(benchmark, tree, source, make_cold):
    found = {"sequential": [], "ours, bytes": [], "ours, crops": []}
    for _ in range(ROUNDS):
        make_cold()
        found["sequential"].append(sequential(tree.out))
        make_cold()
        speed, counts = in_blocks(source)
        found["ours, bytes"].append(speed)
        make_cold()
        found["ours, crops"].append(decoded_once(source))
    medians = {name: statistics.median(rates) for name, rates in found.items()}
    benchmark.extra_info.update(
        people_per_second={name: round(value) for name, value in medians.items()},
        bytes_share_of_sequential=round(medians["ours, bytes"] / medians["sequential"], 2),
        crops_share_of_sequential=round(medians["ours, crops"] / medians["sequential"], 2),
        runs=counts.runs,
        mb_a_run=round(counts.read_bytes / max(counts.runs, 1) / 1e6, 2),
        used_of_read=round(counts.used_bytes / max(counts.read_bytes, 1), 2),
    )
    benchmark.pedantic(lambda: None, rounds=1)


@pytest.mark.benchmark(group="people from a cold disk")
def test_files_that_the_system_has_forgotten(benchmark, tree, source):
    compare_cold(benchmark, tree, source, lambda: forgotten(tree.out))


@pytest.mark.benchmark(group="people from a cold disk")
def test_a_simulated_disk_with_one_head(benchmark, tree, source, monkeypatch):
    head, plain = {"at": None}, TarFile._pread
    lock = threading.Lock()

    def slow(self, place):
        with lock:
            jump = 0 if head["at"] == (self.path, place.offset) else DISK_JUMP
            time.sleep(jump + place.size / DISK_RATE)
            head["at"] = (self.path, place.offset + place.size)
        return plain(self, place)

    monkeypatch.setattr(TarFile, "_pread", slow)
    monkeypatch.setattr(TarFile, "is_at_hand", lambda *_: False)
    compare_cold(benchmark, tree, source, lambda: None)


def test_bytes_are_what_they_are(tree, source, store):
    """The figures count only if the samples are the same."""
    _, far, _ = store
    for one, other in zip(*(iter(Stream(*s, SETTINGS, batch_size=BATCH)) for s in (source, far)), strict=False):
        assert one.keys == other.keys
        assert np.array_equal(one.crops.numpy(), other.crops.numpy())
        if one.end >= 2 * BATCH:
            break
