"""HumanData: the npz of MMHuman3D, SMPLer-X and SMPLest-X, one row a person and picture, of any generation of keys.

A file is opened (``HumanDataFile``) and then read in blocks of rows, whose arrays have the names and the conventions of
the record: camera space, metres, absolute hands, boxes as corners. What a file says about itself (``misc``) is a hint
that nobody checks, so ``Choices`` may overrule it.
Facts: MMHuman3D ``human_data.py`` and ``docs/human_data.md`` (branches main and convertors); the loaders
``data/humandata.py`` of SMPLer-X and ``datasets/humandata.py`` of SMPLest-X; its ``humandata_prep/check.py``.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt64

from ...body.hands import to_absolute
from ...body.joints import HUMAN_DATA_JOINTS
from ...body.keypoints import CONVENTIONS
from ...errors import RawSchemaError, UnknownNameError
from ...shards.record import ARRAY_FIELDS, SHAPES, BodyModelName, CameraKind, Gender
from ..boxes import scale_boxes
from ..raw import are_intrinsics
from .humandata_marks import PARAMETERS_OF, POINTS_OF, are_crops, trusted_parts
from .keypoints import sound_points
from .npz_stream import NpzStream, Rows, as_rows

Block = dict[str, np.ndarray]

BODIES: tuple[BodyModelName, ...] = ("smplx", "smpl", "smplh")  # the order in which the released loaders look
# Name -> shape of one row in the record; None: any length.
PARAMETERS = {
    name: SHAPES[name]
    for name in (
        *("global_orient", "body_pose", "left_hand_pose", "right_hand_pose", "jaw_pose", "leye_pose", "reye_pose"),
        *("betas", "expression", "transl"),
    )
}
_OF_ANY_LENGTH = ("betas", "expression")
_WIDTHS = {name: prod(size or 1 for size in shape) for name, shape in PARAMETERS.items()}
# Name of a choice -> the ends of ``keypoints2d`` and ``keypoints3d`` that it looks for. Points that are relative to the
# root (``keypoints3d_cam``) have no place in camera space; ``keypoints3d_original`` has other units and frames in
# several releases.
KEYPOINTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "auto": (("", "_smplx", "_smpl", "_original"), ("", "_smplx", "_smpl")),
    "smplx": (("_smplx",), ("_smplx",)),
    "smpl": (("_smpl",), ("_smpl",)),
    "original": (("_original",), ()),
    "none": ((), ()),
}
_OF_EHPS = (("_original",), ("_original",))  # what auto means in a file of ehps, whose other sets follow from the body
BOXES = {
    "bbox_xyxy": "bbox_xywh",
    "face_bbox_xyxy": "face_bbox_xywh",
    "left_hand_bbox_xyxy": "lhand_bbox_xywh",
    "right_hand_bbox_xyxy": "rhand_bbox_xywh",
}
BODY_BOX_SCALE = 1.2  # of a box of the whole person, which the loaders take for granted
_OWN_BOXES = ("by_dataset", "provide_by_dataset")  # sources of boxes that nobody padded
# Releases whose files hold absolute hands, by how their names begin: those whose classes subtract the mean in the
# loaders of SMPLest-X, and BEDLAM, whose class does so in SMPLer-X. The files of ARCTIC are named after its two
# protocols, p1_train.npz and p1_val.npz (``data/ARCTIC/ARCTIC.py`` of SMPLer-X).
ABSOLUTE_HANDS = re.compile(
    "(arctic|bedlam|chi3d|fit3d|gta_?human|humansc3d|moyo|synbody|synhand)(?![a-z])|p[12]_(train|val|test)$",
    re.IGNORECASE,
)
GENDERS: dict[str, Gender] = {"m": "male", "f": "female", "n": "neutral"}
_VIRTUAL = re.compile("eft|osx|cliff|predict|weak|ne[ru]+al_annot|estimat", re.IGNORECASE)
_POINTS_OF = {190: "human_data", 144: "smplx_144", 127: "smplx_127"}
_SPLITS = {"test": re.compile("(?<![a-z])test", re.IGNORECASE), "val": re.compile("(?<![a-z])val", re.IGNORECASE)}
_LOOKED_AT = 100  # pictures, to find out which folder their paths start from
_OF_PICTURES = ("img", "images", "image")  # names of folders
_ROOTS = ("pelvis", "pelvis_extra", "pelvis_openpose")
_NEAREST_ROOT = 0.1  # m before the camera
_PELVIS = HUMAN_DATA_JOINTS.index("pelvis")
_HIPS, _SEEN_HIPS = (
    [HUMAN_DATA_JOINTS.index(f"{side}_{name}") for side in ("left", "right")] for name in ("hip", "hip_extra")
)
EXTRAS = "ehps"  # the entry with what only ehps writes
# Part of a person -> what carries it in a record.
PARTS = {
    "body": "body_pose",
    "left_hand": "left_hand_pose",
    "right_hand": "right_hand_pose",
    "face": "expression",
    "shape": "betas",
    "keypoints_2d": "keypoints_2d",
}


def split_of(path: Path) -> str:
    """Return the split that a file belongs to by its name: test, val, or else train."""
    return next((split for split, pattern in _SPLITS.items() if pattern.search(path.stem)), "train")


@dataclass(frozen=True)
class Choices:
    """What to take from a file; ``auto`` is what the file says, and where it is silent what its loaders assume."""

    body: str = "auto"
    keypoints: str = "auto"
    hands: str = "auto"
    gender: str = "auto"
    camera: str = "auto"
    box_scale: str = "auto"
    origin: str = "fitted"
    size: str = "labels"

    def __post_init__(self) -> None:
        allowed = {
            "body": BODIES,
            "keypoints": KEYPOINTS,
            "hands": ("absolute", "deviation"),
            "gender": GENDERS.values(),
            "camera": ("measured", "fitted", "virtual_crop", "none"),
        }
        known = {name: ("auto", *values) for name, values in allowed.items()}
        known |= {"origin": ("measured", "fitted", "pseudo", "synthetic"), "size": ("labels", "picture")}
        for name, values in known.items():
            if getattr(self, name) not in values:
                raise UnknownNameError(f"choice of {name}", getattr(self, name), values)
        if self.box_scale != "auto" and not re.fullmatch(r"\d+(\.\d+)?", self.box_scale):
            raise UnknownNameError("choice of box_scale", self.box_scale, ("auto", "1", "1.2"))

    @classmethod
    def of(cls, options: Mapping[str, str]) -> "Choices":
        """Return the choices among the options of a converter."""
        return cls(**{field.name: options[field.name] for field in fields(cls) if field.name in options})


class Points(NamedTuple):
    """A set of keypoints of a file."""

    rows: Rows
    mask: Bool[np.ndarray, " points"] | None  # which points of the convention there are; None: all
    is_compressed: bool  # whether the others are left out
    convention: str
    coordinates: int  # of a point, before its confidence
    is_of_body: bool  # whether these are the joints of the body model

    @property
    def has_seen_hips(self) -> bool:
        """Whether the hips are those that a detector or a person sees, although they lie where SMPL-X's would.

        MMHuman3D gives both one name in ``coco_wholebody``, ``mmpose`` and ``mediapipe``, none of which has a pelvis.
        """
        known = self.mask
        if known is None or len(known) != len(HUMAN_DATA_JOINTS):
            return False
        return bool(known[_HIPS].all() and not known[[_PELVIS, *_SEEN_HIPS]].any())


class HumanDataFile:
    """One file. Facts of the file are properties, those of its people come in ``blocks``."""

    def __init__(self, path: Path, choices: Choices = Choices()) -> None:
        self.path, self.choices, self.npz = Path(path), choices, NpzStream(path)
        if "image_path" not in self.npz:
            is_cache = "data_strategy" in self.npz
            found = "a cache of a released loader" if is_cache else f"only {', '.join(sorted(self.npz.names)[:12])}"
            hint = "option files=PATTERN chooses the files that are HumanData"
            raise RawSchemaError(path, "entry 'image_path'", "present", found, hint)
        self.body: BodyModelName | None = self._body()

    def __enter__(self) -> "HumanDataFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.npz.__exit__()

    @cached_property
    def people(self) -> int:
        """The number of rows."""
        counts = [len(as_rows(self.npz[name])) for name in ("bbox_xywh", "image_path") if name in self.npz]
        return counts[0] if counts else len(as_rows(self.npz["image_path"]))

    @cached_property
    def meta(self) -> dict[str, Any]:
        """What the file says about each row, by name."""
        return self._dictionary("meta")

    @cached_property
    def misc(self) -> dict[str, Any]:
        """What the file says about all rows."""
        return {name: _item(value) for name, value in self._dictionary("misc").items()}

    @cached_property
    def extras(self) -> dict[str, np.ndarray]:
        """What ehps wrote beside HumanData's own entries; empty in the files of others."""
        return {name: as_rows(value).read() for name, value in self._dictionary(EXTRAS).items()}

    def _dictionary(self, name: str) -> dict[str, Any]:
        value: Any = {}
        if name in self.npz:
            value = self.npz[name]
        if not isinstance(value, dict):
            raise RawSchemaError(self.path, f"entry {name!r}", "a dictionary", f"a {type(value).__name__}")
        return value

    def _body(self) -> BodyModelName | None:
        """Return the body model to read; None when the file has none, RawSchemaError when it has not the chosen one."""
        wanted = [name for name in BODIES if self.choices.body in ("auto", name)]
        found = cast(BodyModelName | None, next((name for name in wanted if name in self.npz), None))
        if found is None and self.choices.body != "auto":
            held = ", ".join(name for name in BODIES if name in self.npz) or "none"
            raise RawSchemaError(self.path, f"entry {self.choices.body!r}", "present", f"of body models: {held}")
        return found

    @cached_property
    def absolute_hands(self) -> bool:
        """Whether zero is a flat hand in this file."""
        if self.choices.hands != "auto":
            return self.choices.hands == "absolute"
        said = None if self.body is None else self._dictionary(self.body).get("flat_hand_mean")
        if said is None:
            said = self.misc.get("flat_hand_mean")
        if said is None:
            return ABSOLUTE_HANDS.match(self.path.stem) is not None
        values = np.unique(as_rows(said).read().astype(bool))
        if len(values) != 1:
            raise RawSchemaError(self.path, "flat_hand_mean", "one value for all rows", "both, or none")
        return bool(values[0])

    @cached_property
    def fit(self) -> dict[str, Rows]:
        """The parameters of the body model, as they lie in the file."""
        if self.body is None:
            return {}
        found = {name: as_rows(value) for name, value in self._dictionary(self.body).items() if _is_data(value)}
        if "betas" not in found and "betas_neutral" in found:
            found["betas"] = found["betas_neutral"]
        for name, rows in found.items():
            if name in PARAMETERS:
                self._check_parameter(name, rows)
        return {name: rows for name, rows in found.items() if name in PARAMETERS or name == "betas_extra"}

    def _check_parameter(self, name: str, rows: Rows) -> None:
        """Raise RawSchemaError unless a parameter has a row a person in a width that can be read."""
        where, width = f"{self.body}[{name!r}]", int(np.prod(rows.shape[1:]))
        widths = (63,) if self.body == "smplx" else (63, 69)
        wanted = (width,) if name in _OF_ANY_LENGTH else widths if name == "body_pose" else (_WIDTHS[name],)
        hint = "hands given as PCA coefficients have to be multiplied with the components of their model first"
        if len(rows) != self.people:
            raise RawSchemaError(self.path, where, f"of {self.people} rows like bbox_xywh", f"{len(rows)} rows")
        if width not in wanted:
            expected = f"of {' or '.join(map(str, wanted))} numbers a row"
            raise RawSchemaError(self.path, where, expected, str(rows.shape), hint if "hand" in name else "")

    @cached_property
    def points(self) -> dict[str, Points]:
        """The sets of keypoints that were chosen, by the names of the record."""
        out = {}
        is_own = EXTRAS in self.npz and self.choices.keypoints == "auto"
        for dimension, ends in zip("23", _OF_EHPS if is_own else KEYPOINTS[self.choices.keypoints], strict=True):
            name = next(
                (f"keypoints{dimension}d{end}" for end in ends if f"keypoints{dimension}d{end}" in self.npz), ""
            )
            points = self._points(name, dimension) if name else None
            if points is not None and not (dimension == "3" and self._are_relative(points)):
                out[f"keypoints_{dimension}d"] = points
        return out

    def _are_relative(self, points: Points) -> bool:
        """Return whether 3D points start from the root: because the file says so, or because of where the roots are.

        The converters of SynBody and of several sets of the first generation subtract the root and do not say so; no
        pelvis is that near to a camera. The first rows with a root decide.
        """
        if self.misc.get("kps3d_root_aligned"):
            return True
        order = CONVENTIONS[points.convention]
        places = [order.index(name) for name in _ROOTS if name in order]
        if points.mask is not None and not points.mask[places].any():
            return False
        for values in points.rows.blocks(_LOOKED_AT):
            roots = spread_points(values, points)[:, places]
            depths = roots[roots[..., 3] > 0][:, 2]
            if len(depths):
                return bool((depths < _NEAREST_ROOT).all())
        return False

    def _points(self, name: str, dimension: str) -> Points:
        """Return a set of keypoints; RawSchemaError where its width, its mask and its flag contradict one another."""
        rows = as_rows(self.npz[name])
        masks = [m for m in (f"{name}_mask", f"keypoints{dimension}d_mask") if m in self.npz]
        mask = as_rows(self.npz[masks[0]]).read().reshape(-1) > 0 if masks else None
        flag = "__keypoints_compressed__"
        width = rows.shape[1] if len(rows.shape) == 3 else 0
        known = width if mask is None else int(mask.sum())
        has_gaps = mask is not None and len(mask) != width
        is_compressed = bool(as_rows(self.npz[flag]).read()) if flag in self.npz else has_gaps
        # A mask that leaves nothing out is the same either way, and loaders take such an array as it is.
        is_compressed = is_compressed and not (mask is not None and width == len(mask))
        if len(rows) != self.people or not width or (is_compressed and (mask is None or known != width)):
            expected = f"({self.people}, {known}, {int(dimension) + 1}) as its mask and bbox_xywh say"
            raise RawSchemaError(self.path, name, expected, f"{rows.shape} (mask: {', '.join(masks) or 'none'})")
        count = len(mask) if is_compressed and mask is not None else width
        if mask is not None and len(mask) != count:
            raise RawSchemaError(self.path, f"{masks[0]}", f"{count} numbers", f"{len(mask)}")
        convention = self._convention(name, count)
        return Points(rows, mask, is_compressed, convention, int(dimension), name.endswith("_smplx"))

    def _convention(self, name: str, count: int) -> str:
        """Return the order of a set of keypoints: by its length, else by the name that the file gives."""
        said = str(_item(self.npz[f"{name}_convention"])) if f"{name}_convention" in self.npz else ""
        if said in CONVENTIONS and len(CONVENTIONS[said]) == count:
            return said
        if count not in _POINTS_OF:
            raise RawSchemaError(
                self.path, name, f"of {', '.join(map(str, _POINTS_OF))} points", f"{count} in {said!r}"
            )
        return _POINTS_OF[count]

    @cached_property
    def sizes(self) -> Int[np.ndarray, "people 2"] | None:
        """Width and height of each row's picture (px); None where the file does not say."""
        if "height" not in self.meta or "width" not in self.meta:
            return None
        return np.stack([self._of_rows(name, 1)[:, 0] for name in ("width", "height")], axis=1).astype(np.int64)

    def size(self, row: int) -> tuple[int, int]:
        """Return width and height of a row's picture."""
        assert self.sizes is not None
        return int(self.sizes[row, 0]), int(self.sizes[row, 1])

    @cached_property
    def sequences(self) -> list[str] | None:
        """The recording of each row; None where the file does not say."""
        return self.texts("sequence_name") or self.texts("seq_name")

    @cached_property
    def K(self) -> Float[np.ndarray, "people 3 3"] | None:  # noqa: N802 - the name of the field
        """Intrinsics of each row (px), NaN where they are not numbers; None where the file has none."""
        said = {**self.misc, **self.meta}
        centre = "principal_point" if "principal_point" in said else "princpt"
        if self.choices.camera == "none" or "focal_length" not in said or centre not in said:
            return None
        K = np.zeros((self.people, 3, 3))
        K[:, [0, 1], [0, 1]] = self._of_rows("focal_length", 2)
        K[:, :2, 2] = self._of_rows(centre, 2)
        K[:, 2, 2] = 1
        return K

    @cached_property
    def bad_cameras(self) -> Bool[np.ndarray, " people"]:
        """Which rows have intrinsics that cannot be those of a camera."""
        return np.zeros(self.people, bool) if self.K is None else np.logical_not(are_intrinsics(self.K))

    def _of_rows(self, name: str, width: int) -> Float[np.ndarray, "people width"]:
        """Return what meta, or for all rows misc, says: one number or ``width`` for a row, nested or flattened."""
        value = self.meta.get(name, self.misc.get(name))
        try:
            numbers = np.asarray(as_rows(value).read(), np.float64)
        except (TypeError, ValueError) as error:
            raise RawSchemaError(self.path, f"meta[{name!r}]", "numbers", f"something else ({error})") from error
        for shape in ((self.people, width), (self.people, 1), (1, width), (1, 1)):
            if numbers.size == shape[0] * shape[1]:
                return np.broadcast_to(numbers.reshape(shape), (self.people, width))
        expected = f"{width} numbers for each of {self.people} rows"
        raise RawSchemaError(self.path, f"meta[{name!r}]", expected, f"of shape {numbers.shape}")

    def texts(self, name: str) -> list[str] | None:
        """Return what meta says about each row in a word; None where it says nothing, or not of every row."""
        if name not in self.meta:
            return None
        values = as_rows(self.meta[name]).read()
        return (
            [str(value) for value in np.broadcast_to(values, self.people)] if values.size in (1, self.people) else None
        )

    @cached_property
    def genders(self) -> list[Gender]:
        """The gender of each row's body model; meta may tell that of the subject, which is then passed over."""
        if self.choices.gender != "auto" or self._has_neutral_shape:
            chosen = "neutral" if self.choices.gender == "auto" else self.choices.gender
            return [cast(Gender, chosen)] * self.people
        said = self.texts("gender") or ["neutral"] * self.people
        strange = [text for text in said if text[:1].lower() not in GENDERS]
        if strange:
            raise RawSchemaError(self.path, "meta['gender']", "male, female or neutral", repr(strange[0]))
        return [GENDERS[text[:1].lower()] for text in said]

    @cached_property
    def _has_neutral_shape(self) -> bool:
        """Whether the betas that are read belong to the neutral model, whatever the gender of the subjects.

        They do where they are ``betas_neutral`` themselves: alone, or once more under the name of betas (as the
        converter of BEDLAM has it, which poses the neutral model and notes each subject's gender in meta).
        """
        held = {} if self.body is None else self._dictionary(self.body)
        named = [held.get(name) for name in ("betas", "betas_neutral")]
        own, neutral = (as_rows(value) if _is_data(value) else None for value in named)
        if neutral is None or EXTRAS in self.npz:
            return False
        if own is None or own.shape != neutral.shape:
            return own is None
        pairs = zip(own.blocks(_LOOKED_AT), neutral.blocks(_LOOKED_AT), strict=True)
        return all(np.array_equal(one, other) for one, other in pairs)

    def told(self, name: str, row: int, default: Any) -> Any:
        """Return what ehps itself noted about a row, else the default."""
        return (self.extras[name][row].item() or None) if name in self.extras else default

    def kind(self, row: int) -> CameraKind:
        """Return how the camera of a row came about."""
        return self.told("camera_kind", row, self._camera_kind) if self.choices.camera == "auto" else self._camera_kind

    @cached_property
    def tracks(self) -> list[str] | None:
        """Which rows of a recording are the same person; None where the file does not say."""
        tracks, sequences = self.texts("track_id"), self.sequences
        if tracks is None or sequences is None:
            return None
        return [f"{sequence}/{track}" for sequence, track in zip(sequences, tracks, strict=True)]

    @cached_property
    def _camera_kind(self) -> CameraKind:
        """How the cameras came about: a fit with a camera of its own making puts nobody at a true distance."""
        if self.choices.camera != "auto":
            return cast(CameraKind, self.choices.camera)
        said = [str(self.misc.get(name, "")) for name in ("cam_param_type", "camera_param_type", "cam_param_source")]
        if any(_VIRTUAL.search(text) for text in said) or self._has_cameras_of_crops:
            return "virtual_crop"
        return "measured" if said[2] == "original" else "fitted"

    @property
    def _has_cameras_of_crops(self) -> bool:
        """Whether the first cameras look at the middle of the boxes, whatever misc says about them."""
        if self.K is None or "bbox_xywh" not in self.npz:
            return False
        boxes = next(as_rows(self.npz["bbox_xywh"]).blocks(_LOOKED_AT), np.zeros((0, 4)))[:, :4]
        return are_crops(self.K[: len(boxes)], np.asarray(boxes, np.float64))

    @cached_property
    def trusted(self) -> dict[str, Bool[np.ndarray, " people"]]:
        """Which rows have a hand or a face that the file calls valid, by part; all where it does not say."""
        body = {} if self.body is None else self._dictionary(self.body)
        return trusted_parts((body, self.meta), self.people)

    @cached_property
    def rejected(self) -> dict[int, str]:
        """The rows that the released loaders pass over because of marks in meta, with the mark."""
        marks = {"annot_valid": False, "valid_label": False, "iscrowd": True, "num_keypoints": False}
        out: dict[int, str] = {}
        for name, bad in marks.items():
            if name in self.meta:
                values = self._of_rows(name, 1)[:, 0]
                for row in np.flatnonzero((values != 0) == bad).tolist():
                    out.setdefault(row, f"{name} is {values[row]:g}")
        return out

    def image_paths(self, size: int, first: int = 0) -> Iterator[list[str]]:
        """Yield the path of the picture of each row from ``first`` on, relative and with forward slashes."""
        rows = as_rows(self.npz["image_path"])
        if len(rows) != self.people:
            rows = self._spread(rows)
        for block in rows.blocks(size, first):
            yield [str(path).replace("\\", "/").lstrip("/") for path in block.tolist()]

    def pictures(self, size: int) -> tuple[Int[np.ndarray, " people"], Int[np.ndarray, " pictures"]]:
        """Return for each row the first row of the same picture, and how many rows each such first row stands for.

        ``size`` rows are held at once. Eight bytes stand for a path: a million pictures are told apart but for one
        chance in a hundred million.
        """
        digests = [_digests(paths) for paths in self.image_paths(size)]
        together = np.concatenate([np.zeros(0, np.uint64), *digests])
        _, firsts, numbers, counts = np.unique(together, return_index=True, return_inverse=True, return_counts=True)
        rows = np.zeros(self.people, np.int64)
        rows[firsts] = counts
        return firsts[numbers], rows

    def image_dir(self, root: Path) -> Path:
        """Return the folder within ``root`` that the pictures' paths start from, by trying the first of them.

        It is at or above the file's own, or in a folder of pictures there; ``root`` when no picture is found.
        """
        paths = list(islice((path for block in self.image_paths(_LOOKED_AT) for path in block), _LOOKED_AT))
        for folder in self.path.parents:
            if not folder.is_relative_to(root):
                break
            of_pictures = [folder / name for name in _OF_PICTURES if (folder / name).is_dir()]
            inside = [path for one in of_pictures for path in sorted(one.iterdir()) if path.is_dir()]
            for candidate in (folder, *of_pictures, *inside):
                if any((candidate / path).is_file() for path in paths):
                    return candidate
        return root

    def _spread(self, paths: Rows) -> Rows:
        """Return the pictures of a MultiHumanData file row by row: ``frame_range`` says which rows each one has."""
        expected = f"of {self.people} rows like bbox_xywh"
        if "frame_range" not in self.npz:
            raise RawSchemaError(self.path, "image_path", expected, f"{len(paths)} rows and no frame_range")
        ranges = as_rows(self.npz["frame_range"]).read().reshape(-1, 2)
        counts = ranges[:, 1] - ranges[:, 0] + int(bool(len(ranges)) and ranges[-1, 1] == self.people - 1)
        if len(ranges) != len(paths) or counts.sum() != self.people:
            raise RawSchemaError(self.path, "frame_range", expected, f"ranges of {counts.sum()} rows")
        return as_rows(np.repeat(paths.read(), counts))

    def blocks(self, size: int, first: int = 0) -> Iterator[Block]:
        """Yield the arrays of ``size`` rows at a time, by the names of the record; boxes are NaN where absent."""
        boxes = {own: as_rows(self.npz[name]) for own, name in BOXES.items() if name in self.npz}
        for own, rows in boxes.items():
            if len(rows) != self.people or rows.shape[1:] not in ((4,), (5,)):
                raise RawSchemaError(self.path, BOXES[own], f"of shape ({self.people}, 5)", str(rows.shape))
        columns = {**self.fit, **{name: points.rows for name, points in self.points.items()}, **boxes}
        readers = {name: rows.blocks(size, first) for name, rows in columns.items()}
        for start in range(first, self.people, size):
            raw = {name: next(reader) for name, reader in readers.items()}
            block = {name: self._converted(name, values, start) for name, values in raw.items()}
            yield block | self._carried(raw, start)

    def rows(self, rows: Int[np.ndarray, " rows"], size: int) -> Iterator[tuple[int, str, Block, int]]:
        """Yield some rows in their order: the row, the path of its picture, a block with it, its place in the block."""
        mine = np.zeros(self.people, bool)
        mine[rows] = True
        first, last = (int(rows[0]), int(rows[-1])) if len(rows) else (0, -1)
        paths, blocks = self.image_paths(size, first), self.blocks(size, first)
        for start in range(first, last + 1, size):
            block = next(blocks)
            for i, path in enumerate(next(paths)):
                if mine[start + i]:
                    yield start + i, path, block, i

    def _carried(self, raw: Block, start: int) -> Block:
        """Return for each parameter, as ``has_<name>``, which rows carry it; ``is_finite_<name>``: is it numbers.

        A hand whose deviation from the mean is exactly zero is how the files mark the hand that is not labelled, and
        nobody's transl is exactly zero: that would be a pelvis about the camera. Betas of zeros stand for a shape that
        is not told by betas (ARCTIC's templates), and the loaders do not train on them. Hands and faces that the file
        calls invalid are a network's guess.
        """
        out = {}
        for name in PARAMETERS.keys() & raw.keys():
            is_marked = name in ("transl", "betas") or (name.endswith("_hand_pose") and not self.absolute_hands)
            values = raw[name].reshape(len(raw[name]), -1)
            out[f"is_finite_{name}"] = finite_rows(values)
            out[f"has_{name}"] = (values != 0).any(axis=1) if is_marked else np.ones(len(values), bool)
            for part, is_valid in self.trusted.items():
                if name in PARAMETERS_OF[part]:
                    out[f"has_{name}"] &= is_valid[start : start + len(values)]
            if "carries" in self.extras:
                bits = self.extras["carries"][start : start + len(values)]
                out[f"has_{name}"] = (bits >> ARRAY_FIELDS.index(name) & 1).astype(bool)
        return out

    def _converted(self, name: str, values: np.ndarray, start: int) -> np.ndarray:
        """Return some rows of a column in the record's convention."""
        if name in self.points:
            return self._trusted_points(spread_points(values, self.points[name]), self.points[name], start)
        if name in BOXES:
            return self._corners(name, values)
        if name in _OF_ANY_LENGTH and name in self.extras:
            return self.extras[name][start : start + len(values)]
        shape = tuple(-1 if size is None else size for size in PARAMETERS.get(name, ()))
        values = values.astype(np.float32).reshape(len(values), *shape)
        side = name.removesuffix("_hand_pose")
        if side in ("left", "right") and not self.absolute_hands:
            return to_absolute(values, side)
        return values

    def _trusted_points(
        self, values: Float32[np.ndarray, "rows points values"], points: Points, start: int
    ) -> Float32[np.ndarray, "rows points values"]:
        """Return joints of the body model, zero for those of hands and faces that are not to be trusted."""
        is_guess = np.zeros(values.shape[:2], bool)
        for part, is_valid in self.trusted.items() if points.is_of_body else ():
            own = np.isin(np.arange(values.shape[1]), POINTS_OF[part])
            is_guess |= ~is_valid[start : start + len(values), None] & own
        return np.where(is_guess[..., None], np.float32(0), values) if is_guess.any() else values

    def _corners(self, name: str, boxes: np.ndarray) -> Float32[np.ndarray, "rows 4"]:
        """Return boxes as corners, that of the person tight; NaN where the confidence is zero."""
        out = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:4]], axis=1, dtype=np.float64)
        if name == "bbox_xyxy":
            out = scale_boxes(out, 1 / self._box_scale)
        if boxes.shape[1] == 5:
            out[boxes[:, 4] <= 0] = np.nan
        return out.astype(np.float32)

    @cached_property
    def _box_scale(self) -> float:
        if self.choices.box_scale != "auto":
            return float(self.choices.box_scale)
        is_own = self.misc.get("bbox_source", self.misc.get("bbox")) in _OWN_BOXES
        said = self.misc.get("bbox_body_scale", self.misc.get("bbox_scale"))
        return float(said if said is not None else 1 if is_own else BODY_BOX_SCALE)


