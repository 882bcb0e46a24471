"""The errors of the field over batches of people: distances in millimetres, shares and angles, one number a person.

Input conventions: points are in metres; any global translation is removed by the alignment. Roots are regressed from
the mesh (rows of ``J_regressor``), not taken from forward kinematics. Hands are measured one by one, each aligned by
itself, and averaged over the labelled ones. All numbers are computed in float64.

``measure_people`` compares meshes (numpy through one compiled pass, torch on the tensors' device); ``measure_points``
compares any two sides (``sides.Side``), such as a mesh with joints of which some are not labelled.

Definitions follow the released evaluation code of SMPLer-X (NeurIPS 2023) and SMPLest-X, with one correction: MPJPE of
the hands subtracts the wrist from prediction and truth, where SMPLest-X subtracts it from the prediction only.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from array_api_compat import is_numpy_array
from jaxtyping import Bool, Float

from .curves import as_numpy, known_mean
from .distances import MM, aligned_error, mean_error, rooted_error
from .measures import Measure
from .mesh_errors import PartMaps, mesh_errors
from .pairs import HANDS, Counted, PointPair, require_finite
from .sides import Geometry, MeshSide, PointSet, Regressor, Side

__all__ = [
    "LABELLED_PARTS",
    "MM",
    "Geometry",
    "MeshSide",
    "PointSet",
    "Regressor",
    "Side",
    "aligned_error",
    "mean_error",
    "measure_people",
    "measure_points",
    "rooted_error",
]

LABELLED_PARTS = ("body", *HANDS, "face")
_CHUNK = 32  # people whose points are held in double precision at a time
_MEAN_DISTANCES = ("root", "similarity")  # what the compiled pass computes


Labelled = Mapping[str, Bool[np.ndarray, " people"]]
_Cell = tuple[str, str, str]  # part, kind of points, alignment


def measure_people(
    predicted: Float[Any, "people vertices 3"],
    truth: Float[Any, "people true_vertices 3"],
    geometry: Geometry,
    measures: Sequence[Measure],
    *,
    true_geometry: Geometry | None = None,
    labelled: Labelled | None = None,
    names: Sequence[str] | None = None,
    threads: int | None = None,
) -> dict[str, Float[np.ndarray, " people"]]:
    """Return each measure of each person (mm, or the measure's unit); NaN where the part is not labelled.

    ``true_geometry`` is that of the true meshes where they have another topology. ``labelled`` says for ``body``,
    ``left_hand``, ``right_hand`` and ``face`` who has that label; a part that it does not name counts as labelled.
    ``names`` are used to name a person whose mesh holds a NaN, which raises RecordError.
    """
    true_geometry = true_geometry or geometry
    names = names or [f"#{person}" for person in range(len(predicted))]
    if not is_numpy_array(predicted):
        for what, meshes in (("the predicted mesh", predicted), ("the true mesh", truth)):
            require_finite(what, meshes, names)
        sides = MeshSide(predicted, geometry), MeshSide(truth, true_geometry)
        return measure_points(*sides, measures, labelled=labelled, names=names)
    compiled = [m for m in measures if m.family == "distance" and m.alignment in _MEAN_DISTANCES]
    found = _compiled_errors(predicted, truth, (geometry, true_geometry), compiled, names, threads)
    out = _combined(found, compiled, _flags(labelled, len(predicted)))
    others = [measure for measure in measures if measure not in compiled]
    for start in range(0, len(predicted), _CHUNK) if others else ():
        here = slice(start, start + _CHUNK)
        sides = MeshSide(predicted[here], geometry), MeshSide(truth[here], true_geometry)
        part_labelled = {part: flags[here] for part, flags in (labelled or {}).items()}
        chunk = measure_points(*sides, others, labelled=part_labelled, names=names[here])
        for name, values in chunk.items():
            out.setdefault(name, np.empty(len(predicted)))[here] = values
    return {measure.name: out.get(measure.name, np.empty(0)) for measure in measures}


def _compiled_errors(
    predicted: np.ndarray,
    truth: np.ndarray,
    geometries: tuple[Geometry, Geometry],
    measures: Sequence[Measure],
    names: Sequence[str],
    threads: int | None,
) -> dict[_Cell, np.ndarray]:
    """Return the mean distances (mm) of every part and kind of points that the measures name, in both alignments."""
    cells = sorted({(side, measure.points) for measure in measures for side in _sides(measure)})
    parts = [_part_maps(geometries, cell, (predicted.shape[1], truth.shape[1])) for cell in cells]
    errors = mesh_errors(predicted, truth, parts, threads=threads)
    for what, meshes, is_finite in zip(("predicted", "true"), (predicted, truth), errors.is_finite, strict=True):
        bad = np.flatnonzero(~is_finite).tolist()
        require_finite(f"the {what} mesh", meshes[bad], [names[person] for person in bad])
    rows = ((cell, errors.rooted[row] * MM, errors.aligned[row] * MM) for row, cell in enumerate(cells))
    found = {}
    for cell, rooted, aligned in rows:
        found |= {(*cell, "root"): rooted, (*cell, "similarity"): aligned}
    return found


def _part_maps(geometries: tuple[Geometry, Geometry], cell: tuple[str, str], num_vertices: tuple[int, int]) -> PartMaps:
    sets = [geometry.points[cell] for geometry in geometries]
    roots = [geometry.roots[points.root].point_map for geometry, points in zip(geometries, sets, strict=True)]
    maps = [points.point_map(count) for points, count in zip(sets, num_vertices, strict=True)]
    return PartMaps((maps[0], maps[1]), (roots[0], roots[1]))


def measure_points(
    predicted: Side,
    truth: Side,
    measures: Sequence[Measure],
    *,
    labelled: Labelled | None = None,
    counted: Counted | None = None,
    names: Sequence[str] | None = None,
) -> dict[str, Float[np.ndarray, " people"]]:
    """Return each measure of each person; NaN where the part is not labelled or no point of it counts.

    A true point with NaN is not labelled: neither the alignment nor the mean sees it, a similarity needs three that
    are, an F-score all. ``counted`` says for a part and a kind of points which of them the mean sees (by default all),
    while the alignment sees all that are labelled. A NaN on the predicted side raises RecordError with the person's
    name.
    """
    pair = PointPair(predicted, truth, counted or {}, names)
    out = {}
    for measure in measures:
        if measure.family == "mrrpe":
            values = dict.fromkeys(HANDS, pair.relative_roots(measure.points))
        else:
            values = {side: pair.values(measure, side) for side in _sides(measure)}
        found = {(side, measure.points, measure.alignment): as_numpy(own) for side, own in values.items()}
        out |= _combined(found, [measure], _flags(labelled, len(next(iter(found.values())))))
    return out


def _sides(measure: Measure) -> tuple[str, ...]:
    return HANDS if measure.part == "hands" else (measure.part,)


def _flags(labelled: Labelled | None, people: int) -> Labelled:
    """Return who has the labels of each part; the whole mesh needs the body."""
    flags = {part: np.ones(people, bool) for part in LABELLED_PARTS} | dict(labelled or {})
    return flags | {"all": flags["body"]}


def _combined(
    found: Mapping[_Cell, np.ndarray], measures: Sequence[Measure], labelled: Labelled
) -> dict[str, np.ndarray]:
    """Return each measure from the values of its sides."""
    out = {}
    for measure in measures:
        values = [found[side, measure.points, measure.alignment] for side in _sides(measure)]
        flags = [labelled[side] for side in _sides(measure)]
        parts = [np.where(flag, value, np.nan) for flag, value in zip(flags, values, strict=True)]
        out[measure.name] = _combine(parts, measure.drop_above, needs_all=measure.family == "mrrpe")
    return out


def _combine(parts: Sequence[np.ndarray], drop_above: float | None, *, needs_all: bool) -> np.ndarray:
    """Return the mean over the labelled parts of each person, NaN where there is none or one is above the limit."""
    stacked = np.stack(parts, axis=-1)
    if drop_above is not None:
        stacked = np.where((stacked > drop_above).any(axis=-1, keepdims=True), np.nan, stacked)
    return stacked.mean(axis=-1) if needs_all else known_mean(stacked)
