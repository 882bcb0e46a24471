"""What needs a person's attention: rejects, unfinished and failed units, stale shards, an outdated catalog.

The state of units is what the conversion engine writes to ``OUT/.log`` while it runs (one JSON file a unit, replaced by
rename); finished units are the folders with a ``unit.json``. Nothing here writes.
"""

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from ..cards import Card, card_ids, load_card
from .amounts import several
from .durations import span
from .runs import Run

_NAMED = 4  # sources
SILENT_AFTER = 120.0  # seconds without a sign of life after which a unit counts as interrupted
_WAITING = ("queued", "running")

Level = Literal["error", "warning", "running"]


@dataclass(frozen=True)
class Finding:
    """One thing to look at, and what to do about it."""

    level: Level
    dataset: str  # empty: concerns the catalog as a whole
    text: str
    command: str = ""


Unit = dict[str, Any]  # dataset, split, unit, and what the engine says: state, people, updated (s since 1970), error


def live_units(out: Path) -> list[Unit]:
    """Return the state of every unit that the engine has touched; an absent log has none."""
    units = []
    for path in sorted(out.glob(".log/*/*.json")):
        if path.name.startswith("."):
            continue
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue  # replaced or removed between listing and reading
        dataset, _, split = path.parent.name.rpartition("-")
        units.append(state | {"dataset": dataset, "split": split, "unit": path.stem})
    return units


def unfinished_datasets(live: Sequence[Unit]) -> frozenset[str]:
    """Return the sources with units that are queued, running or failed."""
    return frozenset(unit["dataset"] for unit in live if unit["state"] in (*_WAITING, "failed"))


def uncatalogued_units(out: Path, catalogued: int) -> int:
    """Return how many finished units lie on the disk and are not in the catalog."""
    return max(sum(1 for _ in out.glob("[!.]*/*/*/unit.json")) - catalogued, 0)


# What the engine's checks object to in the units of the catalog.
CHECKS = "SELECT dataset, split, unit, text FROM checks WHERE name = 'warnings' ORDER BY dataset, split, unit, text"


def findings(
    sources: pd.DataFrame,
    live: Sequence[Unit],
    out: Path,
    catalogued: int,
    checks: pd.DataFrame | None = None,
    now: float | None = None,
) -> list[Finding]:
    """Return what is wrong or under way, errors first.

    ``sources`` is the table of ``inventory.join_catalog``, ``checks`` the answer to ``CHECKS``.
    """
    found = _from_units(live, out, time.time() if now is None else now)
    found += _from_checks(live, [] if checks is None else checks.to_dict("records"))
    known = set(card_ids())
    for row in sources.loc[sources["units"] > 0].to_dict("records"):
        found += _from_source(row, load_card(row["id"]) if row["id"] in known else None, out)
    if missing := uncatalogued_units(out, catalogued):
        text = f"{missing} finished unit{'s are' if missing > 1 else ' is'} on the disk and not in the catalog"
        found.append(Finding("warning", "", text, f"ehps catalog --catalog {out}"))
    return sorted(_merged(found), key=lambda finding: (_ORDER[finding.level], finding.dataset))


def _merged(found: Sequence[Finding]) -> list[Finding]:
    """Return findings of which those that say the same of several sources are one."""
    sources: dict[Finding, list[str]] = {}
    for finding in found:
        sources.setdefault(replace(finding, dataset=""), []).append(finding.dataset)
    return [replace(finding, dataset=_listed(names)) for finding, names in sources.items()]


def _listed(names: Sequence[str]) -> str:
    """Return names in a row, of many the first and how many more there are."""
    more = f" and {len(names) - _NAMED:,} more:" if len(names) > _NAMED else ":" if len(names) > 1 else ""
    return ", ".join(names[:_NAMED]) + more


