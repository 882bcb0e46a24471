"""The catalog answers questions about everyone, and nothing else."""

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ehps.errors import QueryError, ShardError
from ehps.shards.catalog import build_catalog, explain, fingerprint, open_catalog, query, query_arrow
from ehps.shards.catalog_files import PARTITION_FILES, read_partition, read_state
from ehps.shards.digest import file_digest
from ehps.shards.index import PeopleIndex
from ehps.shards.sidecar import write_table
from ehps.shards.tree import read_sealed


def one(out: Path, sql: str) -> list:
    return query(out, sql).iloc[0].tolist()


def test_everyone_is_counted_once(catalog):
    counts = "select (select count(*) from people), (select count(*) from frames), (select count(*) from poses)"
    assert one(catalog, counts) == [19, 10, 19]
    assert one(catalog, "select sum(frames), sum(people), count(*) from shards") == [10, 19, 4]
    assert one(catalog, "select sum(frames), sum(people), sum(rejected_people) from conversions") == [10, 19, 6]
    assert query(catalog, "select dataset, people from reject_summary")["people"].tolist() == [4, 2]


def test_the_counts_of_labels_are_those_of_everyone(catalog):
    names = [name for name in query(catalog, "select * from label_counts limit 0").columns if name != "people"]
    assert len(names) == 8
    everyone = f"select {', '.join(names)}, count(*) as people from people group by all order by all"
    counted = query(catalog, "from label_counts order by all")
    pd.testing.assert_frame_equal(counted, query(catalog, everyone))
    assert len(counted) > 2


def test_a_catalog_of_an_older_version_says_what_to_run_and_is_current_after_it(catalog, tmp_path):
    catalog = shutil.copytree(catalog, tmp_path / "out")
    with duckdb.connect(str(catalog / "catalog.duckdb")) as connection:
        connection.execute("DROP TABLE label_counts")
    with pytest.raises(ShardError, match=r"another version of ehps built the catalog .*label_counts.*run ehps catalog"):
        query(catalog, "select count(*) from people")
    build_catalog(catalog)
    assert one(catalog, "select sum(people) from label_counts") == [19]


def test_the_views_select_who_is_labelled(catalog):
    views = ("body", "hands", "face", "shape", "2d", "3d", "metric_camera")
    counts = {view: one(catalog, f"select count(*) from people_with_{view}")[0] for view in views}
    assert counts == dict.fromkeys(views[:-1], 9) | {"metric_camera": 10}
    assert one(catalog, "select frames, cameras, first_frame, last_frame from video_sequences where dataset = 'fake'")


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
    sql = "select table_name, column_name, comment from duckdb_columns() where not internal"
    with duckdb.connect(str(catalog / "catalog.duckdb"), read_only=True) as connection:
        columns = connection.execute(sql).fetchall()
    meanings = {(table, column): meaning for table, column, meaning in columns}
    assert len({table for table, _ in meanings}) == 24
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
    with pytest.raises(ShardError, match=r"other-test-only-00000\.parquet: the sidecar of the shard is not there"):
        build_catalog(tree)
    assert not (tree / "catalog.duckdb").exists()


def test_a_damaged_sidecar_stops_the_build(tree):
    sidecar = tree / "other/test/only/other-test-only-00000.parquet"
    data = bytearray(sidecar.read_bytes())
    data[4:2000] = bytes(1996)
    sidecar.write_bytes(data)
    with pytest.raises(ShardError, match=r"other-test-only-00000\.parquet: .*convert the unit again"):
        build_catalog(tree)
    assert not (tree / "catalog.duckdb").exists()
    assert not list((tree / ".tmp").glob("*"))


def test_a_sidecar_with_other_people_than_its_unit_says_stops_the_build(tree):
    folder = tree / "fake/train/unit_1"
    sidecar = next(folder.glob("*-00000.parquet"))
    write_table(sidecar, pq.read_table(sidecar).slice(0, 4))
    with pytest.raises(ShardError, match="does not hold the 6 people that its unit speaks of"):
        build_catalog(tree)


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
        "select content from read_text('{catalog}/../../{name}/secret.csv')",
        "select * from glob('{folder}/*')",
        "copy (pivot people on split using count(*)) to '{catalog}/stolen.csv'",
        "with a as (pivot people on split using count(*)) insert into ehps.shards from a",
        "create table mine as pivot people on split using count(*)",
        "explain analyze create table mine as pivot people on split using count(*)",
        "create persistent secret s (type s3)",
        "call pragma_version()",
        "",
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
    sql = sql.format(folder=folder, catalog=catalog, temporary=tempfile.gettempdir(), name=f"{tmp_path.name}/elsewhere")
    for ask in (query, query_arrow, explain):
        with pytest.raises(QueryError):
            ask(catalog, sql)
    assert [path.name for path in folder.iterdir()] == ["secret.csv"]
    assert (catalog / "catalog.duckdb").read_bytes() == before
    assert [path.name for path in catalog.iterdir() if path.is_file()] == ["catalog.duckdb"]


