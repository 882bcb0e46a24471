"""HumanData in and out: file to shards, shards to file, each in a process of its own whose time and memory are taken.

The peer does what its users do: ``numpy.load`` and ``numpy.savez_compressed`` of the same arrays, nothing converted.
Set EHPS_SPEED_HUMANDATA=100000 for the size that the project promises (60 s and 2 GB for there and back).
"""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ehps.body.hands import to_deviation

pytestmark = pytest.mark.speed
PEOPLE = int(os.environ.get("EHPS_SPEED_HUMANDATA", "10000"))
SHAPES = {
    "global_orient": (3,),
    "body_pose": (21, 3),
    "left_hand_pose": (15, 3),
    "right_hand_pose": (15, 3),
    "jaw_pose": (3,),
    "leye_pose": (3,),
    "reye_pose": (3,),
    "betas": (10,),
    "expression": (10,),
}
JOBS = 2
# Runs a statement and prints its seconds, and those of the processors that it and its workers took.
_MEASURED = """
import json, resource, sys, time
from pathlib import Path
import numpy as np
from ehps.converters.engine import convert
from ehps.converters.humandata_out import Wishes, export
from ehps.converters.storing import Storing
start = time.perf_counter()
{statement}
both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print(json.dumps([time.perf_counter() - start, sum(usage.ru_utime + usage.ru_stime for usage in both)]))
"""
_CONVERT = f"""
labels = Storing(images='none')
convert('humandata', Path(sys.argv[1]), Path(sys.argv[2]), 'train', storing=labels, jobs={JOBS})
"""
_EXPORT = "export(Path(sys.argv[1]), Path(sys.argv[2]), Wishes(pictures=False))"
_PEER = """
with np.load(sys.argv[1] + '/data_train.npz', allow_pickle=True) as held:
    content = {name: held[name] for name in held.files}
np.savez_compressed(sys.argv[2], **content)
"""


def measured(statement: str, *paths: Path) -> tuple[float, float, float]:
    """Return seconds, processor seconds and gigabytes of a statement in a fresh process with its workers."""
    code = _MEASURED.format(statement=statement)
    command, peak = [sys.executable, "-c", code, *map(str, paths)], 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            peak = max(peak, memory_of(process.pid))
            time.sleep(0.2)
        assert process.stdout is not None
        output = process.stdout.read()
    assert process.returncode == 0
    return *json.loads(output.splitlines()[-1]), peak / 1e6


def memory_of(pid: int) -> int:
    """Return the kilobytes that a process and its children hold now, what they share counted once; 0 of none."""
    own = Path(f"/proc/{pid}")
    try:
        held = re.search(r"^Pss:\s+(\d+) kB", (own / "smaps_rollup").read_text(), re.MULTILINE)
        children = [int(child) for child in (own / f"task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(held[1] if held else 0) + sum(map(memory_of, children))


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A file of so many people, two a picture, and where the two ways write."""
    root = tmp_path_factory.mktemp("humandata")
    (root / "raw").mkdir()
    write_file(root / "raw" / "data_train.npz", PEOPLE)
    return root


def write_file(path: Path, people: int) -> None:
    """Write a file of people who stand before the camera; numbers are in single precision."""
    rng = np.random.default_rng(0)
    fit = {name: rng.normal(0, 0.2, (people, *shape)).astype(np.float32) for name, shape in SHAPES.items()}
    fit["global_orient"][:, 0] += np.float32(np.pi)  # upright
    fit["transl"] = (rng.normal(0, 0.3, (people, 3)) + [0, 0, 6]).astype(np.float32)
    for side in ("left", "right"):
        fit[f"{side}_hand_pose"] = to_deviation(fit[f"{side}_hand_pose"], side)
    mask = (np.arange(190) < 144).astype(np.uint8)
    points = np.concatenate([rng.uniform(0, 500, (people, 144, 2)), np.ones((people, 144, 1))], axis=2)
    box = np.concatenate(
        [rng.uniform(10, 100, (people, 2)), rng.uniform(200, 400, (people, 2)), np.ones((people, 1))], 1
    )
    np.savez(
        path,
        __key_strict__=False,
        __data_len__=people,
        __keypoints_compressed__=True,
        image_path=[f"folder/{i // 2:08d}.jpg" for i in range(people)],
        bbox_xywh=box,
        keypoints2d_smplx=points.astype(np.float32),
        keypoints2d_smplx_mask=mask,
        smplx=fit,
        meta={
            "height": [600] * people,
            "width": [600] * people,
            "focal_length": [(700.0, 700.0)] * people,
            "principal_point": [(300.0, 300.0)] * people,
            "gender": ["neutral"] * people,
        },
        misc={"flat_hand_mean": False, "bbox_body_scale": 1.2},
    )


@pytest.mark.benchmark(group="humandata")
def test_there_and_back(root, benchmark):
    back = root / "back" / "data_train.npz"

    def run():
        there = measured(_CONVERT, root / "raw", root / "data")
        return there, measured(_EXPORT, root / "data", back)

    (there, out), info = benchmark.pedantic(run, rounds=1), benchmark.extra_info
    names = ("s", "cpu_s", "gb")
    info |= {"people": PEOPLE} | {f"in_{name}": value for name, value in zip(names, there, strict=True)}
    info |= {f"out_{name}": value for name, value in zip(names, out, strict=True)}
    info["file_mb"] = back.stat().st_size / 1e6
    compare(root / "raw" / "data_train.npz", back)


def compare(first: Path, second: Path) -> None:
    """Check that the two files hold the same people but for single precision."""
    with np.load(first, allow_pickle=True) as one, np.load(second, allow_pickle=True) as two:
        fit, again = one["smplx"].item(), two["smplx"].item()
        assert set(fit) <= set(again)
        for name, values in fit.items():
            np.testing.assert_allclose(again[name], values, rtol=1e-6, atol=3e-7)
        np.testing.assert_allclose(two["bbox_xywh"], one["bbox_xywh"], rtol=1e-5, atol=1e-3)
        np.testing.assert_array_equal(two["keypoints2d_original"][:, :144], one["keypoints2d_smplx"])


@pytest.mark.benchmark(group="humandata")
def test_peer_numpy_alone(root, benchmark):
    seconds, cpu, peak = benchmark.pedantic(lambda: measured(_PEER, root / "raw", root / "peer.npz"), rounds=1)
    benchmark.extra_info |= {"people": PEOPLE, "s": seconds, "cpu_s": cpu, "gb": peak}
