"""Which units a conversion has to do: everything that the raw tree lists, less what stands already.

A unit stands when its folder is complete and was made by the same versions, options, bounds, raw files and body models;
``unit.json`` holds all of them. Whatever differs is named, so that nobody wonders why a unit is converted again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from ..body.models import model_dir
from ..cards import load_card
from ..errors import RawFileError, ShardError, UnknownNameError
from ..shards.tree import read_unit, unit_dir
from . import converter_options, get_converter, list_sources
from .bodies import fingerprint
from .report import UnitReport
from .source import Source
from .units import UnitTask


@dataclass
class Plan:
    """One split: what is due and what stands."""

    dataset: str
    split: str
    due: list[UnitTask] = field(default_factory=list)
    standing: list[UnitReport] = field(default_factory=list)
    absent: str = ""
    notes: list[str] = field(default_factory=list)


def base_task(dataset: str, out: Path, options: Mapping[str, str] | None = None, **settings: Any) -> UnitTask:
    """Return what all units of a call share, with an empty source; ``settings`` are fields of the task."""
    card = load_card(dataset)
    return UnitTask(
        dataset=dataset,
        source=Source("none", Path(), ""),
        module=cast(ModuleType, get_converter(dataset)).__name__,
        out=out.absolute(),
        bounds=card.checks,
        options={**converter_options(dataset), **(options or {})},
        body_models=model_dir(),
        **settings,
    )


Units = dict[str, tuple[list[Source], str]]  # the sources of each split, and why a split has none


@dataclass(frozen=True)
class Part:
    """One of several equal parts of the units of a conversion, each for another machine."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Part":
        """Return the part that ``i/n`` names, i from 1 to n; ValueError for anything else."""
        number, _, count = text.partition("/")
        if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
            raise ValueError(f"a part is i/n with i from 1 to n, such as 2/8, got {text!r}")
        return cls(int(number), int(count))

    def of(self, units: Units) -> Units:
        """Return the units of this part: they are dealt out one by one, through all splits."""
        places = count()
        return {
            split: ([s for s in sources if next(places) % self.count == self.number - 1], absent)
            for split, (sources, absent) in units.items()
        }


def list_units(dataset: str, raw: Path, split: str | None, options: Mapping[str, str], only: str | None) -> Units:
    """Return the wanted sources of each split; one without files is an error only when it was asked for by name."""
    raw = raw.absolute()
    if split is not None:
        found = {split: (list_sources(dataset, raw, split, options), "")}
    else:
        found = {name: _sources_or_reason(dataset, raw, name, options) for name in load_card(dataset).splits}
        if not any(sources for sources, _ in found.values()):
            list_sources(dataset, raw, next(iter(found)), options)
            raise RawFileError(raw, f"no units of {dataset} in any split", f"ehps card {dataset} says how to get them")
    names = [source.name for sources, _ in found.values() for source in sources]
    if only is not None and not any(fnmatchcase(name, only) for name in names):
        raise UnknownNameError(f"unit of {dataset}", only, names)
    return {
        name: ([s for s in sources if only is None or fnmatchcase(s.name, only)], absent)
        for name, (sources, absent) in found.items()
    }


def _sources_or_reason(dataset: str, raw: Path, split: str, options: Mapping[str, str]) -> tuple[list[Source], str]:
    """Return the units of a split, or the sentence that says which of its files are absent."""
    try:
        return list_sources(dataset, raw, split, options), ""
    except RawFileError as error:
        return [], str(error)


def make_plan(base: UnitTask, split: str, sources: Sequence[Source], absent: str, *, is_whole: bool) -> Plan:
    """Return which units of a split are due, which stand, and, when all of them are given, which nobody knows."""
    plan = Plan(base.dataset, split, absent=absent)
    for source in sources:
        task = replace(base, source=source)
        report, why = standing_unit(task)
        if report is None:
            plan.due.append(replace(task, message=why))
        else:
            plan.standing.append(report)
    folder = unit_dir(base.out, base.dataset, split, "")
    strangers = sorted({path.name for path in folder.glob("*/")} - {source.name for source in sources})
    if strangers and is_whole and sources:
        plan.notes.append(
            f"{folder} also holds {', '.join(strangers[:5])}, which the raw tree does not (or no longer) have: "
            "remove them unless they belong to another raw tree"
        )
    return plan


def standing_unit(task: UnitTask) -> tuple[UnitReport | None, str]:
    """Return the report of a unit that need not be converted again; or None and, where one exists, why it must."""
    folder = unit_dir(task.out, task.dataset, task.source.split, task.source.name)
    if not folder.exists():
        return None, ""
    try:
        unit = read_unit(folder)
    except ShardError as error:
        return None, f"again: {error}"
    why = "unit.json is missing" if unit is None else _difference(unit, task) or _damage(unit, folder)
    if unit is None or why:
        return None, f"again: {why}"
    names = ("people_raw", "examples", "measures", "hands", "swapped", "warnings")
    facts = {name: unit["checks"][name] for name in names}
    counts = {name: unit[name] for name in ("frames", "people", "rejects")}
    return UnitReport(task.source.name, "skipped", **counts, **facts), ""


def _difference(unit: Mapping[str, Any], task: UnitTask) -> str:
    """Return in which way a unit was made otherwise than it would be now; empty when in none."""
    made = unit["conversion"]
    for name, now in task.recipe().items():
        is_whole = name == "limit" and made.get(name) is None  # a whole unit also serves who wants a part of it
        if made.get(name) != now and not is_whole:
            return f"{name} was {_short(made.get(name), now)}, is {_short(now, made.get(name))}"
    then = dict(made["body_model"] or {}) | dict.fromkeys(made["body_model_missing"])
    for name, digest in then.items():
        if fingerprint(task.body_models, name) != digest:
            return f"body model {name} is another one than it was made with"
    return ""


def _short(value: Any, other: Any) -> Any:
    """Return a setting, or of several in a table those that differ from another table."""
    if not isinstance(value, dict) or not isinstance(other, dict):
        return value
    return {name: own for name, own in value.items() if name not in other or other[name] != own}


def _damage(unit: Mapping[str, Any], folder: Path) -> str:
    """Return which file of a unit is missing or has another size; empty when none."""
    for shard in unit["shards"]:
        tar = folder / shard["file"]
        if not tar.is_file() or tar.stat().st_size != shard["size"]:
            return f"{tar.name} is missing or cut off"
        if not tar.with_suffix(".parquet").is_file():
            return f"{tar.stem}.parquet is missing"
    return ""
