"""From a number of the matrix to its people, and from there to label and predictions of one of them."""

import importlib.util
import io
import re

import cv2
import numpy as np
import pandas as pd
import pytest

from ehps.benchmark.heatmap import write_heatmap
from ehps.benchmark.protocol import load_protocol, protocols
from ehps.benchmark.render import to_csv, to_latex
from ehps.benchmark.results import (
    RunFacts,
    load_results,
    make_result,
    read_people,
    read_result,
    result_path,
    write_result,
)
from ehps.benchmark.run import run_protocol
from ehps.body.posing import PosingModel
from ehps.dashboard import board, fits, posed, predicted, previews, settings, slices, solid, versus
from ehps.dashboard.lookup import Lookup
from ehps.dashboard.queries import errors_table
from ehps.shards.catalog import query
from ehps.tests.dashboard.conftest import write_results
from ehps.tests.dashboard.scenes import shown_scenes
from ehps.tests.dashboard.scored_models import Parrot
from ehps.tests.dashboard.test_pages import open_page, texts

CELL = {"cell_model": "far", "cell_protocol": "bedlam_val", "cell_measure": "PVE"}
TABS = ("Distribution", "By factor", "Worst people", "Two models", "Where it comes from")


@pytest.fixture
def small(tree, scored, monkeypatch):
    for name, value in settings.environment(tree.catalog, scored).items():
        monkeypatch.setenv(name, value)
    return tree


def path_of(scored, model):
    return str(result_path(scored, model, "r1", "bedlam_val"))


def measured(model_dir):
    return fits.Measured.of(load_protocol("bedlam_val"), model_dir)


# Results and what is kept with them


def test_a_run_writes_what_the_model_says_of_itself_and_what_it_predicted(scored):
    result = read_result(result_path(scored, "far", "r1", "bedlam_val"))
    assert (result.network_parameters, result.training_people, result.study) == (5_000_000, 1234, "toys")
    assert (result.asked, result.missing) == (9, 1)
    assert result.predictions is not None
    assert result.predictions.people == 8
    assert read_result(result_path(scored, "silent", "r1", "bedlam_val")).predictions is None
    table = load_results(scored)
    assert set(table["study"]) == {"toys"}
    assert set(table["training_people"]) == {1234}


def test_scoring_again_without_predictions_takes_the_old_ones_away(tree, standin_dir, tmp_path):
    model = Parrot("twice", 0.1, PosingModel.load(standin_dir, num_betas=11))
    for keeps in (True, False):
        told = []
        protocol = load_protocol("bedlam_val")
        path = run_protocol(
            model, protocol, tree.catalog, standin_dir, tmp_path, keeps_predictions=keeps, advance=told.append
        )
        assert sum(told) == 9
        names = {file.name for file in path.parent.iterdir()}
        kept = {"bedlam_val.predictions.parquet"} if keeps else set()
        assert names == {"bedlam_val.json", "bedlam_val.parquet"} | kept


def test_distances_of_the_vertices_average_to_the_error_of_the_result(tree, scored, standin_dir):
    path = path_of(scored, "far")
    errors = read_people(result_path(scored, "far", "r1", "bedlam_val")).set_index("person_key")["PVE"].dropna()
    found = predicted.predictions(path, list(errors.index))
    look = measured(standin_dir)
    for person in Lookup(tree.catalog).people(tuple(errors.index)):
        one = found[person.person_key]
        first, second = solid.Shown("label", look.true_body(person)), solid.Shown("far", look.predicted_body(one))
        made = fits.difference(first, second, "at the root", look.root)
        assert made.distances.mean() == pytest.approx(errors[person.person_key], abs=1e-3)
        # Without the protocol's root the pelvis joint does nearly the same.
        by_joint = fits.difference(
            solid.Shown("label", first.body, person.joints_3d.astype(float)),
            solid.Shown("far", second.body, one.joints),
            "at the root",
        )
        assert by_joint.distances.mean() == pytest.approx(made.distances.mean(), rel=0.2)


def test_a_protocol_of_hands_has_no_whole_bodies(standin_dir):
    assert fits.Measured.of(load_protocol("freihand_eval"), standin_dir) is None
    assert measured(standin_dir).root_name == "the pelvis"


