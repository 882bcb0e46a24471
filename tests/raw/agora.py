"""An AGORA look-alike: tables as pandas 1.0 pickled them, a pickle a scan, pictures in numbered folders.

Bodies are made in the space of their scan, put into Unreal's world where a camera of the picture's kind sees them, and
written with the owner's columns. There are men, women, a boy and a girl, adults with an eleventh beta, scans that stand
in two pictures, and every kind of camera. What the owner's code computes is computed here in its own way, with its own
table of cameras, not with the converter's.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ehps.body.cameras import intrinsics, project
from ehps.body.hands import to_deviation
from ehps.body.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from ehps.tests.raw._owner_pickles import write_pickle, write_table
from ehps.tests.raw._people import (
    Parameters,
    TruePerson,
    Truth,
    backdrop,
    body_model,
    clothes,
    draw_people,
    joints,
    random_parameters,
    rotation,
    vertices,
    with_kid,
    write_picture,
)

SPLITS = ("train", "val")
EXPECTED = {
    "train": {
        "frames": 7,
        "people": 13,
        "rejects": {
            "not_valid": 1,
            "missing_fit": 1,
            "bad_fit": 2,
            "bad_placement": 1,
            "bad_keypoints": 1,
            "missing_image": 2,
        },
    },
    "val": {"frames": 4, "people": 8, "rejects": {"bad_placement": 2, "damaged_image": 2}},
}
# Split, table, folder of pictures, share of the frames. Some pictures of a table lie in another number's folder.
_TABLES = (
    ("train", "train_0", "train_0", 0.3),
    ("train", "train_7", "train_3", 0.3),
    ("val", "validation_0", "validation", 0.4),
)


class _Kind(NamedTuple):
    """Pictures of one kind: a part of their name, the camera as the owner's code has it (mm, cm, degrees, m)."""

    name: str
    focal: float
    place: tuple[float, float, float] | None = None
    yaw: float = 0.0
    pitch: float = 0.0
    ground: float = 0.0


_KINDS = (
    _Kind("ag_{}_renderpeople_bfh_hdri_50mm_5_10_{:05d}", 50, (0, 0, 170)),
    _Kind("ag_{}_axyz_body_flowers_5_15_{:05d}", 28, ground=-1.7),
    _Kind("ag_{}_3dpeople_bfh_archviz_5_10_cam02_{:05d}", 18, (-490, 170, 265), -45, 30),
    _Kind("ag_{}_humanalloy_bfh_archviz_5_10_cam00_{:05d}", 18, (400, -275, 265), 135, 30),
    _Kind("ag_{}_axyz_bfh_construction_5_15_{:05d}", 28, ground=-1.7),
    _Kind("ag_{}_3dpeople_body_archviz_5_10_cam01_{:05d}", 18, (400, 225, 265), -135, 30),
    _Kind("ag2_{}_renderpeople_bfh_outside_5_15_{:05d}", 28, (0, 0, 170), pitch=15),
    _Kind("ag_{}_renderpeople_bfh_archviz_5_10_cam03_{:05d}", 18, (-490, -275, 265), 45, 30),
)
# Gender of the person, whether it is a kid, gender of the model, number of betas in the pickle.
_BODIES = (
    ("male", False, "male", 10),
    ("female", False, "female", 10),
    ("female", True, "neutral", 11),
    ("male", True, "male", 11),
    ("male", False, "male", 11),
)
_FACE = ("jaw_pose", "leye_pose", "reye_pose", "expression")
_BODY = frozenset({"global_orient", "body_pose", "betas", "transl"})
_WHOLE = _BODY | {"left_hand_pose", "right_hand_pose", *_FACE}
_TO_CAMERA_AXES = np.array([1.0, -1.0, -1.0])


@dataclass(frozen=True)
class _Scan:
    """One scan: its fit in its own space, with absolute hands."""

    path: str
    gender: str
    is_kid: bool
    model: str
    parameters: Parameters  # ten betas
    last_beta: np.ndarray  # empty, or the eleventh beta

    @property
    def kid_weight(self) -> float | None:
        """Return the weight of the kid's template."""
        return float(self.last_beta[0]) if self.is_kid else None


