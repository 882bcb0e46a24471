"""From pictures and boxes to posed people."""

import threading

import numpy as np
import pytest

from ehps.body.cameras import project
from ehps.errors import PictureError
from ehps.tests.training._oracle import Oracle, scene
from ehps.training.boxes import Box
from ehps.training.network_size import NetworkSize
from ehps.training.picture_camera import CameraRule, centred_intrinsics
from ehps.training.prediction import LoadedPicture, Shot, predict_people, predict_shots, tracked
from ehps.training.predictor import BATCH_SIZE, Predictor
from ehps.training.smplerx import SmplerX
from ehps.training.smplestx import SmplestX

SIZE = (320, 240)
K = centred_intrinsics(400.0, *SIZE)
NETWORK = NetworkSize(embed_dim=16, depth=1, num_heads=2, drop_path_rate=0.0, dim_out=8)


@pytest.fixture(scope="module")
def couple():
    return scene(np.random.default_rng(0), K, SIZE, [[-0.7, 0, 3.2], [0.8, 0.1, 3.8]])


@pytest.fixture(scope="module")
def picture(couple):
    return couple.picture(np.random.default_rng(1))


def boxes_of(scene):
    return [Box(box, 0.5, number) for number, box in enumerate(scene.boxes)]


def shots(picture, count, focal=None):
    return [Shot(f"{i:03d}.jpg", None, lambda: LoadedPicture(picture, focal)) for i in range(count)]


def test_people_stand_on_the_picture_under_one_camera(couple, picture):
    found = predict_people(Oracle(couple), picture, boxes_of(couple), CameraRule(K))
    for person, body, joints, box in zip(found, couple.bodies, couple.joints, couple.boxes, strict=True):
        np.testing.assert_array_equal(person.K, K)
        np.testing.assert_allclose(person.parameters["transl"], body["transl"], atol=0.12)
        seen, wanted = project(person.joints_3d[:22].astype(np.float64), K), project(joints[:22], K)
        assert np.abs(seen - wanted).max() < 0.06 * (box[3] - box[1])
        assert person.residual_px < 0.03 * (box[3] - box[1])
        np.testing.assert_allclose(person.vertices - person.vertices[0], _own(couple, body), atol=1e-4)


def _own(couple, body):
    vertices = couple.vertices[[one is body for one in couple.bodies].index(True)]
    return vertices - vertices[0]


def test_mesh_joints_and_translation_move_together(couple, picture):
    person = predict_people(Oracle(couple), picture, boxes_of(couple))[1]
    (answer,) = Oracle(couple)([_boxed(picture, couple.boxes[1])])
    shift = person.parameters["transl"] - person.transl_crop
    np.testing.assert_allclose(person.joints_3d - answer.joints_3d, np.tile(shift, (144, 1)), atol=1e-4)
    np.testing.assert_allclose(person.vertices - answer.vertices, np.tile(shift, (10475, 1)), atol=1e-4)
    np.testing.assert_allclose(person.K_crop, answer.K)
    np.testing.assert_array_equal(person.parameters["left_hand_pose"], answer.parameters["left_hand_pose"])


def _boxed(picture, box):
    from ehps.training.prediction import _Boxed

    return _Boxed(picture, Box(box), 1.2)


def test_distance_goes_with_the_focal_length(couple, picture):
    near, far = (
        predict_people(Oracle(couple), picture, boxes_of(couple), CameraRule(focal=focal))[0] for focal in (400, 4000)
    )
    assert far.joints_3d[0, 2] / near.joints_3d[0, 2] == pytest.approx(10, rel=0.05)


def test_a_box_outside_of_the_picture_has_no_answer(couple, picture):
    outside = Box(np.array([500.0, 0, 600, 100]))
    found = predict_people(Oracle(couple), picture, [outside, *boxes_of(couple)])
    assert [one is None for one in found] == [True, False, False]
    (posed,) = predict_shots(Oracle(couple), shots(picture, 1), lambda *_: [outside, boxes_of(couple)[1]])
    assert posed.num_outside == 1
    assert [person.box.track for person in posed.people] == [1]


