"""Two fits of one person against each other: how far apart the same points of both bodies lie.

Bodies of one kind are compared by vertices, others by the joints that both have. Distances are millimetres.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float

from ..benchmark.align import similarity_transform
from ..benchmark.comparison import Comparison, compare_meshes
from ..benchmark.people import to_benchmark
from ..benchmark.protocol import Protocol
from ..body.posing import PosingModel
from ..shards.stored import StoredPerson
from .posed import Body, is_whole
from .predicted import Predicted
from .solid import Shown

Alignment = Literal["as they are", "at the root", "Procrustes"]
ALIGNMENTS: tuple[Alignment, ...] = ("as they are", "at the root", "Procrustes")
Points = Float[np.ndarray, "points 3"]
Root = Callable[[Shown], Float[np.ndarray, "3"]]
_WHOLE = ("all", "vertices")  # part and kind of the points that whole meshes are compared by
_KINDS = {10475: "smplx", 6890: "smpl"}


@dataclass(frozen=True, eq=False)
class Difference:
    """Two people in one space, the second brought onto the first."""

    first: Shown
    second: Shown
    distances: Float[np.ndarray, " points"]  # mm
    points: Literal["vertices", "joints"]  # what was compared


def pelvis(person: Shown) -> Float[np.ndarray, "3"]:
    """Return the pelvis, or the middle of the vertices where it is not known."""
    if person.joints is not None and np.isfinite(person.joints[0]).all():
        return person.joints[0]
    assert person.body is not None
    return person.body.vertices.mean(axis=0)


def difference(first: Shown, second: Shown, alignment: Alignment, root: Root = pelvis) -> Difference | None:
    """Return how far apart two people are; None when they share no points.

    ``at the root`` lays root on root, ``Procrustes`` is the similarity that leaves the least squared distances.
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
    shift = root(first) - root(second) if alignment == "at the root" else np.zeros(3)
    move = similarity_transform(theirs, ours).apply if alignment == "Procrustes" else lambda points: points + shift
    distances = 1000 * np.linalg.norm(move(theirs) - ours, axis=1)
    moved = _moved(second, move)
    painted = replace(moved, distances=distances) if points == "vertices" else moved
    return Difference(first, painted, distances, "vertices" if points == "vertices" else "joints")


def _moved(person: Shown, move: Callable[[np.ndarray], np.ndarray]) -> Shown:
    body = None if person.body is None else replace(person.body, vertices=move(person.body.vertices))
    return replace(person, body=body, joints=None if person.joints is None else move(person.joints))


def limit_of(distances: Float[np.ndarray, " points"]) -> float:
    """Return where the scale of colours ends: a round number (mm) that 95 % of the distances stay below."""
    wanted = max(float(np.quantile(distances, 0.95)), 1.0)
    step = 10 ** np.floor(np.log10(wanted))
    return float(step * min(n for n in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if n * step >= wanted * (1 - 1e-9)))


@dataclass(frozen=True, eq=False)
class Measured:
    """How a protocol looks at whole bodies: the bodies it compares, and the root that it brings together."""

    protocol: Protocol
    comparison: Comparison
    folder: Path

    @classmethod
    def of(cls, protocol: Protocol, folder: Path) -> "Measured | None":
        """Return how a protocol compares SMPL-X predictions; None where it does not look at whole meshes.

        BodyModelError where the folder of body models lacks what the protocol needs.
        """
        if protocol.ground_truth not in ("vertices", "parameters"):
            return None
        comparison = compare_meshes(protocol, folder)
        sides = (comparison.predicted, comparison.true)
        return cls(protocol, comparison, folder) if all(_WHOLE in side.points for side in sides) else None

    @property
    def root_name(self) -> str:
        """What is brought together."""
        return "the pelvis" if self.protocol.alignment.all == "pelvis" else "the middle of the hips"

    def root(self, person: Shown) -> Float[np.ndarray, "3"]:
        """Return the root that the protocol regresses from a mesh, with the regressor of that mesh's body model."""
        assert person.body is not None
        is_truth = person.body.kind == self.protocol.body_model.kind
        geometry = self.comparison.true if is_truth else self.comparison.predicted
        return geometry.roots[geometry.points[_WHOLE].root](person.body.vertices[None])[0, 0]

    def true_body(self, person: StoredPerson) -> Body | None:
        """Return the body that the protocol takes for the truth; RecordError where the record cannot be used.

        None where the record's own mesh has other triangles than the body model at hand, as with the stand-in body.
        """
        body = self._body(self.comparison.truth([to_benchmark(person, self.protocol)])[0], is_recorded=True)
        return body if is_whole(body.vertices, body.triangles) else None

    def predicted_body(self, predicted: Predicted) -> Body:
        """Return the body that the protocol takes for the prediction, which may be the SMPL body of a SMPL-X mesh."""
        vertices, convert = predicted.body.vertices, self.comparison.convert
        body = self._body(vertices if convert is None else convert(vertices[None])[0], is_recorded=False)
        return replace(body, K=predicted.body.K)

    def _body(self, vertices: Points, *, is_recorded: bool) -> Body:
        kind = _KINDS[len(vertices)]
        triangles = PosingModel.load(self.folder, kind).triangles
        return Body(kind, np.asarray(vertices, np.float64), triangles, is_recorded=is_recorded)


def spread(distances: Sequence[float] | np.ndarray) -> tuple[float, float, float]:
    """Return mean, median and 95th percentile of distances."""
    values = np.asarray(distances, float)
    return float(values.mean()), float(np.median(values)), float(np.quantile(values, 0.95))
