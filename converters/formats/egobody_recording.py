"""EgoBody's recordings of two people, and the SMPL-X fits of both that its two sources share.

``data_splits.csv`` has a column of recordings for each split, ``data_info_release.csv`` a row for each recording: its
frames, the genders of body 0 and 1, and which of them is the interactee, whom the other sees through the headset.
Fits lie in the space of the master Kinect's colour camera, whatever camera looks; they are gendered, hands are 12
components of the deviation from the mean hand.
Facts: EgoBody ``README.md``, ``release_renderer_kinect.py``, ``release_renderer_fpv_gaze.py``.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ...body.models import model_dir
from ...errors import RawDataError, RawFileError, RawSchemaError
from ...shards.record import Camera, Gender, Labels, Person, Provenance, Reject
from ..raw import first_dir, first_file
from ..source import Source
from .keeping import keeps_last
from .pca_hands import absolute_hands, hand_components
from .smplx_pickle import read_body
from .world_body import in_camera, rest_pelvis

ROLES = ("interactee", "camera_wearer")
SPLITS_FILE, INFO_FILE = "data_splits.csv", "data_info_release.csv"
INFO_COLUMNS = ("recording_name", "start_frame", "end_frame", "body_idx_0", "body_idx_1", "body_idx_fpv")
NUM_HAND_COMPONENTS = 12
_GENDERS: dict[str, Gender] = {"male": "male", "female": "female"}
_FIT = "fitted"


@dataclass(frozen=True)
class Recording:
    """What the table says about a recording."""

    name: str
    frames: range
    genders: tuple[Gender, Gender]  # of body 0 and body 1
    interactee: int  # number of the body that the headset looks at

    def body_of(self, role: str) -> int:
        """Return the number of the body that has a role."""
        return self.interactee if role == ROLES[0] else 1 - self.interactee


def split_recordings(root: Path, split: str) -> list[str]:
    """Return the names of the recordings of a split, in the order of the file."""
    path = first_file(root, SPLITS_FILE)
    rows = _read_table(path, (split,))
    return [row[split].strip() for row in rows if row[split] and row[split].strip()]


def fit_dirs(root: Path, split: str, *roles: str) -> dict[str, Path]:
    """Return the folders of the fits of some roles: those of the split, or of all splits as the readme has them."""
    return {role: first_dir(root, f"smplx_{role}_{split}", f"smplx_{role}") for role in roles}


def common_files(root: Path, recording: str) -> dict[str, Path]:
    """Return what both sources read of a recording, and the body models when the user has some."""
    calibration = root / "calibrations" / recording
    within = calibration / "cal_trans"  # the readme leaves this level out
    models = model_dir()
    files = {"info": first_file(root, INFO_FILE), "calibration": within if within.is_dir() else calibration}
    return files if models is None else {**files, "body_models": models}


@keeps_last
def read_recordings(path: Path) -> dict[str, Recording]:
    """Return the recordings of the table by name; RawSchemaError names the row that cannot be understood."""
    out = {}
    for row in _read_table(path, INFO_COLUMNS):
        try:
            genders: list[Gender] = [_GENDERS[row[f"body_idx_{body}"].split()[1]] for body in (0, 1)]
            interactee, gender = row["body_idx_fpv"].split()
            frames = range(int(float(row["start_frame"])), int(float(row["end_frame"])) + 1)
            if genders[int(interactee)] != gender:
                raise ValueError(f"body_idx_fpv is {row['body_idx_fpv']!r}")
        except (KeyError, IndexError, ValueError) as error:
            expected = "two frame numbers and bodies such as '0 female'"
            raise RawSchemaError(path, f"row {row['recording_name']!r}", expected, f"{error}") from error
        name = row["recording_name"].strip()
        out[name] = Recording(name, frames, (genders[0], genders[1]), int(interactee))
    return out


def _read_table(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """Return the rows of a CSV file as text; RawSchemaError when a column is missing."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        table = csv.DictReader(file)
        for name in columns:
            if name not in (table.fieldnames or ()):
                raise RawSchemaError(path, f"column {name!r}", "present", f"only {', '.join(table.fieldnames or ())}")
        return list(table)


