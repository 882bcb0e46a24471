"""An ARCTIC look-alike: dictionaries pickled in .npy, a template a subject, eight fixed cameras and one on the head.

Templates bulge in ways that no betas can follow. Pictures are small, their sizes stand in the owner's table.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ehps.body.cameras import Distortion, intrinsics, rigid, transform_points
from ehps.body.draw import render_mesh
from ehps.body.posing import PosingModel
from ehps.body.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from ehps.body.standin import standin_vertex_colors
from ehps.tests.raw._lens import bent
from ehps.tests.raw._people import (
    Parameters,
    TruePerson,
    Truth,
    backdrop,
    batch,
    body_model,
    place,
    random_hand,
    random_parameters,
    rotation,
    vertices,
    write_picture,
)

SPLITS = ("train", "val")
EXPECTED = {
    "train": {
        "frames": 14,
        "people": 14,
        "rejects": {"no_label": 16, "nan_pose": 8, "missing_image": 1, "damaged_image": 1},
    },
    "val": {"frames": 16, "people": 16, "rejects": {}},
}
LABELLED = frozenset(
    ["global_orient", "body_pose", "left_hand_pose", "right_hand_pose", "jaw_pose", "leye_pose", "reye_pose", "transl"]
)
EDGE = 10
_ROOT = Path("arctic_data/data")
_EGO_SIZE = (280, 200)
_EGO_K = intrinsics(152.0, 151.0, 139.2, 101.7)
_EGO_LENS = Distortion("brown_conrady", (0.31, -0.12, 0.0011, -0.0006, 0.02, 0.58, -0.06, 0.03))


@dataclass(frozen=True)
class _Subject:
    name: str
    gender: str
    offset: int  # of the pictures' numbers
    sequence: str
    split: str


_SUBJECTS = (
    _Subject("s01", "female", 1, "box_grab_01", "train"),
    _Subject("s05", "male", 4, "capsulemachine_use_02_retake", "val"),
)
_LATE = _Subject("s10", "male", 12, "mixer_use_01", "train")  # its first pictures precede the capture


def build(
    root: Path,
    *,
    frames: int = 4,
    pictures: str = "plain",
    seed: int = 130,
    bad: bool = True,
    times: int = 1,
    protocol: str = "p1",
) -> Truth:
    """Write the tree with about ``frames`` times ``times`` moments, seen by all cameras; the truth is a protocol's."""
    truth = Truth(expected={split: {"frames": 0, "people": 0, "rejects": {}} for split in SPLITS})
    base, misc = root / _ROOT, {}
    for number, subject in enumerate((*_SUBJECTS, *([_LATE] if bad else []))):
        rng = np.random.default_rng([seed, number])
        length = 3 if subject is _LATE else max(1, round(frames * times / len(_SUBJECTS)))
        misc[subject.name] = _write_sequence(base, rng, subject, length, truth, pictures, protocol)
    if bad:
        _spoil(base, truth, _SUBJECTS[0])
    (base / "meta" / "misc.json").write_text(json.dumps(misc), encoding="utf-8")
    names = {
        split: [f"{s.name}/{s.sequence}" for s in (*_SUBJECTS, _LATE)[: 2 + bad] if s.split == split]
        for split in SPLITS
    }
    for name in ("p1", "p2"):
        path = base / "splits_json" / f"protocol_{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({**names, "test": ["s03/box_use_01"]}), encoding="utf-8")
    return truth


def _write_sequence(
    base: Path, rng: np.random.Generator, subject: _Subject, length: int, truth: Truth, pictures: str, protocol: str
) -> dict:
    """Write labels and pictures of a sequence, note its people, and return what the table says about the subject."""
    model = _personal_model(base / "meta" / "subject_vtemplates" / f"{subject.name}.obj", rng, subject.gender)
    people = _in_world(rng, model, length + 2 * EDGE)
    spots = model.kinematic(batch(people))[2] + batch(people)["transl"][:, None]
    fixed = [_fixed_camera(rng, view, spots[:, 0].mean(axis=0)) for view in range(1, 9)]
    moving = [_on_the_head(rng, own, person) for own, person in zip(spots, people, strict=True)]
    _write_labels(base / "raw_seqs" / subject.name, rng, subject, people, moving)
    for view in range(9):
        K, size = (_EGO_K, _EGO_SIZE) if view == 0 else fixed[view - 1][:2]
        lens = _EGO_LENS if view == 0 else None
        common = TruePerson({}, LABELLED, K, size, gender=subject.gender, distortion=lens, own_model=model)
        numbers = [n for n in range(EDGE, EDGE + length) if n >= subject.offset]
        rows = [number - subject.offset for number in numbers]
        T = [moving[row] if view == 0 else fixed[view - 1][2] for row in rows]
        seen = _before_camera(model, [people[row] for row in rows], [spots[row, 0] for row in rows], T)
        trues = [replace(common, parameters=person) for person in seen]
        folder = base / "images" / subject.name / subject.sequence / str(view)
        _write_pictures(folder, rng, range(EDGE, EDGE + length), trues, size, pictures)
        if (view == 0) != (protocol == "p2"):
            continue
        for number, row, true in zip(numbers, rows, trues, strict=True):
            key = f"{subject.name}/{subject.sequence}/{view}/{number:05d}"
            truth.people[subject.split, key, f"frame {row}"] = _as_labelled(true, subject.split)
        wanted = truth.expected[subject.split]
        wanted["frames"] += len(numbers)
        wanted["people"] += len(numbers)
        if length > len(numbers):
            wanted["rejects"]["no_label"] = wanted["rejects"].get("no_label", 0) + length - len(numbers)
    return {
        "gender": subject.gender,
        "ioi_offset": subject.offset,
        "image_size": [list(_EGO_SIZE), *(list(size) for _, size, _ in fixed)],
        "intris_mat": [K.tolist() for K, _, _ in fixed],
        "world2cam": [T.tolist() for _, _, T in fixed],
    }


