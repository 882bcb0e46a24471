"""Boxes of hands and face as SMPLer-X learns them: where they lie in the crop, by the source's boxes or the joints."""

import numpy as np
from jaxtyping import Bool, Float

from ..body.joints import SUPERVISION_PARTS
from ..shards.columns import Columns
from .crops import move_points

FIELDS = ("left_hand_bbox_xyxy", "right_hand_bbox_xyxy", "face_bbox_xyxy")
PARTS = ("left_hand", "right_hand", "face")
MIRRORED = [1, 0, 2]
ENLARGED = 1.2  # of boxes about joints, which end at the finger tips (public repository caizhongang/SMPLer-X)
LEAST_SHARE = 0.5  # of a part's joints have to be known for a box about them


def given_boxes(columns: Columns, count: int) -> tuple[Float[np.ndarray, "people 3 4"], Bool[np.ndarray, "people 3"]]:
    """Return the source's boxes (left hand, right hand, face; px of the stored picture) and which there are."""
    boxes, known = np.zeros((count, len(FIELDS), 4)), np.zeros((count, len(FIELDS)), bool)
    for part, name in enumerate(FIELDS):
        for mine, values in columns.given(name):
            boxes[mine, part], known[mine, part] = values, True
    return boxes, known


def boxes_in_crop(
    boxes: Float[np.ndarray, "people 3 4"],
    has_box: Bool[np.ndarray, "people 3"],
    joints_2d: Float[np.ndarray, "people 137 2"],
    has_2d: Bool[np.ndarray, "people 137"],
    affine: Float[np.ndarray, "people 2 3"],
    size: tuple[int, int],
) -> tuple[Float[np.ndarray, "people 3 4"], Bool[np.ndarray, "people 3"]]:
    """Return x0, y0, x1, y1 in px of the crop of ``size`` (width, height), and which boxes have their centre in it.

    A box that the source gave counts before one about joints. Of a turned box, what is returned bounds its corners.
    """
    corners = boxes[..., [0, 1, 2, 1, 2, 3, 0, 3]].reshape(len(boxes), -1, 2)
    moved = move_points(affine, corners).reshape(*boxes.shape[:2], 4, 2)
    given = np.concatenate([moved.min(axis=2), moved.max(axis=2)], axis=-1)
    about, is_about = _about_joints(move_points(affine, joints_2d), has_2d)
    found = np.where(has_box[..., None], given, about)
    centres = (found[..., :2] + found[..., 2:]) / 2
    is_inside = ((centres >= 0) & (centres < np.array(size))).all(axis=-1)
    known = (has_box | is_about) & is_inside
    return np.where(known[..., None], found, 0.0), known


def _about_joints(
    joints: Float[np.ndarray, "people 137 2"], known: Bool[np.ndarray, "people 137"]
) -> tuple[Float[np.ndarray, "people 3 4"], Bool[np.ndarray, "people 3"]]:
    """Return enlarged boxes about the joints of each part, and which parts have enough joints."""
    boxes, enough = np.zeros((len(joints), len(PARTS), 4)), np.zeros((len(joints), len(PARTS)), bool)
    for i, part in enumerate(PARTS):
        where = SUPERVISION_PARTS[part]
        mask = known[:, where, None]
        low = np.where(mask, joints[:, where], np.inf).min(axis=1)
        high = np.where(mask, joints[:, where], -np.inf).max(axis=1)
        enough[:, i] = known[:, where].mean(axis=1) >= LEAST_SHARE
        low, high = (np.where(enough[:, i, None], ends, 0.0) for ends in (low, high))
        centre, half = (low + high) / 2, (high - low) / 2 * ENLARGED
        boxes[:, i] = np.concatenate([centre - half, centre + half], axis=1)
    return boxes, enough
