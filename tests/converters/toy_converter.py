"""A made-up source with a builder of its raw tree: what the tests of the engine convert.

Raw tree: ``<split>/<unit>.npz`` with one row a person, pictures in ``images/``. Keypoints are the projected joints of
the stand-in body, so a sound conversion measures next to nothing, and every option ``mistake`` is a way to be unsound.
``TOY_HOLD`` names units that stop for a minute before their last frame, so that a test can kill them there;
``TOY_BATCH`` (people) makes batches smaller in processes that import this module.
"""

import os
import sys
import time
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from ehps.body.cameras import project
from ehps.body.hands import HAND_MEANS
from ehps.body.posing import PosingModel
from ehps.body.standin import standin_dir
from ehps.cards import Card
from ehps.converters import units as engine_units
from ehps.converters.source import Source
from ehps.errors import RawFileError
from ehps.shards.record import Camera, Frame, Labels, Person, Provenance, Reject

if "TOY_BATCH" in os.environ:
    engine_units.BATCH_PEOPLE = int(os.environ["TOY_BATCH"])

VERSION = 1
WIDTH, HEIGHT = 192, 256
K = np.array([[220.0, 0, 95.5], [0, 220.0, 127.5], [0, 0, 1]])
PARTS = {
    "global_orient": (3,),
    "body_pose": (21, 3),
    "left_hand_pose": (15, 3),
    "right_hand_pose": (15, 3),
    "jaw_pose": (3,),
    "betas": (10,),
    "transl": (3,),
}


def sources(root: Path, split: str, *, mistake: str = "none") -> list[Source]:
    found = sorted((root / split).glob("*.npz"))
    if not found:
        raise RawFileError(root / split, "no units here")
    return [Source(path.stem, root, split, {"labels": path}, {"mistake": mistake}) for path in found]


def frames(source: Source):
    with np.load(source.files["labels"]) as file:
        rows = dict(file)
    images = list(dict.fromkeys(rows["image"].tolist()))
    for image in images:
        if image == images[-1] and source.name in os.environ.get("TOY_HOLD", "").split():
            time.sleep(60)
        people = np.flatnonzero(rows["image"] == image).tolist()
        if image.startswith("crowd"):
            where = Provenance(file=source.name, row=str(people[0]))
            yield Reject(key=image, reason="crowd", detail="drawn as one", provenance=where, people=len(people))
            continue
        yield Frame(
            key=image.removesuffix(".jpg"),
            image=source.root / "images" / image,
            width=WIDTH,
            height=HEIGHT,
            camera=Camera(K=K, kind="measured"),
            people=tuple(_person(source, rows, row) for row in people),
        )


def count_people(source: Source) -> int:
    with np.load(source.files["labels"]) as file:
        return len(file["image"]) + (source.options["mistake"] == "loses_people")


def _person(source: Source, rows: dict[str, np.ndarray], row: int) -> Person:
    parts = {name: rows[name][row] for name in PARTS}
    MISTAKES[source.options["mistake"]](parts)
    return Person(
        provenance=Provenance(file=f"{source.split}/{source.name}.npz", row=str(row)),
        labels=Labels(body="fitted", left_hand="fitted", right_hand="fitted", keypoints_2d="measured"),
        body_model="smplx",
        gender="neutral",
        keypoints_2d=rows["keypoints"][row],
        keypoints_2d_convention="smplx_144",
        keypoints_3d=rows["keypoints_3d"][row],
        keypoints_3d_convention="smplx_144",
        quality={"owner_score": 0.5},
        **parts,
    )


def _shift_hands(parts, times):
    for side, mean in HAND_MEANS.items():
        parts[f"{side}_hand_pose"] = (parts[f"{side}_hand_pose"] + times * mean).astype(np.float32)


def _swap_hands(parts):
    parts["left_hand_pose"], parts["right_hand_pose"] = parts["right_hand_pose"], parts["left_hand_pose"]


def _nan(parts):
    parts["transl"] = parts["transl"] * np.nan


