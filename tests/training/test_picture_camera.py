"""People in the camera of the whole picture."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ehps.body.cameras import project
from ehps.errors import RecipeError
from ehps.tests.training._oracle import crop_camera, scene, seen_from_crop
from ehps.training.picture_camera import (
    NEAREST,
    CameraRule,
    Sight,
    centred_intrinsics,
    parsed_intrinsics,
    place_people,
    solve_translation,
)

K = centred_intrinsics(1000.0, 1280, 960)


def some_people(seed, pelvises, K=K):
    return scene(np.random.default_rng(seed), K, (1280, 960), pelvises)


def padded_crop(box):
    """The box that is cut for a person, xywh."""
    centre, side = (box[:2] + box[2:]) / 2, max(box[2] - box[0], (box[3] - box[1]) * 0.75) * 1.2
    return np.array([centre[0] - side / 2, centre[1] - side / 1.5, side, side / 0.75])


def placed(scene, K=None):
    """Everyone of a scene, sent through the cameras of their crops, in a camera."""
    crops = [seen_from_crop(scene, i, padded_crop(box)) for i, box in enumerate(scene.boxes)]
    return place_people(
        np.stack([one.joints_3d for one in crops]),
        np.stack([one.parameters["transl"] for one in crops]),
        np.stack([one.K for one in crops]),
        np.stack([scene.K if K is None else K] * len(crops)),
    )


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 999), depth=st.floats(1.0, 30), across=st.floats(-0.4, 0.4), focal=st.floats(400, 4000))
def test_a_translation_is_found_again_from_exact_pixels(seed, depth, across, focal):
    """The truth comes from the forward model, the start is far off."""
    own = np.random.default_rng(seed).normal(0, 0.25, (1, 22, 3)).clip(-0.6, 0.6)
    true, camera = np.array([[across * depth, 0.1 * depth, depth]]), centred_intrinsics(focal, 1280, 960)
    pixels = project(own + true, camera[None])
    for start in ([0.0, 0, 3], [5.0, 5, 50], [0.0, 0, -2]):
        found = solve_translation(own, Sight(pixels, np.ones((1, 22), bool), camera[None]), np.array([start]))
        np.testing.assert_allclose(found.transl, true, atol=1e-4)
        assert found.residual_px[0] < 1e-3


def test_posed_bodies_are_found_again_from_exact_pixels():
    people = some_people(1, [[0, 0, 1.3], [1.5, 0.2, 4], [-3, -1, 12]])
    transl = np.stack([body["transl"] for body in people.bodies])
    own, seen = people.joints[:, :22] - transl[:, None], project(people.joints[:, :22], K)
    start = transl + [0.5, -0.5, 2]
    found = solve_translation(own, Sight(seen, np.ones((3, 22), bool), np.stack([K] * 3)), start)
    np.testing.assert_allclose(found.transl, transl, atol=1e-4)


def test_under_the_camera_of_the_crop_nothing_moves():
    people = some_people(2, [[0, 0, 3], [1.2, 0.3, 5]])
    crops = [seen_from_crop(people, i, padded_crop(box)) for i, box in enumerate(people.boxes)]
    cameras, transl = (np.stack(x) for x in zip(*((one.K, one.parameters["transl"]) for one in crops), strict=True))
    found = place_people(np.stack([one.joints_3d for one in crops]), transl, cameras, cameras)
    np.testing.assert_allclose(found.transl, transl, atol=1e-4)
    np.testing.assert_allclose(found.residual_px, 0, atol=1e-4)


@pytest.mark.parametrize("focal", [300.0, 1500.0, 9000.0])
def test_of_flat_people_the_two_cameras_see_the_same(focal):
    """Weak perspective is exact where all joints have one depth, on and off the optical axis."""
    rng = np.random.default_rng(3)
    joints = np.concatenate([rng.normal(0, 0.4, (2, 22, 2)), np.zeros((2, 22, 1))], axis=2)
    transl = np.array([[0.1, 0.2, 40.0], [-0.3, 0, 31]])
    crops = np.stack([crop_camera([100, 50, 300, 400]), crop_camera([900, 500, 150, 200])])
    camera = np.stack([centred_intrinsics(focal, 1280, 960)] * 2)
    found = place_people(joints + transl[:, None], transl, crops, camera)
    seen, wanted = project(joints + found.transl[:, None], camera), project(joints + transl[:, None], crops)
    np.testing.assert_allclose(seen, wanted, atol=1e-4)
    np.testing.assert_allclose(found.transl[:, 2], transl[:, 2] * focal / crops[:, 0, 0], rtol=1e-6)


@pytest.mark.parametrize(("depth", "metres"), [(2.0, 0.08), (4.0, 0.12), (10.0, 0.25)])
def test_the_best_answer_before_the_crop_comes_back_near_the_truth(depth, metres):
    """A crop's camera flattens people: what that costs is a few hundredths of the distance."""
    people = some_people(4, [[x * depth, 0, depth] for x in (-0.3, -0.1, 0.1, 0.3)])
    found = placed(people)
    off = found.transl - np.stack([body["transl"] for body in people.bodies])
    assert np.abs(off[:, :2]).max() < metres / 2
    assert np.abs(off).max() < metres
    heights = people.boxes[:, 3] - people.boxes[:, 1]
    assert (found.residual_px < 0.05 * heights).all()


