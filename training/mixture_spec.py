"""What a mixture file says: the typed model of ``datasets/mixtures/*.yaml`` and of a user's own file.

A mixture has members. A member is a source and split of the catalog, or the part of it that labels or an SQL condition
choose; or whoever a whole SQL query names, each with a weight of their own; or another mixture. Strategies say how
large each member's share is, schedules change it while training goes on. ``docs/mixtures.md`` explains it all.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import yaml
from jaxtyping import Float
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from ..cards import DATASETS_DIR, Split, UncertainFact
from ..errors import CardError, RecipeError, UnknownNameError
from ..yaml_text import parsed_yaml

MIXTURES_DIR = DATASETS_DIR / "mixtures"
PAPER_MIXTURES = {5: "five", 10: "ten", 20: "twenty", 32: "thirty_two", 40: "forty"}  # by number of sources
Part = Literal["body", "left_hand", "right_hand", "face", "shape", "keypoints_2d"]
Strategy = Literal["concat", "balance", "weighted", "temperature", "explicit"]
_SUFFIXES = (".yaml", ".yml")
_ONE_MEMBER = re.compile(r"^(.+?\.ya?ml|[^/]+)/(.+)(?<!\.yaml)(?<!\.yml)$")  # mixture or its file, and a member of it


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Locality(_Strict):
    """Read runs of neighbouring people instead of single ones, several runs of each source side by side."""

    run: int = Field(default=64, ge=2)  # neighbouring people of a source that come together
    lanes: int = Field(default=64, ge=1)  # runs of a source that are open at a time


def _in_order(points: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
    places = [place for place, _ in points]
    if any(later <= earlier for earlier, later in pairwise(places)) or min(places) < 0:
        raise ValueError(f"the points of a schedule should rise from 0, found {places}")
    if any(factor < 0 for _, factor in points):
        raise ValueError("a schedule cannot be negative")
    return points


class Schedule(_Strict):
    """How a member's weight changes: a factor at some points, and what lies between them."""

    kind: Literal["linear", "step", "cosine"] = "linear"
    unit: Literal["people", "training"] = "training"  # of the points: people seen by all ranks, or share of the run
    points: Annotated[tuple[tuple[float, float], ...], Field(min_length=1), AfterValidator(_in_order)]

    def factors(self, positions: Float[np.ndarray, " n"], total: int | None) -> Float[np.ndarray, " n"]:
        """Return the factor at each position; before the first point and behind the last it does not change."""
        places, factors = self.places(total).astype(np.float64), np.array([factor for _, factor in self.points])
        number = np.clip(np.searchsorted(places, positions, side="right") - 1, 0, len(places) - 1)
        if self.kind == "step" or len(places) == 1:
            return factors[number]
        number = np.minimum(number, len(places) - 2)
        way = np.clip((positions - places[number]) / (places[number + 1] - places[number]), 0, 1)
        if self.kind == "cosine":
            way = (1 - np.cos(np.pi * way)) / 2
        return factors[number] + way * (factors[number + 1] - factors[number])

    def places(self, total: int | None) -> np.ndarray:
        """Return the positions of the points, int64; shares of a run need its length in people."""
        if self.unit == "training" and total is None:
            raise RecipeError(
                "a schedule in shares of the training needs its length in people: give it, or unit: people"
            )
        scale = 1 if self.unit == "people" or total is None else total
        return np.rint(np.array([place for place, _ in self.points]) * scale).astype(np.int64)


def _by_name(mixture: Any) -> Any:
    return load_mixture(mixture) if isinstance(mixture, str) else mixture


class Member(_Strict):
    """One part of a mixture: of a source, of an SQL query (``sql``), or another mixture (``mixture``)."""

    dataset: str = ""
    split: Split = "train"
    sql: str = ""  # SELECT that yields person_id and, if some should come more often, weight
    mixture: "Annotated[Mixture | None, BeforeValidator(_by_name)]" = None  # another one; a name or file loads it
    name: str = ""  # in tables and logs; the dataset's id or the mixture's name unless given
    where: str = "true"  # SQL condition over the catalog's table people
    has: tuple[Part, ...] = ()  # only people of whom all these are labelled
    stride: int = Field(default=1, ge=1)  # keep every n-th person that the conditions admit
    weight: float = Field(default=1.0, gt=0)
    per_epoch: int | None = Field(default=None, ge=1)  # people of it in an epoch, for the strategy explicit
    schedule: Schedule | None = None  # of a factor to the weight that the strategy gives
    on_failure: Literal["fail", "replace"] = "fail"  # what the reader does about a person who cannot be read
    note: str = ""  # a fact about this member, such as how sure it is that the paper used it

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> "Member":
        kinds = [kind for kind in ("dataset", "sql", "mixture") if getattr(self, kind)]
        if len(kinds) != 1:
            raise ValueError(f"a member is a dataset, an sql or a mixture, found {' and '.join(kinds) or 'none'}")
        if self.sql and not self.name:
            raise ValueError("an sql member needs a name")
        given = {"split", "where", "has", "stride"} & self.model_fields_set
        if given and not self.dataset:
            raise ValueError(f"{min(given)} belongs to a member with a dataset; write it into the {kinds[0]}")
        return self

    @property
    def label(self) -> str:
        """The name in tables and logs."""
        return self.name or (self.mixture.name if self.mixture else self.dataset)


