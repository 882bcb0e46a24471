"""A Human3.6M look-alike in Moon's parsed release: four JSON files a subject, several cameras and sequences."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from ehps.body.cameras import intrinsics, project, rigid, transform_points
from ehps.body.joints import SMPLX_INDEX
from ehps.body.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from ehps.tests.raw._people import (
    Parameters,
    TruePerson,
    Truth,
    backdrop,
    joints,
    place,
    random_parameters,
    rotation,
    standin,
    tight_box,
    write_picture,
)

SPLITS = ("train", "test")
EXPECTED = {
    "train": {
        "frames": 9,
        "people": 9,
        "rejects": {
            "empty_box": 1,
            "bad_joints": 2,
            "bad_fit": 1,
            "missing_image": 1,
            "image_size": 1,
            "bad_camera": 1,
        },
    },
    "test": {"frames": 4, "people": 4, "rejects": {}},
}
POSED = frozenset({"global_orient", "body_pose", "betas", "transl"})
SIZES = {1: (1000, 1002), 2: (1000, 1000), 3: (1000, 1000), 4: (1000, 1002)}
# Subject, action, sub-action, cameras, frames of the protocol (the others are there to be passed over).
_SEQUENCES = (
    (1, 2, 1, (1, 4), (0, 5)),
    (1, 14, 2, (2,), (0,)),
    (5, 3, 1, (2,), (0,)),
    (6, 3, 1, (3,), (0,)),
    (7, 3, 1, (4,), (0,)),
    (8, 3, 2, (1,), (0,)),
    (9, 5, 2, (1, 4), (0,)),
    (11, 2, 1, (4,), (0, 64)),
)
_STEPS = {"train": 5, "test": 64}
_TEST = (9, 11)
WITHOUT_FIT = (11, 2, 1, 64)
# Joints of SMPL-X in the order of the file; markers of the trunk lie elsewhere in truth.
_JOINTS_17 = [
    SMPLX_INDEX[name]
    for name in (
        *("pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle"),
        *("spine_2", "neck", "nose", "head", "left_shoulder", "left_elbow", "left_wrist"),
        *("right_shoulder", "right_elbow", "right_wrist"),
    )
]


@dataclass
class _Subject:
    """The content of a subject's files, and the numbers of its pictures."""

    number: int
    data: dict = field(default_factory=lambda: {"images": [], "annotations": []})
    camera: dict = field(default_factory=dict)
    joint_3d: dict = field(default_factory=dict)
    fits: dict = field(default_factory=dict)

    def put(self, files: dict, keys: Sequence[int], value: object) -> None:
        """Write a value into an object by action, sub-action and frame."""
        action, subaction, frame = (str(key) for key in keys)
        files.setdefault(action, {}).setdefault(subaction, {})[frame] = value


def build(root: Path, *, bad: bool = True, times: int = 1, seed: int = 360) -> Truth:
    """Write the tree; ``times`` makes the sequences as many times as long."""
    truth = Truth(expected={split: {"frames": 0, "people": 0, "rejects": {}} for split in SPLITS})
    rng = np.random.default_rng(seed)
    subjects = {number: _Subject(number, camera=_cameras(rng)) for number in (1, 5, 6, 7, 8, 9, 11)}
    pictures = {size: _picture(rng, size) for size in set(SIZES.values())}
    for number, action, subaction, cameras, frames in _SEQUENCES:
        subject, split = subjects[number], "test" if number in _TEST else "train"
        frames = [frame + i * len(frames) * _STEPS[split] for i in range(times) for frame in frames]
        people = [_person(rng) for _ in frames]
        points = joints(standin(), people)
        for frame, person, found in zip([*frames, 3], [*people, people[0]], [*points, points[0]], strict=True):
            where = (action, subaction, frame)
            subject.put(subject.joint_3d, where, np.round(1000 * found[_JOINTS_17], 4).tolist())
            if (number, *where) != WITHOUT_FIT:
                subject.put(subject.fits, where, _fit(person))
            for camera in cameras:
                _add_picture(root, subject, (*where, camera), pictures[SIZES[camera]], found)
                if frame != 3:
                    _note(truth, split, subject, (*where, camera), person, found)
    if bad:
        _add_bad_records(root, subjects[1], truth, pictures[SIZES[1]])
    for subject in subjects.values():
        _write_subject(root / "annotations", subject)
    return truth


def _cameras(rng: np.random.Generator) -> dict:
    """Return four cameras at the corners of the studio; the world is in millimetres, z up."""
    out = {}
    for number in range(1, 5):
        angle = np.pi / 2 * number + rng.normal(0, 0.1)
        outward = np.array([np.cos(angle), np.sin(angle), 0.0])
        place_mm = 5500 * outward + [0, 0, 1600]
        forward = np.array([0, 0, 900]) - place_mm
        z = forward / np.linalg.norm(forward)
        x = np.cross(z, [0, 0, 1])
        R = np.stack([x / np.linalg.norm(x), np.cross(z, x / np.linalg.norm(x)), z])
        focal, centre = rng.normal(1145, 3, 2), rng.normal(512, 5, 2)
        out[str(number)] = {"R": R.tolist(), "t": (-R @ place_mm).tolist(), "f": focal.tolist(), "c": centre.tolist()}
    return out


