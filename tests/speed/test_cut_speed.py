"""What it costs to cut one person, beside the full decode and warp of OpenCV and the float path of the reference.

Frames are made like photographs: noise of amplitude 1/f, ellipses with soft edges, places out of focus, sensor noise.
People stand anywhere and are turned and scaled as in training. The methods of a box size take turns; ratios are of
median processor times. Recorded is their geometric mean over box sizes, and the PSNR to an ideal crop in dB.
"""

import itertools
import statistics
import time
import zlib
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
import pytest

from ehps.shards.cutting import cut_person
from ehps.shards.jpeg import tile_jpeg
from ehps.shards.stored import StoredFrame, TarFile
from ehps.shards.ustar import Place

pytestmark = pytest.mark.speed
FRAMES = ((640, 480), (1280, 720), (1920, 1080), (3840, 2160))  # width, height
BOXES = (256, 512, 800, 1200, 1800)  # height; width is three quarters of it
CROPS = ((384, 512), (192, 256))
QUALITIES = (95, 90, 85)
PEOPLE = 5
ROUNDS = {640: 15, 1280: 9, 1920: 7, 3840: 3}
GENTLE = 0.95  # a box is at most this share of the frame's height


class Work(NamedTuple):
    """One frame in its two forms, and a person's map into the crop."""

    data: bytes
    frame: StoredFrame
    affine: np.ndarray


def noise(rng, width, height, power):
    """Return noise whose amplitude falls with the frequency to a power; deviation 1."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    frequency[0, 0] = np.inf
    phases = rng.standard_normal((2, *frequency.shape), np.float32)
    field = np.fft.irfft2((phases[0] + 1j * phases[1]) / frequency**power, (height, width))
    return (field / field.std()).astype(np.float32)


def add_ellipse(picture, rng):
    """Blend an ellipse with soft edges into a picture, where it lies."""
    height, width = picture.shape[:2]
    axes = rng.integers(height // 40, height // 5, 2)
    centre, reach = rng.integers(0, (width, height)), int(axes.max()) + 2
    left, top = np.maximum(centre - reach, 0)
    part = picture[top : centre[1] + reach, left : centre[0] + reach]
    mask = np.zeros(part.shape[:2], np.uint8)
    place = (int(centre[0] - left), int(centre[1] - top))
    cv2.ellipse(mask, place, tuple(axes.tolist()), rng.uniform(0, 180), 0, 360, 255, -1, cv2.LINE_AA)
    share = mask[..., None] * np.float32(0.6 / 255)
    part += share * (rng.uniform((20, 90, 90), (235, 165, 165)).astype(np.float32) - part)


def photo(width, height, seed):
    """Return a picture like a photograph, BGR."""
    rng = np.random.default_rng(seed)
    colours = [cv2.resize(noise(rng, width // 4, height // 4, 1.5), (width, height)) for _ in range(2)]
    picture = np.stack([118 + 38 * noise(rng, width, height, 1.25), *(128 + 12 * c for c in colours)], axis=-1)
    for _ in range(40):
        add_ellipse(picture, rng)
    focus = cv2.resize((noise(rng, width // 8, height // 8, 2) > 0).astype(np.float32), (width, height))[..., None]
    picture = focus * picture + (1 - focus) * cv2.GaussianBlur(picture, (0, 0), 3)
    picture += rng.standard_normal(picture.shape, np.float32) * np.float32((2, 1, 1))
    return cv2.cvtColor(np.clip(picture, 0, 255).astype(np.uint8), cv2.COLOR_YCrCb2BGR)


@lru_cache(maxsize=1)
def pictures(width, height):
    """Return the frames of one size as baseline JPEGs, 4:2:0."""
    subsampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420]
    return [
        cv2.imencode(".jpg", photo(width, height, 100 + i), [cv2.IMWRITE_JPEG_QUALITY, quality, *subsampling])[
            1
        ].tobytes()
        for i, quality in enumerate(QUALITIES)
    ]


def stored(path, data):
    """Return a frame with tiles, as a converter would store it."""
    picture = tile_jpeg(data)
    path.write_bytes(picture.data)
    place = Place(0, len(picture.data), zlib.crc32(picture.data))
    return StoredFrame(TarFile(path), {"image": place}, lambda: picture.tiles)


def person_map(rng, frame, box_height, crop):
    """Return the map of a person somewhere in the frame, scaled by up to a quarter and often turned."""
    box_width = int(box_height * 0.75)
    x, y = (rng.uniform(side / 2, limit - side / 2) for side, limit in zip((box_width, box_height), frame, strict=True))
    grown = box_height * (1 + np.clip(rng.standard_normal(), -1, 1) * 0.25)
    angle = np.deg2rad(np.clip(rng.standard_normal(), -2, 2) * 30) if rng.random() < 0.6 else 0.0
    c, s = crop[1] / grown * np.cos(angle), crop[1] / grown * np.sin(angle)
    return np.array([[c, -s, crop[0] / 2 - c * x + s * y], [s, c, crop[1] / 2 - s * x - c * y]])


def decoded(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)


def by_opencv(work, crop):
    """Cut as a plain loader does: the whole frame decoded, one warp on bytes."""
    return cv2.warpAffine(decoded(work.data), work.affine, crop, flags=cv2.INTER_LINEAR)


def by_reference(work, crop):
    """Cut as the released loaders of the field do: the whole frame to floats, copied, warped, scaled and clipped."""
    picture = cv2.imdecode(np.frombuffer(work.data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    picture = picture[:, :, ::-1].copy().astype(np.float32).copy()
    patch = cv2.warpAffine(picture, work.affine, crop, flags=cv2.INTER_LINEAR).astype(np.float32)
    return np.clip(patch * np.ones((1, 1, 3)), 0, 255)


METHODS = {
    "reference": by_reference,
    "opencv": by_opencv,
    "exact": lambda work, crop: cut_person(work.frame, work.affine, crop, mode="exact"),
    "scaled": lambda work, crop: cut_person(work.frame, work.affine, crop),
}


def milliseconds(works, crop, rounds):
    """Return the median processor time of a cut by each method; they take turns."""
    times = {name: [] for name in METHODS}
    for _ in range(rounds):
        for name, method in METHODS.items():
            start = time.thread_time()
            for work in works:
                method(work, crop)
            times[name].append((time.thread_time() - start) / len(works) * 1e3)
    return {name: statistics.median(values) for name, values in times.items()}


def decibels(a, b):
    error = float(np.square(a.astype(np.float32) - b).mean())
    return 10 * np.log10(255**2 / max(error, 1e-9))


def nearness(work, crop):
    """Return the PSNR of OpenCV's and of our crop to the ideal, sixteen samples a pixel averaged."""
    fine = np.array([[4, 0, 1.5], [0, 4, 1.5], [0, 0, 1]]) @ np.vstack([work.affine, [0, 0, 1]])
    large = cv2.warpAffine(decoded(work.data), fine[:2], (4 * crop[0], 4 * crop[1]), flags=cv2.INTER_LINEAR)
    ideal = cv2.resize(large, crop, interpolation=cv2.INTER_AREA)
    return decibels(by_opencv(work, crop), ideal), decibels(METHODS["scaled"](work, crop), ideal)


