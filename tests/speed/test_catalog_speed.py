"""The catalog of many people: made, added to, asked, and opened, beside what other tools take for the same.

``EHPS_SPEED_PEOPLE`` (1,000,000) says how many people are invented; ``EHPS_SPEED_TREE`` names a folder that
``make_sidecars.py`` has filled, which is used as it is and gets a catalog.
"""

import os
import re
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from ehps.shards.catalog import build_catalog, open_catalog, query_arrow
from ehps.shards.index import PeopleIndex

pytestmark = pytest.mark.speed
PEOPLE = int(os.environ.get("EHPS_SPEED_PEOPLE", "1000000"))
REPOSITORY = Path(__file__).resolve().parents[2]
TEXT = (REPOSITORY / "docs/catalog.md").read_text(encoding="utf-8")
NAMES = ("counts", "filter", "quantiles", "weighted", "shard", "person", "results", "histogram", "rare", "rejects")
QUESTIONS = dict(zip(NAMES, re.findall(r"```sql\n(.*?)```", TEXT, re.DOTALL), strict=True))
BUILD = """
import resource, sys, time
from pathlib import Path
from ehps.shards.catalog import build_catalog
start = time.perf_counter()
build_catalog(Path(sys.argv[1]), rebuild="rebuild" in sys.argv)
wall, used = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
highest = next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]
print(wall, used.ru_utime + used.ru_stime, int(highest) / 1024)
"""


def make_sidecars() -> Callable[..., None]:
    sys.path.insert(0, str(REPOSITORY / "tests/speed"))
    import make_sidecars

    return make_sidecars


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """A tree of invented people with its catalog."""
    if given := os.environ.get("EHPS_SPEED_TREE"):
        out = Path(given)
    else:
        out = tmp_path_factory.mktemp("people")
        make_sidecars().make_tree(out, PEOPLE)
    build_catalog(out)
    return out


@pytest.fixture(scope="module")
def connection(tree):
    with open_catalog(tree) as connection:
        connection.execute(
            "CREATE OR REPLACE TABLE person_results AS "
            "SELECT 'm' || m AS model, 'r' AS revision, 'p' AS protocol, person_key, 'PVE' AS measure, "
            "40 + 60 * random() AS value FROM (SELECT person_key FROM people WHERE split = 'test' LIMIT 200000), "
            "range(5) t(m)"
        )
        yield connection


def built(tree: Path, *options: str) -> dict[str, float]:
    """Build in a process of its own and return what it took."""
    run = subprocess.run([sys.executable, "-c", BUILD, str(tree), *options], capture_output=True, text=True, check=True)
    return dict(zip(("wall_s", "cpu_s", "rss_mb"), map(float, run.stdout.split()), strict=True))


