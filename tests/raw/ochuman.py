"""An OCHuman look-alike: COCO-format files of two splits, people who stand in front of each other, EFT's fits of some.

A fitted person is a SMPL body in the virtual camera of its box, the others are seen by the camera of the picture.
"""

import json
from pathlib import Path

import numpy as np

from ehps.body.cameras import intrinsics, project
from ehps.body.draw import render_mesh
from ehps.body.keypoints import convert_keypoints
from ehps.body.standin import standin_vertex_colors
from ehps.converters.ochuman import FITS
from ehps.tests.raw._eft import eft_file, eft_item, random_eft
from ehps.tests.raw._people import (
    TruePerson,
    Truth,
    backdrop,
    face_camera,
    place,
    points_2d,
    random_parameters,
    standin,
    tight_box,
    write_picture,
)

SPLITS = ("val", "test")
EXPECTED = {
    "val": {"frames": 2, "people": 4, "rejects": {"empty_box": 1, "bad_fit": 1}},
    "test": {"frames": 1, "people": 2, "rejects": {"missing_image": 1}},
}
SIZE = (600, 800)
K = intrinsics(1100.0, 1100.0, 299.5, 399.5)


def build(
    root: Path,
    *,
    frames: int = 3,
    pictures: str = "plain",
    seed: int = 50,
    bad: bool = True,
    times: int = 1,
    fits: bool = True,
) -> Truth:
    """Write the tree with ``times`` ``frames`` good pictures, two fifths of them test, with EFT's files or without."""
    truth = Truth(expected={split: {"frames": 0, "people": 0, "rejects": {}} for split in SPLITS})
    for number, split in enumerate(SPLITS):
        rng = np.random.default_rng([seed, number])
        count = max(1, round(times * frames * (0.6 if split == "val" else 0.4)))
        content, items = _write_pictures(root, split, count, pictures, rng, truth)
        if bad:
            _add_bad_records(split, content, items, truth)
        path = root / f"ochuman_coco_format_{split}_range_0.00_1.00.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        if fits:
            name = FITS["eft_train" if split == "val" else "eft_test"]
            (root / "eft_fit").mkdir(exist_ok=True)
            (root / "eft_fit" / name).write_text(json.dumps(eft_file(items, "OCHuman")), encoding="utf-8")
    return truth


def _write_pictures(
    root: Path, split: str, count: int, pictures: str, rng: np.random.Generator, truth: Truth
) -> tuple[dict, list[dict]]:
    """Write the pictures of a split, two people in each; return the content of its file and EFT's fits, mixed up."""
    content: dict = {"categories": [{"id": 1, "name": "person"}], "images": [], "annotations": [], "info": {}}
    people = [face_camera(random_parameters(rng), rng.uniform(-1, 1), 0.1) for _ in range(count)]
    people = place(standin(), people, np.array([[0.15, 0.05, 3.9]]) + rng.normal(0, 0.05, (count, 3)))
    items = []
    for i, unfitted in enumerate(people):
        name = f"{(1 if split == 'val' else 4001) + i:06d}.jpg"
        fitted = random_eft(rng, np.array([250, 400]) + rng.normal(0, 15, 2), rng.uniform(550, 640), SIZE)
        # In every third picture both are fitted.
        other = random_eft(rng, np.array([340, 410]), 560, SIZE) if i % 3 == 1 else None
        pair = (other or TruePerson(unfitted, frozenset(), K, SIZE), fitted)
        write_picture(root / "images" / name, _picture(rng, pair, pictures))
        content["images"].append({"id": i + 1, "file_name": name, "width": SIZE[0], "height": SIZE[1]})
        for row, true in enumerate(pair, 2 * i + 1):
            annotation = _annotation(rng, row, i + 1, project(true.joints(), true.K))
            content["annotations"].append(annotation)
            if true.labelled:
                items.append(eft_item(true, name, points=_points_of(annotation)))
            truth.people[split, Path(name).stem, str(row)] = true
        truth.expected[split]["frames"] += 1
        truth.expected[split]["people"] += 2
    return content, items[::-1]


def _picture(rng: np.random.Generator, people: tuple[TruePerson, ...], pictures: str) -> np.ndarray:
    """Return a picture, with the people in it when it is to be rendered."""
    picture = backdrop(rng, SIZE, pictures)
    for true in people if pictures == "rendered" else ():
        colors = standin_vertex_colors(true.body_model, rng)[None]
        picture = render_mesh(picture, true.vertices(), true.model.triangles, true.K, color=colors)
    return picture


def _points_of(annotation: dict) -> np.ndarray:
    """Return the 24 points that EFT's tools make of the keypoints of a person."""
    points = np.reshape(annotation["keypoints"], (17, 3)).astype(np.float64)
    points[:, 2] = points[:, 2] > 0
    return convert_keypoints(points, "coco_17", "spin_24")


def _annotation(rng: np.random.Generator, identity: int, image_id: int, pixels: np.ndarray) -> dict:
    """Return an annotation in whole pixels; v is 2 for visible or self-occluded, 1 for hidden by others, 0 missing."""
    seen = rng.choice([0, 1, 2], 17, p=[0.1, 0.2, 0.7])
    points = np.where(seen[:, None] > 0, np.round(points_2d(pixels, "coco_17")), 0)
    left, top, right, bottom = np.round(tight_box(pixels[np.isfinite(pixels[:, 0])])).astype(int).tolist()
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


def _add_bad_records(split: str, content: dict, items: list[dict], truth: Truth) -> None:
    """Append a box without width and a fit without size to val, and to test a person whose picture is missing."""
    good = content["annotations"][0]
    if split == "val":
        lonely = [value + 40 if i % 3 < 2 else value for i, value in enumerate(good["keypoints"])]
        content["annotations"].append({**good, "id": 9001, "bbox": [20, 20, 0, 300]})
        content["annotations"].append({**good, "id": 9003, "keypoints": lonely})
        points = np.concatenate([np.zeros((25, 3)), _points_of({"keypoints": lonely})]).tolist()
        items.append({**items[0], "imageName": "000001.jpg", "bbox_scale": 0.0, "gt_keypoint_2d": points})
        truth.expected[split]["rejects"] = dict(EXPECTED[split]["rejects"])
        return
    content["images"].append({"id": 9000, "file_name": "009000.jpg", "width": SIZE[0], "height": SIZE[1]})
    content["annotations"].append({**good, "id": 9002, "image_id": 9000})
    truth.expected[split]["rejects"] = dict(EXPECTED[split]["rejects"])
