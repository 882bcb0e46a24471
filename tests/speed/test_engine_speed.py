"""How many people a second a conversion takes in, beside the plain way to do it, and where its time goes.

The tree is like BEDLAM: labels as the owner's npz, one to four people a picture. Peers are the loop that
converters commonly have (one forward pass of smplx for each person) with JSON and webdataset's TarWriter behind it.
Everything is one thread a process, so that the figures are those of a core.
"""

import ctypes
import itertools
import json
import os
import resource
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import webdataset

from ehps.body.cameras import intrinsics, project
from ehps.body.models import load_smplx_layer, model_dir
from ehps.cards import Checks
from ehps.converters import bedlam, list_sources
from ehps.converters.batch import examine
from ehps.converters.bodies import Bodies
from ehps.converters.engine import convert
from ehps.converters.formats.smplx_pose import join_pose
from ehps.converters.pictures import labels_alone
from ehps.converters.storing import Storing
from ehps.converters.units import BATCH_PEOPLE, batches
from ehps.shards.record import Camera, Frame, Labels, Person, Provenance
from ehps.tests.raw._people import (
    Parameters,
    batch,
    joints,
    random_parameters,
    stand_in_a_row,
    standin,
    write_picture,
)

pytestmark = pytest.mark.speed
SCENES = ("20221010_3_1000_batch01hand_6fps", "20221011_1_250_batch01hand_6fps")
SIZE = (128, 72)
K = intrinsics(115.0, 115.0, 64.0, 36.0)
NUM_BETAS = 11
PEOPLE, PICTURED_PEOPLE, LOOP_PEOPLE = 48_000, 8_000, 100
CASTS = 8
PARTS = ("global_orient", "body_pose", "left_hand_pose", "right_hand_pose", "betas", "transl")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Let numpy's BLAS and torch work in one thread, as the engine's own processes do."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    for path in (Path(np.__file__).parents[1] / "numpy.libs").glob("*openblas*"):
        library = ctypes.CDLL(str(path))
        for name in ("scipy_openblas_set_num_threads64_", "openblas_set_num_threads64_", "openblas_set_num_threads"):
            if hasattr(library, name):
                getattr(library, name)(1)
    yield
    torch.set_num_threads(before)


