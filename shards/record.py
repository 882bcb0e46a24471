"""The one record that every converter makes and every reader takes: a frame with all its people.

Camera space is OpenCV's (x right, y down, z forward, metres); rotations are axis-angle in radians; hand poses are
absolute (zero is a flat hand). ``None`` means that the source does not carry the label: it is never replaced by zeros.
Betas are kept as distributed, with the body model and gender that they belong to.
See docs/conventions.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from ..body.cameras import Distortion
from ..errors import RecordError

Origin = Literal["measured", "fitted", "pseudo", "synthetic"]  # how a label came about; None: not labelled
CameraKind = Literal["measured", "fitted", "virtual_crop", "none"]
BodyModelName = Literal["smplx", "smplh", "smpl", "mano"]
Gender = Literal["neutral", "male", "female"]


@dataclass(frozen=True, kw_only=True)
class Labels:
    """How each part of a person was labelled; None means that the part is not labelled."""

    body: Origin | None = None
    left_hand: Origin | None = None
    right_hand: Origin | None = None
    face: Origin | None = None
    shape: Origin | None = None
    keypoints_2d: Origin | None = None


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """The place in the owner's files that a person was read from."""

    file: str  # relative to the root of the raw tree
    row: str  # row number, annotation id or key inside the file


@dataclass(frozen=True, kw_only=True)
class Camera:
    """The camera of the stored picture."""

    K: Float[np.ndarray, "3 3"] | None = None  # pixels
    kind: CameraKind = "none"
    distortion: Distortion | None = None  # what the labels were made with
    is_undistorted: bool = False  # True when the stored pixels are free of distortion
    T_camera_world: Float[np.ndarray, "4 4"] | None = None


