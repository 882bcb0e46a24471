"""SMPL-X fits in the NeuralAnnot schema (Moon et al. 2022), which OSX (Lin et al. 2023) uses for its own fits.

Of single pictures: ``{"<annotation id>": {"smplx_param": {...}, "cam_param": {...}}}``. The model is SMPL-X neutral
with 10 betas and 10 expression components; hand poses are deviations from the mean hand and become absolute here. Each
fit was made in a crop of its person with a focal length of 5000 pixels, and the camera is that crop's, written in
pixels of the whole picture: depth is tens of metres and the translation is not metric. Fits of several views
(Human3.6M) are the body's four lists alone, in metres of the world.
Facts: NeuralAnnot_RELEASE ``MSCOCO/demo_smplx.py``, ``Human3.6M/demo_smplx.py`` and issue 14; OSX
``data/MSCOCO/MSCOCO.py``.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ...body.cameras import intrinsics
from ...body.hands import to_absolute
from ...shards.record import Camera, Labels, Origin, Person, Provenance, Reject
from ..raw import are_intrinsics, compact_numbers
from .coco_json import Annotation, CocoImage, clipped_box
from .json_stream import stream_json

Fit = dict[str, Any]

# Numbers in each list of parameters: of a body, and of one with hands and face.
BODY_LENGTHS = {"root_pose": 3, "body_pose": 63, "shape": 10, "trans": 3}
LENGTHS = {**BODY_LENGTHS, "lhand_pose": 45, "rhand_pose": 45, "jaw_pose": 3, "expr": 10}
_CROP_FOCAL, _CROP_MARGIN = 5000.0, 1.25
# Width and height in pixels of the crops in which fits are made: NeuralAnnot's and OSX's.
_CROPS = ((256, 256), (192, 256))


def read_fits(path: Path) -> dict[str, Fit]:
    """Return the fits of a file by annotation id."""
    return {item.name: item.value for item in stream_json(path, compact_numbers)}


def fitted(key: str, person: Person, fit: Fit, annotation: Annotation, image: CocoImage, file: str) -> Person | Reject:
    """Return a person of a COCO file with the parameters of its fit, or a Reject for a broken fit.

    ``key`` is that of the picture, ``file`` the file of fits as provenance writes it.
    """
    row = person.provenance.row
    provenance = Provenance(file=f"{person.provenance.file};{file}", row=row)
    if problem := fit_problem(fit):
        detail = f"{file} {row}: {problem}"
        return Reject(key=f"{key}/{row}", reason="bad_fit", detail=detail, provenance=provenance)
    box = clipped_box(annotation["bbox"], image.width, image.height)
    assert box is not None  # such people were refused before
    quality = {**person.quality, "crop_mismatch": crop_mismatch(fit, box)}
    return replace(
        person, provenance=provenance, quality=quality, **fit_fields(fit, annotation, person.labels.keypoints_2d)
    )


def fit_problem(fit: Fit) -> str:
    """Return what is wrong with a fit of a single picture, or an empty string."""
    parameters, camera = fit.get("smplx_param"), fit.get("cam_param")
    if not isinstance(parameters, dict) or not isinstance(camera, dict):
        return "smplx_param or cam_param is missing"
    problem = parameter_problem(parameters, LENGTHS, "smplx_param.")
    problem = problem or parameter_problem(camera, {"focal": 2, "princpt": 2}, "cam_param.")
    if problem or are_intrinsics(_intrinsics(fit)):
        return problem
    return f"cam_param.focal: expected positive numbers, got {camera['focal'].tolist()}"


def parameter_problem(parameters: Mapping[str, Any], lengths: Mapping[str, int], where: str = "") -> str:
    """Return the first list of numbers that has not its length or holds NaN, or an empty string."""
    for name, length in lengths.items():
        value = parameters.get(name)
        if not isinstance(value, np.ndarray):
            return f"{where}{name}: expected {length} numbers, got {type(value).__name__}"
        if value.shape != (length,):
            return f"{where}{name}: expected {length} values, got {value.size}"
        if not np.isfinite(value).all():
            return f"{where}{name}: holds NaN or infinity"
    return ""


def body_fields(parameters: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return the Person fields of a body without hands and face, in the space that the fit was made in."""
    return {
        "body_model": "smplx",
        "gender": "neutral",
        "global_orient": _numbers(parameters["root_pose"]),
        "body_pose": _numbers(parameters["body_pose"]).reshape(21, 3),
        "betas": _numbers(parameters["shape"]),
        "transl": _numbers(parameters["trans"]),
    }


def fit_fields(fit: Fit, owner: Annotation, keypoints_2d: Origin | None = "measured") -> dict[str, Any]:
    """Return the Person fields of a sound fit of a single picture; ``keypoints_2d`` says how these were labelled.

    A hand or face is taken only where it is flagged valid, by the fit itself or, where it has no flags, by the COCO
    annotation ``owner``; without any flag it stays absent, because its numbers are then a prior guess.
    """
    parameters = fit["smplx_param"]
    left, right, face = (_is_valid(part, parameters, owner) for part in ("lhand", "rhand", "face"))
    labels = Labels(
        body="pseudo",
        left_hand="pseudo" if left else None,
        right_hand="pseudo" if right else None,
        face="pseudo" if face else None,
        shape="pseudo",
        keypoints_2d=keypoints_2d,
    )
    return body_fields(parameters) | {
        "left_hand_pose": to_absolute(_numbers(parameters["lhand_pose"]).reshape(15, 3), "left") if left else None,
        "right_hand_pose": to_absolute(_numbers(parameters["rhand_pose"]).reshape(15, 3), "right") if right else None,
        "jaw_pose": _numbers(parameters["jaw_pose"]) if face else None,
        "expression": _numbers(parameters["expr"]) if face else None,
        "transl_is_metric": False,
        "camera": fit_camera(fit),
        "labels": labels,
    }


def fit_camera(fit: Fit) -> Camera:
    """Return the virtual camera of a fit in pixels of the whole picture."""
    return Camera(K=_intrinsics(fit), kind="virtual_crop")


def _intrinsics(fit: Fit) -> Float[np.ndarray, "3 3"]:
    (fx, fy), (cx, cy) = fit["cam_param"]["focal"], fit["cam_param"]["princpt"]
    return intrinsics(float(fx), float(fy), float(cx), float(cy))


_OWNER_FLAGS = {"lhand": "lefthand_valid", "rhand": "righthand_valid", "face": "face_valid"}


def _is_valid(part: str, parameters: Mapping[str, Any], owner: Annotation) -> bool:
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
    return float(min(abs(focal / value - 1) for value in implied))


def _numbers(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32)
