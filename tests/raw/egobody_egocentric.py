"""An EgoBody look-alike seen by the headset: a camera that moves and refocuses, dropped frames, tables of pictures."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ehps.body.cameras import intrinsics, invert_rigid, project, rigid
from ehps.body.draw import render_mesh
from ehps.body.standin import standin_vertex_colors
from ehps.tests.raw._egobody import (
    LABELLED,
    RECORDINGS,
    SIZE,
    Recorded,
    before_camera,
    cast,
    fit_content,
    write_fits,
    write_json,
    write_tables,
)
from ehps.tests.raw._owner_pickles import write_pickle
from ehps.tests.raw._people import (
    Parameters,
    TruePerson,
    Truth,
    backdrop,
    body_model,
    joints,
    points_2d,
    rotation,
    vertices,
    write_picture,
)

SPLITS = ("train", "val", "test")
EXPECTED = {
    "train": {
        "frames": 3,
        "people": 3,
        "rejects": {
            "not_visible": 1,
            "bad_camera": 3,
            "missing_fit": 1,
            "bad_fit": 1,
            "missing_image": 1,
            "damaged_image": 1,
            "outside_range": 1,
        },
    },
    "val": {"frames": 3, "people": 3, "rejects": {}},
    "test": {"frames": 3, "people": 3, "rejects": {}},
}
_CENTRE = (955.7, 537.2)
_STEP = 333_332  # ticks of the headset's clock from frame to frame
_TO_HEADSET = np.diag([1.0, -1.0, -1.0, 1.0])  # its camera has y up and looks along -z
_DATES = {one.name: f"{one.name[10:14]}-{one.name[14:16]}-{one.name[16:18]}-145953" for one in RECORDINGS}


@dataclass
class _Tables:
    """The rows of the files of a recording's headset."""

    pv: list[str] = field(default_factory=lambda: [f"{_CENTRE[0]},{_CENTRE[1]},{SIZE[0]},{SIZE[1]}"])
    names: list[str] = field(default_factory=list)
    valid: list[bool] = field(default_factory=list)
    keypoints: list[np.ndarray] = field(default_factory=list)


def build(
    root: Path, *, frames: int = 9, pictures: str = "plain", seed: int = 120, bad: bool = True, times: int = 1
) -> Truth:
    """Write the tree with about ``frames`` times ``times`` pictures, one recording a split; one frame is dropped."""
    truth = Truth(expected={split: {"frames": 0, "people": 0, "rejects": {}} for split in SPLITS})
    lengths = {}
    for number, one in enumerate(RECORDINGS):
        rng = np.random.default_rng([seed, number])
        length = max(1, round(frames * times / len(RECORDINGS))) + 1
        spoil = bad and one.split == "train"
        _write_recording(root, rng, one, length, truth, pictures, bad=spoil)
        lengths[one.name] = length + 8 * spoil
    write_tables(root, RECORDINGS, lengths)
    return truth


def _write_recording(
    root: Path, rng: np.random.Generator, one: Recorded, length: int, truth: Truth, pictures: str, *, bad: bool
) -> None:
    """Write the headset's files, the interactee's fits and the pictures of a recording; the second frame is dropped."""
    people = cast(rng, one, length)
    for body in (0, 1):  # the wearer's fits are there and must not be used
        write_fits(root, one, body, people[body])
    T_master_headset = rigid(rotation(*rng.normal(0, 1.5, 3)), rng.normal(0, 1.5, 3))
    calibration = root / "calibrations" / one.name / "cal_trans"
    write_json(calibration / "holo_to_kinect12.json", {"trans": T_master_headset.tolist()})
    folder = root / "egocentric_color" / one.name / _DATES[one.name]
    tables, scene = _Tables(), backdrop(rng, SIZE, pictures)
    model, gender = body_model("smplx", one.genders[one.interactee], 10), one.genders[one.interactee]
    for i, person in enumerate(people[one.interactee]):
        T = _looking_at(rng, model.kinematic({n: v[None] for n, v in person.items()})[2][0, 0] + person["transl"])
        focal = 1460.0 + rng.normal(0, 8)
        K = intrinsics(focal, focal + rng.normal(0, 0.5), *_CENTRE)
        number, stamp = one.first + i, str(132_754_997_786_014_666 + _STEP * i)
        tables.pv.append(pv_row(stamp, K, invert_rigid(T_master_headset) @ invert_rigid(T) @ _TO_HEADSET))
        if i == 1:  # the headset kept its pose and lost its picture
            continue
        seen = before_camera(gender, [person], T)[0]
        true = TruePerson(seen, LABELLED, K, SIZE, gender=gender)
        truth.people[one.split, f"{one.name}/{number:05d}", "interactee"] = true
        _list_picture(tables, one, f"{stamp}_frame_{number:05d}.jpg", _detected(rng, true))
        _write_picture(folder / "PV" / tables.names[-1].rsplit("/", 1)[1], rng, true, scene, pictures, i == 0)
    truth.expected[one.split]["frames"] += length - 1
    truth.expected[one.split]["people"] += length - 1
    if bad:
        _add_bad_pictures(root, folder, one, one.first + length, tables, truth)
    _write_tables(folder, rng, one, tables)


