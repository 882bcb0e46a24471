"""AGORA's fits: the SMPL-X body of a scan, from the scan's space to the camera's.

Gendered fits use 10 betas; a kid has an eleventh, the weight of the kid's template, and a girl's body belongs to the
neutral model. Some adults have eleven as well, and the owner's code leaves the last one out. Hands are deviations from
the mean hand. The change of space needs the rest pelvis: that of gendered fits follows from the shipped joints, so no
body model is read for them; that of neutral fits comes from the user's model.
Facts: agora_evaluation ``projection.py`` and issue 9.
"""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ...body.cameras import invert_rigid, parameters_to_camera, transform_points
from ...body.hands import to_absolute
from ...errors import BodyModelError, RawSchemaError
from ..bodies import Bodies
from .smplx_pickle import read_body

NUM_BETAS = 10


def read_fit(path: Path, gender: str, is_kid: bool) -> dict[str, Any]:
    """Return the Person fields of a fit, in the scan's space; RawDataError when it cannot be read.

    ``gender`` is the person's for gendered fits, else neutral; the field ``gender`` is that of the body model.
    """
    body = read_body(path)
    betas = body["betas"]
    if len(betas) < NUM_BETAS + is_kid:
        raise RawSchemaError(path, "betas", f"{NUM_BETAS + is_kid} numbers{' of a kid' * is_kid}", str(len(betas)))
    hands = {f"{side}_hand_pose": to_absolute(body[f"{side}_hand_pose"], side) for side in ("left", "right")}
    return {
        **body,
        **hands,
        "body_model": "smplx",
        "gender": "neutral" if is_kid and gender == "female" else gender,
        "betas": betas[:NUM_BETAS],
        "kid_weight": float(betas[NUM_BETAS]) if is_kid else None,
    }


def in_camera(
    fit: dict[str, Any],
    T_camera_scan: Float[np.ndarray, "4 4"],
    pelvis: Float[np.ndarray, "3"] | None,
    body_models: Path | None = None,
) -> dict[str, Any]:
    """Return the fields in camera space, as float32.

    ``pelvis`` is the posed one in camera space; where it is not known, the user's ``body_models`` tell the rest pelvis.
    """
    if pelvis is None:
        assert body_models is not None
        offset = _model_pelvis(fit, body_models)
    else:
        offset = transform_points(invert_rigid(T_camera_scan), pelvis) - fit["transl"]
    orient, transl = parameters_to_camera(fit["global_orient"], fit["transl"], offset, T_camera_scan)
    moved = {**fit, "global_orient": orient, "transl": transl}
    return {name: v.astype(np.float32) if isinstance(v, np.ndarray) else v for name, v in moved.items()}


def _model_pelvis(fit: dict[str, Any], directory: Path) -> Float[np.ndarray, "3"]:
    """Return the rest pelvis of a body from the user's model; BodyModelError when the folder lacks it."""
    is_kid = fit["kid_weight"] is not None
    model = Bodies(directory).model("smplx", fit["gender"], NUM_BETAS, is_kid)
    if model is None:
        what = "smplx/smplx_kid_template.npy, which AGORA ships," if is_kid else f"SMPL-X model ({fit['gender']})"
        raise BodyModelError(f"neutral fits of AGORA need the {what} under {directory}; gendered fits do without")
    betas = np.append(fit["betas"], fit["kid_weight"]) if is_kid else fit["betas"]
    return model.pelvis_offset(betas[None])[0]
