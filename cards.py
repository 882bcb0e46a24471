"""Cards: what people know about a source, as checked data.

``datasets/<id>/card.yaml`` holds the facts that a human wrote: licence, how to get it, what is labelled and how,
pitfalls. Code never repeats a fact that a card can hold.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .errors import CardError, UnknownNameError
from .yaml_text import parsed_yaml

DATASETS_DIR = Path(__file__).resolve().parent / "datasets"

FORTY_PATH = DATASETS_DIR / "the_forty.yaml"

Origin = Literal["measured", "fitted", "pseudo", "synthetic"]
Split = Literal["train", "val", "test"]
Kind = Literal["synthetic", "mocap", "pseudo", "scan"]
Mix = Literal[5, 10, 20, 32, 40]  # a mixture of the SMPLer-X and SMPLest-X papers, by its number of sources


Model = TypeVar("Model", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Licence(_Strict):
    """Who may use the source, and for what."""

    name: str
    spdx: str | None = None
    commercial: bool
    redistribute: bool
    access: Literal["open", "registration", "form"]
    previews: bool = True  # False: the dashboard must not show pictures
    notes: str = ""


class PartLabels(_Strict):
    """How each part is labelled at best; None: the source does not label it."""

    body: Origin | None = None
    left_hand: Origin | None = None
    right_hand: Origin | None = None
    face: Origin | None = None
    shape: Origin | None = None
    keypoints_2d: Origin | None = None


class Images(_Strict):
    """What the pictures are like."""

    people: Literal["one", "several", "many"]
    video: bool
    frame_rate: float | None = None  # pictures a second by which a record's frame_index counts; None: not known
    scene: Literal["indoor", "outdoor", "studio", "mixed", "in-the-wild"]
    container: str  # png files, jpg files, mp4, SMC, ...


class Conventions(_Strict):
    """How the owner writes poses and cameras."""

    body_model: Literal["smplx", "smplh", "smpl", "mano", "mesh", "none"]
    gender: Literal["neutral", "gendered", "none"] = "none"
    betas: int = 0
    hands: Literal["absolute", "deviation", "pca", "none"] = "none"
    units: Literal["m", "mm", "cm"] = "m"
    space: Literal["camera", "world", "scan"] = "camera"
    camera: Literal["measured", "fitted", "virtual_crop", "none"] = "none"


class Raw(_Strict):
    """Where the owner's files come from and how they lie on disk."""

    how: str
    tree: list[str]


class Checks(_Strict):
    """Bounds past which the engine turns a person into a reject, or a conversion into a failure."""

    max_reject: float = 0.01  # share of people; a conversion above it fails at its end
    max_reprojection_px: float | None = None  # median over the keypoints of a person; None: measured, never rejected
    max_joint_error_mm: float | None = None  # against the source's own 3D joints
    may_be_behind_camera: bool = False  # in part: the labelled person wears the camera


class UncertainFact(_Strict):
    """Something that nobody could verify yet."""

    fact: str
    confidence: Literal["verified", "reference", "inferred", "recalled"]


class Card(_Strict):
    """Everything a person should know before using a source."""

    id: str = Field(pattern=r"^[a-z0-9_]+$")
    name: str
    summary: str
    kind: Kind
    year: int
    home: str
    citation: str
    licence: Licence
    labels: PartLabels
    images: Images
    conventions: Conventions
    splits: list[Split]
    paper_mix: Mix | None = None  # smallest mixture of the papers with it
    stride: int = 1  # every n-th person in the papers' training
    raw: Raw
    checks: Checks = Checks()
    pitfalls: list[str] = []
    uncertain: list[UncertainFact] = []
    sources: list[str]  # where the facts of this card were read


def card_ids() -> list[str]:
    """Return the ids of all sources that have a card, sorted."""
    return sorted(path.parent.name for path in DATASETS_DIR.glob("*/card.yaml"))


@lru_cache(maxsize=64)
def load_card(dataset: str) -> Card:
    """Return the card of a source; unknown ids raise UnknownNameError, impossible cards CardError."""
    path = DATASETS_DIR / dataset / "card.yaml"
    if not path.is_file():
        raise UnknownNameError("dataset", dataset, card_ids())
    return parse_card(path)


def parse_card(path: Path) -> Card:
    """Return the card in a YAML file; CardError names the first field that is wrong."""
    card = _parsed(path, Card)
    if card.id != path.parent.name:
        raise CardError(path, f"id is {card.id!r}, but the folder is called {path.parent.name!r}")
    return card


class PaperSource(_Strict):
    """One of the forty sources of the SMPLest-X paper, with or without a card."""

    id: str = Field(pattern=r"^[a-z0-9_]+$")
    name: str
    kind: Kind
    mix: Mix  # the smallest with it
    membership: Literal["certain", "inferred"]
    instances: int | None = None  # people labelled for training, before strides
    count: Literal["high", "medium", "low"] | None = None  # how sure ``instances`` is


class TheForty(_Strict):
    """The forty sources, and where they were read."""

    sources: list[str]
    members: list[PaperSource]


@lru_cache(maxsize=1)
def the_forty() -> dict[str, PaperSource]:
    """Return the forty sources of the paper by their ids, those of the smallest mixture first."""
    return {member.id: member for member in _parsed(FORTY_PATH, TheForty).members}


def _parsed(path: Path, model: type[Model]) -> Model:
    """Return the facts in a YAML file; CardError names the first field that is wrong."""
    try:
        content: Any = parsed_yaml(path.read_text(encoding="utf-8"))
        return model.model_validate(content)
    except yaml.YAMLError as error:
        raise CardError(path, f"not valid YAML ({error})") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CardError(path, f"{where}: {first['msg']} ({error.error_count()} problem(s) in all)") from error
