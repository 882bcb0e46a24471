"""Every page runs on an empty machine and on a small catalog, and does what its widgets say."""

import json
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from ehps.cards import card_ids, load_card, the_forty
from ehps.dashboard import board, facets, health, launch, previews, queries, settings, solid, state
from ehps.dashboard.views import tiles
from ehps.shards.catalog import query
from ehps.tests.dashboard.scenes import shown_scenes

APP = Path(launch.__file__).with_name("app.py")
PAGES = {"overview": "overview", "datasets": "datasets", "card": "card", "benchmark": "benchmark", "people": "people"}
PAGES["person"] = "person"


def open_page(path: str, **parameters: str) -> AppTest:
    """The app as a browser sees it under an address."""
    app = AppTest.from_file(str(APP), default_timeout=60)
    # AppTest.switch_page knows pages that are files; ours are functions, known by the hash of their path.
    app._page_hash = calc_hash(path)
    for name, value in parameters.items():
        app.query_params[name] = value
    return app.run()


def click_cell(app: AppTest, table: str, row: int, column: str) -> None:
    """Click into the table whose key begins so; AppTest has no clicks for tables."""
    key = next(name for name in app.session_state.to_dict() if str(name).startswith(table))
    app.session_state[key] = {"selection": {"rows": [], "columns": [], "cells": [(row, column)]}}
    app.run()


def texts(app: AppTest) -> str:
    """Everything that a page says."""
    kinds = (app.markdown, app.caption, app.code, app.info, app.warning, app.error)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


@pytest.fixture
def small(tree, monkeypatch):
    for name, value in settings.environment(tree.catalog, tree.results).items():
        monkeypatch.setenv(name, value)
    return tree


@pytest.mark.parametrize("path", PAGES)
def test_a_page_on_an_empty_machine_says_what_to_run(path, empty):
    app = open_page(path, card_id="bedlam", card_tab="Pictures")
    assert not app.exception
    assert not app.error
    command = {"benchmark": "ehps bench", "datasets": "Click a row"}.get(path, "ehps convert")
    assert command in texts(app)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_on_a_small_catalog_runs(path, small):
    app = open_page(path)
    assert not app.exception
    assert not app.error


def test_the_browsers_tabs_can_be_told_apart(small, monkeypatch):
    named = []
    monkeypatch.setattr(state.st, "set_page_config", lambda **config: named.append(config["page_title"]))
    open_page("people")
    assert named[-1] == "People \N{MIDDLE DOT} ehps"
    open_page("card", card_id="mscoco")
    assert named[-1] == "mscoco \N{MIDDLE DOT} ehps"


def test_the_overview_counts_what_is_converted(small):
    app = open_page("overview")
    numbers = {metric.label: metric.value for metric in app.metric}
    assert numbers["Datasets"] == f"2 of {len(card_ids())}"
    assert numbers["Frames"] == "19"
    assert numbers["People"] == "28"
    assert numbers["Left out"] == "34.9%"
    assert numbers["Models"] == "2"
    assert numbers["Video"] == "0 s"  # twelve thirtieths of a second
    assert "people are left out, the card allows" in texts(app)


def test_recorded_time_says_whose_it_is(small):
    shown = open_page("overview").dataframe[0].value.set_index("id")
    assert shown["video"].dropna().to_dict() == {"bedlam": "0 s"}
    video = next(metric for metric in open_page("overview").metric if metric.label == "Video")
    assert "Known for bedlam" in video.help


def test_a_click_on_a_source_of_the_overview_opens_its_card(small):
    app = open_page("overview")
    click_cell(app, "over_table_", 1, "state")
    assert not app.exception
    assert app.selectbox(key="card_id").value == "mscoco"


