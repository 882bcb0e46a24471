"""Several processes train as one does."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace

import pytest

from ehps.tests.training.conftest import tiny_recipe
from ehps.training import smplerx
from ehps.training.loop import train
from ehps.training.recipe import recipe_to_dict

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


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def train_on_two(runs, shards, monkeypatch):
    """Go on with some runs (recipe, folder, last step) in two processes, of which this one is the first."""
    runs = [(*run, free_port()) for run in runs]
    told = [json.dumps([recipe_to_dict(recipe), str(out), stop, port]) for recipe, out, stop, port in runs]
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SCRIPT, str(shards), *told]
    other = subprocess.Popen(command, env=os.environ | place | {"RANK": "1"}, stderr=subprocess.PIPE, text=True)
    try:
        for recipe, out, stop, port in runs:
            for name, value in (place | {"RANK": "0", "MASTER_PORT": str(port)}).items():
                monkeypatch.setenv(name, value)
            train(recipe, out, shards, device="cpu", stop_after=stop)
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
def test_torchrun_starts_the_ranks(converted, tmp_path):
    recipe = replace(tiny_recipe(tmp_path), batch_size=5, steps=1)
    train(recipe, tmp_path / "one", converted, device="cpu")
    script = tmp_path / "one_rank.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    run = json.dumps([recipe_to_dict(recipe), str(tmp_path / "two"), 1, free_port()])
    done = subprocess.run([*command, str(converted), run], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    one, two = (reports(tmp_path / name)[0]["loss"] for name in ("one", "two"))
    assert two == pytest.approx(one, rel=1e-5)
