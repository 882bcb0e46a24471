"""SMPL fits of EFT (Joo et al., 3DV 2021) for people in photographs: ``{"ver": ..., "data": [...], "meta": ...}``.

Rotation matrices of the neutral SMPL body in camera axes, betas, and a weak-perspective camera in a square box of 1.2
times the person, whose sides count as -1 and 1. The camera becomes the virtual one of that box as SPIN defines it: the
box is 224 pixels wide and the focal length 5000, so depth is tens of metres and the translation is not metric. Against
the weak perspective of the fit, a joint moves by its depth's share in the distance, less than a pixel in a hundred.
Facts: eft ``docs/README_dataformat.md``, ``demo/visEFTFit.py``, ``eft/utils/imutils.py``, ``eft/utils/exportDB.py``.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ...body.cameras import intrinsics
from ...body.rotations import matrix_to_axis_angle
from ...shards.record import Camera, Person, Provenance, Reject
from ..raw import require
from .json_stream import stream_json
from .mano_json import numbers

Fit = dict[str, Any]

POINTS = "spin_24"  # the convention of ``points``
NUM_POINTS = 24
_SHAPES = {"parm_pose": (24, 3, 3), "parm_shape": (10,), "parm_cam": (3,), "bbox_center": (2,)}
_CROP_FOCAL, _CROP_SIZE = 5000.0, 224.0
_BOX_UNIT = 200.0  # pixels in bbox_scale


def read_eft(path: Path) -> dict[str, list[Fit]]:
    """Return the fits of a file by the name of their picture; each holds its place in the file as ``row``.

    The lists of numbers are float32 arrays where they have their shape, else as they are; ``points`` are the 24 points
    (u, v in px of the picture, confidence) that the fit was made to.
    """
    fits: dict[str, list[Fit]] = {}
    row = 0
    for item in stream_json(path, members=("data",)):
        if item.name == "data":
            require(path, item.value, "imageName", *_SHAPES, "bbox_scale")
            fit = _compact(item.value, row)
            fits.setdefault(fit["imageName"], []).append(fit)
            row += 1
    return fits


def _compact(fit: Fit, row: int) -> Fit:
    """Return a fit in a tenth of the room."""
    out = {name: _array(fit[name], shape) for name, shape in _SHAPES.items()}
    points = np.asarray(fit.get("gt_keypoint_2d", ()), np.float32)
    has_points = points.shape == (25 + NUM_POINTS, 3) and np.isfinite(points).all()
    annotation = fit.get("annotId")
    return out | {
        "row": row,
        "imageName": Path(fit["imageName"]).name,
        "bbox_scale": fit["bbox_scale"],
        "points": points[25:].copy() if has_points else None,  # the first 25 are OpenPose's, and empty
        "annotId": annotation[0] if isinstance(annotation, list) and annotation else annotation,
    }


def _array(value: Any, shape: tuple[int, ...]) -> Any:
    found = numbers(value, *shape)
    return value if found is None else found.astype(np.float32)


def by_annotation(path: Path) -> dict[str, Fit]:
    """Return the fits of COCO's people by annotation id; of several for one person, the first."""
    out: dict[str, Fit] = {}
    for fits in read_eft(path).values():
        for fit in fits:
            out.setdefault(str(fit["annotId"]), fit)
    return out


def fitted(person: Person, fit: Fit, image: str, file: str) -> Person | Reject:
    """Return a person with the parameters of its fit, or a Reject for a broken fit or one of another picture.

    ``image`` is the name of the picture, ``file`` the file of fits as provenance writes it.
    """
    row = person.provenance.row
    provenance = Provenance(file=f"{person.provenance.file};{file}", row=row)
    if problem := fit_problem(fit, image):
        key, detail = f"{Path(image).stem}/{row}", f"{file} item {fit['row']}: {problem}"
        return Reject(key=key, reason="bad_fit", detail=detail, provenance=provenance)
    labels = replace(person.labels, body="pseudo", shape="pseudo")
    return replace(person, provenance=provenance, labels=labels, **fit_fields(fit))


def fit_problem(fit: Fit, image: str) -> str:
    """Return what is wrong with a fit of a picture, or an empty string; COCO's pictures have had a prefix in 2014."""
    if not fit["imageName"].endswith(image):
        return f"the fit belongs to {fit['imageName']}, not to {image}"
    for name, shape in _SHAPES.items():
        if not isinstance(fit[name], np.ndarray):
            return f"{name}: expected finite numbers of shape {shape}, got something else"
    scale = fit["bbox_scale"]
    if not isinstance(scale, int | float) or not 0 < scale < np.inf:
        return f"bbox_scale must be > 0, got {scale}"
    if not fit["parm_cam"][0] > 0:
        return f"parm_cam: the scale must be > 0, got {fit['parm_cam'][0]}"
    if np.linalg.det(fit["parm_pose"].astype(np.float64)).min() < 0.5:
        return "parm_pose: holds a matrix that is no rotation"
    return ""


def fit_fields(fit: Fit) -> dict[str, Any]:
    """Return the Person fields of a sound fit."""
    angles = matrix_to_axis_angle(nearest_rotations(fit["parm_pose"].astype(np.float64))).astype(np.float32)
    return {
        "body_model": "smpl",
        "gender": "neutral",
        "global_orient": angles[0],
        "body_pose": angles[1:],
        "betas": fit["parm_shape"],
        "transl": _transl(fit["parm_cam"].astype(np.float64)),
        "transl_is_metric": False,
        "camera": fit_camera(fit),
    }


def _transl(camera: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
    """Return where the body's origin stands before the virtual camera: EFT moves after it scales."""
    scale, x, y = camera
    return np.array([x / scale, y / scale, 2 * _CROP_FOCAL / (_CROP_SIZE * scale)], np.float32)


def fit_camera(fit: Mapping[str, Any]) -> Camera:
    """Return the virtual camera of the box of a fit in pixels of the whole picture."""
    focal = _CROP_FOCAL * _BOX_UNIT * fit["bbox_scale"] / _CROP_SIZE
    return Camera(K=intrinsics(focal, focal, *fit["bbox_center"].astype(np.float64).tolist()), kind="virtual_crop")


def fit_box(fit: Mapping[str, Any]) -> Float[np.ndarray, "4"]:
    """Return the square box of a fit (left, top, right, bottom in px), 1.2 times the person."""
    centre, half = fit["bbox_center"].astype(np.float64), _BOX_UNIT * fit["bbox_scale"] / 2
    return np.concatenate([centre - half, centre + half])


def nearest_rotations(matrices: Float[np.ndarray, "*n 3 3"]) -> Float[np.ndarray, "*n 3 3"]:
    """Return the rotations nearest to matrices of a network, which are orthonormal to a few digits only."""
    left, _, right = np.linalg.svd(matrices)
    signs = np.linalg.det(left @ right)
    left[..., -1] *= signs[..., None]
    return left @ right
