"""Finding the user's licensed body models and loading them through ``smplx``.

``EHPS_BODY_MODELS`` names the folder that holds ``smplx/``, ``smpl/``, ``smplh/`` and ``mano/`` as their owners
distribute them, or is the word ``standin`` for the body that ehps builds itself (tests, demo).
"""

import hashlib
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ..errors import BodyModelError, MissingExtraError
from .hands import Side
from .posing import model_path, read_model_file
from .standin import standin_dir

ENVIRONMENT = "EHPS_BODY_MODELS"


def model_dir() -> Path | None:
    """Return the folder of body models, or None when the user has named none; a wrong name raises BodyModelError."""
    value = os.environ.get(ENVIRONMENT, "")
    if not value:
        return None
    if value == "standin":
        return standin_dir()
    path = Path(value).expanduser()
    if not path.is_dir():
        raise BodyModelError(f"{ENVIRONMENT}={value} is not a folder; set it to the folder that holds smplx/ and smpl/")
    return path


def require_model_dir() -> Path:
    """Return the folder of body models; BodyModelError says how to name one when there is none."""
    path = model_dir()
    if path is None:
        raise BodyModelError(
            f"this needs a body model and {ENVIRONMENT} is not set: set it to the folder that holds smplx/, smpl/ and "
            "mano/ as downloaded, or to the word standin to try things out"
        )
    return path


def is_standin(directory: Path) -> bool:
    """Return whether a model folder holds the stand-in body and not a licensed one."""
    version = directory / "VERSION"
    return version.is_file() and version.read_text(encoding="utf-8").startswith("ehps stand-in")


@lru_cache(maxsize=8)
def model_fingerprint(directory: Path, kind: str = "smplx", gender: str = "neutral") -> str:
    """Return the first 16 hex digits of the SHA-256 of a model file: says which body made a derived number."""
    with model_path(directory, kind, gender).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def read_hand_components(path: Path, count: int) -> dict[Side, Float[np.ndarray, "components 45"]]:
    """Return the first principal components of hand poses, by side, from a SMPL-X or SMPL-H file of the user.

    Sources that store hands as PCA coefficients need them; they are licensed data, so ehps ships none. A file without
    them (the locked-head releases) raises BodyModelError.
    """
    names: dict[Side, str] = {"left": "hands_componentsl", "right": "hands_componentsr"}
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as archive:
            found = {side: archive[name] for side, name in names.items() if name in archive.files}
    else:
        content = read_model_file(path)
        found = {side: np.asarray(content[name]) for side, name in names.items() if name in content}
    if len(found) < len(names):
        raise BodyModelError(
            f"{path} holds no {' or '.join(names.values())}: hands given as PCA coefficients need a release with them "
            "(SMPL-X 1.1)"
        )
    return {side: found[side][:count].astype(np.float64) for side in names}


def load_smplx_layer(
    gender: str = "neutral",
    *,
    kind: str = "smplx",
    num_betas: int = 10,
    num_expression: int = 10,
    flat_hand_mean: bool = True,
    batch_size: int = 1,
    directory: Path | None = None,
    **options: Any,
) -> Any:
    """Return an ``smplx`` body layer (a torch module) with full-size axis-angle hands and the face contour.

    ``flat_hand_mean=True`` takes the absolute hand poses that ehps stores; the released networks predict deviations
    and need False. ``options`` reach ``smplx.create`` unchanged.
    """
    try:
        import smplx
    except ImportError as error:
        raise MissingExtraError("smplx", "train") from error
    directory = directory or require_model_dir()
    ext = model_path(directory, kind, gender).suffix.removeprefix(".")
    settings: dict[str, Any] = {"num_betas": num_betas, "batch_size": batch_size, "ext": ext, **options}
    if kind == "smplx":
        settings |= {"num_expression_coeffs": num_expression, "use_face_contour": True}
    if kind in ("smplx", "smplh", "mano"):
        settings |= {"use_pca": False, "flat_hand_mean": flat_hand_mean}
    if kind == "mano":
        settings["is_rhand"] = gender == "right"
        return smplx.create(str(directory), kind, **settings)
    return smplx.create(str(directory), kind, gender=gender, **settings)
