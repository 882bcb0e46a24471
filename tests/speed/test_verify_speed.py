"""What it costs to look after converted trees: verifying, statistics, leakage.

Verifying reads every byte once, for its BLAKE3, its CRC-32 and the index together; the peers read the same files for
their BLAKE3 alone, or for nothing (``cat``). Rates are GB/s; ``times_ours`` is a peer's rate over that of verifying.
The search for near pictures has a physical peer too: one pass over the hashes of the training set.
"""

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest

from ehps.shards.codec import sample_key
from ehps.shards.leakage import PictureTable, find_leakage, picture_table
from ehps.shards.near_hashes import HashTable
from ehps.shards.picture import Picture, encoded_picture
from ehps.shards.record import Frame, Labels, Person, Provenance
from ehps.shards.statistics import source_statistics
from ehps.shards.tree import list_shards
from ehps.shards.verify import verify_tree
from ehps.shards.writer import UnitWriter
from ehps.tests.speed.make_sidecars import make_source, sources

pytestmark = pytest.mark.speed
UNITS, FRAMES = 2, 500
TRAIN, TEST = 3_000_000, 30_000


def photograph(width: int = 1920, height: int = 1080) -> Picture:
    """A tiled JPEG with about as many bytes as a photograph of its size."""
    rng = np.random.default_rng(0)
    coarse = cv2.resize(rng.integers(0, 255, (135, 240, 3), dtype=np.uint8), (width, height))
    noisy = np.clip(coarse + rng.normal(0, 4, coarse.shape), 0, 255).astype(np.uint8)
    return encoded_picture(cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes())


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """A tree of two tars with pictures of 1080p."""
    out, picture = tmp_path_factory.mktemp("verify") / "data", photograph()
    rng = np.random.default_rng(1)
    for unit in range(UNITS):
        with UnitWriter(out, "fake", "train", f"unit_{unit}", meta={}) as writer:
            for number in range(FRAMES):
                name = f"{unit}/{number:06d}.jpg"
                joints = rng.standard_normal((144, 3), dtype=np.float32)
                people = (Person(provenance=Provenance(file="f", row=name), labels=Labels(), joints_3d=joints),) * 2
                frame = Frame(key=name, image=b"", width=picture.width, height=picture.height, people=people)
                writer.write(frame, sample_key("fake", "train", name), picture)
            writer.commit()
    yield out
    shutil.rmtree(out)


def seconds(function: Callable[[], object]) -> float:
    """Return the shortest of three times, which other work on the machine disturbs least."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def verify(out: Path, jobs: int = 1, fast: bool = False) -> None:
    assert not any(problems for _, problems in verify_tree(out, jobs=jobs, fast=fast))


def tars(out: Path) -> list[str]:
    return [str(out / shard.path) for shard in list_shards(out)]


def num_bytes(out: Path) -> int:
    return sum(path.stat().st_size for path in out.rglob("*") if path.is_file())


def shell(command: str, out: Path) -> Callable[[], object]:
    return lambda: subprocess.run(["bash", "-c", command, "-", *tars(out)], check=True, stdout=subprocess.DEVNULL)


def measure(benchmark, function: Callable[[], object], out: Path, ours: Callable[[], object]) -> None:
    """Measure something that reads the tree, and verifying just before it."""
    own = seconds(ours)
    benchmark.pedantic(function, rounds=3, warmup_rounds=1)
    rate = num_bytes(out) / benchmark.stats.stats.min / 1e9
    benchmark.extra_info |= {"GB_s": round(rate, 3), "times_ours": round(own / benchmark.stats.stats.min, 2)}


class _Verify:
    """Ours and its peers on so many cores."""

    jobs = 1

    def test_ours(self, benchmark, tree):
        measure(benchmark, lambda: verify(tree, self.jobs), tree, lambda: verify(tree, self.jobs))

    def test_sha256sum(self, benchmark, tree):
        command = f'printf "%s\\0" "$@" | xargs -0 -n1 -P{self.jobs} sha256sum'
        measure(benchmark, shell(command, tree), tree, lambda: verify(tree, self.jobs))

    def test_cat(self, benchmark, tree):
        command = f'printf "%s\\0" "$@" | xargs -0 -n1 -P{self.jobs} cat'
        measure(benchmark, shell(command, tree), tree, lambda: verify(tree, self.jobs))


@pytest.mark.benchmark(group="verify two tars on one core")
class TestVerifyOneCore(_Verify):
    """Everything, on one core."""


@pytest.mark.benchmark(group="verify two tars on two cores")
class TestVerifyTwoCores(_Verify):
    """Everything, on two cores."""

    jobs = 2


@pytest.mark.benchmark(group="verify two tars, sizes and index only")
def test_verify_fast(benchmark, tree):
    benchmark.pedantic(verify, (tree,), {"fast": True}, rounds=5, warmup_rounds=1)


@pytest.mark.benchmark(group="statistics of a source of 100,000 people")
def test_statistics(benchmark, tmp_path):
    (source,) = sources(100_000, 1)[:1]
    make_source(tmp_path, source)
    found = benchmark.pedantic(source_statistics, (tmp_path, source.dataset), rounds=3, warmup_rounds=1)
    assert found.total.people == source.people


def pictures(dataset: str, count: int, seed: int) -> PictureTable:
    """Pictures with random hashes and long names."""
    hashes = np.random.default_rng(seed).integers(1, 2**64, count, np.uint64)
    names = [f"{dataset}-train-images-{number:012d}" for number in range(count)]
    columns = {"key": pa.array(names), "frame_key": pa.array([f"images/{name}.jpg" for name in names])}
    columns["image_blake3"] = pa.array([f"{seed:032x}{number:032x}" for number in range(count)])
    return picture_table(dataset, "train", pa.table(columns | {"image_phash": pa.array(hashes, pa.uint64())}))


@pytest.fixture(scope="module")
def sides() -> tuple[PictureTable, PictureTable]:
    """Training set and benchmark, a hundred of whose pictures are near ones of it."""
    train, test = pictures("a", TRAIN, 0), pictures("b", TEST, 1)
    test.hashes[:100] = train.hashes[::30_000][:100] ^ np.uint64(1 << 40 | 1 << 7)
    return train, test


@pytest.mark.benchmark(group="near pictures among 3 million hashes and 30 thousand")
class TestNear:
    def test_ours(self, benchmark, sides):
        train, test = sides
        found = benchmark.pedantic(
            lambda: sum(len(a) for a, _, _ in HashTable(test.hashes, 4).near(train.hashes)), rounds=3
        )
        assert found >= 100

    def test_all_with_all_of_a_thousandth(self, benchmark, sides):
        """The plain way on 30 pictures of the benchmark, to be taken a thousand times."""
        train, test = sides
        benchmark.pedantic(
            lambda: [np.flatnonzero(np.bitwise_count(train.hashes ^ one) <= 4) for one in test.hashes[:30]], rounds=3
        )
        benchmark.extra_info["seconds_of_all"] = round(benchmark.stats.stats.min * TEST / 30, 1)


@pytest.mark.benchmark(group="leakage of 3 million pictures and 30 thousand: exact, near and by name")
def test_leakage(benchmark, sides):
    train, test = sides
    found = benchmark.pedantic(find_leakage, ([train], [test]), rounds=3)
    assert found.shared[0].test_pictures >= 100
