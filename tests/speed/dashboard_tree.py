"""What a group has on its machine when it opens the dashboard: people, results, runs and conversions, all invented.

Shards with pictures of a few thousand people of two sources lie beside rows without pictures of forty more.
"""

import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ehps.body.posing import PosingModel
from ehps.body.standin import standin_dir
from ehps.converters.report import UnitReport
from ehps.shards.catalog import build_catalog, query
from ehps.shards.tree import UNIT_FILE, unit_dir
from ehps.tests.dashboard.conftest import write_results, write_unit
from ehps.tests.dashboard.test_conversions import write as write_state
from ehps.tests.dashboard.test_runs import write_run

UNITS = (("bedlam", "train", "scene_a", 900), ("bedlam", "val", "scene_b", 600), ("mscoco", "train", "part_0", 500))
MODELS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta")
PROTOCOLS = ("bedlam_val", "ehf", "agora_val", "egobody_egoset", "pw3d_challenge", "ubody_intra", "rich_test")
UNIT_STATES = 300
READY = "dashboard_tree_is_ready"


class Tree(NamedTuple):
    """Where everything lies."""

    catalog: Path
    results: Path
    runs: Path


def make_tree(root: Path, people: int, invent) -> Tree:
    """Fill a folder, unless that was done before, and return what lies in it.

    ``invent`` is ``make_sidecars.make_tree``; a folder ``data`` that it has filled already is kept.
    """
    tree = Tree(root / "data", root / "results", root / "runs")
    if (root / READY).exists():
        return tree
    model = PosingModel.load(standin_dir())
    for dataset, split, unit, frames in UNITS:
        if not (unit_dir(tree.catalog, dataset, split, unit) / UNIT_FILE).exists():
            origin = "pseudo" if dataset == "mscoco" else "synthetic"
            write_unit(tree.catalog, model, dataset, split, unit, frames, origin)
    if not (tree.catalog / "source_00").exists():
        invent(tree.catalog, people - 3000)
    build_catalog(tree.catalog)
    write_results(tree.results, _keys(tree.catalog), {name: (60.0 + 3 * i, PROTOCOLS) for i, name in enumerate(MODELS)})
    shutil.rmtree(tree.runs, ignore_errors=True)
    for number in range(12):
        steps = list(range(20, 301 if number else 200, 20))
        write_run(tree.runs / f"run_{number:02d}", steps, age=3600.0 * number, now=time.time())
    _write_states(tree.catalog)
    (root / READY).touch()
    return tree


def _keys(catalog: Path) -> list[str]:
    """Return whom the results are about: everyone with a picture, and others up to 50,000."""
    sql = "SELECT person_key FROM people ORDER BY dataset LIKE 'source%', person_key LIMIT 50000"
    return query(catalog, sql)["person_key"].tolist()


def _write_states(catalog: Path) -> None:
    """Leave what the engine leaves of a conversion with many units."""
    done = UnitReport("", "done", frames=50, people=90, people_raw=100, rejects={"empty_box": 10}, seconds=10.0)
    for number in range(UNIT_STATES):
        write_state(catalog, "agora", replace(done, unit=f"part_{number:04d}"))
    write_state(catalog, "agora", UnitReport("part_bad", "failed", error="ShardError: a.tar: ends early"))
