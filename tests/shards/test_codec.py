"""A frame survives its way into bytes and back."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ehps.errors import RecordError, ShardError
from ehps.shards import codec
from ehps.shards.picture import picture_of
from ehps.shards.record import ARRAY_FIELDS, SHAPES, Frame, Labels, Person, Provenance, numbers_of

WHERE = {"dataset": "fake", "split": "train", "unit": "unit_0"}


def encode(frame: Frame) -> dict[str, bytes]:
    picture, numbers = picture_of(frame.image), [numbers_of(person) for person in frame.people]
    key = codec.sample_key("fake", "train", frame.key)
    return codec.encode_frame(codec.frame_meta(frame, picture, numbers, **WHERE, key=key), picture, numbers)


def decode(members: dict[str, bytes]) -> Frame:
    return codec.decode_frame(codec.decode_meta(members["json"]), codec.decode_people(members["rows"]), members["jpg"])


def test_every_field_of_a_frame_survives(make, assert_same):
    frame = make.frame(people=(make.person(1), make.bare(2), make.person(3, camera=make.camera())))
    found = decode(encode(frame))
    assert_same(replace(found, people=()), replace(frame, people=()))
    for person, expected in zip(found.people, frame.people, strict=True):
        assert_same(person, expected)


def test_the_builder_of_these_tests_fills_every_field(make):
    assert all(value is not None for value in vars(make.person(camera=make.camera())).values())


@settings(deadline=None, max_examples=60)
@given(carried=st.lists(st.frozensets(st.sampled_from(ARRAY_FIELDS)), max_size=4))
def test_an_absent_label_of_one_person_is_absent_whatever_the_others_carry(carried):
    people = [_person_with(fields, number) for number, fields in enumerate(carried)]
    rows = codec.decode_people(codec.encode_people(people))
    for index, person in enumerate(people):
        for name in ARRAY_FIELDS:
            found, expected = codec.person_array(rows, index, name), getattr(person, name)
            assert (found is None) == (expected is None)
            if expected is not None:
                np.testing.assert_array_equal(found, expected)
            elif name in rows.dtype.names:
                assert np.isnan(rows[name][index]).all()


def _person_with(fields: frozenset[str], number: int):
    arrays = {
        name: np.full([number + 2 if size is None else size for size in SHAPES[name]], number + 0.5, np.float32)
        for name in fields
    }
    return Person(provenance=Provenance(file="f", row="r"), labels=Labels(), **arrays)


def test_arrays_of_different_length_keep_their_own(make):
    people = (make.person(1, betas=np.ones(10, np.float32)), make.person(2, betas=np.ones(16, np.float32)), make.bare())
    found = decode(encode(make.frame(people=people))).people
    assert [None if person.betas is None else person.betas.shape for person in found] == [(10,), (16,), None]


def test_nan_in_keypoints_survives(make):
    keypoints = np.full((17, 3), np.nan, np.float32)
    found = decode(encode(make.frame(people=(make.person(keypoints_2d=keypoints),)))).people[0]
    assert np.isnan(found.keypoints_2d).all()


def test_a_measure_that_could_not_be_taken_is_absent(make):
    found = decode(encode(make.frame(people=(make.person(quality={"a": 2.0, "b": float("nan")}),))))
    assert found.people[0].quality == {"a": 2.0}


def test_people_of_two_frames_with_other_fields_do_not_share_a_layout(make):
    first, second = (
        (make.person(1), make.person(2)),
        (make.bare(3, transl=np.arange(3, dtype=np.float32)), make.bare(4)),
    )
    encoded = [codec.encode_people(people) for people in (first, second, first, second)]
    layouts = [codec.decode_people(data).dtype.names for data in encoded]
    assert layouts[0] == layouts[2] == ("valid", *ARRAY_FIELDS)
    assert layouts[1] == layouts[3] == ("valid", "transl")
    np.testing.assert_array_equal(codec.decode_people(encoded[1])["transl"][0], [0, 1, 2])


def test_numpy_alone_reads_the_numeric_member(make):
    person = make.person(5)
    rows = np.load(io.BytesIO(encode(make.frame(people=(make.bare(), person)))["rows"]), allow_pickle=False)
    np.testing.assert_array_equal(rows["body_pose"][1], person.body_pose)
    assert rows["valid"].tolist() == [0, (1 << len(ARRAY_FIELDS)) - 1]


def test_the_json_is_sorted_and_lists_what_a_person_carries(make):
    text = encode(make.frame())["json"].decode()
    meta = json.loads(text)
    assert list(meta) == sorted(meta)
    assert meta["people"][0]["fields"] == list(ARRAY_FIELDS)
    assert meta["people"][1] == {
        "fields": [],
        "labels": {},
        "provenance": {"file": "bare.json", "row": "0"},
        "quality": {},
        "transl_is_metric": True,
    }
    assert len(text) < 4096


def test_equal_frames_give_equal_bytes(make):
    assert encode(make.frame(4)) == encode(make.frame(4))


def test_a_key_has_no_dots_and_no_slashes():
    assert codec.sample_key("agora", "val", "/scene 1/cam.2/img_0.png") == "agora-val-scene_1-cam_2-img_0_png"


@settings(deadline=None)
@given(st.text(min_size=1, max_size=300))
def test_any_frame_key_becomes_a_valid_sample_key(frame_key):
    key = codec.sample_key("some_dataset", "train", frame_key)
    codec.check_key(key)
    assert len(f"{key}.json") <= codec.MAX_NAME_BYTES


def test_long_keys_stay_different():
    keys = {codec.sample_key("d", "val", "x" * 200 + str(number)) for number in range(50)}
    assert len(keys) == 50


@pytest.mark.parametrize("key", ["a.b", "a/b", "", "x" * 96, "\u00fc"])
def test_a_malformed_key_is_refused(key):
    with pytest.raises(RecordError, match="key should be"):
        codec.check_key(key)


def test_a_newer_format_is_refused(make):
    data = encode(make.frame())["json"].replace(f'"format": {codec.FORMAT_VERSION}'.encode(), b'"format": 99')
    with pytest.raises(ShardError, match="format 99 is newer"):
        codec.decode_meta(data)


@pytest.mark.parametrize("keep", [slice(0, -1), slice(1, None), slice(0, 20), slice(0, 0)])
def test_a_damaged_numeric_member_is_refused(make, keep):
    with pytest.raises(ShardError, match="numeric member"):
        codec.decode_people(encode(make.frame())["rows"][keep])


def test_an_array_of_something_else_is_refused():
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    with pytest.raises(ShardError, match="rows of float64"):
        codec.decode_people(buffer.getvalue())


def test_a_camera_that_is_not_finite_is_refused(make):
    camera = replace(make.camera(), K=np.full((3, 3), np.nan))
    with pytest.raises(RecordError, match=r"camera\.K should be finite"):
        encode(make.frame(camera=camera))
