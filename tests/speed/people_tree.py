"""Converted trees of photographs with one person each, and the same people as loose files."""

import os
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from ehps.body.posing import PARAMETER_SHAPES
from ehps.shards.catalog import build_catalog
from ehps.shards.picture import encoded_picture
from ehps.shards.record import Camera, Frame, Labels, Person, Provenance
from ehps.shards.writer import UnitWriter
from ehps.tests.speed.test_cut_speed import photo

PEOPLE = int(os.environ.get("EHPS_SPEED_PEOPLE", "480"))  # of a tree of large photographs
UNITS = 4
PHOTOS = 8
LARGE, SMALL = (1920, 1080), (512, 640)  # width, height
QUALITIES = (85, 90, 95)
K = np.array([[1500.0, 0, 960], [0, 1500, 540], [0, 0, 1]])
SHAPES = PARAMETER_SHAPES | {"betas": (10,), "expression": (10,)}


class Tree(NamedTuple):
    """Where the people are."""

    out: Path  # shards and catalog
    loose: Path  # <number>.jpg
    boxes: np.ndarray  # people 4, xyxy, px
    labels: dict[str, np.ndarray]  # people ...
    size: tuple[int, int]  # of the photographs


def make_tree(folder: Path, people: int = PEOPLE, size: tuple[int, int] = LARGE) -> Tree:
    """Write a tree of photographs of a size (width, height) and return it."""
    rng = np.random.default_rng(0)
    out, loose = folder / "shards", folder / "loose"
    loose.mkdir(parents=True)
    pictures = [_picture(folder, size, i) for i in range(PHOTOS)]
    boxes = np.stack([_box(rng, size) for _ in range(people)])
    labels = {name: rng.normal(0, 0.3, (people, *shape)).astype(np.float32) for name, shape in SHAPES.items()}
    spread = np.concatenate([rng.uniform(-0.5, 0.5, (people, 144, 2)), rng.uniform(4, 5, (people, 144, 1))], axis=2)
    labels["joints_3d"] = spread.astype(np.float32)
    for unit, numbers in enumerate(np.array_split(np.arange(people), UNITS)):
        with UnitWriter(out, "bedlam", "train", f"unit{unit}", meta={"converter_version": 1}) as writer:
            for number in numbers.tolist():
                path, picture = pictures[number % PHOTOS]
                (loose / f"{number:06d}.jpg").write_bytes(path.read_bytes())
                frame = _frame(number, size, boxes[number], {name: values[number] for name, values in labels.items()})
                writer.write(frame, f"bedlam-train-{number:06d}", picture)
            writer.commit({})
    build_catalog(out)
    return Tree(out, loose, boxes, labels, size)


def _picture(folder, size, i):
    path = folder / f"photo{i}.jpg"
    half = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420]
    quality = QUALITIES[i % len(QUALITIES)]
    path.write_bytes(cv2.imencode(".jpg", photo(*size, 100 + i), [cv2.IMWRITE_JPEG_QUALITY, quality, *half])[1])
    return path, encoded_picture(path)


def _box(rng, size):
    height = rng.uniform(0.25, 0.75) * size[1]
    x, y = rng.uniform(0.375 * height, size[0] - 0.375 * height), rng.uniform(height / 2, size[1] - height / 2)
    return np.array([x - 0.375 * height, y - height / 2, x + 0.375 * height, y + height / 2], np.float32)


def _frame(number, size, box, arrays):
    parts = dict.fromkeys(("body", "left_hand", "right_hand", "face", "shape"), "synthetic")
    person = Person(
        provenance=Provenance(file="made", row=str(number)),
        labels=Labels(**parts),
        body_model="smplx",
        gender="neutral",
        bbox_xyxy=box,
        **arrays,
    )
    camera = Camera(K=K, kind="measured")
    return Frame(key=f"{number:06d}", image=b"", width=size[0], height=size[1], people=(person,), camera=camera)