def _person(rng: np.random.Generator) -> Parameters:
    """Return a body on the floor of the studio, in metres of the world; hands and face are whatever they are."""
    person = random_parameters(rng)
    upright = rotation(z=rng.uniform(-3, 3)) @ rotation(x=np.pi / 2) @ axis_angle_to_matrix(person["global_orient"])
    person = {**person, "global_orient": matrix_to_axis_angle(upright)}
    return place(standin(), [person], np.array([[*rng.normal(0, 0.4, 2), 0.95]]))[0]


def _fit(person: Parameters) -> dict:
    """Return the entry of a frame in NeuralAnnot's file: a body without hands and face."""
    names = {"root_pose": "global_orient", "body_pose": "body_pose", "shape": "betas", "trans": "transl"}
    return {name: person[own].ravel().tolist() for name, own in names.items()}


def _pose_of(subject: _Subject, camera: int) -> tuple[np.ndarray, np.ndarray]:
    """Return world to camera in metres, and K."""
    values = {name: np.array(value) for name, value in subject.camera[str(camera)].items()}
    return rigid(values["R"], values["t"] / 1000), intrinsics(*values["f"].tolist(), *values["c"].tolist())


def _name(subject: int, action: int, subaction: int, frame: int, camera: int) -> str:
    folder = f"s_{subject:02d}_act_{action:02d}_subact_{subaction:02d}_ca_{camera:02d}"
    return f"{folder}/{folder}_{frame + 1:06d}.jpg"


def _add_picture(root: Path, subject: _Subject, where: tuple[int, ...], picture: bytes, points: np.ndarray) -> dict:
    """Write a picture and list it with its box; returns its annotation."""
    action, subaction, frame, camera = where
    name = _name(subject.number, *where)
    path = root / "images" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture)
    identity = subject.number * 10_000_000 + len(subject.data["images"])
    own = {"subject": subject.number, "action_idx": action, "subaction_idx": subaction, "frame_idx": frame}
    width, height = SIZES[camera]
    entry = {"id": identity, "file_name": name, "width": width, "height": height, "cam_idx": camera, **own}
    subject.data["images"].append(entry)
    T, K = _pose_of(subject, camera)
    box = owner_box(project(transform_points(T, points[_JOINTS_17]), K))
    annotation = {"id": identity + 5_000_000, "image_id": identity, "category_id": 1, "iscrowd": 0, "bbox": box}
    subject.data["annotations"].append(annotation)
    return annotation


def owner_box(pixels: np.ndarray) -> list[float]:
    """Return the box that the owner's tool makes of projected joints: left, top and sides of 1.2 times their own."""
    left, top, right, bottom = tight_box(pixels).tolist()
    width, height = 1.2 * (right - left - 1), 1.2 * (bottom - top - 1)
    return [(left + right - width) / 2, (top + bottom - height) / 2, width, height]


def _note(
    truth: Truth, split: str, subject: _Subject, where: tuple[int, ...], person: Parameters, points: np.ndarray
) -> None:
    """Note what a converter must find out about the picture that was listed last."""
    action, subaction, frame, camera = where
    T, K = _pose_of(subject, camera)
    turned = matrix_to_axis_angle(T[:3, :3] @ axis_angle_to_matrix(person["global_orient"]))
    seen = place(standin(), [{**person, "global_orient": turned}], transform_points(T, points[:1]))[0]
    key = Path(_name(subject.number, *where)).stem
    row = str(subject.data["annotations"][-1]["id"])
    labelled = frozenset() if (subject.number, action, subaction, frame) == WITHOUT_FIT else POSED
    truth.people[split, key, row] = TruePerson(seen, labelled, K, SIZES[camera])
    truth.expected[split]["frames"] += 1
    truth.expected[split]["people"] += 1


def _picture(rng: np.random.Generator, size: tuple[int, int]) -> bytes:
    """Return a picture of one colour as a JPEG; all pictures of a size are the same."""
    encoded = cv2.imencode(".jpg", backdrop(rng, size, "plain"))[1]
    return encoded.tobytes()


def _add_bad_records(root: Path, subject: _Subject, truth: Truth, picture: bytes) -> None:
    """Append pictures of one more sub-action that no converter may write."""
    person = _person(np.random.default_rng(5))
    points = joints(standin(), [person])[0]
    for frame in range(5, 40, 5):
        where = (9, 1, frame)
        subject.put(subject.joint_3d, where, np.round(1000 * points[_JOINTS_17], 4).tolist())
        subject.put(subject.fits, where, _fit(person))
    annotations = {frame: _add_picture(root, subject, (9, 1, frame, 1), picture, points) for frame in range(5, 40, 5)}
    annotations[5]["bbox"][2] = 0
    del subject.joint_3d["9"]["1"]["10"]
    subject.joint_3d["9"]["1"]["15"][4][1] = float("nan")
    subject.fits["9"]["1"]["20"]["body_pose"] = [0.0] * 60
    (root / "images" / _name(1, 9, 1, 25, 1)).unlink()
    write_picture(root / "images" / _name(1, 9, 1, 30, 1), np.zeros((48, 64, 3), np.uint8))
    subject.data["images"][-1]["cam_idx"] = 5  # no such camera
    truth.expected["train"]["rejects"] = dict(EXPECTED["train"]["rejects"])


def _write_subject(folder: Path, subject: _Subject) -> None:
    """Write the four files of a subject."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {"data": subject.data, "camera": subject.camera, "joint_3d": subject.joint_3d}
    for name, content in {**contents, "SMPLX_NeuralAnnot": subject.fits}.items():
        path = folder / f"Human36M_subject{subject.number}_{name}.json"
        path.write_text(json.dumps(content), encoding="utf-8")
