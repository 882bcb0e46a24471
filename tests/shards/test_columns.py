"""Arrays of several people side by side are those of each."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ehps.shards.columns import Columns
from ehps.shards.record import Labels, Person, Provenance
from ehps.shards.rows import decode_people, encode_people
from ehps.shards.stored import StoredFrame, StoredPerson, TarFile

SHAPES = {"transl": [(3,)], "betas": [(10,), (16,), (1,)], "body_pose": [(21, 3), (23, 3)], "joints_3d": [(144, 3)]}
Frames = st.lists(
    st.lists(
        st.fixed_dictionaries({n: st.sampled_from([None, *s]) for n, s in SHAPES.items()}), min_size=1, max_size=3
    ),
    min_size=1,
    max_size=5,
)


def frame_of(people, rng):
    """A stored frame that holds nothing but rows."""
    made = []
    for shapes in people:
        arrays = {n: rng.normal(size=shape).astype(np.float32) for n, shape in shapes.items() if shape is not None}
        made.append(Person(provenance=Provenance(file="a", row="1"), labels=Labels(), **arrays))
    frame = StoredFrame(TarFile(Path("nowhere")), {})
    frame.rows = decode_people(encode_people(made))
    return frame


@settings(max_examples=60, deadline=None)
@given(Frames, st.randoms(use_true_random=False))
def test_everyone_has_the_arrays_that_are_stored(frames, random):
    rng = np.random.default_rng(0)
    people = [StoredPerson(frame, i) for frame in (frame_of(f, rng) for f in frames) for i in range(len(frame.rows))]
    random.shuffle(people)
    columns = Columns(people)
    for name in SHAPES:
        expected = {i: value for i, one in enumerate(people) if (value := getattr(one, name)) is not None}
        found = {
            i: value for mine, values in columns.given(name) for i, value in zip(mine.tolist(), values, strict=True)
        }
        assert found.keys() == expected.keys()
        for i, value in expected.items():
            np.testing.assert_array_equal(found[i], value)
        assert np.flatnonzero(columns.has(name, len(people))).tolist() == sorted(expected)


def test_people_who_are_not_stored_are_taken_one_by_one():
    someone = SimpleNamespace(transl=np.arange(3.0), betas=None)
    columns = Columns([someone, someone])
    assert [(mine.tolist(), values.tolist()) for mine, values in columns.given("transl")] == [
        ([0], [[0, 1, 2]]),
        ([1], [[0, 1, 2]]),
    ]
    assert not list(columns.given("betas"))
