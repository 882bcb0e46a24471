"""Every protocol that comes along, on the fake trees of its data set: nothing is lost, a known error is that error."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ehps.benchmark.aggregate import is_expected
from ehps.benchmark.comparison import Comparison, compare
from ehps.benchmark.curves import known_mean
from ehps.benchmark.interface import BenchmarkPerson
from ehps.benchmark.measures import Measure
from ehps.benchmark.metrics import MeshSide
from ehps.benchmark.people import benchmark_people
from ehps.benchmark.protocol import Protocol, protocols
from ehps.benchmark.scoring import score_points
from ehps.converters import converter_ids

KNOWN = {name: own for name, own in protocols().items() if own.ground_truth != "hidden" and own.matching is None}
CONVERTED = [name for name, own in KNOWN.items() if own.dataset in converter_ids()]
PEOPLE = 4  # of a protocol: all habits are there, and posing more proves nothing new


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


@dataclass(frozen=True, eq=False)
class Body:
    """A prediction that knows its pose, which measures of angles ask for."""

    vertices: np.ndarray
    parameters: Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Asked:
    """Some people of a protocol, and both sides for predictions of the truth's own kind, the truth posed once."""

    protocol: Protocol
    people: Sequence[BenchmarkPerson]
    comparison: Comparison
    truth: np.ndarray

    @classmethod
    def about(cls, protocol: Protocol, tree: Path, models: Path, posed: dict) -> "Asked":
        kinds = {"joints": "hand_joints", "hand": "hand_cloud"}
        own = "smpl" if protocol.body_model.kind == "smpl" or protocol.conversion == "smplx_to_smpl" else "smplx"
        if protocol.regressors.body == "kinematic_24":
            own = "smpl_with_joints"
        comparison = compare(protocol, models, kinds.get(protocol.ground_truth, own))
        everyone = protocol.model_copy(update={"stride": 1})  # fakes are small
        people = list(islice(benchmark_people(tree, everyone), PEOPLE))
        keys = [person.person_key for person in people]
        way = (*keys, protocol.ground_truth, protocol.body_model, protocol.conversion, own)
        if way not in posed:
            posed[way] = comparison.truth(people)
        meshes = dict(zip(keys, posed[way], strict=True))
        truth = replace(comparison, truth=lambda some: np.stack([meshes[person.person_key] for person in some]))
        return cls(everyone, people, truth, posed[way])

    def scored(self, factor: float = 1.0) -> pd.DataFrame:
        """Score the truth, enlarged about the camera; where nothing is known the prediction is anywhere."""

        def predict(batch):
            points = np.nan_to_num(self.comparison.truth(batch) * factor, nan=9.0)
            return [Body(own, person.parameters or {}) for own, person in zip(points, batch, strict=True)]

        return score_points(predict, self.people, self.protocol, self.comparison)

    def of_enlarging(self, measure: Measure) -> np.ndarray:
        """A tenth of the mean distance of the points from their root (mm): what enlarging by a tenth costs."""
        truth = MeshSide(self.truth.astype(np.float64), self.comparison.true)
        values = []
        for side in ("left_hand", "right_hand") if measure.part == "hands" else (measure.part,):
            points, root = truth.points(side, measure.points), truth.root(side, measure.points)
            counted = ~np.isnan(points).any(axis=-1)
            if self.protocol.counted_points == "inside_picture":
                counted &= np.stack([inside(own, person) for own, person in zip(points, self.people, strict=True)])
            flag = "body" if side == "all" else side
            counted &= np.array([getattr(person, f"has_{flag}") for person in self.people])[:, None]
            reach = np.where(counted, np.linalg.norm(points - root[:, None], axis=-1), np.nan)
            values.append(100 * known_mean(reach))
        return known_mean(np.stack(values, axis=-1))


def inside(points: np.ndarray, person: BenchmarkPerson) -> np.ndarray:
    pixels = points @ person.K.T
    pixels = pixels[:, :2] / pixels[:, 2:]
    return ((pixels > 0) & (pixels < person.size)).all(axis=1)


@pytest.fixture(scope="module")
def posed() -> dict:
    """The true points of a data set's people, shared by the protocols that see the same."""
    return {}


@pytest.mark.parametrize("name", CONVERTED)
def test_the_truth_itself_scores_nothing_and_an_enlarged_one_by_how_much(name, converted, models, posed):
    protocol = KNOWN[name]
    asked = Asked.about(protocol, converted(protocol.dataset, protocol.split), models, posed)
    perfect = asked.scored()
    assert len(perfect) == len(asked.people) > 0
    assert perfect["answered"].all()
    for measure in protocol.measure_objects:
        values = perfect[measure.name].dropna()
        assert len(values) or not is_expected(perfect, measure).any(), f"nobody has {measure.name}"
        best = 0 if measure.lower_is_better else 1
        # Of the thresholds of an area, the first is zero, below which nothing lies.
        np.testing.assert_allclose(values, best, atol=2e-3 if best == 0 else 0.006, err_msg=measure.name)

    larger = asked.scored(factor=1.1)
    for measure in (own for own in protocol.measure_objects if own.family == "distance"):
        values = larger[measure.name]
        if measure.alignment == "root":
            np.testing.assert_allclose(values, asked.of_enlarging(measure), rtol=1e-4, atol=1e-3, err_msg=measure.name)
        else:
            np.testing.assert_allclose(values.dropna(), 0, atol=2e-3, err_msg=measure.name)
