"""Points and curves of scaling: what a published or measured number tells about how it was trained."""

import pandas as pd
import pytest

from ehps.benchmark.protocol import protocols
from ehps.benchmark.published import load_published
from ehps.benchmark.results import read_result
from ehps.dashboard import scaling, settings
from ehps.tests.dashboard.test_pages import open_page, texts
from ehps.training.smplestx import SIZES


@pytest.fixture(scope="module")
def points():
    return scaling.published_points(load_published(), protocols())


@pytest.mark.parametrize(("size", "millions"), [("S", 22), ("B", 86), ("L", 304), ("H", 632)])
def test_encoders_have_the_size_that_their_papers_say(size, millions):
    width, depth = scaling.ENCODERS[size]
    assert scaling.encoder_parameters(width, depth) / 1e6 == pytest.approx(millions, rel=0.02)
    assert (SIZES[size.lower()].embed_dim, SIZES[size.lower()].depth) == (width, depth)


def test_a_name_tells_sources_size_and_people(points):
    row = points.loc[(points["method"] == "SMPLer-X-L32") & (points["curve"] == scaling.MPE)].iloc[0]
    assert (row["sources"], row["people"], row["value"]) == (32, 4.5e6, 66.2)
    assert row["parameters"] == scaling.encoder_parameters(1024, 24)
    assert not points["method"].str.contains("finetuned").any()


def test_along_the_size_a_line_is_one_set_of_data_and_along_data_it_is_one_size(points):
    by_size = scaling.along(points, scaling.MPE, "parameters")
    line = by_size.loc[(by_size["line"] == "SMPLer-X, 32 sets") & by_size["where"].str.contains("README")]
    assert line["method"].str[9].tolist()[:3] == ["S", "B", "L"]
    assert line["x"].is_monotonic_increasing
    by_people = scaling.along(points, scaling.MPE, "people")
    assert set(by_people.loc[by_people["line"] == "SMPLer-X-L", "x"]) == {4.5e6, 7.5e6}


def test_a_line_runs_through_the_best_of_each_place():
    table = pd.DataFrame({"line": ["a", "a", "a"], "x": [2.0, 1.0, 2.0], "value": [5.0, 9.0, 4.0]})
    assert scaling.line_through(table)["value"].tolist() == [9, 4]


@pytest.mark.parametrize("axis", scaling.AXES)
def test_mpe_comes_first(points, axis):
    assert scaling.curves_along(points, axis)[0] == scaling.MPE


def test_measured_networks_stand_at_the_people_of_their_training_sets(tree):
    results = [read_result(path) for path in sorted(tree.results.rglob("*.json"))]
    table = scaling.measured_points(results, [], {"bedlam": 21}, protocols())
    assert set(table["people"]) == {21}
    assert table["parameters"].isna().all()
    assert set(scaling.measured_points(results, [], {"agora": 9}, protocols())["people"].isna()) == {True}
    assert "EHF PVE" in set(table["curve"])


@pytest.mark.parametrize("axis", scaling.AXES.values())
def test_the_page_opens_along_every_axis(axis, tree, monkeypatch):
    for name, value in settings.environment(tree.catalog, tree.results).items():
        monkeypatch.setenv(name, value)
    app = open_page("scaling", scale_axis=axis)
    assert not app.exception
    assert not app.error
    assert app.selectbox(key="scale_curve").value == scaling.MPE
    assert not open_page("scaling", scale_axis=axis, scale_log="false").exception


def test_published_curves_are_there_before_anything_is_measured(tmp_path, monkeypatch):
    for name, value in settings.environment(tmp_path / "d", tmp_path / "r").items():
        monkeypatch.setenv(name, value)
    app = open_page("scaling")
    assert not app.exception
    assert "Nothing is measured here yet" in texts(app)
    assert "SMPLer-X-H32" in app.dataframe[0].value["method"].tolist()
