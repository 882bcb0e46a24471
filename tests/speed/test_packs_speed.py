"""What it costs to cut three people out of a 1920 x 1080 frame, beside decoding, slicing and encoding with OpenCV."""

import time
import timeit

import cv2
import numpy as np
import pytest

from ehps.shards.packs import PackOptions, cut_region, person_cuts
from ehps.shards.picture import encoded_picture
from ehps.shards.record import Frame, Labels, Person, Provenance

pytestmark = pytest.mark.speed
WIDTH, HEIGHT, PEOPLE = 1920, 1080, 3
OPTIONS = PackOptions()


def frame_and_jpeg(body: int) -> tuple[Frame, bytes]:
    """A frame of smooth colours and noise with three people of one height."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(40, 215, (27, 48, 3), dtype=np.uint8)
    smooth = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    pixels = np.clip(smooth + rng.normal(0, 5, smooth.shape), 0, 255).astype(np.uint8)
    boxes = [np.array([x, 60, x + body / 3, 60 + body], np.float32) for x in (300, 900, 1400)]
    people = tuple(
        Person(provenance=Provenance(file="f", row=str(row)), labels=Labels(), bbox_xyxy=box)
        for row, box in enumerate(boxes)
    )
    jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
    return Frame(key="f", image=b"", width=WIDTH, height=HEIGHT, people=people), jpeg


@pytest.mark.parametrize("body", [256, 512, 800])
@pytest.mark.benchmark(group=f"{PEOPLE} people out of a frame", timer=time.process_time)
def test_cuts(benchmark, body):
    frame, jpeg = frame_and_jpeg(body)
    picture = encoded_picture(jpeg)

    def opencv() -> None:
        pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        for person in frame.people:
            (x0, y0, x1, y1), height = cut_region(person.bbox_xyxy, WIDTH, HEIGHT, OPTIONS.margin) or ((0,) * 4, 0)
            part, scale = pixels[y0:y1, x0:x1], min(1.0, OPTIONS.max_height / height)
            small = part if scale == 1 else cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 95])

    peer = min(timeit.repeat(opencv, number=3, repeat=5, timer=time.process_time)) / 3
    cuts = benchmark(lambda: list(person_cuts(frame, "k", picture, OPTIONS)))
    benchmark.extra_info["kb_per_person"] = sum(len(cut.data) for _, _, cut in cuts) / PEOPLE / 1e3
    benchmark.extra_info["times_ours"] = peer / benchmark.stats.stats.min
