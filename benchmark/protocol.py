"""Protocols: everything that must be fixed before two numbers may stand in one column.

A protocol is a YAML file in ``protocols/`` (or the user's own). It is versioned: whoever changes what is measured
raises ``version``, and results of different versions never share a column. Missing predictions are counted, never
skipped: every result says how many people were asked, answered and missing. Under the rule ``report`` a table shows the
mean over the answered people and marks the cell when some are missing; under ``penalise`` it shows the mean in which a
missing person counts with ``max_error``. Every result holds both means.

Each habit of a published evaluation is a field of its own, so that two protocols that differ in one habit differ in
one line. A protocol may be there before the converter of its data set. The split is one of the data set's card, unless
the ground truth is hidden: nobody can convert what only the owner has labels of, so the card does not name that split.
"""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError, model_validator

from ..errors import ProtocolError, UnknownNameError
from ..yaml_text import parsed_yaml
from .measures import Measure, first_problem, get_measure

PROTOCOL_DIR = Path(__file__).with_name("protocols")
_ID = r"^[a-z0-9]+(_[a-z0-9]+)*$"

GroundTruth = Literal["vertices", "parameters", "joints", "hand", "keypoints_2d", "template", "hidden"]
SubmissionFormat = Literal["agora", "bedlam", "freihand", "shapy", "pw3d_challenge"]
Part = Literal["body", "left_hand", "right_hand", "face"]


# Of a missing person, where it is no length.
_COSTS = {"angle": 180.0, "motion": float("nan")}


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BodyModel(_Model):
    """The body of the truth, and whose gender poses it (none: the truth is points already)."""

    kind: Literal["smplx", "smpl", "mano"] = "smplx"
    gendering: Literal["none", "neutral", "labelled"]
    num_betas: PositiveInt = 10


class Roots(_Model):
    """The point of each part that is brought together by the measures without ``PA-``."""

    all: Literal["pelvis", "hips"] = "pelvis"
    body: Literal["pelvis", "hips"] = "pelvis"
    hands: Literal["wrist"] = "wrist"
    face: Literal["neck"] = "neck"


class Regressors(_Model):
    """Which maps turn the meshes into roots and joints."""

    roots: Literal["J_regressor", "J_regressor_h36m"] = "J_regressor"
    body: Literal[
        "SMPLX_to_J14", "J_regressor_lsp14", "J_regressor_h36m", "J_regressor_24", "kinematic_24", "given"
    ] = "SMPLX_to_J14"
    hands: Literal["J_regressor_and_fingertips", "given"] = "J_regressor_and_fingertips"
    converted_root: Literal["smpl", "smplx"] = "smpl"  # whose pelvis is that of a converted mesh


class Selection(_Model):
    """Who of the split is asked, besides the stride."""

    units: tuple[str, ...] = ()  # patterns of units' names; none: all
    kids: Literal["keep", "leave_out"] = "keep"
    labelled: tuple[Part, ...] = ()  # people without one of these labels are not asked

    def admits_unit(self, unit: str) -> bool:
        """Return whether the people of a unit are asked."""
        return not self.units or any(fnmatchcase(unit, pattern) for pattern in self.units)


class Matching(_Model):
    """How predictions of a whole picture find their people, where the protocol gives no boxes."""

    method: Literal["agora"]
    cost: Literal["spectral", "mean_distance"]
    min_iou: float = Field(ge=0, le=1)
    max_occlusion: float = Field(ge=0, le=100)  # percent; who is more hidden is neither found nor missed
    early_stop: bool  # a cheap pair that does not overlap uses up a prediction
    invalid_frees_prediction: bool  # a prediction on somebody who does not count is a false positive
    missed_hands_and_face: Literal["zero", "left_out"]
    kids_share_false_positives: bool
    pictures: tuple[str, ...] = ()  # only those whose names hold one of these (the owner's --onlybfh); none: all
    rounding: Literal["owner", "none"]  # owner: F1 to two decimals and errors to one before they are divided


