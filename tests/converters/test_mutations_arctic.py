"""ARCTIC's known label errors, each planted on purpose: all show up as distances.

The bounds are well below what was measured; ``pytest --log-cli-level=INFO`` shows the figures.
"""

from dataclasses import replace

import numpy as np
import pytest

from ehps.body.cameras import parameters_to_camera
from ehps.body.hands import HAND_MEANS
from ehps.converters.formats import arctic_files, arctic_sequence
from ehps.tests.raw._planting import assert_reported, planted_tree, replaced, wrapped


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return planted_tree("arctic", tmp_path_factory.mktemp("arctic"), frames=2)


def without_offset(orient, transl, offset, T):
    return parameters_to_camera(orient, transl, 0 * offset, T)


def with_mean(bodies):
    """Return bodies whose hands are taken for deviations, as MANO's beside them are."""
    hands = {f"{side}_hand_pose": bodies[f"{side}_hand_pose"] + mean for side, mean in HAND_MEANS.items()}
    return {**bodies, **hands}


def hands_swapped(bodies):
    return {**bodies, "left_hand_pose": bodies["right_hand_pose"], "right_hand_pose": bodies["left_hand_pose"]}


def one_frame_late(bodies):
    return {name: np.roll(values, 1, axis=0) for name, values in bodies.items()}


def views_from_zero(subject):
    """Return a subject whose fixed cameras are taken for the views 0 to 7."""
    return replace(subject, cameras=(*subject.cameras[1:], subject.cameras[0]))


def without_template(directory, gender, _):
    return arctic_files.Bodies(directory).model("smplx", gender, 10)


# What is planted -> (how, mesh in mm, joints in px: at least this must be reported).
MUTATIONS = {
    "rest pelvis forgotten": (replaced(arctic_sequence, "parameters_to_camera", without_offset), 100, 15),
    "pelvis of the model's own template": (replaced(arctic_sequence, "personal_model", without_template), 2, 0.3),
    "mean hand added": (wrapped(arctic_sequence, "read_bodies", with_mean), 10, 2),
    "hands swapped": (wrapped(arctic_sequence, "read_bodies", hands_swapped), 10, 2),
    "offset of the pictures forgotten by one": (wrapped(arctic_sequence, "read_bodies", one_frame_late), 100, 15),
    "views counted from zero": (wrapped(arctic_sequence, "read_subject", views_from_zero), 500, 10),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_planted_error_is_reported(name, tree, monkeypatch):
    plant, *bounds = MUTATIONS[name]
    assert_reported(name, plant, tree, (*bounds, 0), monkeypatch)