@dataclass(frozen=True, kw_only=True)
class Person:
    """One labelled body in camera space; None means not labelled."""

    provenance: Provenance
    labels: Labels
    body_model: BodyModelName | None = None
    gender: Gender | None = None  # of the body model that betas and pose belong to
    global_orient: Float[np.ndarray, "3"] | None = None
    body_pose: Float[np.ndarray, "joints 3"] | None = None  # 21 joints (23 for SMPL)
    left_hand_pose: Float[np.ndarray, "15 3"] | None = None  # absolute
    right_hand_pose: Float[np.ndarray, "15 3"] | None = None  # absolute
    jaw_pose: Float[np.ndarray, "3"] | None = None
    leye_pose: Float[np.ndarray, "3"] | None = None
    reye_pose: Float[np.ndarray, "3"] | None = None
    betas: Float[np.ndarray, " num_betas"] | None = None  # as distributed
    kid_weight: float | None = None
    expression: Float[np.ndarray, " num_expression"] | None = None
    transl: Float[np.ndarray, "3"] | None = None
    transl_is_metric: bool = True
    left_hand_orient: Float[np.ndarray, "3"] | None = None  # MANO root in camera space
    right_hand_orient: Float[np.ndarray, "3"] | None = None
    vertices: Float[np.ndarray, "vertices 3"] | None = None
    keypoints_2d: Float[np.ndarray, "points_2d 3"] | None = None  # u, v in px of the stored picture, confidence
    keypoints_2d_convention: str | None = None
    keypoints_3d: Float[np.ndarray, "points_3d 4"] | None = None  # x, y, z in m, camera space, confidence
    keypoints_3d_convention: str | None = None
    joints_3d: Float[np.ndarray, "144 3"] | None = None  # computed by the engine: camera space, m; NaN where unknown
    bbox_xyxy: Float[np.ndarray, "4"] | None = None  # px, tight
    face_bbox_xyxy: Float[np.ndarray, "4"] | None = None
    left_hand_bbox_xyxy: Float[np.ndarray, "4"] | None = None
    right_hand_bbox_xyxy: Float[np.ndarray, "4"] | None = None
    camera: Camera | None = None  # this person's own, where fits were made in a crop; None: the frame's
    track: str | None = None  # same person over the frames of a sequence
    quality: Mapping[str, float] = field(default_factory=dict)  # measured by the engine


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One picture and everyone labelled in it."""

    key: str  # unique within the source and split; the engine makes it globally unique
    image: Path | bytes  # the owner's file, or the encoded picture itself
    width: int  # of the picture as stored in the shard, after quarter_turns
    height: int
    people: tuple[Person, ...]
    camera: Camera = field(default_factory=Camera)
    quarter_turns: int = 0  # clockwise turns that make the owner's picture upright
    sequence: str | None = None
    frame_index: int | None = None
    camera_name: str | None = None


@dataclass(frozen=True, kw_only=True)
class Reject:
    """A raw person (or, with ``people`` > 1, a frame's worth of them) left out on purpose."""

    key: str
    reason: str  # a slug: missing_image, empty_box, nan_pose, ...
    detail: str  # the sentence for a human
    provenance: Provenance
    people: int = 1


# The numeric labels of a person in the order in which they are stored.
ARRAY_FIELDS: tuple[str, ...] = (
    "global_orient",
    "body_pose",
    "left_hand_pose",
    "right_hand_pose",
    "jaw_pose",
    "leye_pose",
    "reye_pose",
    "betas",
    "expression",
    "transl",
    "left_hand_orient",
    "right_hand_orient",
    "keypoints_2d",
    "keypoints_3d",
    "joints_3d",
    "vertices",
    "bbox_xyxy",
    "face_bbox_xyxy",
    "left_hand_bbox_xyxy",
    "right_hand_bbox_xyxy",
)

_SHAPES: dict[str, tuple[int | None, ...]] = {
    "global_orient": (3,),
    "body_pose": (None, 3),
    "left_hand_pose": (15, 3),
    "right_hand_pose": (15, 3),
    "jaw_pose": (3,),
    "leye_pose": (3,),
    "reye_pose": (3,),
    "betas": (None,),
    "expression": (None,),
    "transl": (3,),
    "left_hand_orient": (3,),
    "right_hand_orient": (3,),
    "keypoints_2d": (None, 3),
    "keypoints_3d": (None, 4),
    "joints_3d": (144, 3),
    "vertices": (None, 3),
    "bbox_xyxy": (4,),
    "face_bbox_xyxy": (4,),
    "left_hand_bbox_xyxy": (4,),
    "right_hand_bbox_xyxy": (4,),
}
_MAY_HOLD_NAN = frozenset({"joints_3d", "keypoints_3d", "keypoints_2d"})


def check_person(key: str, person: Person) -> None:
    """Raise RecordError unless every array has its shape and finite values and each keypoint set names its order."""
    for name in ARRAY_FIELDS:
        value = getattr(person, name)
        if value is not None:
            _check_array(key, name, value)
    for name in ("keypoints_2d", "keypoints_3d"):
        if (getattr(person, name) is None) != (getattr(person, f"{name}_convention") is None):
            raise RecordError(key, f"{name}_convention", f"given exactly when {name} is", "one without the other")
    if person.betas is not None and (person.body_model is None or person.gender is None):
        raise RecordError(key, "betas", "accompanied by body_model and gender", "betas alone")


def _check_array(key: str, name: str, value: np.ndarray) -> None:
    """Raise RecordError unless the array fits its field."""
    shape = _SHAPES[name]
    fits = len(shape) == value.ndim and all(want in (None, got) for want, got in zip(shape, value.shape, strict=True))
    if not fits:
        wanted = tuple("any" if size is None else size for size in shape)
        raise RecordError(key, name, f"of shape {wanted}", str(value.shape))
    if name not in _MAY_HOLD_NAN and not np.isfinite(value).all():
        raise RecordError(key, name, "finite", "NaN or infinity; a converter must turn such a person into a Reject")


def array_fields(person: Person) -> dict[str, np.ndarray]:
    """Return the numeric labels that this person carries, in storage order."""
    return {name: getattr(person, name) for name in ARRAY_FIELDS if getattr(person, name) is not None}


def scalar_fields(person: Person) -> dict[str, Any]:
    """Return everything that is not an array: labels, provenance, conventions, quality."""
    return {f.name: getattr(person, f.name) for f in fields(person) if f.name not in ARRAY_FIELDS}
