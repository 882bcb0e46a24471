"""EFT's files are read in a tenth of the room, and a network's matrices become rotations."""

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ehps.body.rotations import axis_angle_to_matrix
from ehps.converters.formats.eft_json import by_annotation, fit_box, fit_camera, nearest_rotations, read_eft

ANGLES = arrays(np.float64, (4, 3), elements=st.floats(-3, 3))


def item(**changes):
    own = {
        "parm_pose": np.tile(np.eye(3), (24, 1, 1)).tolist(),
        "parm_shape": [0.1] * 10,
        "parm_cam": [0.9, 0.0, 0.1],
        "bbox_scale": 1.5,
        "bbox_center": [320.0, 200.0],
        "gt_keypoint_2d": np.arange(147.0).reshape(49, 3).tolist(),
        "annotId": 12,
        "imageName": "COCO_train2014_000000000009.jpg",
    }
    return own | changes


def write(path, *items):
    path.write_text(json.dumps({"ver": 1.0, "data": items, "meta": {}}))
    return path


@given(angles=ANGLES, noise=arrays(np.float64, (4, 3, 3), elements=st.floats(-0.01, 0.01)))
def test_matrices_that_are_nearly_rotations_become_the_nearest(angles, noise):
    true = axis_angle_to_matrix(angles)
    found = nearest_rotations(true + noise)
    assert np.abs(found @ np.swapaxes(found, -1, -2) - np.eye(3)).max() < 1e-9
    assert np.abs(np.linalg.det(found) - 1).max() < 1e-9
    assert np.abs(found - true).max() < 0.05
    assert np.abs(nearest_rotations(true) - true).max() < 1e-9


def test_fits_are_small_and_know_their_place(tmp_path):
    path = write(tmp_path / "a.json", item(), item(imageName="sub/im00004.png", annotId=[7], gt_keypoint_2d=None))
    fits = read_eft(path)
    (first,), (second,) = fits.values()
    assert list(fits) == ["COCO_train2014_000000000009.jpg", "im00004.png"]
    assert [first["row"], second["row"], second["annotId"]] == [0, 1, 7]
    assert first["parm_pose"].dtype == first["points"].dtype == np.float32
    np.testing.assert_array_equal(first["points"][0], [75, 76, 77])
    assert second["points"] is None


def test_of_several_fits_of_a_person_the_first_counts(tmp_path):
    path = write(tmp_path / "a.json", item(bbox_scale=1.0), item(bbox_scale=2.0), item(annotId=5))
    fits = by_annotation(path)
    assert sorted(fits) == ["12", "5"]
    assert fits["12"]["bbox_scale"] == 1.0


def test_the_camera_sees_its_box_as_224_pixels_at_focal_length_5000(tmp_path):
    (fit,) = by_annotation(write(tmp_path / "a.json", item())).values()
    left, top, right, bottom = fit_box(fit)
    K = fit_camera(fit).K
    assert [(left + right) / 2, (top + bottom) / 2] == [K[0, 2], K[1, 2]] == [320, 200]
    assert right - left == bottom - top == 300
    assert K[0, 0] == K[1, 1] == 5000 * 300 / 224
