"""Children: an adult's model with one more shape component, which leads to the template of a kid.

Facts: the ``smplx`` package (``age="kid"``) and agora_evaluation (``docs``): the template's mean is taken away, the
adult's template subtracted, and the weight of the difference stands behind the betas.
"""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ..errors import BodyModelError
from .posing import PosingModel


def kid_template_path(model_dir: Path, kind: str) -> Path:
    """Return where the template of kids lies in the user's folder of body models."""
    return model_dir / kind / f"{kind}_kid_template.npy"


@lru_cache(maxsize=8)
def load_kid_model(model_dir: Path, kind: str, gender: str, num_betas: int) -> PosingModel:
    """Return the model whose betas are those of an adult and the weight of the kid's template.

    BodyModelError when the user has no such template, or one of another mesh.
    """
    adult = PosingModel.load(model_dir, kind, gender, num_betas)
    path = kid_template_path(model_dir, kind)
    if not path.is_file():
        hint = f"download {path.name} from AGORA's home page into that place"
        raise BodyModelError(f"no template of kids for {kind}: looked for {path}; {hint}")
    kid = np.load(path, allow_pickle=False)
    if kid.shape != adult.template.shape:
        raise BodyModelError(f"{path} should hold a mesh of {adult.template.shape}, found {kid.shape}")
    towards_kid = (kid - kid.mean(axis=0) - adult.template)[..., None]
    betas, expression = adult.shape_directions[..., :num_betas], adult.shape_directions[..., num_betas:]
    directions = np.concatenate([betas, towards_kid, expression], axis=2)
    return replace(adult, shape_directions=directions, num_betas=num_betas + 1)


def with_kid_weight(
    betas: Float[np.ndarray, "people components"], weights: Float[np.ndarray, " people"], num_betas: int
) -> Float[np.ndarray, "people all"]:
    """Return ``num_betas`` betas of each kid, padded with zeros or cut, and the weight of the kid's template last."""
    out = np.zeros((len(betas), num_betas + 1))
    width = min(betas.shape[1], num_betas)
    out[:, :width], out[:, num_betas] = betas[:, :width], weights
    return out
