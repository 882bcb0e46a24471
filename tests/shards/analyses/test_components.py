"""Components that sources share."""

import numpy as np
import pytest

from ehps.shards.analyses.clouds import LEAST, feature_clouds, rotation_points
from ehps.shards.analyses.components import Components, plane


def clouds() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(4)
    basis = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    long = rng.normal(size=(600, 5)) * [3, 1, 0.1, 0.1, 0.1] @ basis
    return {"large": long[:500], "small": long[500:]}


def test_components_follow_the_longest_directions_and_their_signs_are_settled():
    rng = np.random.default_rng(4)
    basis = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    found = Components.of(clouds(), 2)
    assert np.abs(found.axes.T @ basis.T[:, :2]).round(1).tolist() == [[1, 0], [0, 1]]
    assert found.shares == pytest.approx([9 / 10.03, 1 / 10.03], abs=0.03)
    for axis in found.axes.T:
        assert axis[np.abs(axis).argmax()] > 0


def test_the_order_of_sources_changes_nothing():
    own = clouds()
    points, shares = plane(own)
    again, same = plane(dict(reversed(own.items())))
    assert shares == pytest.approx(same)
    both = [table.set_index("name").loc["small"].to_numpy() for table in (points, again)]
    assert both[0] == pytest.approx(both[1])


def test_every_source_counts_the_same():
    rng = np.random.default_rng(1)
    flat = {"x": rng.normal(size=(2000, 2)) * [1, 0], "y": rng.normal(size=(50, 2)) * [0, 1]}
    shares = Components.of(flat, 2).shares
    assert shares == pytest.approx([0.5, 0.5], abs=0.12)


def test_the_plane_shows_evenly_spread_people():
    points, _ = plane({"a": np.arange(1000.0)[:, None] * [1, 0]}, shown=10)
    steps = np.diff(points["x"])
    assert len(points) == 10
    assert np.abs(steps) == pytest.approx([100] * 9)
    assert plane({})[0].empty


def test_image_features_have_a_spread_of_one():
    rng = np.random.default_rng(0)
    features = {
        "a": rng.normal(5, 2, (300, 8)).astype(np.float32),
        "b": rng.normal(-5, 2, (300, 8)),
        "few": np.ones((3, 8)),
    }
    found = feature_clouds(features)
    assert list(found) == ["a", "b"]
    spreads = [((cloud - cloud.mean(0)) ** 2).sum(1).mean() for cloud in found.values()]
    assert np.mean(spreads) == pytest.approx(1)
    assert feature_clouds({"few": np.ones((LEAST - 1, 4))}) == {}


def test_a_full_turn_is_no_turn():
    pose = np.zeros((1, 21, 3))
    pose[0, 3] = [0, 0, 2 * np.pi]
    assert rotation_points(pose) == pytest.approx(rotation_points(np.zeros((1, 21, 3))))
