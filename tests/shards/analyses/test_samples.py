"""Who is drawn: everyone as likely as anyone, the same people every time, the same rows whatever lies beside them."""

import shutil

import numpy as np
import pytest

from ehps.errors import ShardError
from ehps.shards.analyses import samples
from ehps.shards.analyses.samples import draw_places, draw_rows, draw_sample, generator, groups_of
from ehps.shards.catalog import build_catalog
from ehps.tests.shards.conftest import bare_person, full_person, make_frame, write_unit


@pytest.mark.parametrize(("count", "limit"), [(0, 8), (1, 8), (8, 8), (9, 8), (100_000, 8)])
def test_rows_are_different_and_in_order(count, limit):
    rows = draw_rows(count, limit, generator("a"))
    assert len(rows) == min(count, limit)
    assert (np.diff(rows) > 0).all()
    assert count == 0 or 0 <= rows.min() <= rows.max() < count


def test_every_row_is_as_likely_as_any_other():
    drawn = np.concatenate([draw_rows(40, 10, generator("a", i)) for i in range(2000)])
    shares = np.bincount(drawn, minlength=40) / 2000
    assert np.abs(shares - 0.25).max() < 5 * np.sqrt(0.25 * 0.75 / 2000)


def test_places_are_drawn_as_often_as_they_are_large():
    sizes = [10, 0, 30, 60]
    drawn = np.concatenate([draw_places(sizes, 4, generator("b", i)) for i in range(1000)])
    assert np.bincount(drawn, minlength=4) / 1000 == pytest.approx([0.4, 0, 1.2, 2.4], abs=0.06)
    assert draw_places([], 4, generator("b")).size == draw_places([0], 4, generator("b")).size == 0


def test_random_numbers_belong_to_their_names():
    assert generator("a", "b").random() == generator("a", "b").random()
    assert generator("a", "b").random() != generator("b", "a").random()


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Forty people in four shards of one source, whose number is in every label; ten in another split; two others."""
    out = tmp_path_factory.mktemp("drawn")
    for unit in range(4):
        frames = [make_frame(10 * unit + i, (numbered(10 * unit + i),)) for i in range(10)]
        write_unit(out, frames, f"unit_{unit}")
    write_unit(out, [make_frame(100 + i, (numbered(100 + i),)) for i in range(10)], "val", split="val")
    write_unit(out, [make_frame(200, (bare_person(0), bare_person(1)))], "only", dataset="other", split="test")
    build_catalog(out)
    return out


def numbered(number: int):
    """A person whose poses are all of this number."""
    arrays = {"global_orient": (3,), "body_pose": (21, 3), "left_hand_pose": (15, 3), "right_hand_pose": (15, 3)}
    changes = {name: np.full(shape, number, np.float32) for name, shape in arrays.items()}
    neutral = np.full(11, number + 0.5, np.float32) if number % 2 else None
    return full_person(0, betas=np.full(11, number, np.float32), betas_neutral=neutral, **changes)


def test_groups_are_sources_or_their_splits(tree):
    assert [(group.name, group.people) for group in groups_of(tree)] == [("fake", 50), ("other", 2)]
    apart = groups_of(tree, by_split=True)
    assert [(group.name, group.people) for group in apart] == [("fake train", 40), ("fake val", 10), ("other test", 2)]
    assert len({group.fingerprint for group in apart}) == 3


def test_a_sample_of_everyone_holds_everyone(tree):
    fake, other = (draw_sample(tree, group) for group in groups_of(tree))
    numbers = sorted([*range(40), *range(100, 110)])
    for poses in (fake.bodies, fake.orients, fake.left_hands, fake.right_hands):
        assert sorted(poses.reshape(50, -1)[:, 0].tolist()) == numbers
        assert (poses.reshape(50, -1).std(axis=1) == 0).all()
    assert sorted(fake.betas[:, 0].tolist()) == sorted(n + 0.5 * (n % 2) for n in numbers)  # neutral ones come first
    assert [len(kind) for kind in (other.bodies, other.orients, other.left_hands, other.betas)] == [0, 0, 0, 0]


def test_a_small_sample_is_the_same_every_time_and_from_few_shards(tree):
    group = groups_of(tree)[0]
    found, again = (draw_sample(tree, group, people=12, shards=4) for _ in range(2))
    assert len(found.bodies) == len(found.orients) == 12
    for name in ("bodies", "orients", "left_hands", "right_hands", "betas"):
        assert getattr(found, name).tolist() == getattr(again, name).tolist()
    units = found.orients[:, 0] // 10
    assert len(set(units.tolist())) == 4
    assert set(units[::2]) & set(units[1::2]) == set()  # halves are of different shards
    assert len(set(found.bodies[:, 0, 0].tolist())) == 12


def test_missing_sidecars_are_counted(tree, tmp_path):
    out = tmp_path / "half"
    shutil.copytree(tree, out)
    next((out / "fake" / "train" / "unit_1").glob("fake-*.parquet")).unlink()
    sample = draw_sample(out, groups_of(out)[0])
    assert sample.unread == 1
    assert (len(sample.orients), len(sample.bodies)) == (40, 50)


def test_without_a_catalog_it_says_how_to_make_one(tmp_path):
    with pytest.raises(ShardError, match="run ehps catalog"):
        groups_of(tmp_path)


def test_large_shards_give_rows_of_one_row_group(tree, monkeypatch):
    group = groups_of(tree, by_split=True)[0]
    sample = draw_sample(tree, group, people=8, shards=2)
    assert len(sample.orients) == 8
    assert len(set((sample.orients[:, 0] // 10).tolist())) == 2
    monkeypatch.setattr(samples, "SEED", 1)
    assert draw_sample(tree, group, people=8, shards=2).orients.tolist() != sample.orients.tolist()
