"""Human3.6M's known label errors, each planted on purpose: all show up as distances.

The converter's own look at the owner's box is put aside; another test plants cameras of another release before it.
The bounds are well below what was measured; ``pytest --log-cli-level=INFO`` shows the figures.
"""

from dataclasses import replace

import pytest

from ehps.body.cameras import invert_rigid, parameters_to_camera, rigid
from ehps.converters import human36m
from ehps.tests.raw._planting import assert_reported, planted_tree, replaced, wrapped

LEFT_LEG_FIRST = [0, 4, 5, 6, 1, 2, 3, *range(7, 17)]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return planted_tree("human36m", tmp_path_factory.mktemp("human36m"))


def without_offset(orient, transl, offset, T):
    return parameters_to_camera(orient, transl, 0 * offset, T)


def with_poses(change):
    """The cameras of a subject with another place in the world."""
    return lambda cameras: {
        name: camera and replace(camera, T_camera_world=change(camera.T_camera_world))
        for name, camera in cameras.items()
    }


def centre_for_translation(T):
    return rigid(T[:3, :3], -T[:3, :3] @ T[:3, 3])


def in_metres_already(T):
    return rigid(T[:3, :3], 1000 * T[:3, 3])


def another_order(cameras):
    return {"1": cameras["4"], "2": cameras["2"], "3": cameras["1"], "4": cameras["3"]}


# What is planted -> (how, mesh in mm, joints in px, keypoints in px: at least this must be reported).
MUTATIONS = {
    "rest pelvis forgotten": (replaced(human36m, "parameters_to_camera", without_offset), 200, 50, 0),
    "camera from world the wrong way round": (
        wrapped(human36m, "read_cameras", with_poses(invert_rigid)),
        *(500, 0, 0),
    ),
    "t taken for the place of the camera": (
        wrapped(human36m, "read_cameras", with_poses(centre_for_translation)),
        *(500, 0, 0),
    ),
    "millimetres of the camera taken for metres": (
        wrapped(human36m, "read_cameras", with_poses(in_metres_already)),
        *(1000, 100, 100),
    ),
    "cameras in another order": (wrapped(human36m, "read_cameras", another_order), 500, 0, 0),
    "left leg first, as MMHuman3D reads it": (
        wrapped(human36m, "joints_of", lambda joints: joints[LEFT_LEG_FIRST]),
        *(0, 0, 10),
    ),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_planted_error_is_reported(name, tree, monkeypatch):
    plant, *bounds = MUTATIONS[name]
    monkeypatch.setattr(human36m, "_is_seen_in", lambda *_: True)
    assert_reported(name, plant, tree, bounds, monkeypatch)