def test_the_best_models_stand_beside_the_best_published(small):
    table = open_page("overview").dataframe[1].value.set_index("protocol")
    assert table.loc["EHF PVE", "best"] == "alpha"
    assert table["published"].notna().all()
    assert table.loc["EHF PVE", "value"].endswith(" mm")
    app = open_page("overview")
    click_cell(app, "over_best_", list(table.index).index("EHF PVE"), "value")
    assert not app.exception
    assert "alpha on EHF: PVE" in texts(app)


def test_a_share_among_the_best_is_no_length(small, monkeypatch):
    measured = pd.DataFrame([{"id": "humanart_val", "protocol": "HumanArt", "measure_id": "PCK@0.05", "measure": "PCK",
                              "best": "alpha", "value": 0.6937, "second": None, "models": 1, "published": 0.7412,
                              "method": "X"}])  # fmt: skip
    monkeypatch.setattr(board, "best_by_protocol", lambda *_: measured)
    row = open_page("overview").dataframe[1].value.iloc[0]
    assert (row["value"], row["published"]) == ("0.694", "0.741")
    assert pd.isna(row["second"])


def test_checks_that_failed_are_named_on_the_overview(small, monkeypatch):
    sentence = pd.DataFrame(
        [("bedlam", "val", "scene_b", "3 of 9 boxes are odd")], columns=["dataset", "split", "unit", "text"]
    )
    answer = state.answer
    monkeypatch.setattr(state, "answer", lambda sql, **more: sentence if sql == health.CHECKS else answer(sql, **more))
    assert "a check fails in 1 unit; scene\\_b\\: 3 of 9 boxes are odd" in texts(open_page("overview"))


def test_a_stopped_conversion_is_named_on_the_overview(small, tmp_path, monkeypatch):
    log = tmp_path / ".log" / "mscoco-train"
    log.mkdir(parents=True)
    state = {"state": "queued", "frames": 0, "people": 0, "rejected": 0, "updated": time.time() - 900, "error": ""}
    (log / "part_9.json").write_text(json.dumps(state), encoding="utf-8")
    monkeypatch.setenv(settings.CATALOG, str(tmp_path))
    app = open_page("overview")
    assert not app.exception
    assert "0 of 1 units done, then interrupted" in texts(app)


def test_facets_filter_and_their_counts_follow(small):
    app = open_page("datasets")
    assert len(app.dataframe[0].value) == len(set(card_ids()) | set(the_forty()))
    app.checkbox(key="cat_kind_synthetic").check().run()
    shown = app.dataframe[0].value
    assert {kind for [kind] in shown["kind"]} == {"synthetic"}
    label = app.checkbox(key="cat_state_converted").label
    assert label == "converted :gray[1]"  # bedlam is the one converted source that is synthetic


def test_a_filter_in_the_address_is_applied_at_once(small):
    app = open_page("datasets", cat_state_converted="true")
    assert app.dataframe[0].value["id"].tolist() == ["bedlam"]
    assert app.checkbox(key="cat_state_converted").value


def test_search_looks_into_names_and_pitfalls(small):
    app = open_page("datasets", cat_search="COCO virtual camera")
    assert "mscoco" in app.dataframe[0].value["id"].tolist()
    app = open_page("datasets", cat_search="black tesch yang")  # who wrote it
    assert app.dataframe[0].value["id"].tolist() == ["bedlam"]
    app = open_page("datasets", cat_search="no such word anywhere")
    assert "No source passes" in texts(app)


def test_the_state_of_a_source_is_a_chip_and_what_is_not_here_has_none(small):
    shown = open_page("datasets").dataframe[0].value.set_index("id")
    assert [list(shown.loc[name, "state"]) for name in ("bedlam", "mscoco", "ehf")] == [["converted"], ["partly"], []]
    assert shown.loc["bedlam", "labels"] == "body, hands, shape"
    planned = next(iter(set(the_forty()) - set(card_ids())))
    assert list(shown.loc[planned, "state"]) == ["planned"]


