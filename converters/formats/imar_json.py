"""The JSON files of IMAR's studios (Fit3D, CHI3D, HumanSC3D): SMPL-X as rotation matrices in a world, and cameras.

A folder of a subject holds, for each action, one file of fits and one of joints, and for each camera one file of
calibration and one video. Fits are neutral SMPL-X with absolute hands: the owner poses them with a layer that adds no
mean. The calibration with distortion belongs to the pixels as they lie in the videos. Frame n of the labels is the
n-th frame of the video, counted from 0; a video may go on after the labels end. In the first release (2022) the joints
came 200 a second beside 50 frames and fits: joint 4 n belongs to frame n.
Facts: imar_vision_datasets_tools ``util/dataset_util.py``, ``util/smplx_util.py``, issue 1 (the rates, in the owner's
words); smplx ``SMPLXLayer.forward``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from ...body.cameras import Distortion, intrinsics, parameters_to_camera, rigid, transform_points
from ...body.models import model_dir
from ...body.rotations import matrix_to_axis_angle
from ...errors import RawFileError, RawSchemaError, UnknownNameError
from ...shards.record import Camera, Frame, Labels, Person, Provenance, Reject
from ..bodies import Bodies
from ..pictures import assemble
from ..raw import are_intrinsics, first_dir, list_files, load_json, natural_key, require, with_confidence
from ..source import Source, slug
from .video import VideoFrame

SIZE = (900, 900)  # of every video
NUM_BETAS = 10
# Of each person and frame.
ROTATIONS = {"global_orient": 1, "body_pose": 21, "left_hand_pose": 15, "right_hand_pose": 15} | dict.fromkeys(
    ("jaw_pose", "leye_pose", "reye_pose"), 1
)
VECTORS = {"betas": NUM_BETAS, "expression": 10, "transl": 3}
NUM_JOINTS = 25
_FIT = "fitted"
_LABELS = Labels(body=_FIT, left_hand=_FIT, right_hand=_FIT, face=_FIT, shape=_FIT)
_FIRST_RATE = 4  # joints a frame in the first release
_SLACK = 1e-3  # matrices are written with the digits of float32
_NONE = Camera()


@dataclass(frozen=True, eq=False)
class Action:
    """Everyone in all frames of an action, in the world: arrays (people, frames, ...)."""

    parameters: dict[str, Float[np.ndarray, "people frames ..."]]  # rotations as axis-angle
    pelvis: Float[np.ndarray, "people frames 3"] | None  # rest pelvis of each shape, m; None without a body model
    joints: Float[np.ndarray, "people frames 25 3"]
    problems: dict[tuple[int, int], tuple[str, str]]  # person and frame: why they cannot be used


def imar_sources(root: Path, split: str, dataset: str, every: str, people: int = 1) -> list[Source]:
    """Return the actions of a split, each with all its cameras; every ``every``-th frame is to be converted."""
    if not every.isdecimal() or int(every) < 1:
        raise UnknownNameError("step of frames", every, ("1", "10"))
    models = model_dir()
    base = first_dir(root, f"{dataset}/{split}", split)
    units = []
    for fits in list_files(base, "*/smplx/*.json"):
        subject, action = fits.parents[1], fits.stem
        files = {"fits": fits, "joints": subject / "joints3d_25" / fits.name}
        for camera in _camera_names(subject):
            files[f"camera {camera}"] = subject / "camera_parameters" / camera / fits.name
            files[f"video {camera}"] = subject / "videos" / camera / f"{action}.mp4"
        files |= {} if models is None else {"body_models": models}
        options = {"sequence": f"{subject.name}/{action}", "every": every, "people": str(people)}
        units.append(Source(slug(f"{subject.name}-{action}"), root, split, files, options))
    return units


def _camera_names(subject: Path) -> list[str]:
    """Return the cameras of a subject, whether calibration or videos tell of them."""
    folders = [path for name in ("camera_parameters", "videos") for path in subject.glob(f"{name}/*") if path.is_dir()]
    if not folders:
        raise RawFileError(subject / "camera_parameters", "holds no folder of a camera", "unpack the archive again")
    return sorted({path.name for path in folders}, key=natural_key)


def imar_frames(source: Source) -> Iterator[Frame | Reject]:
    """Yield every frame of every camera with its people, or why they are left out."""
    action = _read_action(source)
    for name in _cameras(source):
        view = _View(source, action, name)
        for number in _numbers(source, action):
            yield from assemble(
                view.key(number),
                VideoFrame(source.files[f"video {name}"], number),
                [view.person(i, number) for i in range(len(action.joints))],
                view.place(f"frame {number}"),
                expected_size=SIZE,
                camera=view.camera,
                sequence=source.options["sequence"],
                frame_index=number,
                camera_name=name,
            )


def imar_people(source: Source) -> int:
    """Return the number of people times frames times cameras of an action."""
    action = _read_action(source)
    return len(action.joints) * len(_numbers(source, action)) * len(_cameras(source))


def _cameras(source: Source) -> list[str]:
    return [role.split(" ", 1)[1] for role in source.files if role.startswith("camera ")]


def _numbers(source: Source, action: Action) -> range:
    """Return the frames to convert."""
    return range(0, action.joints.shape[1], int(source.options["every"]))


def _read_action(source: Source) -> Action:
    """Return the labels of an action; RawSchemaError when its files disagree."""
    people = int(source.options["people"])
    fits, joints = source.files["fits"], source.files["joints"]
    matrices, vectors = read_fits(fits, people)
    places = read_joints(joints, people)
    frames = vectors["transl"].shape[1]
    if places.shape[1] > frames > 1 and -(-places.shape[1] // _FIRST_RATE) == frames:
        places = places[:, ::_FIRST_RATE]
    if places.shape[1] != frames:
        hint = "both files have to be of one release"
        raise RawSchemaError(joints, "joints3d_25", f"of {frames} frames like {fits}", f"{places.shape[1]}", hint)
    is_turn = {name: are_rotations(value).all(axis=-1) for name, value in matrices.items()}
    problems: dict[tuple[int, int], tuple[str, str]] = {}
    for name, is_good in is_turn.items():
        for row in np.argwhere(~is_good):
            problems.setdefault(tuple(row.tolist()), ("bad_rotation", f"{name} holds matrices that are no rotations"))
    for name, value in vectors.items():
        for row in np.argwhere(~np.isfinite(value).all(axis=-1)):
            problems[tuple(row.tolist())] = ("nan_pose", f"{name} holds NaN")
    turns = {name: matrix_to_axis_angle(np.where(np.isfinite(value), value, 0)) for name, value in matrices.items()}
    turns |= {name: value[..., 0, :] for name, value in turns.items() if ROTATIONS[name] == 1}
    model = Bodies(source.files.get("body_models")).model("smplx", "neutral", NUM_BETAS)
    pelvis = None
    if model is not None:
        pelvis = model.pelvis_offset(vectors["betas"].reshape(-1, NUM_BETAS)).reshape(people, frames, 3)
    return Action({**turns, **vectors}, pelvis, places, problems)


def read_fits(path: Path, people: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return rotations (people, frames, n, 3, 3) and vectors (people, frames, n) by name; RawSchemaError otherwise."""
    record = load_json(path)
    require(path, record, *ROTATIONS, *VECTORS)
    shapes = {name: (n, 3, 3) for name, n in ROTATIONS.items()} | {name: (n,) for name, n in VECTORS.items()}
    frames = len(record["transl"]) if people == 1 else len(record["transl"][0])
    read = {name: _array(path, name, record[name], people, (frames, *shape)) for name, shape in shapes.items()}
    return {name: read[name] for name in ROTATIONS}, {name: read[name] for name in VECTORS}