def spread_points(values: np.ndarray, points: Points) -> Float32[np.ndarray, "rows points values"]:
    """Return some rows of keypoints in their whole order, a confidence behind; zero for what is masked out or NaN."""
    if values.shape[2] == points.coordinates:  # without confidence
        values = np.concatenate([values, np.ones_like(values[..., :1])], axis=2)
    values = sound_points(values[..., : points.coordinates + 1])
    if points.mask is None:
        return values
    if points.is_compressed:
        out = np.zeros((len(values), len(points.mask), values.shape[2]), np.float32)
        out[:, points.mask] = values
    else:
        out = values * points.mask[:, None].astype(np.float32)
    if points.has_seen_hips:
        out[:, _SEEN_HIPS], out[:, _HIPS] = out[:, _HIPS], 0
    return out


def _digests(paths: list[str]) -> UInt64[np.ndarray, " paths"]:
    """Return eight bytes for each text, of another text other ones."""
    parts = [hashlib.blake2b(path.encode(), digest_size=8).digest() for path in paths]
    return np.frombuffer(b"".join(parts), np.uint64)


def finite_rows(values: np.ndarray) -> Bool[np.ndarray, " rows"]:
    """Return which rows of an array hold neither NaN nor infinity."""
    return np.logical_and.reduce(np.isfinite(values).reshape(len(values), -1), axis=1)


def _item(value: Any) -> Any:
    """Return a single value of an npz as Python has it."""
    if isinstance(value, Rows):
        value = value.read()
    return value.item() if isinstance(value, np.ndarray) and value.size == 1 else value


def _is_data(value: Any) -> bool:
    """Return whether a value of a dictionary of parameters is one: some files hold None or empty arrays."""
    return value is not None and len(as_rows(value)) > 0
