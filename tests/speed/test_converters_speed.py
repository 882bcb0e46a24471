"""How many people a second every source converts with two jobs, what its converter takes to write, and how exact it is.

The raw trees are the fake ones that the converters are tested with, grown to 2,000 people or more (EHPS_SPEED_PEOPLE),
plain pictures included: of a person it is mostly the picture that takes time, so labels alone are measured as well. The
limit in each group is to read the files of the tree and do nothing with them; the peer is what converters commonly do,
one forward pass of smplx for each person, measured once. The rows of the table, with the load of the machine, are
printed at the end; ``-k pw3d`` measures one source.
"""

import importlib
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from ehps.body.models import load_smplx_layer
from ehps.cards import load_card
from ehps.converters import converter_ids
from ehps.converters.engine import convert
from ehps.converters.storing import Storing
from ehps.tests.raw._people import Truth, random_parameters
from ehps.tests.raw._recovery import differences, worst

pytestmark = pytest.mark.speed
ROOT = Path(__file__).resolve().parents[2]
PEOPLE = int(os.environ.get("EHPS_SPEED_PEOPLE", "2000"))
JOBS = 2
FORWARD_PASSES = 50
COLUMNS = {
    "source": "<22",
    "people": ">7,",
    "people/s": ">9,.0f",
    "past start": ">11,.0f",
    "labels/s": ">9,.0f",
    "of reading": ">11.1%",
    "of smplx": ">9.1f",
    "mesh mm": ">9.4f",
    "joints px": ">10.4f",
    "points px": ">10.4f",
    "converter": ">10",
    "fake tree": ">10",
    "uncertain": ">10",
    "load": ">6.1f",
}


class Tree(NamedTuple):
    """A fake tree without bad records, and the small one from which it was grown."""

    dataset: str
    fake: Any
    small: Path
    small_truth: Truth
    large: Path
    people: int


@pytest.fixture(scope="module")
def table(request) -> Iterator[dict[str, dict]]:
    """The rows of the table by source, printed when all are measured."""
    rows: dict[str, dict] = {}
    yield rows
    # A heading is as wide as its column, without what formats the numbers in it.
    lines = ["", "".join(f"{name:{kind.split('.')[0].rstrip(',')}}" for name, kind in COLUMNS.items())]
    lines += ["".join(f"{row.get(name, math.nan):{kind}}" for name, kind in COLUMNS.items()) for row in rows.values()]
    plugins = request.config.pluginmanager
    with plugins.get_plugin("capturemanager").global_and_fixture_disabled():
        plugins.get_plugin("terminalreporter").write_line("\n".join(lines))


@pytest.fixture(scope="module")
def smplx_rate(standin_dir) -> float:
    """How many people a second one thread poses by one forward pass of smplx for each."""
    layer = load_smplx_layer(directory=standin_dir)
    person = random_parameters(np.random.default_rng(0))
    inputs = {name: torch.from_numpy(value.reshape(1, -1)).float() for name, value in person.items()}
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.no_grad():
        layer(**inputs)
        start = time.perf_counter()
        for _ in range(FORWARD_PASSES):
            layer(**inputs)
        seconds = time.perf_counter() - start
    torch.set_num_threads(before)
    return FORWARD_PASSES / seconds


def people_of(truth: Truth) -> int:
    """Return the number of people of all splits."""
    return sum(split["people"] for split in truth.expected.values())


def grown(fake: Any, folder: Path, times: int) -> int:
    """Write the fake tree with PEOPLE or more and return how many there are; ``times`` is a first guess."""
    people = people_of(fake.build(folder, bad=False, times=times))
    if people >= PEOPLE:
        return people
    shutil.rmtree(folder)
    return grown(fake, folder, math.ceil(1.03 * times * PEOPLE / people))


