"""Anybody's predictions: SMPL-X parameters, meshes or joints from npz, pickle, Parquet, JSON or a file a person.

A file is a table with a row a person. Who a row is says either ``person_key``, the key of the catalog, or ``picture``
(the name of the picture) with ``bbox_xyxy``. What is predicted is one of:

* ``vertices``: meshes of SMPL-X (10475), SMPL (6890) or a right MANO hand (778), metres, any place in space;
* ``global_orient``, ``body_pose``, ``betas`` and what else SMPL-X has, axis-angle or rotation matrices; with hand poses
  also ``flat_hand_mean``, because files of both kinds are about and look alike; ``kid_weight`` where somebody is a kid;
* ``joints`` with ``joints_convention``, because 24 joints may come in any order; for FreiHAND with ``vertices`` of 778;
* ``joints_2d``, 17 points of COCO in pixels.

Beside meshes or joints, ``orientations`` (9 joints, rotation matrices in camera space) serve the measures of angles;
those of parameters follow from the pose.

AGORA's and BEDLAM's files (``<image>_personId_<k>.pkl`` in a folder or a zip) and FreiHAND's ``pred.json`` are read as
they are. Pickles are read without running code.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ..errors import ProtocolError
from .comparison import PredictionKind
from .prediction_files import read_per_person, read_table
from .prediction_points import Points, array_of, content_of
from .protocol import Protocol

AGORA_WIDTH = 3840  # of the pictures whose pixels AGORA's files are in
_ALIASES = {
    "verts": "vertices",
    "v_shaped": "vertices",
    "image": "picture",
    "image_name": "picture",
    "imgname": "picture",
    "keypoints_3d": "joints",
    "key": "person_key",
}
_WHAT = ("vertices", "joints", "joints_2d", "global_orient", "betas")


@dataclass(frozen=True, eq=False)
class Predictions:
    """The rows of a file, and other ways to read them that are often confused with the given one."""

    path: Path
    kind: PredictionKind
    points: Points
    count: int
    person_keys: Sequence[str] | None = None
    pictures: Sequence[str] | None = None  # names as the owner has them
    bboxes_xyxy: Float[np.ndarray, "rows 4"] | None = None  # px of pictures ``width`` wide
    width: int | None = None  # of the pictures that boxes belong to; None: as stored
    mistakes: Mapping[str, Points] = field(default_factory=dict)  # what should have been said: how it would read
    orientations: Points | None = None  # (rows, 9, 3, 3) of ``orientations.CHALLENGE_JOINTS``


def read_predictions(path: Path, protocol: Protocol, model_dir: Path) -> Predictions:
    """Return the predictions of a file or folder; ProtocolError says what is missing or unusual in it."""
    path = Path(path)
    if path.is_dir() or path.suffix == ".zip":
        return posed_people(path, *read_per_person(path), protocol, model_dir)
    return _of_table(
        path, {_ALIASES.get(name, name): value for name, value in read_table(path).items()}, protocol, model_dir
    )


def _of_table(path: Path, table: Mapping[str, Any], protocol: Protocol, model_dir: Path) -> Predictions:
    """Return the predictions of a table; ProtocolError names the column that is missing or of another shape."""
    what = next((name for name in _WHAT if name in table), None)
    if what is None:
        raise ProtocolError(path, f"holds none of {', '.join(_WHAT)}; found {', '.join(sorted(table)) or 'nothing'}")
    count = len(table[what])
    keys = {
        name: [str(value) for value in np.ravel(table[name])] for name in ("person_key", "picture") if name in table
    }
    if not keys:
        raise ProtocolError(path, "says of nobody who it is", "add person_key, or picture and bbox_xyxy")
    for name, values in keys.items():
        if len(values) != count:
            raise ProtocolError(path, f"{name} should hold {count} rows as {what}, found {len(values)}")
    content = content_of(path, table, count, protocol, model_dir)
    return Predictions(
        path,
        count=count,
        person_keys=keys.get("person_key"),
        pictures=keys.get("picture"),
        bboxes_xyxy=_boxes(path, table),
        **content._asdict(),
    )


def _boxes(path: Path, table: Mapping[str, Any]) -> np.ndarray | None:
    """Return the boxes, whose name says how they are written."""
    if "bbox_xyxy" in table:
        return array_of(path, table, "bbox_xyxy", (4,))
    if "bbox_xywh" in table:
        boxes = array_of(path, table, "bbox_xywh", (4,))
        return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    if "bbox" in table:
        raise ProtocolError(
            path, "has boxes of which nothing says how they are written", "name them bbox_xyxy or bbox_xywh"
        )
    return None


def posed_people(
    path: Path, pictures: list[str], contents: list[dict[str, Any]], protocol: Protocol, model_dir: Path
) -> Predictions:
    """Return the predictions of AGORA's files: meshes, or parameters whose hands are deviations from the mean hand."""
    joints = [np.asarray(content.get("joints", ()), np.float64).reshape(-1, 2) for content in contents]
    for picture, own in zip(pictures, joints, strict=True):
        if len(own) < 24:
            raise ProtocolError(path, f"joints of {picture} should be 24 points or more in pixels, found {len(own)}")
    boxes = np.stack([np.concatenate([own.min(axis=0), own.max(axis=0)]) for own in joints])
    if all("verts" in content for content in contents):
        table: dict[str, Any] = {"vertices": np.stack([np.squeeze(content["verts"]) for content in contents])}
    elif all("params" in content for content in contents):
        table = _of_params(path, contents)
    else:
        raise ProtocolError(path, "should hold verts in every file, or params in every file")
    content = content_of(path, table, len(contents), protocol, model_dir)
    return Predictions(
        path,
        count=len(contents),
        pictures=pictures,
        bboxes_xyxy=boxes,
        width=AGORA_WIDTH,
        **content._asdict(),
    )


def _of_params(path: Path, contents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the columns of AGORA's files with parameters; a kid's last beta is the weight of the kid's template.

    The owner's readme calls the mark of a kid ``age``, its code ``kid_flag``: either will do.
    """
    names = set.intersection(*(set(content["params"]) for content in contents))
    is_kid = np.array([bool(c.get("kid_flag", False)) or c.get("age") == "kid" for c in contents])
    table = {name: [np.asarray(c["params"][name])[0] for c in contents] for name in sorted(names)}
    if is_kid.any() and "betas" in table:
        betas = table["betas"]
        table["kid_weight"] = [own[-1] if kid else np.nan for own, kid in zip(betas, is_kid, strict=True)]
        table["betas"] = [own[:-1] if kid else own for own, kid in zip(betas, is_kid, strict=True)]
    widths = {len(own) for own in table.get("betas", ())}
    if len(widths) > 1:
        problem = f"betas should be as many of every adult, and one more of every kid, found {sorted(widths)}"
        raise ProtocolError(path, problem, "mark kids by age: kid")
    columns: dict[str, Any] = {name: np.stack(values) for name, values in table.items()}
    genders = [_gender(content, is_kid=kid) for content, kid in zip(contents, is_kid.tolist(), strict=True)]
    return columns | {"flat_hand_mean": False, "gender": genders}


def _gender(content: Mapping[str, Any], *, is_kid: bool) -> str:
    """Return whose model the owner's evaluation poses a person of a file with: girls have the neutral one."""
    said = str(content.get("gender", "neutral"))
    return "neutral" if is_kid and said == "female" else said
