"""From shards to the people of a protocol."""

import cv2
import numpy as np
import pytest

from ehps.benchmark.people import benchmark_people, enlarge_box, shard_fingerprint
from ehps.benchmark.protocol import load_protocol
from ehps.errors import RecordError, ShardError
from ehps.shards.codec import sample_key
from ehps.shards.picture import encode_png, picture_of
from ehps.shards.record import Camera, Frame, Labels, Person, Provenance
from ehps.shards.writer import UnitWriter

EHF = load_protocol("ehf")
BEDLAM = load_protocol("bedlam_val")


def person(number: int, **fields) -> Person:
    """A person whose numbers occur in no other."""
    defaults = {
        "provenance": Provenance(file="x.ply", row=str(number)),
        "labels": Labels(body="fitted", left_hand="fitted", right_hand="fitted", face="fitted"),
        "bbox_xyxy": np.array([10, 20, 30, 60], np.float32) + number,
        "vertices": np.arange(12, dtype=np.float32).reshape(4, 3) + 100 * number,
    }
    return Person(**(defaults | fields))


def posed(number: int, **fields) -> Person:
    defaults = {
        "vertices": None,
        "body_model": "smplx",
        "gender": "female",
        "global_orient": np.full(3, 0.1 + number, np.float32),
        "body_pose": np.full((21, 3), 0.2 + number, np.float32),
        "betas": np.full(11, 0.3 + number, np.float32),
        "left_hand_pose": np.full((15, 3), 0.4 + number, np.float32),
        "labels": Labels(body="synthetic", left_hand="synthetic"),
    }
    return person(number, **(defaults | fields))


def write(out, dataset, split, frames):
    """Write frames of people as one unit; frame i is a picture of grey value i."""
    with UnitWriter(out, dataset, split, "unit", meta={}) as writer:
        for number, people in enumerate(frames):
            picture = encode_png(np.full((8, 6, 3), number, np.uint8))
            frame = Frame(
                key=f"f{number}",
                image=picture,
                width=6,
                height=8,
                people=tuple(people),
                camera=Camera(K=np.diag([500.0, 500.0, 1.0]), kind="measured"),
                sequence="walk" if number == 2 else None,
            )
            writer.write(frame, sample_key(dataset, split, frame.key), picture_of(picture))
        writer.commit()


@pytest.fixture
def ehf_tree(tmp_path):
    write(tmp_path, "ehf", "test", [[person(0)], [person(1), person(2)], [person(3)]])
    return tmp_path


def test_everyone_of_the_split_comes_once_with_box_mesh_and_camera(ehf_tree):
    found = list(benchmark_people(ehf_tree, EHF))
    assert [p.person_key for p in found] == ["ehf-test-f0#0", "ehf-test-f1#0", "ehf-test-f1#1", "ehf-test-f2#0"]
    np.testing.assert_array_equal(found[2].vertices[0], [200, 201, 202])
    np.testing.assert_array_equal(found[2].K, np.diag([500, 500, 1]))
    # The tight box is 20 x 40 about (22, 42); 1.2 times as large it is 24 x 48.
    np.testing.assert_allclose(found[2].bbox_xyxy, [10, 18, 34, 66])
    assert all(p.has_body and p.has_left_hand and p.has_right_hand and p.has_face for p in found)


def test_a_frame_without_a_sequence_is_its_own(ehf_tree):
    sequences = [p.sequence for p in benchmark_people(ehf_tree, EHF)]
    assert sequences == ["unit/ehf-test-f0", "unit/ehf-test-f1", "unit/ehf-test-f1", "unit/walk"]


def test_a_picture_is_decoded_on_demand_and_shared_by_its_frame(ehf_tree):
    found = list(benchmark_people(ehf_tree, EHF))
    assert [int(p.image()[0, 0, 0]) for p in found] == [0, 1, 1, 2]
    assert found[1].image() is found[2].image()
    with pytest.raises(ValueError, match="read-only"):
        found[1].image()[0, 0, 0] = 7
    assert cv2.warpAffine(found[1].image(), np.eye(2, 3), (3, 3)).shape == (3, 3, 3)


def test_the_stride_counts_people(ehf_tree):
    every_third = EHF.model_copy(update={"stride": 3})
    assert [p.person_key for p in benchmark_people(ehf_tree, every_third)] == ["ehf-test-f0#0", "ehf-test-f2#0"]


def test_parameters_gender_and_missing_labels_arrive_as_they_are(tmp_path):
    write(tmp_path, "bedlam", "val", [[posed(0)]])
    (found,) = benchmark_people(tmp_path, BEDLAM)
    assert set(found.parameters) == {"global_orient", "body_pose", "betas", "left_hand_pose"}
    np.testing.assert_allclose(found.parameters["betas"], np.full(11, 0.3), rtol=1e-6)
    assert found.gender == "female"
    assert (found.has_left_hand, found.has_right_hand, found.has_face) == (True, False, False)


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_children_are_asked_about_unless_the_protocol_leaves_them_out(tmp_path, weight):
    write(tmp_path, "bedlam", "val", [[posed(0), posed(1, kid_weight=weight)]])
    assert [person.kid_weight for person in benchmark_people(tmp_path, BEDLAM)] == [None, weight]
    adults = BEDLAM.model_copy(update={"selection": BEDLAM.selection.model_copy(update={"kids": "leave_out"})})
    assert [person.kid_weight for person in benchmark_people(tmp_path, adults)] == [None]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"bbox_xyxy": None}, "bedlam-val-f0#0: bbox_xyxy should be given"),
        ({"body_model": "smplh"}, "body_model should be smplx, found smplh"),
    ],
)
def test_a_person_that_the_protocol_cannot_use_is_named(tmp_path, fields, message):
    write(tmp_path, "bedlam", "val", [[posed(0, **fields)]])
    with pytest.raises(RecordError, match=message):
        list(benchmark_people(tmp_path, BEDLAM))


def test_another_split_is_not_read_and_none_at_all_is_an_error(ehf_tree):
    with pytest.raises(ShardError, match="holds no shards of bedlam val, which protocol bedlam_val needs; run ehps"):
        list(benchmark_people(ehf_tree, BEDLAM))


def test_the_fingerprint_follows_the_bytes_of_the_shards(tmp_path):
    prints = []
    for name, number in (("a", 0), ("again", 0), ("b", 1)):
        write(tmp_path / name, "ehf", "test", [[person(number)]])
        prints.append(shard_fingerprint(tmp_path / name, EHF))
    assert prints[0] == prints[1] != prints[2]
    assert len(prints[0]) == 16


def test_a_box_grows_about_its_centre():
    np.testing.assert_allclose(enlarge_box(np.array([0.0, 0, 10, 20]), 2.0), [-5, -10, 15, 30])
