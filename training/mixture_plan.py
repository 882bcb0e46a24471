"""What training on a mixture of a converted tree will see, and what speaks against it, before it runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from ..cards import load_card
from ..errors import UnknownNameError
from ..shards.catalog import query
from .mixture import MixedPeople, epoch_length_of, missing, mixed_people
from .mixture_spec import Mixture, Part
from .order import SpreadOrder
from .selection import Selection, condition_sql, is_whole, select_all, source_ranges, sources_of
from .shares import schedules_of, shares_of
from .shuffle_quality import ShuffleQuality, catalog_places, shuffle_quality

PARTS = get_args(Part)


@dataclass(frozen=True)
class MemberPlan:
    """What training will see of one member."""

    name: str
    sources: tuple[tuple[str, str], ...]  # datasets and splits that its people come from
    people: int
    num_without_box: int
    share: float  # of the training samples, at the beginning
    people_per_epoch: int  # in the first epoch
    passes_per_epoch: float  # how often each person comes in the first epoch, on average
    unique: float  # different people among those of the first epoch, as a share
    turns: int  # people of it in all epochs that are planned
    reached: float  # share of its people who come at least once in them
    bytes_per_epoch: int | None  # of pictures and labels, as stored; None: nobody was looked at
    num_labelled: dict[str, int]  # people whose body, left_hand, ..., keypoints_2d is labelled, and both hands: hands
    licences: tuple[str, ...]
    is_commercial: bool | None  # None: a source has no card
    note: str

    @property
    def is_missing(self) -> bool:
        """Whether the converted tree holds nobody of this member."""
        return self.people == 0


@dataclass(frozen=True)
class ShareAt:
    """The shares at one point of the training."""

    position: int
    shares: dict[str, float]


@dataclass(frozen=True)
class MixturePlan:
    """What training will see; shares are those among the members that are there."""

    mixture: Mixture
    members: tuple[MemberPlan, ...]
    epoch_length: int
    epochs: int
    length: int | None  # where the order ends; None: never
    schedule: tuple[ShareAt, ...]  # empty where shares do not change
    quality: tuple[ShuffleQuality, ...]  # of each member that is there, and of all
    problems: tuple[str, ...]


def plan(mixture: Mixture, out: Path, *, epochs: int = 1, batch_size: int | None = 256) -> MixturePlan:
    """Return what ``epochs`` epochs of a mixture of a converted tree will show.

    Schedules in shares of the training take these epochs for the whole of it. Without a batch size, the quality of the
    order and the bytes that an epoch reads, which take longest, are not worked out.
    """
    selections = select_all(mixture, out)
    epoch_length = epoch_length_of(mixture, selections)
    people, quality = None, ()
    if any(len(selection) for selection in selections):
        people = mixed_people(mixture, selections, out, total=epochs * epoch_length)
        if batch_size is not None:
            quality = tuple(shuffle_quality(people, catalog_places(out), batch_size=batch_size))
    members = _members(mixture, selections, people, quality, out, epochs)
    said = [*missing(selections), *_rare(members), *_unreached(members, epochs), *_without_box(members)]
    return MixturePlan(
        mixture=mixture,
        members=members,
        epoch_length=epoch_length,
        epochs=epochs,
        length=people and people.length,
        schedule=_schedule(mixture, selections, epochs * epoch_length),
        quality=quality,
        problems=(*said, *_licence_problems(members), *_uncertain(mixture)),
    )


def _members(
    mixture: Mixture,
    selections: Sequence[Selection],
    people: MixedPeople | None,
    quality: Sequence[ShuffleQuality],
    out: Path,
    epochs: int,
) -> tuple[MemberPlan, ...]:
    """Return the rows of the plan."""
    sizes, length = [len(selection) for selection in selections], epoch_length_of(mixture, selections)
    shares = shares_of(mixture, sizes, total=epochs * length)
    ranges = source_ranges(out)
    first, all_turns = (_turns(people, length * count) for count in (1, epochs))
    sizes_of = {row.name: row.bytes_per_person for row in quality}
    return tuple(
        _member_plan(
            selection,
            share,
            (first.get(selection.label, 0), all_turns.get(selection.label, 0)),
            sources_of(selection, ranges),
            sizes_of.get(selection.label),
            labelled,
        )
        for selection, share, labelled in zip(selections, shares, _labelled(selections, out), strict=True)
    )


def _turns(people: MixedPeople | None, position: int) -> Mapping[str, int]:
    """Return how many people of each member come before a position."""
    if people is None or not isinstance(people.order, SpreadOrder):
        return {}
    end = position if people.length is None else min(position, people.length)
    return dict(zip(people.names, people.order.turns_before(end).tolist(), strict=True))


def _member_plan(
    selection: Selection,
    share: float,
    turns: tuple[int, int],
    sources: Sequence[tuple[str, str]],
    bytes_per_person: float | None,
    num_labelled: dict[str, int],
) -> MemberPlan:
    """Return the row of one member."""
    licences = [_licence(dataset) for dataset, _ in sources]
    freedoms = {licence and licence[1] for licence in licences}
    in_epoch, in_all = turns
    return MemberPlan(
        name=selection.label,
        sources=tuple(sources),
        people=len(selection),
        num_without_box=selection.num_without_box,
        share=share,
        people_per_epoch=in_epoch,
        passes_per_epoch=in_epoch / len(selection) if len(selection) else 0.0,
        unique=min(selection.reached(in_epoch) * len(selection) / in_epoch, 1.0) if in_epoch else 1.0,
        turns=in_all,
        reached=selection.reached(in_all) if len(selection) else 0.0,
        bytes_per_epoch=None if bytes_per_person is None else round(bytes_per_person * in_epoch),
        num_labelled=num_labelled,
        licences=tuple(sorted({licence[0] for licence in licences if licence})),
        is_commercial=None if None in freedoms or not freedoms else all(freedoms),
        note=selection.member.note,
    )


def _labelled(selections: Sequence[Selection], out: Path) -> list[dict[str, int]]:
    """Return how many people of each selection have each part labelled, and both hands at once."""
    columns = ", ".join(f"count(label_{part}) AS {part}" for part in PARTS)
    columns += ", count(*) FILTER (label_left_hand IS NOT NULL AND label_right_hand IS NOT NULL) AS hands"
    whole = f"SELECT dataset, split, {columns} FROM people WHERE bbox_x0 IS NOT NULL GROUP BY dataset, split"
    rows = query(out, whole).itertuples(index=False, name=None)
    names = (*PARTS, "hands")
    by_source = {(dataset, split): dict(zip(names, map(int, counts), strict=True)) for dataset, split, *counts in rows}
    nobody, found = dict.fromkeys(names, 0), []
    for selection in selections:
        member = selection.member
        if not len(selection):
            found.append(nobody)
        elif is_whole(member) and member.stride == 1:
            found.append(by_source[(member.dataset, member.split)])
        else:
            chosen, parameters = _chosen_sql(selection)
            sql = f"SELECT {columns} FROM (SELECT * {chosen}) WHERE bbox_x0 IS NOT NULL"
            (counts,) = query(out, sql, parameters).itertuples(index=False, name=None)
            found.append(dict(zip(names, map(int, counts), strict=True)))
    return found


def _chosen_sql(selection: Selection) -> tuple[str, list[Any]]:
    """Return an SQL FROM clause of the people of a selection, and its parameters."""
    if not selection.member.sql:
        return condition_sql(selection.member)
    ids = selection.person_ids(np.arange(len(selection)))
    return "FROM people WHERE person_id IN (SELECT unnest(?::BIGINT[]))", [ids.tolist()]


def _schedule(mixture: Mixture, selections: Sequence[Selection], total: int) -> tuple[ShareAt, ...]:
    """Return the shares at the points of all schedules and half-way between them."""
    places = [np.zeros(1, np.int64)]
    places += [member.schedule.places(total) for member in schedules_of(mixture) if member.schedule is not None]
    if len(places) == 1:
        return ()
    points = np.unique(np.concatenate(places))
    shown = np.unique(np.concatenate([points, (points[1:] + points[:-1]) // 2])).tolist()
    sizes, names = [len(selection) for selection in selections], [selection.label for selection in selections]
    found = [(at, shares_of(mixture, sizes, at=at, total=total)) for at in shown]
    return tuple(ShareAt(at, dict(zip(names, shares, strict=True))) for at, shares in found)


def _licence(dataset: str) -> tuple[str, bool] | None:
    """Return name and commercial use of a source's licence; None where it has no card."""
    try:
        licence = load_card(dataset).licence
    except UnknownNameError:
        return None
    return licence.name, licence.commercial


def _rare(members: Sequence[MemberPlan]) -> list[str]:
    """Return a sentence for each member with nobody in the first epoch."""
    return [
        f"share too small: {row.name} has {row.share:.2g} of the samples and nobody in the first epoch; "
        "raise its weight or epoch_length"
        for row in members
        if row.people and not row.people_per_epoch
    ]


def _unreached(members: Sequence[MemberPlan], epochs: int) -> list[str]:
    """Return a sentence for each member that training does not get through."""
    return [
        f"not all reached: {row.reached:.1%} of {row.name} come within {epochs} epoch{'s' if epochs > 1 else ''}"
        for row in members
        if row.people and row.reached < 1
    ]


def _without_box(members: Sequence[MemberPlan]) -> list[str]:
    """Return a sentence for each member of whom people are left out."""
    return [
        f"no box: {row.num_without_box} people of {row.name} have no box and are left out"
        for row in members
        if row.num_without_box
    ]


def _licence_problems(members: Sequence[MemberPlan]) -> list[str]:
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


def _uncertain(mixture: Mixture) -> list[str]:
    """Return what the mixture's file says is not sure."""
    return [f"{doubt.confidence}: {doubt.fact}" for doubt in mixture.uncertain]
