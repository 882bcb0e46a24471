"""What prediction adds to the network: the camera of the picture, tracks, overlays, and pictures that are read.

The camera is solved beside SciPy's least squares for each person; the stream of pictures stands beside the network
alone, on people who are cut and decoded already in memory, which is its limit.
"""

import numpy as np
import pytest
from scipy.optimize import least_squares

from ehps.body.cameras import project
from ehps.body.posing import PosingModel
from ehps.shards.picture import decode_rgb, encode_jpeg
from ehps.tests.training._oracle import Oracle, scene
from ehps.training.boxes import Box
from ehps.training.network_size import NetworkSize
from ehps.training.overlays import draw_people
from ehps.training.picture_camera import centred_intrinsics, place_people
from ehps.training.prediction import LoadedPicture, Shot, predict_shots
from ehps.training.predictor import Predictor
from ehps.training.smplestx import SmplestX
from ehps.training.tracking import Tracker

pytestmark = pytest.mark.speed
SIZE = (1280, 960)
K = centred_intrinsics(1000.0, *SIZE)
PEOPLE, SOME, PICTURES = 256, 16, 32


@pytest.fixture(scope="module")
def crowd():
    """Eight people in one picture."""
    return scene(np.random.default_rng(0), K, SIZE, [[x, 0, 4 + x] for x in np.linspace(-1, 1, 8)])


@pytest.fixture(scope="module")
def picture(crowd):
    return crowd.picture(np.random.default_rng(1))


@pytest.fixture(scope="module")
def placed(crowd):
    """People before the cameras of their crops, and the camera in which they are wanted."""
    answers = Oracle(crowd)([_Person(box) for box in crowd.boxes])
    rows = [answers[i % len(answers)] for i in range(PEOPLE)]
    joints, transl, crops = (
        np.stack([value(row) for row in rows])
        for value in (lambda r: r.joints_3d, lambda r: r.parameters["transl"], lambda r: r.K)
    )
    return joints, transl, crops, np.stack([K] * PEOPLE)


class _Person:
    """A person of whom only the box counts."""

    def __init__(self, bbox_xyxy):
        self.bbox_xyxy = bbox_xyxy

    def image(self):
        return np.empty((*SIZE[::-1], 3), np.uint8)


@pytest.mark.benchmark(group="the picture's camera")
def test_all_people_at_once(benchmark, placed):
    assert benchmark(place_people, *placed).transl.shape == (PEOPLE, 3)
    benchmark.extra_info["people"] = PEOPLE


@pytest.mark.benchmark(group="the picture's camera")
def test_scipy_for_each_person(benchmark, placed):
    joints, transl, crops, cameras = (values[:SOME].astype(np.float64) for values in placed)
    seen = project(joints[:, :22], crops)

    def place(i):
        own = joints[i, :22] - transl[i]
        start = transl[i] * [1, 1, cameras[i, 0, 0] / crops[i, 0, 0]]
        return least_squares(lambda t: (project(own + t, cameras[i]) - seen[i]).ravel(), start).x

    found = benchmark(lambda: np.stack([place(i) for i in range(SOME)]))
    benchmark.extra_info["people"] = SOME
    np.testing.assert_allclose(found, place_people(joints, transl, crops, cameras).transl, atol=0.01)


@pytest.mark.benchmark(group="tracks")
def test_a_video_of_eight_people(benchmark, crowd):
    boxes = [Box(box) for box in crowd.boxes]
    benchmark(Tracker().number, boxes)
    benchmark.extra_info["people"] = len(boxes)


@pytest.mark.benchmark(group="overlays")
def test_a_picture_of_eight_people(benchmark, crowd, picture, standin_dir):
    shot = Shot("a.jpg", None, lambda: LoadedPicture(picture))
    (posed,) = predict_shots(Oracle(crowd), [shot], lambda *_: [Box(box) for box in crowd.boxes])
    faces = PosingModel.load(standin_dir).triangles
    assert benchmark(draw_people, posed, faces).shape == picture.shape
    benchmark.extra_info["people"] = len(crowd.boxes)


@pytest.fixture(scope="module")
def predictor(standin_dir):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EHPS_BODY_MODELS", str(standin_dir))
        return Predictor(SmplestX(NetworkSize(192, 4, 3, 0.0, 64)))


@pytest.mark.benchmark(group="pictures of one person each")
def test_pictures_from_jpeg(benchmark, predictor, crowd, picture):
    data, box = encode_jpeg(picture), Box(crowd.boxes[3])
    shots = [Shot(str(i), None, lambda: LoadedPicture(decode_rgb(data))) for i in range(PICTURES)]
    found = benchmark(lambda: list(predict_shots(predictor, shots, lambda *_: [box], threads=2)))
    benchmark.extra_info["people"] = sum(len(posed.people) for posed in found)


@pytest.mark.benchmark(group="pictures of one person each")
def test_the_network_alone(benchmark, predictor, crowd):
    box = crowd.boxes[3]
    cut = predictor._cut(_Person(box))
    benchmark(lambda: [predictor._pose([cut] * 16) for _ in range(PICTURES // 16)])
    benchmark.extra_info["people"] = PICTURES
