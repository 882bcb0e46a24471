"""``ehps study analyse`` and ``ehps study features`` on a small catalog."""

import json

import pytest
from typer.testing import CliRunner

from ehps.cli.main import app
from ehps.errors import ShardError
from ehps.shards.catalog import build_catalog
from ehps.tests.training.conftest import write_source


@pytest.fixture(scope="module")
def catalog(tmp_path_factory, standin_dir):
    out = tmp_path_factory.mktemp("analysed")
    for seed, dataset in enumerate(("bedlam", "agora")):
        write_source(out, dataset, 17, seed=seed)
    build_catalog(out)
    return out


def printed(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["study", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_distances_are_a_matrix_for_people_and_rows_for_programs(catalog):
    lines = printed("analyse", "--catalog", catalog, "--by", "orientation").splitlines()
    assert lines[0].split() == ["agora", "bedlam"]
    assert [line.split()[0] for line in lines[1:]] == ["agora", "bedlam"]
    rows = printed("analyse", "distances", "--catalog", catalog, "--by", "orientation", "--format", "csv").splitlines()
    assert rows[0] == "a,b,value,people_a,people_b"
    assert len(rows) == 5
    assert rows[2].startswith("agora,bedlam,")
    assert rows[2].endswith(",17,17")


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("map", {"name", "x", "y"}),
        ("orientation", {"name", "people", "front", "side", "back", "above", "below", "lying", "spread"}),
        ("directions", {"name", "azimuth", "azimuth_to", "height", "height_to", "share"}),
        ("lean", {"name", "lean", "lean_to", "share"}),
        ("hands", {"name", "hands", "p05", "p25", "median", "p75", "p95", "relaxed", "flat"}),
        ("fingers", {"name", "joint", "angle"}),
    ],
)
def test_every_table_has_its_columns(table, columns, catalog):
    rows = [json.loads(line) for line in printed("analyse", table, "-c", catalog, "--format", "json").splitlines()]
    assert set(rows[0]) == columns
    assert {row["name"] for row in rows} == {"agora", "bedlam"}


def test_splits_can_stand_apart(catalog):
    rows = printed("analyse", "hands", "-c", catalog, "--by-split", "--side", "left", "-f", "csv").splitlines()
    assert {row.split(",")[0] for row in rows[1:]} == {"agora train", "bedlam train"}


def test_without_features_it_says_how_to_make_them(catalog):
    with pytest.raises(ShardError, match=r"has no image features.*ehps study features --catalog"):
        printed("analyse", "-c", catalog, "--by", "features")
