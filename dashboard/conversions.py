"""How conversions go: what the engine writes to ``OUT/.log`` as tables, and which splits lie finished on the disk.

Every file appears by a rename, so what is read is whole; the logs that grow by lines are read up to their last whole
line. Nothing here writes.
"""

import json
import math
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from .health import SILENT_AFTER, Unit

LOG_DIR = ".log"
_WAITING = ("queued", "running")
STATES = ("failed", "interrupted", "running", "queued", "done")


def state_of(unit: Unit, newest: float, now: float) -> str:
    """Return the state of a unit; one that waits while no unit of its split gives a sign of life is interrupted."""
    if unit["state"] in _WAITING and now - newest > SILENT_AFTER:
        return "interrupted"
    return "done" if unit["state"] == "skipped" else unit["state"]


def unit_table(units: Sequence[Unit], now: float | None = None) -> pd.DataFrame:
    """Return one row a unit: place, state, counts, reject share, frames/s, seconds, and the last line of its error.

    What needs a person comes first: failed, interrupted, running, queued, done.
    """
    now = time.time() if now is None else now
    newest: dict[tuple[str, str], float] = {}
    for unit in units:
        place = unit["dataset"], unit["split"]
        newest[place] = max(newest.get(place, 0.0), unit["updated"])
    rows = [_row(unit, state_of(unit, newest[unit["dataset"], unit["split"]], now), now) for unit in units]
    rows.sort(key=lambda row: (STATES.index(row["state"]), row["dataset"], row["split"], row["unit"]))
    return pd.DataFrame(rows, columns=list(_COLUMNS))


_COLUMNS = ("dataset", "split", "unit", "state", "frames", "people", "rejected", "reject_share", "frames_per_second",
            "seconds", "silent_s", "reasons", "warnings", "error", "trace")  # fmt: skip


def _row(unit: Unit, state: str, now: float) -> dict[str, Any]:
    """Return the row of a unit; what an older engine did not write is absent."""
    everybody = unit["people"] + unit["rejected"]
    rejects = sorted(unit.get("rejects", {}).items(), key=lambda item: -item[1])
    return {
        **{name: unit[name] for name in ("dataset", "split", "unit", "frames", "people", "rejected")},
        "state": state,
        "reject_share": unit["rejected"] / everybody if everybody else None,
        "frames_per_second": unit.get("frames_per_second"),
        "seconds": unit.get("seconds") or None,
        "silent_s": now - unit["updated"],
        "reasons": ", ".join(f"{reason} {count:,}" for reason, count in rejects),
        "warnings": list(unit.get("warnings", ())),
        "error": last_line(unit["error"]),
        "trace": unit.get("trace", ""),
    }


def last_line(text: str) -> str:
    """Return the last line that says something."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def split_table(units: pd.DataFrame) -> pd.DataFrame:
    """Return one row a source and split of a table of units: counts by state, progress, people, rejects, rate, ETA.

    ``frames_per_second`` is that of all finished units together, one after another; ``eta_s`` expects each waiting
    unit to take as long as the finished ones and is absent before the first has ended.
    """
    rows = []
    for place, group in units.groupby(["dataset", "split"], sort=True):
        dataset, split = cast(tuple[str, str], place)
        states = Counter(group["state"])
        ended = group.loc[group["seconds"].astype(float) > 0]
        done, seconds = ended.loc[ended["state"] == "done"], float(sum(ended["seconds"]))
        waiting = states["running"] + states["queued"]
        seconds_each = float(np.mean(done["seconds"].to_numpy(float))) if len(done) else 0.0
        rows.append(
            {
                "dataset": dataset,
                "split": split,
                "units": len(group),
                **{state: states[state] for state in STATES},
                "progress": math.floor(100 * states["done"] / len(group)) / 100,  # 1 when all are done, not before
                **{name: int(sum(group[name])) for name in ("frames", "people", "rejected")},
                "frames_per_second": float(sum(done["frames"])) / seconds if seconds else None,
                "eta_s": waiting * seconds_each if waiting and len(done) else None,
            }
        )
    table = pd.DataFrame(rows, columns=list(_SPLIT_COLUMNS))
    everybody = table["people"] + table["rejected"]
    table["reject_share"] = table["rejected"] / everybody.where(everybody > 0)
    return table


_SPLIT_COLUMNS = ("dataset", "split", "units", *STATES, "progress", "frames", "people", "rejected", "frames_per_second",
                  "eta_s")  # fmt: skip


def rejects_of(units: Sequence[Unit]) -> pd.DataFrame:
    """Return people left out by reason over some units, with an example: ``reason``, ``people``, ``example``."""
    people, examples = Counter[str](), {}
    for unit in units:
        people.update(unit.get("rejects", {}))
        for reason, example in unit.get("examples", {}).items():
            examples.setdefault(reason, example)
    rows = [(reason, count, examples.get(reason, "")) for reason, count in people.most_common()]
    return pd.DataFrame(rows, columns=["reason", "people", "example"])


def log_tail(out: Path, dataset: str, split: str, lines: int) -> list[str]:
    """Return the last units that ended, newest first, a sentence each."""
    path = out / LOG_DIR / f"{dataset}-{split}.jsonl"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return [_sentence(json.loads(line)) for line in reversed(text.split("\n")[:-1][-lines:])]


def _sentence(line: dict[str, Any]) -> str:
    """Return what became of a unit in one line."""
    when = pd.Timestamp(line["finished"], unit="s").strftime("%Y-%m-%d %H:%M:%S")
    what = f"{line['frames']:,} frames, {line['people']:,} people, {line['rejected']:,} left out"
    rate = f", {line['frames_per_second']:.1f} frames/s" if line.get("frames_per_second") else ""
    said = f"{line['state']}: {last_line(line['error'])}" if line["error"] else f"{line['state']}: {what}{rate}"
    return f"{when}  {line['unit']}  {said}"
