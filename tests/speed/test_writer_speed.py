"""What it costs to write shards, beside the ways that other tools have and beside the disk.

Every peer writes the same bytes in the same run; ``times_ours`` is its time over ours. Ours takes the BLAKE3 of the
tar and a CRC-32 of each member on the way, which no peer does.
"""

import io
import os
import shutil
import tarfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import webdataset

from ehps.body.posing import PARAMETER_SHAPES
from ehps.shards.codec import sample_key
from ehps.shards.picture import Picture, encode_jpeg, encoded_picture
from ehps.shards.record import Camera, Frame, Labels, Person, Provenance
from ehps.shards.ustar import TarWriter
from ehps.shards.writer import UnitWriter

pytestmark = pytest.mark.speed
RNG = np.random.default_rng(0)
SAMPLES = 2000
PICTURES = [RNG.bytes(60_000) for _ in range(16)]
JSON, NUMBERS = b'{"a": 1}' * 75, RNG.bytes(928)


def samples():
    """Yield the keys and members of a tar like one of persons: 60 KB of picture, 0.6 of JSON, 0.9 of numbers."""
    for number in range(SAMPLES):
        yield f"{number:09d}", {"jpg": PICTURES[number % len(PICTURES)], "json": JSON, "rows": NUMBERS}


def write_ours(path: Path) -> None:
    writer = TarWriter(path)
    for key, members in samples():
        writer.add(key, members)
    writer.close()


def write_webdataset(path: Path) -> None:
    with webdataset.TarWriter(str(path), encoder=False) as writer:  # pyright: ignore[reportAttributeAccessIssue]
        for key, members in samples():
            writer.write({"__key__": key, **members})
    flush(path)


def write_tarfile(path: Path) -> None:
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for key, members in samples():
            for ext, data in members.items():
                info = tarfile.TarInfo(f"{key}.{ext}")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    flush(path)


def flush(path: Path) -> None:
    """Bring a file to the disk, as ours does."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def best(functions: list[Callable[[], object]], clock: Callable[[], float], rounds: int = 5) -> list[float]:
    """Return the shortest time of each function; they are called in turn, so that load strikes all of them."""
    times = []
    for _ in range(rounds):
        for function in functions:
            start = clock()
            function()
            times.append(clock() - start)
    return [min(times[index :: len(functions)]) for index in range(len(functions))]


def write_new(write: Callable[[Path], object], path: Path) -> None:
    """Write a file that is not there yet."""
    path.unlink(missing_ok=True)
    write(path)


CLOCKS = [time.perf_counter, time.process_time]


@pytest.mark.parametrize("clock", CLOCKS, ids=["wall", "processor"])
@pytest.mark.benchmark(group=f"a tar of {SAMPLES} samples of 61 KB")
def test_tar_against_webdataset(benchmark, tmp_path, clock):
    tar_against(benchmark, tmp_path, clock, write_webdataset)


@pytest.mark.parametrize("clock", CLOCKS, ids=["wall", "processor"])
@pytest.mark.benchmark(group=f"a tar of {SAMPLES} samples of 61 KB")
def test_tar_against_tarfile(benchmark, tmp_path, clock):
    tar_against(benchmark, tmp_path, clock, write_tarfile)


def tar_against(benchmark, tmp_path: Path, clock: Callable[[], float], peer: Callable[[Path], None]) -> None:
    def ours() -> None:
        write_new(write_ours, tmp_path / "ours.tar")

    own, other = best([ours, lambda: write_new(peer, tmp_path / "peer.tar")], clock)
    benchmark.pedantic(ours, rounds=2)
    us = 1e6 / SAMPLES
    benchmark.extra_info |= {"ours_us": own * us, "peer_us": other * us, "times_ours": other / own}


LARGE = [RNG.bytes(424_000) for _ in range(16)]  # pictures of 1920 x 1080
LARGE_FRAMES = 600


@pytest.mark.benchmark(group="250 MB of large pictures, with fsync")
def test_shard_against_copying_its_bytes(benchmark, tmp_path):
    """The pictures are in memory already; the peer copies the finished tar."""
    frames = [bare_frame(number) for number in range(LARGE_FRAMES)]
    pictures = [Picture(data, "jpg", 1920, 1080, "as_distributed", "0" * 64) for data in LARGE]

    def ours() -> Path:
        return write_unit(tmp_path, [(frame, pictures[i % len(pictures)]) for i, frame in enumerate(frames)])

    tar, copy = ours(), tmp_path / "copy.tar"
    against_copies(benchmark, ours, lambda: copy_all([tar], copy.parent / "copies"))


@pytest.mark.benchmark(group="250 MB of large pictures, with fsync")
def test_loose_pictures_against_copying_them(benchmark, tmp_path):
    """What ``--jpeg keep`` does: each picture is read, looked at, hashed and stored; the peer copies the files."""
    noise = np.kron(RNG.integers(0, 255, (270, 480, 3), dtype=np.uint8), np.ones((4, 4, 1), np.uint8))
    files = [tmp_path / "loose" / f"{number}.jpg" for number in range(LARGE_FRAMES)]
    files[0].parent.mkdir()
    for number, file in enumerate(files):
        file.write_bytes(
            encode_jpeg(np.roll(noise, number, axis=1), 40) if number < 16 else files[number % 16].read_bytes()
        )
    frames = [bare_frame(number) for number in range(LARGE_FRAMES)]

    def ours() -> Path:
        return write_unit(
            tmp_path, ((frame, encoded_picture(file, jpeg="keep")) for frame, file in zip(frames, files, strict=True))
        )

    ours()
    against_copies(benchmark, ours, lambda: copy_all(files, tmp_path / "copies"))


def write_unit(out: Path, pictured: Iterable[tuple[Frame, Picture]]) -> Path:
    """Write a unit of one shard and return its tar."""
    with UnitWriter(out, "fake", "train", "u", meta={}, replace=True) as writer:
        for frame, picture in pictured:
            writer.write(frame, f"fake-train-{frame.key}", picture)
        return next(writer.commit().glob("*.tar"))


def copy_all(files: list[Path], folder: Path) -> None:
    """Copy files and wait for the disk."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for file in files:
        shutil.copyfile(file, folder / file.name)
    for file in files:
        flush(folder / file.name)


