"""Several processes under ``torchrun`` train as one does."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from ehps.training.loop import train
from ehps.training.recipe import recipe_to_dict

SCRIPT = """
import json, sys
from pathlib import Path
from ehps.training.loop import train
from ehps.training.recipe import recipe_from_dict
recipe, out, shards, stop = sys.argv[1:]
train(recipe_from_dict(json.loads(recipe)), Path(out), Path(shards), device="cpu", stop_after=int(stop))
"""


def train_on(ranks, recipe, out, shards, stop_after, folder):
    """Train in processes of their own until a step."""
    script = folder / "one_rank.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}", str(script)]
    arguments = [json.dumps(recipe_to_dict(recipe)), str(out), str(shards), str(stop_after)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, *arguments], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]


def reports(run_dir):
    return [json.loads(line) for line in (run_dir / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("parallel", ["ddp", pytest.param("fsdp", marks=pytest.mark.slow)])
def test_ranks_of_unequal_parts_continue_the_run_of_one(recipe, converted, tmp_path, parallel):
    """Five people a step on two ranks: three here, two there; stochastic depth and augmentation are on."""
    recipe = replace(recipe, batch_size=5, steps=5)
    train(recipe, tmp_path / "one", converted, device="cpu")
    train(recipe, tmp_path / "changing", converted, device="cpu", stop_after=2)
    divided = replace(recipe, parallel=parallel)
    train_on(2, divided, tmp_path / "changing", converted, 4, tmp_path)
    train(recipe, tmp_path / "changing", converted, device="cpu")
    alone, changing = reports(tmp_path / "one"), reports(tmp_path / "changing")
    assert [one["step"] for one in changing] == [one["step"] for one in alone]
    for one, two in zip(alone, changing, strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=1e-5)
        assert two["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-4)
        assert two["losses"] == pytest.approx(one["losses"], rel=1e-4)
