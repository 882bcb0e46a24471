"""How alike data sets are: numbers with known answers, and the page."""

import numpy as np
import pandas as pd
import pytest

from ehps.body.hands import LEFT_HAND_MEAN, RIGHT_HAND_MEAN
from ehps.dashboard import settings, study
from ehps.shards.tree import list_shards
from ehps.tests.dashboard.test_pages import open_page, texts


def made(rng, offset=0.0, yaw=0.0, count=300) -> study.Sample:
    body = rng.normal(offset, 0.05, (count, 63))
    return study.Sample(body, np.full(count, yaw), np.full(count, 10.0), np.tile(RIGHT_HAND_MEAN, (count, 1, 1)))


@pytest.fixture
def samples():
    rng = np.random.default_rng(3)
    return {"a": made(rng), "far": made(rng, offset=1.0, yaw=100.0), "b": made(rng)}


def test_the_people_of_a_tree_are_sampled(tree):
    tars = [shard.path for shard in list_shards(tree.catalog, "bedlam")]
    found = study.sample(tree.catalog, "bedlam", tars)
    assert (len(found.body), len(found.yaw), len(found.hands)) == (21, 21, 42)
    assert (np.abs(found.yaw) < 60).all()
    assert (found.tilt < 60).all()
    assert len(study.sample(tree.catalog, "bedlam", []).hands) == 0


@pytest.mark.parametrize("count", [0, 1, 5, 8, 1000])
def test_samples_are_spread_over_all(count):
    places = study._spread(count, 8)
    assert len(places) == len(set(places.tolist())) == min(count, 8)
    assert count < 8 or places[-1] >= count * 0.8


def test_orientations_overlap_where_people_face_alike(samples):
    table = study.similar_orientation(samples).set_index(["a", "b"])["value"]
    assert table["a", "b"] == pytest.approx(1)
    assert table["a", "far"] == 0
    assert study.orientation_cells(samples["far"]).set_index(["yaw", "tilt"]).loc[(90, 0), "share"] == 1


def test_the_nearest_pose_is_near_where_data_are_alike(samples):
    table = study.similar_pose(samples).set_index(["a", "b"])["value"]
    assert table["a", "far"] == pytest.approx(3**0.5, rel=0.1)
    assert table["a", "b"] == pytest.approx(table["a", "a"], rel=0.1)
    assert table["a", "a"] > 0.01  # not the person itself
    assert study.ordered(table.reset_index())[1] != "far"


def test_one_direction_explains_what_tells_two_groups_apart(samples):
    points, (first, second) = study.pose_plane(samples)
    assert first > 0.9 > 0.1 > second
    middle = points.groupby("dataset")["x"].median()
    assert abs(middle["a"] - middle["b"]) < 0.1 < abs(middle["a"] - middle["far"])


def test_the_relaxed_hand_has_no_complexity_and_a_turned_joint_has():
    relaxed = np.stack([RIGHT_HAND_MEAN, LEFT_HAND_MEAN * [1, -1, -1]])
    assert study.hand_complexity(relaxed) == pytest.approx([0, 0])
    bent = relaxed.copy()
    bent[0, 3, 2] += 1.5
    assert study.hand_complexity(bent)[0] == pytest.approx(1.5 / 15**0.5)


def test_sources_without_labels_are_left_out():
    none = study.Sample(np.zeros((0, 63)), np.zeros(0), np.zeros(0), np.zeros((0, 15, 3)))
    for answer in (study.similar_orientation, study.similar_pose, study.hand_table):
        assert answer({"none": none}).empty
    assert study.pose_plane({"none": none})[0].empty


def test_published_single_source_numbers_have_no_rank():
    names = ["method", "train_set", "test_set", "metric", "value", "paper", "table"]
    published = pd.DataFrame([["single-dataset baseline", "BEDLAM", "EHF", "MPE", 117.1, "P", "T"]], columns=names)
    table = study.single_source_ranks([], published)
    assert table[["dataset", "value"]].values.tolist() == [["BEDLAM", 117.1]]
    assert table["rank"].isna().all()


@pytest.fixture
def small(tree, monkeypatch):
    for name, value in settings.environment(tree.catalog, tree.results).items():
        monkeypatch.setenv(name, value)


TABS = ["Similarity", "Poses", "Orientation", "Hands", "Worth alone"]


@pytest.mark.parametrize("tab", TABS)
def test_every_tab_opens(tab, small):
    app = open_page("study", study_tab=tab)
    assert not app.exception
    assert not app.error
    if tab == "Worth alone":
        ranks = app.dataframe[0].value
        assert ranks.loc["bedlam", "ehf"] == 1


def test_similarity_by_orientation(small):
    app = open_page("study", study_by="orientation")
    assert not app.exception
    assert "Share of people who face and lean alike" in texts(app)


@pytest.mark.parametrize("tab", TABS)
def test_on_an_empty_machine_every_tab_says_what_to_do(tab, tmp_path, monkeypatch):
    for name, value in settings.environment(tmp_path / "d", tmp_path / "r").items():
        monkeypatch.setenv(name, value)
    app = open_page("study", study_tab=tab)
    assert not app.exception
    assert ("ehps train" if tab == "Worth alone" else "ehps convert") in texts(app)
