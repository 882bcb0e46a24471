"""The steps of the demo, each the work of an ordinary verb on fake raw trees of the stand-in body.

The trees are those that the converters are tested with (``tests/raw``): the owner's layout and encodings, pictures
rendered from posed bodies through real camera geometry, all of it made by the forward model.
"""

import importlib
import os
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from ..body.models import ENVIRONMENT
from .bench import score_model
from .output import emit_table, note
from .table import Form, matrix_text

# Source -> its share of the rendered pictures. Training reads bedlam and mscoco; bedlam val and ehf are held out.
SHARES = {"bedlam": 0.55, "mscoco": 0.32, "ehf": 0.08, "ochuman": 0.05}
PROTOCOLS = ("bedlam_val", "ehf")


def run(out: Path, *, frames: int, steps: int | None, jobs: int) -> None:
    """Run every step below ``out`` and print the matrix; what an earlier run finished is not done again."""
    os.environ[ENVIRONMENT] = "standin"
    raw, data, runs, results = (out / name for name in ("raw", "data", "run", "results"))
    step, sizes = Clock(), {name: {"frames": max(3, round(frames * share))} for name, share in SHARES.items()}
    step("raw trees of the stand-in body", lambda: write_trees(raw, sizes, jobs))
    step("convert to shards and catalog", lambda: convert_trees(raw, data, SHARES, jobs))
    step("plan the mixture", lambda: show_plan(data))
    recipe = demo_recipe(steps)
    step("score the untrained model", lambda: score_untrained(recipe, data, results))
    step(f"train {recipe.steps} steps", lambda: train_model(recipe, data, runs))
    step("score the trained model", lambda: score_trained(runs, data, results))
    from .demo_report import write_report

    report = step("write the report", lambda: write_report(out, data, runs, results))
    note(f"\nall of it took {step.total():.0f} s\n")
    print(matrix_text(results, None, Form.text, published=False))
    print(f"Report      {report}")
    print(f"Dashboard   ehps dash --catalog {data} --results {results} --runs {runs}")
    print(f"Catalog     ehps sql --catalog {data} 'select dataset, split, count(*) as people from people group by all'")


class Clock:
    """Names each step on stderr and says how long it took."""

    def __init__(self) -> None:
        self._start, self._number = time.perf_counter(), 0

    def __call__(self, title: str, work: Callable[[], Any]) -> Any:
        """Do a step's work and return what it gives."""
        self._number += 1
        note(f"\n[{self._number}] {title}")
        start = time.perf_counter()
        value = work()
        note(f"    {time.perf_counter() - start:.1f} s")
        return value

    def total(self) -> float:
        """Return the seconds since the first step."""
        return time.perf_counter() - self._start


def write_trees(raw: Path, wanted: Mapping[str, Mapping[str, int]], jobs: int) -> None:
    """Write the raw trees that are not there, each appearing by a rename; pictures are drawn in several processes.

    ``wanted`` says how large the tree of a source should be, in the words of its builder.
    """
    from ..body.standin import standin_dir

    standin_dir()  # built once, before the processes look for it
    missing = {name: size for name, size in wanted.items() if not (raw / name).is_dir()}
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for future in [pool.submit(_write_tree, raw, name, size) for name, size in missing.items()]:
            future.result()


def _write_tree(raw: Path, name: str, size: Mapping[str, int]) -> None:
    module = importlib.import_module(f"..tests.raw.{name}", __package__)
    hidden = raw / f".{name}-{os.getpid()}"
    hidden.mkdir(parents=True)
    module.build(hidden, **size, pictures="rendered", bad=False)
    hidden.rename(raw / name)


def convert_trees(raw: Path, data: Path, names: Iterable[str], jobs: int) -> None:
    """Convert trees into one folder of shards, and build its catalog."""
    from ..converters.engine import convert
    from ..shards.catalog import build_catalog

    reports = [r for name in names for r in convert(name, raw / name, data, jobs=jobs, catalog=False)]
    build_catalog(data)
    emit_table([report.summary() for report in reports])


def show_plan(data: Path) -> None:
    """Print what training will see."""
    from .mix import plan_mixture

    plan_mixture("demo", str(data))


def demo_recipe(steps: int | None) -> Any:
    """Return the recipe of the demo, with another number of steps if wanted."""
    from ..training.recipes import get_recipe

    return get_recipe("demo", [f"steps={steps}"] if steps else [])


def score_untrained(recipe: Any, data: Path, results: Path) -> None:
    """Score the network as it is initialised: what the trained one is compared with."""
    from ..training.predictor import untrained_predictor

    predictor = untrained_predictor(recipe, recipe.seed)
    for name in PROTOCOLS:
        score_model(predictor, name, data, results)


def train_model(recipe: Any, data: Path, runs: Path) -> None:
    """Train, or continue a stopped run."""
    from ..training.loop import train

    train(recipe, runs, data, device="cpu", report=lambda status: note(f"    {status}"))


def score_trained(runs: Path, data: Path, results: Path) -> None:
    """Score the trained network."""
    from ..training.predictor import load_predictor

    predictor = load_predictor(runs, device="cpu")
    for name in PROTOCOLS:
        score_model(predictor, name, data, results)