def recording_of(source: Source) -> Recording:
    """Return the recording of a unit; RawSchemaError when the table lacks it."""
    known, name = read_recordings(source.files["info"]), source.options["recording"]
    if name not in known:
        raise RawSchemaError(source.files["info"], f"recording {name!r}", "present", f"{len(known)} other recordings")
    return known[name]


@dataclass(frozen=True)
class Fit:
    """One person on one frame, in the space of the master Kinect; without fields the reason why."""

    provenance: Provenance
    fields: Mapping[str, Any] = field(default_factory=dict)
    pelvis: Float[np.ndarray, "3"] | None = None  # at rest; None: not known without a body model
    reason: str = ""
    detail: str = ""

    def person(self, key: str, camera: Camera, **more: Any) -> Person | Reject:
        """Return the person before a camera, whose world is the master Kinect's, or why there is none."""
        if self.reason:
            return self.refused(key, self.reason, self.detail)
        assert camera.T_camera_world is not None
        return Person(
            provenance=self.provenance,
            body_model="smplx",
            **in_camera(dict(self.fields), camera.T_camera_world, self.pelvis),
            **more,
        )

    def refused(self, key: str, reason: str, detail: str) -> Reject:
        """Return a reject of the person."""
        return Reject(
            key=f"{key}/{self.provenance.row}", reason=reason, detail=f"{key}: {detail}", provenance=self.provenance
        )


class Fits:
    """The fits of one person of a recording."""

    def __init__(self, source: Source, role: str, recording: Recording) -> None:
        body = recording.body_of(role)
        self.source, self.role, self.recording = source, role, recording
        self.gender: Gender = recording.genders[body]
        self.folder = source.files[role] / recording.name / f"body_idx_{body}" / "results"
        self.models = source.files.get("body_models")

    @cached_property
    def numbers(self) -> frozenset[int]:
        """Return the frames that have a folder of fits."""
        if not self.folder.is_dir():
            raise RawFileError(self.folder, "no such folder", "unpack the fits of both people")
        names = [path.name.removeprefix("frame_") for path in self.folder.glob("frame_*")]
        return frozenset(int(name) for name in names if name.isdigit())

    @cached_property
    def components(self) -> Mapping[Any, np.ndarray]:
        """Return the hand components of the person's model."""
        return hand_components(self.models, self.gender, NUM_HAND_COMPONENTS)

    def labels(self, keypoints_2d: bool) -> Labels:
        """Return how the parts are labelled; hands need the user's body model."""
        hand = _FIT if self.components else None
        seen = "pseudo" if keypoints_2d else None
        return Labels(body=_FIT, left_hand=hand, right_hand=hand, face=_FIT, shape=_FIT, keypoints_2d=seen)

    def read(self, number: int) -> Fit:
        """Return the person on a frame."""
        path = self.folder / f"frame_{number:05d}" / "000.pkl"
        file = path if path.is_file() else self.source.files["info"]
        provenance = Provenance(file=self.source.relative(file), row=self.role)
        if number not in self.recording.frames:
            frames = self.recording.frames
            detail = f"the owner's table has frames {frames.start} to {frames.stop - 1} of this recording"
            return Fit(provenance, reason="outside_range", detail=detail)
        if not path.is_file():
            return Fit(provenance, reason="missing_fit", detail=f"{self.source.relative(path)} is not there")
        try:
            body = read_body(path, hand_components=NUM_HAND_COMPONENTS)
        except RawDataError as error:
            return Fit(provenance, reason="bad_fit", detail=str(error))
        fields = {**body, **absolute_hands(body, self.components), "gender": self.gender}
        return Fit(provenance, fields, rest_pelvis(body["betas"], self.gender, self.models))