def test_each_body_is_brought_together_by_the_root_of_its_own_model(standin_dir):
    look = fits.Measured.of(load_protocol("pw3d_lsp14_smplreg"), standin_dir)
    for kind in ("smplx", "smpl"):
        model = PosingModel.load(standin_dir, kind)
        body = posed.Body(kind, model.template + [0.1, 0.2, 3.0], model.triangles, is_recorded=False)
        pelvis = model.joint_regressor[0] @ model.template + [0.1, 0.2, 3.0]
        np.testing.assert_allclose(look.root(solid.Shown(kind, body)), pelvis, atol=1e-6)


def test_a_prediction_without_a_camera_stands_where_the_label_stands(tree, scored):
    key = read_people(result_path(scored, "far", "r1", "bedlam_val"))["person_key"].iloc[1]
    (person,) = Lookup(tree.catalog).people((key,))
    one = predicted.predictions(path_of(scored, "far"), [key])[key]
    assert np.array_equal(predicted.on_picture(one, person).vertices, one.body.vertices)
    away = predicted.Predicted(
        posed.Body("smplx", one.body.vertices + 5.0, one.body.triangles, is_recorded=False), one.joints + 5.0
    )
    moved = predicted.on_picture(away, person)
    assert moved.vertices - away.body.vertices == pytest.approx(
        np.broadcast_to(person.joints_3d[0] - away.joints[0], moved.vertices.shape), abs=1e-6
    )


def test_a_prediction_is_drawn_over_the_picture_in_its_own_colours(tree, scored):
    key = read_people(result_path(scored, "far", "r1", "bedlam_val"))["person_key"].iloc[1]
    (person,) = Lookup(tree.catalog).people((key,))
    one = predicted.predictions(path_of(scored, "far"), [key])[key]
    without = previews.large_picture(person, (), 1.0, is_whole=False)
    drawn = previews.large_picture(
        person, (), 1.0, is_whole=False, others=[previews.Painted(one.body, np.array([1.0, 0.0, 0.0]))]
    )
    assert without.data != drawn.data
    (tile,) = previews.person_tiles(
        [person], "none", 1.0, ["note"], {key: [previews.Painted(one.body, np.array([1.0, 0.0, 0.0]))]}
    )
    assert tile.data != previews.person_tiles([person], "none", 1.0)[0].data


# Slices and pairs


@pytest.mark.parametrize("name", slices.FACTORS)
def test_every_factor_counts_everybody_with_a_value(name, tree, scored):
    errors = read_people(result_path(scored, "far", "r1", "bedlam_val"))
    factor = slices.FACTORS[name]
    ask = slices.bins_sql(factor, bins=3) if factor.is_number else slices.slices_sql(factor)
    found = query(tree.catalog, ask, tables={"person_results": errors_table(errors, "PVE")})
    sql = f"SELECT count(*) AS n FROM people WHERE split = 'val' AND ({factor.expression}) IS NOT NULL"
    there = query(tree.catalog, sql)["n"].iloc[0]
    assert found["people"].sum() == there - (1 if there else 0)  # one was not answered
    if len(found):
        total = (found["mean"] * found["people"]).sum() / found["people"].sum()
        assert total == pytest.approx(errors["PVE"].mean())
        assert (found["q25"] <= found["median"]).all()
    if factor.is_number and len(found) > 1:
        assert (found["high"].to_numpy()[:-1] <= found["low"].to_numpy()[1:]).all()


def test_pairs_are_the_people_whom_both_answered():
    first = pd.DataFrame({"person_key": ["a", "b", "c"], "sequence": "s", "PVE": [1.0, np.nan, 3.0]})
    second = pd.DataFrame({"person_key": ["c", "b", "d"], "sequence": "s", "PVE": [5.0, 2.0, 7.0]})
    assert versus.pairs_of(first, second, "PVE").to_dict("records") == [
        {"person_key": "c", "sequence": "s", "a": 3.0, "b": 5.0}
    ]


@pytest.mark.parametrize(
    ("better", "lower", "wanted"), [("a", True, ["x"]), ("b", True, ["z", "y"]), ("b", False, ["x"])]
)
def test_the_biggest_disagreements_come_first(better, lower, wanted):
    pairs = pd.DataFrame({"person_key": ["x", "y", "z", "w"], "a": [1.0, 4.0, 9.0, 2.0], "b": [3.0, 2.0, 1.0, 2.0]})
    assert versus.disagreements(pairs, 5, better=better, lower_is_better=lower)["person_key"].tolist() == wanted


def test_squares_hold_everybody():
    rng = np.random.default_rng(0)
    pairs = pd.DataFrame(rng.gamma(4, 20, (5000, 2)), columns=["a", "b"])
    squares = versus.squares(pairs)
    assert squares["people"].sum() == 5000
    assert len(squares) < 48 * 48
    assert (squares["a1"] > squares["a0"]).all()


