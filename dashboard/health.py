"""What needs a person's attention: rejects, unfinished and failed units, stale shards, an outdated catalog.

The state of units is what the conversion engine writes to ``OUT/.log`` while it runs (one JSON file a unit, replaced by
rename); finished units are the folders with a ``unit.json``. Nothing here writes.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from ..cards import Card, card_ids, load_card
from .durations import span
from .runs import Run

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


def findings(
    sources: pd.DataFrame, live: Sequence[Unit], out: Path, catalogued: int, now: float | None = None
) -> list[Finding]:
    """Return what is wrong or under way, errors first; ``sources`` is the table of ``inventory.join_catalog``."""
    found = _from_units(live, out, time.time() if now is None else now)
    for row in sources.to_dict("records"):
        found += _from_source(row, out) if row["units"] else []
    if missing := uncatalogued_units(out, catalogued):
        text = f"{missing} finished unit{'s are' if missing > 1 else ' is'} on the disk and not in the catalog"
        found.append(Finding("warning", "", text, f"ehps catalog --catalog {out}"))
    return sorted(found, key=lambda finding: (_ORDER[finding.level], finding.dataset))


def run_findings(found: Sequence[Run], now: float | None = None) -> list[Finding]:
    """Return the training runs that have fallen silent before their last step."""
    now = time.time() if now is None else now
    return [
        Finding("warning", "", f"run {run.name}: no report for {span(now - run.updated)} at step {run.step:,}")
        for run in found
        if run.state(now) == "stalled"
    ]


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
        warned = [unit for unit in units if unit.get("warnings")]
        if warned:
            first = f"{warned[0]['unit']}: {warned[0]['warnings'][0]}"
            text = f"{split}: {len(warned)} of {len(units)} units have warnings; {first}"
            found.append(Finding("warning", dataset, text))
        waiting = sum(unit["state"] in _WAITING for unit in units)
        if waiting:
            done = f"{split}: {len(units) - waiting} of {len(units)} units done"
            found.append(_unfinished(dataset, done, units, again, now))
    return found


def _unfinished(dataset: str, done: str, units: Sequence[Unit], again: str, now: float) -> Finding:
    """Return that a conversion is under way, or was left."""
    if now - max(unit["updated"] for unit in units) < SILENT_AFTER:
        return Finding("running", dataset, f"{done}, {sum(unit['people'] for unit in units):,} people so far")
    return Finding("warning", dataset, f"{done}, then interrupted", again)


def _from_source(row: dict, out: Path) -> list[Finding]:
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
    card = _card(dataset)
    if card is None:
        found.append(Finding("warning", dataset, "has no card: licence and conventions are unknown"))
    elif row["reject_share"] > card.checks.max_reject:
        bound = card.checks.max_reject
        text = f"{row['reject_share']:.1%} of the people are left out, the card allows {bound:.1%}"
        found.append(Finding("error", dataset, text, f"ehps check {dataset} --raw DIR"))
    return found


def _is_are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _card(dataset: str) -> Card | None:
    return load_card(dataset) if dataset in card_ids() else None
