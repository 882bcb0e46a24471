"""The study of data sets: networks of one source in order, and the page with all that can be chosen on it."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ehps.benchmark.measures import means
from ehps.benchmark.protocol import load_protocol
from ehps.benchmark.results import load_results, read_result, result_files
from ehps.body.hands import LEFT_HAND_MEAN
from ehps.dashboard import settings, study, study_charts, study_readings
from ehps.shards.analyses import clouds, samples
from ehps.shards.analyses.clouds import TITLES
from ehps.shards.analyses.distances import DISTANCES
from ehps.shards.analyses.feature_files import FeatureFacts, Features, write_features
from ehps.shards.catalog_files import read_state
from ehps.tests.dashboard.test_pages import open_page, texts

PRIMARIES = {"ehf": "PVE", "bedlam_val": "PVE"}


def rows(numbers: dict[tuple[str, str], float], name: str | None = "datasets") -> pd.DataFrame:
    """Rows of results: the mean of each (source, protocol)."""
    return pd.DataFrame(
        [
            {
                "model": f"{name}-{source}", "revision": "r", "protocol": protocol, "measure": "PVE",
                "is_primary": True, "mean": mean, "penalised_mean": np.nan, "missing_rule": "exclude",
                "protocol_version": 1, "trained": source, "study": name or study.OTHERS, "coverage": 1.0,
                "is_trained_on": False, "is_finetuned_on": False, "missing": 0, "box_source": "ground_truth",
            }
            for (source, protocol), mean in numbers.items()
        ]
    )  # fmt: skip


def test_the_source_with_the_smallest_error_comes_first_and_incomplete_ones_have_no_rank():
    numbers = {("a", "ehf"): 90.0, ("a", "bedlam_val"): 40.0, ("b", "ehf"): 80.0, ("b", "bedlam_val"): 30.0}
    table = study.ranking(rows(numbers | {("c", "ehf"): 10.0}), PRIMARIES)
    assert table["source"].tolist() == ["b", "a", "c"]
    assert table["rank"].tolist()[:2] == [1, 2]
    assert pd.isna(table["rank"].iloc[2])
    assert table["mean"].tolist()[:2] == [55.0, 65.0]
    ranks = study.protocol_ranks(table, PRIMARIES).set_index("source")
    assert ranks["ehf"].tolist() == [2, 3, 1]
    assert ranks["bedlam_val"].tolist()[:2] == [1, 2]


def test_mpe_ranks_where_anybody_has_it():
    names = means()["MPE"].protocols
    assert len(names) == 5
    primaries = {name: load_protocol(name).primary for name in names}
    numbers = {(source, name): level + i for source, level in (("a", 50), ("b", 20)) for i, name in enumerate(names)}
    numbers.pop(("a", names[0]))
    found = rows(numbers).assign(measure=lambda table: table["protocol"].map(primaries))
    table = study.ranking(found, primaries).set_index("source")
    assert table.loc["b", "MPE"] == pytest.approx(22)
    assert table.loc["b", "rank"] == 1
    assert pd.isna(table.loc["a", "MPE"])


def test_only_millimetres_have_a_mean_over_protocols():
    found = rows(
        {("a", "ehf"): 50.0, ("a", "humanart_val"): 0.25, ("b", "ehf"): 70.0, ("b", "humanart_val"): 0.75}, "s"
    )
    found["measure"] = ["PCK@0.05" if name == "humanart_val" else "PVE" for name in found["protocol"]]
    table = study.ranking(found, {"ehf": "PVE", "humanart_val": "PCK@0.05"}).set_index("source")
    assert table["mean"].to_dict() == {"a": 50.0, "b": 70.0}
    assert table["rank"].to_dict() == {"a": 1, "b": 2}


def test_studies_come_by_size_and_other_runs_last():
    small = rows({("a", "ehf"): 1.0}, "small")
    large = rows({("a", "ehf"): 1.0, ("b", "ehf"): 2.0}, "large")
    found = pd.concat([rows({(s, "ehf"): 1.0 for s in "abcd"}, None), small, large])
    assert study.studies(found) == ["large", "small", study.OTHERS]


def test_only_networks_of_one_source_count(tree):
    table, results = load_results(tree.results), [read_result(path) for path in result_files(tree.results)]
    found = study.single_source_rows(results, table)
    assert set(found["trained"]) == {"bedlam"}
    assert set(found["study"]) == {study.OTHERS}
    two = [result.model_copy(update={"trained_on": ("bedlam", "mscoco")}) for result in results]
    assert study.single_source_rows(two, table).empty
    assert study.single_source_rows([], load_results(tree.results / "none")).empty


def test_published_single_source_numbers_are_named():
    names = ["method", "train_set", "test_set", "metric", "value", "paper", "table"]
    published = pd.DataFrame([["single-dataset baseline", "BEDLAM", "EHF", "MPE", 117.1, "P", "T"]], columns=names)
    table = study.published_alone(published)
    assert table.values.tolist() == [["BEDLAM", "EHF", "MPE", 117.1, "P, T"]]


@pytest.mark.parametrize(("values", "farthest"), [([0.1, 0.0, 0.0, 0.02], 0.2), ([0, 0.5, 0.5, 0], 0.5)])
def test_what_chance_makes_never_looks_far(values, farthest):
    table = pd.DataFrame({"a": list("xxyy"), "b": list("xyxy"), "value": values, "people_a": 20, "people_b": 20})
    chart = study_charts.pairs(table, ["x", "y"], ("", ""), "rad").to_dict()
    assert chart["layer"][0]["encoding"]["color"]["scale"]["domain"] == pytest.approx([0, farthest])


@pytest.fixture(scope="module")
def small(tree, tmp_path_factory):
    """The small tree with features of its sources, those of one split stale."""
    out = tmp_path_factory.mktemp("study") / "data"
    shutil.copytree(tree.catalog, out)
    rng = np.random.default_rng(0)
    for number, partition in enumerate(read_state(out).partitions):
        facts = FeatureFacts(
            model="net", revision="r1", checkpoint="abcdef0123", dataset=partition.dataset, split=partition.split,
            shards=partition.fingerprint, asked=20, people=20,
        )  # fmt: skip
        if partition.split == "val":
            facts = replace(facts, shards="old")
        numbers = (rng.normal(size=(20, 8)) + number).astype(np.float32)
        write_features(out, Features([str(i) for i in range(20)], numbers, facts))
    return settings.environment(out, tree.results)


@pytest.fixture
def here(small, monkeypatch):
    monkeypatch.setattr(clouds, "LEAST", 5)  # people whom the splits of the small tree have
    for name, value in small.items():
        monkeypatch.setenv(name, value)


EVERYTHING = [*((by, "energy distance") for by in TITLES.values()), ("body pose", "Fréchet distance"),
              ("image features", "Fréchet distance"), ("global orientation", "nearest person")]  # fmt: skip


@pytest.mark.parametrize(("by", "distance"), EVERYTHING)
def test_similarity_by_everything_with_every_distance(by, distance, here):
    app = open_page("study", study_by=by, study_distance=distance, study_splits="true", study_table="true")
    assert not app.exception
    assert not app.error
    said = texts(app)
    assert f"##### {by.capitalize()}: {distance}" in said
    assert "A sample with a fixed seed" in said
    matrix = app.dataframe[0].value
    assert set(matrix.index) == set(matrix.columns) >= {"bedlam train", "mscoco train"}


def test_every_distance_can_be_chosen():
    assert {distance for _, distance in EVERYTHING} == set(DISTANCES.values())


def test_what_is_closest_to_a_source_is_what_is_chosen(here):
    app = open_page("study", study_splits="true", study_from="mscoco train")
    assert app.selectbox(key="study_from").value == "mscoco train"
    assert "mscoco train against itself" in texts(app)


def test_sources_that_cannot_be_told_apart_get_a_sentence(here, monkeypatch):
    def alike(*_):
        names = ["bedlam", "mscoco"]
        rows = [(a, b, 0.0, 20, 20) for a in names for b in names]
        return pd.DataFrame(rows, columns=["a", "b", "value", "people_a", "people_b"])

    monkeypatch.setattr(study_readings, "distances", alike)
    app = open_page("study", study_from="mscoco")
    assert not app.exception
    assert "No source can be told from mscoco" in texts(app)


def test_what_is_stale_is_named_and_left_out(here):
    app = open_page("study", study_by="image features", study_splits="true")
    assert "Stale and left out, as the shards have changed since: bedlam val" in app.warning[0].value
    assert "not compared: bedlam val" in texts(app)


def test_who_is_too_few_is_named(small, monkeypatch):
    for name, value in small.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(clouds, "LEAST", 10**6)
    app = open_page("study", study_by="hand pose", study_distance="nearest person")
    assert not app.exception
    assert "people with hand pose" in texts(app)


@pytest.mark.parametrize("by", TITLES.values())
def test_maps_of_everything(by, here):
    app = open_page("study", study_tab="Map", study_map_by=by)
    assert not app.exception
    assert "in two components" in texts(app)
    assert app.multiselect[0].value


def test_the_sources_of_a_map_are_forgotten_when_splits_are_shown_apart(here):
    app = open_page("study", study_tab="Map")
    assert app.multiselect[0].value == ["bedlam", "mscoco"]
    app.toggle[0].set_value(True).run()
    assert not app.exception
    assert "bedlam train" in app.multiselect[0].value


def test_orientation_shows_a_sphere_for_each_chosen_source(here):
    app = open_page("study", study_tab="Orientation", study_orientation="bedlam")
    assert not app.exception
    assert app.dataframe[0].value["name"].tolist() == ["bedlam", "mscoco"]
    assert app.dataframe[0].value["front"].iloc[0] > 90  # everybody faces the camera there


@pytest.mark.parametrize(("side", "hands"), [("both", 42), ("left", 21), ("right", 21)])
def test_hands_of_a_side(side, hands, here):
    app = open_page("study", study_tab="Hands", study_side=side)
    assert not app.exception
    assert app.dataframe[0].value.set_index("name").loc["bedlam", "hands"] == hands


def test_hands_are_far_from_the_relaxed_hand_where_they_were_drawn_around_the_flat_one(here):
    table = open_page("study", study_tab="Hands").dataframe[0].value
    assert np.linalg.norm(LEFT_HAND_MEAN, axis=1).mean() * 0.5 < table["median"].min()


def test_shards_that_cannot_be_looked_at_are_counted(here, monkeypatch):
    sample = samples.draw_sample

    def partly(*arguments):
        return replace(sample(*arguments), unread=1)

    monkeypatch.setattr("ehps.dashboard.study_readings.draw_sample", partly)
    study_readings._sample.clear()
    said = texts(open_page("study", study_tab="Hands", study_splits="true"))
    study_readings._sample.clear()
    assert "3 shards more were drawn, whose sidecars are not beside the catalog" in said


@pytest.mark.parametrize("show", ["errors", "ranks"])
def test_what_a_source_is_worth_alone(show, here):
    app = open_page("study", study_tab="Worth alone", study_show=show)
    assert not app.exception
    table = app.dataframe[0].value
    assert set(table["source"]) == {"bedlam"}
    assert table["rank"].iloc[0] == 1
    assert (table["ehf"].dropna() < 10).all() == (show == "ranks")
    assert "Published" in texts(app)


TABS = ["Similarity", "Map", "Orientation", "Hands", "Worth alone"]


@pytest.mark.parametrize("tab", TABS)
def test_on_an_empty_machine_every_tab_says_what_to_do(tab, tmp_path, monkeypatch):
    for name, value in settings.environment(tmp_path / "d", tmp_path / "r").items():
        monkeypatch.setenv(name, value)
    app = open_page("study", study_tab=tab)
    assert not app.exception
    assert ("ehps study datasets" if tab == "Worth alone" else "ehps convert") in texts(app)


def test_without_features_it_says_how_to_make_them(tree, monkeypatch):
    for name, value in settings.environment(tree.catalog, tree.results).items():
        monkeypatch.setenv(name, value)
    app = open_page("study", study_by="image features")
    assert not app.exception
    assert "ehps study features --catalog" in texts(app)
