"""What only HumanSC3D does."""

import pytest

from ehps.converters import humansc3d, list_sources
from ehps.shards.record import Reject
from ehps.tests.raw import humansc3d as fake
from ehps.tests.raw._recovery import converted


@pytest.fixture(scope="module")
def tree(tmp_path_factory, built):
    root = tmp_path_factory.mktemp("humansc3d")
    return root, built(fake, root)


def test_a_mirror_among_the_rotations_names_the_part(tree):
    rejects = [record for record in converted("humansc3d", tree[0], "train") if isinstance(record, Reject)]
    details = {reject.reason: reject.detail for reject in rejects}
    assert details["bad_rotation"] == "frame 1: left_hand_pose holds matrices that are no rotations"
    assert details["nan_pose"] == "frame 3: betas holds NaN"
    assert "003.mp4: FFmpeg cannot open it as a video" in details["damaged_image"]


def test_people_are_counted_as_the_files_tell(tree):
    expected = tree[1].expected["train"]
    counted = sum(humansc3d.count_people(unit) for unit in list_sources("humansc3d", tree[0], "train"))
    assert counted == expected["people"] + sum(expected["rejects"].values())
