"""UBody's known label errors, each planted on purpose: all show up as distances.

The bounds are well below what was measured; ``pytest --log-cli-level=INFO`` shows the figures.
"""

import numpy as np
import pytest

from ehps.body.cameras import intrinsics
from ehps.converters import ubody
from ehps.converters.formats import coco_json, neuralannot_json
from ehps.converters.formats.coco_json import CocoImage, clipped_box
from ehps.shards.record import Camera
from ehps.tests.raw._planting import assert_reported, planted_tree, replaced, wrapped

# The order in which MMHuman3D joins the parts is the convention's; hands before the face are not.
FACE_LAST = dict(sorted(coco_json._WHOLE_BODY.items(), key=lambda item: item[0] == "face_kpts"))


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return planted_tree("ubody", tmp_path_factory.mktemp("ubody"))


def made_again(monkeypatch):
    """The camera of the square crop of NeuralAnnot's own fits, computed from the box."""
    original = neuralannot_json.fitted

    def fitted(key, person, fit, annotation, image, file):
        left, top, width, height = clipped_box(annotation["bbox"], image.width, image.height)
        focal = 5000 * 1.25 * max(width, height) / 256
        camera = {"focal": np.array([focal, focal]), "princpt": np.array([left + width / 2, top + height / 2])}
        return original(key, person, {**fit, "cam_param": camera}, annotation, image, file)

    monkeypatch.setattr(ubody, "fitted", fitted)


def metric_camera(fit):
    """The camera that a picture of 1280 x 720 has at 55 degrees: the fit's own is thrown away."""
    return Camera(K=intrinsics(1200.0, 1200.0, 640.0, 360.0), kind="virtual_crop")


def of_the_neighbour(fits):
    """Fits by their place in the file, where annotations without one make the numbers part."""
    return dict(zip(fits, [*list(fits.values())[1:], *list(fits.values())[:1]], strict=True))


def stretched(entries):
    """Keypoints of a picture that was extracted at two thirds of its size."""
    for _, annotations in entries:
        for _, annotation in annotations:
            annotation["keypoints"] = annotation["keypoints"].reshape(-1, 3) * [1.5, 1.5, 1]
            annotation["keypoints"] = annotation["keypoints"].ravel()
    return entries


def swapped(fields):
    return {**fields, "left_hand_pose": fields["right_hand_pose"], "right_hand_pose": fields["left_hand_pose"]}


# What is planted -> (how, mesh in mm, joints in px, keypoints in px: at least this must be reported).
MUTATIONS = {
    "camera of a square crop": (made_again, 0, 20, 0),
    "metric camera in place of the crop's": (replaced(neuralannot_json, "fit_camera", metric_camera), 0, 100, 0),
    "fits by their place in the file": (wrapped(ubody, "read_fits", of_the_neighbour), 100, 20, 0),
    "hand mean forgotten": (replaced(neuralannot_json, "to_absolute", lambda pose, _: pose), 20, 3, 0),
    "left and right hand swapped": (wrapped(neuralannot_json, "fit_fields", swapped), 20, 3, 0),
    "hands before the face": (replaced(coco_json, "_WHOLE_BODY", FACE_LAST), 0, 0, 50),
    "keypoints of a picture of another size": (wrapped(ubody, "read_entries", stretched), 0, 0, 50),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_planted_error_is_reported(name, tree, monkeypatch):
    plant, *bounds = MUTATIONS[name]
    assert_reported(name, plant, tree, bounds, monkeypatch)


def test_a_camera_that_does_not_belong_to_the_box_is_measured():
    """Without the truth, too: crop_mismatch tells it of every person."""
    image = CocoImage("a.png", 1280, 720)
    box = clipped_box(np.array([200.0, 100.0, 300.0, 500.0]), image.width, image.height)
    focal = 5000 * 1.25 * max(box[2] * 256 / 192, box[3]) / 256
    fits = [{"cam_param": {"focal": np.array([factor * focal] * 2)}} for factor in (1.0, 1.2)]
    small, large = (neuralannot_json.crop_mismatch(fit, box) for fit in fits)
    assert small < 1e-6 < 0.1 < large
