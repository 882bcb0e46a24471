"""What a stream of people yields, beside the loop that only cuts, other loaders of the same people, the field's way.

With decoding: photographs of 1920 x 1080, a person of a quarter to three quarters of the height in each, cut to
512 x 384; EHPS_SPEED_PEOPLE of them. Without: photographs of 512 x 640 of 60 kB, four times as many. All are in memory.
Methods take turns, each for about a second once it is under way; recorded are people per second (medians over the
turns) and how many times a peer's rate is ours. Workers are threads in our stream and the bare loop, processes
everywhere else.
"""

import gc
import io
import itertools
import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import webdataset
from torch.utils.data import DataLoader, Dataset

from ehps.body.posing import PosingModel
from ehps.shards.cutting import cut_person, view_of
from ehps.shards.reader import PeopleIndex, iter_shards
from ehps.tests.speed.people_tree import PEOPLE, SMALL, K, make_tree
from ehps.training.augment import draw_all
from ehps.training.crops import crop_affine, crop_box, padded_box
from ehps.training.mixture import Member, Mixture, mix
from ehps.training.samples import SampleSettings, affine_of
from ehps.training.stream import Stream
from ehps.training.torch_data import PeopleLoader, PeopleStream

pytestmark = pytest.mark.speed
SIZE = (384, 512)
SETTINGS = SampleSettings(crop_size=SIZE)
MIXTURE = Mixture(name="speed", about="all", strategy="concat", members=(Member(dataset="bedlam"),))
BATCH = 32
ENDLESS = 10**9  # positions, where nobody shuffles a list of them
SECONDS = 0.6
ROUNDS = 3
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)


@pytest.fixture(scope="module", autouse=True)
def _enough_people():
    if PEOPLE < 4 * BATCH:
        pytest.fail(f"EHPS_SPEED_PEOPLE is {PEOPLE}; these measurements need {4 * BATCH} people at least")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    return make_tree(tmp_path_factory.mktemp("people"))


@pytest.fixture(scope="module")
def source(tree):
    return mix(MIXTURE, tree.out), PeopleIndex.open(tree.out).load


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return make_tree(tmp_path_factory.mktemp("small"), 4 * PEOPLE, SMALL)


@pytest.fixture(scope="module")
def small_source(small):
    return mix(MIXTURE, small.out), PeopleIndex.open(small.out).load


def rate(batches):
    """Return the people per second of an iterator over batches, given how many are in each."""
    iterator = iter(batches)
    next(iterator)
    ready = time.perf_counter() + SECONDS / 2
    next(iterator)
    while time.perf_counter() < ready:  # until memory has been taken
        next(iterator)
    began, read = time.perf_counter(), 0
    for size in iterator:
        read += size
        if time.perf_counter() - began > SECONDS:
            break
    seconds = time.perf_counter() - began
    close = getattr(iterator, "close", None)
    if close:
        close()
    del iterator
    gc.collect()
    return read / seconds


def compare(benchmark, methods, ours, groups):
    """Time all methods in turns and record their rates, and ours over each peer's."""
    found = {name: [] for name in methods}
    for turn in range(ROUNDS):
        for name in methods if turn % 2 == 0 else reversed(methods):
            found[name].append(rate(methods[name]()))
    medians = {name: statistics.median(rates) for name, rates in found.items()}
    benchmark.extra_info["people_per_second"] = {name: round(value) for name, value in medians.items()}
    for name, peers in groups.items():
        best = max(medians[peer] for peer in peers)
        benchmark.extra_info[f"times_{name}"] = round(medians[ours] / best, 2)
    benchmark.pedantic(lambda: next(iter(methods[ours]())), rounds=3)


def in_batches(samples):
    """Yield how many samples came, a batch at a time."""
    while batch := list(itertools.islice(samples, BATCH)):
        yield len(batch)


def as_it_is(batch):
    return batch


class Gathered(Dataset):
    """The stored members of people by position, checked and without decoding, as webdataset hands them over."""

    def __init__(self, source, change):
        self.people, self.index, self.change = source[0], source[1].__self__, change

    def __len__(self):
        return ENDLESS

    def __getitems__(self, positions):
        found = self.index.gather(self.people.draw(np.array(positions)).person_id)
        return [self.change(found, i) for i in range(len(found))]


def as_bytes(found, i):
    return found.image(i), found.json(i), found.numbers(i)


def as_labels(found, i):
    return found.image(i), found.meta(i), found.rows(i)


class Stored(Dataset):
    """What a training without pictures, or with a decoder of its own, needs of people by position."""

    def __init__(self, source, what):
        self.source, self.what = source, what

    def __len__(self):
        return ENDLESS

    def __getitems__(self, positions):
        people, load = self.source
        drawn = people.draw(np.array(positions))
        changes = draw_all(0, np.array(positions), SETTINGS.ranges)
        return [self.read(load(i), change) for i, change in zip(drawn.person_id.tolist(), changes, strict=True)]

    def read(self, person, change):
        frame = person.frame
        if self.what == "labels":
            return frame.rows
        view = view_of(affine_of(person, change, SETTINGS), SIZE)
        return frame.region_bytes(frame.tiles, *view)[0], frame.rows


