"""DNA-Rendering's known label errors, each planted on purpose: all show up as distances.

The bounds are well below what was measured; ``pytest --log-cli-level=INFO`` shows the figures.
"""

from dataclasses import replace

import numpy as np
import pytest

from ehps.body.cameras import invert_rigid, parameters_to_camera
from ehps.body.keypoints import CONVENTIONS
from ehps.converters.formats import dna_smc, dna_take
from ehps.tests.raw._planting import assert_reported, planted_tree, replaced, wrapped

COCO = CONVENTIONS["coco_wholebody"]
COCO_ORDER = np.argsort([COCO.index(name) for name in CONVENTIONS["wholebody_131"]])


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return planted_tree("dna_rendering", tmp_path_factory.mktemp("dna"))


def backwards(camera):
    return replace(camera, T_camera_world=invert_rigid(camera.T_camera_world))


def without_lens(camera):
    return replace(camera, distortion=None)


def without_offset(orient, transl, offset, T):
    return parameters_to_camera(orient, transl, 0 * offset, T)


def hands_first(pose):
    """Root, body, hands, and jaw and eyes behind them, as SMPL-H's order goes on."""
    return dna_cut(np.concatenate([pose[:, :66], pose[:, 156:], pose[:, 66:156]], axis=1))


dna_cut = dna_take.cut_pose

# What is planted -> (how, mesh in mm, joints in px, keypoints in px: at least this must be reported).
MUTATIONS = {
    "RT taken for world to camera": (wrapped(dna_take.Take, "camera", backwards), 500, 0, 0),
    "pictures taken for undistorted": (wrapped(dna_take.Take, "camera", without_lens), 0, 0.5, 0),
    "rest pelvis forgotten": (replaced(dna_smc, "parameters_to_camera", without_offset), 200, 10, 0),
    "hands taken for absolute": (replaced(dna_take, "to_absolute", lambda pose, _side: pose), 20, 1, 0),
    "everyone posed as neutral": (
        replaced(dna_take, "GENDERS", {"male": "neutral", "female": "neutral"}),
        *(5, 0.5, 0),
    ),
    "hands before jaw and eyes": (replaced(dna_take, "cut_pose", hands_first), 50, 2, 0),
    "keypoints in the order of COCO": (
        wrapped(dna_take.Take, "seen", lambda points: points[:, COCO_ORDER]),
        *(0, 0, 20),
    ),
    "hips behind the face": (
        wrapped(dna_take.Take, "seen", lambda points: np.roll(points, 2, axis=1)),
        *(0, 0, 300),
    ),
    "keypoints of the time step before": (
        wrapped(dna_take.Take, "seen", lambda points: np.roll(points, 1, axis=0)),
        *(0, 0, 5),
    ),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_planted_error_is_reported(name, tree, monkeypatch):
    plant, *bounds = MUTATIONS[name]
    assert_reported(name, plant, tree, bounds, monkeypatch)
