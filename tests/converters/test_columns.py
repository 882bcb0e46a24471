"""Labels side by side: whoever carries them, in whatever shape, and who is out of contract."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ehps.converters.columns import Columns
from ehps.errors import RecordError
from ehps.shards.record import Labels, Person, Provenance


def person(**fields):
    return Person(provenance=Provenance(file="f", row="0"), labels=Labels(), **fields)


def betas(length, value=1.0):
    return {"betas": np.full(length, value, np.float32), "body_model": "smplx", "gender": "neutral"}


@given(st.lists(st.one_of(st.none(), st.integers(1, 4)), max_size=12))
def test_everyone_is_in_one_stack_of_their_shape(lengths):
    people = [person(**({} if n is None else betas(n, row))) for row, n in enumerate(lengths)]
    columns = Columns(people)
    found = {row: values for stack in columns.stacks("betas") for row, values in zip(*stack, strict=True)}
    assert set(found) == {row for row, n in enumerate(lengths) if n is not None}
    assert all(np.array_equal(values, people[row].betas) for row, values in found.items())
    assert columns.has("betas").tolist() == [n is not None for n in lengths]
    assert columns.widest("betas") == max((n for n in lengths if n), default=0)
    filled = columns.filled("betas", (3,), -1.0)
    for row, n in enumerate(lengths):
        assert filled[row].tolist() == [row if n is not None and i < n else -1 for i in range(3)]


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"transl": np.float32([0, np.inf, 1])}, "transl should be finite"),
        ({"keypoints_2d": np.zeros((3, 3), np.float32)}, "keypoints_2d_convention should be given exactly when"),
        ({"keypoints_3d_convention": "smplx_144"}, "keypoints_3d_convention should be given exactly when"),
        ({"betas": np.zeros(10, np.float32)}, "betas should be accompanied by body_model and gender"),
        ({"bbox_xyxy": np.float32([0, 0, np.nan, 1])}, "bbox_xyxy should be finite"),
    ],
)
def test_the_first_person_out_of_contract_is_named(fields, what):
    sound = person(transl=np.zeros(3, np.float32), bbox_xyxy=np.zeros(4, np.float32))
    with pytest.raises(RecordError, match=rf"record c: {what}"):
        Columns([sound, sound, person(**fields), person(**fields)]).check(["a", "b", "c", "d"])


def test_unknown_keypoints_are_in_contract():
    points = np.full((17, 3), np.nan, np.float32)
    Columns([person(keypoints_2d=points, keypoints_2d_convention="coco_17")] * 2).check(["a", "b"])
