"""Statistics against numbers counted by hand, and the file they are kept in."""

import json

import numpy as np
import pytest

from ehps.errors import ShardError
from ehps.shards.codec import sample_key
from ehps.shards.statistics import facing_degrees, source_statistics
from ehps.shards.statistics_file import STATS_FILE, read_statistics, statistics_text
from ehps.shards.tree import list_shards
from ehps.shards.writer import UnitWriter


@pytest.fixture
def found(tree):
    return source_statistics(tree, "fake")


def test_a_source_is_counted(tree, found):
    assert (found.dataset, list(found.splits)) == ("fake", ["train"])
    total = found.total
    assert total == found.splits["train"]
    assert (total.frames, total.people, total.units, total.shards, total.sequences) == (9, 18, 2, 3, 1)
    assert total.bytes == sum(shard.size for shard in list_shards(tree, "fake"))
    assert (total.rejected_people, total.rejects, total.reject_share) == (4, {"nan_pose": 4}, round(4 / 22, 6))
    assert total.people_per_frame == {"2": 9}
    assert total.picture_sizes == {"40x24": 9}
    assert total.picture_formats == {"jpg": 6, "png": 3}
    assert total.cameras == {"measured": 18}
    assert total.body_models == {"smplx": 9, "none": 9}
    assert total.genders == {"female": 9, "none": 9}
    assert total.num_betas == {"11": 9}
    assert total.labels["left_hand"] == {"fitted": 9, "none": 9}
    assert total.labels["keypoints_2d"] == {"none": 18}
    assert total.shares["both_hands"] == 0.5
    assert total.shares["box"] == 0.5


def test_quantiles_are_values_of_somebody(found):
    measures = found.total.measures
    levels = measures["reprojection_px"].model_dump()
    assert levels.pop("count") == 9
    assert set(levels.values()) == {3.5}
    assert (measures["focal_px"].count, measures["focal_px"].median) == (18, 1000.5)
    assert "joint_error_mm" not in measures


def test_quantiles_of_different_people(make, tmp_path):
    people = [make.person(n, quality={"distance_m": n / 8}) for n in range(101)]
    make.unit(tmp_path, [make.frame(n, (person,)) for n, person in enumerate(people)])
    levels = source_statistics(tmp_path, "fake").total.measures["distance_m"]
    assert (levels.min, levels.p05, levels.median, levels.p95, levels.max) == (0, 5 / 8, 50 / 8, 95 / 8, 100 / 8)


def test_the_range_of_the_betas_is_that_of_the_usual_number(make, tmp_path):
    rows = [np.arange(10) - 3.0, np.arange(10) * 0.5, np.full(16, 99.0)]
    people = tuple(make.person(number, betas=row.astype(np.float32)) for number, row in enumerate(rows))
    make.unit(tmp_path, [make.frame(0, people)])
    betas = source_statistics(tmp_path, "fake").total.betas
    assert betas is not None
    assert betas.min == tuple(np.minimum(rows[0], rows[1]))
    assert betas.max == tuple(np.maximum(rows[0], rows[1]))


def test_splits_are_counted_apart_and_together(make, tmp_path):
    make.unit(tmp_path, [make.frame(0), make.frame(1)])
    make.unit(tmp_path, [make.frame(2, (make.bare(2),))], split="val")
    found = source_statistics(tmp_path, "fake")
    assert {name: part.people for name, part in found.splits.items()} == {"train": 4, "val": 1}
    assert (found.total.people, found.total.people_per_frame) == (5, {"1": 1, "2": 2})
    assert found.splits["val"].shares["any_hand"] == 0
    assert found.splits["val"].betas is None
    assert set(found.splits["val"].measures) == {"focal_px"}


@pytest.mark.parametrize(
    ("global_orient", "yaw", "tilt"),
    [
        ([np.pi, 0, 0], 0, 0),  # upright and facing the camera: y and z of the body are turned over
        ([0, 0, np.pi], 180, 0),  # upright, seen from behind
        ([0, 0, 0], 180, 180),  # the body's own axes are the camera's: on the head, looking away
        ([np.pi / 2, 0, 0], None, 90),  # lying
    ],
)
def test_which_way_somebody_faces(global_orient, yaw, tilt):
    found_yaw, found_tilt = facing_degrees(np.array([global_orient], np.float64))
    assert found_tilt[0] == pytest.approx(tilt, abs=1e-4)
    if yaw is not None:
        assert abs(found_yaw[0]) == pytest.approx(yaw, abs=1e-4)


def test_somebody_who_turns_to_the_right_edge_has_a_positive_yaw():
    angle = np.radians(30)
    upright = np.array([[1, 0, 0], [0, -1, 0], [0, 0, -1]], np.float64)
    turn = np.array([[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]])
    forward = turn @ upright @ [0, 0, 1]
    assert forward[0] > 0
    from ehps.body.rotations import matrix_to_axis_angle

    yaw, tilt = facing_degrees(np.asarray(matrix_to_axis_angle((turn @ upright)[None])))
    assert yaw[0] == pytest.approx(30)
    assert tilt[0] == pytest.approx(0, abs=1e-4)


def test_orientations_are_counted_in_bins(make, tmp_path):
    people = [make.person(n, global_orient=np.array([np.pi, 0, 0], np.float32)) for n in range(3)]
    people.append(make.person(3, global_orient=np.array([0.1, 0, 0], np.float32)))
    make.unit(tmp_path, [make.frame(n, (person,)) for n, person in enumerate(people)])
    orientation = source_statistics(tmp_path, "fake").total.orientation
    assert (sum(orientation.yaw), sum(orientation.tilt)) == (4, 4)
    assert orientation.tilt[0] == 3
    assert orientation.tilt[5] == 1
    assert orientation.yaw[5] + orientation.yaw[6] == 3


def test_frames_without_pictures_and_units_of_rejects_alone_are_counted(make, tmp_path):
    make.unit(tmp_path, [], "empty")
    assert source_statistics(tmp_path, "fake").total.people == 0
    frame = make.frame(0)
    with UnitWriter(tmp_path, "fake", "train", "bare", meta={}) as writer:
        writer.write(frame, sample_key("fake", "train", frame.key), None)
        writer.commit()
    assert source_statistics(tmp_path, "fake").total.picture_formats == {"none": 1}


def test_many_sizes_of_pictures_end_in_one_entry(make, tmp_path):
    frames = [make.frame(n, (make.bare(n),), image=make.picture(n, width=40 + n), width=40 + n) for n in range(25)]
    make.unit(tmp_path, frames)
    sizes = source_statistics(tmp_path, "fake").total.picture_sizes
    assert len(sizes) == 21
    assert sizes["other"] == 5


def test_the_same_shards_give_the_same_file_and_it_is_read_back(tree, found, tmp_path):
    text = statistics_text(found)
    assert text == statistics_text(source_statistics(tree, "fake"))
    assert list(json.loads(text)) == sorted(json.loads(text))
    path = tmp_path / STATS_FILE
    assert read_statistics(path) is None
    path.write_text(text)
    assert read_statistics(path) == found
    path.write_text(text.replace('"frames"', '"farmes"'))
    with pytest.raises(ShardError, match=r"stats\.json: .*; write it again with ehps stats"):
        read_statistics(path)


def test_a_source_that_is_not_there_is_named(tree):
    with pytest.raises(ShardError, match="holds no converted unit of gone"):
        source_statistics(tree, "gone")
