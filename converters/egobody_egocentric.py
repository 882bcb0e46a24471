"""EgoBody seen through the HoloLens 2 that one of the two people wears (Zhang et al., ECCV 2022). A benchmark.

Only the interactee is labelled, with the fits of the Kinects: they lie in the space of the master Kinect and come to
each picture through the headset's world. The headset drops pictures, so everything is joined on frame numbers and
timestamps. Pictures in which the owner detected fewer than six joints are rejects.
Facts: EgoBody ``README.md``, ``release_renderer_fpv_gaze.py``, ``utils.py``.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ..errors import RawFileError, RawSchemaError
from ..shards.record import Camera, Frame, Person, Provenance, Reject
from .formats.egobody_recording import ROLES, Fit, Fits, common_files, fit_dirs, recording_of, split_recordings
from .formats.hololens import read_headset
from .formats.keypoints import sound_points
from .formats.world_body import are_rigid
from .pictures import assemble
from .raw import first_dir, first_file, list_files, load_columns, load_json, require
from .source import Source, slug

VERSION = 1

INTERACTEE = ROLES[0]
_NAME = re.compile(r"(\d+)_frame_(\d+)\.jpg")  # timestamp, number of the frame


def sources(root: Path, split: str) -> list[Source]:
    """Return the recordings of a split that the headset's files are there of."""
    pictures, fits = first_dir(root, "egocentric_color"), fit_dirs(root, split, INTERACTEE)
    names = [name for name in split_recordings(root, split) if (pictures / name).is_dir()]
    return [
        Source(slug(name), root, split, fits | common_files(root, name) | _files(pictures / name), {"recording": name})
        for name in names
    ]


def _files(recording: Path) -> dict[str, Path]:
    """Return the files of the headset; RawFileError unless a recording has exactly one folder named by its date."""
    folders = sorted(path for path in recording.glob("202*") if path.is_dir())
    if len(folders) != 1:
        raise RawFileError(recording, f"holds {len(folders)} folders 202*", "each recording has one; unpack it again")
    names = {"seen": "valid_frame.npz", "keypoints": "keypoints.npz"}
    files = {role: first_file(folders[0], name) for role, name in names.items()}
    return {**files, "headset": list_files(folders[0], "*_pv.txt")[0], "images": folders[0] / "PV"}


def frames(source: Source) -> Iterator[Frame | Reject]:
    """Yield every picture of a recording with the interactee, or why it is left out."""
    recording, headset, T = recording_of(source), read_headset(source.files["headset"]), _headset_to_master(source)
    fits, keypoints = Fits(source, INTERACTEE, recording), _keypoints(source)
    for name, number, is_seen in _pictures(source, fits):
        key = f"{recording.name}/{number:05d}"
        found, problem = headset.camera(name.partition("_")[0], T)
        camera = found or Camera()
        fit = fits.read(number)
        if not fit.reason and not is_seen:
            problem = "valid_frame.npz says that fewer than six joints of the interactee were detected"
            fit = Fit(fit.provenance, reason="not_visible", detail=problem)
        elif not fit.reason and found is None:
            fit = Fit(fit.provenance, reason="bad_camera", detail=f"{source.files['headset'].name}: {problem}")
        yield from assemble(
            key,
            source.files["images"] / name,
            [_person(key, fits, fit, camera, keypoints.get(number))],
            Provenance(file=source.relative(source.files["seen"]), row=name),
            expected_size=headset.size,
            camera=camera,
            sequence=recording.name,
            frame_index=number,
            camera_name="hololens",
        )


def count_people(source: Source) -> int:
    """Return the number of the headset's pictures that an interactee is labelled for."""
    return len(_pictures(source, Fits(source, INTERACTEE, recording_of(source))))


def _pictures(source: Source, fits: Fits) -> list[tuple[str, int, bool]]:
    """Return name, frame number and visibility of the pictures, without those that nobody recorded is said to be in.

    The files also list pictures before and after the recording; the owner asks to ignore them.
    """
    columns = load_columns(source.files["seen"], {"imgname": (), "valid": ()})
    rows = []
    for path, is_seen in zip(columns["imgname"].tolist(), columns["valid"].tolist(), strict=True):
        name = PurePosixPath(path).name
        number = _number(source.files["seen"], name)
        if number in fits.recording.frames or number in fits.numbers:
            rows.append((name, number, bool(is_seen)))
    return rows


def _number(path: Path, name: str) -> int:
    """Return the number of the frame in the name of a picture."""
    found = _NAME.fullmatch(name)
    if not found:
        raise RawSchemaError(path, "imgname", "<timestamp>_frame_<number>.jpg", repr(name))
    return int(found[2])


def _headset_to_master(source: Source) -> np.ndarray:
    """Return the transform from the headset's world to the master Kinect."""
    path = source.files["calibration"] / "holo_to_kinect12.json"
    content = load_json(path)
    require(path, content, "trans")
    T = np.array(content["trans"], np.float64)
    if T.shape != (4, 4) or not are_rigid(T):
        raise RawSchemaError(path, "trans", "a rigid transform, 4 x 4", str(T.tolist()))
    return T


def _keypoints(source: Source) -> dict[int, np.ndarray]:
    """Return the keypoints that OpenPose found, by frame number."""
    columns = load_columns(source.files["keypoints"], {"imgname": (), "keypoints": (25, 3)})
    numbers = [_number(source.files["keypoints"], PurePosixPath(path).name) for path in columns["imgname"].tolist()]
    return dict(zip(numbers, sound_points(columns["keypoints"]), strict=True))


def _person(key: str, fits: Fits, fit: Fit, camera: Camera, points: np.ndarray | None) -> Person | Reject:
    """Return the interactee before the headset's camera, or why not."""
    is_marked = points is not None and bool(points[:, 2].any())
    more: dict[str, Any] = {"keypoints_2d": points, "keypoints_2d_convention": "openpose_25"} if is_marked else {}
    more |= {"labels": fits.labels(keypoints_2d=is_marked), "track": f"{fits.recording.name}/{INTERACTEE}"}
    return fit.person(key, camera, **more)
