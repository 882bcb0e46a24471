"""A SynHand look-alike: HumanData of gendered bodies seen close up, a hand in the middle of each picture.

Keypoints and boxes go the way of the owner's converter, which projects points behind the camera, too. The last picture
of each file looks down at a hand from so near that a part of the body lies behind the camera.
"""

from pathlib import Path
from typing import Any

import numpy as np

from ehps.body.cameras import intrinsics
from ehps.body.joints import LEFT_HAND_21, RIGHT_HAND_21
from ehps.tests.raw._people import (
    Parameters,
    TruePerson,
    Truth,
    backdrop,
    batch,
    body_model,
    clothes,
    draw_people,
    face_camera,
    joints,
    place,
    random_parameters,
    vertices,
    write_picture,
)

SPLITS = ("train", "test")
EXPECTED = {
    "train": {
        "frames": 5,
        "people": 5,
        "rejects": {"nan_pose": 1, "bad_camera": 1, "missing_image": 1, "damaged_image": 1},
    },
    "test": {"frames": 2, "people": 2, "rejects": {}},
}
LABELLED = frozenset(
    {"global_orient", "body_pose", "betas", "transl", "left_hand_pose", "right_hand_pose"}
    | {"jaw_pose", "leye_pose", "reye_pose", "expression"}
)
FILES = {
    "train": ("synhand_20240927_241004_0002_fix_betas", "20240927", 5),
    "test": ("synhand_20241018_test_241023_0001_fix_betas", "20241018_test", 2),
}
FACE = [15, 22, *range(55, 60), *range(76, 144)]
_SIZES = ((320, 256), (256, 256))  # of a sequence: pictures differ in size
_SEQUENCE = 3  # pictures of a sequence


def build(root: Path, *, pictures: str = "plain", seed: int = 170, bad: bool = True, times: int = 1) -> Truth:
    """Write both files and their pictures."""
    truth = Truth(expected={split: {"frames": 0, "people": 0, "rejects": {}} for split in SPLITS})
    for number, (split, (stem, release, count)) in enumerate(FILES.items()):
        rng = np.random.default_rng([seed, number])
        people = [_person(rng, row, is_near=row == count * times - 1) for row in range(count * times)]
        paths = [
            f"SMPLestX_PAMI/{release}/seq{row // _SEQUENCE:04d}-person0/img/{1 + row % _SEQUENCE:04d}.jpg"
            for row in range(len(people))
        ]
        for row, (true, path) in enumerate(zip(people, paths, strict=True)):
            truth.people[split, f"{stem}/{path.removesuffix('.jpg')}", str(row)] = true
            _write_picture(root / "img/synbody" / path, rng, true, pictures)
        columns = _columns(rng, people, paths)
        truth.expected[split] |= {"frames": len(people), "people": len(people)}
        if bad and split == "train":
            _spoil(root / "img/synbody", columns)
            truth.expected[split]["rejects"] = dict(EXPECTED[split]["rejects"])
        (root / "annot").mkdir(parents=True, exist_ok=True)
        np.savez_compressed(root / "annot" / f"{stem}.npz", **columns)
    (root / "annot" / "bedlam_train.npz").write_bytes(b"of another source, and cut off")
    return truth