@pytest.mark.parametrize("facet", facets.FACETS, ids=lambda facet: facet.key)
def test_every_filter_of_the_datasets_keeps_as_many_as_it_counts(facet, small):
    app = open_page("datasets")
    named = {
        option: f"cat_{option}" if facet.column is None else f"cat_{facet.key}_{option}" for option in facet.options
    }
    counts = dict(zip(named, map(int, checkbox_counts(app, *named.values())), strict=True))
    option = max(counts, key=counts.__getitem__)
    app.checkbox(key=named[option]).check().run() if counts[option] else None
    assert not app.exception
    assert len(app.dataframe[0].value) == (counts[option] or len(set(card_ids()) | set(the_forty())))
    assert all(app.checkbox(key=named[other]).disabled for other, count in counts.items() if not count)


@pytest.mark.parametrize(
    ("path", "prefix", "choice"),
    [
        ("datasets", "cat", {"kind_mocap": "true", "has_face": "true", "search": "hands"}),
        ("people", "people", {"split_val": "true", "where": "1 = 1", "height": "1", "source_bedlam": "true"}),
    ],
)
def test_all_filters_are_taken_back_at_once(path, prefix, choice, small):
    untouched = open_page(path)
    assert not [button for button in untouched.button if button.key == f"{prefix}_clear"]
    app = open_page(path, **{f"{prefix}_{key}": value for key, value in choice.items()})
    assert texts(app) != texts(untouched)
    app.button(key=f"{prefix}_clear").click().run()
    assert not app.exception
    assert texts(app) == texts(untouched)


def test_clicking_a_source_leads_to_its_card(small):
    app = open_page("datasets", cat_state_converted="true")
    click_cell(app, "cat_table_", 0, "kind")
    assert not app.exception
    assert app.selectbox(key="card_id").value == "bedlam"


@pytest.mark.parametrize("tab", ["Facts", "Pictures", "Checks", "Distributions", "Left out"])
def test_every_tab_of_a_card_runs(tab, small):
    app = open_page("card", card_id="bedlam", card_tab=tab)
    assert not app.exception
    assert load_card("bedlam").licence.name in texts(app)


def test_the_checks_of_a_card_lead_to_who_is_worst(small):
    app = open_page("card", card_id="bedlam", card_tab="Checks")
    table = app.table[0].value
    depth = next(name for name in table.index if name.startswith("[min depth (m)]"))
    assert "people_source_bedlam=true" in depth
    assert "people_direction=low+first" in depth
    address = dict(pair.split("=") for pair in depth.partition("?")[2].rstrip(")").split("&"))
    choice = {name: value.replace("+", " ") for name, value in address.items()}
    assert pictures(open_page("people", **choice)) == (12 if choice["people_split_train"] else 0)
    said = texts(app)
    assert "object to no unit" in said
    assert "train, 2D: as stored in **1** unit, by **7** people" in said
    assert "No picture stands in more than one split" in said


def test_a_card_counts_what_is_here_and_leads_to_it(small):
    app = open_page("card", card_id="bedlam")
    assert "**21** people in **14** frames" in texts(app)
    assert "splits train, val" in texts(app)
    ways = {link.proto.label: link.proto.query_string for link in app.get("page_link")}
    assert ways["Its people"] == "people_source_bedlam=true"
    assert ways["Its conversion"] == "conv_place=bedlam+train"
    assert "Its people" not in [link.proto.label for link in open_page("card", card_id="ehf").get("page_link")]


def test_what_is_not_converted_is_one_click_from_the_overview(small):
    app = open_page("overview")
    missing = next(link.proto for link in app.get("page_link") if link.proto.query_string == "cat_state_absent=true")
    assert missing.label == f"{len(card_ids()) - 2} more are not converted here"
    bars = app.dataframe[0].value
    assert bars["people"].tolist() == [21, 7]


def test_the_card_of_a_source_that_is_not_converted_says_how_to_convert_it(small):
    app = open_page("card", card_id="ehf", card_tab="Distributions")
    assert not app.exception
    assert "ehps check ehf --raw DIR" in texts(app)


