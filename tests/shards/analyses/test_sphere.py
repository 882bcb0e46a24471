"""From where the camera sees people."""

import numpy as np
import pytest

from ehps.body.rotations import compose
from ehps.shards.analyses import sphere
from ehps.shards.analyses.clouds import LEAST, pose_clouds
from ehps.shards.analyses.samples import PoseSample
from ehps.shards.statistics import facing_degrees

FACING = np.array([np.pi, 0, 0])  # upright, towards the camera


def sample(orients: np.ndarray) -> PoseSample:
    hands = np.zeros((0, 15, 3))
    return PoseSample(np.zeros((0, 21, 3)), orients, hands, hands, np.zeros((0, 10)))


def seen(outer: list[float] | None = None, inner: list[float] | None = None) -> tuple[float, float]:
    """Azimuth and elevation of the camera for somebody turned in the world or about their own axes."""
    orient = compose(np.array(outer or [0.0, 0, 0]), compose(FACING, np.array(inner or [0.0, 0, 0])))
    azimuth, elevation = sphere.azimuth_elevation(sphere.camera_directions(orient[None]))
    return float(azimuth[0]), float(elevation[0])


def test_who_faces_the_camera_has_it_in_front():
    assert seen() == pytest.approx((0, 0), abs=1e-6)


def test_who_turns_to_the_right_of_the_picture_has_the_camera_at_the_right_side():
    orient = compose(FACING, np.array([0.0, np.pi / 2, 0]))
    assert facing_degrees(orient[None])[0] == pytest.approx([90])  # towards the right edge
    # Someone who looks to the right of the picture shows us the right side of the body: azimuth -90.
    assert seen(inner=[0, np.pi / 2, 0]) == pytest.approx((-90, 0), abs=1e-6)
    assert abs(seen(inner=[0, np.pi, 0])[0]) == pytest.approx(180)


def test_who_bows_to_the_camera_is_seen_from_above():
    # Turning the body's front down (about its left axis) brings the top of the head towards the camera.
    assert seen(inner=[0.5, 0, 0]) == pytest.approx((0, np.degrees(0.5)), abs=1e-5)


def test_a_turn_of_the_picture_changes_the_lean_and_not_the_place_of_the_camera():
    assert seen(outer=[0, 0, 1.0], inner=[0.2, 0.4, 0]) == pytest.approx(seen(inner=[0.2, 0.4, 0]), abs=1e-6)


def test_cells_are_of_one_area():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(96_000, 3))
    shares = sphere.direction_shares(points / np.linalg.norm(points, axis=1, keepdims=True))
    cells = sphere.AZIMUTHS * sphere.HEIGHTS
    assert shares.sum() == pytest.approx(1)
    assert np.abs(shares * cells - 1).max() < 5 / np.sqrt(len(points) / cells)


def test_tables_tell_sources_apart():
    turns = np.random.default_rng(1).uniform(-np.pi, np.pi, 400)
    around = np.stack([compose(FACING, np.array([0, turn, 0])) for turn in turns])
    lying = np.tile(compose(np.array([0, 0, np.pi / 2]), FACING), (30, 1))
    table = sphere.orientation_table({"around": sample(around), "lying": sample(lying), "none": sample(around[:0])})
    found = table.set_index("name")
    assert list(found.index) == ["around", "lying"]
    assert found.loc["lying", ["people", "front", "lying", "spread"]].tolist() == pytest.approx([30, 1, 1, 0], abs=1e-6)
    assert found.loc["around", ["front", "side", "back"]].tolist() == pytest.approx([0.25, 0.5, 0.25], abs=0.06)
    assert found.loc["around", "spread"] > 0.9
    assert found.loc["around", "lying"] == 0


def test_cells_and_leans_are_shares_of_the_people():
    samples = {"facing": sample(np.tile(FACING + 1e-3, (10, 1))), "none": sample(np.zeros((0, 3)))}
    cells, leans = sphere.direction_cells(samples), sphere.lean_table(samples)
    assert set(cells["name"]) == set(leans["name"]) == {"facing"}
    full = cells.loc[cells["share"] > 0]
    assert full["share"].sum() == pytest.approx(1)
    assert full["azimuth"].between(-15, 15).all()
    assert leans.loc[leans["share"] > 0, ["lean", "lean_to", "share"]].values.tolist() == [[0, 10, 1]]
    assert sphere.direction_cells({}).empty


def test_points_of_orientations_are_as_far_apart_as_their_angle():
    spins = np.linspace(0, 3, LEAST)
    orients = np.stack([compose(FACING, np.array([0, spin, 0])) for spin in spins])
    cloud = pose_clouds({"a": sample(orients), "few": sample(orients[:3])}, "orientation")
    assert list(cloud) == ["a"]
    apart = np.linalg.norm(cloud["a"] - cloud["a"][0], axis=1)
    assert apart == pytest.approx(2 * np.sin(spins / 2), abs=1e-9)
    turned = pose_clouds({"a": sample(np.stack([compose(np.array([0.3, 1, 2]), o) for o in orients]))}, "orientation")
    assert np.linalg.norm(turned["a"] - turned["a"][0], axis=1) == pytest.approx(apart)
