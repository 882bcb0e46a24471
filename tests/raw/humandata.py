"""HumanData look-alikes of four kinds: both generations of keys, compressed and not, deviations and absolute hands.

Rows of one picture do not lie side by side, so that a converter that forgets to gather them is noticed.
"""

from pathlib import Path
from typing import Any

import numpy as np

from ehps.body.cameras import intrinsics, project
from ehps.body.hands import to_deviation
from ehps.body.joints import HUMAN_DATA_JOINTS, NUM_BODY_JOINTS
from ehps.body.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from ehps.tests.raw._people import (
    Parameters,
    TruePerson,
    Truth,
    backdrop,
    batch,
    body_model,
    clothes,
    draw_people,
    place,
    random_parameters,
    rotation,
    stand_in_a_row,
    standin,
    tight_box,
    vertices,
    write_picture,
)

SPLITS = ("train", "val", "test")
EXPECTED = {
    "train": {
        "frames": 8,
        "people": 14,
        "rejects": {"nan_pose": 1, "not_valid": 1, "bad_camera": 1, "missing_image": 1, "damaged_image": 1},
    },
    "val": {"frames": 2, "people": 4, "rejects": {}},
    "test": {"frames": 2, "people": 4, "rejects": {}},
}
SIZE = (640, 480)
WHOLE = ("global_orient", "body_pose", "left_hand_pose", "right_hand_pose", "jaw_pose", "betas", "expression", "transl")
EYES = ("leye_pose", "reye_pose")
BOX_SCALE = 1.2
CONTROLS = {"__key_strict__": False, "__data_len__": -1}
Columns = dict[str, Any]


def build(root: Path, *, bad: bool = True, times: int = 1, pictures: str = "plain") -> Truth:
    """Write the files and their pictures; ``times`` multiplies the pictures of each file."""
    truth = Truth(expected={split: {"frames": 0, "people": 0, "rejects": {}} for split in SPLITS})
    makers = {
        "train": {"ffhq_train_231010": compressed_file, "bedlam_train_old": first_generation_file},
        "val": {"pw3d_val_new": smpl_file},
        "test": {"studio_test_multi": several_people_file},
    }
    counts = {"ffhq_train_231010": 5, "bedlam_train_old": 3, "pw3d_val_new": 2, "studio_test_multi": 2}
    for split, files in makers.items():
        for number, (stem, make) in enumerate(files.items()):
            rng = np.random.default_rng([27, SPLITS.index(split), number])
            people = _scene(rng, root / "img", stem, counts[stem] * times, pictures, is_smpl=make is smpl_file)
            order = _order(stem, len(people))
            columns = make(rng, [people[i][1] for i in order], [people[i][0] for i in order])
            for row, i in enumerate(order):
                path, true = people[i]
                truth.people[split, f"{stem}/{path.rsplit('.', 1)[0]}", str(row)] = true
            truth.expected[split]["frames"] += len({path for path, _ in people})
            truth.expected[split]["people"] += len(people)
            if bad and make is compressed_file:
                _spoil(root / "img", columns)
                truth.expected[split]["rejects"] = dict(EXPECTED[split]["rejects"])
            (root / "annot").mkdir(exist_ok=True)
            np.savez_compressed(root / "annot" / f"{stem}.npz", **columns)
    return truth


def _order(stem: str, people: int) -> list[int]:
    """Return the order of the rows: people of a picture apart, except where ``frame_range`` needs them together."""
    return list(range(people)) if "multi" in stem else [*range(0, people, 2), *range(1, people, 2)]


def _scene(
    rng: np.random.Generator, folder: Path, stem: str, count: int, pictures: str, *, is_smpl: bool
) -> list[tuple[str, TruePerson]]:
    """Return everyone of some pictures with the path of the picture, and write the pictures."""
    out = []
    for number in range(count):
        path, K = f"{stem[:6]}/seq {number % 2}/{number:06d}.jpg", _camera(rng, is_square="multi" in stem)
        people = [_person(rng, K, is_smpl=is_smpl) for _ in range(1 if number == 2 else 2)]
        if not is_smpl:
            people = stand_in_a_row(rng, standin(), people, K, SIZE)
        picture = backdrop(rng, SIZE, pictures)
        if pictures == "rendered" and not is_smpl:
            picture = draw_people(
                picture, vertices(standin(), people), [K] * len(people), [clothes(rng) for _ in people]
            )
        write_picture(folder / path, picture)
        for i, person in enumerate(people):
            own = {**person, **dict.fromkeys(EYES, np.zeros(3))} if stem.startswith("ffhq") else person
            out.append((path, _true(own, K, stem, is_smpl, ("male", "female", "neutral")[(number + i) % 3])))
    return out


def _true(person: Parameters, K: np.ndarray, stem: str, is_smpl: bool, gender: str) -> TruePerson:
    told = set(person) - ({"transl"} if stem.startswith("bedlam") else set())
    model = "smpl" if is_smpl else "smplx"
    return TruePerson(person, frozenset(told), K, SIZE, body_model=model, gender=gender if is_smpl else "neutral")


