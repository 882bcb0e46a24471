"""What the owners of hidden test sets take, written from a table of predictions (``predictions``) and checked.

Writing puts right what the table declares: pixels of small pictures become those of the large ones, absolute hands
become deviations from the mean hand. What it does not declare is asked for, and what then fails
``submission_checks`` is not left behind. Equal tables give equal bytes.
"""

import io
import json
import pickle
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..body.hands import HAND_MEANS
from ..errors import ProtocolError
from .prediction_files import read_table
from .submission_checks import NUM_FREIHAND, PARAMS, check_submission

_MOMENT = (1980, 1, 1, 0, 0, 0)  # of every member of a zip
_AGORA_WIDTH = 3840  # of the pictures whose pixels the server wants
Table = Mapping[str, Any]


def require_submission(form: str, path: Path) -> None:
    """Raise ProtocolError with the first problem of a submission, and how many more there are."""
    problems = check_submission(form, path)
    if problems:
        more = f" (and {len(problems) - 1} more problems)" if len(problems) > 1 else ""
        raise ProtocolError(path, f"is no submission for {form}: {problems[0]}{more}")


def write_submission(form: str, predictions: Path, out: Path) -> Path:
    """Write what a server takes from a table of predictions, and check it; what fails the check is not left behind."""
    table = read_table(Path(predictions))
    out.parent.mkdir(parents=True, exist_ok=True)
    hidden = out.with_name(f".{out.name}.partial{out.suffix}")
    try:
        hidden.write_bytes(_WRITERS[form](Path(predictions), table))
        require_submission(form, hidden)
        hidden.replace(out)
    finally:
        hidden.unlink(missing_ok=True)
    return out


def _column(path: Path, table: Table, name: str, *shape: int) -> np.ndarray:
    """Return a column; ProtocolError when it is absent or of another shape. -1 stands for any size."""
    if name not in table:
        raise ProtocolError(path, f"lacks {name}; found {', '.join(sorted(table))}")
    values = np.asarray(table[name])
    fits = values.ndim == len(shape) + 1 and all(s in (-1, n) for s, n in zip(shape, values.shape[1:], strict=True))
    if not fits:
        raise ProtocolError(path, f"{name} should be of shape {('people', *shape)}, found {values.shape}")
    return values


def _zip(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name, _MOMENT), files[name], compress_type=zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _people_zip(path: Path, table: Table, *, with_params: bool) -> bytes:
    """Return AGORA's zip: a pickle a person, joints in pixels of the large pictures."""
    pictures = [Path(str(name)).stem.removesuffix("_1280x720") for name in _column(path, table, "picture")]
    joints = _column(path, table, "joints_2d", -1, 2).astype(np.float64)
    if "picture_width" not in table:
        problem = "does not say how wide the pictures are whose pixels joints_2d are"
        raise ProtocolError(path, problem, "add picture_width, 1280 or 3840; 1280 is multiplied by 3 here")
    joints = joints * (_AGORA_WIDTH / float(np.ravel(table["picture_width"])[0]))
    bodies = _bodies(path, table, with_params=with_params)
    count: dict[str, int] = {}
    files = {}
    for picture, own, body in zip(pictures, joints, bodies, strict=True):
        number = count.get(picture, 0)
        count[picture] = number + 1
        content = {"joints": own[:24].astype(np.float32), **body}
        files[f"predictions/{picture}_personId_{number}.pkl"] = pickle.dumps(content, protocol=4)
    return _zip(files)


def _bodies(path: Path, table: Table, *, with_params: bool) -> list[dict[str, Any]]:
    """Return the mesh and joints of each person, or the parameters with hands as deviations from the mean hand."""
    if "vertices" in table:
        vertices = _column(path, table, "vertices", -1, 3).astype(np.float32)
        joints = _column(path, table, "joints", -1, 3).astype(np.float32)
        return [{"verts": mesh, "allSmplJoints3d": own} for mesh, own in zip(vertices, joints, strict=True)]
    if not with_params:
        raise ProtocolError(path, "lacks vertices", "this owner takes meshes and 3D joints only")
    if "flat_hand_mean" not in table:
        raise ProtocolError(path, "does not say whether zero is a flat hand", "add flat_hand_mean, true or false")
    is_flat = bool(np.ravel(table["flat_hand_mean"])[0])
    absent = [name for name in ("global_orient", "body_pose", "betas") if name not in table]
    if absent:
        raise ProtocolError(path, f"lacks {', '.join(absent)}; found {', '.join(sorted(table))}")
    people = len(np.asarray(table["betas"]))
    params: dict[str, np.ndarray] = {}
    for name, size in PARAMS.items():
        values = np.asarray(table.get(name, np.zeros((people, size))), np.float32).reshape(people, -1)
        if values.shape[1] != size:
            raise ProtocolError(path, f"{name} should hold {size} numbers a person, found {values.shape[1]}")
        side = name.split("_")[0]
        is_absolute_hand = is_flat and name.endswith("hand_pose")
        params[name] = values - HAND_MEANS[side].reshape(-1).astype(np.float32) if is_absolute_hand else values
    weights = np.asarray(table.get("kid_weight", np.full(people, np.nan)), np.float32).reshape(people)
    return [_body({name: own[row : row + 1] for name, own in params.items()}, weights[row]) for row in range(people)]


