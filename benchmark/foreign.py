"""Scoring predictions that somebody else made, with the usual mistakes of such files turned into errors.

Millimetres for metres show in the extent of the points. Other mistakes (the mean hand added or not, joints in another
order, left for right) are tried on some people: when the file fits the truth much better with one of them, it is
refused with a sentence that says which.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import ProtocolError
from .comparison import Comparison, compare
from .interface import BenchmarkPerson, PersonPrediction
from .kept import Keeper, KeptBody
from .matching import Found, find_people
from .people import benchmark_people, people_places
from .prediction_points import Points, PosedRows
from .predictions import Predictions, read_predictions
from .protocol import Protocol
from .scoring import score_points

SAMPLE = 32  # people on whom mistakes are tried
_EXTENTS = {"hand_joints": 0.18, "hand_cloud": 0.18, "points_2d": None}  # m, of a hand; of a body otherwise
_BODY_EXTENT = 1.6
_UNITS = {"millimetres": (1000.0, 300.0), "centimetres": (100.0, 20.0)}  # how many make a metre, from what ratio on
_PROBES = ("PA-PVE@hands", "PA-MPJPE@hands21", "PA-MPJPE@right_hand21-freihand", "PA-MPJPE@body", "PA-MPJPE@body24")
_MUCH_BETTER, _MM = 0.6, 5.0  # a mistake explains the file: the error falls to this share, and by this much


@dataclass(frozen=True, eq=False)
class ForeignScore:
    """The rows of the people, and what a reader should know about the file."""

    people: pd.DataFrame
    notes: tuple[str, ...]


def score_predictions(
    path: Path,
    protocol: Protocol,
    catalog_dir: Path,
    model_dir: Path,
    *,
    as_is: bool = False,
    keeper: Keeper | None = None,
) -> ForeignScore:
    """Return the rows of ``scoring.score_points`` for a file of predictions.

    ``as_is`` scores a file that looks mistaken, too. A keeper is given the parameters of everyone who was asked and
    answered, where the file holds parameters of SMPL-X.
    """
    predictions = read_predictions(path, protocol, model_dir)
    comparison = compare(protocol, model_dir, predictions.kind)
    if not as_is:
        refuse_other_units(predictions)
    found = find_people(predictions, people_places(catalog_dir, protocol), protocol)
    asked = benchmark_people(catalog_dir, protocol)
    if not as_is and predictions.mistakes:
        refuse_mistakes(predictions, found, benchmark_people(catalog_dir, protocol), protocol, comparison)
    reader = _Reader(predictions.points, found, predictions.orientations)
    people = score_points(reader, asked, protocol, comparison)
    if keeper is not None and isinstance(predictions.points, PosedRows) and predictions.points.kind == "smplx":
        answered = people.loc[people["answered"].to_numpy(bool), "person_key"]
        _keep(keeper, predictions.points, {key: found.rows[key] for key in answered})
    return ForeignScore(people, _notes(people, found, protocol, comparison))


def _keep(keeper: Keeper, posed: PosedRows, rows: Mapping[str, int]) -> None:
    """Write down the parameters of some rows, adults only: a kid's body has a template that no parameter names."""
    for person_key, row in rows.items():
        if posed.kid_weights is None or np.isnan(posed.kid_weights[row]):
            parameters = {name: value[row] for name, value in posed.parameters.items()}
            keeper.add(person_key, KeptBody(parameters, gender=str(posed.genders[row])))


@dataclass(frozen=True, eq=False)
class _Reader:
    """Answers people with their rows of a file."""

    points: Points
    found: Found
    orientations: Points | None = None

    def __call__(self, people: Sequence[BenchmarkPerson]) -> list[PersonPrediction | None]:
        rows = [self.found.rows.get(person.person_key) for person in people]
        given = np.array([row for row in rows if row is not None], np.int64)
        points = iter(self.points(given) if len(given) else ())
        turns = iter(self.orientations(given) if self.orientations and len(given) else [None] * len(given))
        return [None if row is None else PersonPrediction(next(points), next(turns)) for row in rows]


def refuse_other_units(predictions: Predictions) -> None:
    """Raise ProtocolError when points are not in metres, as the extent of the people says."""
    usual = _EXTENTS.get(predictions.kind, _BODY_EXTENT)
    if usual is None or predictions.count == 0:
        return
    rows = np.unique(np.linspace(0, predictions.count - 1, SAMPLE).astype(np.int64))
    points = predictions.points(rows)
    if predictions.kind in _EXTENTS:
        points = points[:, 21:42]
    extent = float(np.nanmedian((points.max(axis=1) - points.min(axis=1)).max(axis=-1)))
    for unit, (count, ratio) in _UNITS.items():
        if extent > ratio * usual:
            problem = f"looks to be in {unit}: people are {extent:.0f} long, about {usual:g} m is usual"
            raise ProtocolError(predictions.path, problem, f"divide by {count:g}, or score it as it is with --as-is")
    if 0 < extent < usual / 20:
        problem = f"holds people of {extent:.2g} m, about {usual:g} m is usual"
        raise ProtocolError(predictions.path, problem, "give metres, or score it as it is with --as-is")


def refuse_mistakes(
    predictions: Predictions,
    found: Found,
    people: Iterable[BenchmarkPerson],
    protocol: Protocol,
    comparison: Comparison,
) -> None:
    """Raise ProtocolError when some people fit much better with one of the usual mistakes."""
    asked: list[BenchmarkPerson] = []
    for person in people:
        if person.person_key in found.rows:
            asked.append(person)
        if len(asked) == SAMPLE:
            break
    probe = next((name for name in (*_PROBES, protocol.primary) if name in protocol.measures), protocol.primary)
    narrow = protocol.model_copy(update={"measures": (probe,), "primary": probe})
    if not asked or not comparison.measurable(narrow.measure_objects):
        return

    def error(points: Points) -> float:
        rows = score_points(_Reader(points, found), asked, narrow, comparison)
        return float(np.nanmean(rows[probe].to_numpy(float)))

    declared = error(predictions.points)
    for mistake, points in predictions.mistakes.items():
        other = error(points)
        if other < _MUCH_BETTER * declared and other < declared - _MM:
            problem = f"fits much better read with {mistake}: {probe} is {other:.1f} so and {declared:.1f} as declared"
            hint = f"({len(asked)} people tried); correct the file, or score it as it is with --as-is"
            raise ProtocolError(predictions.path, problem, hint)


def _notes(people: pd.DataFrame, found: Found, protocol: Protocol, comparison: Comparison) -> tuple[str, ...]:
    """Return what a reader should know: rows of nobody, people without a row, measures without points."""
    notes = []
    if found.strangers:
        notes.append(f"{found.strangers} predictions belong to nobody of the split")
    missing = int((~people["answered"].to_numpy(bool)).sum()) if len(people) else 0
    if missing:
        notes.append(f"{missing} of {len(people)} people have no prediction")
    measurable = {measure.name for measure in comparison.measurable(protocol.measure_objects)}
    absent = [name for name in protocol.measures if name not in measurable]
    if absent:
        notes.append(f"without points for {', '.join(absent)}")
    return tuple(notes)