def build(
    root: Path,
    *,
    frames: int = 10,
    pictures: str = "plain",
    seed: int = 60,
    bad: bool = True,
    times: int = 1,
    fit: str = "gendered",
    size: tuple[int, int] = (1280, 720),
) -> Truth:
    """Write the tree with about ``frames`` times ``times`` good pictures; the truth is that of a kind of fits."""
    frames *= times
    truth = Truth(expected={split: {"frames": 0, "people": 0, "rejects": {}} for split in SPLITS})
    rng = np.random.default_rng(seed)
    scans = {kind: _scans(root / folder, rng, frames, kind) for kind, folder in _FITS.items()}
    mesh = rng.normal(0, 1, (10475, 3)).astype(np.float32)  # the same for all: large, and read by nobody
    first = 0
    for split, table, folder, share in _TABLES:
        rows = []
        for number in range(first, first + max(1, round(frames * share))):
            rows.append(_row(rng, number, split, scans["gendered"], mesh))
            _note(truth, split, rows[-1], scans[fit], fit, size)
            _write_image(root, rows[-1], folder, pictures, size, rng, [scans["gendered"][i] for i in _cast(number)])
        first += len(rows)
        if bad and table != "train_0":
            _add_bad_rows(root, split, folder, rows, truth, size)
        columns = {name: [row[name] for row in rows] for name in rows[0] if not name.startswith("_")}
        prefix = "train" if split == "train" else "validation"
        numbers = None if table != "train_7" else list(range(100, 100 + len(rows)))
        write_table(root / f"{prefix}_SMPLX/SMPLX/{table}_withjv.pkl", columns, rows=numbers)
    return truth


_FITS = {"gendered": "smplx_gt", "neutral": "smplx_gt_neutral_gender"}


