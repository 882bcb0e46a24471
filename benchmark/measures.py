"""The measures: what each number is called, what it means and from which points it comes.

The facts are in ``measures.yaml``; a measure's canonical name (``PA-PVE@hands``) is its key in protocols, result files
and tables. How it is computed is in ``metrics``.
"""

from functools import lru_cache
from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..errors import ProtocolError, UnknownNameError
from ..yaml_text import parsed_yaml

Part = Literal["all", "body", "hands", "left_hand", "right_hand", "face"]
PointKind = Literal[
    *("vertices", "body_vertices"),
    *("joints12", "joints14", "joints17", "joints16", "joints20", "joints21", "joints22", "joints24", "joints52"),
]
Alignment = Literal["none", "root", "similarity", "freihand", "scale", "centroid"]
# What is computed from points, beside what needs rotations, shapes, time, pictures, a body's girths or a whole image.
PointFamily = Literal["distance", "pck", "auc", "f_score", "mrrpe"]
OtherFamily = Literal["angle", "shape", "motion", "keypoints_2d", "height", "detection"]

_PATH = Path(__file__).with_name("measures.yaml")
_NAME = r"^(PA-)?[A-Za-z][A-Za-z0-9]*(-[A-Za-z0-9]+)*(@[a-z_]+\d*(-[a-z]+\d*)?|@\d+(\.\d+)?)?$"


class Measure(BaseModel):
    """One number a person (or, of the family ``detection``, one a set of pictures): name, meaning and points."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=_NAME)
    display_name: str
    description: str
    family: PointFamily | OtherFamily = "distance"
    unit: str = "mm"
    lower_is_better: bool = True
    part: Part
    points: PointKind
    alignment: Alignment
    threshold: float = Field(default=0.0, ge=0)  # pck, auc, f_score: mm; keypoints_2d: share of the person's size
    steps: int = Field(default=2, ge=2)  # auc: thresholds from zero on
    drop_above: float | None = None  # a person with a hand above this many mm is left out

    @property
    def is_of_points(self) -> bool:
        """Return whether ``metrics.measure_points`` computes it."""
        return self.family in get_args(PointFamily)


class MeanOfPrimaries(BaseModel):
    """The mean of several protocols' primary measures, such as MPE, or of one measure under several protocols."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    display_name: str
    description: str
    unit: str = "mm"
    lower_is_better: bool = True
    protocols: tuple[str, ...]
    measure: str | None = None  # of every protocol, instead of its primary


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    measures: tuple[Measure, ...]
    means: tuple[MeanOfPrimaries, ...]

    @model_validator(mode="after")
    def _names_are_unique(self) -> "_File":
        names = [entry.name for entry in (*self.measures, *self.means)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} named twice")
        return self


@lru_cache(maxsize=1)
def _load() -> _File:
    try:
        return _File.model_validate(parsed_yaml(_PATH.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise ProtocolError(_PATH, first_problem(error)) from error


def measures() -> dict[str, Measure]:
    """Return every measure by its canonical name, in the order of the file."""
    return dict(_by_name())


@lru_cache(maxsize=1)
def _by_name() -> dict[str, Measure]:
    return {measure.name: measure for measure in _load().measures}


def means() -> dict[str, MeanOfPrimaries]:
    """Return every mean over protocols by its name."""
    return {mean.name: mean for mean in _load().means}


def get_measure(name: str) -> Measure:
    """Return the measure of a name; UnknownNameError suggests the nearest ones."""
    known = _by_name()
    if name not in known:
        raise UnknownNameError("measure", name, known)
    return known[name]


def lower_is_better(name: str) -> bool:
    """Return whether a smaller value of a measure or of a mean over protocols is the better one."""
    return means()[name].lower_is_better if name in means() else get_measure(name).lower_is_better


def digits(name: str, decimals: int = 1) -> int:
    """Return the digits behind the point of a measure or a mean, of which those with a unit have ``decimals``.

    Measures without a unit are shares of one, such as PCK, and have two more.
    """
    return decimals if name in means() or get_measure(name).unit else decimals + 2


def first_problem(error: ValidationError) -> str:
    """Return the first complaint of pydantic as one clause: which field, what is wrong, what was found."""
    problem = error.errors(include_url=False)[0]
    where = ".".join(str(step) for step in problem["loc"]) or "the file"
    found = f", found {problem['input']!r}" if isinstance(problem["input"], str | int | float) else ""
    message = problem["msg"].removeprefix("Value error, ")
    return f"{where}: {message[:1].lower()}{message[1:]}{found}"
