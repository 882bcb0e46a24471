"""A FreiHAND look-alike: right hands in camera space, a JSON list a quantity, four pictures of a training sample."""

import json
from pathlib import Path

import numpy as np

from ehps.body.cameras import intrinsics
from ehps.body.hands import to_deviation
from ehps.tests.raw._hands import TrueHands, draw_hands, random_mano, true_hands
from ehps.tests.raw._people import Truth, backdrop, write_picture

SPLITS = ("train", "test")
EXPECTED = {
    "train": {
        "frames": 9,
        "people": 9,
        "rejects": {
            "bad_camera": 4,
            "bad_joints": 4,
            "bad_fit": 4,
            "missing_image": 1,
            "damaged_image": 1,
            "image_size": 1,
        },
    },
    "test": {"frames": 2, "people": 2, "rejects": {}},
}
SIZE = (224, 224)
_SPLITS = {"train": ("training", 4, 0.2), "test": ("evaluation", 1, 0.2)}  # name, pictures a sample, share of samples


def build(
    root: Path, *, frames: int = 10, pictures: str = "plain", seed: int = 110, bad: bool = True, times: int = 1
) -> Truth:
    """Write the tree with about ``frames`` times ``times`` good pictures."""
    truth = Truth(expected={split: {"frames": 0, "people": 0, "rejects": {}} for split in SPLITS})
    for number, (split, (name, repetitions, share)) in enumerate(_SPLITS.items()):
        rng = np.random.default_rng([seed, number])
        people = [_person(rng) for _ in range(max(1, round(frames * times * share)))]
        lists: dict[str, list] = {"K": [], "mano": [], "xyz": [], "scale": [], "verts": []}
        for true in people:
            _append(lists, true)
        if bad and split == "train":
            _append_bad(lists, people[0])
        _write_pictures(root / name, rng, people, len(lists["K"]), repetitions, pictures)
        for kind, values in lists.items():
            (root / f"{name}_{kind}.json").write_text(json.dumps(values), encoding="utf-8")
        good = [(i, repetition) for repetition in range(repetitions) for i in range(len(people))]
        for i, repetition in good:
            truth.people[split, f"{repetition * len(lists['K']) + i:08d}", str(i)] = people[i]
        truth.expected[split] |= {"frames": len(good), "people": len(good)}
        if bad and split == "train":
            _spoil_pictures(root / name / "rgb", len(lists["K"]))
            truth.expected[split] = {**EXPECTED[split], "frames": len(good) + 1, "people": len(good) + 1}
    return truth


def _person(rng: np.random.Generator) -> TrueHands:
    """Return a right hand half a metre or more away, near the centre of a picture."""
    focal = rng.uniform(400, 600, 2)
    K = intrinsics(*focal, *rng.uniform(105, 118, 2))
    middle = np.array([*rng.normal(0, 0.03, 2), focal.mean() / rng.uniform(500, 800)])
    return true_hands([random_mano(rng, "right", middle)], ["right"], K, SIZE)


def _append(lists: dict[str, list], true: TrueHands) -> None:
    """Append what the owner's files hold of a sample."""
    (hand,), K = true.hands, true.K
    joints = hand.joints()
    root, focal = joints[9], 0.5 * (K[0, 0] + K[1, 1])
    pixel = root[:2] / root[2] * focal + K[:2, 2]
    scale = focal / root[2]
    theta = [hand.orient, to_deviation(hand.pose, "right").ravel(), hand.betas, pixel, [scale]]
    lists["K"].append(K.tolist())
    lists["mano"].append([np.concatenate(theta).tolist()])
    lists["xyz"].append(joints.tolist())
    lists["scale"].append(float(np.linalg.norm(joints[9] - joints[10])))
    lists["verts"].append(hand.vertices().round(6).tolist())


def _append_bad(lists: dict[str, list], true: TrueHands) -> None:
    """Append samples with a camera of NaN, 20 joints, a pose too short, and a good one whose pictures get spoilt."""
    for _ in range(4):
        _append(lists, true)
    lists["K"][-4][0][0] = float("nan")
    lists["xyz"][-3] = lists["xyz"][-3][:20]
    lists["mano"][-2] = [lists["mano"][-2][0][:58]]


def _write_pictures(
    folder: Path, rng: np.random.Generator, people: list[TrueHands], samples: int, repetitions: int, pictures: str
) -> None:
    """Write every picture of every sample, and the mask of each training sample."""
    for number in range(samples * repetitions):
        true = people[number % samples % len(people)]
        picture = backdrop(rng, SIZE, pictures)
        if pictures == "rendered":
            picture = draw_hands(picture, true.hands, true.K)
        write_picture(folder / "rgb" / f"{number:08d}.jpg", picture)
        if repetitions > 1 and number < samples:
            mask = draw_hands(np.zeros_like(picture), true.hands, true.K)
            write_picture(folder / "mask" / f"{number:08d}.jpg", np.where(mask > 0, 255, 0).astype(np.uint8))


def _spoil_pictures(folder: Path, samples: int) -> None:
    """Take away, damage and shrink three of the four pictures of the last sample."""
    gone, cut, small = (folder / f"{(repetition + 1) * samples - 1:08d}.jpg" for repetition in range(3))
    gone.unlink()
    cut.write_bytes(cut.read_bytes()[:-20])
    write_picture(small, np.zeros((200, 200, 3), np.uint8))
