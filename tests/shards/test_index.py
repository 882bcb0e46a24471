"""The index finds everyone without a tar being scanned, whoever asks and from wherever."""

import os
import pickle
import shutil

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ehps.errors import ShardError
from ehps.shards import stored
from ehps.shards.catalog import build_catalog, query
from ehps.shards.index import INDEX_COLUMNS, IndexRows, PeopleIndex, hash_keys
from ehps.shards.reader import iter_shards
from ehps.shards.sidecar import empty_sidecar, sidecar_columns

TILED = [("image_size", [5, 5, 6, 7]), ("person", [0, 1, 0, 0]), ("tile_header_size", [9, None, None, 11])]


def sidecar(values: dict[str, list], size: int) -> pa.Table:
    """Return rows of a sidecar that are null but for some columns."""
    columns = {c.name: pa.array(values.get(c.name, [None] * size), c.type) for c in sidecar_columns()}
    columns |= {name: pa.array([False] * size) for name in columns if name.startswith("has_")}
    return pa.table(columns).select(INDEX_COLUMNS)


def maps(index: PeopleIndex) -> list:
    return [index.load(i).frame.tiles for i in range(len(index))]


def test_the_index_counts_like_the_catalog(catalog):
    rows = query(catalog, "select person_id, person_key, bbox_x0, width from people order by person_id")
    for index in (PeopleIndex.open(catalog), PeopleIndex.from_shards(catalog, iter_shards(catalog))):
        assert rows["person_id"].tolist() == list(range(len(index)))
        assert [index.load(i).person_key for i in range(len(index))] == rows["person_key"].tolist()
        assert index.column("width").tolist() == rows["width"].tolist()
        np.testing.assert_array_equal(index.bbox_xyxy[:, 0], rows["bbox_x0"].to_numpy(np.float32, na_value=np.nan))
        np.testing.assert_array_equal(index.has("body_pose"), [i % 2 == 0 and i < 18 for i in range(19)])
        assert index.ids("other").tolist() == [18]
        assert index.ids(split="train").tolist() == list(range(18))
        assert [shard.path for shard in index.shards] == [
            p.relative_to(catalog).as_posix() for p in iter_shards(catalog)
        ]


def test_the_index_is_mapped_as_far_as_the_catalog_knows_the_shards(make, tree):
    before = [PeopleIndex.open(tree).load(i).person_key for i in range(19)]
    build_catalog(tree)
    mapped = PeopleIndex.open(tree)
    assert [piece.part.rows.flags.writeable for piece in mapped._pieces] == [False, False]
    make.unit(tree, [make.frame(20)], "unit_05")
    later = PeopleIndex.open(tree)
    assert [piece.part.rows.flags.writeable for piece in later._pieces] == [False, True, False, False]
    keys = [later.load(i).person_key for i in range(21)]
    assert [key for key in keys if "00020" not in key] == before
    assert keys[12:14] == ["fake-train-sequence-cam_1-00020_jpg#0", "fake-train-sequence-cam_1-00020_jpg#1"]
    build_catalog(tree)
    assert [PeopleIndex.open(tree).load(i).person_key for i in range(21)] == keys


def test_an_index_of_some_tars_has_their_people_in_the_given_order(catalog):
    tars = list(iter_shards(catalog))
    index = PeopleIndex.from_shards(catalog, [tars[3], tars[1], tars[2], tars[0]])
    whole = PeopleIndex.open(catalog)
    ends = np.cumsum([0, *(shard.people for shard in whole.shards)]).tolist()
    expected = [i for tar in (3, 1, 2, 0) for i in range(ends[tar], ends[tar + 1])]
    assert [index.load(i).person_key for i in range(19)] == [whole.load(i).person_key for i in expected]
    assert [index.find(whole.load(i).person_key) for i in expected] == list(range(19))
    assert index.ids("fake").tolist() == list(range(1, 19))


def test_a_moved_tree_is_still_mapped(tree, tmp_path):
    build_catalog(tree)
    shutil.copytree(tree, tmp_path / "copy")
    index = PeopleIndex.open(tmp_path / "copy")
    assert not any(piece.part.rows.flags.writeable for piece in index._pieces)
    assert index.load(3).person_key == PeopleIndex.open(tree).load(3).person_key


@pytest.mark.parametrize("is_mapped", [True, False])
def test_an_index_goes_to_another_process(tree, is_mapped):
    if is_mapped:
        build_catalog(tree)
    index = PeopleIndex.open(tree)
    assert len(pickle.dumps(index)) < (2000 if is_mapped else 10_000)
    again = pickle.loads(pickle.dumps(index))
    assert [again.load(i).person_key for i in (3, 18)] == [index.load(i).person_key for i in (3, 18)]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_an_index_survives_a_fork(catalog):
    index = PeopleIndex.open(catalog)
    expected = index.load(3).person_key
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        os.write(write, index.load(3).person_key.encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 200).decode() == expected == index.load(3).person_key


