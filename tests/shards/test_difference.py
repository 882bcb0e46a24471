"""Differences of two trees whose differences are known."""

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ehps.body.cameras import Distortion
from ehps.errors import UnknownNameError
from ehps.shards.difference import OTHER_PIXELS, SAME_PIXELS, UNREAD_PIXELS, Difference, compare_trees, field_unit
from ehps.shards.distances import array_distance, column_distances
from ehps.shards.record import Provenance


def compared(a: Path, b: Path, **options) -> Difference:
    total = Difference()
    for part in compare_trees(a, b, **options):
        total.add(part)
    return total


@pytest.fixture
def pair(make, tmp_path):
    """Write two trees of one unit from two lists of frames, and compare them."""

    def build(frames_a, frames_b, unit_b="unit_0", **options) -> Difference:
        make.unit(tmp_path / "a", frames_a)
        make.unit(tmp_path / "b", frames_b, unit_b)
        return compared(tmp_path / "a", tmp_path / "b", **options)

    return build


def test_a_tree_does_not_differ_from_its_copy(tree, tmp_path):
    shutil.copytree(tree, tmp_path / "copy")
    found = compared(tree, tmp_path / "copy")
    assert not found.is_any
    assert (found.people, found.counts, found.fields) == (19, {}, {})
    assert [part.where for part in compare_trees(tree, tmp_path / "copy", "fake")] == [
        "fake/train/unit_0",
        "fake/train/unit_1",
    ]


def test_other_shards_of_the_same_people_do_not_differ(make, pair, tmp_path):
    frames = [make.frame(number) for number in range(4)]
    make.unit(tmp_path / "a", frames)
    make.unit(tmp_path / "b", frames, max_shard_bytes=20_000)
    assert len(list((tmp_path / "b").rglob("*.tar"))) > 1
    assert not compared(tmp_path / "a", tmp_path / "b").is_any


def changed(make, number: int = 0, **changes):
    return make.frame(number, (make.person(number, **changes), make.bare(number)))


@pytest.mark.parametrize(
    ("changes", "name", "largest", "unit"),
    [
        ({"transl": np.array([176.0, 177.25, 178.0], np.float32)}, "transl", 0.25, "m"),
        ({"quality": {"reprojection_px": 4.75, "own_measure": 0.125}}, "quality_reprojection_px", 1.25, "px"),
        ({"quality": {"reprojection_px": 3.5, "own_measure": 0.25}}, "quality_own_measure", 0.125, ""),
        ({"kid_weight": 0.75}, "kid_weight", 0.5, ""),
    ],
)
def test_the_largest_difference_of_a_field_is_given_in_its_unit(make, pair, changes, name, largest, unit):
    person = make.person(0)
    if "transl" in changes:
        changes = {"transl": person.transl + np.array([0, 0.25, -0.125], np.float32)}
    found = pair([make.frame(0), make.frame(1)], [changed(make, **changes), make.frame(1)])
    assert list(found.fields) == [name]
    change = found.fields[name]
    assert (change.people, change.largest, change.one_sided) == (1, largest, 0)
    assert change.example == "fake-train-sequence-cam_1-00000_jpg#0"
    assert field_unit(name) == unit


@pytest.mark.parametrize(
    ("name", "unit"), [("keypoints_2d", "px"), ("keypoints_3d", "m"), ("joints_3d", "m"), ("vertices", "m")]
)
def test_arrays_that_only_the_members_hold_are_compared(make, pair, name, unit):
    value = np.array(getattr(make.person(0), name))
    value[2, 1] += 0.5
    found = pair([make.frame(0), make.frame(1)], [changed(make, **{name: value}), make.frame(1)])
    assert found.fields[name] == (1, 0.5, 0, "fake-train-sequence-cam_1-00000_jpg#0")
    assert field_unit(name) == unit


def test_a_label_that_appears_or_vanishes_is_one_sided(make, pair):
    found = pair([make.frame(0)], [changed(make, left_hand_pose=None, betas=np.zeros(10, np.float32))])
    assert found.fields["left_hand_pose"].one_sided == 1
    assert found.fields["left_hand_pose"].largest is None
    assert found.fields["betas"].one_sided == 1
    assert set(found.fields) == {"left_hand_pose", "has_left_hand_pose", "betas", "num_betas"}
    assert found.fields["num_betas"].largest == 1


def test_texts_and_flags_are_compared(make, pair):
    found = pair([make.frame(0)], [changed(make, gender="male", transl_is_metric=True)])
    assert set(found.fields) == {"gender", "transl_is_metric"}


def test_cameras_are_compared(make, pair):
    camera = make.camera()
    pose = np.array(camera.T_camera_world)
    pose[0, 3] += 0.5
    lens = Distortion("brown_conrady", (0.1, -0.2, 0.003, 0.0014))
    found = pair([make.frame(0)], [make.frame(0, camera=replace(camera, T_camera_world=pose, distortion=lens))])
    assert {name: round(change.largest or 0, 9) for name, change in found.fields.items()} == {
        "camera.T_camera_world": 0.5,
        "camera.distortion": 0.001,
    }
    assert found.fields["camera.T_camera_world"].people == 2


