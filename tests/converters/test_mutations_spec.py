"""SPEC-SYN's known label errors, each planted on purpose: all show up as distances.

The bounds are well below what was measured; ``pytest --log-cli-level=INFO`` shows the figures. Bodies stand at the
origin, because the source does not place them, so a wrong rotation shows in the mesh alone.
"""

import logging

import numpy as np
import pytest

from ehps.body.keypoints import CONVENTIONS
from ehps.body.rotations import axis_angle_to_matrix
from ehps.converters import spec
from ehps.converters.formats import tilted_camera
from ehps.tests.raw._planting import planted_tree, replaced, reported, wrapped

LOG = logging.getLogger(__name__)
NAMES = CONVENTIONS["openpose_25"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return planted_tree("spec", tmp_path_factory.mktemp("spec"))


def other_side(name):
    if name.startswith("left_"):
        return name.replace("left_", "right_")
    return name.replace("right_", "left_")


def with_column(name, change):
    return lambda columns: {**columns, name: change(columns[name])} if name in columns else columns


def roll_after_pitch(_, columns):
    pitch, roll = (columns[name][:, None] for name in ("cam_pitch", "cam_roll"))
    return axis_angle_to_matrix(roll * np.eye(3)[2]) @ axis_angle_to_matrix(pitch * np.eye(3)[0])


def transposed(R):
    return R.transpose(0, 2, 1)


# What is planted -> (how, mesh in mm, keypoints in px: at least this must be reported).
MUTATIONS = {
    "camera from world the wrong way round": (wrapped(tilted_camera, "_rotations", transposed), 300, 0),
    "root left in the world": (wrapped(tilted_camera, "_rotations", lambda R: 0 * R + np.eye(3)), 100, 0),
    "roll after pitch, as BEDLAM turns": (replaced(tilted_camera, "_rotations", roll_after_pitch), 10, 0),
    "pose in place of pose_0yaw_inverseyz": (replaced(spec, "POSES", {"pose": (72,)}), 300, 0),
    "root and first joint off by one": (
        wrapped(spec, "load_columns", with_column("pose", lambda pose: np.roll(pose, 3, axis=1))),
        *(100, 0),
    ),
    "openpose with left and right swapped": (
        wrapped(spec, "sound_points", lambda points: points[:, [NAMES.index(other_side(name)) for name in NAMES]]),
        *(0, 30),
    ),
    "betas in another order": (
        wrapped(spec, "load_columns", with_column("shape", lambda shape: shape[:, ::-1])),
        *(5, 0),
    ),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_planted_error_is_reported(name, tree, monkeypatch):
    plant, mesh_mm, keypoints_px = MUTATIONS[name]
    monkeypatch.setattr(spec, "read_table", spec._Table)  # nothing is kept from the test before
    plant(monkeypatch)
    found = reported(tree)
    LOG.info("%s: mesh %.1f mm, keypoints %.1f px", name, found[0], found[2])
    assert found[0] >= mesh_mm
    assert found[2] >= keypoints_px
