"""Bringing a predicted point cloud onto the true one: by a root point, or by the best similarity.

Every function takes numpy arrays or torch tensors of shape (..., points, 3) in metres, any number of people at once,
and keeps their type, device and precision. Two conventions of the field are here:

* ``similarity_align``: Umeyama (PAMI 1991) with a proper rotation, the "PA" of SMPLer-X, SMPLest-X, HMR and AGORA.
* ``freihand_align``: the official FreiHAND evaluation (Zimmermann et al., ICCV 2019), which divides by norms and lets
  the rotation be a reflection. The two differ only for predictions that are nearly mirrored.

A NaN is refused and named: a mean over it would be a number without meaning.
"""

from typing import Any, NamedTuple

from array_api_compat import array_namespace
from jaxtyping import Bool, Float

_FREIHAND_FLOOR = 1e-8  # added to the norms by the official FreiHAND script


class Similarity(NamedTuple):
    """A scale, rotation and translation a person: ``point -> scale * rotation @ point + translation``."""

    scale: Float[Any, "*people"]
    rotation: Float[Any, "*people 3 3"]
    translation: Float[Any, "*people 3"]

    def apply(self, points: Float[Any, "*people points 3"]) -> Float[Any, "*people points 3"]:
        """Return the moved points."""
        xp = array_namespace(points)
        turned = points @ xp.matrix_transpose(self.rotation * self.scale[..., None, None])
        return turned + self.translation[..., None, :]


def root_align(points: Float[Any, "*people points 3"], root: Float[Any, "*people 3"]) -> Float[Any, "*people points 3"]:
    """Return the points relative to one root point a person."""
    return points - root[..., None, :]


def similarity_transform(
    source: Float[Any, "*people points 3"],
    target: Float[Any, "*people points 3"],
    *,
    known: Bool[Any, "*people points"] | None = None,
    reflections: bool = False,
    floor: float = 0.0,
) -> Similarity:
    """Return the similarity that brings source onto target with the least sum of squared distances.

    ``known`` says which points take part, by default all; the others have finite coordinates too. ``reflections``
    admits mirrored rotations; ``floor`` (m) is added to the spread of the source before dividing by it. Where all
    points of a source coincide the scale is zero, so that they land on the target's centroid.
    """
    xp = array_namespace(source, target)
    source_centre, target_centre = centroid(source, known), centroid(target, known)
    _require_finite(xp, source_centre + target_centre)
    centred = root_align(source, source_centre)
    if known is not None:
        centred = xp.where(known[..., None], centred, xp.zeros_like(centred))
    covariance = xp.matrix_transpose(root_align(target, target_centre)) @ centred
    U, strengths, Vh = xp.linalg.svd(covariance)
    if not reflections:
        signs = _signs(xp, xp.linalg.det(U) * xp.linalg.det(Vh), strengths)
        U, strengths = U * signs[..., None, :], strengths * signs
    rotation = U @ Vh
    scale = _scale(xp, strengths, centred, source_centre, floor)
    moved = scale[..., None] * (rotation @ source_centre[..., None])[..., 0]
    return Similarity(scale, rotation, target_centre - moved)


def similarity_align(
    source: Float[Any, "*people points 3"],
    target: Float[Any, "*people points 3"],
    known: Bool[Any, "*people points"] | None = None,
) -> Float[Any, "*people points 3"]:
    """Return source moved onto target by a similarity with a proper rotation (Procrustes alignment)."""
    return similarity_transform(source, target, known=known).apply(source)


def freihand_align(
    source: Float[Any, "*people points 3"],
    target: Float[Any, "*people points 3"],
    known: Bool[Any, "*people points"] | None = None,
) -> Float[Any, "*people points 3"]:
    """Return source moved onto target as the official FreiHAND evaluation does: reflections are allowed."""
    transform = similarity_transform(source, target, known=known, reflections=True, floor=_FREIHAND_FLOOR)
    return transform.apply(source)


def scale_align(
    source: Float[Any, "*people points 3"], target: Float[Any, "*people points 3"]
) -> Float[Any, "*people points 3"]:
    """Return source moved and scaled to the centroid and the spread (root mean square) of target, without a turn.

    The "SC" of PVE-T-SC (Sengupta et al., BMVC 2020): not the least-squares scale, which would be smaller.
    """
    xp = array_namespace(source, target)
    source_centre, target_centre = centroid(source), centroid(target)
    _require_finite(xp, source_centre + target_centre)
    centred = root_align(source, source_centre)
    spreads = [xp.sqrt(xp.sum(cloud * cloud, axis=(-2, -1))) for cloud in (centred, root_align(target, target_centre))]
    is_point = spreads[0] == 0
    scale = xp.where(is_point, xp.zeros_like(spreads[0]), spreads[1] / xp.where(is_point, 1.0, spreads[0]))
    return centred * scale[..., None, None] + target_centre[..., None, :]


def centroid(
    points: Float[Any, "*people points 3"], known: Bool[Any, "*people points"] | None = None
) -> Float[Any, "*people 3"]:
    """Return the mean of the known points of each person; the origin where none is."""
    xp = array_namespace(points)
    # A product with ones: numpy's own mean along the middle axis is ten times slower.
    weights = xp.ones_like(points[..., :1])
    if known is None:
        return (xp.matrix_transpose(weights) @ points)[..., 0, :] / points.shape[-2]
    weights = xp.where(known[..., None], weights, xp.zeros_like(weights))
    count = xp.maximum(xp.sum(weights, axis=-2), xp.ones_like(weights[..., 0, :]))
    return (xp.matrix_transpose(weights) @ points)[..., 0, :] / count


def _signs(xp: Any, determinant: Any, strengths: Any) -> Any:
    """Return (1, 1, -1) where the best orthogonal matrix mirrors, (1, 1, 1) elsewhere."""
    ones = xp.ones_like(strengths[..., :2])
    last = xp.where(determinant < 0, -xp.ones_like(determinant), xp.ones_like(determinant))
    return xp.concat([ones, last[..., None]], axis=-1)


def _scale(xp: Any, strengths: Any, centred: Any, centre: Any, floor: float) -> Any:
    """Return the best scale, zero where the source has no extent beyond rounding."""
    num_points = centred.shape[-2]
    norm = xp.sqrt(xp.sum(centroid(centred * centred), axis=-1) * num_points)
    rounding = 8 * xp.finfo(centred.dtype).eps * xp.sum(xp.abs(centre), axis=-1) * num_points**0.5
    is_point = norm <= rounding
    spread = xp.where(is_point, xp.ones_like(norm), (norm + floor) ** 2)
    return xp.where(is_point, xp.zeros_like(norm), xp.sum(strengths, axis=-1) / spread)


def _require_finite(xp: Any, centres: Any) -> None:
    """Raise ValueError naming the first person whose points hold a NaN or an infinity, and so their centre."""
    finite = xp.reshape(xp.all(xp.isfinite(centres), axis=-1), (-1,))
    if not bool(xp.all(finite)):
        first = next(person for person in range(finite.shape[0]) if not bool(finite[person]))
        raise ValueError(
            f"person {first} of the batch holds a NaN or infinite coordinate, expected finite metres in source and "
            "target; leave such a person out as a missing prediction"
        )
