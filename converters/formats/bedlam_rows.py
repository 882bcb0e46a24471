"""What else the rows of a BEDLAM scene tell: projected joints, who is the same over time, which hands were found.

The owner's script projects the 127 joints and keeps the 1 of homogeneous pixels as a third value; some tools cut it
off. With the contour of the face there are 144, of which the first 127 are the same.

Labels that the owner's script made name the subject of a row (``sub``). The file ``<scene>-hands.npz`` of the hand
release repeats the labels and adds ``left_hand`` and ``right_hand``; the owner's network of whole bodies trains on
people with both.
Facts: BEDLAM ``data_processing/df_full_body.py``, ``train/dataset/datasetx.py``.
"""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float, Shaped

from ...errors import RawSchemaError
from ..raw import group_rows, load_columns, with_confidence
from .keypoints import sound_points
from .smplx_pose import POSE_SLICES

NUM_JOINTS = 127
# Shape of one row of each column.
COLUMNS = {
    "imgname": (),
    "pose_cam": (165,),
    "shape": (11,),
    "trans_cam": (3,),
    "cam_int": (3, 3),
    "cam_ext": (4, 4),
    "gtkps": (None, None),
}
OPTIONAL = {"sub": ()}
NEEDED = ("pose_cam", "shape", "trans_cam", "cam_int", "cam_ext")  # without which a row is no use
HINT = "11 betas belong to the neutral model; 10 (gendered) or 16 (locked head) to other body models"
HANDS = {"imgname": (), "pose_cam": (165,), "left_hand": (), "right_hand": ()}
_HANDS_HINT = "take labels and all_npz_12_hands of one release, or move the latter away: it is not needed"


def projected_joints(
    path: Path, points: Shaped[np.ndarray, "people joints values"]
) -> Float[np.ndarray, "people 127 3"]:
    """Return 127 points in px with a confidence; RawSchemaError for any but 127 or 144 joints of 2 or 3 values."""
    if points.shape[1] not in (NUM_JOINTS, 144) or points.shape[2] not in (2, 3):
        hint = "take the labels of BEDLAM; those of BEDLAM2 begin with other joints"
        raise RawSchemaError(path, "column 'gtkps'", "of shape (n, 127, 2 or 3)", str(points.shape), hint)
    points = points[:, :NUM_JOINTS]
    return sound_points(points) if points.shape[2] == 3 else with_confidence(points)


def tracks(stem: str, columns: Mapping[str, np.ndarray]) -> list[str | None]:
    """Return the name of each row's person in its sequence; None where the subject is unknown or in a picture twice."""
    if "sub" not in columns:
        return [None] * len(columns["imgname"])
    shown = [(name, str(sub)) for name, sub in zip(columns["imgname"].tolist(), columns["sub"].tolist(), strict=True)]
    people = [f"{stem}/{PurePosixPath(name).parent}/{sub}" for name, sub in shown]
    twice = {people[rows[0]] for rows in group_rows(shown).values() if len(rows) > 1}
    return [None if person in twice else person for person in people]


def found_hands(path: Path | None, columns: Mapping[str, np.ndarray]) -> list[dict[str, float]]:
    """Return which hands of each row's person were found, as measures; none where the file does not tell.

    RawSchemaError when the file tells of nobody: it then belongs to other labels.
    """
    if path is None:
        return [{}] * len(columns["imgname"])
    hands = load_columns(path, HANDS, hint=_HANDS_HINT)
    told = {
        key: {f"owner_{side}_found": float(hands[side][row]) for side in ("left_hand", "right_hand")}
        for row, key in enumerate(_keys(hands))
    }
    out = [told.get(key, {}) for key in _keys(columns)]
    if out and not any(out):
        raise RawSchemaError(path, "imgname and pose_cam", "those of the labels", "nobody of the labels", _HANDS_HINT)
    return out


def _keys(columns: Mapping[str, np.ndarray]) -> list[tuple[str, bytes]]:
    """Return what tells the rows of two files apart: the picture, and the pose of the body in float32."""
    poses = columns["pose_cam"][:, POSE_SLICES["body_pose"]].astype(np.float32)
    return [(name, pose.tobytes()) for name, pose in zip(columns["imgname"].tolist(), poses, strict=True)]
