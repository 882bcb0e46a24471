"""Drawing one body of 20,908 faces, 600 px high, beside the plain reading and writing of the same picture."""

import cv2
import numpy as np
import pytest

from ehps.body.draw import render_mesh
from ehps.body.posing import PosingModel

pytestmark = [pytest.mark.speed, pytest.mark.benchmark(group="draw a body at 1280x720")]
K = np.array([[1050.0, 0, 640], [0, 1050, 50], [0, 0, 1]])
IMAGE = np.random.default_rng(0).integers(0, 255, (720, 1280, 3), np.uint8)


@pytest.fixture(scope="module")
def body(standin_dir):
    model = PosingModel.load(standin_dir)
    pose = {"betas": np.zeros((1, 10)), "global_orient": np.array([[np.pi, 0, 0]]), "transl": np.array([[0, 0, 3.0]])}
    return model.vertices(pose), model.triangles


def test_render_mesh(benchmark, body):
    assert benchmark(render_mesh, IMAGE, *body, K).shape == IMAGE.shape


def test_convex_polygons_of_opencv(benchmark, body):
    """The painter's way: every face that looks at the camera, farthest first, filled by OpenCV."""
    (vertices,), faces = body
    pixels = vertices @ K.T
    pixels = pixels[:, :2] / pixels[:, 2:]

    def draw() -> np.ndarray:
        out = IMAGE.copy()
        a, b, c = (pixels[faces[:, i]] for i in range(3))
        (ax, ay), (bx, by) = (b - a).T, (c - a).T
        seen = np.flatnonzero(ax * by - ay * bx < 0)
        for face in seen[np.argsort(-vertices[faces[seen], 2].mean(axis=1))]:
            cv2.fillConvexPoly(out, np.round(pixels[faces[face]]).astype(np.int32), (200, 160, 140))
        return out

    assert benchmark(draw).shape == IMAGE.shape


def test_png_round_trip_of_the_picture(benchmark):
    assert benchmark(lambda: cv2.imdecode(cv2.imencode(".png", IMAGE)[1], cv2.IMREAD_COLOR)).shape == IMAGE.shape
