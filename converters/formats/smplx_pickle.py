"""One SMPL-X body in a pickle, as SMPLify-X and its descendants write it: a dictionary of arrays (1, n).

The names are those of the ``smplx`` package. Numbers are passed on as they are: whether hands are absolute, and which
space and gender the body belongs to, is the source's business.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...body.unpickling import load_pickle
from ...errors import RawSchemaError

# Numbers of each parameter, and the shape of one person's.
_PARTS = {
    "global_orient": (3, (3,)),
    "body_pose": (63, (21, 3)),
    "left_hand_pose": (45, (15, 3)),
    "right_hand_pose": (45, (15, 3)),
    "jaw_pose": (3, (3,)),
    "leye_pose": (3, (3,)),
    "reye_pose": (3, (3,)),
    "transl": (3, (3,)),
}
_HANDS = ("left_hand_pose", "right_hand_pose")
_OF_ANY_SIZE = ("betas", "expression")


def read_body(path: Path, *, hand_components: int | None = None) -> dict[str, np.ndarray]:
    """Return the parameters of a pickled body, unbatched; RawSchemaError for one that is missing, misshapen or NaN.

    Where hands are coefficients of ``hand_components`` principal components, they come out as such vectors.
    """
    content = load_pickle(path)
    if not isinstance(content, dict):
        raise RawSchemaError(path, "the pickle", "a dictionary of arrays", f"a {type(content).__name__}")
    parts = dict(_PARTS)
    if hand_components is not None:
        parts |= dict.fromkeys(_HANDS, (hand_components, (hand_components,)))
    return {name: _part(path, name, content.get(name), parts) for name in (*parts, *_OF_ANY_SIZE)}


def _part(path: Path, name: str, value: object, parts: Mapping[str, tuple[int, tuple[int, ...]]]) -> np.ndarray:
    """Return one parameter as float64."""
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        raise RawSchemaError(path, f"parameter {name!r}", "an array of numbers", f"a {type(value).__name__}")
    numbers = value.astype(np.float64).reshape(-1)
    size, shape = parts.get(name, (len(numbers), (-1,)))
    if len(numbers) != size:
        raise RawSchemaError(path, f"parameter {name!r}", f"{size} numbers", f"an array {value.shape}")
    if not np.isfinite(numbers).all():
        raise RawSchemaError(path, f"parameter {name!r}", "finite", "NaN or infinity")
    return numbers.reshape(shape)
