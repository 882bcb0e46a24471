"""Several processes train as one does."""

import json
import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace

import pytest

from ehps.errors import RecipeError
from ehps.tests.training.conftest import tiny_recipe
from ehps.training import smplerx
from ehps.training.loop import train
from ehps.training.ranks import join_ranks, leave_ranks, require_agreement
from ehps.training.recipe import recipe_to_dict
from ehps.training.recipes import get_recipe

PLACE = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1"}
NARROW = 16  # channels of SMPLer-X's box net, most of whose arithmetic does not depend on the network's size
CASES = {
    "ddp": {"parallel": "ddp"},
    "fsdp": {"parallel": "fsdp"},
    "batch norms": {"model": "smpler-x", "clip": None},
}
SCRIPT = f"""
import json, os, sys
from pathlib import Path
from ehps.training import smplerx
from ehps.training.loop import train
from ehps.training.recipe import recipe_from_dict
smplerx.BOX_WIDTH = {NARROW}
shards, *runs = sys.argv[1:]
for run in runs:
    recipe, out, stop, port = json.loads(run)
    os.environ["MASTER_PORT"] = str(port)
    train(recipe_from_dict(recipe), Path(out), Path(shards), device="cpu", stop_after=stop)
"""
DISAGREES = """
from ehps.tests.training.test_ranks import disagreement
disagreement()
"""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def disagreement():
    """What a rank says when each of two sees another run."""
    ranks = join_ranks("cpu")
    require_agreement(ranks, "what all see")
    try:
        require_agreement(ranks, f"from step {ranks.rank}")
    except RecipeError as error:
        return str(error)
    finally:
        leave_ranks(ranks)


def beside(script, *arguments):
    """Start a script as the second of two processes."""
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.Popen(command, env=os.environ | PLACE | {"RANK": "1"}, stderr=subprocess.PIPE, text=True)


def train_on_two(runs, shards, monkeypatch):
    """Go on with some runs (recipe, folder, last step) in two processes, of which this one is the first."""
    runs = [(*run, free_port()) for run in runs]
    told = [json.dumps([recipe_to_dict(recipe), str(out), stop, port]) for recipe, out, stop, port in runs]
    with ended(beside(SCRIPT, str(shards), *told)):
        for recipe, out, stop, port in runs:
            for name, value in (PLACE | {"RANK": "0", "MASTER_PORT": str(port)}).items():
                monkeypatch.setenv(name, value)
            train(recipe, out, shards, device="cpu", stop_after=stop)


@contextmanager
def ended(other):
    """Wait for a process that was started beside this one; it must end well."""
    try:
        yield
        complaint = other.communicate(timeout=120)[1]
        assert other.returncode == 0, complaint[-2000:]
    finally:
        other.kill()


@pytest.fixture(scope="module")
def logs(tmp_path_factory, converted):
    """Reports of each case: of one process, and of a run whose second step was made by two."""
    folder = tmp_path_factory.mktemp("ranks")
    # Five people a step on two ranks: three here, two there; stochastic depth and augmentation are on.
    recipe = replace(tiny_recipe(folder), batch_size=5, steps=3)
    recipes = {name: replace(recipe, **changes) for name, changes in CASES.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EHPS_BODY_MODELS", "standin")
        patch.setattr(smplerx, "BOX_WIDTH", NARROW)
        for name, one in recipes.items():
            train(one, folder / name / "one", converted, device="cpu")
            train(one, folder / name / "two", converted, device="cpu", stop_after=1)
        with pytest.MonkeyPatch.context() as ranks:
            train_on_two([(one, folder / name / "two", 2) for name, one in recipes.items()], converted, ranks)
        for name, one in recipes.items():
            train(one, folder / name / "two", converted, device="cpu")
    return {name: [reports(folder / name / run) for run in ("one", "two")] for name in recipes}


def reports(run_dir):
    return [json.loads(line) for line in (run_dir / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("case", CASES)
def test_ranks_of_unequal_parts_continue_the_run_of_one(logs, case):
    alone, changing = logs[case]
    assert [one["step"] for one in changing] == [one["step"] for one in alone] == [1, 2, 3]
    for one, two in zip(alone, changing, strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=1e-5)
        assert two["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-4)
        assert two["losses"] == pytest.approx(one["losses"], rel=1e-4)


@pytest.mark.slow
def test_ranks_that_see_other_files_stop(monkeypatch):
    monkeypatch.setenv("MASTER_PORT", str(free_port()))
    with ended(beside(DISAGREES)):
        for name, value in (PLACE | {"RANK": "0"}).items():
            monkeypatch.setenv(name, value)
        assert disagreement() == (
            "ranks do not see the same files: rank 0 would train from step 0; "
            "give all machines the same data and the same folder of the run"
        )


@pytest.mark.slow
def test_torchrun_starts_the_ranks_of_the_verb(converted, tmp_path):
    tiny = tiny_recipe(tmp_path)
    changes = ["batch_size=5", "steps=1", f"mixture={tiny.mixture}"]
    changes += [f"network.{name}={value}" for name, value in tiny.network._asdict().items()]
    train(get_recipe("demo", changes), tmp_path / "one", converted, device="cpu")
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "ehps.cli.main"]
    verb = ["train", "demo", *changes, "--device", "cpu", "--catalog", str(converted), "--out", str(tmp_path / "two")]
    done = subprocess.run([sys.executable, *start, *verb], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    one, two = (reports(tmp_path / name)[0]["loss"] for name in ("one", "two"))
    assert two == pytest.approx(one, rel=1e-5)
    assert json.loads((tmp_path / "two" / "run.json").read_text())["world_size"] == 2