def in_loader(data, workers=0):
    """Yield how many people came, a batch at a time, as they lie."""
    return map(len, DataLoader(data, batch_size=BATCH, num_workers=workers, collate_fn=as_it_is))


def plain_webdataset(tree, workers, change=as_it_is):
    """Samples of a shuffle buffer, which is what webdataset has for a global order."""
    shards = [str(path) for path in iter_shards(tree.out)]
    data = webdataset.WebDataset(shards, shardshuffle=len(shards), seed=0).shuffle(100).map(change).repeat()  # pyright: ignore[reportAttributeAccessIssue]
    if not workers:
        return in_batches(iter(data))
    return map(len, DataLoader(data, batch_size=BATCH, num_workers=workers, collate_fn=as_it_is))


def with_labels(sample):
    """Parse the labels of a sample of webdataset, as ours are."""
    return sample["jpg"], json.loads(sample["json"]), np.load(io.BytesIO(sample["rows"]))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.benchmark(group="people without decoding")
def test_bytes_beside_webdataset(benchmark, small, small_source, workers):
    methods = {
        "ours": lambda: in_loader(Gathered(small_source, as_bytes), workers),
        "ours, parsed": lambda: in_loader(Gathered(small_source, as_labels), workers),
        "ours, tiles": lambda: in_loader(Stored(small_source, "tiles"), workers),
        "ours, labels": lambda: in_loader(Stored(small_source, "labels"), workers),
        "webdataset": lambda: plain_webdataset(small, workers),
        "webdataset, parsed": lambda: plain_webdataset(small, workers, with_labels),
    }
    compare(benchmark, methods, "ours", {"webdataset": ["webdataset"]})
    found = benchmark.extra_info["people_per_second"]
    benchmark.extra_info["parsed_times_parsed"] = round(found["ours, parsed"] / found["webdataset, parsed"], 2)
    for what in ("tiles", "labels"):
        benchmark.extra_info[f"{what}_times_webdataset"] = round(found[f"ours, {what}"] / found["webdataset"], 2)


class Loose(Dataset):
    """People of loose files: the whole frame decoded by OpenCV, one warp on bytes, labels from memory."""

    def __init__(self, tree):
        self.tree = tree

    def __len__(self):
        return 100 * PEOPLE

    def __getitem__(self, position):
        number = position % PEOPLE
        picture = decoded(self.tree.loose / f"{number:06d}.jpg")
        affine = affine_at(position, self.tree.boxes[number])
        crop = cv2.warpAffine(picture, affine, SIZE, flags=cv2.INTER_LINEAR)
        return crop.transpose(2, 0, 1), {name: values[number] for name, values in self.tree.labels.items()}


class Reference(Loose):
    """People as the field's released loaders read them: floats of the whole frame, and a body posed for each person."""

    def __init__(self, tree, model):
        super().__init__(tree)
        self.model = model

    def __getitem__(self, position):
        number = position % PEOPLE
        picture = decoded(self.tree.loose / f"{number:06d}.jpg").copy().astype(np.float32).copy()
        affine = affine_at(position, self.tree.boxes[number])
        patch = cv2.warpAffine(picture, affine, SIZE, flags=cv2.INTER_LINEAR).astype(np.float32)
        patch = np.clip(patch * np.array([1.1, 0.9, 1.0], np.float32), 0, 255) / 255
        labels = {name: values[number] for name, values in self.tree.labels.items()}
        joints = self.model.joints({name: labels[name][None] for name in labels if name != "joints_3d"})[0]
        pixels = joints @ K.T
        targets = {"joints": joints, "pixels": pixels[:, :2] / pixels[:, 2:]}
        return ((patch - MEAN) / DEVIATION).transpose(2, 0, 1).astype(np.float32), labels | targets


def decoded(path):
    return cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)


def affine_at(position, box):
    """Return the map of the crop of a position."""
    change = draw_all(0, np.array([position]), SETTINGS.ranges)[0]
    return crop_affine(crop_box(padded_box(box), 1920, 1080), SIZE, change, 1920)


def loose(data, workers):
    for crops, _ in DataLoader(data, batch_size=BATCH, shuffle=True, num_workers=workers):
        yield len(crops)


class WithOpenCV:
    """Decode and cut a sample of webdataset."""

    def __init__(self, tree):
        self.boxes = tree.boxes

    def __call__(self, sample):
        picture = cv2.imdecode(np.frombuffer(sample["jpg"], np.uint8), cv2.IMREAD_COLOR_RGB)
        number = int(sample["__key__"].rpartition("-")[2])
        return cv2.warpAffine(picture, affine_at(number, self.boxes[number]), SIZE, flags=cv2.INTER_LINEAR)


