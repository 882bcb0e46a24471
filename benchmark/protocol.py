"""Protocols: everything that must be fixed before two numbers may stand in one column.

A protocol is a YAML file in ``protocols/`` (or the user's own). It is versioned: whoever changes what is measured
raises ``version``, and results of different versions never share a column. Missing predictions are counted, never
skipped: every result says how many people were asked, answered and missing. Under the rule ``report`` a table shows the
mean over the answered people and marks the cell when some are missing; under ``penalise`` it shows the mean in which a
missing person counts with ``max_error``. Every result holds both means.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError, model_validator

from ..errors import ProtocolError, UnknownNameError
from .measures import Measure, first_problem, get_measure

PROTOCOL_DIR = Path(__file__).with_name("protocols")
_ID = r"^[a-z0-9]+(_[a-z0-9]+)*$"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BodyModel(_Model):
    """The body whose mesh is compared, and whose gender poses the truth (none: the truth is a mesh already)."""

    kind: Literal["smplx"] = "smplx"
    gendering: Literal["none", "neutral", "labelled"]
    num_betas: PositiveInt = 10


class Roots(_Model):
    """The point of each part that is brought together by the measures without ``PA-``."""

    all: Literal["pelvis"] = "pelvis"
    body: Literal["pelvis"] = "pelvis"
    hands: Literal["wrist"] = "wrist"
    face: Literal["neck"] = "neck"


class Regressors(_Model):
    """Which maps turn the mesh into roots and joints."""

    roots: Literal["J_regressor"] = "J_regressor"
    body: Literal["SMPLX_to_J14"] = "SMPLX_to_J14"
    hands: Literal["J_regressor_and_fingertips"] = "J_regressor_and_fingertips"


class Boxes(_Model):
    """Where the person's box comes from and by how much it is enlarged about its centre before the model sees it."""

    source: Literal["ground_truth", "detector"]
    detector: str | None = None
    padding: PositiveFloat

    @model_validator(mode="after")
    def _detector_is_named(self) -> "Boxes":
        if (self.source == "detector") != (self.detector is not None):
            raise ValueError("detector must be named exactly when source is detector")
        return self


class MaxError(_Model):
    """What a missing person costs in the penalised mean (mm): about the extent of the part."""

    all: PositiveFloat
    body: PositiveFloat
    hands: PositiveFloat
    face: PositiveFloat

    def of(self, measure: Measure) -> float:
        """Return the cost of a missing person in a measure."""
        return getattr(self, "hands" if measure.part.endswith("hand") else measure.part)


class Missing(_Model):
    """What happens to people without a prediction."""

    rule: Literal["report", "penalise"]
    max_error: MaxError


class Protocol(_Model):
    """One way to score models on one split of one data set."""

    id: str = Field(pattern=_ID)
    version: PositiveInt
    display_name: str
    dataset: str = Field(pattern=_ID)
    split: Literal["train", "val", "test"]
    ground_truth: Literal["vertices", "parameters"]
    body_model: BodyModel
    measures: tuple[str, ...] = Field(min_length=1)
    primary: str
    alignment: Roots
    regressors: Regressors
    boxes: Boxes
    stride: PositiveInt = 1
    missing: Missing
    published_as: tuple[str, ...] = ()  # what papers call this test set
    citation: str
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _is_consistent(self) -> "Protocol":
        for name in self.measures:
            get_measure(name)
        if self.primary not in self.measures:
            raise ValueError(f"primary {self.primary} is not among the measures {', '.join(self.measures)}")
        if len(set(self.measures)) < len(self.measures):
            raise ValueError("measures names one twice")
        if (self.ground_truth == "vertices") != (self.body_model.gendering == "none"):
            raise ValueError("gendering is none exactly when the ground truth is vertices")
        return self

    @property
    def measure_objects(self) -> tuple[Measure, ...]:
        """Return the measures, in order."""
        return tuple(get_measure(name) for name in self.measures)


def read_protocol(path: Path) -> Protocol:
    """Return the protocol of a file; ProtocolError names file, field and what was found."""
    try:
        protocol = Protocol.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ProtocolError(path, f"cannot be read ({error.strerror})", "give the path of a protocol file") from error
    except yaml.YAMLError as error:
        raise ProtocolError(path, f"is not YAML ({str(error).splitlines()[0]})") from error
    except ValidationError as error:
        raise ProtocolError(path, first_problem(error)) from error
    except UnknownNameError as error:
        raise ProtocolError(path, str(error)) from error
    if protocol.id != path.stem:
        raise ProtocolError(path, f"the id should be {path.stem!r} as the file, found {protocol.id!r}")
    return protocol


def protocols(directory: Path = PROTOCOL_DIR) -> dict[str, Protocol]:
    """Return every protocol of a folder by id, sorted."""
    return {path.stem: read_protocol(path) for path in sorted(directory.glob("*.yaml"))}


def load_protocol(name: str | Path) -> Protocol:
    """Return a protocol by its id or by the path of the user's own file."""
    if isinstance(name, Path) or name.endswith((".yaml", ".yml")):
        return read_protocol(Path(name))
    known = [path.stem for path in PROTOCOL_DIR.glob("*.yaml")]
    if name not in known:
        raise UnknownNameError("protocol", name, known)
    return read_protocol(PROTOCOL_DIR / f"{name}.yaml")


_TRUTH = {
    "vertices": "The truth is the mesh of the record.",
    "parameters": "The truth is posed from the recorded parameters: {kind}, {gendering}, {num_betas} betas.",
}
_GENDERING = {"none": "no gender", "neutral": "neutral", "labelled": "the labelled gender"}
_RULE = {
    "report": "People without a prediction are counted; means are over the answered, a cell with missing is marked.",
    "penalise": "People without a prediction count with an error of {costs}.",
}


def describe(protocol: Protocol) -> str:
    """Return the protocol in plain words, a sentence a line."""
    roots = protocol.alignment
    which = "every person" if protocol.stride == 1 else f"one person in {protocol.stride}"
    costs = ", ".join(f"{cost:g} mm ({part})" for part, cost in protocol.missing.max_error.model_dump().items())
    lines = [
        f"{protocol.display_name} ({protocol.id}, version {protocol.version}).",
        f"Who: {which} of {protocol.dataset} {protocol.split}.",
        _describe_truth(protocol.ground_truth, protocol.body_model),
        f"Measures: {', '.join(protocol.measures)}; the headline is {protocol.primary}.",
        f"Without PA- meshes meet at the {roots.all}, hands at the {roots.hands}, faces at the {roots.face}.",
        f"Body joints come from {protocol.regressors.body}, hand joints from {protocol.regressors.hands}.",
        _describe_boxes(protocol.boxes),
        _RULE[protocol.missing.rule].format(costs=costs),
        *protocol.notes,
        f"Cite: {protocol.citation}",
    ]
    return "\n".join(lines)


def _describe_truth(ground_truth: str, body: BodyModel) -> str:
    return _TRUTH[ground_truth].format(kind=body.kind, gendering=_GENDERING[body.gendering], num_betas=body.num_betas)


def _describe_boxes(boxes: Boxes) -> str:
    source = "the ground truth" if boxes.source == "ground_truth" else f"the detector {boxes.detector}"
    return f"Boxes come from {source} and are enlarged {boxes.padding:g} times."


def published_test_sets(known: Mapping[str, Protocol]) -> dict[str, str]:
    """Return which protocol id each test set of the papers belongs to."""
    return {name: protocol.id for protocol in known.values() for name in protocol.published_as}