@pytest.mark.benchmark(group="catalog of everybody from the sidecars")
class TestBuild:
    def test_all_partitions(self, benchmark, tree):
        took = benchmark.pedantic(lambda: built(tree, "rebuild"), rounds=1)
        benchmark.extra_info |= took

    def test_nothing_to_do(self, benchmark, tree):
        benchmark.extra_info |= benchmark.pedantic(lambda: built(tree), rounds=1)

    def test_one_source_of_100_000_more(self, benchmark, tree):
        script = make_sidecars()
        others = {path: path.stat().st_ino for path in tree.glob("catalog/*/*/*/*")}
        script.make_source(tree, script.Source("source_more", "train", 2, 100_000))
        benchmark.extra_info |= benchmark.pedantic(lambda: built(tree), rounds=1)
        assert others == {path: path.stat().st_ino for path in others}
        shutil.rmtree(tree / "source_more")
        build_catalog(tree)

    def test_pandas_reads_the_scalars_of_a_tenth(self, benchmark, tree):
        """Every tenth sidecar, because all of them would not fit into memory."""
        files = sorted(tree.glob("*/*/*/*-*.parquet"))[::10]
        schema = pq.read_schema(next(tree.glob("catalog/*/*/*/people.parquet")))
        names = [name for name in schema.names if "rarity" not in name]
        benchmark.pedantic(lambda: pd.concat([pd.read_parquet(path, columns=names) for path in files]), rounds=1)
        benchmark.extra_info["rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def people(tree: Path, *columns: str) -> pd.DataFrame:
    """Return columns of people.parquet of all partitions as pandas does."""
    files = sorted(tree.glob("catalog/*/*/*/people.parquet"))
    return pd.concat([pd.read_parquet(path, columns=list(columns)) for path in files], ignore_index=True)


def pandas_counts(tree: Path) -> pd.DataFrame:
    names = ("body_pose", "left_hand_pose", "right_hand_pose", "expression")
    rows = people(tree, "dataset", "split", *(f"has_{name}" for name in names))
    rows["hands"] = rows["has_left_hand_pose"] & rows["has_right_hand_pose"]
    rows["people"] = 1
    return rows.groupby(["dataset", "split"], observed=True)[
        ["people", "has_body_pose", "hands", "has_expression"]
    ].sum()


def pandas_filter(tree: Path) -> pd.Series:
    measures = ["box_height_px", "quality_truncation", "quality_reprojection_px"]
    rows = people(tree, "dataset", "split", "has_left_hand_pose", "has_right_hand_pose", *measures)
    chosen = rows["has_left_hand_pose"] & rows["has_right_hand_pose"] & (rows["split"] == "train")
    chosen &= (rows[measures[0]] >= 200) & (rows[measures[1]] < 0.2) & (rows[measures[2]] < 5)
    return rows[chosen].groupby("dataset", observed=True).size()


def pandas_quantiles(tree: Path) -> pd.Series:
    rows = people(tree, "dataset", "box_height_px")
    return rows.groupby("dataset", observed=True)["box_height_px"].quantile([0.05, 0.5, 0.95])


def pandas_weighted(tree: Path) -> pd.Series:
    rows = people(tree, "dataset", "split", "person_key")
    rows = rows[rows["split"] == "train"]
    weights = 1 / np.sqrt(rows.groupby("dataset", observed=True)["split"].transform("size"))
    return rows["person_key"].sample(min(1_000_000, len(rows) // 3), weights=weights.to_numpy())


def pandas_histogram(tree: Path) -> pd.Series:
    rows = people(tree, "transl_is_metric", "quality_distance_m", "has_left_hand_pose")
    rows = rows[rows["transl_is_metric"]]
    return rows.groupby(np.floor(rows["quality_distance_m"] * 2) / 2)["has_left_hand_pose"].agg(["size", "sum"])


def pandas_person(tree: Path) -> pd.DataFrame:
    rows = people(tree, "person_key")
    return rows[rows["person_key"] == "source_07-train-seq_000000-cam_00-00000000#0"]


PANDAS = {"counts": pandas_counts, "filter": pandas_filter, "quantiles": pandas_quantiles, "person": pandas_person}
PANDAS |= {"weighted": pandas_weighted, "histogram": pandas_histogram}


@pytest.mark.benchmark(group="questions of docs/catalog.md")
class TestQuestions:
    @pytest.mark.parametrize("name", NAMES)
    def test_ours(self, benchmark, connection, name):
        found = benchmark.pedantic(lambda: connection.sql(QUESTIONS[name]).to_arrow_table(), rounds=5, warmup_rounds=1)
        benchmark.extra_info |= {"rows": found.num_rows, "best_ms": benchmark.stats.stats.min * 1e3}

    @pytest.mark.parametrize("name", PANDAS)
    def test_pandas(self, benchmark, connection, tree, name):
        ours = min(seconds(lambda: connection.sql(QUESTIONS[name]).to_arrow_table()) for _ in range(3))
        benchmark.pedantic(lambda: PANDAS[name](tree), rounds=1, warmup_rounds=0)
        benchmark.extra_info |= {"ours_ms": ours * 1e3, "times_ours": benchmark.stats.stats.min / ours}

    @pytest.mark.skipif(PEOPLE > 2_000_000, reason="SQLite takes minutes to take in so many")
    @pytest.mark.parametrize("name", ["counts", "filter", "person"])
    def test_sqlite(self, benchmark, connection, sqlite, name):
        key = some_key(connection)
        sql = {
            "counts": "select dataset, split, count(*), sum(has_body_pose), sum(has_left_hand_pose and "
            "has_right_hand_pose), sum(has_expression) from people group by 1, 2",
            "filter": "select dataset, count(*) from people where has_left_hand_pose and has_right_hand_pose "
            "and split = 'train' and box_height_px >= 200 and quality_truncation < 0.2 "
            "and quality_reprojection_px < 5 group by 1",
            "person": f"select * from people where person_key = '{key}'",
        }[name]
        ours = min(seconds(lambda: connection.sql(QUESTIONS[name]).to_arrow_table()) for _ in range(3))
        benchmark.pedantic(lambda: sqlite.execute(sql).fetchall(), rounds=3)
        benchmark.extra_info |= {"ours_ms": ours * 1e3, "times_ours": benchmark.stats.stats.min / ours}


@pytest.fixture(scope="module")
def sqlite(connection, tmp_path_factory):
    """Nine columns of the people in SQLite, with an index on the key."""
    database = sqlite3.connect(tmp_path_factory.mktemp("sqlite") / "people.sqlite")
    names = ["person_key", "dataset", "split", "has_body_pose", "has_left_hand_pose", "has_right_hand_pose"]
    names += ["has_expression", "box_height_px", "quality_truncation", "quality_reprojection_px"]
    database.execute(f"create table people({', '.join(names)})")
    rows = connection.sql(f"select {', '.join(names)} from people").fetchall()
    database.executemany(f"insert into people values({', '.join('?' * len(names))})", rows)
    database.execute("create unique index keys on people(person_key)")
    yield database
    database.close()


def some_key(connection) -> str:
    return connection.execute("select min(person_key) from people where dataset = 'source_01'").fetchall()[0][0]


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


@pytest.mark.benchmark(group="opening the catalog, and one person of it")
class TestOne:
    def test_open_for_sql(self, benchmark, tree):
        benchmark.pedantic(lambda: open_catalog(tree).close(), rounds=5, warmup_rounds=1)

    def test_open_the_index(self, benchmark, tree):
        benchmark.pedantic(lambda: len(PeopleIndex.open(tree)), rounds=5, warmup_rounds=1)

    def test_open_and_ask_for_one_key(self, benchmark, tree, connection):
        key = some_key(connection)
        sql = f"select * from people where person_key = '{key}'"
        benchmark.pedantic(lambda: query_arrow(tree, sql), rounds=5, warmup_rounds=1)

    def test_find_a_key(self, benchmark, tree, connection):
        key = some_key(connection)
        index = PeopleIndex.open(tree)
        index.find(key)
        benchmark(lambda: index.load(index.find(key)))


@pytest.mark.benchmark(group="ten nearest body poses")
class TestNearest:
    def test_ours(self, benchmark, tree):
        index = PeopleIndex.open(tree)
        pose = np.random.default_rng(0).normal(0, 0.3, (21, 3))
        benchmark.pedantic(lambda: index.nearest_poses(pose, 10), rounds=5, warmup_rounds=1)

    def test_duckdb_over_a_tenth_of_the_sidecars(self, benchmark, tree, connection):
        files = [str(path) for path in sorted(tree.glob("*/*/*/*-*.parquet"))[::10]]
        pose = np.random.default_rng(0).normal(0, 0.3, 63).tolist()
        sql = (
            f"select person_key, array_distance(body_pose::FLOAT[63], {pose}::FLOAT[63]) as d "
            f"from read_parquet({files}) where body_pose is not null order by d limit 10"
        )
        benchmark.pedantic(lambda: connection.sql(sql).fetchall(), rounds=1, warmup_rounds=1)
