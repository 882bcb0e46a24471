"""Hands as coefficients of principal components, as ``smplx`` takes them by default (``use_pca=True``).

With ``flat_hand_mean=False`` the components sum to the deviation from the mean hand, which becomes absolute here. The
components are licensed data in the user's SMPL-X file; without it hands stay absent.
Facts: the ``smplx`` package, ``body_models.py``.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ...body.hands import Side, to_absolute
from ...body.models import read_hand_components
from ...body.posing import model_path
from ...errors import BodyModelError

Components = Mapping[Side, Float[np.ndarray, "components 45"]]


def hand_components(directory: Path | None, gender: str, count: int) -> Components:
    """Return the first components of the user's SMPL-X model of a gender, by side; none without such a file.

    A file that lacks them raises BodyModelError.
    """
    if directory is None:
        return {}
    try:
        path = model_path(directory, "smplx", gender)
    except BodyModelError:
        return {}
    return read_hand_components(path, count)


def absolute_hands(
    body: Mapping[str, Float[np.ndarray, "..."]], components: Components
) -> dict[str, Float[np.ndarray, "15 3"] | None]:
    """Return the absolute poses of both hands (rad) of coefficients that are deviations; None without components."""
    out: dict[str, Float[np.ndarray, "15 3"] | None] = {"left_hand_pose": None, "right_hand_pose": None}
    for side, basis in components.items():
        out[f"{side}_hand_pose"] = to_absolute((body[f"{side}_hand_pose"] @ basis).reshape(15, 3), side)
    return out
