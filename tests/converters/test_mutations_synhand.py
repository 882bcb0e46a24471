"""SynHand's known label errors, each planted on purpose: all show up as distances.

The bounds are well below what was measured; ``pytest --log-cli-level=INFO`` shows the figures.
"""

from dataclasses import replace

import numpy as np
import pytest

from ehps.body.hands import to_absolute
from ehps.converters import synhand
from ehps.converters.formats.humandata import PARAMETERS, HumanDataFile
from ehps.converters.formats.npz_stream import as_rows
from ehps.tests.raw._planting import assert_reported, planted_tree, replaced, wrapped


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return planted_tree("synhand", tmp_path_factory.mktemp("synhand"))


def with_people(change):
    """Return a planted error: every person changed before it leaves the converter."""
    before = synhand._before_camera
    return replaced(synhand, "_before_camera", lambda person: change(before(person)))


def with_means(person):
    hands = {f"{side}_hand_pose": to_absolute(getattr(person, f"{side}_hand_pose"), side) for side in ("left", "right")}
    return replace(person, **hands)


def swapped(person):
    return replace(person, left_hand_pose=person.right_hand_pose, right_hand_pose=person.left_hand_pose)


def as_neutral(person):
    return replace(person, gender="neutral")


def turned_over(person):
    """Pixels turned over once more, as the owner's converter does to undo what its camera does."""
    points = person.keypoints_2d.copy()
    points[:, :2] = np.where(points[:, 2:] > 0, 2 * np.array([128.0, 128.0]) - points[:, :2], 0)
    return replace(person, keypoints_2d=points.astype(np.float32))


def row_before(block):
    return {name: np.roll(values, 1, axis=0) if name in PARAMETERS else values for name, values in block.items()}


def with_refit(monkeypatch):
    """Plant the betas of the neutral refit, which the released loader prefers."""
    blocks = HumanDataFile.blocks

    def refitted(file, *rows):
        for block in blocks(file, *rows):
            yield {**block, "betas": as_rows(file.npz["smplx"]["betas_neutral"]).read().astype(np.float32)}

    monkeypatch.setattr(HumanDataFile, "blocks", refitted)


# What is planted -> (how, mesh in mm, joints in px, keypoints in px: at least this must be reported).
MUTATIONS = {
    "hand mean added to absolute hands": (with_people(with_means), 20, 5, 0),
    "left and right hand exchanged": (with_people(swapped), 20, 5, 0),
    "everyone posed as neutral": (with_people(as_neutral), 5, 1, 0),
    "betas of the neutral refit": (with_refit, 5, 1, 0),
    "pixels turned over": (with_people(turned_over), 0, 0, 20),
    "labels of the row before": (
        wrapped(HumanDataFile, "blocks", lambda blocks: map(row_before, blocks)),
        *(50, 5, 0),
    ),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_planted_error_is_reported(name, tree, monkeypatch):
    plant, *bounds = MUTATIONS[name]
    assert_reported(name, plant, tree, bounds, monkeypatch)
