"""Betas of one body model re-expressed for another of the same mesh: the gendered body as a neutral one.

The shape spaces of the genders differ in template and directions, so betas of one mean another body in the other. The
nearest body of the target is a least-squares problem over all vertices of the rest pose, t_s + S_s b_s = t_t + S_t b_t
up to a translation (where a body stands is the business of transl). It is linear in b_s, so it is solved once for each
pair of models, and a person costs one small matrix product. What the target's space cannot express is told as a
distance in millimetres.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from .posing import PosingModel


@dataclass(frozen=True, eq=False)
class ShapeMap:
    """The way from the betas of one body model to those of another."""

    betas: Float[np.ndarray, "target_betas one_and_betas"]  # of the target, from (1, betas) of the source
    remainder: Float[np.ndarray, "one_and_betas one_and_betas"]  # mean square distance of vertices, m², as x'Gx

    def __call__(
        self, betas: Float[np.ndarray, "people betas"], kid_weights: Float[np.ndarray, " people"] | None = None
    ) -> tuple[Float[np.ndarray, "people target_betas"], Float[np.ndarray, " people"]]:
        """Return the betas of the target, and how far its body is from the source's (root mean square, mm).

        A kid keeps its weight: the template of kids is one for all genders, so by that weight the templates differ
        less.
        """
        adult = np.ones(len(betas)) if kid_weights is None else 1 - kid_weights
        x = np.column_stack([adult, betas])
        mean_square = np.einsum("pi,ij,pj->p", x, self.remainder, x, optimize=True)
        return x @ self.betas.T, 1000 * np.sqrt(np.maximum(mean_square, 0))


@lru_cache(maxsize=16)
def shape_map(source: PosingModel, target: PosingModel) -> ShapeMap:
    """Return the map from the betas of a model to those of another with the same mesh; cached."""
    if source.template.shape != target.template.shape:
        raise ValueError(f"{source.kind} and {target.kind} are different meshes: their betas have nothing in common")
    difference = (source.template - target.template)[..., None]
    wanted = _centred(np.concatenate([difference, source.shape_directions[..., : source.num_betas]], axis=2))
    given = _centred(target.shape_directions[..., : target.num_betas])
    betas = np.linalg.lstsq(given, wanted, rcond=None)[0]
    left = wanted - given @ betas
    return ShapeMap(betas, left.T @ left / len(source.template))


def _centred(fields: Float[np.ndarray, "vertices 3 fields"]) -> Float[np.ndarray, "numbers fields"]:
    """Return fields of offsets without their mean, each as one column."""
    return (fields - fields.mean(axis=0)).reshape(-1, fields.shape[2])
