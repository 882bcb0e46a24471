"""SMPL-X fits in the NeuralAnnot schema (Moon et al. 2022), which OSX (Lin et al. 2023) uses for its own fits.

``{"<annotation id>": {"smplx_param": {...}, "cam_param": {...}}}``. The model is SMPL-X neutral with 10 betas and 10
expression components; hand poses are deviations from the mean hand and become absolute here. Each fit was made in a
crop of its person with a focal length of 5000 pixels, and the camera is that crop's, written in pixels of the whole
picture: depth is tens of metres and the translation is not metric.
Facts: NeuralAnnot_RELEASE ``MSCOCO/demo_smplx.py`` and issue 14; OSX ``data/MSCOCO/MSCOCO.py``.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ...body.cameras import intrinsics
from ...body.hands import to_absolute
from ...shards.record import Camera, Labels
from ..raw import compact_numbers, load_json, require

Fit = dict[str, Any]

# Numbers in each list of smplx_param.
LENGTHS = {
    "root_pose": 3,
    "body_pose": 63,
    "shape": 10,
    "trans": 3,
    "lhand_pose": 45,
    "rhand_pose": 45,
    "jaw_pose": 3,
    "expr": 10,
}
_CROP_FOCAL, _CROP_MARGIN = 5000.0, 1.25
# Width and height in pixels of the crops in which fits are made: NeuralAnnot's and OSX's.
_CROPS = ((256, 256), (192, 256))


def read_fits(path: Path) -> dict[str, Fit]:
    """Return the fits of a file by annotation id; cached, because blocks of one file are converted one by one."""
    return _read_fits(path, path.stat().st_mtime_ns if path.is_file() else 0)


@lru_cache(maxsize=1)
def _read_fits(path: Path, _changed: int) -> dict[str, Fit]:
    content = load_json(path, object_hook=compact_numbers)
    require(path, content)
    return content


def fit_problem(fit: Fit) -> str:
    """Return what is wrong with a fit, or an empty string."""
    parameters, camera = fit.get("smplx_param"), fit.get("cam_param")
    if not isinstance(parameters, dict) or not isinstance(camera, dict):
        return "smplx_param or cam_param is missing"
    for name, length in LENGTHS.items():
        if problem := _problem(f"smplx_param.{name}", parameters.get(name), length):
            return problem
    for name in ("focal", "princpt"):
        if problem := _problem(f"cam_param.{name}", camera.get(name), 2):
            return problem
    return ""


def _problem(name: str, value: Any, length: int) -> str:
    """Return what is wrong with a list of numbers, or an empty string."""
    if not isinstance(value, np.ndarray):
        return f"{name}: expected {length} numbers, got {type(value).__name__}"
    if value.shape != (length,):
        return f"{name}: expected {length} values, got {value.size}"
    return "" if np.isfinite(value).all() else f"{name}: holds NaN or infinity"


def fit_fields(fit: Fit, owner: dict[str, Any]) -> dict[str, Any]:
    """Return the Person fields of a sound fit.

    A hand or face is taken only where it is flagged valid, by the fit itself or, where it has no flags, by the COCO
    annotation ``owner``; without any flag it stays absent, because its numbers are then a prior guess.
    """
    parameters = fit["smplx_param"]
    left, right, face = (_is_valid(part, parameters, owner) for part in ("lhand", "rhand", "face"))
    return {
        "body_model": "smplx",
        "gender": "neutral",
        "global_orient": _numbers(parameters["root_pose"]),
        "body_pose": _numbers(parameters["body_pose"]).reshape(21, 3),
        "left_hand_pose": to_absolute(_numbers(parameters["lhand_pose"]).reshape(15, 3), "left") if left else None,
        "right_hand_pose": to_absolute(_numbers(parameters["rhand_pose"]).reshape(15, 3), "right") if right else None,
        "jaw_pose": _numbers(parameters["jaw_pose"]) if face else None,
        "betas": _numbers(parameters["shape"]),
        "expression": _numbers(parameters["expr"]) if face else None,
        "transl": _numbers(parameters["trans"]),
        "transl_is_metric": False,
        "camera": fit_camera(fit),
        "labels": Labels(
            body="pseudo",
            left_hand="pseudo" if left else None,
            right_hand="pseudo" if right else None,
            face="pseudo" if face else None,
            shape="pseudo",
            keypoints_2d="measured",
        ),
    }


def fit_camera(fit: Fit) -> Camera:
    """Return the virtual camera of a fit in pixels of the whole picture."""
    (fx, fy), (cx, cy) = fit["cam_param"]["focal"], fit["cam_param"]["princpt"]
    return Camera(K=intrinsics(fx, fy, cx, cy), kind="virtual_crop")


_OWNER_FLAGS = {"lhand": "lefthand_valid", "rhand": "righthand_valid", "face": "face_valid"}


def _is_valid(part: str, parameters: dict[str, Any], owner: dict[str, Any]) -> bool:
    """Return whether a part may be trusted; the fit's own flag wins over the annotation's."""
    return bool(parameters.get(f"{part}_valid", owner.get(_OWNER_FLAGS[part], False)))


def crop_mismatch(fit: Fit, box: Float[np.ndarray, "4"]) -> float:
    """Return how far the fit's focal length is from the one that its person box implies, as a share.

    ``box`` is x, y, width, height as the reference clips it. Near zero where box and fit belong together, for the
    better of the two crop shapes in use.
    """
    width, height = box[2], box[3]
    focal = float(fit["cam_param"]["focal"][0])
    implied = [_CROP_FOCAL * _CROP_MARGIN * max(width / w, height / h) for w, h in _CROPS]
    return min(abs(focal / value - 1) for value in implied)


def _numbers(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32)
