"""Gendered betas once more, for the neutral body of the same model: what networks with one shape space can learn from.

The original is kept beside. Betas of a neutral body have no second form, and those of MANO hands have no gender. SMPL
and SMPL-H stay SMPL and SMPL-H: only the gender changes, never the body model.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ..body.shapes import shape_map
from .bodies import Bodies
from .columns import Columns, Stack


class NeutralShapes(NamedTuple):
    """Neutral betas of those who have them, and how far the neutral body is from the gendered one."""

    betas: list[Stack]
    distances: Float[np.ndarray, " people"]  # root mean square over the vertices, mm; NaN without neutral betas


def neutral_shapes(columns: Columns, bodies: Bodies) -> NeutralShapes:
    """Return the neutral betas of everyone with gendered ones whose two body models the user has."""
    stacks: list[Stack] = []
    distances = np.full(len(columns), np.nan)
    for kind, gender, rows, betas in _gendered(columns):
        source = bodies.model(kind, gender, betas.shape[1])
        target = bodies.model(kind, "neutral", betas.shape[1])
        if source is None or target is None:
            continue
        weights = np.array([columns.people[row].kid_weight or 0.0 for row in rows])
        neutral, distances[rows] = shape_map(source, target)(betas, weights)
        stacks.append(Stack(rows, neutral))
    return NeutralShapes(stacks, distances)


def _gendered(columns: Columns) -> Iterator[tuple[str, str, Int[np.ndarray, " rows"], Float[np.ndarray, "rows betas"]]]:
    """Yield body model, gender, rows and betas of those who share a gendered shape space."""
    for rows, betas in columns.stacks("betas"):
        people = [columns.people[row] for row in rows]
        spaces = [(person.body_model or "mano", person.gender or "neutral") for person in people]
        for kind, gender in sorted(set(spaces)):
            if kind != "mano" and gender != "neutral":
                members = np.array([space == (kind, gender) for space in spaces])
                yield kind, gender, rows[members], betas[members].astype(np.float64)