def test_only_what_the_crop_shows_counts():
    """A close-up of a head: legs that the network made up must not push the head away."""
    people = some_people(5, [[0, 0, 3.0]])
    box = people.boxes[0]
    head = np.array([box[0], box[1], box[2] - box[0], (box[3] - box[1]) / 3])
    crop, joints = seen_from_crop(people, 0, head), people.joints.copy()
    changed = np.stack([crop.joints_3d]).astype(np.float64)
    shown = np.abs(project(changed[0, :22], crop.K) - crop.K[:2, 2]) <= head[2:] / 2
    hidden = ~shown.all(axis=1)
    assert 4 <= (~hidden).sum() < 18
    changed[0, :22][hidden] += [3.0, 5.0, -2.0]
    arguments = np.stack([crop.parameters["transl"]]), crop.K[None], people.K[None]
    there = place_people(np.stack([crop.joints_3d]), *arguments)
    assert joints.shape == changed.shape
    np.testing.assert_allclose(place_people(changed, *arguments).residual_px, there.residual_px, atol=1e-3)


def test_nobody_who_counts_ends_behind_the_camera():
    """A wide camera and a close crop ask for a place in the middle of the body."""
    people = some_people(6, [[0, 0, 2.5]])
    found = placed(people, centred_intrinsics(20.0, 1280, 960))
    own = people.joints[0, :22] - people.bodies[0]["transl"]
    assert (own + found.transl[0])[:, 2].min() >= NEAREST - 1e-6


def test_the_camera_is_the_given_one_else_exif_else_the_diagonal():
    assert CameraRule(K=K, focal=None).camera_of(10, 10, 500.0).kind == "given"
    given, exif, assumed = (
        CameraRule(focal=700).camera_of(640, 480, 500.0),
        CameraRule().camera_of(640, 480, 500.0),
        CameraRule().camera_of(640, 480),
    )
    assert [(one.kind, one.K[0, 0]) for one in (given, exif, assumed)] == [
        ("given", 700),
        ("exif", 500),
        ("assumed", 800),
    ]
    np.testing.assert_array_equal(assumed.K, [[800, 0, 319.5], [0, 800, 239.5], [0, 0, 1]])


def test_a_camera_is_read_from_four_numbers():
    np.testing.assert_array_equal(parsed_intrinsics("1e3, 900,320,240.5"), [[1000, 0, 320], [0, 900, 240.5], [0, 0, 1]])
    for text in ("1,2,3", "a,b,c,d", "0,1,2,3", "inf,1,2,3", ""):
        with pytest.raises(RecipeError, match="camera"):
            parsed_intrinsics(text)
