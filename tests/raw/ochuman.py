"""An OCHuman look-alike: COCO-format files of two splits, people who stand in front of each other."""

import json
from pathlib import Path

import numpy as np

from ehps.body.cameras import intrinsics, project
from ehps.tests.raw._people import (
    TruePerson,
    Truth,
    backdrop,
    clothes,
    draw_people,
    face_camera,
    joints,
    place,
    points_2d,
    random_parameters,
    standin,
    tight_box,
    vertices,
    write_picture,
)

SPLITS = ("val", "test")
EXPECTED = {
    "val": {"frames": 2, "people": 4, "rejects": {"empty_box": 1}},
    "test": {"frames": 1, "people": 2, "rejects": {"missing_image": 1}},
}
SIZE = (600, 800)
K = intrinsics(1100.0, 1100.0, 299.5, 399.5)


def build(root: Path, *, frames: int = 3, pictures: str = "plain", seed: int = 50, bad: bool = True) -> Truth:
    """Write the tree with ``frames`` good pictures, two fifths of them test."""
    truth = Truth(expected={split: {"frames": 0, "people": 0, "rejects": {}} for split in SPLITS})
    for number, split in enumerate(SPLITS):
        rng = np.random.default_rng([seed, number])
        count = max(1, round(frames * (0.6 if split == "val" else 0.4)))
        content = _write_pictures(root, split, count, pictures, rng, truth)
        if bad:
            _add_bad_record(split, content, truth)
        path = root / f"ochuman_coco_format_{split}_range_0.00_1.00.json"
        path.write_text(json.dumps(content), encoding="utf-8")
    return truth


def _write_pictures(root: Path, split: str, count: int, pictures: str, rng: np.random.Generator, truth: Truth) -> dict:
    """Write the pictures of a split, two people in each, and return the content of its COCO-format file."""
    content: dict = {"categories": [{"id": 1, "name": "person"}], "images": [], "annotations": [], "info": {}}
    people = [face_camera(random_parameters(rng), rng.uniform(-1, 1), 0.1) for _ in range(2 * count)]
    pelvises = np.tile([[-0.15, 0.0, 3.4], [0.15, 0.05, 3.9]], (count, 1)) + rng.normal(0, 0.05, (2 * count, 3))
    people = place(standin(), people, pelvises)
    points = joints(standin(), people)
    meshes = vertices(standin(), people if pictures == "rendered" else [])
    for i in range(count):
        name = f"{(1 if split == 'val' else 4001) + i:06d}"
        picture = backdrop(rng, SIZE, pictures)
        if pictures == "rendered":
            picture = draw_people(picture, meshes[2 * i : 2 * i + 2], [K, K], [clothes(rng), clothes(rng)])
        write_picture(root / "images" / f"{name}.jpg", picture)
        content["images"].append({"id": i + 1, "file_name": f"{name}.jpg", "width": SIZE[0], "height": SIZE[1]})
        for row in (2 * i, 2 * i + 1):
            content["annotations"].append(_annotation(rng, row + 1, i + 1, project(points[row], K)))
            truth.people[split, name, str(row + 1)] = TruePerson(people[row], frozenset(), K, SIZE)
        truth.expected[split]["frames"] += 1
        truth.expected[split]["people"] += 2
    return content


def _annotation(rng: np.random.Generator, identity: int, image_id: int, pixels: np.ndarray) -> dict:
    """Return an annotation in whole pixels; v is 2 for visible or self-occluded, 1 for hidden by others, 0 missing."""
    seen = rng.choice([0, 1, 2], 17, p=[0.1, 0.2, 0.7])
    points = np.where(seen[:, None] > 0, np.round(points_2d(pixels, "coco_17")), 0)
    left, top, right, bottom = np.round(tight_box(pixels)).astype(int).tolist()
    return {
        "id": identity,
        "image_id": image_id,
        "category_id": 1,
        "iscrowd": 0,
        "area": (right - left) * (bottom - top),
        "bbox": [left, top, right - left, bottom - top],
        "segmentation": {"size": [SIZE[1], SIZE[0]], "counts": "`no1"},
        "num_keypoints": int((seen > 0).sum()),
        "keypoints": np.column_stack([points, seen]).astype(int).ravel().tolist(),
    }


def _add_bad_record(split: str, content: dict, truth: Truth) -> None:
    """Append a box without width to val, and to test a person whose picture is missing."""
    good = content["annotations"][0]
    if split == "val":
        content["annotations"].append({**good, "id": 9001, "bbox": [20, 20, 0, 300]})
        truth.expected[split]["rejects"] = {"empty_box": 1}
        return
    content["images"].append({"id": 9000, "file_name": "009000.jpg", "width": SIZE[0], "height": SIZE[1]})
    content["annotations"].append({**good, "id": 9002, "image_id": 9000})
    truth.expected[split]["rejects"] = {"missing_image": 1}
