"""An EgoBody look-alike as its Kinects see it: three views in 2021, five in 2022, distorted pictures."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from ehps.body.cameras import Distortion, intrinsics, invert_rigid, rigid
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
from ehps.tests.raw._lens import bent
from ehps.tests.raw._owner_pickles import write_pickle
from ehps.tests.raw._people import TruePerson, Truth, backdrop, rotation, vertices, write_picture

SPLITS = ("train", "val", "test")
EXPECTED = {
    "train": {
        "frames": 14,
        "people": 22,
        "rejects": {
            "missing_calibration": 2,
            "missing_fit": 6,
            "bad_fit": 3,
            "missing_image": 5,
            "damaged_image": 2,
            "outside_range": 6,
        },
    },
    "val": {"frames": 5, "people": 10, "rejects": {}},
    "test": {"frames": 3, "people": 6, "rejects": {}},
}
# View -> number of the Kinect, fx, fy, cx, cy, the eight numbers of its lens, turn about the middle of the room (rad).
_VIEWS = {
    "master": (12, (914.0, 913.5, 957.3, 551.2), (0.52, -2.71, 0.0004, -0.0002, 1.57, 0.40, -2.52, 1.49), 0.0),
    "sub_1": (11, (908.2, 907.9, 961.9, 547.1), (0.49, -2.60, 0.0007, -0.0001, 1.50, 0.37, -2.41, 1.42), 0.7),
    "sub_2": (13, (917.6, 917.0, 952.4, 553.9), (0.55, -2.80, 0.0002, -0.0005, 1.61, 0.43, -2.60, 1.53), -0.6),
    "sub_3": (14, (911.1, 911.6, 955.5, 549.0), (0.50, -2.65, -0.0003, 0.0001, 1.53, 0.38, -2.46, 1.45), 1.1),
    "sub_4": (15, (916.3, 915.2, 963.0, 556.6), (0.53, -2.74, 0.0005, 0.0003, 1.58, 0.41, -2.55, 1.50), -1.2),
}
_UNCALIBRATED = Recorded("recording_20211002_S06_S08_03", "train", ("female", "female"), 0, "seminar_j716_0405", 7)


def build(
    root: Path, *, frames: int = 3, pictures: str = "plain", seed: int = 110, bad: bool = True, times: int = 1
) -> Truth:
    """Write the tree with about ``frames`` times ``times`` frames, each with all views of its recording."""
    truth = Truth(expected={split: {"frames": 0, "people": 0, "rejects": {}} for split in SPLITS})
    lengths = {one.name: max(1, round(frames * times / len(RECORDINGS))) for one in RECORDINGS}
    if bad:
        lengths[_UNCALIBRATED.name] = 1
    recordings = [*RECORDINGS, *([_UNCALIBRATED] if bad else [])]
    for view, (_, lens, k, _) in _VIEWS.items():
        f, c = list(lens[:2]), list(lens[2:])
        content = {
            "f": f,
            "c": c,
            "camera_mtx": intrinsics(*lens).tolist(),
            "k": list(k),
            "R": [0, 0, 0],
            "T": [0, 0, 0],
        }
        write_json(root / "kinect_cam_params" / f"kinect_{view}" / "Color.json", content)
    for number, one in enumerate(recordings):
        rng = np.random.default_rng([seed, number])
        _write_recording(root, rng, one, lengths[one.name], truth, pictures)
    if bad:
        lengths[RECORDINGS[0].name] += 5
        _add_bad_frames(root, RECORDINGS[0], lengths[RECORDINGS[0].name], truth)
        (root / "calibrations" / _UNCALIBRATED.name / "cal_trans" / "kinect_11to12_color.json").unlink()
    write_tables(root, recordings, lengths)
    return truth


def _views(one: Recorded) -> list[str]:
    """Return the views of a recording; the uncalibrated one has lost its third."""
    names = list(_VIEWS) if "_2022" in one.name else list(_VIEWS)[:3]
    return names[:2] if one is _UNCALIBRATED else names


def _write_recording(
    root: Path, rng: np.random.Generator, one: Recorded, length: int, truth: Truth, pictures: str
) -> None:
    """Write calibrations, fits and pictures of a recording, and note its people in every view."""
    people = cast(rng, one, length)
    for body in (0, 1):
        write_fits(root, one, body, people[body])
    calibrations = root / "calibrations" / one.name / "cal_trans"
    write_json(calibrations / "kinect12_to_world" / f"{one.scene}.json", {"trans": np.eye(4).tolist()})
    write_json(calibrations / "holo_to_kinect12.json", {"trans": np.eye(4).tolist()})
    for view in _views(one):
        number, _, _, turn = _VIEWS[view]
        middle = np.array([0.0, 0.0, 3.2]) + rng.normal(0, 0.1, 3) * (view != "master")
        R = rotation(y=turn) @ rotation(x=0.1 * turn)
        T = rigid(R, middle - R @ middle) if turn else np.eye(4)
        if turn:
            write_json(calibrations / f"kinect_{number}to12_color.json", {"trans": invert_rigid(T).tolist()})
        if turn and one is _UNCALIBRATED:  # its calibration is deleted later on
            truth.expected[one.split]["rejects"]["missing_calibration"] = 2 * length
            seen = []
        else:
            seen = [before_camera(gender, own, T) for gender, own in zip(one.genders, people, strict=True)]
            truth.expected[one.split]["frames"] += length
            truth.expected[one.split]["people"] += 2 * length
        trues = [_note(truth, one, view, body, own) for body, own in enumerate(seen)]
        _write_pictures(root / "kinect_color" / one.name / view, rng, one, length, trues, pictures)


def _note(truth: Truth, one: Recorded, view: str, body: int, people: list) -> list[TruePerson]:
    """Note one body in one view on all frames."""
    _, lens, k, _ = _VIEWS[view]
    common = TruePerson(
        {}, LABELLED, intrinsics(*lens), SIZE, gender=one.genders[body], distortion=Distortion("brown_conrady", k)
    )
    trues = [replace(common, parameters=person) for person in people]
    for i, true in enumerate(trues):
        truth.people[one.split, f"{one.name}/{view}/{one.first + i:05d}", one.role(body)] = true
    return trues


def _write_pictures(
    folder: Path, rng: np.random.Generator, one: Recorded, length: int, trues: list[list[TruePerson]], pictures: str
) -> None:
    """Write the pictures of a view; rendered ones are bent by the lens, plain ones are all the same file."""
    place = backdrop(rng, SIZE, pictures)
    first = folder / f"frame_{one.first:05d}.jpg"
    for i in range(length):
        if pictures == "rendered":
            people = [own[i] for own in trues]
            meshes = np.concatenate([vertices(true.model, [true.parameters]) for true in people])
            worn = np.stack([standin_vertex_colors("smplx", rng) for _ in people])
            picture = render_mesh(place, meshes, people[0].model.triangles, people[0].K, color=worn)
            write_picture(
                folder / f"frame_{one.first + i:05d}.jpg",
                bent(picture, people[0].K, Distortion("brown_conrady", _VIEWS[folder.name][2])),
            )
        elif i == 0:
            write_picture(first, place)
        else:
            (folder / f"frame_{one.first + i:05d}.jpg").write_bytes(first.read_bytes())


def _add_bad_frames(root: Path, one: Recorded, end: int, truth: Truth) -> None:
    """Append six frames: a fit lost, hands of 45 numbers, a picture lost, half a picture, no picture, one too late."""
    views, wanted = _views(one), truth.expected[one.split]
    pictures = {view: (root / "kinect_color" / one.name / view / f"frame_{one.first:05d}.jpg") for view in views}
    fits = [root / f"smplx_{one.role(b)}_{one.split}" / one.name / f"body_idx_{b}" / "results" for b in (0, 1)]
    source = {b: truth.people[one.split, f"{one.name}/master/{one.first:05d}", one.role(b)].parameters for b in (0, 1)}
    for number in range(one.first + end - 5, one.first + end + 1):  # the last one lies behind the end of the recording
        for body in (0, 1):
            write_pickle(fits[body] / f"frame_{number:05d}" / "000.pkl", fit_content(source[body], one.genders[body]))
        for view in views:
            pictures[view].with_name(f"frame_{number:05d}.jpg").write_bytes(pictures[view].read_bytes())
    lost, wide, gone, half, none = range(one.first + end - 5, one.first + end)
    (fits[0] / f"frame_{lost:05d}" / "000.pkl").unlink()
    hands = {**fit_content(source[1], one.genders[1]), "left_hand_pose": np.zeros((1, 45), np.float32)}
    write_pickle(fits[1] / f"frame_{wide:05d}" / "000.pkl", hands)
    pictures["sub_1"].with_name(f"frame_{gone:05d}.jpg").unlink()
    damaged = pictures["sub_2"].with_name(f"frame_{half:05d}.jpg")
    damaged.write_bytes(damaged.read_bytes()[:-20])
    for path in (fits[1] / f"frame_{none:05d}").iterdir():
        path.unlink()
    (fits[1] / f"frame_{none:05d}").rmdir()
    for view in views:
        pictures[view].with_name(f"frame_{none:05d}.jpg").unlink()
    wanted["rejects"] |= {"missing_fit": 6, "bad_fit": 3, "missing_image": 5, "damaged_image": 2, "outside_range": 6}
    wanted["frames"] += 3 + 3 + 2 + 2
    wanted["people"] += 3 + 3 + 4 + 4
