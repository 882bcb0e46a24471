"""Many people's stored bytes come in one call, checked, and are those that are read one by one."""

import pickle

import numpy as np
import pytest

from ehps.errors import ShardError
from ehps.shards.catalog import build_catalog
from ehps.shards.gather import gather
from ehps.shards.held import HeldTar
from ehps.shards.index import PeopleIndex
from ehps.shards.picture import encode_jpeg, picture_of
from ehps.shards.record import Camera, Frame, Labels, Person, Provenance
from ehps.shards.writer import UnitWriter


def person(number, **labels):
    place = Provenance(file="a", row=str(number))
    return Person(provenance=place, labels=Labels(body="measured"), transl=np.full(3, number, np.float32), **labels)


def write(out, dataset, sizes, *, with_pictures=True):
    """Write frames of so many people each."""
    with UnitWriter(out, dataset, "train", "all", meta={"converter_version": 1}) as writer:
        for number, size in enumerate(sizes):
            people = tuple(person(10 * number + i) for i in range(size))
            frame = Frame(key=str(number), image=b"", width=40, height=30, people=people, camera=Camera())
            pixels = np.full((30, 40, 3), 20 * number, np.uint8)
            writer.write(frame, f"{dataset}-{number}", picture_of(encode_jpeg(pixels)) if with_pictures else None)
        writer.commit({})


@pytest.fixture
def tree(tmp_path):
    write(tmp_path, "bedlam", (1, 3, 2))
    write(tmp_path, "ehf", (2, 1), with_pictures=False)
    build_catalog(tmp_path)
    return tmp_path


def test_members_are_those_of_each_person(tree):
    index = PeopleIndex.open(tree)
    ids = np.array([8, 0, 3, 3, 5, 6, 1])
    found = index.gather(ids)
    assert len(found) == len(ids)
    for i, person_id in enumerate(ids.tolist()):
        one = index.load(person_id)
        assert found.person[i] == one.index
        assert found.meta(i) == one.frame.meta
        assert found.rows(i).tobytes() == one.frame.rows.tobytes()
        assert bytes(found.image(i)) == (one.image_bytes if person_id < 6 else b"")
    assert bytes(found.json(1)).startswith(b"{")
    assert bytes(found.numbers(1)).startswith(b"\x93NUMPY")


def test_nobody_is_nobody(tree):
    assert len(PeopleIndex.open(tree).gather(np.zeros(0, np.int64))) == 0


@pytest.mark.parametrize("stranger", [-1, 9])
def test_strangers_are_refused(tree, stranger):
    with pytest.raises(IndexError, match="not all of these are among the 9 people"):
        PeopleIndex.open(tree).gather(np.array([0, stranger]))


def test_damage_is_found_where_it_is(tree):
    path = next(tree.rglob("bedlam/**/*.tar"))
    whole, index = path.read_bytes(), PeopleIndex.open(tree)
    place = index.load(2).frame._places["rows"]
    damaged = bytearray(whole)
    damaged[place.offset + 40] ^= 1
    path.write_bytes(damaged)
    assert len(PeopleIndex.open(tree).gather(np.array([0, 4]))) == 2
    with pytest.raises(ShardError, match=rf"the {place.size} bytes at {place.offset} are damaged"):
        PeopleIndex.open(tree).gather(np.array([0, 4, 2]))


def test_a_tar_that_ends_too_early_is_damaged(tree):
    path = next(tree.rglob("bedlam/**/*.tar"))
    index = PeopleIndex.open(tree)
    index.gather(np.array([0]))
    with path.open("r+b") as file:
        file.truncate(2000)
    with pytest.raises(ShardError, match="are damaged"):
        index.gather(np.array([5]))


def test_bytes_that_are_held_are_taken_from_there(tree):
    index, missed = PeopleIndex.open(tree), []
    held = HeldTar(index.load(4).frame.tar, [], lambda: missed.append(1))
    rows = index._pieces[0].part.rows[4:5]
    assert gather([held], rows).meta(0) == index.load(4).frame.meta
    assert missed == [1]


def test_members_travel_between_processes_alone(tree):
    """A worker of a DataLoader that handed over what cannot be pickled would leave its reader waiting for ever."""
    index = PeopleIndex.open(tree)
    found = index.gather(np.array([0, 1]))
    packed = pickle.dumps(found.numbers(1))
    assert bytes(pickle.loads(packed)) == bytes(found.numbers(1))
    assert len(packed) < len(found.numbers(1)) + 500