def test_batches_are_full_over_the_borders_of_pictures(couple, picture):
    oracle, counts = Oracle(couple), [0, 2, 1, 0, 2] * 6
    people = [[boxes_of(couple)[i % 2] for i in range(count)] for count in counts]
    found = list(
        predict_shots(oracle, shots(picture, len(counts)), lambda shot, _: people[int(shot.source[:3])], threads=3)
    )
    assert [posed.shot.source for posed in found] == [f"{i:03d}.jpg" for i in range(len(counts))]
    assert [len(posed.people) for posed in found] == counts
    assert oracle.asked == [BATCH_SIZE] * (sum(counts) // BATCH_SIZE) + [sum(counts) % BATCH_SIZE]
    alone = predict_people(oracle, picture, boxes_of(couple))
    for one, other in zip(found[-1].people, alone, strict=True):
        np.testing.assert_array_equal(one.parameters["transl"], other.parameters["transl"])


def test_pictures_without_people_do_not_pile_up_behind_somebody(couple, picture):
    taken = []

    def load():
        taken.append(1)
        return LoadedPicture(picture)

    many = [Shot(str(i), None, load) for i in range(200)]
    first = next(predict_shots(Oracle(couple), many, lambda shot, _: boxes_of(couple)[: shot.source == "0"]))
    assert first.shot.source == "0"
    assert len(taken) < 80


def test_threads_read_ahead_and_boxes_are_asked_for_in_order(couple, picture):
    met, order = threading.Barrier(3, timeout=20), []

    def load():
        met.wait()  # passes only when three pictures are being read at a time
        return LoadedPicture(picture)

    def find(shot, _):
        order.append((shot.source, threading.current_thread() is threading.main_thread()))
        return []

    assert len(list(predict_shots(Oracle(couple), [Shot(str(i), None, load) for i in range(6)], find, threads=3))) == 6
    assert order == [(str(i), True) for i in range(6)]


def test_a_damaged_picture_says_why_and_the_others_go_on(couple, picture):
    def damaged():
        raise PictureError("b.jpg", "damaged_image", "it is cut off")

    some = [*shots(picture, 1), Shot("b.jpg", None, damaged), *shots(picture, 1)]
    found = list(predict_shots(Oracle(couple), some, lambda *_: boxes_of(couple)))
    assert [posed.problem for posed in found] == ["", "b.jpg: it is cut off", ""]
    assert [len(posed.people) for posed in found] == [2, 0, 2]


def test_the_focal_length_of_the_file_counts(couple, picture):
    (posed,) = predict_shots(Oracle(couple), shots(picture, 1, 777.0), lambda *_: boxes_of(couple))
    assert (posed.camera.kind, posed.people[0].K[0, 0]) == ("exif", 777)


def test_each_video_numbers_its_own_people():
    find = tracked(lambda shot, _: [Box(np.array([shot.frame * 2.0, 0, shot.frame * 2.0 + 40, 80]))])
    numbers = [
        [box.track for box in find(Shot(source, frame, lambda: None), np.zeros((1, 1, 3), np.uint8))]
        for frame in range(3)
        for source in ("u.mp4", "v.mp4")
    ]
    assert numbers == [[0]] * 6
    assert find(Shot("u.mp4", 500, lambda: None), np.zeros((1, 1, 3), np.uint8))[0].track == 1


@pytest.mark.parametrize("kind", [SmplestX, SmplerX])
def test_either_network_predicts(kind, couple, picture):
    found = predict_people(Predictor(kind(NETWORK), "cpu"), picture, boxes_of(couple))
    for person in found:
        assert person.vertices.shape == (10475, 3)
        assert np.isfinite(person.joints_3d).all()
        assert person.joints_3d[0, 2] > 0
