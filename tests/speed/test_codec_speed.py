"""What it costs to encode and decode the labels of a frame, beside the ways that other tools have.

Every peer reads or writes the same numbers in the same run; ``times_ours`` is its time over ours.
"""

import io
import json
import time
import timeit
from collections.abc import Callable

import numpy as np
import pytest

from ehps.shards.codec import decode_people, encode_people, person_array
from ehps.shards.record import Labels, Person, Provenance

pytestmark = pytest.mark.speed
SHAPES = {
    "global_orient": (3,),
    "body_pose": (21, 3),
    "left_hand_pose": (15, 3),
    "right_hand_pose": (15, 3),
    "jaw_pose": (3,),
    "betas": (10,),
    "expression": (10,),
    "transl": (3,),
    "keypoints_2d": (137, 3),
    "joints_3d": (144, 3),
    "bbox_xyxy": (4,),
}
PEOPLE = 3


def person(seed: int) -> Person:
    rng = np.random.default_rng(seed)
    arrays = {name: rng.standard_normal(shape, dtype=np.float32) for name, shape in SHAPES.items()}
    return Person(provenance=Provenance(file="f", row="0"), labels=Labels(), keypoints_2d_convention="x", **arrays)


PERSONS = [person(seed) for seed in range(PEOPLE)]
NPY = encode_people(PERSONS)
ARRAYS = {name: np.stack([getattr(p, name) for p in PERSONS]) for name in SHAPES}


Call = Callable[[], object]


def seconds(function: Call, clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the shortest time of one call, which other work on the machine disturbs least."""
    timer = timeit.Timer(function, timer=clock)
    number = max(timer.autorange()[0] // 10, 1)
    return min(timer.repeat(10, number)) / number


def measure(
    benchmark,
    function: Callable[[], object],
    ours: Callable[[], object],
    clock: Callable[[], float] = time.perf_counter,
) -> None:
    """Measure a peer, and ours just before it."""
    own = seconds(ours, clock)
    benchmark(function)
    benchmark.extra_info |= {"ours_us": own * 1e6, "times_ours": benchmark.stats.stats.min / own}


def decode_ours() -> list[np.ndarray]:
    rows = decode_people(NPY)
    return [person_array(rows, index, name) for index in range(PEOPLE) for name in SHAPES]


@pytest.mark.benchmark(group="labels of a frame with three people, from bytes to arrays")
class TestDecode:
    def test_ours(self, benchmark):
        benchmark.extra_info["us_per_person"] = seconds(decode_ours) * 1e6 / PEOPLE
        assert benchmark(decode_ours)[1].shape == (21, 3)

    def test_numpy_load(self, benchmark):
        measure(benchmark, lambda: np.load(io.BytesIO(NPY), allow_pickle=False), decode_ours)

    def test_npz(self, benchmark):
        buffer = io.BytesIO()
        np.savez(buffer, **ARRAYS)
        data = buffer.getvalue()
        measure(benchmark, lambda: dict(np.load(io.BytesIO(data), allow_pickle=False)), decode_ours)

    def test_json_lists(self, benchmark):
        text = json.dumps({name: array.tolist() for name, array in ARRAYS.items()})

        def decode() -> dict[str, np.ndarray]:
            return {name: np.array(values, np.float32) for name, values in json.loads(text).items()}

        measure(benchmark, decode, decode_ours)


def encode_ours() -> bytes:
    return encode_people(PERSONS)


@pytest.mark.benchmark(group="labels of a frame with three people, from arrays to bytes")
class TestEncode:
    def test_ours(self, benchmark):
        assert benchmark(encode_ours) == NPY

    def test_npz(self, benchmark):
        measure(benchmark, lambda: np.savez(io.BytesIO(), **ARRAYS), encode_ours)

    def test_json_lists(self, benchmark):
        measure(benchmark, lambda: json.dumps({name: a.tolist() for name, a in ARRAYS.items()}), encode_ours)
