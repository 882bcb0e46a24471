"""Recordings of two people for both EgoBody look-alikes: tables, calibrations, fits in the master Kinect's space.

Hands are made of the 12 components that the owner's files hold, so that nothing is lost on the way.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ehps.body.cameras import intrinsics, transform_points
from ehps.body.hands import HAND_MEANS
from ehps.body.models import read_hand_components
from ehps.body.posing import model_path
from ehps.body.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from ehps.body.standin import standin_dir
from ehps.tests.raw._owner_pickles import write_pickle
from ehps.tests.raw._people import Parameters, batch, body_model, place, random_parameters, stand_in_a_row

SIZE = (1920, 1080)
NUM_COMPONENTS = 12
ROLES = ("interactee", "camera_wearer")
LABELLED = frozenset(
    ["global_orient", "body_pose", "left_hand_pose", "right_hand_pose", "jaw_pose", "leye_pose", "reye_pose"]
    + ["betas", "expression", "transl"]
)
_K = intrinsics(914.0, 913.5, 957.3, 551.2)  # what people are placed by; each camera has its own


@dataclass(frozen=True)
class Recorded:
    """One recording: names as the owner's, the bodies by their number."""

    name: str
    split: str
    genders: tuple[str, str]
    interactee: int
    scene: str
    first: int  # frame

    def role(self, body: int) -> str:
        """Return what a body is called in the names of archives."""
        return ROLES[0] if body == self.interactee else ROLES[1]


RECORDINGS = (
    Recorded("recording_20210907_S02_S01_01", "train", ("female", "male"), 1, "seminar_g110_0315", 10),
    Recorded("recording_20220225_S27_S26_01", "val", ("male", "male"), 0, "cab_g_benches", 1001),
    Recorded("recording_20210921_S05_S12_02", "test", ("male", "female"), 1, "foodlab_0312", 300),
)


def write_tables(root: Path, recordings: Sequence[Recorded], lengths: Mapping[str, int]) -> None:
    """Write both CSV files; the columns of the splits are padded."""
    rows = []
    for one in recordings:
        bodies = [f"{body} {gender}" for body, gender in enumerate(one.genders)]
        last = one.first + lengths[one.name] - 1
        rows.append([one.scene, one.name, one.first, last, *bodies, bodies[one.interactee]])
    header = "scene_name recording_name start_frame end_frame body_idx_0 body_idx_1 body_idx_fpv".split()
    _write_csv(root / "data_info_release.csv", header, rows)
    columns = {split: [one.name for one in recordings if one.split == split] for split in ("train", "val", "test")}
    height = max(len(names) for names in columns.values())
    padded = [[*names, *[""] * (height - len(names))] for names in columns.values()]
    _write_csv(root / "data_splits.csv", list(columns), list(zip(*padded, strict=True)))


def _write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def write_json(path: Path, content: object) -> None:
    """Write a JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def cast(rng: np.random.Generator, one: Recorded, length: int) -> list[list[Parameters]]:
    """Return both bodies on each frame, in the master's space; each keeps its shape."""
    subjects = [random_parameters(rng)["betas"] for _ in one.genders]
    out: list[list[Parameters]] = [[], []]
    for _ in range(length):
        people = [_with_component_hands({**random_parameters(rng), "betas": betas}) for betas in subjects]
        for person in people:
            person |= {f"{side}eye_pose": rng.normal(0, 0.05, 3) for side in "lr"}
        # The pelvis of the neutral body is near enough to stand on the floor by.
        placed = stand_in_a_row(rng, body_model("smplx", "neutral", 10), people, _K, SIZE, height_share=0.5)
        for body, person in enumerate(placed):
            out[body].append(person)
    return out


def _with_component_hands(person: Parameters) -> Parameters:
    """Return a person whose hands are the mean and the first components alone."""
    for side, basis in _components().items():
        deviation = (person[f"{side}_hand_pose"] - HAND_MEANS[side]).reshape(45)
        kept = basis[:NUM_COMPONENTS].T @ (basis[:NUM_COMPONENTS] @ deviation)  # the stand-in's basis is orthonormal
        person[f"{side}_hand_pose"] = HAND_MEANS[side] + kept.reshape(15, 3)
    return person


@lru_cache(maxsize=1)
def _components() -> dict[str, np.ndarray]:
    return read_hand_components(model_path(standin_dir(), "smplx", "neutral"), 45)


def before_camera(gender: str, people: Sequence[Parameters], T: np.ndarray) -> list[Parameters]:
    """Return people of the master's space before another camera: pelvises move, then the translation follows."""
    model = body_model("smplx", gender, 10)
    pelvises = transform_points(T, model.kinematic(batch(people))[2][:, 0] + batch(people)["transl"])
    turned = [
        {**p, "global_orient": matrix_to_axis_angle(T[:3, :3] @ axis_angle_to_matrix(p["global_orient"]))}
        for p in people
    ]
    return place(model, turned, pelvises)


def write_fits(root: Path, one: Recorded, body: int, people: Sequence[Parameters]) -> Path:
    """Write the pickles of one body and return their folder."""
    folder = root / f"smplx_{one.role(body)}_{one.split}" / one.name / f"body_idx_{body}" / "results"
    for i, person in enumerate(people):
        path = folder / f"frame_{one.first + i:05d}" / "000.pkl"
        write_pickle(path, fit_content(person, one.genders[body]))
    return folder


def fit_content(person: Parameters, gender: str) -> dict[str, object]:
    """Return what a pickle of the owner holds: a batch of one, and what the fitting left behind."""
    content: dict[str, object] = {name: person[name].reshape(1, -1).astype(np.float32) for name in sorted(LABELLED)}
    for side, basis in _components().items():
        deviation = (person[f"{side}_hand_pose"] - HAND_MEANS[side]).reshape(45)
        content[f"{side}_hand_pose"] = (basis[:NUM_COMPONENTS] @ deviation)[None].astype(np.float32)
    content |= {"gender": gender, "pose_embedding": np.zeros((1, 32), np.float32)}
    content |= {
        "camera_rotation": np.eye(3, dtype=np.float32)[None],
        "camera_translation": np.zeros((1, 3), np.float32),
    }
    return content
