"""An MSCOCO look-alike: COCO-WholeBody and NeuralAnnot files for train, COCO's own keypoints for val.

Each fitted person is seen by the virtual camera of its own crop, exactly as the fits are defined, so keypoints, boxes
and parameters agree to the rounding of the files.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ehps.body.cameras import intrinsics, project
from ehps.converters.formats.coco_json import clipped_box
from ehps.converters.mscoco import FITS
from ehps.tests.raw._eft import eft_file, eft_item, random_eft
from ehps.tests.raw._neuralannot import FLAGS, fit_entry
from ehps.tests.raw._people import (
    Parameters,
    TruePerson,
    Truth,
    backdrop,
    clothes,
    draw_people,
    face_camera,
    fill_crop,
    joints,
    points_2d,
    random_parameters,
    standin,
    vertices,
    write_picture,
)

SPLITS = ("train", "val")
EXPECTED = {
    "train": {
        "frames": 3,
        "people": 6,
        "rejects": {
            "crowd": 1,
            "no_keypoints": 1,
            "empty_box": 1,
            "bad_keypoints": 1,
            "bad_fit": 2,
            "missing_image": 2,
            "image_size": 1,
            "unknown_image": 1,
        },
    },
    "val": {"frames": 2, "people": 5, "rejects": {"no_keypoints": 1}},
}
SIZE = (640, 480)
POSED = ("global_orient", "body_pose", "betas", "transl")
HANDS = ("left_hand_pose", "right_hand_pose")
FACE = ("jaw_pose", "expression")
_FOCAL_PER_PIXEL = 5000 * 1.25 / 256
_PARTS = {"foot": slice(17, 23), "face": slice(23, 91), "lefthand": slice(91, 112), "righthand": slice(112, 133)}


@dataclass
class _Person:
    """One person of a picture in its virtual camera."""

    parameters: Parameters
    K: np.ndarray
    box: list[float]  # x, y, width, height
    points: np.ndarray  # (133, 2) px
    valid: dict[str, bool]
    has_fit: bool


def build(
    root: Path,
    *,
    frames: int = 5,
    pictures: str = "plain",
    seed: int = 30,
    bad: bool = True,
    times: int = 1,
    fits: tuple[str, ...] = ("neuralannot",),
) -> Truth:
    """Write the tree with ``times`` ``frames`` good pictures, two fifths of them val, and the named files of fits.

    Of EFT's files the truth is that of the last one named: they hold other bodies.
    """
    truth = Truth(expected={split: {"frames": 0, "people": 0, "rejects": {}} for split in SPLITS})
    for number, split in enumerate(SPLITS):
        rng = np.random.default_rng([seed, number])
        count = max(1, round(times * frames * (0.6 if split == "train" else 0.4)))
        content, cast = _write_pictures(root, split, count, pictures, rng, truth)
        if bad:
            _add_bad_records(root, split, content, truth)
        name = "coco_wholebody_train_v1.0.json" if split == "train" else "person_keypoints_val2017.json"
        _write_json(root / "annotations" / name, content)
        for fit in fits:
            if fit.startswith("eft") and (fit == "eft_val") == (split == "val"):
                _write_json(root / "eft_fit" / FITS[fit], _eft_fits(rng, split, content, cast, truth))
            elif split == "train" and fit in ("neuralannot", "osx"):
                _write_json(root / "annotations" / FITS[fit], _fits(cast, fit, bad=bad))
    return truth


def _write_pictures(
    root: Path, split: str, count: int, pictures: str, rng: np.random.Generator, truth: Truth
) -> tuple[dict, dict[int, _Person]]:
    """Write the pictures of a split and return the COCO file's content and the people by annotation id."""
    content: dict = {"info": {}, "licenses": [], "categories": [{"id": 1, "name": "person"}]}
    content |= {"images": [], "annotations": []}
    cast: dict[int, _Person] = {}
    casts = [_cast(rng, split, i) for i in range(count)]
    drawn = [person.parameters for people in casts for person in people]
    meshes = vertices(standin(), drawn if pictures == "rendered" else [])
    for i, people in enumerate(casts):
        image_id = 9 + 16 * i + (100_000 if split == "val" else 0)
        name = f"{image_id:012d}.jpg"
        picture = backdrop(rng, SIZE, pictures)
        if pictures == "rendered":
            mine = meshes[len(cast) :][: len(people)]
            picture = draw_people(picture, mine, [one.K for one in people], [clothes(rng) for _ in people])
        write_picture(root / "images" / f"{split}2017" / name, picture)
        content["images"].append({"id": image_id, "file_name": name, "width": SIZE[0], "height": SIZE[1]})
        for person in people:
            annotation_id = 1000 + len(cast) * 7 + (500_000 if split == "val" else 0)
            content["annotations"].append(_annotation(rng, annotation_id, image_id, person, split == "train"))
            cast[annotation_id] = person
            labelled = _labelled(person) if split == "train" else frozenset()
            key = (split, Path(name).stem, str(annotation_id))
            truth.people[key] = TruePerson(person.parameters, labelled, person.K, SIZE)
        truth.expected[split]["frames"] += 1
        truth.expected[split]["people"] += len(people)
    return content, cast