def run_findings(found: Sequence[Run], now: float | None = None) -> list[Finding]:
    """Return the training runs that an error stopped, and those that have fallen silent before their last step."""
    now = time.time() if now is None else now
    stopped = [Finding("error", "", f"run {run.name}: {run.error}") for run in found if run.state(now) == "failed"]
    return stopped + [
        Finding("warning", "", f"run {run.name}: no report for {span(now - run.updated)} at step {run.step:,}")
        for run in found
        if run.state(now) == "stalled"
    ]


_NUMBER = re.compile(r"\d+(\.\d+)?")
_ORDER: dict[str, int] = {"error": 0, "warning": 1, "running": 2}


def _from_units(live: Sequence[Unit], out: Path, now: float) -> list[Finding]:
    """Return what the state files of the engine say, one finding a split and state."""
    found = []
    place = itemgetter("dataset", "split")
    for (dataset, split), group in groupby(sorted(live, key=place), place):
        units = list(group)
        again = f"ehps convert {dataset} --raw DIR --split {split} --out {out}"
        failed = [unit for unit in units if unit["state"] == "failed"]
        if failed:
            text = f"{split}: {len(failed)} of {len(units)} units failed; {failed[0]['unit']}: {failed[0]['error']}"
            found.append(Finding("error", dataset, text, again))
        waiting = sum(unit["state"] in _WAITING for unit in units)
        if waiting:
            done = f"{split}: {len(units) - waiting} of {len(units)} units done"
            found.append(_unfinished(dataset, done, units, again, now))
    return found


def _from_checks(live: Sequence[Unit], checks: Sequence[Mapping[str, str]]) -> list[Finding]:
    """Return which checks failed, one finding a split and kind of sentence; the catalog and the log may both tell."""
    units: dict[tuple[str, str, str], dict[str, str]] = {}  # by what a check says without its numbers: unit, sentence
    told = [(row["dataset"], row["split"], row["unit"], row["text"]) for row in checks]
    told += [(unit["dataset"], unit["split"], unit["unit"], text) for unit in live for text in unit.get("warnings", ())]
    for dataset, split, unit, text in told:
        units.setdefault((dataset, split, _NUMBER.sub("n", text)), {}).setdefault(unit, text)
    return [
        Finding("warning", dataset, f"{split}: a check fails in {several(len(said), 'unit')}; {unit}: {text}")
        for (dataset, split, _), said in units.items()
        for unit, text in [next(iter(said.items()))]
    ]


def _unfinished(dataset: str, done: str, units: Sequence[Unit], again: str, now: float) -> Finding:
    """Return that a conversion is under way, or was left."""
    if now - max(unit["updated"] for unit in units) < SILENT_AFTER:
        return Finding("running", dataset, f"{done}, {sum(unit['people'] for unit in units):,} people so far")
    return Finding("warning", dataset, f"{done}, then interrupted", again)


def _from_source(row: dict, card: Card | None, out: Path) -> list[Finding]:
    """Return what the numbers of one converted source say."""
    found, dataset = [], row["id"]
    again = f"ehps convert {dataset} --raw DIR --out {out}"
    if row["state"] == "stale":
        text = f"written by converter version {row['version']:.0f}, the present one is {row['current_version']:.0f}"
        found.append(Finding("warning", dataset, text, again))
    if missing := [split for split in row["splits"] if split not in row["done_splits"]]:
        command = f"ehps convert {dataset} --raw DIR --split {missing[0]} --out {out}"
        found.append(
            Finding("warning", dataset, f"{', '.join(missing)} of its card {_is_are(missing)} not converted", command)
        )
    if card is None:
        found.append(Finding("warning", dataset, "no card: licence and conventions are unknown"))
    elif row["reject_share"] > card.checks.max_reject:
        bound = card.checks.max_reject
        text = f"{row['reject_share']:.1%} of the people are left out, the card allows {bound:.1%}"
        found.append(Finding("error", dataset, text, f"ehps check {dataset} --raw DIR"))
    return found


def _is_are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"
