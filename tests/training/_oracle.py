"""People in a known camera, their picture, and a network that answers as well as its crop's camera allows."""

from dataclasses import dataclass

import numpy as np

from ehps.body.cameras import project
from ehps.body.draw import render_mesh
from ehps.body.standin import standin_vertex_colors
from ehps.tests.raw import _people as people
from ehps.training.compat import INPUT_HEIGHT, INPUT_WIDTH
from ehps.training.crops import crop_box
from ehps.training.outputs import FOCAL
from ehps.training.picture_camera import Sight, solve_translation
from ehps.training.predictor import PredictedPerson


def crop_camera(box_xywh):
    """K of a crop of a box, in px of the picture."""
    x, y, width, height = box_xywh
    return np.array(
        [
            [FOCAL / INPUT_WIDTH * width, 0, x + width / 2],
            [0, FOCAL / INPUT_HEIGHT * height, y + height / 2],
            [0, 0, 1],
        ]
    )


@dataclass
class Scene:
    """Some posed people before one camera."""

    K: np.ndarray
    size: tuple[int, int]  # width, height
    bodies: list
    joints: np.ndarray
    vertices: np.ndarray

    @property
    def boxes(self):
        """Tight boxes of the meshes, px."""
        pixels = project(self.vertices.astype(np.float64), self.K)
        return np.concatenate([pixels.min(axis=1), pixels.max(axis=1)], axis=1)

    def picture(self, rng):
        """The people as their camera sees them."""
        ground = people.backdrop(rng, self.size, "rendered")
        model = people.standin()
        return render_mesh(ground, self.vertices, model.triangles, self.K, color=standin_vertex_colors())


def scene(rng, K, size, pelvises):
    """People with their pelvises at some points of camera space (m)."""
    model = people.standin()
    bodies = [people.face_camera(people.random_parameters(rng), rng.uniform(-1, 1), 0.05) for _ in pelvises]
    bodies = people.place(model, bodies, np.asarray(pelvises, np.float64))
    return Scene(K, size, bodies, people.joints(model, bodies), people.vertices(model, bodies))


def seen_from_crop(scene, number, box_xywh):
    """One person as the best of networks answers: true pose, placed before the crop's camera by least squares."""
    body, joints = scene.bodies[number], scene.joints[number]
    K, own = crop_camera(box_xywh), joints[:22] - body["transl"]
    pixels = project(joints[:22], scene.K)
    start = np.array([[0.0, 0.0, 40.0]])
    transl = solve_translation(own[None], Sight(pixels[None], np.ones((1, 22), bool), K[None]), start).transl[0]
    shift = transl - body["transl"]
    return PredictedPerson(
        vertices=(scene.vertices[number] + shift).astype(np.float32),
        joints_3d=(joints + shift).astype(np.float32),
        parameters={name: np.float32(value) for name, value in (body | {"transl": transl}).items()},
        K=K,
    )


class Oracle:
    """Answers for the person of a scene whose box is nearest; counts what it is asked at a time."""

    def __init__(self, scene):
        self.scene, self.asked = scene, []

    def __call__(self, wanted):
        self.asked.append(len(wanted))
        return [self._answer(one) for one in wanted]

    def _answer(self, one):
        height, width = one.image().shape[:2]
        box = crop_box(np.asarray(one.bbox_xyxy), width, height)
        if box is None:
            return None
        centres = (self.scene.boxes[:, :2] + self.scene.boxes[:, 2:]) / 2
        middle = (one.bbox_xyxy[:2] + one.bbox_xyxy[2:]) / 2
        return seen_from_crop(self.scene, int(np.linalg.norm(centres - middle, axis=1).argmin()), box)
