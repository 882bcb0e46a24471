"""Scoring a model: people stream in, one row a person comes out.

Nobody is skipped: a person without a prediction becomes a row with ``answered`` false and NaN in every measure.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pandas as pd
from jaxtyping import Float

from ..errors import RecordError
from .comparison import SIDES, Comparison, inside_picture
from .interface import BenchmarkPerson, Pose, Predict, Predicted
from .measures import Measure
from .metrics import LABELLED_PARTS, Geometry, MeshSide, measure_people, measure_points
from .motion import Tracks
from .orientations import measure_orientations
from .protocol import Protocol
from .single import measure_alone
from .truth import recorded_meshes

LABEL_COLUMNS = tuple(f"has_{part}" for part in LABELLED_PARTS)


def score(
    predict: Predict,
    people: Iterable[BenchmarkPerson],
    protocol: Protocol,
    geometry: Geometry,
    pose: Pose | None = None,
    *,
    batch_size: int = 32,
) -> pd.DataFrame:
    """Return the rows of ``score_points`` for a model that predicts meshes of the truth's own topology.

    ``pose`` gives the true meshes where the protocol's truth is parameters (``truth.posed_meshes``).
    """
    if protocol.ground_truth == "parameters" and pose is None:
        raise ValueError(f"protocol {protocol.id} poses the truth from parameters: give the pose function")
    true_meshes = pose if protocol.ground_truth == "parameters" and pose else recorded_meshes
    return score_points(predict, people, protocol, Comparison(geometry, geometry, true_meshes), batch_size=batch_size)


def score_points(
    predict: Predict,
    people: Iterable[BenchmarkPerson],
    protocol: Protocol,
    comparison: Comparison,
    *,
    batch_size: int = 32,
) -> pd.DataFrame:
    """Return one row per asked person: key, sequence, ``answered``, labels, box height (px) and each measure.

    Measures whose points the predictions do not have are NaN for everyone.
    """
    seen: set[str] = set()
    tables, tracks = [], Tracks(comparison.measurable(protocol.measure_objects))
    for batch in _batches(people, batch_size):
        _require_new(batch, seen)
        predictions = predict(batch)
        if len(predictions) != len(batch):
            raise ValueError(f"the model was asked for {len(batch)} people and gave {len(predictions)} answers")
        tables.append(_score_batch(batch, predictions, protocol, comparison, tracks))
    columns = ["person_key", "sequence", "answered", *LABEL_COLUMNS, "box_height", *protocol.measures]
    if not tables:
        return pd.DataFrame(columns=columns)
    table = pd.concat(tables, ignore_index=True)
    moving = tracks.values().reindex(table["person_key"])
    return table.assign(**{name: moving[name].to_numpy() for name in moving}).loc[:, columns]


def _score_batch(
    batch: Sequence[BenchmarkPerson],
    predictions: Sequence[Predicted | None],
    protocol: Protocol,
    comparison: Comparison,
    tracks: Tracks,
) -> pd.DataFrame:
    """Return the rows of one batch; what is measured over time is left to the tracks."""
    answered = np.array([prediction is not None for prediction in predictions])
    rows = {
        "person_key": [person.person_key for person in batch],
        "sequence": [person.sequence for person in batch],
        "answered": answered,
        **{f"has_{part}": np.array([getattr(p, f"has_{part}") for p in batch]) for part in LABELLED_PARTS},
        "box_height": [person.box_height for person in batch],
        **{name: np.full(len(batch), np.nan) for name in protocol.measures},
    }
    if answered.any():
        people = [person for person, is_answered in zip(batch, answered, strict=True) if is_answered]
        truth = comparison.truth(people)
        given = [prediction for prediction in predictions if prediction is not None]
        points = _predicted_points(people, given, comparison.num_points or truth.shape[1], truth.shape[2])
        if comparison.convert is not None:
            points = comparison.convert(points)
        of_batch = _Batch(people, given, points, truth, protocol, comparison)
        if tracks.are_wanted:
            tracks.add(people, of_batch.sides)
        for name, values in of_batch.measured().items():
            rows[name][answered] = values
    return pd.DataFrame(rows)


@dataclass(frozen=True, eq=False)
class _Batch:
    """People who were answered, with predicted and true points."""

    people: Sequence[BenchmarkPerson]
    predictions: Sequence[Predicted]
    predicted: Float[np.ndarray, "people points space"]
    truth: Float[np.ndarray, "people true_points space"]
    protocol: Protocol
    comparison: Comparison

    @property
    def sides(self) -> tuple[MeshSide, MeshSide]:
        """Return both sides as points and roots of parts."""
        return MeshSide(self.predicted, self.comparison.predicted), MeshSide(self.truth, self.comparison.true)

    def measured(self) -> dict[str, np.ndarray]:
        """Return the values of every measure of single people that the predictions have points for."""
        measures = self.comparison.measurable(self.protocol.measure_objects)
        out: dict[str, np.ndarray] = {}
        if compared := [measure for measure in measures if measure.is_of_points]:
            out |= self._compared(compared)
        if turned := [measure for measure in measures if measure.family == "angle"]:
            out |= measure_orientations(turned, self.predictions, self.people, self.sides)
        for measure in measures:
            if not (measure.is_of_points or measure.family in ("angle", "motion")):
                sides = self.predicted, self.truth
                out[measure.name] = measure_alone(measure, *sides, self.people, self.protocol, self.comparison.girths)
        return out

    def _compared(self, measures: Sequence[Measure]) -> dict[str, np.ndarray]:
        """Return the measures that align points with points; whole meshes go through the quicker way."""
        people = self.people
        labelled = {part: np.array([getattr(p, f"has_{part}") for p in people]) for part in LABELLED_PARTS}
        names = [person.person_key for person in people]
        if _is_plain(self.protocol):
            return measure_people(
                self.predicted,
                self.truth,
                self.comparison.predicted,
                measures,
                true_geometry=self.comparison.true,
                labelled=labelled,
                names=names,
            )
        sides = self.sides
        counted = _counted(self.protocol, measures, sides[1], people)
        return measure_points(*sides, measures, labelled=labelled, counted=counted, names=names)


def _is_plain(protocol: Protocol) -> bool:
    """Return whether whole meshes are compared, with no habit that looks at single points."""
    return protocol.ground_truth in ("vertices", "parameters") and protocol.counted_points == "all"


def _counted(
    protocol: Protocol, measures: Sequence[Measure], truth: MeshSide, people: Sequence[BenchmarkPerson]
) -> dict[tuple[str, str], np.ndarray] | None:
    """Return, a part and kind, which of the true points are averaged; None where all of them are."""
    if protocol.counted_points == "all":
        return None
    wanted = {(s, m.points) for m in measures for s in (SIDES if m.part == "hands" else (m.part,))}
    return {key: inside_picture(truth.points(*key), people) for key in sorted(wanted)}


def _predicted_points(
    people: Sequence[BenchmarkPerson], predictions: Sequence[Predicted], num_points: int, space: int
) -> Float[np.ndarray, "people points space"]:
    """Return the given points; RecordError names a person of whom there are not as many as expected."""
    shape = (num_points, space)
    for person, prediction in zip(people, predictions, strict=True):
        if prediction.vertices.shape != shape:
            raise RecordError(
                person.person_key, "the predicted mesh", f"of shape {shape}", str(prediction.vertices.shape)
            )
    return np.stack([prediction.vertices for prediction in predictions])


def _require_new(batch: Sequence[BenchmarkPerson], seen: set[str]) -> None:
    """Raise RecordError when a person is asked twice."""
    for person in batch:
        if person.person_key in seen:
            raise RecordError(person.person_key, "person_key", "asked once", "the same key a second time")
        seen.add(person.person_key)


def _batches(people: Iterable[BenchmarkPerson], size: int) -> Iterator[list[BenchmarkPerson]]:
    iterator = iter(people)
    while batch := list(islice(iterator, size)):
        yield batch
