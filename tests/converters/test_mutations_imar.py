"""The known label errors of IMAR's studios, each planted on purpose: all show up as distances, or as another frame.

The bounds are well below what was measured; ``pytest --log-cli-level=INFO`` shows the figures.
"""

import logging
from dataclasses import replace

import numpy as np
import pytest

from ehps.body.cameras import intrinsics, parameters_to_camera, rigid
from ehps.body.hands import LEFT_HAND_MEAN, RIGHT_HAND_MEAN
from ehps.converters.formats import imar_json
from ehps.converters.formats.video import VideoFrame
from ehps.shards.record import Frame
from ehps.tests.raw._planting import planted_tree, replaced, reported, wrapped
from ehps.tests.raw._recovery import converted
from ehps.tests.raw._videos import number_of

LOG = logging.getLogger(__name__)


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    return {name: planted_tree(name, tmp_path_factory.mktemp(name)) for name in ("fit3d", "chi3d", "humansc3d")}


def without_offset(orient, transl, offset, T):
    return parameters_to_camera(orient, transl, 0 * offset, T)


def with_camera(change):
    """Return a planted error in the camera that a calibration gives."""
    return wrapped(imar_json, "read_camera", lambda found: (replace(found[0], **change(found[0])), found[1]))


def with_fits(change):
    """Return a planted error in the matrices and vectors that a file gives."""
    return wrapped(imar_json, "read_fits", lambda found: change(*found))


def with_fields(change):
    """Return a planted error in what goes into the record."""
    return wrapped(imar_json, "_in_camera", lambda fields: {**fields, **change(fields)})


def centre_as_translation(camera):
    turn, back = camera.T_camera_world[:3, :3], camera.T_camera_world[:3, 3]
    return {"T_camera_world": rigid(turn, -turn.T @ back)}


def turned_back(camera):
    turn, back = camera.T_camera_world[:3, :3], camera.T_camera_world[:3, 3]
    return {"T_camera_world": rigid(turn.T, turn.T @ turn.T @ back)}


def averaged(camera):
    """The owner's pinhole on the pixels of the lens."""
    K = camera.K
    return {"K": intrinsics(*(0.96 * np.diag(K)[:2]), *(K[:2, 2] + 3.5)), "distortion": None}


def with_means(fields):
    return {
        "left_hand_pose": fields["left_hand_pose"] + LEFT_HAND_MEAN.astype(np.float32),
        "right_hand_pose": fields["right_hand_pose"] + RIGHT_HAND_MEAN.astype(np.float32),
    }


def exchanged_hands(fields):
    return {"left_hand_pose": fields["right_hand_pose"], "right_hand_pose": fields["left_hand_pose"]}


def columns_as_rows(matrices, vectors):
    return {name: np.swapaxes(value, -1, -2) for name, value in matrices.items()}, vectors


def frame_before(matrices, vectors):
    return tuple({n: np.roll(v, 1, axis=1) for n, v in part.items()} for part in (matrices, vectors))


def other_person(matrices, vectors):
    return tuple({n: v[::-1] for n, v in part.items()} for part in (matrices, vectors))


# What is planted -> (tree, how, mesh in mm, joints in px: at least this must be reported).
MUTATIONS = {
    "centre of the camera taken for a translation": ("fit3d", with_camera(centre_as_translation), 1000, 0),
    "rotation of the camera the wrong way round": ("fit3d", with_camera(turned_back), 1000, 0),
    "rest pelvis forgotten": ("fit3d", replaced(imar_json, "parameters_to_camera", without_offset), 200, 50),
    "hands read as deviations from the mean": ("fit3d", with_fields(with_means), 10, 1),
    "hands exchanged": ("humansc3d", with_fields(exchanged_hands), 10, 1),
    "matrices read by columns": ("humansc3d", with_fits(columns_as_rows), 200, 30),
    "labels of the frame before": ("humansc3d", with_fits(frame_before), 50, 10),
    "person with markers taken for the other": ("chi3d", with_fits(other_person), 200, 30),
    "pinhole on the pixels of the lens": ("fit3d", with_camera(averaged), 0, 3),
    "lens forgotten": ("fit3d", with_camera(lambda _: {"distortion": None}), 0, 0.5),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_planted_error_is_reported(name, trees, monkeypatch):
    dataset, plant, mesh_mm, joints_px = MUTATIONS[name]
    plant(monkeypatch)
    found = reported(trees[dataset])
    LOG.info("%s: mesh %.1f mm, joints %.1f px", name, *found[:2])
    assert found[0] >= mesh_mm
    assert np.isnan(found[1]) or found[1] >= joints_px  # nobody is seen who stands behind the camera


def test_the_frame_before_is_seen_in_the_picture(trees, monkeypatch):
    monkeypatch.setattr(imar_json, "VideoFrame", lambda path, index: VideoFrame(path, max(index - 1, 0)))
    frames = [frame for frame in converted("chi3d", trees["chi3d"].root, "train") if isinstance(frame, Frame)]
    assert any(number_of(frame.image.read()) != frame.frame_index for frame in frames)
