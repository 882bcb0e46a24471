"""A small converted tree and a few results, made once: random pictures, people of the stand-in body."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from ehps.benchmark.protocol import load_protocol
from ehps.benchmark.results import RunFacts, make_result, write_result
from ehps.body.posing import PosingModel
from ehps.dashboard import settings
from ehps.dashboard.inventory import converter_version
from ehps.shards.catalog import build_catalog
from ehps.shards.codec import sample_key
from ehps.shards.picture import picture_of
from ehps.shards.record import Camera, Frame, Labels, Person, Provenance, Reject
from ehps.shards.writer import UnitWriter
from ehps.tests.dashboard.scored_models import write_scored

WIDTH, HEIGHT = 320, 240
K = np.array([[300.0, 0, 159.5], [0, 300.0, 119.5], [0, 0, 1]])
CHECKED = {"hands": {"2d": {"verdict": "as_stored", "people": 7, "unit": "px"}}}  # what the engine writes of a unit
REJECTS = (("empty_box", 2), ("missing_image", 3))


@dataclass(frozen=True)
class Tree:
    """Where the small tree lies."""

    catalog: Path
    results: Path


def posed(model: PosingModel, rng: np.random.Generator, distance: float) -> dict[str, np.ndarray]:
    """Parameters of one upright person, facing the camera."""
    return {
        "global_orient": np.array([np.pi, 0, 0]) + rng.normal(0, 0.1, 3),
        "body_pose": rng.normal(0, 0.15, (21, 3)),
        "left_hand_pose": rng.normal(0, 0.2, (15, 3)),
        "right_hand_pose": rng.normal(0, 0.2, (15, 3)),
        "jaw_pose": np.zeros(3),
        "betas": rng.normal(0, 0.5, 10),
        "expression": np.zeros(10),
        "transl": np.array([rng.uniform(-0.6, 0.6), 0.2, distance]),
    }


def person(model: PosingModel, rng: np.random.Generator, origin: str, row: int) -> Person:
    """A person with everything that the dashboard draws."""
    parameters = posed(model, rng, rng.uniform(2.5, 6))
    joints = model.joints({name: value[None] for name, value in parameters.items()})[0]
    pixels = joints @ K.T
    pixels = pixels[:, :2] / pixels[:, 2:]
    points = np.concatenate([pixels, np.ones((144, 1))], axis=1)
    box = np.concatenate([pixels.min(axis=0), pixels.max(axis=0)])
    return Person(
        provenance=Provenance(file="labels.npz", row=str(row)),
        labels=Labels(body=origin, left_hand=origin, right_hand=origin, shape=origin, keypoints_2d="measured"),
        body_model="smplx",
        gender="neutral",
        keypoints_2d=points,
        keypoints_2d_convention="smplx_144",
        joints_3d=joints,
        bbox_xyxy=box,
        quality={
            "reprojection_px": float(rng.gamma(2, 1.5)),
            "min_depth_m": float(joints[:, 2].min()),
            "distance_m": float(np.linalg.norm(joints[0])),
        },
        **parameters,
    )


def picture(rng: np.random.Generator) -> bytes:
    """A JPEG of coarse noise."""
    coarse = rng.integers(60, 200, (6, 8, 3), dtype=np.uint8)
    return cv2.imencode(".jpg", cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC))[1].tobytes()


def write_unit(out: Path, model: PosingModel, dataset: str, split: str, unit: str, frames: int, origin: str) -> None:
    """One unit with one or two people a frame and a few rejects."""
    rng = np.random.default_rng([len(dataset), len(split), frames])
    with UnitWriter(out, dataset, split, unit, meta={"converter_version": converter_version(dataset)}) as writer:
        for index in range(frames):
            people = tuple(person(model, rng, origin, 10 * index + i) for i in range(1 + index % 2))
            frame = Frame(
                key=f"{unit}/{index:06d}",
                image=b"",
                width=WIDTH,
                height=HEIGHT,
                people=people,
                camera=Camera(K=K, kind="measured"),
                sequence=unit,
                frame_index=index,
            )
            writer.write(frame, sample_key(dataset, split, frame.key), picture_of(picture(rng)))
        for reason, count in REJECTS:
            for row in range(count):
                place = Provenance(file="labels.npz", row=str(1000 + row))
                detail = f"{reason} in row {row}"
                key = f"{unit}/{row:06d}/9" if reason == "empty_box" else f"{unit}/{reason}/{row}"
                writer.reject(Reject(key=key, reason=reason, detail=detail, provenance=place))
        writer.commit(CHECKED)


# Mean error (mm) and protocols of each model: the second lacks a protocol.
MODELS = {"alpha": (60.0, ("ehf", "bedlam_val")), "beta": (75.0, ("ehf",))}


def write_results(folder: Path, keys: list[str], models: Mapping[str, tuple[float, Sequence[str]]] = MODELS) -> None:
    """Some models under some protocols; all but alpha miss people."""
    rng = np.random.default_rng(5)
    for model, (level, protocols) in models.items():
        for name in protocols:
            protocol = load_protocol(name)
            rows = pd.DataFrame({"person_key": keys, "sequence": [f"s{i % 3}" for i in range(len(keys))]})
            rows["answered"] = [model == "alpha" or i % 5 > 0 for i in range(len(keys))]
            for part in ("body", "left_hand", "right_hand", "face"):
                rows[f"has_{part}"] = True
            rows["box_height"] = rng.uniform(60, 240, len(keys))
            for measure in protocol.measures:
                rows[measure] = np.where(rows["answered"], rng.gamma(9, level / 9, len(keys)), np.nan)
            facts = RunFacts(model=model, revision="r1", shard_fingerprint="0" * 8, trained_on=("bedlam",))
            write_result(make_result(rows, protocol, facts, hardware="none"), rows, folder)


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory, standin_dir: Path) -> Tree:
    """Two sources, three units, nine people's worth of results."""
    root = tmp_path_factory.mktemp("dashboard")
    model = PosingModel.load(standin_dir)
    out = root / "data"
    write_unit(out, model, "bedlam", "train", "scene_a", 8, "synthetic")
    write_unit(out, model, "bedlam", "val", "scene_b", 6, "synthetic")
    write_unit(out, model, "mscoco", "train", "part_0", 5, "pseudo")
    build_catalog(out)
    keys = [f"{sample_key('bedlam', 'val', f'scene_b/{index:06d}')}#0" for index in range(6)]
    write_results(root / "results", keys)
    return Tree(out, root / "results")


@pytest.fixture(scope="session")
def scored(tree: Tree, standin_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of the small tree by models that repeat its labels with noise; two of them keep their predictions."""
    return write_scored(tree.catalog, standin_dir, tmp_path_factory.mktemp("scored"))


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """Folders of catalog and results that do not exist yet."""
    for name, value in settings.environment(tmp_path / "data", tmp_path / "results").items():
        monkeypatch.setenv(name, value)
    return tmp_path
