"""The catalog answers questions about everyone, and nothing else."""

import tempfile
from pathlib import Path

import duckdb
import pytest

from ehps.errors import QueryError, ShardError
from ehps.shards.catalog import build_catalog, fingerprint, open_catalog, query


def one(out: Path, sql: str) -> list:
    return query(out, sql).iloc[0].tolist()


def test_everyone_is_counted_once(catalog):
    counts = "select (select count(*) from people), (select count(*) from frames), (select count(*) from poses)"
    assert one(catalog, counts) == [19, 10, 19]
    assert one(catalog, "select sum(frames), sum(people), count(*) from shards") == [10, 19, 4]
    assert one(catalog, "select sum(frames), sum(people), sum(rejected_people) from conversions") == [10, 19, 6]
    assert query(catalog, "select dataset, people from reject_summary")["people"].tolist() == [4, 2]


def test_the_views_select_who_is_labelled(catalog):
    for view in ("people_with_body", "people_with_hands", "people_with_face"):
        assert one(catalog, f"select count(*) from {view}") == [9]


def test_poses_and_frames_belong_to_people_by_number(catalog, make):
    sql = "select body_pose from people join poses using (person_id) where track = 'person 4'"
    assert one(catalog, sql)[0].tolist() == make.person(4).body_pose.ravel().tolist()
    sql = "select min(f.first_person_id + p.person = p.person_id) from people p join frames f using (key)"
    assert one(catalog, sql) == [True]


def test_what_the_units_say_about_their_making_is_there(catalog):
    sql = "select converter_version, checks ->> '$.median_reprojection_px' from conversions limit 1"
    assert one(catalog, sql) == [3, "1.5"]


def test_a_source_without_a_card_is_still_a_source(catalog):
    assert query(catalog, "select dataset from sources")["dataset"].tolist() == ["fake", "other"]


def test_every_column_of_a_table_says_what_it_means(catalog):
    sql = "select table_name, column_name, comment from duckdb_columns() where table_name in ({})"
    with duckdb.connect(str(catalog / "catalog.duckdb"), read_only=True) as connection:
        columns = connection.execute(sql.format("select table_name from duckdb_tables()")).fetchall()
    meanings = {(table, column): meaning for table, column, meaning in columns}
    assert len({table for table, _ in meanings}) == 8
    assert [column for column, meaning in meanings.items() if not meaning] == []
    assert meanings["people", "quality_reprojection_px"].endswith("px")


def test_plain_duckdb_opens_the_file(catalog):
    with duckdb.connect(str(catalog / "catalog.duckdb"), read_only=True) as connection:
        assert connection.execute("select count(*) from people_with_body").fetchone() == (9,)


def test_a_rebuild_is_seen_while_older_connections_are_open(tree, make):
    build_catalog(tree)
    with open_catalog(tree) as old:
        make.unit(tree, [make.frame(30)], "unit_3")
        build_catalog(tree)
        assert old.execute("select count(*) from people").fetchone() == (19,)
        with open_catalog(tree) as new:
            assert new.execute("select count(*) from people").fetchone() == (21,)
            assert new.cursor().execute("select count(*) from people").fetchone() == (21,)


def test_a_tree_without_a_catalog_says_what_to_run(tree, tmp_path):
    with pytest.raises(ShardError, match="run ehps convert, or ehps catalog"):
        open_catalog(tree)
    with pytest.raises(ShardError, match="run ehps convert first"):
        build_catalog(tmp_path)


def test_a_file_that_is_no_catalog_is_refused(tree):
    (tree / "catalog.duckdb").write_bytes(b"nothing" * 1000)
    with pytest.raises(ShardError, match="rebuild it with ehps catalog"):
        open_catalog(tree)


def test_two_frames_with_one_key_stop_the_build(tree, make):
    make.unit(tree, [make.frame(1)], "unit_9")
    with pytest.raises(ShardError, match=r"00001_jpg' is in both fake-train-unit_0-00000\.tar and fake-train-unit_9"):
        build_catalog(tree)
    assert not (tree / "catalog.duckdb").exists()


def test_a_missing_sidecar_stops_the_build(tree):
    (tree / "other/test/only/other-test-only-00000.parquet").unlink()
    with pytest.raises(ShardError, match=r"the sidecars do not make a catalog .*other-test-only-00000\.parquet"):
        build_catalog(tree)


def test_the_poses_can_be_left_out(tree):
    build_catalog(tree, poses=False)
    assert one(tree, "select count(*) from duckdb_tables() where table_name = 'poses'") == [0]


def test_a_tree_of_rejects_only_has_empty_tables(make, tmp_path):
    make.unit(tmp_path, [])
    build_catalog(tmp_path)
    assert one(tmp_path, "select (select count(*) from people), (select sum(people)::int from rejects)") == [0, 2]


def test_a_folder_may_have_any_name(make, tmp_path):
    out = tmp_path / "it's [a] *"
    make.unit(out, [make.frame()])
    build_catalog(out)
    assert one(out, "select count(*) from people") == [2]


@pytest.mark.parametrize(
    "sql",
    [
        "copy people to '{folder}/stolen.csv'",
        "copy people to '{catalog}/stolen.csv'",
        "copy people to '{catalog}/catalog.duckdb.wal'",
        "copy people to '{catalog}/catalog.duckdb'",
        "explain analyze copy people to '{catalog}/catalog.duckdb.wal'",
        "select 1; copy people to '{catalog}/catalog.duckdb.wal'",
        "copy people to '{temporary}/stolen.csv'",
        "create table ehps.mine as select 1",
        "delete from ehps.people",
        "drop table ehps.people",
        "select * from read_csv('{folder}/secret.csv')",
        "select * from '{folder}/secret.csv'",
        "select content from read_text('{folder}/secret.csv')",
        "select * from glob('{folder}/*')",
        "attach '{folder}/new.duckdb'",
        "export database '{folder}/export'",
        "install httpfs",
        "load '{folder}/extension'",
        "set enable_external_access = true",
        "select * from frame",
        "selekt 1",
    ],
)
def test_a_query_can_neither_write_nor_reach_other_files(catalog, tmp_path, sql):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "secret.csv").write_text("a\n1\n")
    frame = "a variable of Python is out of reach too"
    assert frame
    before = (catalog / "catalog.duckdb").read_bytes()
    with pytest.raises(QueryError):
        query(catalog, sql.format(folder=folder, catalog=catalog, temporary=tempfile.gettempdir()))
    assert [path.name for path in folder.iterdir()] == ["secret.csv"]
    assert (catalog / "catalog.duckdb").read_bytes() == before
    assert sorted(path.suffix for path in catalog.iterdir() if path.is_file()) == [".duckdb", ".npy"]


def test_a_query_takes_parameters(catalog):
    assert query(catalog, "select count(*) as n from people where dataset = ?", ["other"])["n"].tolist() == [1]


def test_the_fingerprint_follows_the_bytes_of_the_tars(tree, make, tmp_path):
    before = fingerprint(tree), fingerprint(tree, "other"), fingerprint(tree, "fake", "train")
    make.unit(tree, [make.frame(40)], "unit_4")
    after = fingerprint(tree), fingerprint(tree, "other"), fingerprint(tree, "fake", "train")
    assert [a == b for a, b in zip(before, after, strict=True)] == [False, True, False]
