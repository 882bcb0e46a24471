"""Is a submission what its owner's server takes? Everything that can be told from the file alone.

The servers answer a file of the wrong scale or order with bad numbers, not with an error. Checked are names, shapes,
units, pixels of the wrong picture size, joints that are not the 24 of SMPL, hands with the mean hand added, rotations
that are none, and people that are missing.

Facts: agora_evaluation ``docs/prediction_format.md``; freihand ``README.md``, ``pred.py``; SHAPY
``regressor/hbw_evaluation``; 3dpw-eval ``README.md``.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..body.hands import HAND_MEANS
from .prediction_files import read_pickle, unpacked

NUM_FREIHAND, NUM_HBW = 3960, 1631
PW3D_SPLITS = {"train": 24, "validation": 12, "test": 24}  # sequences
_BODY = (0.4, 4.0)  # m: extents of a person that are believed
_HAND = (0.05, 0.5)
_ENOUGH = 8  # people, before their pixels or hands tell anything together
_LARGE, _SMALL = (3840, 2160), (1280, 720)  # pictures of AGORA
PARAMS = {
    "transl": 3,
    "global_orient": 3,
    "body_pose": 63,
    "left_hand_pose": 45,
    "right_hand_pose": 45,
    "leye_pose": 3,
    "reye_pose": 3,
    "jaw_pose": 3,
    "expression": 10,
    "betas": 10,
}
_MESH_JOINTS = {10475: 127, 6890: 24}  # vertices of a body: joints that belong to them, at least
_SERVER_JOINTS = (24, 45, 127, 144)
_PW3D_PARTS = ("jointPositions", "orientations")
_FREIHAND_TIPS, _MANO_TIPS = [4, 8, 12, 16, 20], [16, 17, 18, 19, 20]
_TIP_VERTICES = [744, 320, 443, 555, 672]  # of MANO, thumb to pinky
_HBW_NAME = re.compile(r"test/[^/]+/[^/]+/[^/]+\.png")
Problems = Iterator[str]
Files = Sequence[tuple[str, Path]]


def check_submission(form: str, path: Path) -> list[str]:
    """Return what is wrong with a submission, as sentences; an empty list when its owner's server will take it."""
    return list(dict.fromkeys(_CHECKS[form](Path(path))))


def _check_people(path: Path, *, with_params: bool) -> Problems:
    """Yield what is wrong with AGORA's files."""
    with unpacked(path, ".pkl") as files:
        if not files:
            yield "it holds no file <image>_personId_<number>.pkl"
        contents = []
        for name, own in files:
            yield from _name_problems(name, is_zipped=path.suffix == ".zip")
            contents.append(read_pickle(own))
            yield from _person_problems(contents[-1], with_params=with_params)
    yield from scale_problems([np.asarray(own.get("joints", ()), np.float64).reshape(-1, 2) for own in contents])
    params = [own["params"] for own in contents if with_params and isinstance(own.get("params"), dict)]
    yield from _hand_problems([{s: np.ravel(own.get(f"{s}_hand_pose", ())) for s in HAND_MEANS} for own in params])


def _name_problems(name: str, *, is_zipped: bool) -> Problems:
    if is_zipped and not name.startswith("predictions/"):
        yield "files should lie in the folder predictions of the zip"
    if not re.search(r"_personId_\d+\.pkl$", name):
        yield f"{name} should be called <image>_personId_<number>.pkl"
    if "_1280x720_personId_" in name:
        yield "files should bear the names of the large pictures, without _1280x720"


def _person_problems(content: Mapping[str, Any], *, with_params: bool) -> Problems:
    """Yield what is wrong with the dictionary of one person, in words that do not name them."""
    joints = np.squeeze(np.asarray(content.get("joints", ())))
    if joints.ndim != 2 or joints.shape[1] != 2 or len(joints) < 24:
        yield f"joints should be 24 points in pixels, found an array {joints.shape}"
    elif len(joints) not in _SERVER_JOINTS:
        yield f"joints should be the 24 of SMPL, found {len(joints)}: cut to the first 24 if those are SMPL's"
    elif not np.isfinite(joints).all():
        yield "joints hold NaN or infinity"
    if "verts" in content:
        yield from _mesh_problems(content)
    elif not with_params:
        yield "verts and allSmplJoints3d are missing, and this owner takes no parameters"
    elif isinstance(content.get("params"), dict):
        yield from _param_problems(content)
    else:
        yield "there are neither verts nor params"