def test_only_so_many_tars_are_open_at_once(catalog, monkeypatch):
    monkeypatch.setattr(stored, "_MAX_OPEN", 1)
    index = PeopleIndex.open(catalog)
    order = [0, 18, 0, 13, 6, 18, 0]
    assert [index.load(i).transl is None for i in order] == [i % 2 == 1 or i == 18 for i in order]
    assert sum(tar._descriptor is not None for tar in index._tars.values()) == 1


@pytest.mark.parametrize("is_mapped", [True, False])
def test_everyone_is_found_by_key(tree, is_mapped):
    if is_mapped:
        build_catalog(tree)
    index = PeopleIndex.open(tree)
    assert [index.find(index.load(i).person_key) for i in range(19)] == list(range(19))


@pytest.mark.parametrize("key", ["nobody#0", "#", "ä#0", "", "fake-train-sequence-cam_1-00001_jpg#2", "x" * 200 + "#0"])
def test_a_key_that_nobody_bears_is_an_error(catalog, key):
    with pytest.raises(ShardError, match="holds nobody called"):
        PeopleIndex.open(catalog).find(key)


@pytest.mark.parametrize("person_id", [-1, 19])
def test_a_number_beyond_the_people_is_an_error(catalog, person_id):
    with pytest.raises(IndexError, match="not among the 19 people"):
        PeopleIndex.open(catalog).load(person_id)


@given(st.lists(st.text("abc-_019", min_size=1, max_size=95), unique=True, max_size=50))
def test_keys_and_their_hashes_differ_alike(keys):
    assert len(set(hash_keys(pa.array(keys, pa.string())).tolist())) == len(keys)


def test_the_people_of_a_frame_share_its_tiles_also_across_tables():
    maker = IndexRows()
    first = {name: values[:1] for name, values in TILED}
    first |= {"tile_row_offsets": [[9, 20, 31]], "tile_row_crc32": [[7, 8]], "tile_header_crc32": [4]}
    later = {name: values[1:] for name, values in TILED}
    later |= {"tile_row_offsets": [None, None, [11, 50]], "tile_row_crc32": [None, None, [6]]}
    rows, tiles = zip(maker.add(sidecar(first, 1), 0), maker.add(sidecar(later, 3), 1), strict=True)
    rows, tiles = np.concatenate(rows), np.concatenate(tiles)
    assert tiles.tolist() == [(9, 7), (20, 8), (31, 0), (11, 6), (50, 0)]
    assert rows["tile_rows"].tolist() == [2, 2, 0, 1]
    assert rows["tile_start"][[0, 1, 3]].tolist() == [0, 0, 3]
    assert rows["tile_header_size"].tolist() == [9, 9, 0, 11]
    assert rows["shard"].tolist() == [0, 1, 1, 1]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 5)), min_size=1, max_size=8), st.integers(1, 9))
def test_tiles_do_not_depend_on_how_rows_are_grouped(frames, group):
    people = [person for count, _ in frames for person in range(count)]
    crc = [list(range(n)) if n else None for count, n in frames for n in [n] + [0] * (count - 1)]
    offsets = [None if c is None else [10 * i for i in range(len(c) + 1)] for c in crc]
    values = {"person": people, "tile_row_crc32": crc, "tile_row_offsets": offsets}
    table = sidecar(values, len(people))
    whole, parts = IndexRows(), IndexRows()
    rows, tiles = whole.add(table, 0)
    pieces = [parts.add(table.slice(start, group), 0) for start in range(0, len(people), group)]
    for name in rows.dtype.names or ():
        np.testing.assert_array_equal(np.concatenate([piece[0][name] for piece in pieces]), rows[name])
    assert np.concatenate([piece[1] for piece in pieces]).tobytes() == tiles.tobytes()
    assert rows["tile_rows"].tolist() == [n for count, n in frames for _ in range(count)]


def test_a_sidecar_without_rows_has_no_rows():
    rows, tiles = IndexRows().add(empty_sidecar().select(INDEX_COLUMNS), 0)
    assert (len(rows), len(tiles)) == (0, 0)


def test_tiles_come_from_the_index(make, tmp_path):
    untiled = make.frame(1)
    make.unit(tmp_path, [untiled])
    assert maps(PeopleIndex.open(tmp_path)) == [None, None]
    build_catalog(tmp_path)
    assert maps(PeopleIndex.open(tmp_path)) == [None, None]
