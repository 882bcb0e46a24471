"""A SPEC-SYN look-alike: SMPL bodies seen by cameras with pitch and roll, one npz a split.

The two splits have the columns of two readers: train a rotation matrix, intrinsics and ``openpose_gt``; test pitch and
roll, focal lengths and ``openpose``, and a second pose column that goes before the first.
"""

from pathlib import Path

import numpy as np

from ehps.body.cameras import intrinsics, project
from ehps.body.draw import render_mesh
from ehps.body.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from ehps.body.standin import standin_vertex_colors
from ehps.tests.raw._people import (
    Parameters,
    TruePerson,
    Truth,
    backdrop,
    body_model,
    place,
    points_2d,
    random_parameters,
    rotation,
    tight_box,
    vertices,
    write_picture,
)

SPLITS = ("train", "test")
EXPECTED = {
    "train": {"frames": 5, "people": 10, "rejects": {"nan_pose": 1, "bad_camera": 1, "missing_image": 2}},
    "test": {"frames": 2, "people": 4, "rejects": {"bad_camera": 1, "damaged_image": 1}},
}
SIZE = (1920, 1080)
LABELLED = frozenset({"global_orient", "body_pose", "betas"})
_PEOPLE = 2


def build(
    root: Path,
    *,
    frames: int = 7,
    pictures: str = "plain",
    seed: int = 80,
    bad: bool = True,
    times: int = 1,
    labelled: frozenset[str] = LABELLED,
) -> Truth:
    """Write the tree with ``frames`` times ``times`` good pictures of two people, a third of them test."""
    frames *= times
    truth = Truth(expected={split: {"frames": 0, "people": 0, "rejects": {}} for split in SPLITS})
    base = root / "spec-syn"
    for number, split in enumerate(SPLITS):
        rng = np.random.default_rng([seed, number])
        rows: list[dict] = []
        for i in range(max(1, round(frames * (0.7 if split == "train" else 0.3)))):
            imgname = f"images/{split}_scene_{i % 2:02d}_cam{i % 3}/scene_{i % 2:02d}_cam{i % 3}_{i:05d}.png"
            people, K, angles = _cast(rng, split)
            _write_picture(base / imgname, rng, people, K, pictures)
            for person in people:
                true = TruePerson(person, labelled, K, SIZE, body_model="smpl")
                truth.people[split, imgname.removesuffix(".png"), str(len(rows))] = true
                rows.append(_row(rng, imgname, true, angles))
            truth.expected[split]["frames"] += 1
            truth.expected[split]["people"] += len(people)
        if bad:
            _add_bad_rows(base, split, rows)
            truth.expected[split]["rejects"] = dict(EXPECTED[split]["rejects"])
        path = base / "annotations" / f"{split}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **{name: np.array([row[name] for row in rows]) for name in _names(split)})
    return truth


def _names(split: str) -> tuple[str, ...]:
    """Return the columns of a split."""
    shared = ("imgname", "center", "scale", "pose", "shape", "S", "part", "gender", "cam_ext", "camcalib_pitch")
    own = {
        "train": ("cam_rotmat", "cam_int", "cam_pitch", "cam_roll", "openpose_gt"),
        "test": ("cam_pitch", "cam_roll", "focal_length", "openpose", "pose_0yaw_inverseyz"),
    }
    return shared + own[split]


def _cast(rng: np.random.Generator, split: str) -> tuple[list[Parameters], np.ndarray, tuple[float, float]]:
    """Return upright people in the space of a tilted camera, K and the camera's pitch and roll (rad)."""
    model = body_model("smpl", "neutral", 10)
    pitch, roll = rng.uniform(0.1, 0.35) * rng.choice([-1, 1]), rng.uniform(0.1, 0.3) * rng.choice([-1, 1])
    focal = np.array([rng.uniform(1200, 2000)] * 2)
    if split == "test":
        focal[1] *= 1.02  # test.npz has two focal lengths
    people = []
    for _ in range(_PEOPLE):
        person = random_parameters(rng, with_face=False)
        upright = rotation(y=rng.uniform(-1, 1)) @ rotation(x=np.pi) @ axis_angle_to_matrix(person["global_orient"])
        orient = matrix_to_axis_angle(tilt(pitch, roll) @ upright)
        body = np.concatenate([person["body_pose"], rng.normal(0, 0.2, (2, 3))])
        people.append({"global_orient": orient, "body_pose": body, "betas": person["betas"]})
    depth = focal[0] * 1.75 / 500 * rng.uniform(0.95, 1.2, _PEOPLE)
    across = (np.arange(_PEOPLE) - (_PEOPLE - 1) / 2) * 700 + rng.normal(0, 40, _PEOPLE)
    goals = np.stack([across / focal[0] * depth, rng.normal(0, 0.05, _PEOPLE), depth], axis=1)
    K = intrinsics(*focal, SIZE[0] / 2, SIZE[1] / 2)
    return place(model, people, goals), K, (float(pitch), float(roll))