# The pages


def test_the_page_of_a_cell_on_an_empty_machine_says_what_to_run(empty):
    app = open_page("cell")
    assert not app.exception
    assert "ehps bench" in texts(app)


@pytest.mark.parametrize(("model", "tab"), [*(("far", tab) for tab in TABS), ("silent", "Worst people")])
def test_every_tab_of_a_cell_runs(tab, model, small):
    app = open_page("cell", **CELL | {"cell_model": model}, cell_tab=tab)
    assert not app.exception
    assert not app.error
    said = texts(app)
    assert f"{model} on BEDLAM val: PVE" in said
    numbers = {metric.label: metric.value for metric in app.metric}
    assert (numbers["Asked"], numbers["Answered"], numbers["Missing"]) == ("9", "8", "1")
    if tab == "Worst people":
        assert len(app.get("image")) == 8
        assert ("were not kept" in said) == (model == "silent")
    if tab == "Two models":
        assert "Biggest disagreements" in said
    if tab == "Where it comes from":
        assert "toys" in str(app.table[0].value)


def test_other_measures_of_a_result_can_be_opened(small):
    app = open_page("cell", **CELL)
    for measure in app.selectbox(key="cell_measure").options[-3:]:
        app.selectbox(key="cell_measure").set_value(measure).run()
        assert not app.exception, measure


def test_factors_of_both_kinds_run(small):
    title = slices.FACTORS["sequence"].title
    app = open_page("cell", **CELL, cell_tab="By factor", cell_factor=title)
    assert app.selectbox(key="cell_factor").value == "sequence"
    assert app.selectbox(key="cell_factor").options == [factor.title for factor in slices.FACTORS.values()]
    for factor in ("occlusion", "distance", "left_hand"):
        app.selectbox(key="cell_factor").set_value(factor).run()
        assert not app.exception, factor
        assert ("ehps slice" in texts(app)) or ("Nobody of this result" in texts(app))


def test_without_a_catalog_errors_are_shown_over_box_heights(scored, tmp_path, monkeypatch):
    for name, value in settings.environment(tmp_path / "none", scored).items():
        monkeypatch.setenv(name, value)
    app = open_page("cell", **CELL, cell_tab="By factor")
    assert not app.exception
    assert "no catalog here that knows more" in texts(app)
    app = open_page("cell", **CELL, cell_tab="Worst people")
    assert "There is no catalog here" in texts(app)


@pytest.mark.parametrize("ahead", ["far is better", "near is better"])
def test_two_models_are_compared_on_the_same_people(ahead, small):
    app = open_page("cell", **CELL, cell_tab="Two models", cell_other="near", cell_ahead=ahead)
    assert not app.exception
    table = app.table[0].value
    assert "8 in 1 sequences" in str(table)
    assert len(app.get("image")) == {"near is better": 8, "far is better": 0}[ahead]


def test_labels_and_predictions_can_be_drawn_together(small):
    app = open_page("cell", **CELL, cell_tab="Worst people")
    key = next(name for name in app.session_state.to_dict() if str(name).startswith("cell_bodies_"))
    assert app.pills(key=key).options == ["label", "prediction of far"]
    app.pills(key=key).set_value(["label", "far"]).run()
    assert not app.exception
    assert "stand-in body" in texts(app)


def test_an_address_of_a_model_that_is_gone_opens_another(small):
    app = open_page("cell", cell_model="gone", cell_protocol="nothing", cell_measure="PVE")
    assert not app.exception
    assert "on BEDLAM val: PVE" in texts(app)


def person_page(small, **parameters):
    key = query(small.catalog, "SELECT person_key FROM people WHERE split = 'val' AND person = 1")["person_key"].iloc[0]
    return open_page("person", person_key=key, person_tab="Compare", **parameters)


def test_label_and_prediction_stand_side_by_side(small):
    app = person_page(small)
    assert not app.exception
    said = texts(app)
    assert len(app.get("image")) == 2
    assert "with the pelvis of both meshes brought together, as BEDLAM val does (this person's PVE)" in said
    assert app.selectbox(key="person_first").value == "label"
    assert app.selectbox(key="person_second").value == "far r1 on bedlam_val"