def _cast(number: int) -> tuple[int, int]:
    """Return the scans of a picture: each stands in two pictures."""
    return 2 * (number // 2) + number % 2, 2 * (number // 2) + 1 - number % 2


def _scans(root: Path, rng: np.random.Generator, frames: int, kind: str) -> list[_Scan]:
    """Write and return the fits of all scans; neutral ones differ from gendered ones in every number."""
    out = []
    for number in range(frames + 2):
        gender, is_kid, model, num_betas = _BODIES[number % len(_BODIES)]
        parameters = random_parameters(rng) | {"transl": rng.normal(0, 0.1, 3)}
        parameters |= {"leye_pose": rng.normal(0, 0.2, 3), "reye_pose": rng.normal(0, 0.2, 3)}
        last = rng.uniform(0.3, 0.8, num_betas - 10)
        path = f"trainset_{'kids' if is_kid else 'adults'}_bfh/{10000 + number}_w_Name.1_{number}_0.pkl"
        own_model = model if kind == "gendered" else "neutral"
        out.append(_Scan(path, gender, is_kid, own_model, parameters, last))
        _write_fit(root / path, rng, parameters, last)
    return out


def _write_fit(path: Path, rng: np.random.Generator, parameters: Parameters, last_beta: np.ndarray) -> None:
    """Write the pickle of a scan: arrays of one row, hands as deviations from the mean."""
    content = {name: value.reshape(1, -1).astype(np.float32) for name, value in parameters.items()}
    for side in ("left", "right"):
        deviation = to_deviation(parameters[f"{side}_hand_pose"], side)
        content[f"{side}_hand_pose"] = deviation.reshape(1, 45).astype(np.float32)
    content["betas"] = np.concatenate([parameters["betas"], last_beta])[None].astype(np.float32)
    extra = {"keypoints_3d": rng.normal(0, 1, (127, 3)), "pose_embedding": rng.normal(0, 1, (1, 32)), "gender": "male"}
    write_pickle(path, {**content, **extra})


def _row(rng: np.random.Generator, number: int, split: str, scans: list[_Scan], mesh: np.ndarray) -> dict:
    """Return one row of every column: a picture and the two people whom its camera sees."""
    kind = _KINDS[number % len(_KINDS)]
    name = kind.name.format("trainset" if split == "train" else "validationset", number) + ".png"
    at = [float(value) for value in rng.normal(0, 300, 3)]
    row: dict = {"imgPath": name, "camX": at[0], "camY": at[1], "camZ": at[2], "camYaw": float(rng.uniform(-180, 180))}
    place, yaw = (kind.place, kind.yaw) if kind.place else (at, row["camYaw"])
    R = rotation(x=np.radians(kind.pitch)) @ rotation(y=-np.radians(yaw))
    C = np.array([place[1], -place[2], place[0]]) / 100 + [0, kind.ground, 0]
    row["_camera"] = (R, C, kind.focal)
    for slot, scan in enumerate(scans[i] for i in _cast(number)):
        for column, value in _placed(rng, row["_camera"], scan, slot, mesh).items():
            row.setdefault(column, []).append(value)
    return row


def _placed(rng: np.random.Generator, camera: tuple, scan: _Scan, slot: int, mesh: np.ndarray) -> dict:
    """Return the columns of one person, placed where the camera sees the body about half as tall as the picture."""
    R, C, focal = camera
    found = joints(_model(scan), [with_kid(scan.parameters, scan.kid_weight)])[0]
    yaw = float(rng.uniform(-180, 180))
    turned = found * _TO_CAMERA_AXES @ rotation(y=np.radians(yaw - 90)).T
    depth = focal / 36 * 1280 * 1.8 / 380 * rng.uniform(0.9, 1.3)
    goal = np.array([(slot - 0.5) * 0.24 * depth, rng.uniform(-0.03, 0.03) * depth, depth])
    at = R.T @ goal + C - turned[0]
    points = (turned + at - C) @ R.T
    ue = 100 * np.array([at[2], at[0], -at[1]])
    return {
        **dict(zip("XYZ", (float(value) for value in ue), strict=True)),
        "Yaw": yaw,
        "YawLocal": float("nan"),
        "gender": scan.gender,
        "kid": scan.is_kid,
        "age": "31-50",
        "ethnicity": "unknown",
        "occlusion": float(rng.uniform(0, 60)),
        "isValid": True,
        "gt_path_smplx": f"smplx_gt/{Path(scan.path).with_suffix('.obj').as_posix()}",
        "gt_path_smpl": f"smpl_gt/{Path(scan.path).with_suffix('.obj').as_posix()}",
        "gt_joints_2d": project(points[:127], _intrinsics(focal, 3840)).astype(np.float32),
        "gt_joints_3d": points[:127].astype(np.float32),
        "gt_verts": mesh,
    }


def _model(scan: _Scan):
    return body_model("smplx", scan.model, 10, is_kid=scan.is_kid)


def _intrinsics(focal_mm: float, width: int) -> np.ndarray:
    focal = focal_mm / 36 * width
    return intrinsics(focal, focal, width / 2, width * 9 / 32)


def _note(truth: Truth, split: str, row: dict, scans: list[_Scan], fit: str, size: tuple[int, int]) -> None:
    """Note the people of a row; their joints are where the pose of a scan and a camera put them."""
    R, C, focal = row["_camera"]
    labelled = _WHOLE if "bfh" in row["imgPath"] else _BODY
    by_path = {scan.path: scan for scan in scans}
    for i, path in enumerate(row["gt_path_smplx"]):
        scan = by_path[Path(path).relative_to("smplx_gt").with_suffix(".pkl").as_posix()]
        model = _model(scan)
        turn = R @ rotation(y=np.radians(row["Yaw"][i] - 90)) * _TO_CAMERA_AXES
        at = np.array([row["Y"][i], -row["Z"][i], row["X"][i]]) / 100
        rest = model.pelvis_offset(with_kid(scan.parameters, scan.kid_weight)["betas"][None])[0]
        in_camera = {
            "global_orient": matrix_to_axis_angle(turn @ axis_angle_to_matrix(scan.parameters["global_orient"])),
            "transl": turn @ (rest + scan.parameters["transl"]) + R @ (at - C) - rest,
        }
        key = (split, Path(row["imgPath"]).stem, f"{row['imgPath']}/{i}")
        truth.people[key] = TruePerson(
            {**scan.parameters, **in_camera},
            labelled,
            _intrinsics(focal, size[0]),
            size,
            gender=scan.model,
            kid_weight=scan.kid_weight,
        )
    truth.expected[split]["frames"] += 1
    truth.expected[split]["people"] += len(row["X"])


def _image_path(root: Path, imgpath: str, folder: str, size: tuple[int, int]) -> Path:
    name = Path(imgpath).stem + ("" if size[0] == 3840 else "_1280x720")
    return root / f"{size[0]}x{size[1]}" / folder / f"{name}.png"


def _write_image(
    root: Path, row: dict, folder: str, pictures: str, size: tuple[int, int], rng: np.random.Generator, scans: list
) -> None:
    """Write the picture of a row, with the people in it when it is to be rendered."""
    picture = backdrop(rng, size, pictures)
    if pictures == "rendered":
        R, C, focal = row["_camera"]
        K, meshes = _intrinsics(focal, size[0]), []
        for i, scan in enumerate(scans):
            mesh = vertices(_model(scan), [with_kid(scan.parameters, scan.kid_weight)])[0]
            at = np.array([row["Y"][i], -row["Z"][i], row["X"][i]]) / 100
            turned = mesh * _TO_CAMERA_AXES @ rotation(y=np.radians(row["Yaw"][i] - 90)).T
            meshes.append((turned + at - C) @ R.T)
        colors = [clothes(rng) for _ in scans]
        picture = draw_people(picture, np.stack(meshes).astype(np.float32), [K] * len(scans), colors)
    write_picture(_image_path(root, row["imgPath"], folder, size), picture)


def _add_bad_rows(root: Path, split: str, folder: str, rows: list[dict], truth: Truth, size: tuple[int, int]) -> None:
    """Append what no converter may write; in train a picture with one good and six bad people, too."""
    if split == "val":
        lost = next(row for row in rows if "flowers" in row["imgPath"] or "construction" in row["imgPath"])
        rows.append({**lost, "imgPath": lost["imgPath"].replace("_00", "_90"), "camX": float("nan")})
        rows.append({**rows[0], "imgPath": rows[0]["imgPath"].replace("_00", "_91")})
        cut = _image_path(root, rows[-1]["imgPath"], folder, size)
        cut.write_bytes(_image_path(root, rows[0]["imgPath"], folder, size).read_bytes()[:-20])
        truth.expected[split]["rejects"] = {"bad_placement": 2, "damaged_image": 2}
        return
    rows.append({**rows[0], "imgPath": rows[0]["imgPath"].replace("_00", "_92")})
    good = {name: value[0] for name, value in rows[0].items() if isinstance(value, list)}
    rng = np.random.default_rng(1)
    fit = random_parameters(rng) | {name: np.zeros(3) for name in ("transl", "leye_pose", "reye_pose")}
    _write_fit(root / "smplx_gt/bad/short.pkl", rng, {**fit, "body_pose": np.ones((20, 3))}, np.zeros(0))
    _write_fit(root / "smplx_gt/bad/kid.pkl", rng, fit, np.zeros(0))
    changes = (
        *({}, {"isValid": False, "occlusion": 95.0}, {"gt_path_smplx": "smplx_gt/nowhere/1_0.obj"}),
        *({"gt_path_smplx": "smplx_gt/bad/short.obj"}, {"gt_path_smplx": "smplx_gt/bad/kid.obj", "kid": True}),
        *({"Yaw": float("nan")}, {"gt_joints_2d": np.ones((45, 2), np.float32)}),
    )
    people = [{**good, **change} for change in changes]
    mixed = rows[0] | {name: [person[name] for person in people] for name in good}
    rows.append(mixed | {"imgPath": rows[0]["imgPath"].replace("_00", "_93")})
    image = _image_path(root, rows[-1]["imgPath"], folder, size)
    image.write_bytes(_image_path(root, rows[0]["imgPath"], folder, size).read_bytes())
    expected = truth.expected[split]
    expected["frames"], expected["people"] = expected["frames"] + 1, expected["people"] + 1
    expected["rejects"] = dict(EXPECTED["train"]["rejects"])
