"""An InterHand2.6M look-alike: hands in the world of a capture, several cameras, labels in four files of a split.

Frames show a right hand, both hands of which NeuralAnnot fitted one, both hands, a left hand, and both hands without a
fit. Some joints are not annotated, others are outside the picture.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ehps.body.cameras import intrinsics, project, rigid, transform_points
from ehps.body.hands import Side, to_deviation
from ehps.body.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from ehps.tests.raw._hands import Hand, TrueHands, draw_hands, random_mano, true_hands
from ehps.tests.raw._people import Truth, backdrop, rotation, tight_box, write_picture

SPLITS = ("train", "val", "test")
EXPECTED = {
    "train": {
        "frames": 12,
        "people": 12,
        "rejects": {
            "missing_joints": 1,
            "bad_joints": 1,
            "no_joints": 1,
            "bad_camera": 1,
            "bad_fit": 2,
            "missing_image": 1,
            "damaged_image": 1,
        },
    },
    "val": {"frames": 4, "people": 4, "rejects": {}},
    "test": {"frames": 4, "people": 4, "rejects": {}},
}
_CAPTURES = {"train": {"0": 0.3, "12": 0.3}, "val": {"0": 0.2}, "test": {"4": 0.2}}  # with their share of the pictures
_KINDS: tuple[tuple[str, tuple[Side, ...], tuple[Side, ...]], ...] = (
    ("right", ("right",), ("right",)),
    ("interacting", ("right", "left"), ("right",)),
    ("interacting", ("right", "left"), ("right", "left")),
    ("left", ("left",), ("left",)),
    ("interacting", ("right", "left"), ()),
)
_UPRIGHT, _LYING = (334, 512), (512, 334)
_CENTRE = np.array([0.02, -0.03, 1.06])  # what the cameras look at, m in the world
_FIRST_ROW: dict[Side, int] = {"right": 0, "left": 21}
# The owner's order in that of the fake's hands: each finger from its tip to its base, the wrist last.
_TIP_FIRST = [4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9, 16, 15, 14, 13, 20, 19, 18, 17, 0]


@dataclass(frozen=True)
class _Camera:
    name: str
    K: np.ndarray
    size: tuple[int, int]
    T_camera_world: np.ndarray

    def sees(self, hand: Hand) -> Hand:
        """Return a hand of the world in the space of this camera."""
        orient = matrix_to_axis_angle(self.T_camera_world[:3, :3] @ axis_angle_to_matrix(hand.orient))
        wrist = transform_points(self.T_camera_world, hand.wrist[None])[0]
        return Hand(hand.side, hand.pose, orient, hand.betas, wrist)


class _Files:
    """What the four files of a split hold."""

    def __init__(self) -> None:
        self.data: dict = {"images": [], "annotations": []}
        self.camera: dict = {}
        self.joint_3d: dict = {}
        self.mano: dict = {}

    def write(self, folder: Path, split: str, rng: np.random.Generator) -> None:
        """Write them; annotations come in another order than pictures."""
        rng.shuffle(self.data["annotations"])
        files = {
            "data": self.data,
            "camera": self.camera,
            "joint_3d": self.joint_3d,
            "MANO_NeuralAnnot": self.mano,
        }
        folder.mkdir(parents=True)
        for name, content in files.items():
            (folder / f"InterHand2.6M_{split}_{name}.json").write_text(json.dumps(content), encoding="utf-8")


def build(
    root: Path, *, frames: int = 20, pictures: str = "plain", seed: int = 120, bad: bool = True, times: int = 1
) -> Truth:
    """Write the tree with about ``frames`` times ``times`` good pictures, two of each moment."""
    frames *= times
    truth = Truth(expected={split: {"frames": 0, "people": 0, "rejects": {}} for split in SPLITS})
    for number, (split, captures) in enumerate(_CAPTURES.items()):
        rng = np.random.default_rng([seed, number])
        files, images = _Files(), root / "images" / split
        for capture, share in captures.items():
            cameras = [_camera(rng, "400002", _UPRIGHT), _camera(rng, "410028", _LYING)]
            files.camera[capture] = _camera_entry(cameras)
            files.joint_3d[capture], files.mano[capture] = {}, {}
            for moment in range(max(1, round(frames * share / 2))):
                _write_moment(images, files, capture, cameras, moment, rng, truth, split, pictures)
        if bad and split == "train":
            _add_bad_records(images, files, truth)
        files.write(root / "annotations" / split, split, rng)
    return truth


def _camera(rng: np.random.Generator, name: str, size: tuple[int, int]) -> _Camera:
    """Return a camera a metre away that looks at the hands."""
    R = rotation(*rng.uniform(-0.7, 0.7, 3))
    K = intrinsics(*rng.uniform(1260, 1280, 2), *(np.array(size) / 2 + rng.uniform(-15, 15, 2)))
    return _Camera(name, K, size, rigid(R, np.array([0.0, 0.0, 1.05]) - R @ _CENTRE))


def _camera_entry(cameras: Sequence[_Camera]) -> dict:
    """Return what camera.json holds of a capture: centres of cameras in millimetres."""
    turns = {camera.name: camera.T_camera_world[:3, :3] for camera in cameras}
    centres = {camera.name: -1000 * turns[camera.name].T @ camera.T_camera_world[:3, 3] for camera in cameras}
    return {
        "campos": {name: centre.tolist() for name, centre in centres.items()},
        "camrot": {name: R.tolist() for name, R in turns.items()},
        "focal": {camera.name: camera.K[[0, 1], [0, 1]].tolist() for camera in cameras},
        "princpt": {camera.name: camera.K[:2, 2].tolist() for camera in cameras},
    }


def _write_moment(
    images: Path,
    files: _Files,
    capture: str,
    cameras: Sequence[_Camera],
    moment: int,
    rng: np.random.Generator,
    truth: Truth,
    split: str,
    pictures: str,
) -> None:
    """Write what all cameras see of the hands at one moment, and note the truth."""
    hand_type, sides, fitted = _KINDS[(moment + 2 * int(capture)) % len(_KINDS)]
    frame = 2017 + 12 * moment
    offsets: dict[Side, list[float]] = {"right": [-0.04, 0.02, 0.0], "left": [0.04, -0.01, 0.05]}
    hands = [random_mano(rng, side, _CENTRE + offsets[side] + rng.normal(0, 0.01, 3)) for side in sides]
    known = np.zeros(42, bool)
    for side in sides:
        known[_FIRST_ROW[side] : _FIRST_ROW[side] + 21] = rng.random(21) < 0.95
        known[_FIRST_ROW[side] + 20] = True
    points = _world_points(hands, known)
    files.joint_3d[capture][str(frame)] = {
        "world_coord": points.tolist(),
        "joint_valid": known[:, None].tolist(),
        "hand_type": hand_type,
        "hand_type_valid": True,
        "seq": "0007_thumbup_fake",
    }
    if fitted:
        fits = {hand.side: _fit(hand) for hand in hands if hand.side in fitted}
        files.mano[capture][str(frame)] = {"right": None, "left": None, **fits}
    for camera in cameras:
        true = true_hands([camera.sees(hand) for hand in hands], fitted, camera.K, camera.size)
        name = f"Capture{capture}/0007_thumbup_fake/cam{camera.name}/image{frame}.jpg"
        identity = _add_entry(files.data, name, capture, camera, frame, hand_type, known, points)
        truth.people[split, name.removesuffix(".jpg"), str(identity)] = true
        truth.expected[split]["frames"] += 1
        truth.expected[split]["people"] += 1
        _write_picture(images / name, rng, true, pictures)


def _world_points(hands: Sequence[Hand], known: np.ndarray) -> np.ndarray:
    """Return the 42 joints in millimetres; those that are not annotated are ones, as in the owner's files."""
    points = np.ones((42, 3))
    for hand in hands:
        points[_FIRST_ROW[hand.side] :][:21] = 1000 * hand.joints()[_TIP_FIRST]
    return np.where(known[:, None], points, 1.0)


