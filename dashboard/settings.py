"""Where the dashboard looks: three folders, named by the environment of the process.

``EHPS_CATALOG`` is a folder of converted data, ``EHPS_RESULTS`` one of benchmark results, ``EHPS_RUNS`` one of training
runs; ``launch`` sets all.
"""

import os
from dataclasses import dataclass
from pathlib import Path

CATALOG, RESULTS, RUNS = "EHPS_CATALOG", "EHPS_RESULTS", "EHPS_RUNS"


@dataclass(frozen=True)
class Folders:
    """The folders that the pages read; none has to exist."""

    catalog: Path
    results: Path
    runs: Path


def folders() -> Folders:
    """Return the folders that the environment names, or ``data``, ``results`` and ``runs`` in the working directory."""
    names = {CATALOG: "data", RESULTS: "results", RUNS: "runs"}
    return Folders(*(Path(os.environ.get(name) or default) for name, default in names.items()))


def environment(catalog: Path, results: Path, runs: Path = Path("runs")) -> dict[str, str]:
    """Return the variables that make ``folders`` answer with these folders in another process."""
    return {CATALOG: str(catalog.resolve()), RESULTS: str(results.resolve()), RUNS: str(runs.resolve())}