def _cast(rng: np.random.Generator, split: str, number: int) -> list[_Person]:
    """Return two or three people, each in the camera of its own crop; in every third picture one has no fit."""
    count = int(rng.integers(2, 4))
    people = []
    for slot in range(count):
        person = face_camera(random_parameters(rng), rng.uniform(-0.9, 0.9), rng.uniform(-0.1, 0.25))
        person = fill_crop(standin(), person, _FOCAL_PER_PIXEL)
        side = rng.uniform(0.45, 0.75) * SIZE[1]
        centre = np.array([(slot + 0.5) / count * SIZE[0], SIZE[1] / 2]) + rng.normal(0, 12, 2)
        people.append(_seen(rng, person, centre, side, has_fit=split == "train" and (number % 3, slot) != (0, 1)))
    return people


def _seen(rng: np.random.Generator, person: Parameters, centre: np.ndarray, side: float, *, has_fit: bool) -> _Person:
    """Return a person whose annotated box is about ``side`` pixels long, with the camera that belongs to that box."""
    points = joints(standin(), [person])[0]
    first = project(points, intrinsics(_FOCAL_PER_PIXEL * side, _FOCAL_PER_PIXEL * side, *centre))
    box = np.round(np.concatenate([first.min(axis=0), np.ptp(first, axis=0)]), 2)
    left, top, width, height = clipped_box(box, *SIZE)
    focal = _FOCAL_PER_PIXEL * max(width, height)
    K = intrinsics(focal, focal, left + width / 2, top + height / 2)
    valid = {"face": rng.random() < 0.8, "lefthand": rng.random() < 0.7, "righthand": rng.random() < 0.7}
    return _Person(person, K, box.tolist(), points_2d(project(points, K), "coco_wholebody"), valid, has_fit)


def _annotation(rng: np.random.Generator, annotation_id: int, image_id: int, person: _Person, whole_body: bool) -> dict:
    """Return a COCO annotation: pixels of the body are whole numbers, those of the other parts are not."""
    seen = rng.choice([1, 2], 17)
    body = np.column_stack([np.round(person.points[:17]), seen])
    out = {"id": annotation_id, "image_id": image_id, "category_id": 1, "iscrowd": 0, "area": 1000.5}
    out |= {"bbox": person.box, "num_keypoints": 17, "segmentation": [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]}
    out["keypoints"] = [int(value) for value in body.ravel()]
    if not whole_body:
        return out
    for part, where in _PARTS.items():
        valid = person.valid.get(part, True)
        confidence = {"foot": 2.0, "face": 1.0}.get(part, 0.25)  # hands carry a detector's confidence
        points = np.round(person.points[where], 3)
        name = f"{part}_kpts"
        out[name] = np.column_stack([points, np.full(len(points), confidence)]).ravel().tolist()
        out[f"{part}_valid"] = bool(valid)
        if part != "foot":
            low, span = points.min(axis=0), np.ptp(points, axis=0)
            out[f"{part}_box"] = [*low.tolist(), *span.tolist()] if valid else [0.0, 0.0, 0.0, 0.0]
        if not valid:
            out[name] = [0.0] * (3 * len(points))
    return out


