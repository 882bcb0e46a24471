"""Mixtures: which people a network is trained on and in which proportions.

A mixture is a YAML file of members; a member is a source and split of the catalog, or a part of it chosen by an SQL
condition over the table ``people``. Strategies say how large each member's share is: ``concat`` its number of people,
``balance`` the same for all, ``weighted`` the given weights, ``temperature`` people to the power 1 / temperature (1 is
concat, large values approach balance). ``plan`` shows what training will see before it runs.
The strategies "concat" and "balance" are those of SMPLer-X and SMPLest-X, whose mixtures lie in ``datasets/mixtures``.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import yaml
from jaxtyping import Int
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..cards import DATASETS_DIR, Split, load_card
from ..errors import CardError, RecipeError, UnknownNameError
from ..shards.catalog import fingerprint, query
from .order import Order, ReleasedBalance, endless_order, finite_order, rounded

MIXTURES_DIR = DATASETS_DIR / "mixtures"
PARTS = ("body", "left_hand", "right_hand", "face", "shape", "keypoints_2d")
# People without a box cannot be cut out; they are left out and counted.
_MEMBERS_SQL = """
    FROM (SELECT *, row_number() OVER (ORDER BY person_id) - 1 AS row_of_member
          FROM people WHERE dataset = ? AND split = ? AND ({where}))
    WHERE row_of_member % {stride} = 0
"""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Member(_Strict):
    """One source of a mixture."""

    dataset: str
    split: Split = "train"
    name: str = ""  # of the member in logs; the dataset's id unless given
    where: str = "true"  # SQL condition over the catalog's table people
    stride: int = Field(default=1, ge=1)  # keep every n-th person that the condition admits
    weight: float = Field(default=1.0, gt=0)

    @property
    def label(self) -> str:
        """The name in tables and logs."""
        return self.name or self.dataset


class Mixture(_Strict):
    """People of several sources in chosen proportions."""

    name: str
    about: str
    strategy: Literal["concat", "balance", "weighted", "temperature"]
    temperature: float | None = Field(default=None, gt=0)
    epoch_length: int | None = Field(default=None, ge=1)  # people; None: as many as there are
    seed: int = Field(default=0, ge=0)
    exhaustion: Literal["repeat", "stop", "renormalise"] = "repeat"  # when a member has nobody left
    members: tuple[Member, ...] = Field(min_length=1)

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
        return self


@dataclass(frozen=True, eq=False)
class Selection:
    """The people of one member in the order of the shards."""

    member: Member
    person_ids: Int[np.ndarray, " people"]  # of the catalog, ascending
    num_without_box: int
    num_labelled: dict[str, int]


@dataclass(frozen=True)
class MemberPlan:
    """What training will see of one member."""

    name: str
    dataset: str
    split: str
    people: int
    num_without_box: int
    share: float  # of the training samples
    people_per_epoch: int
    passes_per_epoch: float  # how often each person comes in one epoch of the mixture
    num_labelled: dict[str, int]  # people whose body, left_hand, right_hand, face, shape, keypoints_2d is labelled
    licence: str | None  # None: the source has no card
    is_commercial: bool | None

    @property
    def is_missing(self) -> bool:
        """Whether the converted tree holds nobody of this member."""
        return self.people == 0


@dataclass(frozen=True)
class MixturePlan:
    """What training will see; shares are those among the members that are there."""

    mixture: Mixture
    members: tuple[MemberPlan, ...]
    epoch_length: int
    problems: tuple[str, ...]


def mixture_names() -> list[str]:
    """Return the names of the mixtures that come with ehps."""
    return sorted(path.stem for path in MIXTURES_DIR.glob("*.yaml"))


def load_mixture(name: str | Path) -> Mixture:
    """Return a mixture by name, or from the path of a YAML file."""
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        path = MIXTURES_DIR / f"{name}.yaml"
        if not path.is_file():
            raise UnknownNameError("mixture", str(name), mixture_names())
    if not path.is_file():
        raise CardError(path, "there is no such mixture file")
    try:
        return Mixture.model_validate({"name": path.stem} | yaml.safe_load(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise CardError(path, f"not valid YAML ({error})") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "mixture"
        raise CardError(path, f"{where}: {first['msg']} ({error.error_count()} problem(s) in all)") from error


def select(member: Member, out: Path) -> Selection:
    """Return the people of a member; a condition that DuckDB refuses raises QueryError."""
    source = _MEMBERS_SQL.format(where=member.where, stride=member.stride)
    labelled = ", ".join(f"label_{part} IS NOT NULL AS {part}" for part in PARTS)
    sql = f"SELECT person_id, bbox_x0 IS NOT NULL AS has_box, {labelled} {source} ORDER BY person_id"
    found = query(out, sql, [member.dataset, member.split])
    has_box = found["has_box"].to_numpy(bool)
    counts = {part: int(found[part].to_numpy(bool)[has_box].sum()) for part in PARTS}
    return Selection(member, found["person_id"].to_numpy(np.int64)[has_box], int((~has_box).sum()), counts)


def shares_of(mixture: Mixture, members: Sequence[Member], sizes: Sequence[int]) -> list[float]:
    """Return each member's share of the samples; members without people have none."""
    size = np.array(sizes, np.float64)
    weights = {
        "concat": size,
        "balance": np.ones(len(size)),
        "weighted": np.array([member.weight for member in members]),
        "temperature": size ** (1 / (mixture.temperature or 1.0)),
    }[mixture.strategy] * (size > 0)
    return (weights / max(weights.sum(), 1e-300)).tolist()