def against_copies(benchmark, ours: Callable[[], Path], peer: Callable[[], None]) -> None:
    own, other = best([ours, peer], time.perf_counter)
    [processor] = best([ours], time.process_time)
    benchmark.pedantic(ours, rounds=2)
    megabytes = ours().stat().st_size / 1e6
    benchmark.extra_info |= {"ours_mb_s": megabytes / own, "copy_mb_s": megabytes / other, "share": other / own}
    benchmark.extra_info["ours_mb_per_processor_second"] = megabytes / processor


def bare_frame(number: int, people: int = 1) -> Frame:
    nobody = Person(provenance=Provenance(file="f", row=str(number)), labels=Labels())
    return Frame(key=str(number), image=b"", width=1920, height=1080, people=(nobody,) * people)


SHAPES = PARAMETER_SHAPES | {
    "betas": (11,),
    "joints_3d": (144, 3),
    "bbox_xyxy": (4,),
    "face_bbox_xyxy": (4,),
    "left_hand_bbox_xyxy": (4,),
    "right_hand_bbox_xyxy": (4,),
}
MEASURES = ("reprojection_px", "swap_gain", "truncation", "occlusion", "box_coverage", "min_depth_m", "distance_m")


def labelled_person(number: int) -> Person:
    """A person with what BEDLAM labels and the engine adds."""
    return Person(
        provenance=Provenance(file="all_npz_12_training/scene.npz", row=str(number)),
        labels=Labels(body="synthetic", left_hand="synthetic", right_hand="synthetic", shape="synthetic"),
        body_model="smplx",
        gender="neutral",
        quality={name: float(RNG.random()) for name in MEASURES},
        **{name: RNG.standard_normal(shape, dtype=np.float32) for name, shape in SHAPES.items()},  # pyright: ignore[reportArgumentType]
    )


def labelled_frames(count: int) -> list[Frame]:
    camera = Camera(K=np.array([[1000.5, 0, 640], [0, 1000.5, 360], [0, 0, 1]]), kind="measured")
    return [
        Frame(
            key=f"scene/seq_{number:06d}",
            image=b"",
            width=1280,
            height=720,
            people=tuple(labelled_person(10 * number + index) for index in range(2 + number % 3)),
            camera=camera,
            sequence="scene/seq",
            frame_index=number,
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("clock", CLOCKS, ids=["wall", "processor"])
@pytest.mark.benchmark(group="labels alone, from records to a committed unit")
def test_labels(benchmark, tmp_path, clock):
    frames = labelled_frames(2000)
    people = sum(len(frame.people) for frame in frames)

    def write() -> None:
        with UnitWriter(tmp_path, "fake", "train", "u", meta={}, replace=True) as writer:
            for frame in frames:
                writer.write(frame, sample_key("fake", "train", frame.key), None)
            writer.commit()

    [seconds] = best([write], clock)
    benchmark.pedantic(write, rounds=2)
    benchmark.extra_info |= {"us_per_person": seconds / people * 1e6, "people_per_second": people / seconds}