def _mesh_problems(content: Mapping[str, Any]) -> Problems:
    vertices, joints = (np.squeeze(np.asarray(content.get(name, ()))) for name in ("verts", "allSmplJoints3d"))
    if vertices.ndim != 2 or len(vertices) not in _MESH_JOINTS or vertices.shape[1] != 3:
        yield f"verts should be (10475, 3) or (6890, 3), found {vertices.shape}"
        return
    least = _MESH_JOINTS[len(vertices)]
    if joints.ndim != 2 or joints.shape[1] != 3 or len(joints) < least:
        yield f"allSmplJoints3d should be ({least} or more, 3), found {joints.shape}"
    yield from _extent_problems("verts", vertices[None], _BODY)


def _param_problems(content: Mapping[str, Any]) -> Problems:
    """Yield what is wrong with parameters: the server adds the mean hand and poses the neutral model."""
    params = content["params"]
    wants_matrices = content.get("pose2rot") is False
    for name, size in PARAMS.items():
        if name not in params:
            yield f"params lack {name}"
            continue
        values = np.asarray(params[name])
        wanted = 3 * size if wants_matrices and name.endswith(("pose", "orient")) else size
        allowed = (wanted, 11) if name == "betas" else (wanted,)
        if values.size not in allowed or values.shape[:1] != (1,):
            yield f"params of {name} should be of shape (1, {wanted}), found {values.shape}"
        elif not np.isfinite(values).all():
            yield f"params of {name} hold NaN or infinity"


def _extent_problems(what: str, points: np.ndarray, believed: tuple[float, float]) -> Problems:
    """Yield a sentence when the median extent of people is not one in metres."""
    if not np.isfinite(points).all():
        yield f"{what} hold NaN or infinity"
        return
    extent = float(np.median((points.max(axis=1) - points.min(axis=1)).max(axis=-1)))
    if extent > believed[1] * 50:
        yield f"{what} look to be in millimetres (people are {extent:.0f} long): give metres"
    elif not believed[0] < extent < believed[1]:
        yield f"{what} should be in metres, but people are {extent:.3g} long"


def scale_problems(joints: Sequence[np.ndarray]) -> Problems:
    """Yield a sentence when all joints would fit into pictures of 1280 x 720."""
    points = [own for own in joints if len(own)]
    if len(points) < _ENOUGH:
        return
    every = np.concatenate(points)
    inside = every[(every > 0).all(axis=1)]
    if len(inside) and (inside.max(axis=0) < np.array(_SMALL) * 1.1).all():
        yield "joints look to be in pixels of 1280 x 720: multiply by 3, the server wants those of 3840 x 2160"
    if len(inside) and (np.median(inside, axis=0) > np.array(_LARGE)).any():
        yield "joints lie outside of pictures of 3840 x 2160: were they multiplied by 3 twice?"


def _hand_problems(hands: Sequence[Mapping[str, np.ndarray]]) -> Problems:
    """Yield a sentence when hands look absolute, since the server adds the mean hand."""
    for side, mean in HAND_MEANS.items():
        poses = [own[side] for own in hands if own[side].size == mean.size]
        if len(poses) < _ENOUGH:
            continue
        centre = np.mean(poses, axis=0)
        if np.linalg.norm(centre - mean.ravel()) < 0.5 * np.linalg.norm(centre):
            yield f"{side}_hand_pose looks absolute (flat_hand_mean true): subtract the mean hand, the server adds it"


def _check_freihand(path: Path) -> Problems:
    """Yield what is wrong with ``pred.json`` or a zip of it."""
    with unpacked(path, ".json") as files:
        texts = [own.read_text(encoding="utf-8") for name, own in files if path.suffix != ".zip" or name == "pred.json"]
    if not texts:
        yield "the zip should hold pred.json"
        return
    content = json.loads(texts[0])
    if not isinstance(content, list) or len(content) != 2:
        yield "it should be a list of two lists, joints and vertices"
        return
    for what, rows, points in zip(("joints", "vertices"), content, (21, 778), strict=True):
        if len(rows) != NUM_FREIHAND:
            yield f"it should hold {what} of {NUM_FREIHAND} pictures, found {len(rows)}"
        wrong = [number for number, own in enumerate(rows) if np.shape(own) != (points, 3)]
        if wrong:
            yield f"{what} of picture {wrong[0]} should be ({points}, 3), found {np.shape(rows[wrong[0]])}"
            return
        if rows:
            yield from _extent_problems(what, np.asarray(rows[:256], np.float64), _HAND)
    yield from _tip_problems(*(np.asarray(rows[:256], np.float64) for rows in content))


