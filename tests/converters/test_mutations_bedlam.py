"""Label errors that BEDLAM's releases invite beyond those of ``test_mutations.py``, each planted on purpose.

The bounds are well below what was measured; ``pytest --log-cli-level=INFO`` shows the figures.
"""

import numpy as np
import pytest

from ehps.body.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from ehps.converters import bedlam
from ehps.converters.formats import bedlam_tree
from ehps.converters.formats.video import VideoFrame
from ehps.tests.raw import bedlam as fake
from ehps.tests.raw._planting import assert_reported, planted_tree, replaced, wrapped
from ehps.tests.raw._recovery import converted
from ehps.tests.raw._videos import number_of


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return planted_tree("bedlam", tmp_path_factory.mktemp("bedlam"))


def with_shared_offset(columns):
    """The offset of the first person of a picture for everyone in it, as if cam_ext were the camera's pose."""
    first = {name: row for row, name in reversed(list(enumerate(columns["imgname"].tolist())))}
    return {**columns, "cam_ext": columns["cam_ext"][[first[name] for name in columns["imgname"].tolist()]]}


def turned_again(columns):
    """cam_ext applied to poses that are the camera's already."""
    R = columns["cam_ext"][:, :3, :3] @ axis_angle_to_matrix(columns["pose_cam"][:, :3])
    return {**columns, "pose_cam": np.concatenate([matrix_to_axis_angle(R), columns["pose_cam"][:, 3:]], axis=1)}


def with_one_camera(columns):
    """The first camera of a zoom for all of it."""
    return {**columns, "cam_int": np.broadcast_to(columns["cam_int"][:1], columns["cam_int"].shape)}


# What is planted -> (how, mesh in mm, joints in px, keypoints in px: at least this must be reported).
MUTATIONS = {
    "cam_ext taken for the picture's": (wrapped(bedlam, "load_columns", with_shared_offset), 300, 100, 0),
    "camera's rotation applied twice": (wrapped(bedlam, "load_columns", turned_again), 100, 50, 0),
    "one focal length for a whole zoom": (wrapped(bedlam, "load_columns", with_one_camera), 0, 1, 0),
    "videos turned like the pictures": (replaced(bedlam, "VIDEOS", "nothing"), 0, 200, 200),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_planted_error_is_reported(name, tree, monkeypatch):
    plant, *bounds = MUTATIONS[name]
    if name.startswith("videos"):  # rejected for its size unless nobody looks
        original = bedlam.assemble
        monkeypatch.setattr(bedlam, "assemble", lambda *a, **fields: original(*a, **{**fields, "expected_size": None}))
    assert_reported(name, plant, tree, bounds, monkeypatch)


def test_a_video_read_one_frame_late_is_noticed(tree, monkeypatch):
    monkeypatch.setattr(bedlam_tree, "VideoFrame", lambda path, index: VideoFrame(path, index + 1))
    frame = next(frame for frame in converted("bedlam", tree.root, "train") if frame.key.startswith(fake.VIDEO))
    assert number_of(frame.image.read()) == frame.frame_index + 1
