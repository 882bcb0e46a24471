"""Frames of a studio video (900 x 900, 50 a second, H.264) beside OpenCV, and beside the bare decoder as the limit.

``frames_a_second`` counts the frames of the video that are passed, wanted or not; ``times_opencv`` is the processor
time of OpenCV over ours, both measured one after the other, so that a busy machine matters little. One thread each.
"""

import time
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from ehps.converters.formats.video import VideoFrame, video_facts
from ehps.converters.storing import Storing, open_room
from ehps.shards.record import Frame, Labels, Person, Provenance
from ehps.tests.raw._videos import write_video

pytestmark = pytest.mark.speed
COUNT, SIDE = 120, 900
GROUPS = {"key frame a second": 50, "key frame every 12": 12}


@pytest.fixture(scope="module", params=GROUPS)
def film(request, tmp_path_factory) -> Path:
    """A soft scene with a sharp subject that moves over it, and the noise of a sensor."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    rng = np.random.default_rng(0)
    scene = cv2.GaussianBlur(rng.integers(0, 255, (SIDE, SIDE, 3)).astype(np.float32), (0, 0), 12)
    scene = cv2.normalize(scene, None, 30, 220, cv2.NORM_MINMAX)
    subject = rng.integers(20, 235, (40, 20, 3)).repeat(10, 0).repeat(10, 1)
    grain = rng.normal(0, 2, (8, SIDE, SIDE, 1))

    def shown():
        for number in range(COUNT):
            picture = scene + grain[number % 8]
            picture[300 : 300 + 400, 100 + 4 * number : 300 + 4 * number] = subject
            yield np.clip(picture, 0, 255).astype(np.uint8)

    write_video(path, shown(), fps=50, group=GROUPS[request.param], b_frames=3, x264="crf=23")
    return path


def ours(film: Path, step: int = 1) -> int:
    """Read every step-th frame, from the beginning."""
    return sum(VideoFrame(film, i).read().shape[0] > 0 for i in range(0, COUNT, step))


def opencv(film: Path, step: int = 1) -> int:
    """Read every step-th frame as its users do: pass over the others without converting them."""
    capture, found = cv2.VideoCapture(str(film), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1]), 0
    for number in range(COUNT):
        found += capture.read()[0] if number % step == 0 else 0 * capture.grab()
    capture.release()
    return found


def bare(film: Path, step: int = 1) -> int:
    """Decode everything and convert nothing."""
    with av.open(str(film)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        return len([0 for number, _ in enumerate(container.decode(video=0)) if number % step == 0])


def processor_seconds(work: Callable[[], object]) -> float:
    """Return what some work computes, on all threads."""
    start = time.process_time()
    work()
    return time.process_time() - start


READERS = {"ours": ours, "opencv": opencv, "limit: bare decode": bare}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("step", [1, 3, 10])
@pytest.mark.benchmark(group="frames of a video in order")
def test_frames_in_order(benchmark, film, step, reader):
    read = READERS[reader]
    video_facts(film)
    assert benchmark.pedantic(read, (film, step), rounds=2) == len(range(0, COUNT, step))
    theirs = min(processor_seconds(lambda: opencv(film, step)) for _ in range(2))
    taken = min(processor_seconds(lambda: read(film, step)) for _ in range(2))
    benchmark.extra_info |= {"times_opencv": round(theirs / taken, 2), "frames_a_second": round(COUNT / taken)}


def opencv_seek(film: Path, order: list[int]) -> int:
    """Read frames by their numbers with OpenCV's own seek."""
    capture, found = cv2.VideoCapture(str(film), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1]), 0
    for number in order:
        capture.set(cv2.CAP_PROP_POS_FRAMES, number)
        found += capture.read()[0]
    capture.release()
    return found


@pytest.mark.parametrize("reader", ["ours", "opencv"])
@pytest.mark.benchmark(group="frames of a video in any order")
def test_frames_in_any_order(benchmark, film, reader):
    order = np.random.default_rng(0).permutation(COUNT)[:20].tolist()
    work = {
        "ours": lambda: sum(VideoFrame(film, i).read().size > 0 for i in order),
        "opencv": lambda: opencv_seek(film, order),
    }
    assert benchmark.pedantic(work[reader], rounds=2) == len(order)
    theirs, taken = (min(processor_seconds(work[name]) for _ in range(2)) for name in ("opencv", reader))
    benchmark.extra_info |= {"times_opencv": round(theirs / taken, 2), "frames_a_second": round(len(order) / taken)}


@pytest.mark.benchmark(group="the frames of a video counted")
def test_facts(benchmark, film):
    from ehps.converters.formats import video

    benchmark.pedantic(lambda: (video._survey.cache_clear(), video_facts(film)), rounds=5)
    benchmark.extra_info["frames_a_second"] = round(COUNT / benchmark.stats.stats.median)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.benchmark(group="frames of a video as tiled JPEGs")
def test_frames_on_their_way_into_shards(benchmark, film, threads):
    person = Person(provenance=Provenance(file="f", row="1"), labels=Labels())
    frames = [
        Frame(key=str(i), image=VideoFrame(film, i), width=SIDE, height=SIDE, people=(person,)) for i in range(COUNT)
    ]

    def store() -> int:
        with open_room(Storing(), str, threads) as room:
            return sum(len(found.pieces) for found in room.pictured(frames))

    assert benchmark.pedantic(store, rounds=2) == COUNT
    benchmark.extra_info["frames_a_second"] = round(COUNT / benchmark.stats.stats.min)
