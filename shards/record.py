"""The one record that every converter makes and every reader takes: a frame with all its people.

Camera space is OpenCV's (x right, y down, z forward, metres); rotations are axis-angle in radians; hand poses are
absolute (zero is a flat hand). ``None`` means that the source does not carry the label: it is never replaced by zeros.
Betas are kept as distributed, with the body model and gender that they belong to.
See docs/conventions.md.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8

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
    betas_neutral: Float[np.ndarray, " num_neutral"] | None = None  # by the engine: gendered betas made neutral
    template: str | None = None  # in place of betas: the rest mesh of this very person, a file of the raw tree
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
    joints_3d: Float[np.ndarray, "144 3"] | None = None  # camera space, m; NaN where unknown; mostly by the engine
    bbox_xyxy: Float[np.ndarray, "4"] | None = None  # px, tight
    face_bbox_xyxy: Float[np.ndarray, "4"] | None = None
    left_hand_bbox_xyxy: Float[np.ndarray, "4"] | None = None
    right_hand_bbox_xyxy: Float[np.ndarray, "4"] | None = None
    camera: Camera | None = None  # this person's own, where fits were made in a crop; None: the frame's
    track: str | None = None  # same person over the frames of a sequence
    quality: Mapping[str, float] = field(default_factory=dict)  # measured by the engine


@dataclass(frozen=True, kw_only=True)
class Cut:
    """Where a picture was cut from: pixel u of a frame is ``(u + 0.5 - x0) * scale_x - 0.5`` of the cut; so for v."""

    frame_key: str  # globally unique key of the whole frame
    person: int  # index of the person in that frame
    x0: float  # left edge of the cut, px of the frame from its left edge
    y0: float
    scale_x: float = 1.0  # px of the cut for one px of the frame; the two differ by rounding alone
    scale_y: float = 1.0


@runtime_checkable
class ContainedPicture(Protocol):
    """A picture inside a file of the owner that holds many, such as a video; small, equal by value, and picklable.

    Both methods raise PictureError, ``missing_image`` or ``damaged_image``.
    """

    @property
    def path(self) -> Path:
        """The owner's file."""
        ...

    @property
    def name(self) -> str:
        """Where in the file, for messages: ``frame 12``."""
        ...

    def size(self) -> tuple[int, int]:
        """Return (width, height) in px as the picture lies in the file."""
        ...

    def read(self) -> bytes | UInt8[np.ndarray, "height width 3"]:
        """Return the owner's encoded bytes, or RGB pixels where the file holds no single pictures."""
        ...


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One picture and everyone labelled in it."""

    key: str  # unique within the source and split; the engine makes it globally unique
    image: Path | bytes | ContainedPicture  # the owner's file, the encoded picture itself, or a place in a larger file
    width: int  # of the picture as stored in the shard, after quarter_turns
    height: int
    people: tuple[Person, ...]
    camera: Camera = field(default_factory=Camera)
    quarter_turns: int = 0  # clockwise turns that make the owner's picture upright
    sequence: str | None = None
    frame_index: int | None = None
    camera_name: str | None = None
    cut: Cut | None = None  # of a pack of single people: what the labels' pixels are pixels of


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
    "betas_neutral",
)

SHAPES: dict[str, tuple[int | None, ...]] = {
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
    "betas_neutral": (None,),
}
_MAY_HOLD_NAN = frozenset({"joints_3d", "keypoints_3d", "keypoints_2d"})
_CONVENTIONS = ("keypoints_2d", "keypoints_3d")


@dataclass(frozen=True, eq=False)
class Kind:
    """Which arrays a person carries and in which shapes: the same object for everyone who carries the same."""

    shapes: Mapping[str, tuple[int, ...]]  # of what is carried, in storage order
    valid: int  # bit i: ARRAY_FIELDS[i] is carried
    places: Mapping[str, slice]  # of each array among the numbers
    may_be_nan: Bool[np.ndarray, " numbers"]
    wrong_shape: tuple[str, str, str] | None  # field, expected, found


class Numbers(NamedTuple):
    """The arrays of a person one after the other, in storage order."""

    kind: Kind
    flat: Float32[np.ndarray, " numbers"]


@lru_cache(maxsize=4096)
def _kind(shapes: tuple[tuple[int, ...] | None, ...]) -> Kind:
    """Return what people whose arrays have these shapes carry."""
    carried = {name: shape for name, shape in zip(ARRAY_FIELDS, shapes, strict=True) if shape is not None}
    valid = sum(1 << bit for bit, shape in enumerate(shapes) if shape is not None)
    ends = np.cumsum([0, *(math.prod(shape) for shape in carried.values())]).tolist()
    places = {name: slice(*ends[i : i + 2]) for i, name in enumerate(carried)}
    may_be_nan = np.zeros(ends[-1], bool)
    for name in _MAY_HOLD_NAN & carried.keys():
        may_be_nan[places[name]] = True
    return Kind(carried, valid, places, may_be_nan, _wrong_shape(carried))


def _wrong_shape(shapes: Mapping[str, tuple[int, ...]]) -> tuple[str, str, str] | None:
    """Return the first array that does not fit its field, as the name, what was expected and what was found."""
    for name, shape in shapes.items():
        wanted = SHAPES[name]
        if len(shape) != len(wanted) or any(size not in (None, n) for size, n in zip(wanted, shape, strict=True)):
            return name, f"of shape {tuple('any' if size is None else size for size in wanted)}", str(shape)
    return None


def numbers_of(person: Person) -> Numbers:
    """Return the arrays of a person in one piece, as float32; nothing is checked."""
    values = vars(person)
    arrays = [values[name] for name in ARRAY_FIELDS]
    kind = _kind(tuple([None if array is None else array.shape for array in arrays]))
    parts = [array.reshape(-1) for array in arrays if array is not None]
    flat = np.concatenate(parts, dtype=np.float32, casting="same_kind") if parts else np.zeros(0, np.float32)
    return Numbers(kind, flat)


def check_person(key: str, person: Person) -> Numbers:
    """Return the arrays of a person in one piece.

    RecordError unless each has its shape and finite values, and each keypoint set names its order.
    """
    values = vars(person)
    for name in _CONVENTIONS:
        if (values[name] is None) != (values[f"{name}_convention"] is None):
            raise RecordError(key, f"{name}_convention", f"given exactly when {name} is", "one without the other")
    if person.betas is not None and (person.body_model is None or person.gender is None):
        raise RecordError(key, "betas", "accompanied by body_model and gender", "betas alone")
    numbers = numbers_of(person)
    if numbers.kind.wrong_shape:
        raise RecordError(key, *numbers.kind.wrong_shape)
    if not (np.isfinite(numbers.flat) | numbers.kind.may_be_nan).all():
        _raise_not_finite(key, numbers)
    return numbers


def _raise_not_finite(key: str, numbers: Numbers) -> None:
    """Raise RecordError with the name of the array that holds NaN or infinity."""
    bad = ~np.isfinite(numbers.flat) & ~numbers.kind.may_be_nan
    name = next(name for name, place in numbers.kind.places.items() if bad[place].any())
    raise RecordError(key, name, "finite", "NaN or infinity; a converter must turn such a person into a Reject")


def array_fields(person: Person) -> dict[str, np.ndarray]:
    """Return the numeric labels that this person carries, in storage order."""
    return {name: getattr(person, name) for name in ARRAY_FIELDS if getattr(person, name) is not None}
