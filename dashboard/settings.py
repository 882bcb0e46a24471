"""Where the dashboard looks: two folders, named by the environment of the process.

``EHPS_CATALOG`` is a folder of converted data, ``EHPS_RESULTS`` a folder of benchmark results; ``launch`` sets both.
"""

import os
from dataclasses import dataclass
from pathlib import Path

CATALOG, RESULTS = "EHPS_CATALOG", "EHPS_RESULTS"


@dataclass(frozen=True)
class Folders:
    """The folders that the pages read; neither has to exist."""

    catalog: Path
    results: Path


def folders() -> Folders:
    """Return the folders that the environment names, or ``data`` and ``results`` in the working directory."""
    return Folders(Path(os.environ.get(CATALOG) or "data"), Path(os.environ.get(RESULTS) or "results"))


def environment(catalog: Path, results: Path) -> dict[str, str]:
    """Return the variables that make ``folders`` answer with these folders in another process."""
    return {CATALOG: str(catalog.resolve()), RESULTS: str(results.resolve())}
