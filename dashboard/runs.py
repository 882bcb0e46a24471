"""Training runs as their folders tell: which there are, whether they live, what they report.

``ehps train`` writes ``recipe.json``, ``run.json`` and one line of ``log.jsonl`` a report. Nothing here writes, and a
line that is being written is left for the next look. No torch: the files are plain JSON.
"""

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

State = Literal["running", "done", "stalled", "failed"]
Report = dict[str, Any]

LOG, RECIPE, FACTS, SHEET, CHECKPOINTS = "log.jsonl", "recipe.json", "run.json", "first_batch.png", "checkpoints"
FAILED = "failed.json"
SILENT_AFTER = 120.0  # seconds without a report that every run may take
FIRST_AFTER = 1800.0  # seconds until the first report: the data are looked at, the network is compiled
_AT_ONCE = 2.0  # seconds in which a run that goes on rewrites its files
_INTERVALS = 3  # times the usual time between two reports
_TAIL = 1 << 16  # bytes; a report has about one thousand
POINTS = 500  # of a curve on a page


@dataclass(frozen=True)
class Run:
    """A run as of its last report."""

    name: str  # the folder's path below the folder of runs
    path: Path
    recipe: dict[str, Any]
    facts: dict[str, Any]
    last: Report | None
    updated: float  # of the last report, the start, or the failure; seconds since 1970
    error: str = ""  # what stopped it
    has_begun_again: bool = False  # and not reported since

    @property
    def step(self) -> int:
        """The steps that are reported."""
        return self.last["step"] if self.last else 0

    def state(self, now: float) -> State:
        """Return whether the run is through, was stopped by an error, reports as often as it did, or fell silent."""
        if self.step >= self.recipe["steps"]:
            return "done"
        if self.error:
            return "failed"
        return "running" if now - self.updated < self.patience() else "stalled"

    def patience(self) -> float:
        """Return after how many seconds of silence the run counts as stalled."""
        if self.last is None or self.has_begun_again:
            return FIRST_AFTER
        interval = self.recipe["log_every"] * self.recipe["batch_size"] / max(self.last["people_per_s"], 1e-9)
        return max(SILENT_AFTER, _INTERVALS * interval)


def find_runs(folder: Path) -> list[Run]:
    """Return the runs in a folder or up to two folders below it, the newest report first."""
    places = {path.parent for depth in ("", "*/", "*/*/") for path in folder.glob(f"{depth}{FACTS}")}
    runs = [run for place in places if (run := _read_run(place, folder)) is not None]
    return sorted(runs, key=lambda run: (-run.updated, run.name))


def _read_run(place: Path, folder: Path) -> Run | None:
    """Return a run; None where the folder is no run's, or its first files are still being written.

    Both files appear whole, by a rename: what cannot be read, or tells no steps, is somebody else's.
    """
    recipe, facts = (_read_json(place / name) for name in (RECIPE, FACTS))
    if not recipe or facts is None or not {"name", "mixture", "steps", "batch_size", "log_every"} <= set(recipe):
        return None
    log, failed = place / LOG, _read_json(place / FAILED)
    last = last_report(log)
    begun = (place / FACTS).stat().st_mtime
    told = [log.stat().st_mtime if last else begun, (place / FAILED).stat().st_mtime if failed else 0.0]
    again = last is not None and told[0] < begun + _AT_ONCE
    name = place.name if place == folder else place.relative_to(folder).as_posix()
    return Run(name, place, recipe, facts, last, max(told), str((failed or {}).get("error", "")), again)


def _read_json(path: Path) -> dict[str, Any] | None:
    """Return the content of a JSON file that holds an object, None where there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return content if isinstance(content, dict) else None


def last_report(log: Path) -> Report | None:
    """Return the last whole report of a log, read from its end; None when there is none."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(size - _TAIL, 0))
            lines = file.read().decode("utf-8", "replace").split("\n")[:-1]
    except FileNotFoundError:
        return None
    return next((report for line in reversed(lines) if (report := _report(line)) is not None), None)


def read_reports(log: Path) -> list[Report]:
    """Return every whole report of a log; a line that a crash cut off is nobody's."""
    try:
        text = log.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return [report for line in text.split("\n")[:-1] if (report := _report(line)) is not None]


def _report(line: str) -> Report | None:
    """Return the report of a line, None where a crash cut it off and others follow."""
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        return None


def run_table(runs: Sequence[Run], now: float | None = None) -> pd.DataFrame:
    """Return one row a run: state, progress (0 to 1), last loss, rates, seconds to go and since the last report."""
    now = time.time() if now is None else now
    return pd.DataFrame([_row(run, now) for run in runs], columns=list(_COLUMNS))


_COLUMNS = ("name", "state", "recipe", "mixture", "step", "steps", "progress", "loss", "people_per_s", "data_wait",
            "eta_s", "silent_s", "device", "world_size")  # fmt: skip


