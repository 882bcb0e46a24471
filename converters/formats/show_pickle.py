"""Clips of SHOW: a pickle with SMPL-X for every frame of up to ten seconds of video.

Hands are twelve principal components of the deviation from the mean hand; the camera has a made-up focal length, and
its translation is that of a renderer whose x and y point the other way. Shapes in the files differ from the documented
ones, so arrays are told by their number of values. Losses are kept as torch tensors, which nobody needs.
Facts: SHOW ``README.md``, ``SHOW/renderer.py``, ``test/demo_pkl/all.pkl``; MMHuman3D ``talkshow.py``.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ...body.cameras import intrinsics
from ...body.hands import to_absolute
from ...body.unpickling import load_pickle
from ...errors import RawSchemaError
from .pca_hands import Components

NUM_COMPONENTS = 12
# Name in the file -> name and shape of one frame's.
_OF_FRAME: dict[str, tuple[str, tuple[int, ...]]] = {
    "global_orient": ("global_orient", (3,)),
    "body_pose_axis": ("body_pose", (21, 3)),
    "left_hand_pose": ("left_hand_pose", (NUM_COMPONENTS,)),
    "right_hand_pose": ("right_hand_pose", (NUM_COMPONENTS,)),
    "jaw_pose": ("jaw_pose", (3,)),
    "leye_pose": ("leye_pose", (3,)),
    "reye_pose": ("reye_pose", (3,)),
    "expression": ("expression", (100,)),
    "transl": ("transl", (3,)),
}
_OF_CLIP = {"betas": 300, "camera_transl": 3, "center": 2, "focal_length": 1, "width": 1, "height": 1}
_DROPPED = frozenset({"torch._utils._rebuild_tensor_v2", "torch.storage._load_from_bytes"})
_TO_CAMERA = np.array([-1.0, -1.0, 1.0])


class Clip(NamedTuple):
    """One clip in camera space."""

    columns: dict[str, Float[np.ndarray, "frames ..."]]  # fields of a person, one row a frame
    K: Float[np.ndarray, "3 3"]
    size: tuple[int, int]  # width, height in px

    @property
    def frames(self) -> int:
        """Return the number of labelled frames."""
        return len(self.columns["transl"])


def read_clip(path: Path, components: Components) -> Clip:
    """Return a clip; hands only with ``components``. RawFileError or RawSchemaError when it is no sound clip."""
    content = load_pickle(path, dropped=_DROPPED)
    if isinstance(content, list) and len(content) == 1:
        content = content[0]
    if not isinstance(content, dict):
        raise RawSchemaError(path, "the pickle", "a dictionary, or a list of one", f"a {type(content).__name__}")
    once = {name: _numbers(path, content, name, size) for name, size in _OF_CLIP.items()}
    for name, values in once.items():
        if not np.isfinite(values).all():
            raise RawSchemaError(path, f"entry {name!r}", "finite", "NaN or infinity")
    frames = len(_numbers(path, content, "transl", None)) // 3
    columns = {}
    for name, (field, shape) in _OF_FRAME.items():
        columns[field] = _numbers(path, content, name, frames * int(np.prod(shape))).reshape(frames, *shape)
    columns["transl"] += once["camera_transl"] * _TO_CAMERA
    columns["betas"] = np.repeat(once["betas"][None], frames, axis=0)
    for side in ("left", "right"):
        coefficients = columns.pop(f"{side}_hand_pose")
        if side in components:
            deviation = (coefficients @ components[side]).reshape(frames, 15, 3)
            columns[f"{side}_hand_pose"] = to_absolute(deviation, side)
    focal, (cx, cy) = once["focal_length"].item(), once["center"]
    size = (int(once["width"].item()), int(once["height"].item()))
    return Clip(
        {name: values.astype(np.float32) for name, values in columns.items()}, intrinsics(focal, focal, cx, cy), size
    )


def _numbers(path: Path, content: dict[str, Any], name: str, size: int | None) -> Float[np.ndarray, " values"]:
    """Return an entry as a row of float64, of ``size`` values unless that is None."""
    value = np.asarray(content.get(name))
    if value.dtype.kind not in "fiu" or size not in (None, value.size):
        expected = "numbers" if size is None else f"{size} numbers"
        found = f"{value.dtype} {value.shape}" if name in content else "nothing"
        raise RawSchemaError(path, f"entry {name!r}", expected, found)
    return value.astype(np.float64).reshape(-1)