def test_two_models_on_one_person(small):
    app = person_page(small, person_first="near r1 on bedlam_val", person_second="far r1 on bedlam_val")
    for alignment in ("Procrustes", "at the root"):
        app.segmented_control(key="person_meeting").set_value(alignment).run()
        assert not app.exception
        assert len(app.get("image")) == 2
        assert "mm** apart" in texts(app)
        assert "this person's PVE" not in texts(app)
        (scene,) = shown_scenes(app)
        assert [person["isGhost"] for person in scene["people"]] == [True, False]
        assert f"**{scene['people'][1]['distances'].mean():.1f} mm** apart" in texts(app)
    app.segmented_control(key="person_pictures").set_value("overlaid")
    app.pills(key="person_pair_solid").set_value(["bodies", "joints", "camera"]).run()
    assert not app.exception
    assert len(app.get("image")) == 1
    assert "camera of its crop" in texts(app)


def test_what_was_not_kept_or_answered_is_said_in_a_sentence(small):
    app = person_page(small, person_second="silent r1 on bedlam_val")
    assert not app.exception
    assert "were not kept" in app.info[0].value
    key = query(small.catalog, "SELECT min(person_key) AS k FROM people WHERE split = 'val'")["k"].iloc[0]
    app = open_page("person", person_key=key, person_tab="Compare")
    assert "the model did not answer this person" in app.info[0].value


def test_the_matrix_has_a_mean_over_chosen_sets_intervals_and_colours(small):
    app = open_page("benchmark", bench_intervals="true")
    app.multiselect(key="bench_sets").set_value(["bedlam_val"]).run()
    assert not app.exception
    shown = app.dataframe[0].value
    assert shown.columns[0][1].startswith("mean of 1 set ")
    assert shown.iloc[0, 0] == pytest.approx(shown.iloc[0, 1])
    for form in ("heatmap", "table"):
        app.segmented_control(key="bench_form").set_value(form).run()
        assert not app.exception
        assert ("click a number to see its people" in texts(app)) == (form == "table")
        assert len(app.get("vega_lite_chart") or app.get("arrow_vega_lite_chart")) == (form == "heatmap")


def test_every_way_to_show_the_matrix_runs(small):
    app = open_page("benchmark")
    best = {"difference": 0.0, "% of best": 100.0, "rank": 1.0}
    for shown in ("difference", "% of best", "% of published", "rank", "absolute"):
        app.segmented_control(key="bench_show").set_value(shown).run()
        assert not app.exception, shown
        numbers = app.dataframe[0].value.iloc[:, 0]
        assert (numbers >= 0).all()
        assert numbers.min() == pytest.approx(best.get(shown, numbers.min()))


def test_a_number_of_the_matrix_leads_to_its_page(small):
    app = open_page("benchmark")
    key = next(name for name in app.session_state.to_dict() if str(name).startswith("bench_matrix_"))
    heading = app.dataframe[0].value.columns[0][1]
    app.session_state[key] = {"selection": {"rows": [], "columns": [], "cells": [(1, heading)]}}
    app.run()
    assert not app.exception
    assert app.selectbox(key="cell_model").value == "far"
    assert "far on BEDLAM val: PVE" in texts(app)


@pytest.fixture
def shares(tree, tmp_path, monkeypatch):
    """Results in millimetres, degrees and shares of one, of eleven measures."""
    keys = [f"bedlam-val-scene_b-{index:06d}#0" for index in range(6)]
    wide = ("ehf", "humanart_val", "emdb1", "freihand_eval", "agora_val", "bedlam_val")
    write_results(tmp_path / "r", keys, {"alpha": (60.0, wide), "beta": (75.0, ("ehf", "humanart_val"))})
    for name, value in settings.environment(tree.catalog, tmp_path / "r").items():
        monkeypatch.setenv(name, value)
    return tmp_path / "r"


def test_a_share_of_one_has_no_unit_and_more_digits(shares):
    where = {"cell_model": "beta", "cell_protocol": "humanart_val", "cell_measure": "PCK@0.05"}
    app = open_page("cell", **where)
    assert not app.exception
    numbers = {metric.label: metric.value for metric in app.metric}
    row = read_result(result_path(shares, "beta", "r1", "humanart_val")).measures["PCK@0.05"]
    assert (numbers["Mean"], numbers["Median"]) == (f"{row.mean:.3f}", f"{row.median:.3f}")
    assert numbers["Penalised"] == f"{row.penalised_mean:.3f}"
    said = texts(app)
    assert "people with the labels for it whose number is at most x; grey: 1 other model." in said
    assert "2 missing. The line is the mean" in said
    assert "\N{DAGGER} predictions are missing" in said
    app = open_page("cell", **where, cell_tab="Two models")
    assert not app.exception
    assert "below it beta is better" in texts(app)  # more is better
    assert "Below each: beta : alpha." in texts(app) or "On nobody" in texts(app)


