"""The tables of the catalog that lie outside of the converted tree: benchmark results, published numbers, runs."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ShardError

if TYPE_CHECKING:
    import pyarrow as pa


def outside_tables(statement: str, results: Path | None, runs: Path | None) -> dict[str, "pa.Table"]:
    """Return those of the tables that a statement speaks of."""
    makers = {"results": (_results, results), "person_results": (_person_results, results), "runs": (_runs, runs)}
    tables = {
        name: make(folder)
        for name, (make, folder) in makers.items()
        if folder is not None and re.search(rf"\b{name}\b", statement, re.IGNORECASE)
    }
    if re.search(r"\bpublished\b", statement, re.IGNORECASE):
        tables["published"] = _published()
    return tables


def _table(frame: Any) -> "pa.Table":
    """Return a data frame as an Arrow table."""
    import pyarrow as pa

    return pa.Table.from_pandas(frame, preserve_index=False)


def _results(folder: Path) -> "pa.Table":
    from ..benchmark.results import load_results

    return _table(load_results(folder))


def _person_results(folder: Path) -> "pa.Table":
    """Return one row a person and measure of every result."""
    import pandas as pd

    from ..benchmark.results import read_people, read_result, result_files

    frames = []
    for path in result_files(folder):
        result = read_result(path)
        people = read_people(path)
        rows = people.melt("person_key", list(result.measures), var_name="measure", value_name="value")
        frames.append(rows.assign(model=result.model, revision=result.revision, protocol=result.protocol))
    return _table(pd.concat(frames) if frames else pd.DataFrame())


def _published() -> "pa.Table":
    from ..benchmark.published import load_published

    return _table(load_published())


def _runs(folder: Path) -> "pa.Table":
    """Return one row a training run under a folder."""
    import pyarrow as pa

    rows = [_run_row(path) for path in sorted(folder.rglob("run.json"))]
    return pa.Table.from_pylist(rows) if rows else pa.table({})


def _run_row(path: Path) -> dict[str, Any]:
    """Return what the files of a run say."""
    facts, recipe = (_json(path.with_name(name)) for name in ("run.json", "recipe.json"))
    log = path.with_name("log.jsonl")
    lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
    last = json.loads(lines[-1]) if lines else {}
    row = {"path": str(path.parent), "recipe": recipe.get("name"), "mixture": recipe.get("mixture")}
    row |= {name: last.get(name) for name in ("step", "loss", "people_per_s")}
    row |= {name: facts.get(name) for name in ("data", "device", "world_size")}
    return row | {"ehps_version": facts.get("ehps"), "facts": json.dumps(facts, sort_keys=True)}


def _json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ShardError(path, f"cannot be read ({error})", "name the folder of training runs") from error
