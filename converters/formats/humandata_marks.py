"""What the numbers of a HumanData file tell where it has no word for it, or a wrong one.

Facts: MMHuman3D ``mscoco_neural_annot.py`` (flags of hands and face beside the body's parameters; cameras of crops that
``misc`` calls original), ``ubody.py`` and ``arctic.py`` (flags in ``meta``), branch convertors.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from ...body.joints import HUMAN_DATA_JOINTS, LEFT_HAND_21, RIGHT_HAND_21
from .npz_stream import as_rows

# Part of a person -> names of the flag that says whether its label may be trusted.
_FLAGS = {
    "left_hand": ("left_hand_valid", "lefthand_valid"),
    "right_hand": ("right_hand_valid", "righthand_valid"),
    "face": ("face_valid",),
}
PARAMETERS_OF = {
    "left_hand": ("left_hand_pose",),
    "right_hand": ("right_hand_pose",),
    "face": ("jaw_pose", "expression"),
}
# Part -> its joints among SMPL-X's 144, without the wrist, which is the arm's.
POINTS_OF = {
    "left_hand": LEFT_HAND_21[1:],
    "right_hand": RIGHT_HAND_21[1:],
    "face": tuple(range(HUMAN_DATA_JOINTS.index("right_eyebrow_1"), 144)),
}
_AT_CENTRE = 0.02  # of a box's longer side, and a pixel and a half for boxes that were cut to the picture
_PIXELS = 1.5


def trusted_parts(held: tuple[Mapping[str, Any], ...], people: int) -> dict[str, Bool[np.ndarray, " people"]]:
    """Return for each part that dictionaries of a file flag which rows are valid; the first that has the flag counts.

    A flag that is not there for everyone (some files hold empty lists) says nothing.
    """
    out = {}
    for part, names in _FLAGS.items():
        found = [as_rows(content[name]) for content in held for name in names if content.get(name) is not None]
        rows = next((rows for rows in found if len(rows) == people), None)
        if rows is not None and people:
            out[part] = (rows.read().reshape(people, -1) != 0).all(axis=1)
    return out


def are_crops(K: Float[np.ndarray, "rows 3 3"], boxes: Float[np.ndarray, "rows 4"]) -> bool:
    """Return whether cameras look at the middle of each person's box (x, y, width, height in px): those of crops.

    Principal points of true cameras are the same in many rows, or lie in the middle of pictures.
    """
    known = np.isfinite(K).all(axis=(1, 2)) & np.isfinite(boxes).all(axis=1)
    centres, middles = K[known][:, :2, 2], boxes[known, :2] + boxes[known, 2:] / 2
    sides = boxes[known, 2:].max(axis=1, initial=0)
    if not len(centres) or np.ptp(centres, axis=0).max() < np.median(sides) * _AT_CENTRE + _PIXELS:
        return False
    apart = np.linalg.norm(centres - middles, axis=1) - sides * _AT_CENTRE
    return bool(np.median(apart) < _PIXELS)
