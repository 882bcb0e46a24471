"""Index sets and regressors that the metrics of the field need beside the body model itself.

All of them are the user's own licensed files (the download section "MANO and FLAME vertex indices" of the SMPL-X site,
and ``SMPLX_to_J14.pkl`` of its evaluation files); the stand-in body brings its own under the same names.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from ..errors import BodyModelError
from .posing import PosingModel
from .unpickling import load_pickle

NUM_SMPLX_VERTICES = 10475


@dataclass(frozen=True, eq=False)
class EvaluationAssets:
    """What turns a SMPL-X mesh into the points and parts that are scored."""

    J_regressor: Float[np.ndarray, "55 vertices"]
    J14: Float[np.ndarray, "14 vertices"]
    left_hand_ids: Int[np.ndarray, " left_hand"]
    right_hand_ids: Int[np.ndarray, " right_hand"]
    face_ids: Int[np.ndarray, " face"]
    faces: Int[np.ndarray, "triangles 3"]


def _find(model_dir: Path, name: str) -> Path:
    path = model_dir / "smplx" / name
    if not path.is_file():
        raise BodyModelError(f"{path} is missing: it comes with the extra downloads of the SMPL-X home page")
    return path


@lru_cache(maxsize=4)
def load_evaluation_assets(model_dir: Path) -> EvaluationAssets:
    """Return regressors, part vertex ids and triangles from the user's model folder; cached."""
    model = PosingModel.load(model_dir)
    hands = load_pickle(_find(model_dir, "MANO_SMPLX_vertex_ids.pkl"))
    return EvaluationAssets(
        J_regressor=model.joint_regressor,
        J14=np.asarray(load_pickle(_find(model_dir, "SMPLX_to_J14.pkl")), np.float64),
        left_hand_ids=np.asarray(hands["left_hand"], np.int64),
        right_hand_ids=np.asarray(hands["right_hand"], np.int64),
        face_ids=np.load(_find(model_dir, "SMPL-X__FLAME_vertex_ids.npy"), allow_pickle=False).astype(np.int64),
        faces=model.triangles,
    )
