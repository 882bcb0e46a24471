"""TalkSHOW's known label errors, each planted on purpose: all show up as distances.

The bounds are well below what was measured; ``pytest --log-cli-level=INFO`` shows the figures.
"""

import numpy as np
import pytest

from ehps.converters import talkshow
from ehps.converters.formats import show_pickle
from ehps.tests.raw._planting import assert_reported, planted_tree, replaced, wrapped

LEGS = [0, 1, 3, 4, 6, 7, 9, 10]  # joints 1, 2, 4, 5, 7, 8, 10, 11 of the body


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return planted_tree("talkshow", tmp_path_factory.mktemp("talkshow"))


def with_column(name, change):
    return lambda clip: clip._replace(columns={**clip.columns, name: change(clip.columns[name])})


def right_as_left(clip):
    return clip._replace(columns={**clip.columns, "right_hand_pose": clip.columns["left_hand_pose"]})


def standing(pose):
    return np.where(np.isin(np.arange(21), LEGS)[:, None], 0, pose)


def few(components):
    return {side: basis * (np.arange(12) < 4)[:, None] for side, basis in components.items()}


def exchanged(components):
    return {"left": components["right"], "right": components["left"]}


# What is planted -> (how, mesh in mm, joints in px: at least this must be reported).
MUTATIONS = {
    "left hand copied into the right one": (wrapped(talkshow, "read_clip", right_as_left), 20, 5),
    "camera's translation not turned over": (replaced(show_pickle, "_TO_CAMERA", np.ones(3)), 1000, 200),
    "camera's y alone not turned over": (replaced(show_pickle, "_TO_CAMERA", np.array([-1.0, 1.0, 1.0])), 1000, 200),
    "hands taken for absolute": (replaced(show_pickle, "to_absolute", lambda pose, _side: pose), 20, 5),
    "components of the other hand": (wrapped(talkshow, "hand_components", exchanged), 20, 5),
    "four components of twelve": (wrapped(talkshow, "hand_components", few), 2, 0.4),
    "legs replaced by a standing pose": (wrapped(talkshow, "read_clip", with_column("body_pose", standing)), 50, 10),
    "labels of the frame before": (
        wrapped(talkshow, "read_clip", with_column("body_pose", lambda pose: np.roll(pose, 1, axis=0))),
        *(50, 10),
    ),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_planted_error_is_reported(name, tree, monkeypatch):
    plant, *bounds = MUTATIONS[name]
    assert_reported(name, plant, tree, (*bounds, 0), monkeypatch)
