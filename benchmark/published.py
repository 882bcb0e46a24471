"""Numbers that papers, read-mes and users published, each with its source: kept beside measured ones, never mixed in.

``published/published.csv`` holds a row per number. A number belongs to one of our protocols when the protocol says that
papers publish it under that test set's name and the metric is one of ours; all others are for reading only. A row of
kind ``reproduction`` is somebody's re-run, not a value of a paper.
"""

from functools import lru_cache
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import ProtocolError
from .measures import first_problem, get_measure, measures
from .protocol import Protocol, protocols, published_test_sets

PUBLISHED_PATH = Path(__file__).with_name("published") / "published.csv"
_REPRODUCTION = "community reproduction"
_PARTS = {"lhand": "left_hand", "rhand": "right_hand"}
# How the measures of a protocol may spell the points of a part.
_SPELLED = {
    "body": ("body24", "body22"),
    "hands": ("hands21", "hands20", "right_hand21-freihand", "right_hand-freihand", "right_hand"),
}
_METRICS = {"MPVPE": "PVE", "PA-MPVPE": "PA-PVE"}
# AGORA's mean over the bodies that were found. Its means of hands and face count the missed as zero: other numbers.
_OF_FOUND = {("MVE", "body"): "PVE@body"}
_UNITLESS = ("F1", "Precision", "Recall", "F@5", "F@15", "PCK@0.05")


class PublishedNumber(BaseModel):
    """One number of one table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    paper: str = Field(min_length=1)
    table: str = Field(min_length=1)
    method: str = Field(min_length=1)
    backbone: str
    train_set: str
    test_set: str = Field(min_length=1)
    metric: str = Field(min_length=1)
    part: Literal["all", "body", "hands", "lhand", "rhand", "face"]
    value_mm: float = Field(ge=0)  # unitless for F1, precision, recall, F-scores and PCK
    note: str
    source: str = Field(min_length=1)


def read_published(path: Path = PUBLISHED_PATH) -> list[PublishedNumber]:
    """Return every number of a file; ProtocolError names the row and field that is wrong."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    numbers = []
    for row, fields in enumerate(table.to_dict("records"), start=2):
        try:
            numbers.append(PublishedNumber.model_validate(fields))
        except ValidationError as error:
            raise ProtocolError(path, f"line {row}: {first_problem(error)}") from error
    return numbers


@lru_cache(maxsize=1)
def load_published() -> pd.DataFrame:
    """Return all published numbers with our protocol id and measure (None where we have none), kind and unit."""
    numbers, known = read_published(), protocols()
    table = pd.DataFrame([number.model_dump() for number in numbers]).rename(columns={"value_mm": "value"})
    test_sets = published_test_sets(known)
    ours = [test_sets.get((n.test_set, n.paper), test_sets.get((n.test_set, None))) for n in numbers]
    table["protocol"] = ours
    table["measure"] = [
        our_measure(number.metric, number.part, known[name] if name else None)
        for number, name in zip(numbers, ours, strict=True)
    ]
    table["kind"] = ["reproduction" if number.paper == _REPRODUCTION else "published" for number in numbers]
    table["unit"] = ["" if number.metric in _UNITLESS else "mm" for number in numbers]
    return table


def our_measure(metric: str, part: str, protocol: Protocol | None = None) -> str | None:
    """Return our name of a published metric, None where we compute no such measure.

    A protocol says which joints it means by the body's and the hands'; without one, joints of hands are the 21 of
    SMPLer-X's evaluation, whose tables are the ones that name them. AGORA's measures of matched people are of whole
    bodies here: its columns for body, hands and face are other numbers.
    """
    metric, part = _METRICS.get(metric, metric), _PARTS.get(part, part)
    name = metric if part == "all" else f"{metric}@{part}"
    if protocol is not None:
        spelled = (name, *(f"{metric}@{own}" for own in _SPELLED.get(part, ())), _OF_FOUND.get((metric, part)), metric)
        found = next((own for own in spelled if own in protocol.measures), None)
        is_whole = part == "all" or found is None or get_measure(found).family != "detection"
        return found if is_whole else None
    if metric.endswith("MPJPE") and part == "hands":
        name = f"{metric}@hands21"
    return name if name in measures() else None
