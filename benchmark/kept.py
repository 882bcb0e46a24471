"""Predicted SMPL-X parameters, kept beside the errors that they led to.

``RESULTS/<model>/<revision>/<protocol>.predictions.parquet`` holds one row an answered person, in the order in which
they were asked: ``person_key``, and by the names of ``smplx`` what the model said (axis-angle in radians, metres, hands
absolute, single precision; what it does not say has no column). ``transl`` and ``K`` belong together: by the camera
``K`` (px of the stored picture) a body at ``transl`` lies where the model saw the person. The file is itself one that
``ehps score`` takes.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict

from ..body.posing import PARAMETER_NAMES, PARAMETER_SHAPES
from ..errors import ProtocolError, RecordError
from .interface import BenchmarkPerson, Predict, Predicted

ROWS = 1024  # of a row group: one person is read with about as many others
_SHAPES = {**PARAMETER_SHAPES, "betas": (-1,), "expression": (-1,), "K": (3, 3)}


@runtime_checkable
class PredictedBody(Protocol):
    """A prediction that says by which parameters its mesh was posed, as ``training.predictor`` does.

    Where it has a ``gender``, that is the body's; others are neutral.
    """

    @property
    def parameters(self) -> Mapping[str, np.ndarray]:
        """Parameters by the names of ``smplx``, hands absolute."""
        ...

    @property
    def K(self) -> Float[np.ndarray, "3 3"] | None:  # noqa: N802 the camera's name everywhere
        """Camera that ``transl`` belongs to, px of the stored picture; None where the model names none."""
        ...


@dataclass(frozen=True, eq=False)
class KeptBody:
    """The parameters of one person as they were kept."""

    parameters: Mapping[str, np.ndarray]
    K: Float[np.ndarray, "3 3"] | None = None
    gender: str = "neutral"


class KeptPredictions(BaseModel):
    """Where a result's predictions lie, and what they were read from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str  # beside the result
    people: int
    bytes: int
    source: str | None = None  # name and checksum of the file that they came from; None: the model itself


def predictions_path(result: Path) -> Path:
    """Return where the predictions of a result lie, given the path of its JSON."""
    return result.with_suffix(".predictions.parquet")


def _schema(names: Sequence[str]) -> pa.Schema:
    """Return the columns of a file with some parameters; matrices are flat, in C order."""
    kinds = {name: pa.float64() if name == "K" else pa.float32() for name in names}
    arrays = [(name, pa.list_(kind, int(np.prod(_SHAPES[name])))) for name, kind in kinds.items()]
    return pa.schema(
        [*dict.fromkeys(("person_key", "body_model", "gender"), pa.string()).items(), ("flat_hand_mean", pa.bool_())]
        + arrays
    )


class Keeper:
    """Writes down what a model predicts while it is scored, as a context; without ``publish`` nothing stays.

    ``result`` is the path that the result's JSON will have; ``source`` names the file that predictions are read from.
    """

    def __init__(self, result: Path, source: str | None = None) -> None:
        self._path, self._source = predictions_path(result), source
        self._hidden = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        self._rows: list[dict[str, Any]] = []
        self._names: list[str] = []
        self._file: pq.ParquetWriter | None = None
        self._people = 0

    def __enter__(self) -> "Keeper":
        """Begin."""
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        """Throw away what was not published."""
        if self._file is not None:
            self._file.close()
        self._hidden.unlink(missing_ok=True)

    def watch(self, predict: Predict) -> Predict:
        """Return the model with every answer written down that says its parameters."""

        def watched(people: Sequence[BenchmarkPerson]) -> Sequence[Predicted | None]:
            answers = predict(people)
            for person, answer in zip(people, answers, strict=True):
                if isinstance(answer, PredictedBody):
                    self.add(person.person_key, answer)
            return answers

        return watched

    def add(self, person_key: str, body: PredictedBody) -> None:
        """Write down the parameters of one person; RecordError unless they are those that everyone has."""
        given = {**body.parameters, "K": body.K}
        names = [name for name in _SHAPES if given.get(name) is not None]
        self._names = self._names or names
        if names != self._names:
            expected, found = (", ".join(own) for own in (self._names, names))
            raise RecordError(person_key, "the predicted parameters", f"{expected}, as of the others", found)
        row = {"person_key": person_key, "body_model": "smplx", "flat_hand_mean": True}
        row["gender"] = getattr(body, "gender", "neutral")
        self._rows.append(row | {name: np.ravel(given[name]) for name in names})
        if len(self._rows) == ROWS:
            self._flush()

    def publish(self) -> KeptPredictions | None:
        """Show the file in its place and say where it is; None when no prediction said its parameters."""
        self._flush()
        if self._file is None:
            return None
        self._file.close()
        self._hidden.replace(self._path)
        size = self._path.stat().st_size
        return KeptPredictions(file=self._path.name, people=self._people, bytes=size, source=self._source)

    def _flush(self) -> None:
        """Write the rows so far."""
        if not self._rows:
            return
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = _open(self._hidden, self._names)
        self._file.write_table(pa.Table.from_pylist(self._rows, schema=self._file.schema))
        self._people += len(self._rows)
        self._rows = []


def _open(path: Path, names: Sequence[str]) -> pq.ParquetWriter:
    """Return a writer; the bytes of floats are stored apart, because only the upper ones are alike."""
    options: dict[str, Any] = {
        "compression": "zstd",
        "use_dictionary": ["body_model", "gender"],
        "use_byte_stream_split": [f"{name}.list.element" for name in names],
        "column_encoding": {"person_key": "DELTA_BYTE_ARRAY"},
    }
    return pq.ParquetWriter(path, _schema(names), **options)


def read_kept(result: Path, kept: KeptPredictions, person_keys: Sequence[str]) -> dict[str, KeptBody]:
    """Return the predictions of some people by their keys; whom nothing was kept of is left out.

    ProtocolError when the file is not the one that the result speaks of.
    """
    path = result.with_name(kept.file)
    if not path.is_file() or path.stat().st_size != kept.bytes:
        hint = "run ehps bench again"
        raise ProtocolError(path, f"is missing or another than the {kept.bytes} bytes that {result.name} names", hint)
    wanted, found = set(person_keys), {}
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            keys = file.read_row_group(group, columns=["person_key"])["person_key"].to_pylist()
            places = [place for place, key in enumerate(keys) if key in wanted]
            if places:
                rows = file.read_row_group(group).take(places).to_pylist()
                found |= {row["person_key"]: _body(row) for row in rows}
    return found


def _body(row: Mapping[str, Any]) -> KeptBody:
    """Return the parameters of a row."""
    arrays = {name: np.array(row[name]).reshape(shape) for name, shape in _SHAPES.items() if name in row}
    parameters = {name: arrays[name] for name in PARAMETER_NAMES if name in arrays}
    return KeptBody(parameters, arrays.get("K"), row["gender"])
