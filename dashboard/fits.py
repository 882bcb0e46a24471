"""Two fits of one person against each other: how far apart the same points of both bodies lie.

Bodies of one kind are compared by vertices, others by the joints that both have. Distances are millimetres.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float

from ..benchmark.align import similarity_transform
from ..shards.stored import StoredPerson
from .posed import Body
from .solid import Shown

Alignment = Literal["as they are", "at the pelvis", "Procrustes"]
ALIGNMENTS: tuple[Alignment, ...] = ("as they are", "at the pelvis", "Procrustes")


@dataclass(frozen=True, eq=False)
class Difference:
    """Two people in one space, the second brought onto the first."""

    first: Shown
    second: Shown
    distances: Float[np.ndarray, " points"]  # mm
    points: Literal["vertices", "joints"]  # what was compared


def shown(person: StoredPerson, body: Body | None, name: str) -> Shown:
    """Return a person as the figures take one."""
    joints = None if person.joints_3d is None else person.joints_3d.astype(np.float64)
    return Shown(name, body, joints)


def difference(first: Shown, second: Shown, alignment: Alignment) -> Difference | None:
    """Return how far apart two people are; None when they share no points.

    ``at the pelvis`` lays pelvis on pelvis, ``Procrustes`` is the similarity that leaves the least squared distances.
    """
    if first.body is not None and second.body is not None and first.body.kind == second.body.kind:
        ours, theirs, points = first.body.vertices, second.body.vertices, "vertices"
    elif first.joints is not None and second.joints is not None:
        known = np.isfinite(first.joints).all(axis=1) & np.isfinite(second.joints).all(axis=1)
        ours, theirs, points = first.joints[known], second.joints[known], "joints"
    else:
        return None
    if not len(ours):
        return None
    move = _movement(theirs, ours, (_root(second), _root(first)), alignment)
    distances = 1000 * np.linalg.norm(move(theirs) - ours, axis=1)
    moved = _moved(second, move)
    painted = replace(moved, distances=distances) if points == "vertices" else moved
    return Difference(first, painted, distances, "vertices" if points == "vertices" else "joints")


Points = Float[np.ndarray, "points 3"]


def _movement(
    theirs: Points, ours: Points, roots: tuple[np.ndarray, np.ndarray], alignment: Alignment
) -> Callable[[np.ndarray], np.ndarray]:
    """Return what brings the second person onto the first."""
    if alignment == "Procrustes":
        return similarity_transform(theirs, ours).apply
    shift = roots[1] - roots[0] if alignment == "at the pelvis" else np.zeros(3)
    return lambda points: points + shift


def _root(person: Shown) -> Float[np.ndarray, "3"]:
    """Return the pelvis, or the middle of the vertices where it is not known."""
    if person.joints is not None and np.isfinite(person.joints[0]).all():
        return person.joints[0]
    assert person.body is not None
    return person.body.vertices.mean(axis=0)


def _moved(person: Shown, move: Callable[[np.ndarray], np.ndarray]) -> Shown:
    body = None if person.body is None else replace(person.body, vertices=move(person.body.vertices))
    return replace(person, body=body, joints=None if person.joints is None else move(person.joints))


def limit_of(distances: Float[np.ndarray, " points"]) -> float:
    """Return where the scale of colours ends: a round number (mm) that 95 % of the distances stay below."""
    wanted = max(float(np.quantile(distances, 0.95)), 1.0)
    step = 10 ** np.floor(np.log10(wanted))
    return float(step * min(n for n in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if n * step >= wanted * (1 - 1e-9)))