def _row(run: Run, now: float) -> dict[str, Any]:
    last = run.last or {}
    return {
        "name": run.name,
        "state": run.state(now),
        "recipe": run.recipe["name"],
        "mixture": Path(run.recipe["mixture"]).stem,
        "step": run.step,
        "steps": run.recipe["steps"],
        "progress": min(run.step / run.recipe["steps"], 1.0),
        **{name: last.get(name) for name in ("loss", "people_per_s", "data_wait", "eta_s")},
        "silent_s": now - run.updated,
        "device": run.facts.get("device"),
        "world_size": run.facts.get("world_size"),
    }


def thinned(count: int, limit: int = POINTS) -> np.ndarray:
    """Return at most ``limit`` positions of so many, evenly spread, the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, limit)).round().astype(int)) if count else np.zeros(0, int)


def loss_curves(reports: Sequence[Report], names: Sequence[str], smoothing: float) -> pd.DataFrame:
    """Return curves as long rows ``step``, ``term``, ``raw``, ``smooth``; ``loss`` is the name of the sum.

    Smoothing is the weight of the past in a running mean that starts unbiased; 0 changes nothing.
    """
    chosen, steps = thinned(len(reports)), np.array([report["step"] for report in reports])
    curves = []
    for name in names:
        raw = np.array([_term(report, name) for report in reports], float)
        smooth = pd.Series(raw).ewm(alpha=1 - smoothing).mean().where(np.isfinite(raw)).to_numpy()
        columns = {"step": steps[chosen], "term": name, "raw": raw[chosen], "smooth": smooth[chosen]}
        curves.append(pd.DataFrame(columns))
    return pd.concat(curves, ignore_index=True) if curves else pd.DataFrame(columns=["step", "term", "raw", "smooth"])


def _term(report: Report, name: str) -> float:
    value = report["loss"] if name == "loss" else report["losses"].get(name)
    return float("nan") if value is None else value


def loss_terms(reports: Sequence[Report]) -> list[str]:
    """Return the terms of the loss in the order of the last report, the largest first."""
    return sorted(reports[-1]["losses"], key=lambda name: -reports[-1]["losses"][name]) if reports else []


RATES = {  # with how their numbers are written
    "people_per_s": ("people/s", "~s"),
    "data_wait": ("share of waiting for data", "~%"),
    "lr": ("learning rate", "~e"),
    "grad_norm": ("norm of the gradient", "~s"),
    "mfu": ("share of the GPU's arithmetic", "~%"),
}


def rate_curves(reports: Sequence[Report]) -> dict[str, pd.DataFrame]:
    """Return, for each rate that was reported, rows ``step`` and ``value``."""
    chosen = [reports[place] for place in thinned(len(reports))]
    found = {}
    for name in RATES:
        rows = [(r["step"], r[name]) for r in chosen if r.get(name) is not None]
        if rows:
            found[name] = pd.DataFrame(rows, columns=["step", "value"])
    return found


def consumed(reports: Sequence[Report], wanted: Mapping[str, float] | None) -> pd.DataFrame:
    """Return one row a member of the mixture: people seen (on the main rank), their share, the wanted share.

    Columns ``member``, ``people``, ``share``, ``wanted`` (NaN where it is not known), ``replaced``; largest first.
    """
    people, replaced = Counter[str](), Counter[str]()
    for report in reports:
        people.update(report["members"])
        replaced.update(report["replaced"])
    total = max(people.total(), 1)
    members: list[str] = list(dict.fromkeys([*people, *(wanted or {})]))
    rows = [
        {
            "member": name,
            "people": people[name],
            "share": people[name] / total,
            "wanted": float("nan") if wanted is None else wanted.get(name, 0.0),
            "replaced": replaced[name],
        }
        for name in members
    ]
    table = pd.DataFrame(rows, columns=["member", "people", "share", "wanted", "replaced"])
    return table.sort_values(by=["share", "member"], ascending=[False, True], ignore_index=True)


def checkpoints(run: Path) -> pd.DataFrame:
    """Return the checkpoints of a run, newest first: ``step``, ``bytes``, ``written`` (UTC)."""
    rows = []
    for path in sorted((run / CHECKPOINTS).glob("[!.]*.pt"), reverse=True):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue  # pruned between listing and looking
        written = pd.Timestamp(status.st_mtime, unit="s")
        rows.append({"step": int(path.stem), "file": path.name, "bytes": status.st_size, "written": written})
    return pd.DataFrame(rows, columns=["step", "file", "bytes", "written"])


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested values under dotted names."""
    out: dict[str, Any] = {}
    for name, value in values.items():
        out |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return out


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> pd.DataFrame:
    """Return the fields in which two recipes differ: ``field``, ``this``, ``other`` as text."""
    mine, other = flat(a), flat(b)
    names = [name for name in dict.fromkeys([*mine, *other]) if mine.get(name) != other.get(name)]
    rows = [(name, json.dumps(mine.get(name)), json.dumps(other.get(name))) for name in names]
    return pd.DataFrame(rows, columns=["field", "this", "other"])
