"""How far an order is from a full shuffle."""

import numpy as np
import pytest

from ehps.training.mixture import Member, MixedPeople, Mixture, mix
from ehps.training.order import Lanes, ReleasedBalance, endless_order
from ehps.training.selection import Selection, interrupted_range
from ehps.training.shuffle_quality import (
    Places,
    catalog_places,
    displacement_of,
    neighbour_share,
    runs,
    shuffle_quality,
)

SIZE, SHARD, CLIP = 60_000, 1000, 300  # people, people of a shard, frames of a video
PICTURE = 50_000  # bytes


def video_places(person_ids):
    """Return people who lie frame after frame of one video after another, one person a picture."""
    return Places(
        person_ids // SHARD, person_ids % SHARD * PICTURE, np.full_like(person_ids, PICTURE),
        person_ids // CLIP, person_ids % CLIP,
    )  # fmt: skip


def mixed(lanes=None, sizes=(SIZE, 200), order=None):
    """Return people of a large and a small source in equal shares."""
    firsts = np.cumsum([0, *sizes])
    selections = tuple(
        Selection(name, Member(dataset=name), interrupted_range(int(first), size, 1, np.zeros(0, int)), None, 0)
        for name, first, size in zip("ab", firsts, sizes, strict=False)
    )
    order = order or endless_order(sizes, [0.5, 0.5], 40_000, seed=1, lanes=lanes)
    return MixedPeople(selections, order, 40_000, ("a", "b"), "")


def test_a_full_shuffle_is_like_people_drawn_at_random():
    large, small, everyone = shuffle_quality(mixed(), video_places)
    assert (large.name, small.name, everyone.name) == ("a", "b", "all")
    assert large.displacement == pytest.approx(1 / 3, abs=0.01)
    assert large.found.shards_per_batch == pytest.approx(large.ideal.shards_per_batch, rel=0.05)
    assert large.found.neighbours == pytest.approx(large.ideal.neighbours, abs=0.03)
    assert large.found.runs_per_mb == pytest.approx(large.ideal.runs_per_mb, rel=0.1)
    assert small.found.neighbours > 0.9  # 128 of 200 people a batch must be neighbours
    assert large.bytes_per_person == PICTURE


def test_runs_are_read_in_few_pieces_and_do_not_crowd_a_batch():
    full, in_lanes = (shuffle_quality(mixed(lanes), video_places)[0] for lanes in (None, Lanes(64, 128)))
    assert in_lanes.displacement == pytest.approx(1 / 3, abs=0.05)
    assert in_lanes.found.runs_per_mb < full.found.runs_per_mb / 5
    assert in_lanes.found.neighbours < 2 * full.found.neighbours
    assert in_lanes.found.shards_per_batch > full.found.shards_per_batch / 1.5


def test_too_few_lanes_are_seen():
    crowded = shuffle_quality(mixed(Lanes(64, 4)), video_places)[0]
    assert crowded.found.neighbours > 0.9
    assert crowded.found.shards_per_batch < 10


def test_an_order_without_passes_has_no_displacement():
    released = mixed(order=ReleasedBalance(np.array([SIZE, 200]), 40_000, 1))
    assert displacement_of(released, 0) is None


def test_neighbours_share_a_picture_or_nearly_a_frame_of_one_video():
    places = Places(*map(np.array, (
        [0, 0, 0, 0, 1, 1],  # shards
        [0, 0, 9, 12, 0, 7],
        [5, 5, 2, 2, 2, 2],
        [-1, -1, 3, 3, 3, -1],  # videos
        [0, 0, 10, 39, 71, 0],
    )))  # fmt: skip
    assert neighbour_share(places) == 4 / 6


def test_pieces_join_where_the_gap_is_small_and_pictures_are_read_once():
    places = Places(*map(np.array, (
        [0, 0, 0, 0, 1],
        [0, 0, 100_000, 2_000_000, 2_010_000],
        [50_000, 50_000, 10_000, 10_000, 10_000],
        [-1] * 5,
        [0] * 5,
    )))  # fmt: skip
    assert runs(places) == (3, 80_000)
    assert runs(places.at(np.zeros(0, int))) == (0, 0)


def test_the_catalog_says_where_people_lie(converted):
    places = catalog_places(converted)(np.array([0, 5, 13]))
    assert len(set(places.shard[:2].tolist())) == 1
    assert places.shard[2] != places.shard[0]
    assert (np.diff(places.offset[:2]) > 0).all()
    assert (places.size > 1000).all()
    assert (places.video == -1).all()


def test_the_order_of_a_converted_tree_is_measured(converted):
    members = (Member(dataset="bedlam"), Member(dataset="ehf", split="test"))
    people = mix(Mixture(name="m", about="test", strategy="concat", members=members), converted)
    *sources, everyone = shuffle_quality(people, catalog_places(converted), batch_size=4)
    assert [row.name for row in sources] == ["bedlam", "ehf"]
    assert everyone.found.shards_per_batch <= 2
    assert everyone.bytes_per_person > 1000