def bare(source, workers):
    """Yield batches of crops cut by a loop that knows every map and reads no label."""
    people, load = source
    positions = np.arange(PEOPLE - PEOPLE % BATCH)
    changes = draw_all(0, positions, SETTINGS.ranges)
    todo = []
    for person_id, change in zip(people.draw(positions).person_id.tolist(), changes, strict=True):
        person = load(person_id)
        todo.append((person.frame, affine_of(person, change, SETTINGS)))
    batches = [todo[first : first + BATCH] for first in range(0, len(todo), BATCH)]

    def cut(batch):
        crops = np.empty((BATCH, 3, SIZE[1], SIZE[0]), np.uint8)
        for (frame, affine), crop in zip(batch, crops, strict=True):
            cut_person(frame, affine, SIZE, out=crop)
        return len(batch)

    if not workers:
        yield from map(cut, itertools.cycle(batches))
    with ThreadPoolExecutor(workers) as pool:
        pending = [pool.submit(cut, batch) for batch in batches[:4]]
        for batch in itertools.islice(itertools.cycle(batches), 4, None):
            yield pending.pop(0).result()
            pending.append(pool.submit(cut, batch))


def ours(source, workers):
    for batch in Stream(*source, SETTINGS, batch_size=BATCH, workers=workers):
        yield len(batch.keys)


def ours_in_processes(source, workers):
    for batch in PeopleLoader(PeopleStream(*source, SETTINGS, batch_size=BATCH), num_workers=workers):
        yield len(batch.keys)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.benchmark(group="people to crops of 512x384")
def test_crops_beside_other_loaders(benchmark, tree, source, standin_dir, workers):
    reference = Reference(tree, PosingModel.load(standin_dir))
    methods = {
        "ours": lambda: ours(source, workers),
        "bare loop": lambda: bare(source, workers),
        "loose files, OpenCV": lambda: loose(Loose(tree), workers),
        "webdataset, OpenCV": lambda: plain_webdataset(tree, workers, WithOpenCV(tree)),
        "reference": lambda: loose(reference, workers),
    }
    peers = ["loose files, OpenCV", "webdataset, OpenCV"]
    if workers:
        methods["ours in processes"] = lambda: ours_in_processes(source, workers)
    groups = {"bare_loop": ["bare loop"], "best_peer": peers, "reference": ["reference"]}
    compare(benchmark, methods, "ours", groups)


def in_this_process(data):
    """Yield how many people came, a batch at a time, without a DataLoader."""
    return (len(data.__getitems__(range(first, first + BATCH))) for first in itertools.count(0, BATCH))


def without_workers(data):
    return in_batches(iter(itertools.chain.from_iterable(itertools.repeat(data))))


@pytest.mark.benchmark(group="people without decoding, other formats")
def test_bytes_beside_streaming(benchmark, small, small_source, tmp_path):
    streaming = pytest.importorskip("streaming", reason="mosaicml-streaming is not installed")
    with streaming.MDSWriter(out=str(tmp_path), columns={"jpg": "bytes", "number": "int"}) as writer:
        for number in range(len(small.boxes)):
            writer.write({"jpg": (small.loose / f"{number:06d}.jpg").read_bytes(), "number": number})
    data = streaming.StreamingDataset(local=str(tmp_path), shuffle=True, batch_size=BATCH)
    methods = {
        "ours, tiles": lambda: in_this_process(Stored(small_source, "tiles")),
        "ours": lambda: in_this_process(Gathered(small_source, as_bytes)),
        "streaming": lambda: without_workers(data),
    }
    compare(benchmark, methods, "ours", {"streaming": ["streaming"]})


def litdata_sample(number_and_path):
    number, path = number_and_path
    return {"number": number, "jpg": Path(path).read_bytes()}


@pytest.mark.benchmark(group="people without decoding, other formats")
def test_bytes_beside_litdata(benchmark, small, small_source, tmp_path):
    litdata = pytest.importorskip("litdata", reason="litdata is not installed")
    inputs = [(number, str(small.loose / f"{number:06d}.jpg")) for number in range(len(small.boxes))]
    litdata.optimize(litdata_sample, inputs, str(tmp_path / "lit"), chunk_bytes="64MB", num_workers=1)
    data = litdata.StreamingDataset(str(tmp_path / "lit"), shuffle=True)
    methods = {
        "ours, tiles": lambda: in_this_process(Stored(small_source, "tiles")),
        "ours": lambda: in_this_process(Gathered(small_source, as_bytes)),
        "litdata": lambda: without_workers(data),
    }
    compare(benchmark, methods, "ours", {"litdata": ["litdata"]})