def _camera(rng: np.random.Generator, *, is_square: bool) -> np.ndarray:
    focals = rng.uniform(600, 640, 2)
    return intrinsics(focals[0], focals[0 if is_square else 1], *(np.array(SIZE) / 2 + rng.uniform(-9, 9, 2)))


def _person(rng: np.random.Generator, K: np.ndarray, *, is_smpl: bool) -> Parameters:
    """Return a body: SMPL-X at the origin, SMPL before the camera."""
    person = random_parameters(rng, with_face=not is_smpl)
    if not is_smpl:
        return person
    turned = rotation(x=np.pi) @ rotation(y=rng.uniform(-1, 1)) @ axis_angle_to_matrix(person["global_orient"])
    body = np.concatenate([person["body_pose"], rng.normal(0, 0.2, (2, 3))])
    own = {"global_orient": matrix_to_axis_angle(turned), "body_pose": body, "betas": person["betas"]}
    return place(body_model("smpl", "neutral", 10), [own], np.array([[rng.uniform(-0.5, 0.5), 0, 4.0]]))[0]


def points_of(people: list[TruePerson]) -> tuple[np.ndarray, np.ndarray]:
    """Return what HumanData holds of the 144 joints, (n, 144, 3) in pixels and (n, 144, 4) in metres."""
    joints = np.stack([true.joints() for true in people])
    pixels = np.stack([project(own, true.K) for own, true in zip(joints, people, strict=True)])
    known = np.isfinite(joints[..., :1]).astype(float)
    return (
        np.nan_to_num(np.concatenate([pixels, known], axis=2)),
        np.nan_to_num(np.concatenate([joints, known], axis=2)),
    )


def boxes_of(people: list[TruePerson], scale: float = BOX_SCALE) -> np.ndarray:
    """Return padded boxes of the body joints (n, 5)."""
    out = []
    for true in people:
        left, top, right, bottom = tight_box(project(true.joints()[:NUM_BODY_JOINTS], true.K))
        width, height = scale * (right - left), scale * (bottom - top)
        out.append([(left + right - width) / 2, (top + bottom - height) / 2, width, height, 1.0])
    return np.array(out)


def _slots(points: np.ndarray) -> np.ndarray:
    """Return the 144 joints in the 190 slots."""
    return np.concatenate([points, np.zeros((len(points), 190 - points.shape[1], points.shape[2]))], axis=1)


def _fit(people: list[TruePerson], *, flat: bool = False) -> dict[str, np.ndarray]:
    """Return the parameters as the files hold them; hands as deviations unless ``flat``."""
    fit = batch([true.parameters for true in people])
    for side in ("left", "right"):
        if not flat and f"{side}_hand_pose" in fit:
            fit[f"{side}_hand_pose"] = to_deviation(fit[f"{side}_hand_pose"], side)
    return fit


def _meta(people: list[TruePerson]) -> dict[str, list]:
    return {"height": [SIZE[1]] * len(people), "width": [SIZE[0]] * len(people)}


def compressed_file(rng: np.random.Generator, people: list[TruePerson], paths: list[str]) -> Columns:
    """Return a file of the converters of today: everything labelled, keypoints without their empty slots."""
    pixels, points = points_of(people)
    mask = np.array([name not in ("left_heel", "nosebridge_3") for name in HUMAN_DATA_JOINTS[:144]] + [False] * 46)
    hand = np.concatenate([np.zeros((len(people), 4)), np.ones((len(people), 1))], axis=1) + [30.0, 40, 50, 60, 0]
    meta = _meta(people) | {
        "focal_length": [[[true.K[0, 0], true.K[1, 1]]] for true in people],
        "principal_point": [(true.K[0, 2], true.K[1, 2]) for true in people],
        "gender": ["neutral"] * len(people),
        "annot_valid": [True] * len(people),
        "sequence_name": [path.split("/")[1] for path in paths],
        "track_id": list(range(len(people))),
    }
    return CONTROLS | {
        "__keypoints_compressed__": True,
        "image_path": list(paths),
        "bbox_xywh": boxes_of(people),
        "face_bbox_xywh": hand * [1, 1, 1, 1, 0],
        "lhand_bbox_xywh": hand,
        "rhand_bbox_xywh": hand + [200, 0, 0, 0, 0],
        "keypoints2d_smplx": pixels[:, mask[:144]].astype(np.float32),
        "keypoints3d_smplx": points[:, mask[:144]].astype(np.float32),
        "keypoints2d_smplx_mask": mask.astype(np.uint8),
        "keypoints3d_smplx_mask": mask.astype(np.uint8),
        "keypoints2d_smplx_convention": "human_data",
        "smplx": {name: value.astype(np.float32) for name, value in _fit(people).items()},
        "meta": meta,
        "misc": {"flat_hand_mean": False, "bbox_body_scale": BOX_SCALE, "cam_param_type": "prespective"},
    }