def read_joints(path: Path, people: int) -> Float[np.ndarray, "people frames 25 3"]:
    """Return the joints (m, world); RawSchemaError for a file of another shape."""
    record = load_json(path)
    require(path, record, "joints3d_25")
    return _array(path, "joints3d_25", record["joints3d_25"], people, (None, NUM_JOINTS, 3))


def _array(path: Path, name: str, value: Any, people: int, shape: tuple[int | None, ...]) -> np.ndarray:
    """Return numbers with an axis of people in front; a file of one person has none."""
    wanted = (people, *shape) if people > 1 else shape
    try:
        array = np.array(value, np.float64)
    except (ValueError, TypeError):
        array = np.zeros(0)
    if array.ndim != len(wanted) or any(size not in (None, n) for size, n in zip(wanted, array.shape, strict=True)):
        expected = f"numbers of shape ({', '.join('frames' if size is None else str(size) for size in wanted)})"
        hint = "an old release of CHI3D tells of one person only: get the present one" if people > 1 else ""
        raise RawSchemaError(path, name, expected, f"shape {array.shape}", hint)
    return array if people > 1 else array[None]


def are_rotations(matrices: Float[np.ndarray, "*n 3 3"]) -> Bool[np.ndarray, "*n"]:
    """Return which matrices are rotations but for rounding: finite, orthonormal, without a mirror."""
    sound = np.where(np.isfinite(matrices), matrices, 0)
    products = sound @ np.swapaxes(sound, -1, -2)
    return (np.abs(products - np.eye(3)).max(axis=(-2, -1)) < _SLACK) & (np.linalg.det(sound) > 0)