def write_tree(root: Path, people: int, *, with_pictures: bool) -> Path:
    """Write two scenes with so many people in all; all pictures of a scene are one tiny file."""
    rng = np.random.default_rng(0)
    for scene in SCENES:
        write_scene(root, scene, people // len(SCENES), rng, with_pictures=with_pictures)
    return root


def write_scene(root: Path, scene: str, people: int, rng: np.random.Generator, *, with_pictures: bool) -> None:
    """Write the labels of a scene: a few people drawn at random, each many times with a little noise in the pose."""
    counts = list(itertools.islice(itertools.cycle((1, 2, 3, 4)), 2 * people // 5))
    names = [f"seq_{i // 5:06d}/seq_{i // 5:06d}_{5 * (i % 5):04d}.png" for i in range(len(counts))]
    casts = [cast(rng) for _ in range(CASTS)]
    rows = batch([person for i, count in enumerate(counts) for person in casts[i % CASTS][:count]])
    rows["body_pose"] += rng.normal(0, 0.02, rows["body_pose"].shape)
    points = standin(NUM_BETAS).joints(rows)[:, :127]
    offsets = rng.normal(0, 2, (len(points), 3))
    cam_ext = np.tile(np.eye(4), (len(points), 1, 1))
    cam_ext[:, :3, 3] = offsets
    (root / "all_npz_12_training").mkdir(parents=True, exist_ok=True)
    np.savez(
        root / "all_npz_12_training" / f"{scene}.npz",
        imgname=np.repeat(names, counts),
        pose_cam=np.stack([join_pose({name: value[i] for name, value in rows.items()}) for i in range(len(points))]),
        shape=rows["betas"],
        trans_cam=rows["transl"] - offsets,
        cam_int=np.tile(K, (len(points), 1, 1)),
        cam_ext=cam_ext,
        gtkps=project(points, K),
    )
    if with_pictures:
        link_pictures(root / "training_images" / scene / "png", names)


def cast(rng: np.random.Generator) -> list[Parameters]:
    """Return four people side by side."""
    people = [random_parameters(rng, NUM_BETAS, with_face=False) for _ in range(4)]
    return stand_in_a_row(rng, standin(NUM_BETAS), people, K, SIZE, height_share=0.7)


def link_pictures(folder: Path, names: list[str]) -> None:
    """Write one picture and give it many names."""
    first = folder / "first.png"
    write_picture(first, np.full((SIZE[1], SIZE[0], 3), 90, np.uint8))
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        os.link(first, folder / name)


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    return write_tree(tmp_path_factory.mktemp("labels"), PEOPLE, with_pictures=False)


@pytest.fixture(scope="module")
def pictured(tmp_path_factory):
    return write_tree(tmp_path_factory.mktemp("pictured"), PICTURED_PEOPLE, with_pictures=True)


def seconds_of(function, clock=time.perf_counter) -> float:
    """Return the time of a call."""
    start = clock()
    function()
    return clock() - start


def processor_seconds() -> float:
    """Return the processor time of this process and of those that it waited for, which a busy machine changes least."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def measure_conversion(benchmark, raw: Path, out: Path, **options) -> None:
    """Measure a conversion into fresh folders; the rate is also told without what a conversion of ten people takes."""
    folders = (out / str(number) for number in itertools.count())
    processor: list[float] = []

    def run(**more):
        before = processor_seconds()
        (report,) = convert("bedlam", raw, next(folders), "train", catalog=False, **options, **more)
        processor.append(processor_seconds() - before)
        return report.people

    run(limit=10)  # imports
    start = seconds_of(lambda: run(limit=10))
    people = benchmark.pedantic(run, rounds=2)
    best = benchmark.stats.stats.min
    benchmark.extra_info |= {
        "people": people,
        "people_per_second": people / best,
        "beyond_start": people / (best - start),
        "start_seconds": start,
        "processor_us_per_person": 1e6 * (min(processor[2:]) - processor[1]) / people,
    }


@pytest.mark.benchmark(group=f"conversion of labels alone, {PEOPLE} people")
class TestLabels:
    @pytest.mark.parametrize("jobs", [1, 2])
    def test_ours(self, benchmark, labels, tmp_path, jobs):
        measure_conversion(benchmark, labels, tmp_path, jobs=jobs, storing=Storing(images="none"))

    def test_plain_loop(self, benchmark, labels, tmp_path, standin_dir):
        layer = load_smplx_layer(num_betas=NUM_BETAS, directory=standin_dir)
        rows = first_people(labels)
        before = processor_seconds()
        benchmark.pedantic(plain_conversion, (layer, rows, tmp_path / "peer.tar"), rounds=3)
        spent = (processor_seconds() - before) / 3
        benchmark.extra_info |= {
            "people": len(rows),
            "people_per_second": len(rows) / benchmark.stats.stats.min,
            "processor_us_per_person": 1e6 * spent / len(rows),
        }


@pytest.mark.benchmark(group=f"conversion with tiny pictures copied, {PICTURED_PEOPLE} people")
@pytest.mark.parametrize("jobs", [1, 2])
def test_with_pictures_copied(benchmark, pictured, tmp_path, jobs):
    measure_conversion(benchmark, pictured, tmp_path, jobs=jobs, storing=Storing(jpeg="keep", png="keep"))


def first_people(raw: Path) -> list[tuple[Frame, Person]]:
    """Return some people of the tree as the converter reads them."""
    with labels_alone(True):
        frames = bedlam.frames(list_sources("bedlam", raw, "train")[0])
        everyone = ((frame, person) for frame in frames for person in frame.people)
        return list(itertools.islice(everyone, LOOP_PEOPLE))


def tensors_of(person: Person, names: tuple[str, ...]) -> dict[str, torch.Tensor]:
    """Return parameters as smplx takes them: one person, flat."""
    return {name: torch.from_numpy(getattr(person, name).reshape(1, -1)).float() for name in names}


def plain_conversion(layer, rows: list[tuple[Frame, Person]], path: Path) -> None:
    """Convert person by person: a forward pass, a projection, a box, JSON, a tar."""
    with webdataset.TarWriter(str(path), encoder=False) as writer, torch.no_grad():
        for number, (frame, person) in enumerate(rows):
            points = layer(**tensors_of(person, PARTS)).joints[0].numpy()
            pixels = project(points, frame.camera.K)
            error = np.linalg.norm(pixels[:127] - person.keypoints_2d[:, :2], axis=1)
            record = {name: getattr(person, name).tolist() for name in (*PARTS, "keypoints_2d")}
            record |= {"joints": points.tolist(), "box": [*pixels.min(axis=0).tolist(), *pixels.max(axis=0).tolist()]}
            record |= {"error": float(np.median(error)), "K": frame.camera.K.tolist()}
            writer.write({"__key__": f"{number:08d}", "json": json.dumps(record).encode()})


@pytest.fixture(scope="module")
def crowd() -> list[Frame]:
    """A batch of people with every part labelled, so that all 144 joints are wanted."""
    rng = np.random.default_rng(1)
    people = [random_parameters(rng) for _ in range(BATCH_PEOPLE)]
    placed = [p for i in range(0, len(people), 4) for p in stand_in_a_row(rng, standin(), people[i : i + 4], K, SIZE)]
    pixels = project(joints(standin(), placed), K)
    marked = np.concatenate([pixels, np.ones((*pixels.shape[:2], 1))], axis=2).astype(np.float32)
    everyone = [labelled(*pair) for pair in zip(placed, marked, strict=True)]
    camera = Camera(K=K, kind="measured")
    return [
        Frame(key=str(i), image=b"", width=SIZE[0], height=SIZE[1], camera=camera, people=tuple(everyone[i : i + 4]))
        for i in range(0, len(everyone), 4)
    ]


def labelled(parameters: Parameters, keypoints: np.ndarray) -> Person:
    """Return a person of a record."""
    return Person(
        provenance=Provenance(file="f", row="0"),
        labels=Labels(body="synthetic"),
        body_model="smplx",
        gender="neutral",
        keypoints_2d=keypoints,
        keypoints_2d_convention="smplx_144",
        **{name: value.astype(np.float32) for name, value in parameters.items()},
    )


@pytest.mark.benchmark(
    group="processor time of joints, boxes and checks of people with every part labelled", timer=time.process_time
)
class TestExamination:
    def test_ours(self, benchmark, crowd):
        bodies = Bodies(model_dir())
        outcome = benchmark(examine, crowd, bodies, Checks())
        assert not outcome.rejects
        benchmark.extra_info["us_per_person"] = benchmark.stats.stats.min * 1e6 / BATCH_PEOPLE

    def test_smplx_person_by_person(self, benchmark, crowd, standin_dir):
        people = [person for frame in crowd for person in frame.people][:LOOP_PEOPLE]
        layer = load_smplx_layer(directory=standin_dir)
        names = (*PARTS, "jaw_pose", "expression")

        def loop() -> np.ndarray:
            with torch.no_grad():
                return np.stack([layer(**tensors_of(person, names)).joints[0].numpy() for person in people])

        bodies = Bodies(model_dir())
        once = partial(seconds_of, lambda: examine(crowd, bodies, Checks()), time.process_time)
        ours = min(once() for _ in range(5)) / BATCH_PEOPLE
        expected = benchmark.pedantic(loop, rounds=3)
        found = [p.joints_3d for frame in examine(crowd, bodies, Checks()).frames for p in frame.people]
        np.testing.assert_allclose(found[:LOOP_PEOPLE], expected, atol=1e-5)
        theirs = benchmark.stats.stats.min / LOOP_PEOPLE
        benchmark.extra_info |= {"us_per_person": theirs * 1e6, "times_ours": theirs / ours}


@pytest.mark.benchmark(group="stages of a conversion of labels alone, one process")
class TestStages:
    """What a second of a conversion goes to: the converter, the examination, and, as the rest, the writer."""

    def test_converter(self, benchmark, labels):
        with labels_alone(True):
            source = list_sources("bedlam", labels, "train")[0]
            benchmark.pedantic(lambda: list(bedlam.frames(source)), rounds=3)
        benchmark.extra_info["us_per_person"] = benchmark.stats.stats.min * 1e6 * len(SCENES) / PEOPLE

    def test_examination(self, benchmark, labels):
        with labels_alone(True):
            records = bedlam.frames(list_sources("bedlam", labels, "train")[0])
            portions = [frames for frames, _ in itertools.islice(batches(records, None), 4)]
        bodies = Bodies(model_dir())
        benchmark.pedantic(lambda: [examine(frames, bodies, Checks()) for frames in portions], rounds=5)
        people = sum(len(frame.people) for frames in portions for frame in frames)
        benchmark.extra_info["us_per_person"] = benchmark.stats.stats.min * 1e6 / people

    def test_all(self, benchmark, labels, tmp_path):
        measure_conversion(benchmark, labels, tmp_path, jobs=1, storing=Storing(images="none"))
        benchmark.extra_info["us_per_person"] = 1e6 / benchmark.extra_info["beyond_start"]