def tile_labels(app: AppTest) -> list[str]:
    """What stands under the tiles, which lead to people."""
    return [link.proto.label for link in app.get("page_link") if link.proto.page == "person"]


def test_reshuffling_shows_the_frames_of_another_seed(small):
    app = open_page("card", card_id="bedlam", card_tab="Pictures")
    first = tile_labels(app)
    assert len(first) == len(app.get("image")) == 14
    assert tile_labels(open_page("card", card_id="bedlam", card_tab="Pictures")) == first
    assert "14 of 14 frames, drawn with seed 0" in texts(app)
    app.button(key="card_reshuffle").click().run()
    assert "14 of 14 frames, drawn with seed 1" in texts(app)
    second = tile_labels(app)
    assert second != first
    assert sorted(second) == sorted(first)


def test_distributions_stand_against_all_other_sources(small):
    app = open_page("card", card_id="bedlam", card_tab="Distributions")
    assert not app.exception
    figures = [html.body for html in app.get("html") if 'role="img"' in html.body]
    assert len(figures) == len(queries.VARIABLES) + 1 + 2 + 1  # hands, two spheres, shape
    assert all(variable.title.split(" (")[0] in "".join(figures) for variable in queries.VARIABLES.values())
    said = texts(app)
    assert "of video in **2** clips" in said
    assert "From 21 people of this source" in said


def test_every_reason_has_its_examples(small):
    app = open_page("card", card_id="mscoco", card_tab="Left out")
    assert "**5** people were left out" in texts(app)
    assert app.dataframe[0].value.set_index("reason")["people"].to_dict() == {"missing_image": 3, "empty_box": 2}
    # The frames of rejects without a box are here, because others in them were kept; those without a picture are not.
    for reason, count, frames in (("empty_box", 2, ["part_0/000000", "part_0/000001"]), ("missing_image", 3, [])):
        app.selectbox(key="card_reason").set_value(reason).run()
        assert not app.exception
        assert len(app.dataframe[1].value) == count
        assert app.dataframe[1].value["detail"].str.startswith(reason).all()
        assert [label.split("\n")[1].replace("\\", "") for label in tile_labels(app)] == frames


@pytest.mark.parametrize("overlay", previews.OVERLAYS)
def test_every_overlay_can_be_chosen(overlay, small):
    app = open_page("card", card_id="mscoco", card_tab="Pictures", card_show="people", card_overlay=overlay)
    assert not app.exception
    assert len(app.get("image")) == 7
    assert ("stand-in body" in texts(app)) == (overlay == "mesh")


def test_a_card_may_forbid_pictures(small, monkeypatch):
    card = load_card("bedlam")
    closed = card.model_copy(update={"licence": card.licence.model_copy(update={"previews": False})})
    monkeypatch.setattr(tiles, "load_card", lambda _: closed)
    app = open_page("card", card_id="bedlam", card_tab="Pictures")
    assert not app.get("image")
    assert "does not allow pictures" in texts(app)


def test_the_matrix_has_models_by_protocols_and_no_mean_over_holes(small):
    app = open_page("benchmark")
    shown = app.dataframe[0].value
    assert list(shown.index) == ["alpha", "beta"]
    assert [upper for upper, _ in shown.columns] == ["BEDLAM val", "EHF"]
    assert "A mean needs all of its protocols; the most that a model has\\: MPE 1 of 5, MPE (7) 1 of 7." in texts(app)


def test_a_measure_in_the_address_chooses_the_columns(small):
    app = open_page("benchmark", bench_measure="PA-PVE")
    assert app.segmented_control(key="bench_part_PA-PVE").value == "all"
    app = open_page("benchmark", **{"bench_measure": "PA-PVE", "bench_part_PA-PVE": "hands"})
    assert not app.exception
    assert {lower.strip("\N{ZERO WIDTH SPACE}") for _, lower in app.dataframe[0].value.columns} == {
        "PA-PVE hands \N{DOWNWARDS ARROW}"
    }


