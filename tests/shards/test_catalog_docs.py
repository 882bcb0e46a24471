"""docs/catalog.md says what the catalog has, and its questions have answers."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from ehps.shards.catalog import build_catalog, query, query_arrow
from ehps.shards.catalog_schema import OUTSIDE, VIEWS, commented, people_columns
from ehps.shards.index import PeopleIndex

REPOSITORY = Path(__file__).resolve().parents[2]
TEXT = (REPOSITORY / "docs/catalog.md").read_text(encoding="utf-8")
QUESTIONS = re.findall(r"```sql\n(.*?)```", TEXT, re.DOTALL)


def make_sidecars() -> ModuleType:
    """Return the script that makes trees of any size."""
    spec = importlib.util.spec_from_file_location("make_sidecars", REPOSITORY / "tests/speed/make_sidecars.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def invented(tmp_path_factory) -> Path:
    """A tree of four invented sources, with its catalog."""
    out, script = tmp_path_factory.mktemp("invented"), make_sidecars()
    for source in script.sources(12_000, 4):
        script.make_source(out, source)
    build_catalog(out)
    return out


def test_the_invented_people_are_all_there(invented):
    (row,) = query(invented, "select count(*) n, count(distinct person_key) k, max(person_id) m from people").values
    assert row.tolist() == [12_000, 12_000, 11_999]
    index = PeopleIndex.open(invented)
    keys = query(invented, "select person_key from people order by person_id")["person_key"]
    assert [index.find(keys[i]) for i in range(0, 12_000, 500)] == list(range(0, 12_000, 500))
    assert index.load(11_999).frame.tiles is not None


def test_there_are_ten():
    assert len(QUESTIONS) == 10


@pytest.mark.parametrize("sql", QUESTIONS)
def test_a_question_is_answered(invented, sql):
    people = query_arrow(invented, "select person_key, 'PVE' as measure, 70.0 as value from people limit 5")
    assert query_arrow(invented, sql, tables={"person_results": people}).num_rows > 0


def test_every_table_and_view_is_named():
    for name in [*commented([]), *VIEWS, *OUTSIDE]:
        assert f"`{name}`" in TEXT, name


def test_the_groups_of_columns_are_those_of_people(invented):
    found = query(invented, "describe people")["column_name"].tolist()
    assert found == ["person_id", *(column.name for column in people_columns())]
    named = re.findall(r"`([a-z0-9_]+)`", next(line for line in TEXT.splitlines() if line.startswith("| `people`")))
    assert set(named) - {"people"} <= set(found)