def _as_labelled(true: TruePerson, split: str) -> TruePerson:
    """Return a person of whom, in val, the converter also tells the mesh."""
    return replace(true, labelled=LABELLED | ({"vertices"} if split == "val" else set()))


def _personal_model(path: Path, rng: np.random.Generator, gender: str) -> PosingModel:
    """Write the template of a subject and return the model that has it."""
    model = body_model("smplx", gender, 10)
    shaped = model.template + model.shape_directions[..., :10] @ rng.normal(0, 1, 10)
    waves = np.sin(shaped @ rng.normal(0, 9, (3, 3)) + rng.uniform(0, 6, 3))
    template = np.round(shaped + 0.008 * waves, 6)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in template.tolist()]
    faces = [f"f {a}//{a} {b}//{b} {c}//{c}" for a, b, c in (model.triangles[:50] + 1).tolist()]
    path.write_text("\n".join(["# template", *rows, "vn 0.0 0.0 1.0", *faces]) + "\n", encoding="utf-8")
    return replace(model, template=template)


def _in_world(rng: np.random.Generator, model: PosingModel, count: int) -> list[Parameters]:
    """Return the subject in the world of the capture, z up, busy with both hands."""
    people = []
    for _ in range(count):
        person = random_parameters(rng)
        del person["expression"]
        person |= {f"{side}eye_pose": rng.normal(0, 0.05, 3) for side in "lr"}
        person["left_hand_pose"] = random_hand(rng)
        upright = rotation(z=rng.uniform(-3, 3)) @ rotation(x=np.pi / 2) @ axis_angle_to_matrix(person["global_orient"])
        people.append({**person, "betas": np.zeros(0), "global_orient": matrix_to_axis_angle(upright)})
    return place(model, people, np.array([0.3, -0.2, 0.95]) + rng.normal(0, 0.1, (count, 3)))