def test_a_chosen_cell_leads_to_counts_and_the_worst_people(small):
    app = open_page("benchmark")
    heading = app.dataframe[0].value.columns[1][1]
    click_cell(app, "bench_matrix_", 1, heading)
    assert not app.exception
    numbers = {metric.label: metric.value for metric in app.metric}
    assert (numbers["Asked"], numbers["Answered"], numbers["Missing"]) == ("6", "4", "2")
    assert "beta on EHF: PVE" in texts(app)
    app = open_page("cell", cell_model="beta", cell_protocol="ehf", cell_tab="Worst people")
    assert len(app.get("image")) == 4
    assert load_card("bedlam").licence.name in texts(app)


def test_a_damaged_result_becomes_a_sentence(empty):
    path = empty / "results" / "m" / "r" / "ehf.json"
    path.parent.mkdir(parents=True)
    path.write_text("{}", encoding="utf-8")
    app = open_page("benchmark")
    assert not app.exception
    assert "ehf.json" in app.error[0].value


def test_the_server_listens_on_this_machine_only_and_gets_its_folders(tmp_path, monkeypatch):
    called = {}

    def execve(_, arguments, variables):
        called.update(flags=set(arguments), variables=variables)
        raise SystemExit

    monkeypatch.setattr(os, "execve", execve)
    with pytest.raises(SystemExit):
        launch.launch(tmp_path / "data", tmp_path / "results", 1234, headless=True)
    assert {"--server.address=127.0.0.1", "--server.port=1234", "--server.headless=true"} <= called["flags"]
    assert called["variables"][settings.CATALOG] == str(tmp_path / "data")
    assert called["variables"][settings.RESULTS] == str(tmp_path / "results")


def pictures(app: AppTest) -> int:
    return len(app.get("image"))


def checkbox_counts(app: AppTest, *keys: str) -> list[str]:
    """The labels of checkboxes, which tell counts."""
    return [app.checkbox(key=key).label.rpartition("[")[2].rstrip("]") for key in keys]


def test_people_are_filtered_and_counts_follow(small):
    app = open_page("people", people_bounds="true")
    assert pictures(app) == 28
    assert "**28** of 28 people" in texts(app)
    app.checkbox(key="people_split_val").check().run()
    assert pictures(app) == 9
    assert checkbox_counts(app, "people_split_train", "people_source_bedlam", "people_source_mscoco") == [
        "19",
        "9",
        "0",
    ]
    app.number_input(key="people_height").set_value(100_000).run()
    assert "Nobody passes all filters" in texts(app)
    assert not app.exception


def test_the_state_of_the_page_of_people_is_its_address(small):
    where = {"people_where": "sequence = 'scene_a'", "people_sort": "distance m", "people_direction": "low first"}
    where["people_sql"] = "true"
    app = open_page("people", **where, people_overlay="mesh", people_has_hands="true")
    assert not app.exception
    assert pictures(app) == 12
    assert "ORDER BY quality_distance_m ASC" in texts(app)
    assert "stand-in body" in texts(app)


@pytest.mark.parametrize("key", ["has_body", "has_face", "has_shape", "has_points", "origin_pseudo", "source_mscoco"])
def test_every_filter_of_people_runs(key, small):
    app = open_page("people", **{f"people_{key}": "true"})
    assert not app.exception
    assert pictures(app) == {"has_face": 0, "origin_pseudo": 7, "source_mscoco": 7}.get(key, 28)


