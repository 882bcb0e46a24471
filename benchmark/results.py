"""Result files: one JSON and one Parquet per model, revision and protocol.

``RESULTS/<model>/<revision>/<protocol>.json`` holds counts, aggregates and where they come from; the Parquet beside it
holds one row per asked person, so that every aggregate can be computed again, and another the predictions themselves
where they were kept (``kept``). Both are written before the JSON, each under another name and then renamed: a JSON that
is there is complete.
"""

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..errors import ProtocolError
from .aggregate import Aggregate, aggregate
from .kept import Keeper, KeptPredictions, predictions_path
from .measures import first_problem, measures
from .protocol import Protocol

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._+-]*$"  # a folder's name


class ModelFacts(BaseModel):
    """What the person who runs a benchmark knows about the model."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model: str = Field(pattern=_NAME)
    revision: str = Field(pattern=_NAME)
    trained_on: tuple[str, ...] = ()  # dataset ids
    finetuned_on: tuple[str, ...] = ()
    network_parameters: int | None = None  # of the whole network
    training_people: int | None = None  # different people of the training set
    study: str | None = None  # the study that the model belongs to
    training: str | None = None  # fingerprint of the checkpoint, or of the run behind it
    command: str | None = None
    notes: tuple[str, ...] = ()


class RunFacts(ModelFacts):
    """A model, and the data that it was scored on."""

    shard_fingerprint: str


class Result(RunFacts):
    """One model under one protocol."""

    protocol: str
    protocol_version: int
    dataset: str
    split: str
    primary: str
    missing_rule: str
    box_source: str  # ground_truth, or the detector's name
    ehps_version: str
    date: datetime
    hardware: str
    asked: int
    answered: int
    missing: int
    measures: dict[str, Aggregate]
    summary: dict[str, float | None] = {}  # of everybody together, where a protocol matches whole pictures
    predictions: KeptPredictions | None = None  # None: they were not kept

    @model_validator(mode="after")
    def _counts_agree(self) -> "Result":
        if self.asked != self.answered + self.missing:
            raise ValueError(f"asked {self.asked} should be answered {self.answered} plus missing {self.missing}")
        if self.primary not in self.measures:
            raise ValueError(f"the primary {self.primary} is not among the measures")
        return self

    @property
    def coverage(self) -> float:
        """Return the share of asked people who were answered; 0 when nobody was asked."""
        return self.answered / self.asked if self.asked else 0.0


def make_result(
    people: pd.DataFrame,
    protocol: Protocol,
    facts: RunFacts,
    *,
    hardware: str | None = None,
    summary: Mapping[str, float | None] | None = None,
) -> Result:
    """Return the result of the rows that ``scoring.score`` returns."""
    answered = int(people["answered"].to_numpy(bool).sum())
    return Result(
        **facts.model_dump(),
        protocol=protocol.id,
        protocol_version=protocol.version,
        dataset=protocol.dataset,
        split=protocol.split,
        primary=protocol.primary,
        missing_rule=protocol.missing.rule,
        box_source=protocol.boxes.detector or protocol.boxes.source,
        ehps_version=version("ehps"),
        date=datetime.now(UTC).replace(microsecond=0),
        hardware=hardware or describe_hardware(),
        asked=len(people),
        answered=answered,
        missing=len(people) - answered,
        measures=aggregate(people, protocol),
        summary=dict(summary or {}),
    )


def result_path(directory: Path, model: str, revision: str, protocol: str) -> Path:
    """Return where the JSON of a result lies."""
    return directory / model / revision / f"{protocol}.json"


def write_result(result: Result, people: pd.DataFrame, directory: Path, keeper: Keeper | None = None) -> Path:
    """Write the files, each by a rename, and return the path of the JSON; a keeper brings predictions of ``path``."""
    path = result_path(directory, result.model, result.revision, result.protocol)
    path.parent.mkdir(parents=True, exist_ok=True)
    if len(people) != result.asked:
        raise ProtocolError(path, f"the table should hold {result.asked} people, found {len(people)}")
    kept = None if keeper is None else keeper.publish()
    hidden = path.with_name(f".{path.stem}.{os.getpid()}")
    people.to_parquet(hidden, index=False)
    hidden.replace(path.with_suffix(".parquet"))
    hidden.write_text(result.model_copy(update={"predictions": kept}).model_dump_json(indent=2) + "\n", "utf-8")
    hidden.replace(path)
    if kept is None:  # those of an earlier run of the benchmark belong to nothing now
        predictions_path(path).unlink(missing_ok=True)
    return path


def read_result(path: Path) -> Result:
    """Return a result; ProtocolError names the file and the field that is wrong."""
    try:
        result = Result.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ProtocolError(path, f"cannot be read ({error.strerror})") from error
    except ValidationError as error:
        raise ProtocolError(path, first_problem(error), "run ehps bench again") from error
    place = (path.parent.parent.name, path.parent.name, path.stem)
    found = (result.model, result.revision, result.protocol)
    if place != found:
        raise ProtocolError(path, f"should hold model, revision and protocol {place}, found {found}")
    return result


def read_people(path: Path) -> pd.DataFrame:
    """Return the rows of the people of a result, given the path of its JSON."""
    table = path.with_suffix(".parquet")
    if not table.is_file():
        raise ProtocolError(table, "is missing", f"every {path.name} has one beside it; run ehps bench again")
    return pd.read_parquet(table)


def result_files(directory: Path) -> list[Path]:
    """Return the JSON of every result under a folder, sorted; an absent folder holds none."""
    return sorted(path for path in directory.glob("*/*/*.json") if not path.name.startswith("."))


_NOT_IN_ROWS = ("measures", "summary", "primary", "trained_on", "finetuned_on", "notes", "predictions")
_COLUMNS = (
    *("model", "revision", "protocol", "protocol_version", "dataset", "split", "measure", "is_primary"),
    *("mean", "penalised_mean", "median", "ci_low", "ci_high", "people", "expected"),
    *("asked", "answered", "missing", "coverage", "missing_rule", "box_source", "is_trained_on", "is_finetuned_on"),
    *("network_parameters", "training_people", "study", "training"),
    *("shard_fingerprint", "ehps_version", "date", "hardware", "command", "path"),
)


def load_results(directory: Path) -> pd.DataFrame:
    """Return one row per model, revision, protocol and measure of every result under a folder."""
    rows = [row for path in result_files(directory) for row in _rows(read_result(path), path)]
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def _rows(result: Result, path: Path) -> list[dict]:
    """Return the rows of one result."""
    facts = result.model_dump(exclude={*_NOT_IN_ROWS})
    facts |= {
        "coverage": result.coverage,
        "is_trained_on": result.dataset in result.trained_on,
        "is_finetuned_on": result.dataset in result.finetuned_on,
        "path": str(path),
    }
    return [
        facts | {"measure": name, "is_primary": name == result.primary} | numbers.model_dump()
        for name, numbers in (result.measures | _totals(result)).items()
    ]


def _totals(result: Result) -> dict[str, Aggregate]:
    """Return the numbers of everybody together as aggregates without spread."""
    nothing = {"penalised_mean": None, "median": None, "ci_low": None, "ci_high": None}
    return {
        name: Aggregate(people=result.answered, expected=result.asked, mean=value, **nothing)
        for name, value in result.summary.items()
        if name in measures() and name not in result.measures
    }


def check_result(path: Path, protocols: Mapping[str, Protocol]) -> list[str]:
    """Return what is wrong with a result, as sentences: an empty list when its JSON follows from its Parquet."""
    try:
        result, people = read_result(path), read_people(path)
    except ProtocolError as error:
        return [str(error)]
    protocol = protocols.get(result.protocol)
    if protocol is None or protocol.version != result.protocol_version:
        return [f"{path}: protocol {result.protocol} version {result.protocol_version} is not known here"]
    absent = set(protocol.measures) - set(people.columns)
    if absent:
        return [f"{path}: the table lacks {', '.join(sorted(absent))}"]
    problems = _count_problems(result, people)
    again = aggregate(people, protocol)
    differing = [name for name in protocol.measures if not _agree(again[name].mean, result.measures[name].mean)]
    problems += [f"{name} should be {again[name].mean}, found {result.measures[name].mean}" for name in differing]
    return [f"{path}: {problem}" for problem in problems]


def _count_problems(result: Result, people: pd.DataFrame) -> list[str]:
    found = len(people), int(people["answered"].to_numpy(bool).sum())
    if found == (result.asked, result.answered):
        return []
    return [f"asked and answered should be {found} as in the table, found {(result.asked, result.answered)}"]


def _agree(a: float | None, b: float | None) -> bool:
    return a == b if a is None or b is None else bool(np.isclose(a, b, rtol=1e-9))


def describe_hardware() -> str:
    """Return processor and, where torch is loaded and sees one, accelerator."""
    names: Sequence[str] = [f"{platform.machine()} x{os.cpu_count()}"]
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        names = [torch.cuda.get_device_name(0), *names]
    return ", ".join(names)
