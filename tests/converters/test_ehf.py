"""What only EHF does: meshes instead of parameters, in a capture space of their own."""

import cv2
import numpy as np
import pytest

from ehps.body.cameras import project, transform_points
from ehps.body.keypoints import CONVENTIONS
from ehps.converters import ehf, list_sources
from ehps.shards.record import Frame
from ehps.tests.raw import ehf as fake
from ehps.tests.raw._recovery import converted


@pytest.fixture(scope="module")
def root(tmp_path_factory, built):
    root = tmp_path_factory.mktemp("ehf")
    built(fake, root)
    return root


@pytest.fixture(scope="module")
def frames(root):
    return [record for record in converted("ehf", root, "test") if isinstance(record, Frame)]


def test_the_camera_is_the_one_of_expose():
    # The same rotation written out as a matrix.
    printed = [
        [0.99924469, -0.00488005, 0.03855168],
        [-0.01071995, -0.98820433, 0.15276544],
        [0.03735144, -0.15306333, -0.98751025],
    ]
    np.testing.assert_allclose(ehf.T_CAMERA_WORLD[:3, :3], printed, atol=1e-7)
    np.testing.assert_allclose(ehf.T_CAMERA_WORLD[:3, 3], [-0.03609917, 0.43416458, 2.37101226])


def test_the_camera_file_of_the_archive_puts_a_point_where_the_converter_does():
    # EHF_camera.txt: focal length, principal point, rotation vector and translation of the owner's readme.
    R, _ = cv2.Rodrigues(np.array([-2.98747896, 0.01172457, -0.05704687]))
    point = R @ np.array([0.1, 1.2, 0.05]) + np.array([-0.03609917, 0.43416458, 2.37101226])
    owner = 1498.22426237 * point[:2] / point[2] + np.array([790.263706, 578.90334])
    ours = project(transform_points(ehf.T_CAMERA_WORLD, np.array([[0.1, 1.2, 0.05]])), ehf.K)[0]
    np.testing.assert_allclose(ours, owner, atol=1e-4)
    np.testing.assert_allclose(ours, [832.1646, 57.6583], atol=1e-3)


def test_meshes_are_fitted_to_scans_and_not_measured(frames):
    for frame in frames:
        labels = frame.people[0].labels
        assert (labels.body, labels.left_hand, labels.right_hand, labels.face) == ("fitted",) * 4
        assert labels.shape is None


def test_pictures_are_counted_as_numbers(frames):
    assert [frame.frame_index for frame in frames] == [1, 2, 100]


def test_records_hold_a_mesh_and_no_parameters(frames):
    for frame in frames:
        (person,) = frame.people
        assert person.vertices.shape == (10475, 3)
        assert person.body_model == "smplx"
        assert (person.body_pose, person.betas, person.transl, person.gender) == (None,) * 4


def test_people_stand_upright(frames):
    for frame in frames:
        heights = frame.people[0].vertices[:, 1]
        assert np.ptp(heights) > 0.7
        assert frame.people[0].keypoints_2d[0, 1] < frame.people[0].keypoints_2d[8, 1], "nose above pelvis"


def test_openpose_confidences_are_kept(frames):
    points = frames[0].people[0].keypoints_2d
    assert points.shape == (len(CONVENTIONS["openpose_137"]), 3)
    assert 0.3 < points[:, 2].min() < points[:, 2].max() < 1


def test_a_picture_in_which_openpose_found_nobody_has_no_keypoints(tmp_path, built):
    built(fake, tmp_path, frames=1, bad=False)
    (tmp_path / "100_2Djnt.json").write_text('{"people": []}')
    (frame,) = converted("ehf", tmp_path, "test")
    assert (frame.people[0].keypoints_2d, frame.people[0].labels.keypoints_2d) == (None, None)


def test_missing_keypoint_files_and_meshes_reject_the_picture(tmp_path, built):
    built(fake, tmp_path, frames=3, bad=False)
    (tmp_path / "01_2Djnt.json").unlink()
    (tmp_path / "02_align.ply").unlink()
    records = list(converted("ehf", tmp_path, "test"))
    assert [getattr(record, "reason", "frame") for record in records] == ["unreadable_labels"] * 2 + ["frame"]
    assert "02_align.ply: no such file" in records[1].detail


def test_the_archive_s_own_folder_may_be_kept(tmp_path, built):
    built(fake, tmp_path / "EHF", frames=2, bad=False)
    assert len(list(converted("ehf", tmp_path, "test"))) == 2
    assert len(list_sources("ehf", tmp_path, "test")) == 1