def _fit(hand: Hand) -> dict:
    """Return what NeuralAnnot's file holds of a hand."""
    pose = np.concatenate([hand.orient, to_deviation(hand.pose, hand.side).ravel()])
    return {"pose": pose.tolist(), "shape": hand.betas.tolist(), "trans": hand.transl.tolist()}


def _add_entry(
    data: dict,
    name: str,
    capture: str,
    camera: _Camera,
    frame: int,
    hand_type: str,
    known: np.ndarray,
    points: np.ndarray,
) -> int:
    """Append a picture and its annotation; return the number of the annotation."""
    image_id, identity = 1000 + 3 * len(data["images"]), 5000 + len(data["annotations"])
    pixels = project(transform_points(camera.T_camera_world, points / 1000), camera.K)
    seen = known & ((pixels >= 0) & (pixels < camera.size)).all(axis=1)
    seen[np.flatnonzero(seen)[::9]] = False  # annotated, but not of this view
    left, top, right, bottom = tight_box(pixels[seen])
    data["images"].append(
        {
            "id": image_id,
            "file_name": name,
            "width": camera.size[0],
            "height": camera.size[1],
            "capture": int(capture),
            "subject": 3,
            "seq_name": "0007_thumbup_fake",
            "camera": camera.name,
            "frame_idx": frame,
        }
    )
    data["annotations"].append(
        {
            "id": identity,
            "image_id": image_id,
            "bbox": [left, top, right - left, bottom - top],
            "joint_valid": seen[:, None].astype(int).tolist(),
            "hand_type": hand_type,
            "hand_type_valid": 1,
        }
    )
    return identity


