"""The demo's study: eight sources from fake raw trees, a small network trained on each alone, five protocols.

A tree is as large as five minutes on two processors allow: enough people for sources to differ in what a network learns
from them, too few for any to learn it well.
"""

import os
from pathlib import Path
from typing import Any

from ..body.models import ENVIRONMENT
from .demo_chain import Clock, convert_trees, write_trees
from .output import note

# How large the tree of each source is, in the words of its builder; ehf is a benchmark only.
SIZES = {
    "bedlam": {"frames": 40},
    "agora": {"frames": 40},
    "gta_human2": {"frames": 24},
    "mscoco": {"frames": 40},
    "spec": {"frames": 40},
    "pw3d": {"frames": 60},
    "egobody_egocentric": {"frames": 60},
    "synhand": {"times": 4},
    "ehf": {"frames": 16},
}
MIXTURE = "demo_study"
PROTOCOLS = ("agora_val", "bedlam_val", "egobody_egoset", "pw3d_lsp14_smplreg", "ehf")
SETTINGS = ("steps=100", "save_every=25", "keep=1")


def run(out: Path, *, jobs: int) -> None:
    """Run every step below ``out`` and print the matrix; what an earlier run finished is not done again."""
    from ..studies.declaration import write_study
    from ..studies.engine import carry_out
    from ..studies.printing import printed
    from ..studies.standing import standings

    os.environ[ENVIRONMENT] = "standin"
    raw, data, folder = (out / name for name in ("raw", "data", "study"))
    step = Clock()
    step("raw trees of the stand-in body", lambda: write_trees(raw, SIZES, jobs))
    step("convert to shards and catalog", lambda: convert_trees(raw, data, SIZES, jobs=1))
    study = demo_study(data, out / "results")
    write_study(study, folder)
    carried = {"jobs": jobs, "device": "cpu", "tell": note, "ended": lambda report: note(f"    {report.name}")}
    step("train and score each source alone", lambda: carry_out(study, folder, **carried))
    note(f"\nall of it took {step.total():.0f} s\n")
    print(printed(study, standings(study, folder)), end="")
    print(f"\nStatus      ehps study status {folder}")
    print(f"Dashboard   ehps dash --catalog {data} --results {study.results} --runs {folder}")


def demo_study(data: Path, results: Path) -> Any:
    """Return the declaration of the demo's study."""
    from ..studies.declaration import DatasetsStudy, converted_members

    datasets, _ = converted_members(MIXTURE, data)
    said = {"recipe": "demo", "settings": SETTINGS, "protocols": PROTOCOLS}
    return DatasetsStudy(name="datasets", catalog=data, results=results, mixture=MIXTURE, datasets=datasets, **said)
