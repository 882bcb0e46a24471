"""ARCTIC's files: SMPL-X in the world of the motion capture, eight fixed cameras, and one on the head.

The files are dictionaries pickled by ``np.save``, one row a frame of the capture, metres and axis-angle. Hands are
absolute (the owner builds the model with ``flat_hand_mean=True``). A body has no betas but the template of its subject,
a mesh in SMPL-X's topology, which takes the place of the gendered model's own. Cameras follow OpenCV: those of
``misc.json`` without a lens, the egocentric one with the eight numbers of the rational model.
Facts: arctic ``docs/data/data_doc.md``, ``common/body_models.py``, ``common/transforms.py``.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...body.assets import NUM_SMPLX_VERTICES
from ...body.cameras import Distortion
from ...body.posing import PosingModel
from ...body.unpickling import load_npy_object
from ...errors import RawSchemaError
from ...shards.record import Camera, Gender
from ..bodies import Bodies
from ..raw import are_intrinsics, load_json, require
from .keeping import keeps_last
from .obj import read_obj_vertices
from .world_body import are_rigid

NUM_VIEWS = 9  # 0 is the egocentric one
PARTS = {
    "transl": (3,),
    "global_orient": (3,),
    "body_pose": (21, 3),
    "jaw_pose": (3,),
    "leye_pose": (3,),
    "reye_pose": (3,),
    "left_hand_pose": (15, 3),
    "right_hand_pose": (15, 3),
}
_GENDERS: dict[str, Gender] = {"male": "male", "female": "female", "neutral": "neutral"}


@dataclass(frozen=True)
class Subject:
    """What ``misc.json`` says about a subject."""

    gender: Gender
    offset: int  # number of the picture that belongs to frame 0 of the capture
    sizes: tuple[tuple[int, int], ...]  # width, height of each of the nine views
    cameras: tuple[Camera, ...]  # of views 1 to 8


@keeps_last
def read_subject(path: Path, name: str) -> Subject:
    """Return a subject; RawSchemaError when something is missing or no camera."""
    content = load_json(path)
    require(path, content, name)
    own = content[name]
    require(path, own, "world2cam", "intris_mat", "image_size", "ioi_offset", "gender")
    T, K, sizes = (np.array(own[key], np.float64) for key in ("world2cam", "intris_mat", "image_size"))
    shapes = (T.shape, K.shape, sizes.shape)
    if shapes != ((8, 4, 4), (8, 3, 3), (NUM_VIEWS, 2)) or not (are_rigid(T).all() and are_intrinsics(K).all()):
        raise RawSchemaError(path, f"cameras of {name}", "8 rigid transforms, 8 intrinsics, 9 sizes", str(shapes))
    if own["gender"] not in _GENDERS:
        raise RawSchemaError(path, f"gender of {name}", "male or female", repr(own["gender"]))
    cameras = tuple(Camera(K=k, kind="measured", T_camera_world=t) for t, k in zip(T, K, strict=True))
    pairs = tuple((int(width), int(height)) for width, height in sizes)
    return Subject(_GENDERS[own["gender"]], int(own["ioi_offset"]), pairs, cameras)


@keeps_last
def read_bodies(path: Path) -> dict[str, np.ndarray]:
    """Return the parameters of every frame in the world, as float64; RawSchemaError for one of another shape."""
    content = load_npy_object(path)
    require(path, content, *PARTS)
    rows = len(content["transl"])
    out = {}
    for name, shape in PARTS.items():
        value = np.asarray(content[name], np.float64)
        if value.size != rows * np.prod(shape):
            raise RawSchemaError(path, name, f"{rows} rows of {np.prod(shape)} numbers", f"an array {value.shape}")
        out[name] = value.reshape(rows, *shape)
    return out


def check_length(path: Path, frames: int) -> None:
    """Raise RawSchemaError unless the hands of a sequence, which the owner counts frames by, have so many."""
    content = load_npy_object(path)
    require(path, content, "right", "left")
    found = {side: len(content[side]["rot"]) for side in ("right", "left")}
    if set(found.values()) != {frames}:
        expected = f"{frames} rows, as the SMPL-X bodies of the sequence have"
        raise RawSchemaError(path, "rot of right and left", expected, str(found), "unpack raw_seqs.zip again")


def read_egocentric(path: Path, frames: int) -> list[Camera | None]:
    """Return the camera on the head for every frame, None where its pose cannot be used."""
    content = load_npy_object(path)
    require(path, content, "R_k_cam_np", "T_k_cam_np", "intrinsics", "dist8")
    R, t = (np.asarray(content[name], np.float64) for name in ("R_k_cam_np", "T_k_cam_np"))
    K, lens = (np.asarray(content[name], np.float64) for name in ("intrinsics", "dist8"))
    if (R.shape, t.size, K.shape, lens.size) != ((frames, 3, 3), 3 * frames, (3, 3), 8):
        found = f"{R.shape}, {t.shape}, {K.shape}, {lens.shape}"
        raise RawSchemaError(path, "camera", f"R ({frames}, 3, 3), T ({frames}, 3, 1), K (3, 3), dist8 (8,)", found)
    T = np.tile(np.eye(4), (frames, 1, 1))
    T[:, :3, :3], T[:, :3, 3] = R, t.reshape(frames, 3)
    distortion = Distortion("brown_conrady", tuple(lens.ravel().tolist()))
    return [
        Camera(K=K, kind="measured", distortion=distortion, T_camera_world=pose) if is_sound else None
        for pose, is_sound in zip(T, are_rigid(T), strict=True)
    ]


def personal_model(directory: Path | None, gender: Gender, template: Path) -> PosingModel | None:
    """Return the user's SMPL-X model of a gender in the shape of a subject; None without the model.

    RawSchemaError when the template is no SMPL-X mesh.
    """
    vertices = read_obj_vertices(template)
    if len(vertices) != NUM_SMPLX_VERTICES:
        raise RawSchemaError(template, "vertices", f"{NUM_SMPLX_VERTICES} of SMPL-X", str(len(vertices)))
    model = Bodies(directory).model("smplx", gender, 10)
    return None if model is None else replace(model, template=vertices)