def _bug(parts):
    raise KeyError("smplx_parms")


def _behind(parts):
    parts["transl"] = parts["transl"] * np.float32(-1)


def _aside(parts):
    parts["transl"] = parts["transl"] + np.float32([0.5, 0, 0])


def _turned(parts):
    # Seen from behind: what a converter does that mixes up left and right names of keypoints looks like this.
    parts["global_orient"] = np.array([0, 0, np.pi], np.float32)


MISTAKES = {
    "none": lambda _: None,
    "loses_people": lambda _: None,
    "mean_twice": lambda parts: _shift_hands(parts, 1.0),
    "mean_forgotten": lambda parts: _shift_hands(parts, -1.0),
    "swapped_hands": _swap_hands,
    "nan": _nan,
    "bug": _bug,
    "behind": _behind,
    "aside": _aside,
    "turned": _turned,
    "killed": lambda _: os._exit(9),
}


def card(**checks) -> Card:
    return Card.model_validate(
        {
            "id": "toy",
            "name": "Toy",
            "summary": "Made up.",
            "kind": "synthetic",
            "year": 2026,
            "home": "-",
            "citation": "-",
            "licence": {"name": "none", "commercial": True, "redistribute": True, "access": "open"},
            "labels": {},
            "images": {"people": "many", "video": False, "scene": "mixed", "container": "jpg"},
            "conventions": {"body_model": "smplx"},
            "splits": ["train", "val"],
            "raw": {"how": "-", "tree": []},
            "checks": checks,
            "sources": [],
        }
    )


def register(set_attribute=setattr, **checks) -> None:
    """Make the engine of this process know the source ``toy``."""
    import ehps.converters
    import ehps.converters.plan

    this = sys.modules[__name__]
    for module in (ehps.converters, ehps.converters.plan):
        set_attribute(module, "get_converter", lambda _: this)
        set_attribute(module, "load_card", lambda _: card(**checks))


def people(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Parameters of upright people, the hands bent and different, with their joints and pixels."""
    return {name: values.copy() for name, values in _people(count, seed).items()}


@lru_cache(maxsize=64)
def _people(count: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows = {name: rng.normal(0, 0.05, (count, *shape)).astype(np.float32) for name, shape in PARTS.items()}
    rows["global_orient"] += np.float32([np.pi, 0, 0])
    rows["transl"] += np.float32([0, 0.1, 3])
    rows["left_hand_pose"] += HAND_MEANS["left"].astype(np.float32)
    rows["right_hand_pose"] += (0.2 * HAND_MEANS["right"]).astype(np.float32)
    joints = PosingModel.load(standin_dir()).joints(rows)
    one = np.ones((count, 144, 1))
    rows["keypoints"] = np.concatenate([project(joints, K), one], axis=2).astype(np.float32)
    rows["keypoints_3d"] = np.concatenate([joints, one], axis=2).astype(np.float32)
    return rows


def build(root: Path, units: int = 2, frames: int = 4, split: str = "train") -> Path:
    """Write a raw tree with two people a frame; every picture and pose occurs once."""
    (root / "images").mkdir(parents=True, exist_ok=True)
    (root / split).mkdir()
    for unit in range(units):
        names = [f"{split}_{unit}_{frame:04d}.jpg" for frame in range(frames)]
        rows = people(2 * frames, seed=unit + 100 * (split == "val"))
        np.savez(root / split / f"scene_{unit}.npz", image=np.repeat(names, 2), **rows)
        for number, name in enumerate(names):
            picture = np.full((HEIGHT, WIDTH, 3), (number * 5 % 250, unit * 50, 90), np.uint8)
            cv2.imwrite(str(root / "images" / name), picture)
    return root


def change(root: Path, unit: int, split: str = "train", **columns) -> None:
    """Rewrite some columns of a unit."""
    path = root / split / f"scene_{unit}.npz"
    with np.load(path) as file:
        rows = dict(file)
    np.savez(path, **{**rows, **columns})
