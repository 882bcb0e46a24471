"""Scoring a model: people stream in, one row a person comes out.

Nobody is skipped: a person without a prediction becomes a row with ``answered`` false and NaN in every measure.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import pandas as pd
from jaxtyping import Float

from ..errors import RecordError
from .interface import BenchmarkPerson, PersonPrediction, Pose, Predict
from .metrics import LABELLED_PARTS, Geometry, measure_people
from .protocol import Protocol
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
    """Return one row per asked person: key, sequence, ``answered``, labels, box height (px) and each measure (mm).

    ``pose`` gives the true meshes where the protocol's truth is parameters (``truth.posed_meshes``).
    """
    if protocol.ground_truth == "parameters" and pose is None:
        raise ValueError(f"protocol {protocol.id} poses the truth from parameters: give the pose function")
    true_meshes = pose if protocol.ground_truth == "parameters" and pose else recorded_meshes
    seen: set[str] = set()
    tables = []
    for batch in _batches(people, batch_size):
        _require_new(batch, seen)
        predictions = predict(batch)
        if len(predictions) != len(batch):
            raise ValueError(f"the model was asked for {len(batch)} people and gave {len(predictions)} answers")
        tables.append(_score_batch(batch, predictions, true_meshes(batch), protocol, geometry))
    columns = ["person_key", "sequence", "answered", *LABEL_COLUMNS, "box_height", *protocol.measures]
    return pd.concat(tables, ignore_index=True).loc[:, columns] if tables else pd.DataFrame(columns=columns)


def _score_batch(
    batch: Sequence[BenchmarkPerson],
    predictions: Sequence[PersonPrediction | None],
    truth: Float[np.ndarray, "people vertices 3"],
    protocol: Protocol,
    geometry: Geometry,
) -> pd.DataFrame:
    """Return the rows of one batch."""
    answered = np.array([prediction is not None for prediction in predictions])
    labelled = {part: np.array([getattr(p, f"has_{part}") for p in batch]) for part in LABELLED_PARTS}
    rows = {
        "person_key": [person.person_key for person in batch],
        "sequence": [person.sequence for person in batch],
        "answered": answered,
        **{f"has_{part}": flags for part, flags in labelled.items()},
        "box_height": [person.box_height for person in batch],
        **{name: np.full(len(batch), np.nan) for name in protocol.measures},
    }
    if answered.any():
        people = [person for person, is_answered in zip(batch, answered, strict=True) if is_answered]
        found = measure_people(
            _predicted_meshes(batch, predictions, truth.shape[1:]),
            truth[answered],
            geometry,
            protocol.measure_objects,
            labelled={part: flags[answered] for part, flags in labelled.items()},
            names=[person.person_key for person in people],
        )
        for name, values in found.items():
            rows[name][answered] = values
    return pd.DataFrame(rows)


def _predicted_meshes(
    batch: Sequence[BenchmarkPerson], predictions: Sequence[PersonPrediction | None], shape: tuple[int, ...]
) -> Float[np.ndarray, "answered vertices 3"]:
    """Return the given meshes; RecordError names a person whose mesh has another topology than the truth."""
    meshes = []
    for person, prediction in zip(batch, predictions, strict=True):
        if prediction is None:
            continue
        if prediction.vertices.shape != shape:
            raise RecordError(
                person.person_key, "the predicted mesh", f"of shape {shape}", str(prediction.vertices.shape)
            )
        meshes.append(prediction.vertices)
    return np.stack(meshes)


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