def tilt(pitch: float, roll: float) -> np.ndarray:
    """Return the rotation from world to camera: by pitch about x after by roll about z."""
    return rotation(x=pitch) @ rotation(z=roll)


def _row(rng: np.random.Generator, imgname: str, true: TruePerson, angles: tuple[float, float]) -> dict:
    """Return one row of every column that either split has."""
    R, person, K = tilt(*angles), true.parameters, true.K
    joints = true.joints()
    pixels = project(joints, K)
    in_world = matrix_to_axis_angle(R.T @ axis_angle_to_matrix(person["global_orient"]))
    pose = np.concatenate([in_world, person["body_pose"].ravel()])
    elsewhere = np.concatenate([rng.normal(0, 1, 3), person["body_pose"].ravel()])
    is_test = K[0, 0] != K[1, 1]
    confidence = rng.uniform(0.2, 1.0, 25) * (rng.random(25) < 0.9)
    box = tight_box(pixels[:22])
    return {
        "imgname": imgname,
        "center": (box[:2] + box[2:]) / 2,
        "scale": (box[2:] - box[:2]).max() * 1.1 / 200,
        "pose": elsewhere if is_test else pose,
        "pose_0yaw_inverseyz": pose,
        "shape": person["betas"],
        "S": np.concatenate([joints[:24] @ R, rng.random((24, 1))], axis=1),
        "part": np.concatenate([pixels[:24], rng.random((24, 1))], axis=1),
        "openpose_gt": np.column_stack([points_2d(pixels, "openpose_25"), confidence]),
        "openpose": np.column_stack([points_2d(pixels, "openpose_25"), confidence]),
        "gender": rng.choice(["m", "f"]),
        "cam_ext": rng.normal(0, 1, (4, 4)),
        "cam_rotmat": R,
        "cam_pitch": angles[0],
        "cam_roll": angles[1],
        "cam_int": K,
        "focal_length": [K[0, 0], K[1, 1]],
        "camcalib_pitch": rng.normal(0, 1),
    }


def _write_picture(path: Path, rng: np.random.Generator, people: list[Parameters], K: np.ndarray, kind: str) -> None:
    """Write the picture of some people."""
    picture = backdrop(rng, SIZE, kind)
    if kind == "rendered":
        model = body_model("smpl", "neutral", 10)
        colors = np.stack([standin_vertex_colors("smpl", rng) for _ in people])
        picture = render_mesh(picture, vertices(model, people), model.triangles, K, color=colors)
    write_picture(path, picture)


def _add_bad_rows(base: Path, split: str, rows: list[dict]) -> None:
    """Append rows that no converter may write."""
    good = rows[0]
    if split == "train":
        rows.append({**good, "pose": np.where(np.arange(72) == 40, np.nan, good["pose"])})
        rows.append({**good, "cam_rotmat": good["cam_rotmat"] * [[1.0], [1.0], [0.9]]})
        rows += [{**row, "imgname": "images/nowhere/scene_09_cam0_00000.png"} for row in rows[:2]]
        return
    rows.append({**good, "focal_length": [0.0, good["focal_length"][1]]})
    cut = "images/test_scene_00_cam0/cut_00_cam0_00000.png"
    rows.append({**good, "imgname": cut})
    (base / cut).write_bytes((base / good["imgname"]).read_bytes()[:-20])