@pytest.mark.parametrize("crop", CROPS, ids=lambda size: f"{size[1]}x{size[0]}")
@pytest.mark.parametrize("frame", FRAMES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.benchmark(group="a person cut from a frame")
def test_a_cut_beside_a_full_decode(benchmark, tmp_path, frame, crop):
    cv2.setNumThreads(1)
    datas = pictures(*frame)
    frames = [stored(tmp_path / f"{i}.tar", data) for i, data in enumerate(datas)]
    times, near = {}, {}
    for box in (height for height in BOXES if height <= GENTLE * frame[1]):
        rng = np.random.default_rng(7)
        pairs = itertools.islice(itertools.cycle(zip(datas, frames, strict=True)), PEOPLE)
        works = [Work(*pair, person_map(rng, frame, box, crop)) for pair in pairs]
        for work in works:
            np.testing.assert_array_equal(METHODS["exact"](work, crop), by_opencv(work, crop))
        near[box] = np.mean([nearness(work, crop) for work in works], axis=0).round(2).tolist()
        times[box] = milliseconds(works, crop, ROUNDS[frame[0]])
    benchmark.pedantic(METHODS["scaled"], (works[0], crop), rounds=5)
    for ours, peer in (("scaled", "opencv"), ("exact", "opencv"), ("scaled", "reference")):
        ratios = [row[peer] / row[ours] for row in times.values()]
        benchmark.extra_info[f"{peer}_over_{ours}"] = round(statistics.geometric_mean(ratios), 2)
    benchmark.extra_info |= {"milliseconds": times, "psnr_opencv_and_scaled": near}
