"""The points of a prediction beside those of the truth: aligned once for all the measures that ask for them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from jaxtyping import Bool, Float

from ..errors import RecordError
from .align import freihand_align, root_align, similarity_align
from .curves import as_numpy, auc, f_score, known_mean, pck, relative_root_error
from .distances import MM, distances
from .measures import Measure
from .sides import Side

HANDS = ("left_hand", "right_hand")
Counted = Mapping[tuple[str, str], Bool[Any, "people points"]]
_ALIGN = {"similarity": similarity_align, "freihand": freihand_align}


class PointPair:
    """Two sides of the same people; see ``metrics.measure_points`` for what is labelled and what counts."""

    def __init__(self, predicted: Side, truth: Side, counted: Counted, names: Sequence[str] | None) -> None:
        self._predicted, self._truth, self._counted, self._names = predicted, truth, counted, names
        self._kept: dict[tuple[str, ...], Any] = {}

    def values(self, measure: Measure, side: str) -> Float[Any, "people"]:
        """Return a measure of one part: mm for distances, else a share."""
        cell = side, measure.points, measure.alignment
        if measure.family == "f_score":
            _, truth, known = self._clouds(*cell[:2])
            found = as_numpy(f_score(self._moved(*cell), truth, measure.threshold / MM))
            return np.where(as_numpy(known).all(axis=-1), found, np.nan)
        errors = self._once(("errors", *cell), lambda: self._errors(*cell))
        if measure.family == "pck":
            return pck(errors, measure.threshold)
        if measure.family == "auc":
            return auc(errors, 0.0, measure.threshold, measure.steps)
        return known_mean(errors)

    def relative_roots(self, kind: str) -> Float[Any, "people"]:
        """Return how far the left hand's root as seen from the right hand's is off (mm)."""
        left, right = HANDS
        predicted, truth = ((side.root(left, kind), side.root(right, kind)) for side in (self._predicted, self._truth))
        return relative_root_error(predicted, truth) * MM

    def _clouds(self, part: str, kind: str) -> tuple[Any, Any, Any]:
        """Return predicted and true points and which of the true ones are labelled; the others are at the origin."""
        return self._once(
            ("clouds", part, kind),
            lambda: _checked(self._predicted.points(part, kind), self._truth.points(part, kind), self._names),
        )

    def _moved(self, part: str, kind: str, alignment: str) -> Any:
        """Return the predicted points as they are compared."""
        predicted, truth, known = self._clouds(part, kind)
        if alignment == "root":
            return root_align(predicted, self._predicted.root(part, kind) - self._truth.root(part, kind))
        return _ALIGN[alignment](predicted, truth, known)

    def _errors(self, part: str, kind: str, alignment: str) -> Any:
        """Return the distances (mm) of the points, NaN where they do not count."""
        _, truth, known = self._clouds(part, kind)
        if alignment != "root":
            # Two points always fit: what is left of a part must say something about its shape.
            known = known & _has_points(known)
        if (part, kind) in self._counted:
            known = known & self._counted[part, kind]
        found = distances(self._moved(part, kind, alignment), truth)
        xp = array_namespace(found)
        return xp.where(known, found, xp.nan)

    def _once(self, key: tuple[str, ...], make: Callable[[], Any]) -> Any:
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]


def _checked(predicted: Any, truth: Any, names: Sequence[str] | None) -> tuple[Any, Any, Any]:
    xp = array_namespace(predicted, truth)
    names = names or [f"#{person}" for person in range(len(predicted))]
    require_finite("the prediction", predicted, names)
    known = xp.all(~xp.isnan(truth), axis=-1)
    truth = xp.where(known[..., None], truth, xp.zeros_like(truth))
    require_finite("the truth", truth, names)
    return predicted, truth, known


def _has_points(known: Any) -> Any:
    """Return (people, 1) whether at least three points of a part are labelled, or all of a smaller one."""
    xp = array_namespace(known)
    return (xp.sum(xp.astype(known, xp.int64), axis=-1) >= min(3, known.shape[-1]))[..., None]


def require_finite(what: str, points: Any, names: Sequence[str]) -> None:
    """Raise RecordError naming the first person whose points hold a NaN or an infinity."""
    xp = array_namespace(points)
    is_bad = ~xp.all(xp.isfinite(points), axis=-1)
    if not bool(xp.any(is_bad)):
        return
    first = next(person for person in range(len(points)) if bool(xp.any(is_bad[person])))
    count = int(xp.sum(xp.astype(is_bad[first], xp.int64)))
    advice = "report it as missing (None)"
    raise RecordError(str(names[first]), what, "finite", f"{count} vertices with NaN or infinity; {advice}")