def test_a_wrong_condition_is_one_sentence(small):
    app = open_page("people", people_where="heigth > 3")
    assert not app.exception
    assert app.error[0].value.startswith("DuckDB does not take this condition")
    assert "\n" not in app.error[0].value


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("select 1", "a query has to yield the column person\\_key"),
        ("'", "unterminated"),
        ("exists (select 1 from read_csv('/etc/passwd'))", "file system operations are disabled"),
    ],
)
def test_what_no_condition_can_be_is_said_in_one_sentence(condition, said, small):
    app = open_page("people", people_where=condition)
    assert not app.exception
    assert said in app.error[0].value
    assert "\n" not in app.error[0].value


def test_people_are_sorted_by_the_errors_of_a_model(small):
    app = open_page("people", people_errors="PVE of beta r1 on ehf", people_sort="error")
    assert not app.exception
    assert "**6** of 28 people" in texts(app)


def person_key(tree) -> str:
    return query(tree.catalog, "SELECT person_key FROM people WHERE split = 'val' AND person = 1")["person_key"].iloc[0]


@pytest.mark.parametrize("tab", ["Picture and body", "Compare", "Fields", "Where it comes from"])
def test_every_tab_of_a_person_runs(tab, small):
    key = person_key(small)
    other = key.replace("#1", "#0")
    app = open_page("person", person_key=key, person_tab=tab, person_other=other, person_alignment="Procrustes")
    assert not app.exception
    assert not app.error
    said = texts(app)
    assert load_card("bedlam").licence.name in said
    assert ("mm** apart" in said) == (tab == "Compare")
    tables = str([table.value for table in app.table])
    assert ("labels.npz" in tables) == (tab == "Where it comes from")


def test_marks_and_parts_of_a_person_can_all_be_chosen(small):
    app = open_page("person", person_key=person_key(small))
    (scene,) = shown_scenes(app)
    assert scene["label"] == f"body of {person_key(small)}"
    assert len(scene["people"][0]["vertices"]) == 3 * 10475
    assert "frustum" not in scene["camera"]
    app.pills(key="person_marks").set_value(["keypoints", "joints", "boxes", "mesh"])
    app.pills(key="person_solid").set_value(["body", "joints", "camera"])
    app.segmented_control(key="person_view").set_value("frame").run()
    assert not app.exception
    assert pictures(app) == 1
    (scene,) = shown_scenes(app)
    assert {"vertices", "triangles", "joints"} <= set(scene["people"][0])
    assert scene["camera"]["frustum"][:3] == [0, 0, 0]
    app.pills(key="person_solid").set_value([]).run()
    assert not app.exception
    assert not {"vertices", "joints"} & set(shown_scenes(app)[0]["people"][0])


def test_a_camera_that_cannot_be_one_is_said_in_place_of_the_view(small, monkeypatch):
    nonsense = solid.Camera(np.zeros((3, 3)), 640, 480)
    monkeypatch.setattr(solid.Camera, "of", lambda *_: nonsense)
    app = open_page("person", person_key=person_key(small))
    assert not app.exception
    assert "Not drawn in 3D" in app.error[0].value
    assert "focal lengths must be above 0" in app.error[0].value
    assert pictures(app) == 1


def test_a_key_that_nobody_bears_is_said(small):
    app = open_page("person", person_key="nobody#0")
    assert "Nobody in this catalog is called" in texts(app)


def test_a_card_may_forbid_the_picture_of_a_person(small, monkeypatch):
    card = load_card("bedlam")
    closed = card.model_copy(update={"licence": card.licence.model_copy(update={"previews": False})})
    monkeypatch.setattr(tiles, "load_card", lambda _: closed)
    app = open_page("person", person_key=person_key(small))
    assert not app.exception
    assert pictures(app) == 0
    assert "does not allow pictures" in texts(app)
    app = open_page("people")
    assert pictures(app) == 0
    assert len(tile_labels(app)) == 28  # and yet there is a way to everybody


def test_a_planned_source_has_no_card_to_open(small):
    app = open_page("datasets", cat_state_planned="true")
    click_cell(app, "cat_table_", 0, "kind")
    assert not app.exception
    assert "has no card yet" in texts(app)
