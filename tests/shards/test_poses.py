"""Who stands alike, and who stands as few do."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ehps.errors import ShardError
from ehps.shards.catalog import build_catalog, query
from ehps.shards.index import PeopleIndex
from ehps.shards.poses import BODY, HAND, PoseReference, Spread, nearest, poses_of

LISTS = pa.list_(pa.float32())


def table(body: list, left: list | None = None, right: list | None = None) -> pa.Table:
    """Return the columns of a sidecar that hold poses."""
    none = [None] * len(body)
    values = {"body_pose": body, "left_hand_pose": left or none, "right_hand_pose": right or none}
    return pa.table({name: pa.array(value, LISTS) for name, value in values.items()})


def bodies(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, BODY), np.float32) * np.float32(0.4)


def test_poses_are_the_first_numbers_of_the_lists_that_are_long_enough():
    column = pa.array([None, [1.0, 2.0, 3.0], [4.0], [5.0, 6.0], []], LISTS)
    for lists in (column, pa.chunked_array([column[:1], column[1:]]), pa.chunked_array([column]).slice(0)):
        poses = poses_of(lists, 2)
        assert (poses.rows.tolist(), poses.numbers.tolist()) == ([1, 3], [[1.0, 2.0], [5.0, 6.0]])
    assert poses_of(column[3:], 2).numbers.tolist() == [[5.0, 6.0]]
    assert poses_of(pa.chunked_array([], LISTS), 2).numbers.shape == (0, 2)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 400), st.integers(1, 12), st.integers(0, 2**31), st.sampled_from([0.0, 1e-4, 1.0]))
def test_the_nearest_are_those_of_a_plain_search(people, count, seed, spread):
    rng = np.random.default_rng(seed)
    centre = rng.standard_normal(BODY).astype(np.float32)
    numbers = centre + np.float32(spread) * rng.standard_normal((people, BODY), np.float32)
    squares = np.einsum("ij,ij->i", numbers, numbers)
    cut = people // 3
    query_pose = centre.reshape(21, 3)
    places, distances = nearest(query_pose, [(numbers[:cut], squares[:cut]), (numbers[cut:], squares[cut:])], count)
    expected = np.sqrt(np.square(numbers.astype(np.float64) - centre).sum(1) / 21)
    order = np.argsort(expected, kind="stable")[:count]
    assert places.tolist() == order.tolist()
    np.testing.assert_allclose(distances, expected[order])


def test_rarity_is_one_on_average_and_grows_with_the_distance():
    numbers = bodies(4000)
    spread = Spread.of(numbers)
    rarity = spread.rarity(numbers)
    # The softness of 0.05 rad makes the spread a little wider than the poses are.
    assert np.square(rarity).mean() == pytest.approx(1 / (1 + 0.05**2 / 0.4**2), abs=0.01)
    assert spread.rarity(np.stack([numbers.mean(0), numbers.mean(0) + 2])) == pytest.approx([0, 5], abs=0.2)


@pytest.mark.parametrize("people", [0, 1, 63, 64, 65, 200])
def test_rarity_does_not_depend_on_the_blocks(people):
    spread, numbers = Spread.of(bodies(300)), bodies(people, 1)
    expected = np.sqrt(np.square((numbers.astype(np.float64) - spread.mean) @ spread.whitening).mean(1))
    np.testing.assert_allclose(spread.rarity(numbers), expected, rtol=1e-4)


def test_the_left_hand_is_measured_in_the_mirror():
    rng = np.random.default_rng(3)
    right = rng.normal(0.5, 0.2, (500, HAND)).astype(np.float32)
    mirror = np.tile(np.array([1, -1, -1], np.float32), HAND // 3)
    none = [None] * 500
    reference = PoseReference.of([table(none, right=list(right))], 500, 1000)
    once = reference.hand_rarity(table(none, right=list(right)))
    np.testing.assert_allclose(reference.hand_rarity(table(none, left=list(right * mirror))), once, rtol=1e-5)
    assert (reference.hand_rarity(table(none, left=list(right))) > 3).all()
    both = reference.hand_rarity(table(none, left=list(right), right=list(right)))
    assert (both > once).all()


def test_whoever_has_no_pose_has_no_rarity():
    people = table([None, [0.0] * BODY, [0.0] * 5], right=[None, None, [0.0] * HAND])
    reference = PoseReference.of([people], 3, 10)
    poses = poses_of(people["body_pose"], BODY)
    assert np.isnan(reference.body_rarity(poses, 3)).tolist() == [True, False, True]
    assert np.isnan(reference.hand_rarity(people)).tolist() == [True, True, False]
    nobody = PoseReference.of([table([None])], 1, 10)
    assert (nobody.body, nobody.hand) == (None, None)
    assert np.isnan(nobody.body_rarity(poses, 3)).all()


def test_a_reference_comes_back_from_its_file(tmp_path):
    reference = PoseReference.of([table(list(bodies(50)))], 50, 1000)
    reference.save(tmp_path / "reference.npz")
    again = PoseReference.load(tmp_path / "reference.npz")
    assert (again.people, again.hand) == (50, None)
    assert again.body is not None
    assert reference.body is not None
    np.testing.assert_array_equal(again.body.whitening, reference.body.whitening)
    (tmp_path / "reference.npz").write_bytes(b"nothing")
    with pytest.raises(ShardError, match="ehps catalog --refresh"):
        PoseReference.load(tmp_path / "reference.npz")


@pytest.mark.parametrize("is_mapped", [True, False])
def test_the_catalog_knows_who_stands_alike(tree, is_mapped):
    if is_mapped:
        build_catalog(tree)
    index = PeopleIndex.open(tree)
    poses = np.stack([index.load(i).body_pose for i in range(0, 18, 2)])
    ids, distances = index.nearest_poses(4, 3)
    expected = np.sqrt(np.square(poses.astype(np.float64) - poses[2]).sum((1, 2)) / 21)
    order = np.argsort(expected, kind="stable")[1:4]
    assert ids.tolist() == (2 * order).tolist()
    np.testing.assert_allclose(distances, expected[order], rtol=1e-6)
    assert index.nearest_poses(poses[2], 1)[0].tolist() == [4]
    with pytest.raises(ShardError, match="person 1 has no body pose"):
        index.nearest_poses(1)


def test_rarity_is_a_column(catalog):
    sql = "select person_id, quality_body_pose_rarity as body, quality_hand_pose_rarity as hand from people order by 1"
    rows = query(catalog, sql)
    labelled = [i % 2 == 0 and i < 18 for i in range(19)]
    assert rows["body"].notna().tolist() == labelled
    assert rows["hand"].notna().tolist() == labelled
    assert (rows["body"].dropna() < 2).all()