def _person(rng: np.random.Generator, row: int, *, is_near: bool) -> TruePerson:
    """Return somebody before a camera that looks at one of the hands."""
    gender, size = ("male", "female")[row // _SEQUENCE % 2], _SIZES[row // _SEQUENCE % 2]
    model, wrist = body_model("smplx", gender, 10), (20, 21)[row % 2]
    own = random_parameters(rng) | {"leye_pose": rng.normal(0, 0.1, 3), "reye_pose": rng.normal(0, 0.1, 3)}
    turned = face_camera(own, rng.uniform(-0.3, 0.3), 0.9 if is_near else 0.1)
    at_origin = place(model, [turned], np.zeros((1, 3)))
    hand = np.array([0.02, 0.05, 0.3 if is_near else 0.9]) + rng.normal(0, 0.02, 3)
    person = place(model, [turned], (hand - joints(model, at_origin)[0, wrist])[None])[0]
    K = intrinsics(400.0, 400.0, size[0] / 2, size[1] / 2)
    return TruePerson(person, LABELLED, K, size, gender=gender)


def _columns(rng: np.random.Generator, people: list[TruePerson], paths: list[str]) -> dict[str, Any]:
    """Return the file: parameters in camera space with absolute hands, and what follows from them."""
    points = np.stack([true.joints() for true in people])
    pixels = np.stack([_mirrored(own, true.K) for own, true in zip(points, people, strict=True)])
    ones, mask = np.ones((len(people), 144, 1)), np.concatenate([np.ones(144), np.zeros(46)]).astype(np.uint8)
    sizes = np.array([true.size for true in people])
    together = batch([true.parameters for true in people])
    around = {"bbox": range(144), "face_bbox": FACE, "lhand_bbox": LEFT_HAND_21, "rhand_bbox": RIGHT_HAND_21}
    boxes = {
        f"{name}_xywh": _boxes(pixels[:, list(of)], sizes, 1.2 if name == "bbox" else 1.0)
        for name, of in around.items()
    }
    meta = {
        "principal_point": [true.K[:2, 2].tolist() for true in people],
        "focal_length": [[true.K[0, 0], true.K[1, 1]] for true in people],
        "height": sizes[:, 1].tolist(),
        "width": sizes[:, 0].tolist(),
        "RT": [np.eye(4) for _ in people],
        "sequence_name": [path.split("/")[2] for path in paths],
        "track_id": [7] * len(people),
        "gender": [true.gender for true in people],
    }
    return {
        "__key_strict__": False,
        "__data_len__": len(people),
        "__keypoints_compressed__": True,
        "image_path": list(paths),
        **boxes,
        "keypoints2d_smplx": np.concatenate([pixels, ones], axis=2).astype(np.float32),
        "keypoints2d_smplx_mask": mask,
        "keypoints3d_smplx": np.concatenate([points, ones], axis=2).astype(np.float32),
        "keypoints3d_smplx_mask": mask,
        "smplx": together | {"betas_neutral": rng.normal(0, 1, (len(people), 10))},
        "meta": meta,
        "misc": {
            "bbox_body_scale": 1.2,
            "bbox_facehand_scale": 1.0,
            "flat_hand_mean": True,
            "cam_param_source": "original",
        },
        "config": "synhand",
    }


def _mirrored(points: np.ndarray, K: np.ndarray) -> np.ndarray:
    """Return pixels as a projection gives them that does not look at the sign of the depth."""
    return points[:, :2] / points[:, 2:] * K[[0, 1], [0, 1]] + K[:2, 2]


def _boxes(pixels: np.ndarray, sizes: np.ndarray, scale: float) -> np.ndarray:
    """Return boxes around points (n, 5), made larger and then cut at the edges of the picture."""
    low, high = pixels.min(axis=1), pixels.max(axis=1)
    middle, half = (low + high) / 2, scale * (high - low) / 2
    low, high = np.maximum(middle - half, 0), np.minimum(middle + half, sizes)
    return np.concatenate([low, high - low, np.ones((len(low), 1))], axis=1)


def _write_picture(path: Path, rng: np.random.Generator, true: TruePerson, pictures: str) -> None:
    """Write a picture, with the person in it when it is to be rendered."""
    picture = backdrop(rng, true.size, pictures)
    if pictures == "rendered":
        picture = draw_people(picture, vertices(true.model, [true.parameters]), [true.K], [clothes(rng)])
    write_picture(path, picture)


def _spoil(folder: Path, columns: dict[str, Any]) -> None:
    """Add rows that cannot be used: NaN, no focal length, a picture that is gone, one that is cut off."""
    first = columns["image_path"][0]
    parameters: Parameters = columns["smplx"]
    for kind in ("nan", "dark", "gone", "cut_off"):
        for name, value in columns.items():
            if isinstance(value, np.ndarray) and not name.endswith("_mask"):
                columns[name] = np.concatenate([value, value[:1]])
        for name, value in parameters.items():
            parameters[name] = np.concatenate([value, value[:1]])
        for value in columns["meta"].values():
            value.append(value[0])
        columns["image_path"].append(first.replace("0001.jpg", f"{kind}.jpg"))
        if kind != "gone":
            data = (folder / first).read_bytes()
            (folder / columns["image_path"][-1]).write_bytes(data[:-20] if kind == "cut_off" else data)
        if kind == "nan":
            parameters["body_pose"][-1, 3, 1] = np.nan
        elif kind == "dark":
            columns["meta"]["focal_length"][-1] = [0.0, 0.0]
    columns["__data_len__"] = len(columns["image_path"])