def test_a_query_takes_parameters(catalog):
    assert query(catalog, "select count(*) as n from people where dataset = ?", ["other"])["n"].tolist() == [1]


def test_the_fingerprint_follows_the_bytes_of_the_tars(tree, make, tmp_path):
    before = fingerprint(tree), fingerprint(tree, "other"), fingerprint(tree, "fake", "train")
    make.unit(tree, [make.frame(40)], "unit_4")
    after = fingerprint(tree), fingerprint(tree, "other"), fingerprint(tree, "fake", "train")
    assert [a == b for a, b in zip(before, after, strict=True)] == [False, True, False]


@pytest.mark.parametrize(
    "sql",
    [
        "pivot people on split using count(*) group by dataset",
        "from (pivot people on split using count(*) group by dataset)",
        "with a as (from people) select dataset, count(*) from a group by 1",
        "select dataset, count(*) from people group by 1; select dataset, count(*) from people group by 1",
    ],
)
def test_questions_of_all_kinds_are_answered(catalog, sql):
    assert sorted(query(catalog, sql)["dataset"]) == ["fake", "other"]


@pytest.mark.parametrize("sql", ["describe people", "show tables", "summarize shards", "values (1)"])
def test_a_catalog_says_what_it_holds(catalog, sql):
    assert len(query(catalog, sql))


def test_whole_numbers_stay_whole_where_some_are_null(catalog):
    table = query_arrow(catalog, "select num_betas, image_phash from people join frames using (key) order by person_id")
    assert table.schema.types == [pa.int32(), pa.uint64()]
    assert table["num_betas"].to_pylist()[:3] == [11, None, 11]


def test_a_plan_has_times_and_rows(catalog):
    plan = explain(catalog, "select count(*) from people where dataset = 'fake'")
    assert "18 rows" in plan
    assert "Total Time" in plan


def test_tables_from_elsewhere_can_be_joined(catalog):
    errors = pa.table({"person_key": ["fake-train-sequence-cam_1-00003_jpg#0"], "measure": ["PVE"], "value": [88.5]})
    sql = "select model, value, track from person_results join people using (person_key)"
    assert query(catalog, sql, tables={"person_results": errors}).values.tolist() == [[None, 88.5, "person 3"]]
    assert query(catalog, sql).empty


def folders(out: Path) -> dict[str, int]:
    """Return the partitions that are on the disk, with what identifies their files."""
    return {p.parent.relative_to(out).as_posix(): p.stat().st_ino for p in out.glob("catalog/*/*/*/partition.json")}


def test_one_more_source_leaves_the_others_as_they_are(tree, make):
    build_catalog(tree)
    before = folders(tree)
    make.unit(tree, [make.frame(30)], "unit_0", dataset="another")
    build_catalog(tree)
    after = folders(tree)
    assert after.keys() - before.keys() == {path for path in after if path.startswith("catalog/another/train/")}
    assert before.items() <= after.items()
    assert one(tree, "select min(person_id), max(person_id) from people where dataset = 'fake'") == [2, 19]


def test_the_partition_of_the_build_before_stays_for_its_readers(tree, make):
    build_catalog(tree)
    first = set(folders(tree))
    plain = duckdb.connect(str(tree / "catalog.duckdb"), read_only=True)
    index = PeopleIndex.open(tree)
    make.unit(tree, [make.frame(30)], "unit_3")
    build_catalog(tree)
    assert len(set(folders(tree)) - first) == 1
    assert first <= set(folders(tree))
    assert plain.execute("select count(*) from people").fetchone() == (19,)
    assert index.load(18).dataset == "other"
    plain.close()
    make.unit(tree, [make.frame(31)], "unit_4")
    build_catalog(tree)
    assert len(folders(tree)) == 3


def test_a_source_that_is_gone_leaves_the_catalog(tree):
    build_catalog(tree)
    shutil.rmtree(tree / "other")
    build_catalog(tree)
    assert query(tree, "select distinct dataset from people")["dataset"].tolist() == ["fake"]
    build_catalog(tree)
    assert not (tree / "catalog/other").exists()


def test_the_same_tree_gives_the_same_files(tree, tmp_path):
    shutil.copytree(tree, tmp_path / "copy")
    for out in (tree, tmp_path / "copy"):
        build_catalog(out)
    sums = [
        {path.relative_to(out): file_digest(path) for path in out.glob("catalog/*/*/*/*")}
        for out in (tree, tmp_path / "copy")
    ]
    assert len(sums[0]) == 2 * (len(PARTITION_FILES) + 1)
    assert sums[0] == sums[1]