class Boxes(_Model):
    """Where the person's box comes from and by how much it is enlarged about its centre before the model sees it."""

    source: Literal["ground_truth", "detector", "none"]
    detector: str | None = None
    padding: PositiveFloat = 1.0

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
        """Return the cost of a missing person in a measure; where more is better it is the worst value, zero.

        The worst angle is 180 degrees; nobody can say what the motion of nobody costs (NaN).
        """
        if not measure.lower_is_better:
            return 0.0
        if measure.family in _COSTS:
            return _COSTS[measure.family]
        return getattr(self, "hands" if measure.part.endswith("hand") else measure.part)


class Missing(_Model):
    """What happens to people without a prediction."""

    rule: Literal["report", "penalise"]
    max_error: MaxError


class PublishedAs(_Model):
    """What papers call a test set; with ``papers``, only those."""

    test_set: str
    papers: tuple[str, ...] = ()


class Protocol(_Model):
    """One way to score models on one split of one data set."""

    id: str = Field(pattern=_ID)
    version: PositiveInt
    display_name: str
    dataset: str = Field(pattern=_ID)
    split: Literal["train", "val", "test"]
    ground_truth: GroundTruth
    body_model: BodyModel
    conversion: Literal["none", "smplx_to_smpl"] = "none"  # of predicted meshes, before anything is measured
    measures: tuple[str, ...] = Field(min_length=1)
    primary: str
    alignment: Roots = Roots()
    regressors: Regressors = Regressors()
    counted_points: Literal["all", "inside_picture"] = "all"  # aligned with all, averaged over these
    boxes: Boxes
    stride: PositiveInt = 1
    selection: Selection = Selection()
    matching: Matching | None = None
    missing: Missing
    submission: SubmissionFormat | None = None
    published_as: tuple[str | PublishedAs, ...] = ()
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
        posed = self.ground_truth in ("parameters", "hand")
        if self.ground_truth != "hidden" and posed == (self.body_model.gendering == "none"):
            raise ValueError("gendering is none exactly when the ground truth is not posed, as vertices are not")
        is_posed_smpl = self.ground_truth == "parameters" and self.body_model.kind == "smpl"
        if self.regressors.body == "kinematic_24" and not is_posed_smpl:
            raise ValueError("kinematic_24 needs a posed truth of SMPL, because a mesh has no joints of its own")
        if self.regressors.converted_root == "smplx" and self.conversion == "none":
            raise ValueError("converted_root is for meshes that are converted, and conversion is none")
        families = {get_measure(name).family for name in self.measures}
        if "motion" in families and self.stride != 1:
            raise ValueError(f"measures of motion need every picture, found stride {self.stride}")
        if "angle" in families and self.ground_truth != "parameters":
            raise ValueError(f"measures of angles need a posed truth (parameters), found {self.ground_truth}")
        if self.ground_truth == "hidden" and self.submission is None:
            raise ValueError("a hidden ground truth needs a submission format, because the owner scores it")
        return self

    @property
    def measure_objects(self) -> tuple[Measure, ...]:
        """Return the measures, in order."""
        return tuple(get_measure(name) for name in self.measures)


def read_protocol(path: Path) -> Protocol:
    """Return the protocol of a file; ProtocolError names file, field and what was found."""
    try:
        protocol = Protocol.model_validate(parsed_yaml(path.read_text(encoding="utf-8")))
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


def published_test_sets(known: Mapping[str, Protocol]) -> dict[tuple[str, str | None], str]:
    """Return which protocol id each test set of the papers belongs to, by name and paper (None: any paper)."""
    out: dict[tuple[str, str | None], str] = {}
    for protocol in known.values():
        for entry in protocol.published_as:
            name = entry if isinstance(entry, str) else entry.test_set
            papers: Iterable[str | None] = (None,) if isinstance(entry, str) else entry.papers or (None,)
            out |= {(name, paper): protocol.id for paper in papers}
    return out