@pytest.fixture(scope="module", params=converter_ids())
def tree(request, tmp_path_factory) -> Iterator[Tree]:
    """The fake tree of a source with PEOPLE or more."""
    with pytest.MonkeyPatch.context() as patch:  # the fixture that sets it for every test comes after this one
        patch.setenv("EHPS_BODY_MODELS", "standin")
        fake = importlib.import_module(f"ehps.tests.raw.{request.param}")
        root = tmp_path_factory.mktemp(request.param)
        truth = fake.build(root / "small", bad=False)
        people = grown(fake, root / "large", math.ceil(1.15 * PEOPLE / people_of(truth)))
        yield Tree(request.param, fake, root / "small", truth, root / "large", people)
    shutil.rmtree(root)


def lines_of(path: Path) -> int:
    """Return the lines of a file of the repository."""
    return (ROOT / path).read_text(encoding="utf-8").count("\n")


def people_converted(tree: Tree, raw: Path, out: Path, **settings: Any) -> int:
    """Convert all splits of a tree into a fresh folder and return the number of people written."""
    return sum(report.people for report in convert(tree.dataset, raw, out, jobs=JOBS, **settings))


def seconds_of(function: Callable[[], Any]) -> float:
    """Return the time of a call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def facts_of(tree: Tree, smplx_rate: float) -> dict[str, Any]:
    """Return what a row says beside the speed; the errors are those of the small tree."""
    errors = worst(differences(tree.dataset, tree.small, tree.small_truth, tree.fake.SPLITS))
    return {
        "source": tree.dataset,
        "people": tree.people,
        **dict(zip(("mesh mm", "joints px", "points px"), errors, strict=True)),
        "converter": lines_of(Path("converters", f"{tree.dataset}.py")),
        "fake tree": lines_of(Path("tests/raw", f"{tree.dataset}.py")),
        "uncertain": sum(fact.confidence != "verified" for fact in load_card(tree.dataset).uncertain),
        "load": os.getloadavg()[0],
        "smplx people/s": smplx_rate,
    }


def test_converted(benchmark, tree, tmp_path, table, smplx_rate):
    benchmark.group = f"conversion of {tree.dataset}"
    outs = (tmp_path / str(number) for number in count())
    few = people_converted(tree, tree.small, next(outs))  # imports
    small = seconds_of(lambda: people_converted(tree, tree.small, next(outs)))
    found = benchmark.pedantic(lambda: people_converted(tree, tree.large, next(outs)), rounds=2)
    assert found == tree.people
    seconds = benchmark.stats.stats.min
    row = table.setdefault(tree.dataset, facts_of(tree, smplx_rate))
    row |= {
        "people/s": tree.people / seconds,
        "past start": (tree.people - few) / (seconds - small) if seconds > small else math.nan,
        "of reading": seconds_of(lambda: read_all(tree.large)) / seconds,
        "of smplx": tree.people / seconds / smplx_rate,
    }
    benchmark.extra_info |= {name: value for name, value in row.items() if value == value}


def test_labels_alone_converted(benchmark, tree, tmp_path, table, smplx_rate):
    benchmark.group = f"conversion of {tree.dataset}"
    outs = (tmp_path / str(number) for number in count())
    settings = {"storing": Storing(images="none")}
    benchmark.pedantic(lambda: people_converted(tree, tree.large, next(outs), **settings), rounds=2)
    row = table.setdefault(tree.dataset, facts_of(tree, smplx_rate))
    row["labels/s"] = tree.people / benchmark.stats.stats.min
    benchmark.extra_info |= {"people_per_second": row["labels/s"], "of_smplx": row["labels/s"] / smplx_rate}


def test_files_read(benchmark, tree):
    benchmark.group = f"conversion of {tree.dataset}"
    size = benchmark.pedantic(read_all, (tree.large,), rounds=2)
    benchmark.extra_info |= {"megabytes": size / 1e6, "people_per_second": tree.people / benchmark.stats.stats.min}


def read_all(root: Path) -> int:
    """Read every file of a tree and return their bytes."""
    return sum(len(path.read_bytes()) for path in root.rglob("*") if path.is_file())