def _look_at(place: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return world to camera of a camera that holds its picture upright (z of the world is up)."""
    ahead = (target - place) / np.linalg.norm(target - place)
    right = np.cross(ahead, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    R = np.stack([right, np.cross(ahead, right), ahead])
    return rigid(R, -R @ place)


def _fixed_camera(
    rng: np.random.Generator, view: int, middle: np.ndarray
) -> tuple[np.ndarray, tuple[int, int], np.ndarray]:
    """Return K, size and pose of a camera in the ring about the studio; every other picture stands upright."""
    size = (500, 360) if view % 2 else (360, 500)
    angle = 2 * np.pi * view / 8
    place = middle + np.array([2.9 * np.cos(angle), 2.9 * np.sin(angle), rng.uniform(0.0, 0.9)])
    focal = rng.uniform(420, 460)
    K = intrinsics(focal, focal + 1, size[0] / 2 + rng.normal(0, 4), size[1] / 2 + rng.normal(0, 4))
    return K, size, _look_at(place, middle + rng.normal(0, 0.05, 3))


def _on_the_head(rng: np.random.Generator, joints: np.ndarray, person: Parameters) -> np.ndarray:
    """Return world to camera of the camera that the subject wears: it looks down at the hands."""
    ahead = axis_angle_to_matrix(person["global_orient"]) @ np.array([0.0, 0.0, 1.0])
    return _look_at(joints[15] + 0.12 * ahead + rng.normal(0, 0.01, 3), joints[0] + 0.4 * ahead)


def _before_camera(
    model: PosingModel, people: list[Parameters], pelvises: list[np.ndarray], cameras: list[np.ndarray]
) -> list[Parameters]:
    """Return people of the world before a camera each: pelvises move, then the translation follows."""
    turned = [
        {**p, "global_orient": matrix_to_axis_angle(T[:3, :3] @ axis_angle_to_matrix(p["global_orient"]))}
        for p, T in zip(people, cameras, strict=True)
    ]
    goals = [transform_points(T, pelvis) for T, pelvis in zip(cameras, pelvises, strict=True)]
    return place(model, turned, np.stack(goals))


def _write_labels(
    folder: Path, rng: np.random.Generator, subject: _Subject, people: list[Parameters], cameras: list[np.ndarray]
) -> None:
    """Write the four files of a sequence."""
    folder.mkdir(parents=True, exist_ok=True)
    together, count = batch(people), len(people)
    bodies = {name: together[name].reshape(count, -1).astype(np.float32) for name in sorted(LABELLED)}
    hands = {
        side: {
            "rot": rng.normal(0, 1, (count, 3)),
            "pose": rng.normal(0, 0.3, (count, 45)),
            "trans": rng.normal(0, 1, (count, 3)),
            "shape": rng.normal(0, 1, 10),
            "fitting_err": rng.uniform(0, 1e-5, count),
        }
        for side in ("right", "left")
    }
    T = np.stack(cameras)
    camera = {
        "R_k_cam_np": T[:, :3, :3],
        "T_k_cam_np": T[:, :3, 3:],
        "intrinsics": _EGO_K,
        "dist8": np.array(_EGO_LENS.coefficients),
        "R0": np.eye(3),
        "T0": np.zeros((3, 1)),
        "ego_markers.ref": rng.normal(0, 0.1, (5, 3)),
        "ego_markers.label": [f"ego:{i}" for i in range(5)],
    }
    for kind, content in (("smplx", bodies), ("mano", hands), ("egocam.dist", camera)):
        write_npy(folder / f"{subject.sequence}.{kind}.npy", content)
    np.save(folder / f"{subject.sequence}.object.npy", rng.normal(0, 300, (count, 7)))


def write_npy(path: Path, content: dict) -> None:
    """Write a dictionary as the owner did: an array of one object, which numpy pickles."""
    np.save(path, np.array(content, dtype=object), allow_pickle=True)


def _write_pictures(
    folder: Path,
    rng: np.random.Generator,
    numbers: range,
    trues: list[TruePerson],
    size: tuple[int, int],
    pictures: str,
) -> None:
    """Write the pictures of a view, and a dark one at its beginning; plain ones are all the same file."""
    studio = backdrop(rng, size, pictures)
    write_picture(folder / "00001.jpg", np.zeros((size[1], size[0], 3), np.uint8))
    write_picture(folder / f"{numbers[0]:05d}.jpg", studio)
    data = (folder / f"{numbers[0]:05d}.jpg").read_bytes()
    for number in numbers[1:]:
        (folder / f"{number:05d}.jpg").write_bytes(data)
    if pictures == "rendered":
        worn = standin_vertex_colors("smplx", rng)[None]
        for number, true in zip(numbers[len(numbers) - len(trues) :], trues, strict=True):
            mesh = vertices(true.model, [true.parameters])
            picture = render_mesh(studio, mesh, true.model.triangles, true.K, color=worn)
            picture = picture if true.distortion is None else bent(picture, true.K, true.distortion)
            write_picture(folder / f"{number:05d}.jpg", picture)


def _spoil(base: Path, truth: Truth, subject: _Subject) -> None:
    """Spoil the first sequence: NaN in the second frame that is used, a picture lost, half a picture."""
    path = base / "raw_seqs" / subject.name / f"{subject.sequence}.smplx.npy"
    content = np.load(path, allow_pickle=True).item()
    row = EDGE - subject.offset + 1
    content["body_pose"][row, 7] = np.nan
    write_npy(path, content)
    pictures = base / "images" / subject.name / subject.sequence
    (pictures / "3" / f"{EDGE:05d}.jpg").unlink()
    half = pictures / "6" / f"{EDGE:05d}.jpg"
    half.write_bytes(half.read_bytes()[:-20])
    lost = [key for key in truth.people if key[1].startswith(f"{subject.name}/") and key[2] == f"frame {row}"]
    gone = [
        key for key in truth.people if key[1] in (f"{subject.name}/{subject.sequence}/{v}/{EDGE:05d}" for v in (3, 6))
    ]
    for key in (*lost, *gone):
        del truth.people[key]
    wanted = truth.expected[subject.split]
    wanted["rejects"] |= {"nan_pose": len(lost), "missing_image": 1, "damaged_image": 1}
    wanted["frames"] -= len(lost) + len(gone)
    wanted["people"] -= len(lost) + len(gone)