def test_tolerances_are_by_unit_and_by_field(make, pair, tmp_path):
    person = make.person(0)
    other = changed(make, transl=person.transl + np.float32(0.125), body_pose=person.body_pose + np.float32(0.125))
    assert set(pair([make.frame(0)], [other], tolerances={"m": 0.25}).fields) == {"body_pose"}
    a, b = tmp_path / "a", tmp_path / "b"
    with pytest.raises(UnknownNameError, match="did you mean transl"):
        compared(a, b, tolerances={"trans": 1})
    assert not compared(a, b, tolerances={"m": 0.25, "rad": 0.125}).is_any
    assert set(compared(a, b, tolerances={"m": 0.25, "rad": 0.125, "transl": 0.1}).fields) == {"transl"}


def test_people_and_frames_of_one_side_are_counted(make, pair):
    two, one = make.frame(0), make.frame(0, (make.person(0),))
    found = pair([two, make.frame(1), make.frame(2)], [one, make.frame(2), make.frame(3)])
    assert found.people == 3
    assert found.counts == {"people only in A": 3, "people only in B": 2, "frames only in A": 1, "frames only in B": 1}
    assert found.examples["frames only in B"] == "fake-train-sequence-cam_1-00003_jpg"
    assert found.examples["people only in A"] == "fake-train-sequence-cam_1-00000_jpg#1"
    assert found.fields == {}


def test_people_are_told_by_their_provenance_when_keys_shift(make, pair):
    three = make.frame(0, (make.person(0), make.person(1), make.person(2)))
    without_first = make.frame(0, (make.person(1), make.person(2)))
    found = pair([three], [without_first])
    assert found.counts == {"people only in A": 1}
    assert set(found.fields) == {"person_key"}
    assert found.fields["person_key"].people == 2


def test_units_cut_otherwise_are_compared_person_by_person(make, tmp_path):
    frames = [make.frame(number) for number in range(4)]
    make.unit(tmp_path / "a", frames[:2], "one")
    make.unit(tmp_path / "a", frames[2:], "two")
    make.unit(tmp_path / "b", frames, "all")
    found = compared(tmp_path / "a", tmp_path / "b")
    assert (found.people, found.fields) == (8, {})
    assert found.counts == {"units only in A": 2, "units only in B": 1, "rejects only in A: nan_pose": 1}


def test_renamed_frames_are_matched_by_provenance(make, pair):
    renamed = make.frame(0, key="elsewhere/00000.jpg")
    found = pair([make.frame(0)], [renamed])
    assert found.people == 2
    assert set(found.fields) == {"key", "person_key", "frame_key"}


def test_people_without_own_provenance_are_matched_by_key(make, pair):
    same = Provenance(file="all.json", row="0")
    frames = [make.frame(0, (make.person(0, provenance=same), make.person(1, provenance=same)))]
    found = pair(frames, frames)
    assert (found.people, found.is_any) == (2, False)


def test_pictures_of_other_bytes_are_decoded(make, pair, tmp_path):
    pixels = cv2.imdecode(np.frombuffer(make.picture(0, "png"), np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    same = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 0])[1].tobytes()
    frames = [make.frame(number, ext="png") for number in range(3)]
    others = [make.frame(0, ext="png", image=same), make.frame(1, ext="png", image=make.picture(9, "png")), frames[2]]
    found = pair(frames, others)
    assert found.counts == {SAME_PIXELS: 1, OTHER_PIXELS: 1}
    assert found.is_any
    assert compared(tmp_path / "a", tmp_path / "b", pixels=False).counts == {UNREAD_PIXELS: 2}


def test_other_bytes_of_the_same_pixels_are_no_difference_of_the_pictures():
    found = Difference()
    found.note(SAME_PIXELS, 3, "x")
    assert not found.is_any


columns = st.lists(st.one_of(st.none(), st.lists(st.floats(-8, 8, width=32), max_size=4)), min_size=1, max_size=12)


@given(columns, st.data())
def test_distances_of_lists_are_those_of_their_entries(values, data):
    others = [
        data.draw(st.one_of(st.just(value), st.none(), st.lists(st.floats(-8, 8, width=32), max_size=4)))
        for value in values
    ]
    kind = pa.list_(pa.float32())
    found = column_distances(pa.array(values, kind), pa.array(others, kind))
    for apart, value, other in zip(found, values, others, strict=True):
        if value is None or other is None or len(value) != len(other):
            assert apart == (0 if value is None and other is None else np.inf)
        else:
            assert apart == max((abs(a - b) for a, b in zip(value, other, strict=True)), default=0)


def test_distances_of_numbers():
    nan, inf = float("nan"), float("inf")
    a, b = pa.array([1.0, nan, None, inf, 2.0, inf]), pa.array([1.5, nan, None, inf, None, -inf])
    assert column_distances(a, b).tolist() == [0.5, 0, 0, 0, inf, inf]
    large = [pa.array([2**63, 2**63, None], pa.uint64()), pa.array([2**63 + 1, 2**63, 5], pa.uint64())]
    assert column_distances(*large).tolist() == [1, 0, inf]
    assert column_distances(pa.array(["x", None, "y"]), pa.array(["x", None, None])).tolist() == [0, 0, inf]
    assert array_distance(None, None) == 0
    assert array_distance(np.zeros(3), None) == inf
    assert array_distance(np.zeros(3), np.zeros(4)) == inf
