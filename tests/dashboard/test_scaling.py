"""The page of scaling: published and measured curves along every axis."""

import pytest

from ehps.benchmark import scaling
from ehps.dashboard import settings
from ehps.tests.dashboard.test_pages import open_page, texts

pytestmark = pytest.mark.usefixtures("folders")


@pytest.fixture
def folders(tree, monkeypatch):
    for name, value in settings.environment(tree.catalog, tree.results).items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("axis", scaling.AXES.values())
@pytest.mark.parametrize("axes", ["log", "linear"])
def test_the_page_opens_along_every_axis(axis, axes):
    app = open_page("scaling", scale_axis=axis, scale_axes=axes)
    assert not app.exception
    assert not app.error
    assert app.selectbox(key="scale_curve").value == scaling.MPE


@pytest.mark.parametrize("place", [1, -1])
def test_a_chosen_curve_is_shown(place):
    app = open_page("scaling")
    curve = app.selectbox(key="scale_curve").options[place]
    app.selectbox(key="scale_curve").set_value(curve).run()
    assert not app.exception
    assert f"##### {curve} (mm)" in texts(app)


def test_a_curve_that_an_axis_does_not_have_gives_way_to_the_first():
    app = open_page("scaling", scale_axis="people")
    app.selectbox(key="scale_curve").set_value(app.selectbox(key="scale_curve").options[-1])
    app.segmented_control(key="scale_axis").set_value("sources").run()
    assert not app.exception


def test_published_curves_are_there_before_anything_is_measured(empty):
    app = open_page("scaling")
    assert not app.exception
    assert "Nothing is measured here yet" in texts(app)
    assert "SMPLer-X-H32" in app.dataframe[0].value["method"].tolist()


def test_a_curve_without_measured_networks_says_so():
    app = open_page("scaling")  # results of two protocols make no MPE
    assert "No network that was measured here is on this curve" in texts(app)
    app = open_page("scaling", scale_axis="data sets", scale_curve="EHF PVE")
    assert "No network that was measured here" not in texts(app)
    assert "measured" in set(app.dataframe[0].value["kind"])
