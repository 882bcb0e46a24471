"""3DPW: one or two people outdoors, SMPL from IMUs and a moving phone camera (von Marcard et al., ECCV 2018).

One pickle of Python 2 a sequence, lists over the actors. Poses are gendered SMPL in the world, fitted to the sensors
and to keypoints in the video; each picture has a camera pose, which is no use where ``campose_valid`` says so. The rest
pelvis, which the change of space needs, follows from the shipped joints, so no body model is read.
Facts: the owner's readme; 3dpw-eval ``evaluate.py``; SPIN ``datasets/preprocess/pw3d.py``.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ..body.cameras import parameters_to_camera, transform_points
from ..body.unpickling import load_pickle
from ..errors import RawSchemaError
from ..shards.record import Camera, Frame, Gender, Labels, Person, Provenance, Reject
from .formats.keeping import keeps_last
from .formats.keypoints import sound_points
from .pictures import assemble, picture_dir
from .raw import list_files, require, with_confidence
from .source import Source, slug

VERSION = 2

FOLDERS = {"train": "train", "val": "validation", "test": "test"}
GENDERS: dict[str, Gender] = {"m": "male", "f": "female", "n": "neutral"}
NUM_BETAS = 10
_MAX_SHIFT = 0.005  # m that an actor's rest pelvis may seem to move; betas are the same in all pictures
LYING, UPRIGHT = (1920, 1080), (1080, 1920)  # pictures, as the phone was held
# Of each actor: shape of what a picture has.
OF_ACTOR = {"poses": (72,), "trans": (3,), "campose_valid": (), "poses2d": (3, 18), "jointPositions": (72,)}
_BODY = Labels(body="fitted", shape="fitted")
_SEEN = Labels(body="fitted", shape="fitted", keypoints_2d="pseudo")


def sources(root: Path, split: str) -> list[Source]:
    """Return the sequences of a split."""
    images = picture_dir(root, "imageFiles")
    paths = list_files(root / "sequenceFiles" / FOLDERS[split], "*.pkl")
    return [Source(slug(p.stem), root, split, {"labels": p, "images": images / p.stem}) for p in paths]


def frames(source: Source) -> Iterator[Frame | Reject]:
    """Yield every picture of a sequence with its actors, or why somebody is left out."""
    path, sequence = source.files["labels"], read_sequence(source.files["labels"])
    actors, file, K = range(len(sequence["poses"])), source.relative(path), sequence["cam_intrinsics"]
    for number, T_camera_world in enumerate(sequence["cam_poses"]):
        key = f"{path.stem}/{number:05d}"
        places = [Provenance(file=file, row=f"actor {actor} frame {number}") for actor in actors]
        yield from assemble(
            key,
            source.files["images"] / f"image_{number:05d}.jpg",
            [_person(key, sequence, actor, number, places[actor]) for actor in actors],
            Provenance(file=file, row=f"frame {number}"),
            expected_size=LYING if K[0, 2] > K[1, 2] else UPRIGHT,
            camera=Camera(K=K, kind="measured", T_camera_world=T_camera_world),
            sequence=path.stem,
            frame_index=number,
        )


def count_people(source: Source) -> int:
    """Return the number of actors times pictures of a sequence."""
    sequence = read_sequence(source.files["labels"])
    return len(sequence["poses"]) * len(sequence["cam_poses"])


@keeps_last
def read_sequence(path: Path) -> dict[str, Any]:
    """Return the arrays of a sequence by name, those of actors as lists; RawSchemaError for one of another shape."""
    content = load_pickle(path)
    require(path, content, *OF_ACTOR, "genders", "betas", "cam_poses", "cam_intrinsics")
    shapes = {"cam_poses": (len(content["poses"][0]), 4, 4), "cam_intrinsics": (3, 3)}
    for name, shape in shapes.items():
        _check(path, name, content[name], shape)
    for actor in range(len(content["poses"])):
        for name, shape in OF_ACTOR.items():
            _check(path, f"{name} of actor {actor}", content[name][actor], (len(content["cam_poses"]), *shape))
        if content["genders"][actor] not in GENDERS or len(content["betas"][actor]) < NUM_BETAS:
            found = f"{content['genders'][actor]!r} and {len(content['betas'][actor])} betas"
            raise RawSchemaError(path, f"gender of actor {actor}", f"m or f, with {NUM_BETAS} betas or more", found)
    # The pelvis stays where it is when a body turns, so what it is off transl is the rest pelvis.
    both = zip(content["jointPositions"], content["trans"], strict=True)
    offsets = [joints[:, :3] - transl for joints, transl in both]
    return content | {"offsets": offsets, "pelvises": [_rest_pelvis(own) for own in offsets]}


def _rest_pelvis(offsets: Float[np.ndarray, "pictures 3"]) -> Float[np.ndarray, "3"]:
    """Return the rest pelvis of an actor (m): where joints and translation put it in most pictures, as betas stay."""
    known = offsets[np.isfinite(offsets).all(axis=1)]
    return np.median(known, axis=0) if len(known) else np.full(3, np.nan)


def _check(path: Path, name: str, value: Any, shape: tuple[int, ...]) -> None:
    """Raise RawSchemaError unless an array has this shape."""
    if np.shape(value) != shape:
        raise RawSchemaError(path, name, f"of shape {shape}", str(np.shape(value)))


def _person(key: str, sequence: dict[str, Any], actor: int, number: int, provenance: Provenance) -> Person | Reject:
    """Return an actor of a picture in camera space, or why the labels cannot be used."""
    pose, transl, valid, seen, joints = (sequence[name][actor][number] for name in OF_ACTOR)
    T_camera_world, joints, pelvis = sequence["cam_poses"][number], joints.reshape(24, 3), sequence["pelvises"][actor]
    reason, detail = "", ""
    if not valid or not np.isfinite(T_camera_world).all():
        reason, detail = "bad_camera", "campose_valid is false, or the camera's pose holds NaN"
    elif not all(np.isfinite(array).all() for array in (pose, transl, joints[0])):
        reason, detail = "nan_pose", "poses, trans or jointPositions hold NaN"
    elif (shift := np.linalg.norm(sequence["offsets"][actor][number] - pelvis)) > _MAX_SHIFT:
        problem = f"jointPositions put the rest pelvis {1000 * shift:.0f} mm from where it is in other pictures"
        reason, detail = "bad_joints", f"{problem}: they are no joints of poses and trans"
    if reason:
        return Reject(key=f"{key}/{actor}", reason=reason, detail=f"actor {actor}: {detail}", provenance=provenance)
    orient, moved = parameters_to_camera(pose[:3], transl, pelvis, T_camera_world)
    points = sound_points(seen.T)
    is_seen = bool(points[:, 2].any())  # nobody was detected where all points are zero
    return Person(
        provenance=provenance,
        labels=_SEEN if is_seen else _BODY,
        body_model="smpl",
        gender=GENDERS[sequence["genders"][actor]],
        global_orient=orient.astype(np.float32),
        body_pose=pose[3:].reshape(23, 3).astype(np.float32),
        betas=np.asarray(sequence["betas"][actor], np.float32)[:NUM_BETAS],
        transl=moved.astype(np.float32),
        keypoints_2d=points if is_seen else None,
        keypoints_2d_convention="openpose_18" if is_seen else None,
        keypoints_3d=with_confidence(transform_points(T_camera_world, joints)),
        keypoints_3d_convention="smpl_24",
        track=f"{key.rsplit('/', 1)[0]}/{actor}",
    )