def _body(params: Mapping[str, np.ndarray], kid_weight: np.float32) -> dict[str, Any]:
    """Return the parameters of one person as AGORA's files have them: a kid's template weight is one more beta."""
    is_kid = bool(np.isfinite(kid_weight))
    betas = {"betas": np.append(params["betas"], [[kid_weight]], axis=1)} if is_kid else {}
    # The owner's readme calls the mark of a kid age, its code kid_flag.
    mark = {"kid_flag": True} if is_kid else {}
    age = "kid" if is_kid else "adult"
    own = {**params, **betas}
    return {"params": own, "gender": "neutral", "age": age, "num_betas": 10, "pose2rot": True, **mark}


def _write_freihand(path: Path, table: Table) -> bytes:
    """Return ``pred.json``: joints and vertices in the order of the pictures' numbers."""
    numbers = [int(re.sub(r"\D", "", Path(str(name)).stem) or -1) for name in _column(path, table, "picture")]
    if str(np.ravel(table.get("joints_convention", ""))[0]) != "right_hand_21":
        raise ProtocolError(path, "should hold joints of joints_convention right_hand_21", "wrist, then thumb to pinky")
    joints, vertices = _column(path, table, "joints", 21, 3), _column(path, table, "vertices", 778, 3)
    if sorted(numbers) != list(range(len(numbers))):
        raise ProtocolError(
            path, f"should hold pictures 0 to {NUM_FREIHAND - 1}, each once", "give every picture a row"
        )
    order = np.argsort(numbers)
    return json.dumps([joints[order].tolist(), vertices[order].tolist()]).encode()


def _write_hbw(path: Path, table: Table) -> bytes:
    """Return the npz of HBW: names of pictures and shapes in the template's pose."""
    names = ["/".join(Path(str(name)).parts[-4:]) for name in _column(path, table, "picture")]
    buffer = io.BytesIO()
    shapes = _column(path, table, "vertices", 10475, 3).astype(np.float32)
    np.savez(buffer, image_name=np.array(names), v_shaped=shapes)
    return buffer.getvalue()


def _write_pw3d(path: Path, table: Table) -> bytes:
    """Return the challenge's zip: a pickle a sequence, filled with zeros where nobody was predicted."""
    columns = [_column(path, table, name) for name in ("split", "sequence", "actor", "frame")]
    parts = {"jointPositions": _column(path, table, "joints", 24, 3).astype(np.float64)}
    if "orientations" in table:
        parts["orientations"] = _column(path, table, "orientations", 9, 3, 3).astype(np.float64)
    rows: dict[tuple[str, str], list[int]] = {}
    for row, (split, sequence) in enumerate(zip(columns[0], columns[1], strict=True)):
        rows.setdefault((str(split), str(sequence)), []).append(row)
    files = {}
    for (split, sequence), own in rows.items():
        actors, frames = columns[2][own].astype(int), columns[3][own].astype(int)
        content = {}
        for name, values in parts.items():
            filled = np.zeros((actors.max() + 1, frames.max() + 1, *values.shape[1:]))
            if name == "orientations":
                filled[:] = np.eye(3)
            filled[actors, frames] = values[own]
            content[name] = filled
        files[f"{split}/{sequence}.pkl"] = pickle.dumps(content, protocol=4)
    return _zip(files)


_WRITERS: dict[str, Callable[[Path, Table], bytes]] = {
    "agora": lambda path, table: _people_zip(path, table, with_params=True),
    "bedlam": lambda path, table: _people_zip(path, table, with_params=False),
    "freihand": _write_freihand,
    "shapy": _write_hbw,
    "pw3d_challenge": _write_pw3d,
}