def plan(mixture: Mixture, out: Path) -> MixturePlan:
    """Return what training on a mixture of a converted tree will see, and what speaks against it."""
    return _plan(mixture, [select(member, out) for member in mixture.members])


def _plan(mixture: Mixture, selections: Sequence[Selection]) -> MixturePlan:
    """Return the plan of selected people."""
    sizes = [len(selection.person_ids) for selection in selections]
    shares = shares_of(mixture, mixture.members, sizes)
    epoch_length = mixture.epoch_length or sum(sizes)
    turns = rounded(np.array(shares) * epoch_length)
    members = tuple(
        _member_plan(selection, share, int(count))
        for selection, share, count in zip(selections, shares, turns, strict=True)
    )
    problems = _missing(members) + _unreached(members) + _without_box(members) + _licences(members)
    return MixturePlan(mixture, members, epoch_length, tuple(problems))


def _member_plan(selection: Selection, share: float, count: int) -> MemberPlan:
    """Return the row of one member."""
    member, people = selection.member, len(selection.person_ids)
    licence = _licence(member.dataset)
    return MemberPlan(
        name=member.label,
        dataset=member.dataset,
        split=member.split,
        people=people,
        num_without_box=selection.num_without_box,
        share=share,
        people_per_epoch=count,
        passes_per_epoch=count / people if people else 0.0,
        num_labelled=selection.num_labelled,
        licence=licence and licence[0],
        is_commercial=licence and licence[1],
    )


def _licence(dataset: str) -> tuple[str, bool] | None:
    """Return name and commercial use of a source's licence; None where it has no card."""
    try:
        licence = load_card(dataset).licence
    except UnknownNameError:
        return None
    return licence.name, licence.commercial


def _missing(members: Sequence[MemberPlan]) -> list[str]:
    """Return a sentence for each member of whom nobody is there."""
    return [
        f"missing: nobody of {row.name} ({row.dataset}, {row.split}) is in the converted tree; "
        f"run: ehps convert {row.dataset}"
        for row in members
        if row.is_missing
    ]


def _unreached(members: Sequence[MemberPlan]) -> list[str]:
    """Return a sentence for each member whose share of an epoch is less than one person."""
    return [
        f"share too small: {row.name} has {row.share:.2g} of the samples, less than one person in an epoch; "
        "raise its weight or epoch_length"
        for row in members
        if row.people and not row.people_per_epoch
    ]


