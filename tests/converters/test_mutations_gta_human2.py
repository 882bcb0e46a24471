"""GTA-Human II's known label errors, each planted on purpose: all show up as distances.

The bounds are well below what was measured; ``pytest --log-cli-level=INFO`` shows the figures.
"""

import numpy as np
import pytest

from ehps.body.hands import to_absolute
from ehps.converters import gta_human2
from ehps.tests.raw._planting import assert_reported, planted_tree, wrapped

FLIPPED = [99 - bone for bone in range(100)]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return planted_tree("gta_human2", tmp_path_factory.mktemp("gta"))


def with_means(fit):
    sides = [side for side in ("left", "right") if f"{side}_hand_pose" in fit]
    return {**fit, **{f"{side}_hand_pose": to_absolute(fit[f"{side}_hand_pose"], side) for side in sides}}


def with_column(name, change):
    return lambda columns: {**columns, name: change(columns[name])} if name in columns else columns


def swapped(basis):
    return {"left": basis["right"], "right": basis["left"]}


def swapped_columns(columns):
    if "left_hand_pose" not in columns:
        return columns
    return {**columns, "left_hand_pose": columns["right_hand_pose"], "right_hand_pose": columns["left_hand_pose"]}


def as_horizontal(facts):
    return {**facts, "fov": np.degrees(2 * np.arctan(np.tan(np.radians(facts["fov"] / 2)) * 9 / 16))}


def few(basis):
    return {side: components * (np.arange(24) < 6)[:, None] for side, components in basis.items()}


# What is planted -> (how, mesh in mm, joints in px, keypoints in px: at least this must be reported).
MUTATIONS = {
    "hand mean added to absolute hands": (wrapped(gta_human2, "_fit", with_means), 20, 5, 0),
    "components of the other hand": (wrapped(gta_human2, "read_hand_components", swapped), 20, 5, 0),
    "coefficients of the other hand": (wrapped(gta_human2, "load_columns", swapped_columns), 10, 2, 0),
    "six components of twenty-four": (wrapped(gta_human2, "read_hand_components", few), 5, 1, 0),
    "field of view taken as horizontal": (wrapped(gta_human2, "read_scalars", as_horizontal), 0, 200, 0),
    "millimetres taken for metres": (
        wrapped(gta_human2, "load_columns", with_column("transl", lambda transl: 1000 * transl)),
        *(1000, 100, 0),
    ),
    "root and first joint off by one": (
        wrapped(gta_human2, "load_columns", with_column("body_pose", lambda pose: np.roll(pose, 3, axis=1))),
        *(100, 20, 0),
    ),
    "bones in another order": (
        wrapped(gta_human2, "load_columns", with_column("keypoints_2d", lambda points: points[:, FLIPPED])),
        *(0, 0, 100),
    ),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_planted_error_is_reported(name, tree, monkeypatch):
    plant, *bounds = MUTATIONS[name]
    assert_reported(name, plant, tree, bounds, monkeypatch)
