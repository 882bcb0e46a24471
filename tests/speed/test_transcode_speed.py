"""What it costs to give a JPEG its tiles, beside ``jpegtran -restart`` on the same files, on one core and on two.

jpegtran runs as its users run it, a process a picture; what it takes for a picture of one block is taken off.
``times_ours`` is a peer's processor time over ours, both measured in alternation; on two threads the clock counts.
"""

import resource
import shutil
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from ehps.shards.jpeg import map_tiles, mcu_window, tile_jpeg, window_jpeg
from ehps.shards.picture import decode_rgb

pytestmark = pytest.mark.speed
SIZES = {"720p": (1280, 720), "1080p": (1920, 1080), "4K": (3840, 2160)}
PICTURES = 6


def fractal(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """Noise whose spectrum falls like that of photographs, mean 0 and deviation 1."""
    y, x = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    spectrum = rng.standard_normal((height, x.size)) + 1j * rng.standard_normal((height, x.size))
    spectrum /= np.maximum(np.hypot(x, y), 1 / width) ** 1.2
    out = np.fft.irfft2(spectrum, (height, width))
    return (out - out.mean()) / out.std()


@cache
def photograph(size: str, progressive: int) -> bytes:
    """A picture of about 1.5 bits a pixel: texture, edges, a region out of focus, noise of the sensor."""
    width, height = SIZES[size]
    rng = np.random.default_rng(width)
    channels = [fractal(width, height, rng) * strength for strength in (38, 9, 9)]
    picture = np.stack(channels, axis=-1) + (118, 128, 128)
    for _ in range(40):
        axes = tuple(int(v) for v in rng.integers(height // 40, height // 5, 2))
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        colour = [float(v) for v in rng.uniform((20, 90, 90), (235, 165, 165))]
        cv2.ellipse(picture, centre, axes, float(rng.integers(180)), 0, 360, colour, -1)
    picture[:, : width // 2] = cv2.GaussianBlur(picture[:, : width // 2], (0, 0), 3)
    picture += rng.standard_normal(picture.shape) * (2, 1, 1)
    bgr = cv2.cvtColor(np.clip(picture, 0, 255).astype(np.uint8), cv2.COLOR_YCrCb2BGR)
    options = [cv2.IMWRITE_JPEG_QUALITY, 90, cv2.IMWRITE_JPEG_PROGRESSIVE, progressive]
    return cv2.imencode(".jpg", bgr, options)[1].tobytes()


def processor_time() -> float:
    """Return the seconds that this process and those that it waited for have computed."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def shortest(*functions: Callable[[], object], clock: Callable[[], float], rounds: int = 7) -> list[float]:
    """Return the shortest time of one call of each in seconds; they take turns, so that all see the same machine."""
    times = [[] for _ in functions]
    for _ in range(rounds):
        for function, own in zip(functions, times, strict=True):
            start = clock()
            function()
            own.append(clock() - start)
    return [min(own) for own in times]


def jpegtran(path: Path) -> None:
    subprocess.run(["jpegtran", "-restart", "8B", "-outfile", "/dev/null", str(path)], check=True)


needs_jpegtran = pytest.mark.skipif(
    shutil.which("jpegtran") is None, reason="jpegtran is not installed (libjpeg-turbo-progs)"
)


@pytest.mark.benchmark(group="tiles for a JPEG")
@pytest.mark.parametrize("kind", ["baseline", "progressive"])
@pytest.mark.parametrize("size", SIZES)
class TestTranscode:
    def test_ours(self, benchmark, size, kind):
        data = photograph(size, int(kind == "progressive"))
        tiled = benchmark(tile_jpeg, data)
        rate = len(data) / benchmark.stats.stats.min / 1e6
        benchmark.extra_info |= {"mb_per_s": rate, "bytes_over_source": len(tiled.data) / len(data)}

    @needs_jpegtran
    def test_jpegtran(self, benchmark, tmp_path, size, kind):
        data = photograph(size, int(kind == "progressive"))
        path, small = tmp_path / "a.jpg", tmp_path / "small.jpg"
        path.write_bytes(data)
        small.write_bytes(cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes())
        calls = (lambda: tile_jpeg(data), lambda: jpegtran(path), lambda: jpegtran(small))
        own, theirs, start = shortest(*calls, clock=processor_time)
        benchmark.pedantic(jpegtran, (path,), rounds=3)
        benchmark.extra_info |= {"ours_ms": own * 1e3, "theirs_ms": (theirs - start) * 1e3, "start_ms": start * 1e3}
        benchmark.extra_info["times_ours"] = (theirs - start) / own

    def test_decode_with_opencv(self, benchmark, size, kind):
        data = photograph(size, int(kind == "progressive"))
        own, theirs = shortest(lambda: tile_jpeg(data), lambda: decode_rgb(data), clock=time.thread_time)
        benchmark.pedantic(decode_rgb, (data,), rounds=3)
        benchmark.extra_info["times_ours"] = theirs / own


@pytest.mark.benchmark(group=f"tiles for {PICTURES} JPEGs of 1080p on two threads")
@pytest.mark.parametrize("kind", ["baseline", "progressive"])
class TestThreads:
    def test_ours(self, benchmark, kind):
        batch = [photograph("1080p", int(kind == "progressive"))] * PICTURES
        with ThreadPoolExecutor(2) as pool:
            calls = (lambda: list(map(tile_jpeg, batch)), lambda: list(pool.map(tile_jpeg, batch)))
            alone, together = shortest(*calls, clock=time.perf_counter)
            benchmark.pedantic(calls[1], rounds=3)
        benchmark.extra_info["times_one_thread"] = alone / together

    @needs_jpegtran
    def test_jpegtran(self, benchmark, tmp_path, kind):
        data = photograph("1080p", int(kind == "progressive"))
        path = tmp_path / "a.jpg"
        path.write_bytes(data)
        with ThreadPoolExecutor(2) as pool:
            calls = (
                lambda: list(pool.map(tile_jpeg, [data] * PICTURES)),
                lambda: list(pool.map(jpegtran, [path] * PICTURES)),
            )
            own, theirs = shortest(*calls, clock=time.perf_counter)
            benchmark.pedantic(calls[1], rounds=3)
        benchmark.extra_info["times_ours_with_process_starts"] = theirs / own


@pytest.mark.benchmark(group="a window of 320 x 320 px cut from 1080p, without its decode")
class TestWindow:
    def test_window(self, benchmark):
        tiled = tile_jpeg(photograph("1080p", 0))
        benchmark(mcu_window, tiled.tiles, (700, 400, 1020, 720))

    def test_cut(self, benchmark):
        tiled = tile_jpeg(photograph("1080p", 0))
        tiles, window = tiled.tiles, mcu_window(tiled.tiles, (700, 400, 1020, 720))
        header = tiled.data[: tiles.header_size]
        rows = tiled.data[tiles.row_offsets[window.row0] : tiles.row_offsets[window.row1]]
        small = benchmark(window_jpeg, header, rows, tiles, window)
        benchmark.extra_info |= {"rows_bytes": len(rows), "window_bytes": len(small)}

    def test_map_of_the_whole_file(self, benchmark):
        data = tile_jpeg(photograph("1080p", 0)).data
        benchmark(map_tiles, data)
