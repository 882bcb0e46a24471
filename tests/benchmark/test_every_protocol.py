"""Every protocol that comes along, on the fake trees of its data set: nothing is lost, a known error is that error."""

import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ehps.benchmark.aggregate import is_expected
from ehps.benchmark.comparison import Comparison, compare
from ehps.benchmark.interface import PersonPrediction
from ehps.benchmark.metrics import MeshSide
from ehps.benchmark.people import benchmark_people
from ehps.benchmark.protocol import protocols
from ehps.benchmark.scoring import score_points
from ehps.converters import converter_ids
from ehps.converters.engine import convert
from ehps.converters.storing import Storing

KNOWN = {name: own for name, own in protocols().items() if own.ground_truth != "hidden" and own.matching is None}
CONVERTED = [name for name, own in KNOWN.items() if own.dataset in converter_ids()]
_SETTINGS = {"bedlam": {"frames": 1}, "ehf": {"frames": 1}, "freihand": {"frames": 6}, "agora": {"frames": 6}}


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """The converted split of a data set, made when first asked for."""
    made: dict[str, Path] = {}

    def tree(dataset: str, split: str) -> Path:
        if dataset not in made:
            root = tmp_path_factory.mktemp(dataset)
            fake = importlib.import_module(f"ehps.tests.raw.{dataset}")
            fake.build(root / "raw", bad=False, **_SETTINGS.get(dataset, {}))
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("EHPS_BODY_MODELS", "standin")
                convert(
                    dataset, root / "raw", root / "out", split, catalog=False, limit=4, storing=Storing(images="none")
                )
            made[dataset] = root / "out"
        return made[dataset]

    return tree


@pytest.fixture(scope="module")
def models(standin_dir, tmp_path_factory):
    """The stand-in bodies with a regressor of H36M's joints, which they lack."""
    folder = tmp_path_factory.mktemp("models")
    for item in standin_dir.iterdir():
        if item.name != "smpl":
            (folder / item.name).symlink_to(item)
    (folder / "smpl").mkdir()
    for item in (standin_dir / "smpl").iterdir():
        (folder / "smpl" / item.name).symlink_to(item)
    rng = np.random.default_rng(5)
    regressor = np.zeros((17, 6890))
    for row in regressor:
        row[rng.choice(6890, 6, replace=False)] = 1 / 6
    np.save(folder / "smpl" / "J_regressor_h36m.npy", regressor)
    return folder


def everyone(protocol):
    """The same protocol without a stride, because fakes are small."""
    return protocol.model_copy(update={"stride": 1})


def ideal(protocol, models: Path) -> Comparison:
    """Both sides of the protocol for predictions of the truth's own kind."""
    kinds = {"joints": "hand_joints", "hand": "hand_cloud"}
    own = "smpl" if protocol.body_model.kind == "smpl" or protocol.conversion == "smplx_to_smpl" else "smplx"
    return compare(protocol, models, kinds.get(protocol.ground_truth, own))


def remembering(truth):
    """The same truth, posed once a person."""
    known = {}

    def remembered(people):
        new = [person for person in people if person.person_key not in known]
        if new:
            known.update(zip([person.person_key for person in new], truth(new), strict=True))
        return np.stack([known[person.person_key] for person in people])

    return remembered


def scored(protocol, comparison: Comparison, tree: Path, factor: float = 1.0) -> pd.DataFrame:
    """Score the truth, enlarged about the camera, where nothing is known the prediction is anywhere."""

    def predict(batch):
        return [PersonPrediction(np.nan_to_num(points * factor, nan=9.0)) for points in comparison.truth(batch)]

    return score_points(predict, benchmark_people(tree, protocol), protocol, comparison)


@pytest.mark.parametrize("name", CONVERTED)
def test_the_truth_itself_scores_nothing_and_an_enlarged_one_by_how_much(name, trees, models):
    protocol = everyone(KNOWN[name])
    tree = trees(protocol.dataset, protocol.split)
    comparison = ideal(protocol, models)
    comparison = replace(comparison, truth=remembering(comparison.truth))
    perfect = scored(protocol, comparison, tree)
    assert len(perfect) > 0
    assert perfect["answered"].all()
    for measure in protocol.measure_objects:
        values = perfect[measure.name].dropna()
        assert len(values) or not is_expected(perfect, measure).any(), f"nobody has {measure.name}"
        best = 0 if measure.lower_is_better else 1
        # Of the thresholds of an area, the first is zero, below which nothing lies.
        np.testing.assert_allclose(values, best, atol=2e-3 if best == 0 else 0.006, err_msg=measure.name)

    larger = scored(protocol, comparison, tree, factor=1.1)
    for measure in protocol.measure_objects:
        if measure.family != "distance":
            continue
        values = larger[measure.name]
        if measure.alignment == "root":
            np.testing.assert_allclose(values, expected(protocol, comparison, tree, measure), rtol=1e-4, atol=1e-3)
        else:
            np.testing.assert_allclose(values.dropna(), 0, atol=2e-3, err_msg=measure.name)


def expected(protocol, comparison: Comparison, tree: Path, measure) -> np.ndarray:
    """A tenth of the mean distance of the points from their root (mm): what enlarging by a tenth costs."""
    people = list(benchmark_people(tree, protocol))
    sides = ("left_hand", "right_hand") if measure.part == "hands" else (measure.part,)
    values = []
    for person in people:
        truth = MeshSide(comparison.truth([person]).astype(np.float64), comparison.true)
        own = []
        for side in sides:
            points, root = truth.points(side, measure.points)[0], truth.root(side, measure.points)[0]
            counted = ~np.isnan(points).any(axis=1)
            if protocol.counted_points == "inside_picture":
                pixels = points @ person.K.T
                pixels = pixels[:, :2] / pixels[:, 2:]
                counted &= ((pixels > 0) & (pixels < person.size)).all(axis=1)
            flag = "body" if side == "all" else side
            if counted.any() and getattr(person, f"has_{flag}"):
                own.append(100 * np.linalg.norm(points[counted] - root, axis=1).mean())
        values.append(np.mean(own) if own else np.nan)
    return np.array(values)