def _looking_at(rng: np.random.Generator, pelvis: np.ndarray) -> np.ndarray:
    """Return where somebody's head is who looks at a body: master to camera, y down."""
    R = rotation(x=rng.uniform(0.1, 0.4), z=rng.normal(0, 0.1)) @ rotation(y=rng.uniform(-2, 2))
    return rigid(R, np.array([rng.normal(0, 0.1), 0.15, rng.uniform(2.1, 2.7)]) - R @ pelvis)


def pv_row(stamp: str, K: np.ndarray, T_headset_camera: np.ndarray) -> str:
    """Return a row of the file of the camera."""
    return ",".join([stamp, *(repr(float(value)) for value in (K[0, 0], K[1, 1], *T_headset_camera.ravel()))])


def _detected(rng: np.random.Generator, true: TruePerson) -> np.ndarray:
    """Return what OpenPose would find: 25 points, a few missing at 0, 0 with confidence 0."""
    confidence = rng.uniform(0.2, 0.95, 25) * (rng.random(25) < 0.85)
    points = points_2d(project(joints(true.model, [true.parameters])[0], true.K), "openpose_25")
    return np.column_stack([points * (confidence > 0)[:, None], confidence])


def _list_picture(tables: _Tables, one: Recorded, name: str, keypoints: np.ndarray, *, is_valid: bool = True) -> None:
    """Put a picture into both tables of pictures."""
    tables.names.append(f"egocentric_color/{one.name}/{_DATES[one.name]}/PV/{name}")
    tables.valid.append(is_valid)
    tables.keypoints.append(keypoints)


def _write_picture(
    path: Path, rng: np.random.Generator, true: TruePerson, scene: np.ndarray, pictures: str, is_first: bool
) -> None:
    """Write a picture: rendered, or a copy of the first."""
    if pictures == "rendered":
        mesh = vertices(true.model, [true.parameters])
        worn = standin_vertex_colors("smplx", rng)[None]
        write_picture(path, render_mesh(scene, mesh, true.model.triangles, true.K, color=worn))
    elif is_first:
        write_picture(path, scene)
    else:
        path.write_bytes(next(iter(sorted(path.parent.iterdir()))).read_bytes())


def _write_tables(folder: Path, rng: np.random.Generator, one: Recorded, tables: _Tables) -> None:
    """Write the three files; keypoints lack a picture that is not valid, and both list one before the recording."""
    early = f"egocentric_color/{one.name}/{folder.name}/PV/132754997000000000_frame_{one.first - 5:05d}.jpg"
    names, points = np.array([early, *tables.names]), np.stack([rng.uniform(0, 900, (25, 3)), *tables.keypoints])
    valid = np.array([True, *tables.valid])
    np.savez(folder / "valid_frame.npz", imgname=names, valid=valid)
    np.savez(
        folder / "keypoints.npz",
        imgname=names[valid],
        center=rng.uniform(0, 900, (valid.sum(), 2)),
        scale=rng.uniform(1, 4, valid.sum()),
        keypoints=points[valid],
        gender=np.full(valid.sum(), one.genders[one.interactee][0]),
    )
    order = [tables.pv[0], *rng.permutation(tables.pv[1:]).tolist()]
    (folder / f"{folder.name}_pv.txt").write_text("\n".join(order) + "\n", encoding="utf-8")


def _add_bad_pictures(root: Path, folder: Path, one: Recorded, first: int, tables: _Tables, truth: Truth) -> None:
    """Append nine labelled pictures that cannot be used, the last one behind the end of the recording."""
    results = root / f"smplx_interactee_{one.split}" / one.name / f"body_idx_{one.interactee}" / "results"
    person: Parameters = next(true.parameters for key, true in truth.people.items() if key[0] == one.split)
    content = fit_content(person, one.genders[one.interactee])
    picture = next(iter(sorted((folder / "PV").iterdir()))).read_bytes()
    row = tables.pv[1].split(",")
    kinds = ["unseen", "singular", "short", "no row", "no fit", "wide hands", "no picture", "half a picture", "late"]
    for i, kind in enumerate(kinds):
        stamp, number = str(132_754_999_000_000_000 + _STEP * i), first + i
        name = f"{stamp}_frame_{number:05d}.jpg"
        _list_picture(tables, one, name, tables.keypoints[0], is_valid=kind != "unseen")
        rest = {"singular": [*row[1:3], *["0.0"] * 16], "short": row[1:-1]}.get(kind, row[1:])
        if kind != "no row":
            tables.pv.append(",".join([stamp, *rest]))
        if kind != "no fit":
            hands = {"right_hand_pose": np.zeros((1, 45), np.float32)} if kind == "wide hands" else {}
            write_pickle(results / f"frame_{number:05d}" / "000.pkl", {**content, **hands})
        if kind != "no picture":
            (folder / "PV" / name).write_bytes(picture[:-20] if kind == "half a picture" else picture)
    truth.expected[one.split]["rejects"] = dict(EXPECTED[one.split]["rejects"])
