"""A DNA-Rendering look-alike: SMC files of a dome with two resolutions, one actor a take, cameras written to the world.

The take of part 1 has fewer expressions than time steps, as one of the owner's has; one of part 2 has a single row of
betas. Cameras of 5 megapixels lie, those of 12 stand, as their principal points tell.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import cv2
import h5py
import numpy as np

from ehps.body.cameras import Distortion, intrinsics, invert_rigid, project, rigid, transform_points
from ehps.body.draw import render_mesh
from ehps.body.hands import to_deviation
from ehps.body.keypoints import CONVENTIONS
from ehps.body.posing import PosingModel
from ehps.body.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from ehps.body.standin import standin_vertex_colors
from ehps.tests.raw._people import (
    Parameters,
    TruePerson,
    Truth,
    backdrop,
    batch,
    body_model,
    joints,
    place,
    points_2d,
    random_parameters,
    rotation,
    vertices,
)

SPLITS = ("train", "test")
LABELLED = frozenset(
    {"global_orient", "body_pose", "betas", "transl", "left_hand_pose", "right_hand_pose"}
    | {"jaw_pose", "leye_pose", "reye_pose", "expression"}
)
FACE = frozenset({"jaw_pose", "leye_pose", "reye_pose", "expression"})
D = np.array([-0.09, 0.06, 0.0006, -0.0004, -0.01])
_SIZES = {"Camera_5mp": (2448, 2048), "Camera_12mp": (3000, 4096)}
_GROUPS = {0: "Camera_5mp", 7: "Camera_5mp", 48: "Camera_12mp"}
_UNSOUND = {"Camera_5mp": 9, "Camera_12mp": 49}  # numbers of cameras without a calibration
RIG_GROUPS = {"5mp": "Camera_5mp", "12mp": "Camera_12mp"}


@dataclass(frozen=True)
class _Take:
    """What is made of one performance."""

    name: str
    part: int
    gender: str
    steps: int  # good ones
    extra: int = 0  # bad ones behind them
    one_shape: bool = False  # a single row of betas
    expressions: int | None = None  # fewer than steps

    @property
    def split(self) -> str:
        return "test" if self.part == 1 else "train"

    def folder(self, root: Path, what: str) -> Path:
        return root / f"Part_{self.part}" / f"dna_rendering_part{self.part}_{what}"


@dataclass(frozen=True, eq=False)
class _Camera:
    """A camera of the dome: where it is, and what it sees."""

    number: int
    group: str
    K: np.ndarray
    T_world_camera: np.ndarray

    @property
    def size(self) -> tuple[int, int]:
        return _SIZES[self.group]


def build(
    root: Path, rig: str, *, steps: int = 3, pictures: str = "plain", seed: int = 130, bad: bool = True, times: int = 1
) -> Truth:
    """Write the tree with ``steps`` good time steps a take, and return the truth of one rig."""
    truth = Truth(expected={split: {"frames": 0, "people": 0, "rejects": {}} for split in SPLITS})
    length = steps * times
    takes = [
        _Take("0163_10", 2, "male", length, extra=3 * bad, one_shape=True),
        _Take("0031_02", 2, "female", length),
        _Take("0018_05", 1, "female", length, expressions=2),
    ]
    for number, take in enumerate(takes):
        rng = np.random.default_rng([seed, number])
        _write_take(root, take, rng, rig, pictures, truth)
    if bad:
        _write_pictures_alone(root, replace(takes[1], name="0164_01", steps=2))
        good = [camera for camera, group in _GROUPS.items() if group == RIG_GROUPS[rig]]
        of_each = dict.fromkeys(("nan_pose", "missing_image", "damaged_image"), len(good))
        rejects = {**of_each, "bad_camera": length + 3, "missing_annotations": 2 * len(good)}
        truth.expected["train"]["rejects"] = rejects
    return truth


def expected(rig: str) -> dict[str, dict]:
    """Return what the tree of default settings holds for a rig."""
    good = sum(group == RIG_GROUPS[rig] for group in _GROUPS.values())
    of_each = dict.fromkeys(("nan_pose", "missing_image", "damaged_image"), good)
    rejects = {**of_each, "bad_camera": 6, "missing_annotations": 2 * good}
    return {
        "train": {"frames": 6 * good, "people": 6 * good, "rejects": rejects},
        "test": {"frames": 3 * good, "people": 3 * good, "rejects": {}},
    }


def _write_take(root: Path, take: _Take, rng: np.random.Generator, rig: str, pictures: str, truth: Truth) -> None:
    """Write both files of a take and note the people whom the cameras of a rig see."""
    cameras = list(_dome(rng))
    model = body_model("smplx", take.gender, 10)
    people = _performance(rng, model, take)
    posed = joints(model, people)
    seen = {camera.number: _seen(model, people, posed[:, 0], camera) for camera in cameras}
    labelled = LABELLED if take.expressions is None else LABELLED - FACE
    truth.expected[take.split]["rejects"] = {}
    for camera in cameras:
        if camera.group == RIG_GROUPS[rig]:
            for step, person in enumerate(seen[camera.number][: take.steps]):
                true = TruePerson(person, labelled, camera.K, camera.size, gender=take.gender, distortion=_BENDING)
                key = f"{take.name}/{camera.number:02d}/{step:06d}"
                truth.people[take.split, key, f"camera {camera.number} frame {step}"] = true
            truth.expected[take.split]["frames"] += take.steps
            truth.expected[take.split]["people"] += take.steps
    _write_labels(take.folder(root, "annotations") / f"{take.name}_annots.smc", take, rng, cameras, people, posed, seen)
    with _smc(take.folder(root, "main") / f"{take.name}.smc", take) as file:
        for camera in cameras:
            shots = _shots(rng, camera, take, model, seen[camera.number], pictures)
            _write_shots(file, camera.group, camera.number, shots)


_BENDING = Distortion("brown_conrady", tuple(D.tolist()))


def _dome(rng: np.random.Generator) -> Iterator[_Camera]:
    """Yield the cameras, all looking at the middle of the stage."""
    for number, group in _GROUPS.items():
        width, height = _SIZES[group]
        focal = 1.5 * max(width, height)
        cx, cy = np.array([width, height]) * (0.5 + rng.normal(0, 0.01, 2))
        around, down = rng.uniform(-2, 2), rng.uniform(0.05, 0.3)
        R = rotation(x=down) @ rotation(x=np.pi) @ rotation(y=around)  # world: y up
        T_camera_world = rigid(R, np.array([0.0, 0.0, 4.2]) + rng.normal(0, 0.05, 3))
        yield _Camera(number, group, intrinsics(focal, focal * 1.002, cx, cy), invert_rigid(T_camera_world))


def _performance(rng: np.random.Generator, model: PosingModel, take: _Take) -> list[Parameters]:
    """Return the actor in the world (y up, the stage's middle at the origin), one a time step."""
    betas = np.clip(rng.normal(0, 1, 10), -2, 2)
    people = []
    for _ in range(take.steps + take.extra):
        person = random_parameters(rng) | {"leye_pose": rng.normal(0, 0.1, 3), "reye_pose": rng.normal(0, 0.1, 3)}
        turned = rotation(y=rng.uniform(-1, 1)) @ axis_angle_to_matrix(person["global_orient"])
        person["global_orient"] = matrix_to_axis_angle(turned)
        people.append({**person, "betas": betas if take.one_shape else betas + rng.normal(0, 0.02, 10)})
    return place(model, people, rng.normal(0, 0.1, (len(people), 3)))


def _seen(model: PosingModel, people: list[Parameters], pelvises: np.ndarray, camera: _Camera) -> list[Parameters]:
    """Return people of the world as a camera sees them: turned, and placed where their pelvis is for it."""
    T = invert_rigid(camera.T_world_camera)
    turned = matrix_to_axis_angle(T[:3, :3] @ axis_angle_to_matrix(batch(people)["global_orient"]))
    own = [{**person, "global_orient": orient} for person, orient in zip(people, turned, strict=True)]
    return place(model, own, transform_points(T, pelvises))


def _smc(path: Path, take: _Take) -> h5py.File:
    """Return a new SMC file with the attributes of its actor."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = h5py.File(path, "w")
    actor, performance = take.name.split("_")
    file.attrs.update({"actor_id": int(actor), "performance_id": int(performance), "age": 31, "gender": take.gender})
    file.attrs.update({"height": 171.0, "weight": 64.0, "ethnicity": "asian"})
    return file


def _write_labels(
    path: Path,
    take: _Take,
    rng: np.random.Generator,
    cameras: list[_Camera],
    people: list[Parameters],
    posed: np.ndarray,
    seen: dict[int, list[Parameters]],
) -> None:
    """Write everything but the pictures; the first bad time step has a pose with NaN, two cameras are unsound."""
    together = batch(people)
    roots = {name: together[name][:, None] for name in ("global_orient", "jaw_pose", "leye_pose", "reye_pose")}
    hands = [to_deviation(together[f"{side}_hand_pose"], side) for side in ("left", "right")]
    face = [roots["jaw_pose"], roots["leye_pose"], roots["reye_pose"]]
    pose = np.concatenate([roots["global_orient"], together["body_pose"], *face, *hands], axis=1)
    with _smc(path, take) as file:
        if take.extra:
            pose[take.steps, 4] = np.nan
            for number in _UNSOUND.values():
                _write_camera(file, number, np.full((3, 3), np.nan), np.eye(4))
        for camera in cameras:
            _write_camera(file, camera.number, camera.K, camera.T_world_camera)
            # Posed anew, because the face's contour depends on the side from which it is seen.
            inside = joints(body_model("smplx", take.gender, 10), seen[camera.number])
            file[f"Keypoints_2D/{camera.number:02d}"] = _detected(rng, project(inside, camera.K, _BENDING))
            file[f"Mask/{camera.number}/mask/0"] = np.frombuffer(
                _encoded(np.zeros((8, 8, 3), np.uint8), ".png"), np.uint8
            )
        file["Keypoints_3D/keypoints3d"] = _triangulated(posed)
        file["SMPLx/betas"] = together["betas"][:1] if take.one_shape else together["betas"]
        file["SMPLx/expression"] = together["expression"][: take.expressions]
        file["SMPLx/fullpose"], file["SMPLx/transl"], file["SMPLx/scale"] = pose, together["transl"], 1.0


def _write_camera(file: h5py.File, number: int, K: np.ndarray, T_world_camera: np.ndarray) -> None:
    """Write the calibration of a camera, whose group has a number of two digits."""
    group = file.create_group(f"Camera_Parameter/{number:02d}")
    group["K"], group["D"], group["RT"], group["Color_Calibration"] = K, D, T_world_camera, np.eye(3)


# The detector has COCO-WholeBody's 133 points, whose hips MMHuman3D names as SMPL-X names its own.
_DETECTOR = [name.replace("hip_extra", "hip") for name in CONVENTIONS["coco_wholebody"]]
# The slots of HumanData that are filled, in their order: all but the two roots of hands.
_FILLED = [slot for slot, name in enumerate(CONVENTIONS["human_data"]) if name in _DETECTOR]


def _detected(rng: np.random.Generator, pixels: np.ndarray) -> np.ndarray:
    """Return the 131 points that a detector found at each time step, not all of them."""
    kept = [_DETECTOR.index(CONVENTIONS["human_data"][slot]) for slot in _FILLED]
    points = np.stack([points_2d(seen, "coco_wholebody")[kept] for seen in pixels])
    confidence = rng.uniform(0.3, 0.95, points.shape[:2]) * (rng.random(points.shape[:2]) < 0.9)
    return np.concatenate([points * (confidence > 0)[..., None], confidence[..., None]], axis=2)


def _triangulated(posed: np.ndarray) -> np.ndarray:
    """Return the 190 points of HumanData, zero throughout where detections give none."""
    out = np.zeros((len(posed), 190, 4))
    known = [slot for slot in _FILLED if slot < 127]  # the contour of a face is no point of it
    out[:, known, :3], out[:, known, 3] = posed[:, known], 1.0
    return out


def _shots(
    rng: np.random.Generator, camera: _Camera, take: _Take, model: PosingModel, seen: list[Parameters], pictures: str
) -> list[bytes | None]:
    """Return the encoded picture of each time step; of the bad ones the second is missing, the third cut short."""
    if pictures == "plain":
        shots: list[bytes | None] = [_plain(camera.size)] * len(seen)
    else:
        empty = backdrop(rng, camera.size, pictures)
        color = standin_vertex_colors("smplx", rng)
        meshes = vertices(model, seen)
        drawn = [render_mesh(empty, mesh[None], model.triangles, camera.K, color=color[None]) for mesh in meshes]
        shots = [_encoded(_bent(picture, camera.K), ".jpg") for picture in drawn]
    if take.extra:
        shots[take.steps + 1], shots[take.steps + 2] = None, shots[0][:-20]
    return shots


@lru_cache(maxsize=4)
def _plain(size: tuple[int, int]) -> bytes:
    """Return an encoded picture of one colour; encoding the owner's sizes takes its time."""
    return _encoded(backdrop(np.random.default_rng(1), size, "plain"), ".jpg")


def _bent(picture: np.ndarray, K: np.ndarray) -> np.ndarray:
    """Return a picture as a lens with distortion sees it."""
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float32)
    places = np.stack([columns, rows], axis=-1).reshape(-1, 1, 2)
    straight = cv2.undistortPoints(places, K, D, P=K).reshape(*picture.shape[:2], 2)
    return cv2.remap(picture, straight, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _encoded(rgb: np.ndarray, suffix: str) -> bytes:
    """Return a picture as a JPEG or PNG file."""
    return cv2.imencode(suffix, rgb[..., ::-1])[1].tobytes()


def _write_shots(file: h5py.File, group: str, number: int, shots: list[bytes | None]) -> None:
    """Write the pictures of a camera, whose group has a plain number."""
    width, height = _SIZES[group]
    for step, data in enumerate(shots):
        if data is not None:
            file[f"{group}/{number}/color/{step}"] = np.frombuffer(data, np.uint8)
    file[group].attrs.update({"num_device": len(file[group]), "num_frame": len(shots), "resolution": (height, width)})


def _write_pictures_alone(root: Path, take: _Take) -> None:
    """Write the pictures of a take whose file of labels was not downloaded."""
    with _smc(take.folder(root, "main") / f"{take.name}.smc", take) as file:
        for number, group in _GROUPS.items():
            _write_shots(file, group, number, [_plain(_SIZES[group])] * take.steps)
