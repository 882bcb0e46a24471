"""3DPW's known label errors, each planted on purpose: all show up as distances.

The bounds are well below what was measured; ``pytest --log-cli-level=INFO`` shows the figures.
"""

import numpy as np
import pytest

from ehps.body.cameras import invert_rigid, parameters_to_camera
from ehps.converters import pw3d
from ehps.tests.raw._planting import assert_reported, planted_tree, replaced, wrapped

OTHER_SIDE = [0, 1, 5, 6, 7, 2, 3, 4, 11, 12, 13, 8, 9, 10, 15, 14, 17, 16]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return planted_tree("pw3d", tmp_path_factory.mktemp("pw3d"))


def with_value(name, change):
    return lambda sequence: {**sequence, name: change(sequence[name])}


def off_by_one(poses):
    return np.roll(poses, 1, axis=0)


def without_offset(orient, transl, offset, T):
    return parameters_to_camera(orient, transl, 0 * offset, T)


def backwards(orient, transl, offset, T):
    return parameters_to_camera(orient, transl, offset, invert_rigid(T))


# What is planted -> (how, mesh in mm, joints in px, keypoints in px: at least this must be reported).
MUTATIONS = {
    "rest pelvis forgotten": (replaced(pw3d, "parameters_to_camera", without_offset), 200, 50, 0),
    "camera from world the wrong way round": (replaced(pw3d, "parameters_to_camera", backwards), 500, 0, 0),
    "camera of the picture before": (
        wrapped(pw3d, "read_sequence", with_value("cam_poses", off_by_one)),
        *(300, 0, 0),
    ),
    "everyone posed as neutral": (
        replaced(pw3d, "GENDERS", {"m": "neutral", "f": "neutral"}),
        *(5, 1, 0),
    ),
    "genders in another order": (wrapped(pw3d, "read_sequence", with_value("genders", lambda g: g[::-1])), 5, 1, 0),
    "betas of the other actor": (wrapped(pw3d, "read_sequence", with_value("betas", lambda b: b[::-1])), 5, 1, 0),
    "OpenPose with left and right swapped": (
        wrapped(pw3d, "sound_points", lambda points: points[OTHER_SIDE]),
        *(0, 0, 50),
    ),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_planted_error_is_reported(name, tree, monkeypatch):
    plant, *bounds = MUTATIONS[name]
    assert_reported(name, plant, tree, bounds, monkeypatch)