def read_camera(path: Path) -> tuple[Camera, str]:
    """Return the camera of a calibration, or one without content and what is wrong with the file.

    ``extrinsics.T`` is where the camera stands, so a point of the world comes to it as ``R (x - T)``.
    """
    if not path.is_file():
        return _NONE, "there is no file of its calibration"
    record = load_json(path)
    try:
        turn = np.array(record["extrinsics"]["R"], np.float64).reshape(3, 3)
        place = np.array(record["extrinsics"]["T"], np.float64).reshape(3)
        f, c, k, p = (np.ravel(record["intrinsics_w_distortion"][name]).astype(np.float64) for name in "fckp")
        K = intrinsics(*f[:2], *c[:2])
        bend = Distortion("brown_conrady", (float(k[0]), float(k[1]), float(p[0]), float(p[1]), float(k[2])))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        return _NONE, f"its calibration is incomplete ({error})"
    is_sound = are_intrinsics(K) and are_rotations(turn[None]).all() and np.isfinite([*place, *bend.coefficients]).all()
    if not is_sound:
        return _NONE, "its calibration holds NaN or no rotation"
    T_camera_world = rigid(turn, -turn @ place)
    return Camera(K=K, kind="measured", distortion=bend, T_camera_world=T_camera_world), ""


class _View:
    """An action as one camera sees it."""

    def __init__(self, source: Source, action: Action, name: str) -> None:
        self.camera, self._problem = read_camera(source.files[f"camera {name}"])
        self._action, self._name, self._sequence = action, name, source.options["sequence"]
        self._fields = _in_camera(action, self.camera)
        self._files = ";".join(source.relative(source.files[role]) for role in ("fits", "joints"))

    def key(self, number: int) -> str:
        """Return the key of a frame."""
        return f"{self._sequence}/{self._name}/{number:05d}"

    def place(self, row: str) -> Provenance:
        """Return where labels stand."""
        return Provenance(file=self._files, row=row)

    def person(self, person: int, number: int) -> Person | Reject:
        """Return somebody in camera space, or why the labels cannot be used."""
        provenance = self.place(f"person {person} frame {number}")
        reason, detail = self._action.problems.get((person, number), ("", ""))
        if self._problem:
            reason, detail = "bad_camera", f"camera {self._name}: {self._problem}"
        if reason:
            key = f"{self.key(number)}/{person}"
            return Reject(key=key, reason=reason, detail=f"frame {number}: {detail}", provenance=provenance)
        return Person(
            provenance=provenance,
            labels=_LABELS,
            body_model="smplx",
            gender="neutral",
            keypoints_3d_convention="imar_25",
            track=f"{self._sequence}/{person}",
            **{name: values[person, number] for name, values in self._fields.items()},
        )


def _in_camera(action: Action, camera: Camera) -> dict[str, np.ndarray]:
    """Return the arrays of Person for everyone in all frames, as float32; nothing without a camera.

    Without a body model the rest pelvis is unknown, and so is the translation.
    """
    T = camera.T_camera_world
    if T is None:
        return {}
    fields = dict(action.parameters)
    offset = np.zeros_like(fields["transl"]) if action.pelvis is None else action.pelvis
    moved = parameters_to_camera(fields["global_orient"], fields.pop("transl"), offset, T)
    fields |= {"global_orient": moved[0]} | ({} if action.pelvis is None else {"transl": moved[1]})
    fields["keypoints_3d"] = with_confidence(transform_points(T, action.joints))
    return {name: values.astype(np.float32) for name, values in fields.items()}