def first_generation_file(rng: np.random.Generator, people: list[TruePerson], paths: list[str]) -> Columns:
    """Return a file of the first generation: one set of keypoints, flat widths, boxes of four, hands absolute.

    As in the released file of BEDLAM the neutral model is posed for everyone, whose own gender meta tells.
    """
    pixels, _ = points_of(people)
    fit = {name: value.reshape(len(people), -1) for name, value in _fit(people, flat=True).items()}
    del fit["transl"]
    fit |= {"betas_neutral": fit["betas"], "flat_hand_mean": np.ones(len(people), bool)}
    mask = np.concatenate([np.ones(144), np.zeros(46)]).astype(np.uint8)
    focals = np.array([(true.K[0, 0], true.K[1, 1]) for true in people])
    return {
        "__key_strict__": False,
        "__temporal_len__": len(people),
        "__keypoints_compressed__": False,
        "image_path": ["/" + path.replace("/", "\\") for path in paths],
        "bbox_xywh": boxes_of(people)[:, :4],
        "keypoints2d": _slots(pixels),
        "keypoints2d_mask": mask,
        "smplx": fit,
        "meta": _meta(people)
        | {
            "focal_length": focals.ravel().tolist(),
            "princpt": [true.K[:2, 2] for true in people],
            "gender": ["mf"[row % 2] for row in range(len(people))],
        },
        "config": "bedlam",
    }


def smpl_file(rng: np.random.Generator, people: list[TruePerson], paths: list[str]) -> Columns:
    """Return a file of gendered SMPL bodies with 69 numbers of pose, as the converter of 3DPW writes it."""
    pixels, points = points_of(people)
    fit = _fit(people)
    fit["body_pose"] = fit["body_pose"].reshape(len(people), 69)
    known = np.concatenate([np.isfinite(people[0].joints()[:, 0]), np.zeros(46, bool)]).astype(np.uint8)
    return CONTROLS | {
        "__keypoints_compressed__": False,
        "image_path": list(paths),
        "bbox_xywh": boxes_of(people),
        "keypoints2d_smpl": _slots(pixels),
        "keypoints3d_smpl": _slots(points),
        "keypoints2d_smpl_mask": known,
        "keypoints3d_smpl_mask": known,
        "smpl": fit,
        "meta": _meta(people)
        | {
            "focal_length": [true.K[[0, 1], [0, 1]] for true in people],
            "principal_point": [true.K[:2, 2] for true in people],
            "gender": [true.gender[0] for true in people],
        },
        "misc": {"bbox_scale": BOX_SCALE, "cam_param_source": "original"},
    }


def several_people_file(rng: np.random.Generator, people: list[TruePerson], paths: list[str]) -> Columns:
    """Return a file of MultiHumanData: a path a picture, and which rows are its people."""
    pixels, points = points_of(people)
    pictures = list(dict.fromkeys(paths))
    ends = np.cumsum([paths.count(path) for path in pictures])
    ranges = np.stack([np.concatenate([[0], ends[:-1]]), ends], axis=1)
    return CONTROLS | {
        "__keypoints_compressed__": False,
        "__instance_num__": len(people),
        "image_path": pictures,
        "frame_range": ranges,
        "bbox_xywh": boxes_of(people, 1.0),
        "keypoints2d_smplx": pixels,
        "keypoints3d_smplx": points,
        "smplx": _fit(people, flat=True) | {"betas_neutral": rng.normal(0, 1, (len(people), 10))},
        "meta": _meta(people)
        | {
            "focal_length": [float(true.K[0, 0]) for true in people],
            "principal_point": [true.K[:2, 2] for true in people],
        },
        "misc": {"flat_hand_mean": True, "bbox_body_scale": 1.0},
        "cam_param": [{"R": np.eye(3)} for _ in people],
    }


def _spoil(folder: Path, columns: Columns) -> None:
    """Add rows that cannot be used: NaN, a mark, a camera without focal length, pictures that are gone or cut off."""
    stem, first = columns["image_path"][0].split("/")[0], {name: _first(value) for name, value in columns.items()}
    cut_off = folder / stem / "cut_off.jpg"
    cut_off.write_bytes((folder / columns["image_path"][0]).read_bytes()[:-200])
    for kind in ("nan", "marked", "dark", "gone", "cut_off"):
        row = len(columns["image_path"])
        for name, value in columns.items():
            columns[name] = _with_row(value, first[name])
        columns["image_path"][row] = (
            columns["image_path"][0] if kind in ("nan", "marked", "dark") else f"{stem}/{kind}.jpg"
        )
        if kind == "nan":
            columns["smplx"]["body_pose"][row, 3, 1] = np.nan
        elif kind == "marked":
            columns["meta"]["annot_valid"][row] = False
        elif kind == "dark":
            columns["meta"]["focal_length"][row] = [[np.nan, np.nan]]


def _first(value: Any) -> Any:
    """Return the first row of a column; None of what holds for the whole file."""
    if isinstance(value, dict):
        return {name: _first(own) for name, own in value.items()}
    if isinstance(value, list):
        return value[0]
    return value[:1] if isinstance(value, np.ndarray) and value.ndim > 1 else None


def _with_row(value: Any, row: Any) -> Any:
    if isinstance(value, dict):
        return {name: _with_row(own, row[name]) for name, own in value.items()}
    if row is None:
        return value
    return [*value, row] if isinstance(value, list) else np.concatenate([value, row])