def _tip_problems(joints: np.ndarray, vertices: np.ndarray) -> Problems:
    """Yield a sentence when fingertips are where MANO's own order has them."""
    if not len(joints) or len(joints) != len(vertices):
        return
    tips = vertices[:, _TIP_VERTICES]
    far, near = (np.linalg.norm(joints[:, own] - tips, axis=-1).mean() for own in (_FREIHAND_TIPS, _MANO_TIPS))
    if near < 0.5 * far and far > 0.01:
        yield "joints look to be in MANO's order (tips last): the server wants wrist, then thumb to pinky, base to tip"


def _check_hbw(path: Path) -> Problems:
    """Yield what is wrong with the npz of HBW."""
    with np.load(path, allow_pickle=False) as file:
        content = {name: file[name] for name in file.files}
    for name in ("image_name", "v_shaped"):
        if name not in content:
            yield f"{name} is missing; found {', '.join(sorted(content)) or 'nothing'}"
            return
    names, shapes = [str(name) for name in content["image_name"]], content["v_shaped"]
    if len(names) != NUM_HBW or len(set(names)) != len(names):
        yield f"it should name {NUM_HBW} pictures, each once, found {len(names)} ({len(set(names))} different)"
    wrong = [name for name in names if not _HBW_NAME.fullmatch(name)]
    if wrong:
        yield f"names should be test/<subject>/<set>/<name>.png, found {wrong[0]}"
    if shapes.shape != (len(names), 10475, 3):
        yield f"v_shaped should be ({len(names)}, 10475, 3), SMPL-X in the template's pose, found {shapes.shape}"
        return
    yield from _extent_problems("v_shaped", shapes[:256], _BODY)
    extents = np.ptp(shapes[:256], axis=1)
    if len(extents) and (extents[:, 0] < 0.6 * extents[:, 1]).mean() > 0.5:
        yield "v_shaped looks posed: in the template's pose the arms are stretched to the sides"


def _check_pw3d(path: Path) -> Problems:
    """Yield what is wrong with the challenge's zip or folder."""
    counts, keys = dict.fromkeys(PW3D_SPLITS, 0), set()
    with unpacked(path, ".pkl") as files:
        for name, own in files:
            split = Path(name).parent.name
            if split not in counts:
                yield f"{name} should lie in a folder train, validation or test"
                continue
            counts[split] += 1
            content = read_pickle(own)
            keys.add(", ".join(sorted(content)))
            for problem in _sequence_problems(content):
                yield f"{name}: {problem}"
    wrong = [f"{n} of {split}, found {counts[split]}" for split, n in PW3D_SPLITS.items() if counts[split] != n]
    if wrong:
        yield f"it should hold the sequences of the data set: {'; '.join(wrong)}"
    if len(keys) > 1:
        yield f"all files should hold the same keys, found {' and '.join(sorted(keys))}"


def _sequence_problems(content: Mapping[str, Any]) -> Problems:
    if strange := sorted(set(content) - set(_PW3D_PARTS)) or (not content and ["none"]):
        yield f"keys should be {' or '.join(_PW3D_PARTS)}, found {', '.join(strange)}"
        return
    arrays = {name: np.asarray(value, np.float64) for name, value in content.items()}
    for name, tail in (("jointPositions", (24, 3)), ("orientations", (9, 3, 3))):
        if name in arrays and arrays[name].shape[2:] != tail:
            yield f"{name} should be (people, frames, {', '.join(map(str, tail))}), found {arrays[name].shape}"
            return
    if "jointPositions" in arrays:
        joints = arrays["jointPositions"].reshape(-1, 24, 3)
        predicted = joints[(joints != 0).any(axis=(1, 2))]
        if len(predicted):
            yield from _extent_problems("jointPositions", predicted, _BODY)
    if "orientations" in arrays:
        R = arrays["orientations"].reshape(-1, 3, 3)
        R = R[(R != 0).any(axis=(1, 2))]
        if len(R) and (np.abs(R @ R.transpose(0, 2, 1) - np.eye(3)).max() > 1e-3 or (np.linalg.det(R) < 0).any()):
            yield "orientations should be rotation matrices"
    shapes = {array.shape[:2] for array in arrays.values()}
    if len(shapes) > 1:
        yield f"jointPositions and orientations should be of the same people and frames, found {sorted(shapes)}"


_CHECKS: dict[str, Callable[[Path], Problems]] = {
    "agora": lambda path: _check_people(path, with_params=True),
    "bedlam": lambda path: _check_people(path, with_params=False),
    "freihand": _check_freihand,
    "shapy": _check_hbw,
    "pw3d_challenge": _check_pw3d,
}
FORMATS = tuple(_CHECKS)