def _without_box(members: Sequence[MemberPlan]) -> list[str]:
    """Return a sentence for each member of whom people are left out."""
    return [
        f"no box: {row.num_without_box} people of {row.name} have no box and are left out"
        for row in members
        if row.num_without_box
    ]


def _licences(members: Sequence[MemberPlan]) -> list[str]:
    """Return what licences say against mixing these members: the strictest one binds the network."""
    there = [row for row in members if not row.is_missing]
    strict = [row.name for row in there if row.is_commercial is False]
    free = [row.name for row in there if row.is_commercial]
    unknown = [row.name for row in there if row.is_commercial is None]
    said = []
    if strict and free:
        said.append(
            f"licence: {', '.join(free)} may be used commercially, a network trained together with "
            f"{', '.join(strict)} may not"
        )
    if unknown:
        said.append(f"licence: unknown for {', '.join(unknown)}, which have no card")
    return said


@dataclass(frozen=True, eq=False)
class MixedPeople:
    """The people of a mixture in training order."""

    names: tuple[str, ...]  # of the members that are there
    person_ids: tuple[Int[np.ndarray, " _"], ...]  # of each
    order: Order
    epoch_length: int
    fingerprint: str  # of mixture and shards; the same fingerprint means the same order

    @property
    def length(self) -> int | None:
        """Return where the order ends, None for never."""
        return self.order.length

    def at(self, positions: Int[np.ndarray, " positions"]) -> list[tuple[str, int]]:
        """Return the member and the person_id at each position."""
        picks = self.order.at(positions)
        pairs = zip(picks.source.tolist(), picks.person.tolist(), strict=True)
        return [(self.names[source], int(self.person_ids[source][person])) for source, person in pairs]


def mix(mixture: Mixture, out: Path, *, released_balance: bool = False, allow_missing: bool = False) -> MixedPeople:
    """Return the people of a mixture in training order; RecipeError where a member is missing or never reached.

    ``allow_missing`` trains on the members that are there. ``released_balance`` takes the released code's strategy.
    """
    selected = [select(member, out) for member in mixture.members]
    planned = _plan(mixture, selected)
    against = _unreached(planned.members) + ([] if allow_missing else _missing(planned.members))
    if against or not planned.epoch_length:
        raise RecipeError(f"mixture {mixture.name} cannot be trained on: {'; '.join(against) or 'it is empty'}")
    selections = [selection for selection in selected if len(selection.person_ids)]
    order = order_of(mixture, selections, planned.epoch_length, released_balance=released_balance)
    return MixedPeople(
        names=tuple(selection.member.label for selection in selections),
        person_ids=tuple(selection.person_ids for selection in selections),
        order=order,
        epoch_length=planned.epoch_length,
        fingerprint=_fingerprint(mixture, out, released_balance),
    )


def order_of(
    mixture: Mixture, selections: Sequence[Selection], epoch_length: int, *, released_balance: bool = False
) -> Order:
    """Return the training order of some members' people."""
    sizes = [len(selection.person_ids) for selection in selections]
    if released_balance and mixture.strategy == "balance":
        return ReleasedBalance(np.array(sizes, np.int64), epoch_length, mixture.seed)
    shares = shares_of(mixture, [selection.member for selection in selections], sizes)
    if mixture.exhaustion == "repeat":
        return endless_order(sizes, shares, epoch_length, mixture.seed)
    return finite_order(sizes, shares, mixture.seed, stops_early=mixture.exhaustion == "stop")


def _fingerprint(mixture: Mixture, out: Path, released_balance: bool) -> str:
    """Return the SHA-256 over the mixture and the checksums of the shards that it draws from."""
    lines = [mixture.model_dump_json(exclude={"about"}), str(released_balance)]
    lines += [fingerprint(out, member.dataset, member.split) for member in mixture.members]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