def test_a_result_says_on_what_its_model_was_trained(shares):
    app = open_page("cell", cell_model="alpha", cell_protocol="bedlam_val", cell_tab="Where it comes from")
    assert "trained on this data set" in texts(app)
    assert "`bedlam`" in str(app.table[0].value)


def test_every_measure_part_and_way_of_a_wide_matrix_runs(shares):
    app = open_page("benchmark")
    families = app.pills(key="bench_measure").options
    assert len(families) > 8
    for family in families:
        app.pills(key="bench_measure").set_value(family).run()
        assert not app.exception, family
        shown = app.dataframe[0].value
        assert shown.notna().to_numpy().any(), family
        keys = [str(name) for name in app.session_state.to_dict() if str(name) == f"bench_part_{family}"]
        for part in app.segmented_control(key=keys[0]).options if keys else []:
            app.segmented_control(key=keys[0]).set_value(part.replace(" ", "_")).run()
            assert not app.exception, (family, part)
    for form in ("heatmap", "table"):
        app.segmented_control(key="bench_form").set_value(form).run()
        assert not app.exception


def test_exports_are_made_when_they_are_asked_for(shares, monkeypatch):
    app = open_page("benchmark", bench_measure="PVE", bench_part_PVE="hands")
    assert not app.get("download_button")
    app.session_state["bench_export"] = True
    app.run()
    assert not app.exception
    assert [button.proto.label for button in app.get("download_button")] == ["CSV", "LaTeX", "Markdown", "PNG"]
    said = texts(app)
    assert "--measure PVE@hands" in said
    assert "The numbers themselves, however they are shown." in said
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    app.run()
    assert "PNG" not in [button.proto.label for button in app.get("download_button")]


def test_what_is_exported_opens_elsewhere(shares):
    results = load_results(shares)
    matrix = board.matrix_of(results, board.PRIMARY, None, protocols(), ["ehf", "bedlam_val"])
    back = pd.read_csv(io.StringIO(to_csv(matrix)), index_col="model")
    assert back["ehf/PVE"].to_dict() == pytest.approx(matrix.values["ehf", "PVE"].to_dict())
    lines = to_latex(matrix, names={name: own.display_name for name, own in protocols().items()}).splitlines()
    assert lines[0] == rf"\begin{{tabular}}{{l{'r' * len(matrix.values.columns)}}}"
    rows = [line for line in lines if line.endswith(r"\\") and "multicolumn" not in line]
    assert len(rows) == 1 + len(matrix.values)
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {len(matrix.values.columns)}
    for line in lines:
        assert line.count("{") == line.count("}")
        assert len(re.findall(r"(?<!\\)\$", line)) % 2 == 0
        assert line.startswith("%") or not re.search(r"(?<![\\^])[_#](?!\{)", line.replace("^{", ""))
    assert cv2.imread(str(write_heatmap(matrix, shares / "matrix.png"))) is not None


def test_a_model_that_answered_nobody_costs_no_page(tree, tmp_path, monkeypatch):
    keys = [f"bedlam-val-scene_b-{index:06d}#0" for index in range(6)]
    protocol = load_protocol("bedlam_val")
    rows = pd.DataFrame({"person_key": keys, "sequence": "s", "answered": False, "box_height": 90.0})
    rows[[f"has_{part}" for part in ("body", "left_hand", "right_hand", "face")]] = True
    rows[list(protocol.measures)] = np.nan
    facts = RunFacts(model="mute", revision="r1", shard_fingerprint="0")
    write_result(make_result(rows, protocol, facts, hardware="none"), rows, tmp_path / "r")
    for name, value in settings.environment(tree.catalog, tmp_path / "r").items():
        monkeypatch.setenv(name, value)
    for form in ("table", "heatmap"):
        assert not open_page("benchmark", bench_form=form, bench_intervals="true").exception
    for tab in TABS[:3]:
        app = open_page("cell", cell_tab=tab)
        assert not app.exception, tab
        assert not app.error
        numbers = {metric.label: metric.value for metric in app.metric}
        assert (numbers["Answered"], numbers["Missing"], numbers["95 %"]) == ("0", "6", "\N{EN DASH}")
        assert numbers["Mean (mm)"] == "\N{EN DASH}"
    assert not open_page("scaling").exception
    assert not open_page("study", study_tab="Worth alone").exception
