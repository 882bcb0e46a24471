"""Known label errors of HumanData, each planted on purpose: all show up as distances.

The bounds are well below what was measured; ``pytest --log-cli-level=INFO`` shows the figures.
"""

import numpy as np
import pytest

from ehps.body.hands import to_absolute
from ehps.body.joints import HUMAN_DATA_JOINTS, mirrored_name
from ehps.converters import humandata
from ehps.converters.formats import humandata as humandata_format
from ehps.converters.formats.humandata import HumanDataFile
from ehps.tests.raw._planting import assert_reported, planted_tree, replaced, reported, wrapped

_INDEX = {name: i for i, name in enumerate(HUMAN_DATA_JOINTS)}
OTHER_SIDE = [_INDEX.get(mirrored_name(name), i) for i, name in enumerate(HUMAN_DATA_JOINTS[:144])]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return planted_tree("humandata", tmp_path_factory.mktemp("humandata"))


def with_hands(change):
    """Return blocks whose hands are changed."""

    def changed(blocks):
        for block in blocks:
            sides = [block.get(f"{side}_hand_pose") for side in ("left", "right")]
            yield (
                block
                if sides[0] is None
                else block | dict(zip(("left_hand_pose", "right_hand_pose"), change(*sides), strict=True))
            )

    return changed


def other_file(values):
    """Return an array in the order of another row."""
    return np.roll(values, 1, axis=0)


def squeezed(values, points):
    """Return the points that there are, without the gaps between them."""
    out = np.zeros((len(values), 190 if points.is_compressed else values.shape[1], points.coordinates + 1), np.float32)
    out[:, : values.shape[1], : values.shape[2]] = values
    return out


def fixed(value):
    return property(lambda _: value)


# What is planted -> (how, mesh in mm, joints in px, keypoints in px: at least this must be reported).
MUTATIONS = {
    "mean hand not added": (replaced(humandata_format, "to_absolute", lambda pose, _: pose), 20, 2, 0),
    "mean of the left hand on both": (
        replaced(humandata_format, "to_absolute", lambda pose, _: to_absolute(pose, "left")),
        *(10, 1, 0),
    ),
    "misc is believed to be absolute": (replaced(HumanDataFile, "absolute_hands", fixed(True)), 20, 2, 0),
    "misc is believed to be a deviation": (replaced(HumanDataFile, "absolute_hands", fixed(False)), 20, 2, 0),
    "left hand copied into the right one": (
        wrapped(HumanDataFile, "blocks", with_hands(lambda left, _: (left, left))),
        *(20, 2, 0),
    ),
    "hands swapped": (wrapped(HumanDataFile, "blocks", with_hands(lambda left, right: (right, left))), 20, 2, 0),
    "compressed keypoints not put into their slots": (
        replaced(humandata_format, "spread_points", squeezed),
        *(0, 0, 5),
    ),
    "left and right of the keypoints swapped": (
        wrapped(
            humandata_format,
            "spread_points",
            lambda points: np.concatenate([points[:, OTHER_SIDE], points[:, 144:]], 1),
        ),
        *(0, 0, 20),
    ),
    "rows of another picture": (wrapped(HumanDataFile, "_of_rows", other_file), 0, 2, 0),
    "focal length and principal point exchanged": (
        wrapped(HumanDataFile, "_of_rows", lambda values: values[:, ::-1]),
        *(0, 5, 0),
    ),
    "everyone neutral": (replaced(humandata_format, "GENDERS", dict.fromkeys("mfn", "neutral")), 5, 1, 0),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_planted_error_is_reported(name, tree, monkeypatch):
    plant, *bounds = MUTATIONS[name]
    assert_reported(name, plant, tree, bounds, monkeypatch)


def test_rows_are_not_lost_when_pictures_repeat(tree, monkeypatch):
    """A converter that ends a picture at its next row would write somebody twice or never."""
    monkeypatch.setattr(humandata, "UNIT", 2)
    assert max(reported(tree)) < 0.1
