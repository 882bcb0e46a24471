"""What only CHI3D does."""

import json

import numpy as np
import pytest

from ehps.converters import chi3d, list_sources
from ehps.errors import RawSchemaError
from ehps.shards.record import Frame, Reject
from ehps.tests.raw import chi3d as fake
from ehps.tests.raw._recovery import converted
from ehps.tests.raw._videos import number_of


@pytest.fixture
def tree(tmp_path, built):
    return tmp_path, built(fake, tmp_path)


def records(root):
    return list(converted("chi3d", root, "train"))


def test_both_people_stand_in_each_picture_and_keep_their_track(tree):
    frames = [record for record in records(tree[0]) if isinstance(record, Frame) and "Grab" in record.key]
    assert [[person.track for person in frame.people] for frame in frames] == [["s02/Grab 4/0", "s02/Grab 4/1"]] * 6
    for frame in frames:
        assert number_of(frame.image.read()) == frame.frame_index
        apart = frame.people[0].keypoints_3d[0, :3] - frame.people[1].keypoints_3d[0, :3]
        assert 0.2 < np.linalg.norm(apart) < 1.5


def test_nan_of_one_costs_this_one_alone(tree):
    (frame,) = [r for r in records(tree[0]) if isinstance(r, Frame) and r.key == "s03/Push 2/50591643/00001"]
    assert [person.provenance.row for person in frame.people] == ["person 0 frame 1"]


def test_a_missing_video_costs_everyone_in_it(tree):
    missing = [r for r in records(tree[0]) if isinstance(r, Reject) and r.reason == "missing_image"]
    assert [(reject.people, "Kick 9.mp4" in reject.detail) for reject in missing] == [(2, True)] * 2


def test_names_with_blanks_make_good_units(tree):
    assert [unit.name for unit in list_sources("chi3d", tree[0], "train")] == [
        *("s02-grab-4", "s03-kick-9", "s03-push-2", "s04-hug-11")
    ]
    assert sum(chi3d.count_people(unit) for unit in list_sources("chi3d", tree[0], "train")) == 32


def test_the_early_release_with_one_person_is_refused(tree):
    path = tree[0] / "chi3d/train/s02/smplx/Grab 4.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({name: values[0] for name, values in content.items()}))
    with pytest.raises(RawSchemaError, match="an old release of CHI3D tells of one person only"):
        records(tree[0])