def test_every_file_has_its_checksum(catalog):
    state = read_state(catalog)
    assert state is not None
    for partition in state.partitions:
        named = read_partition(partition.folder)["files"]
        assert named == {name: file_digest(partition.folder / name) for name in PARTITION_FILES}
    files = read_sealed(catalog / "catalog/catalog.json")["files"]
    assert files == {name: file_digest(catalog / name) for name in ("catalog.duckdb", "catalog/pose_reference.npz")}


def test_the_reference_of_the_poses_stays_until_it_is_refreshed(tree, make):
    build_catalog(tree)
    rarity = "select quality_body_pose_rarity from people where person_key like '%00004_jpg#0'"
    before = one(tree, rarity)
    make.unit(tree, [make.frame(number) for number in range(30, 40)], "unit_3")
    build_catalog(tree)
    assert one(tree, rarity) == before
    build_catalog(tree, refresh=True)
    assert one(tree, rarity) != before


def test_a_much_larger_tree_gets_a_reference_of_its_own(tree, make):
    build_catalog(tree)
    assert one(tree, "select reference_people from catalog_info") == [19]
    make.unit(tree, [make.frame(number) for number in range(100, 190)], "unit_3")
    build_catalog(tree)
    assert one(tree, "select reference_people from catalog_info") == [199]


def test_damaged_parts_are_made_again(tree):
    build_catalog(tree)
    state = read_state(tree)
    assert state is not None
    index = state.partitions[0].folder / "index.npy"
    sound = index.read_bytes()
    index.write_bytes(sound[:-1])
    build_catalog(tree, rebuild=True)
    assert index.read_bytes() == sound
    (tree / "catalog/catalog.json").write_text("{}")
    with pytest.raises(ShardError, match="ehps catalog --rebuild"):
        PeopleIndex.open(tree)
    build_catalog(tree)
    assert one(tree, "select count(*) from people") == [19]


def test_two_builds_at_once_do_not_disturb_one_another(tree):
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(build_catalog, [tree, tree]))
    script = (
        "import sys; from pathlib import Path; from ehps.shards.catalog import build_catalog as b; b(Path(sys.argv[1]))"
    )
    run = [sys.executable, "-c", script, str(tree)]
    processes = [subprocess.Popen(run, env=os.environ) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert one(tree, "select count(*) from people") == [19]


def test_a_moved_tree_answers_and_plain_duckdb_after_a_build(tree, tmp_path):
    build_catalog(tree)
    tree.rename(tmp_path / "moved")
    moved = tmp_path / "moved"
    assert one(moved, "select count(*) from people join poses using (person_id)") == [19]
    build_catalog(moved)
    with duckdb.connect(str(moved / "catalog.duckdb"), read_only=True) as connection:
        assert connection.execute("select count(*) from people join poses using (person_id)").fetchone() == (19,)


def test_measures_that_one_source_alone_has_are_columns(tree, make):
    person = make.person(50, quality={"shoe_size": 43.0, "reprojection_px": 2.0})
    make.unit(tree, [make.frame(50, (person,))], "unit_0", dataset="shoes")
    build_catalog(tree)
    sql = "select quality_shoe_size as size from people order by person_id"
    assert query(tree, sql)["size"].tolist()[-1] == 43.0
    assert one(tree, "select count(quality_shoe_size) from people") == [1]


def test_checks_are_rows(catalog):
    rows = query(catalog, "select dataset, unit, name, value, text from checks order by all")
    assert rows["name"].unique().tolist() == ["median_reprojection_px"]
    assert rows["value"].tolist() == [1.5] * 3


def test_pandas_reads_the_files_and_plain_duckdb_the_sidecars(catalog):
    files = sorted(catalog.glob("catalog/*/*/*/people.parquet"))
    people = pd.concat([pd.read_parquet(path) for path in files])
    assert people["person_key"].tolist() == query(catalog, "from people order by person_id")["person_key"].tolist()
    assert pq.read_schema(files[0]).field("box_height_px").metadata[b"comment"].endswith(b"px")
    count = f"select count(*), count(body_pose) from read_parquet('{catalog}/*/*/*/*-*.parquet')"
    assert duckdb.sql(count).fetchall() == [(19, 9)]


def test_arrays_of_a_partition_belong_together(catalog):
    folder = next(catalog.glob("catalog/fake/train/*"))
    index, poses, rows = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("index", "poses", "pose_rows"))
    assert (len(index), poses.shape, rows["row"].tolist()) == (18, (9, 63), list(range(0, 18, 2)))
    np.testing.assert_allclose(rows["square"], np.square(poses).sum(1), rtol=1e-5)