def _write_picture(path: Path, rng: np.random.Generator, true: TrueHands, pictures: str) -> None:
    """Write a picture, with the hands in it when it is to be rendered."""
    picture = backdrop(rng, true.size, pictures)
    write_picture(path, draw_hands(picture, true.hands, true.K) if pictures == "rendered" else picture)


def _add_bad_records(images: Path, files: _Files, truth: Truth) -> None:
    """Repeat the first picture of capture 0 with one thing wrong each time, at moments of their own."""
    image, annotation = files.data["images"][0], files.data["annotations"][0]
    folder, joints = Path(image["file_name"]).parent, files.joint_3d["0"][str(image["frame_idx"])]
    fit = _fit(random_mano(np.random.default_rng(0), "right", _CENTRE))
    picture = (images / image["file_name"]).read_bytes()
    cases: tuple[tuple[dict, dict, dict], ...] = (  # changes of picture, annotation and fit
        ({}, {}, {}),
        ({}, {"joint_valid": annotation["joint_valid"][:21]}, {}),
        ({}, {"joint_valid": [[0]] * 42}, {}),
        ({"camera": "999999"}, {}, {}),
        ({}, {}, {"pose": fit["pose"][:45]}),
        ({}, {}, {"shape": [float("nan")] * 10}),
        ({}, {}, {}),
        ({}, {}, {}),
    )
    for number, (of_image, of_annotation, of_fit) in enumerate(cases):
        frame, name = 90000 + number, f"{folder.as_posix()}/image{90000 + number}.jpg"
        files.data["images"].append({**image, "id": frame, "file_name": name, "frame_idx": frame, **of_image})
        files.data["annotations"].append({**annotation, "id": frame, "image_id": frame, **of_annotation})
        if number > 0:
            files.joint_3d["0"][str(frame)] = joints
            files.mano["0"][str(frame)] = {"right": {**fit, **of_fit}, "left": None}
        if number != 6:
            (images / name).write_bytes(picture if number != 7 else picture[:-20])
    truth.expected["train"]["rejects"] = dict(EXPECTED["train"]["rejects"])
