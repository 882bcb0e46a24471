"""A made-up body of 300 vertices and made-up models for most tests, fake data sets converted once for the rest."""

import importlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ehps.benchmark.geometry import build_geometry
from ehps.benchmark.interface import BenchmarkPerson
from ehps.benchmark.metrics import Geometry
from ehps.benchmark.results import _COLUMNS
from ehps.body.assets import EvaluationAssets
from ehps.converters.engine import convert
from ehps.converters.storing import Storing

NUM_VERTICES = 300
# Hands and face are disjoint runs of vertices; the tips lie inside the hands.
LEFT, RIGHT, FACE = np.arange(100, 140), np.arange(140, 180), np.arange(180, 260)
TIPS = {"left_hand": (101, 108, 115, 122, 129), "right_hand": (141, 148, 155, 162, 169)}

# How large the fake tree of a data set is, where its default is larger than the tests here need.
FAKES = {
    "agora": {"frames": 9},  # the first from which on val has children in pictures with hands and faces
    "bedlam": {"frames": 1},
    "ehf": {"frames": 3},
    "freihand": {"frames": 12},
    "pw3d": {"frames": 3},
}


@pytest.fixture(scope="session")
def converted(tmp_path_factory) -> Callable[[str, str], Path]:
    """The converted split of a data set's fake tree, without pictures, made when first asked for; read only."""
    made: dict[tuple[str, str], Path] = {}

    def tree(dataset: str, split: str) -> Path:
        if (dataset, split) not in made:
            root = tmp_path_factory.mktemp(dataset)
            importlib.import_module(f"ehps.tests.raw.{dataset}").build(
                root / "raw", bad=False, **FAKES.get(dataset, {})
            )
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("EHPS_BODY_MODELS", "standin")
                storing = Storing(images="none")
                convert(dataset, root / "raw", root / "out", split, catalog=False, storing=storing)
            made[dataset, split] = root / "out"
        return made[dataset, split]

    return tree


def _regressor(rng: np.random.Generator, rows: int, support: np.ndarray) -> np.ndarray:
    """Rows of weights that sum to one over a few vertices of the support."""
    matrix = np.zeros((rows, NUM_VERTICES))
    for row in range(rows):
        ids = rng.choice(support, 5, replace=False)
        weights = rng.random(5)
        matrix[row, ids] = weights / weights.sum()
    return matrix


@pytest.fixture(scope="session")
def assets() -> EvaluationAssets:
    rng = np.random.default_rng(1)
    J_regressor = _regressor(rng, 55, np.arange(100))
    J_regressor[[20, *range(25, 40)]] = _regressor(rng, 16, LEFT)
    J_regressor[[21, *range(40, 55)]] = _regressor(rng, 16, RIGHT)
    return EvaluationAssets(
        J_regressor=J_regressor,
        J14=_regressor(rng, 14, np.arange(NUM_VERTICES)),
        left_hand_ids=LEFT,
        right_hand_ids=RIGHT,
        face_ids=FACE,
        faces=np.zeros((1, 3), np.int64),
    )


@pytest.fixture(scope="session")
def geometry(assets: EvaluationAssets) -> Geometry:
    return build_geometry(assets, tips=TIPS)


@pytest.fixture(scope="session")
def meshes() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Make (predicted, true) meshes a few metres from the camera, the prediction off by some centimetres."""

    def make(people: int = 5, seed: int = 0, noise: float = 0.03) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        truth = rng.normal(size=(people, NUM_VERTICES, 3)) * [0.3, 0.5, 0.2] + [0.2, 0.1, 3.0]
        return truth + rng.normal(size=truth.shape) * noise + rng.normal(size=(people, 1, 3)), truth

    return make


@pytest.fixture
def people(meshes) -> list[BenchmarkPerson]:
    """Six people in three sequences, each with a mesh of its own."""
    _, truth = meshes(6, seed=3)
    return [
        BenchmarkPerson(
            person_key=f"p{row}",
            sequence=f"s{row // 2}",
            image=lambda: np.zeros((4, 4, 3), np.uint8),
            bbox_xyxy=np.array([0.0, 0.0, 50.0, 100.0 + row]),
            vertices=mesh,
        )
        for row, mesh in enumerate(truth)
    ]


@pytest.fixture
def result_rows() -> Callable[..., pd.DataFrame]:
    """Make rows as ``load_results`` gives them, from dicts that name only what matters."""
    defaults = dict.fromkeys(_COLUMNS) | {
        "revision": "main",
        "protocol_version": 1,
        "is_primary": True,
        "missing": 0,
        "missing_rule": "report",
        "box_source": "detector_x",
        "is_trained_on": False,
        "is_finetuned_on": False,
    }

    def make(*rows: dict) -> pd.DataFrame:
        return pd.DataFrame([defaults | row for row in rows], columns=list(_COLUMNS))

    return make