def _labelled(person: _Person) -> frozenset[str]:
    """Return the parameters that the fit of a person tells."""
    if not person.has_fit:
        return frozenset()
    hands = [name for name in HANDS if person.valid[name.split("_")[0] + "hand"]]
    return frozenset([*POSED, *hands, *(FACE if person.valid["face"] else ())])


def _fits(cast: dict[int, _Person], fit: str, *, bad: bool) -> dict[str, dict]:
    """Return the content of a file of fits; OSX's has another pose of the shoulders, and no flags of validity."""
    out = {}
    for annotation_id, person in cast.items():
        if person.has_fit:
            out[str(annotation_id)] = _fit(person, fit)
    if bad:
        some = next(iter(out.values()))
        short = {**some["smplx_param"], "body_pose": some["smplx_param"]["body_pose"][:60]}
        broken = {**some["smplx_param"], "trans": [0.0, float("nan"), 40.0]}
        out["90005"] = {**some, "smplx_param": short}
        out["90006"] = {**some, "smplx_param": broken}
    return out


def _fit(person: _Person, fit: str) -> dict[str, dict]:
    """Return one entry of a file of fits."""
    if fit == "osx":
        return fit_entry({**person.parameters, "body_pose": person.parameters["body_pose"] + 0.02}, person.K)
    flags = {name: bool(person.valid[part]) for name, part in FLAGS.items()}
    return fit_entry(person.parameters, person.K, **flags)


def _eft_fits(rng: np.random.Generator, split: str, content: dict, cast: dict[int, _Person], truth: Truth) -> dict:
    """Return the content of a file of EFT: SMPL bodies for every second person, under the pictures' names of 2014."""
    items = []
    for annotation in content["annotations"]:
        if annotation["id"] not in cast or annotation["id"] % 2:
            continue
        left, top, width, height = annotation["bbox"]
        centre, side = np.array([left + width / 2, top + height / 2]), 1.2 * max(width, height)
        true = random_eft(rng, centre, side, SIZE)
        items.append(eft_item(true, f"COCO_{split}2014_{annotation['image_id']:012d}.jpg", annotation["id"]))
        truth.people[split, f"{annotation['image_id']:012d}", str(annotation["id"])] = true
    return eft_file(items, f"COCO2014-{split}")


def _add_bad_records(root: Path, split: str, content: dict, truth: Truth) -> None:
    """Append annotations and pictures that no converter may write."""
    good, image_id = content["annotations"][0], content["images"][0]["id"]
    extra = {"id": 90001, "num_keypoints": 0, "keypoints": [0] * 51, "image_id": image_id}
    content["annotations"].append({**good, **extra})
    if split == "val":
        truth.expected["val"]["rejects"] = {"no_keypoints": 1}
        return
    missing, smaller = 770_001, 770_002
    for identity in (missing, smaller):
        entry = {"id": identity, "file_name": f"{identity:012d}.jpg", "width": SIZE[0], "height": SIZE[1]}
        content["images"].append(entry)
    write_picture(root / "images/train2017" / f"{smaller:012d}.jpg", np.zeros((48, 64, 3), np.uint8))
    content["annotations"] += [
        {**good, "id": 90002, "iscrowd": 1},
        {**good, "id": 90003, "bbox": [700, 60, 10, 10]},
        {**good, "id": 90004, "face_kpts": good["face_kpts"][:-3]},
        {**good, "id": 90005},
        {**good, "id": 90006},
        {**good, "id": 90007, "image_id": missing},
        {**good, "id": 90008, "image_id": missing},
        {**good, "id": 90009, "image_id": smaller},
        {**good, "id": 90010, "image_id": 880_000},
    ]
    truth.expected["train"]["rejects"] = dict(EXPECTED["train"]["rejects"])


def _write_json(path: Path, content: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