class Mixture(_Strict):
    """People of several sources in chosen proportions."""

    name: str
    about: str
    strategy: Strategy
    temperature: float | None = Field(default=None, gt=0)
    epoch_length: int | None = Field(default=None, ge=1)  # people; None: as many as there are
    seed: int = Field(default=0, ge=0)
    exhaustion: Literal["repeat", "stop", "renormalise"] = "repeat"  # when a member has nobody left
    locality: Locality | None = None  # None: a person at a time, from anywhere in its source
    members: tuple[Member, ...] = Field(min_length=1)
    uncertain: tuple[UncertainFact, ...] = ()
    sources: tuple[str, ...] = ()  # where the facts of this file were read

    @model_validator(mode="after")
    def _is_consistent(self) -> "Mixture":
        labels = [member.label for member in self.members]
        if len(set(labels)) < len(labels):
            twice = next(label for label in labels if labels.count(label) > 1)
            raise ValueError(f"two members are called {twice!r}; give one of them a name")
        if (self.temperature is not None) != (self.strategy == "temperature"):
            raise ValueError("temperature belongs to the strategy 'temperature', and the strategy needs it")
        if self.strategy != "weighted" and any(member.weight != 1 for member in self.members):
            raise ValueError(f"weights belong to the strategy 'weighted', found {self.strategy!r}")
        counted = [member.per_epoch is not None for member in self.members]
        if (self.strategy == "explicit") != all(counted) or (any(counted) and self.strategy != "explicit"):
            raise ValueError("per_epoch belongs to the strategy 'explicit', which needs it of every member")
        if self.strategy == "explicit" and self.epoch_length is not None:
            raise ValueError("the strategy 'explicit' makes epochs of the sum of per_epoch; leave out epoch_length")
        return self


Member.model_rebuild()


class Leaf(NamedTuple):
    """A member that is people, and what it is called from the outermost mixture on."""

    label: str
    member: Member


def leaves(mixture: Mixture, prefix: str = "") -> Iterator[Leaf]:
    """Yield the people of a mixture and of those within it; ``<mixture>/<member>`` names who lies deeper."""
    for member in mixture.members:
        if member.mixture is None:
            yield Leaf(prefix + member.label, member)
        else:
            yield from leaves(member.mixture, f"{prefix}{member.label}/")


def mixture_names() -> list[str]:
    """Return the names of the mixtures that come with ehps."""
    return sorted(path.stem for path in MIXTURES_DIR.glob("*.yaml"))


def load_mixture(name: str | Path) -> Mixture:
    """Return a mixture by name, or from the path of a YAML file, with all mixtures within it.

    ``forty/agora`` and ``mine.yaml/agora`` are one member alone, with its conditions and its stride.
    """
    alone = _ONE_MEMBER.match(str(name))
    return _member_alone(*alone.groups()) if alone else _loaded(_mixture_path(name, Path()), ())


def _member_alone(name: str, label: str) -> Mixture:
    """Return the mixture of one leaf of another; UnknownNameError names the leaves that there are."""
    whole = load_mixture(name)
    members = {leaf.label: leaf.member for leaf in leaves(whole)}
    if label not in members:
        raise UnknownNameError(f"member of the mixture {name}", label, members)
    member = members[label].model_copy(update={"weight": 1.0, "per_epoch": None, "schedule": None})
    settings = {"seed": whole.seed, "exhaustion": whole.exhaustion, "locality": whole.locality}
    return Mixture(name=label, about=f"{label} of {name} alone.", strategy="concat", members=(member,), **settings)


def _mixture_path(name: str | Path, folder: Path) -> Path:
    """Return the file of a mixture: of that name, or a path that starts from ``folder``."""
    path = Path(name)
    if path.suffix in _SUFFIXES:
        return folder / path
    path = MIXTURES_DIR / f"{name}.yaml"
    if not path.is_file():
        raise UnknownNameError("mixture", str(name), mixture_names())
    return path


def _loaded(path: Path, within: tuple[Path, ...]) -> Mixture:
    """Return the mixture of a file that lies within others."""
    if path.resolve() in within:
        raise CardError(path, "this mixture contains itself")
    if not path.is_file():
        raise CardError(path, "there is no such mixture file")
    try:
        content = parsed_yaml(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise CardError(path, f"should be a mapping of fields, found {type(content).__name__}")
        return Mixture.model_validate({"name": path.stem} | _with_nested(content, path, within))
    except yaml.YAMLError as error:
        raise CardError(path, f"not valid YAML ({' '.join(str(error).split())})") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "mixture"
        raise CardError(path, f"{where}: {first['msg']} ({error.error_count()} problem(s) in all)") from error


def _with_nested(content: dict[str, Any], path: Path, within: tuple[Path, ...]) -> dict[str, Any]:
    """Return what a file says with the mixtures that it names put in their places."""
    members = content.get("members")
    if not isinstance(members, list):
        return content
    return content | {"members": [_with_own_nested(member, path, within) for member in members]}


def _with_own_nested(member: Any, path: Path, within: tuple[Path, ...]) -> Any:
    """Return a member with the mixture that it names in its place."""
    nested = member.get("mixture") if isinstance(member, dict) else None
    if isinstance(nested, str):
        return member | {"mixture": _loaded(_mixture_path(nested, path.parent), (*within, path.resolve()))}
    if isinstance(nested, dict):
        name = member.get("name") or "mixture"
        return member | {"mixture": {"name": name} | _with_nested(nested, path, within)}
    return member
