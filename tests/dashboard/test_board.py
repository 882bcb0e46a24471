"""The matrix made ready to show: its means, the order of its rows, intervals, digits, and the published block."""

import pandas as pd
import pytest

from ehps.benchmark.measures import get_measure
from ehps.benchmark.protocol import protocols
from ehps.benchmark.published import load_published
from ehps.benchmark.tables import published_block
from ehps.dashboard import board, cell_charts, curve_charts
from ehps.dashboard.views import matrix as page


def many(*cells, missing=0, rule="report"):
    """Rows of results: model, protocol, measure, mean."""
    defaults = {"revision": "r", "protocol_version": 1, "is_primary": True, "missing": missing, "missing_rule": rule}
    defaults |= {"box_source": "detector", "is_trained_on": False, "is_finetuned_on": False, "penalised_mean": 9.0}
    names = ("model", "protocol", "measure", "mean")
    rows = [defaults | dict(zip(names, cell, strict=True)) | {"ci_low": 1.25, "ci_high": 2.75} for cell in cells]
    return pd.DataFrame(rows)


MPE_HANDS = ("agora_val", "egobody_egoset", "ubody_intra", "ehf", "synhand")


def test_a_mean_of_hands_stands_with_the_hands_and_before_them():
    rows = [("whole", name, "PVE@hands", 10.0 * place) for place, name in enumerate(MPE_HANDS, start=1)]
    rows += [("holes", name, "PVE@hands", 5.0) for name in MPE_HANDS[:3]]
    rows += [("holes", "ehf", "PVE", 1.0)]
    matrix = board.matrix_of(many(*rows), "PVE", "hands", protocols())
    matrix, absent = board.without_empty_means(matrix)
    assert matrix.values.columns[0] == ("MPE-hands", "MPE-hands")
    assert matrix.values.iloc[:, 0].dropna().to_dict() == {"whole": 30.0}
    assert list(matrix.values.index) == ["whole", "holes"]
    assert absent == "A mean needs all of its protocols; the most that a model has: MPE hands (7) 5 of 7."
    assert board.incomplete_means(matrix) == "Protocols of MPE hands: holes 3 of 5."
    assert not any("hands" in measure for _, measure in board.matrix_of(many(*rows), "PVE", "all", protocols()).values)


def test_rows_are_sorted_by_the_column_that_most_models_have():
    rows = [
        ("a", "bedlam_val", "PVE", 9.0),
        ("b", "ehf", "PVE", 3.0),
        ("c", "ehf", "PVE", 2.0),
        ("a", "ehf", "PVE", 4.0),
    ]
    matrix = board.matrix_of(many(*rows), board.PRIMARY, None, protocols())
    assert list(matrix.values.index) == ["c", "b", "a"]


def test_an_interval_stands_behind_the_number_that_it_is_of():
    rows = (("a", "humanart_val", "PCK@0.05", 0.5), ("a", "ehf", "PVE", 3.0))
    column = ("humanart_val", "PCK@0.05")
    assert board.intervals_of(many(*rows)) == {("a", column): "[1.250, 2.750]", ("a", ("ehf", "PVE")): "[1.2, 2.8]"}
    assert board.intervals_of(many(*rows, missing=2, rule="penalise")) == {}
    assert len(board.intervals_of(many(*rows, missing=2))) == 2


def test_shares_have_three_digits_in_every_form_that_has_their_unit():
    rows = [("a", "humanart_val", "PCK@0.05", 0.6971), ("b", "humanart_val", "PCK@0.05", 0.5)]
    matrix = board.matrix_of(many(*rows), board.PRIMARY, None, protocols())
    texts = {shown: board.face_of(matrix, shown, protocols()).texts.iloc[:, 0].tolist() for shown in board.SHOWN}
    assert [text.replace("\N{COMBINING LOW LINE}", "") for text in texts["absolute"]] == ["0.697", "0.500"]
    assert texts["difference"][0] == "+0.000"
    assert texts["rank"][0] == "1"
    assert texts["% of published"] == ["\N{EN DASH}"] * 2


def test_published_numbers_keep_what_a_network_was_trained_on_and_the_means():
    published = board.with_published_means(load_published())
    shown = [("MPE", "MPE"), ("ehf", "PVE")]
    table = board.published_table(published_block(published, shown), shown, protocols())
    own = table.loc[(table["method"] == "SMPLer-X-H32") & (table["table"] == "Table 14")]
    assert own["train_set"].nunique() == 3
    assert own["MPE"].tolist() == [62.12, 63.08, 63.32]
    assert table["MPE"].iloc[0] == table["MPE"].min()
    assert board.best_published(published)["MPE", "MPE"] == (59.57, "SMPLest-X-L40 (SMPLest-X)")


def test_a_heat_map_names_its_columns_and_slants_them_where_they_are_many():
    rows = [("a", name, "PVE@hands", 10.0) for name in MPE_HANDS]
    matrix = board.matrix_of(many(*rows), "PVE", "hands", protocols())
    cells = board.heat_table(matrix, board.face_of(matrix, "absolute", protocols()))
    assert cells["column"].tolist()[0] == "MPE hands \N{DOWNWARDS ARROW}"
    angles = [
        cell_charts.heatmap(some).to_dict()["layer"][0]["encoding"]["x"]["axis"]["labelAngle"]
        for some in (cells, cells.loc[cells["place"] < 3])
    ]
    assert angles[0] < 0 == angles[1]


def test_columns_are_as_wide_as_what_they_hold():
    rows = [("a", "ehf", "PVE", 1.0), ("a", "freihand_eval", "PA-PVE@right_hand-freihand", 1.0)]
    made, _ = board.without_empty_means(board.matrix_of(many(*rows), board.PRIMARY, None, protocols()))
    narrow, wide = (page._widths(board.face_of(made, "absolute", protocols()))[place]["width"] for place in (1, 2))
    assert (narrow, wide) == (page._NARROW, page._WIDE)


@pytest.mark.parametrize(
    ("name", "title"),
    [("PVE", "error of a person (mm)"), ("PCK@0.05", "PCK@0.05 of a person"), ("MPJAE", "error of a person (deg)")],
)
def test_an_axis_names_what_is_measured(name, title):
    assert cell_charts.quantity(get_measure(name), "a person") == title


@pytest.mark.parametrize(
    ("low", "high", "steps"),
    [(32e6, 662e6, [20e6, 50e6, 1e8, 2e8, 5e8, 1e9]), (4.5e6, 7.5e6, [4e6, 5e6, 6e6, 7e6, 8e6])],
)
def test_a_logarithmic_axis_has_round_steps(low, high, steps):
    found = curve_charts.round_steps(low, high)
    assert set(found) >= set(steps)
    assert found == sorted(found)


def test_lines_of_scaling_come_by_the_size_of_the_network():
    lines = [("SMPLer-X", size, f"SMPLer-X-{size}", "published") for size in "BHLS"]
    lines += [("measured here", "", "measured here", "measured")]
    points = pd.DataFrame(lines, columns=["family", "size", "line", "kind"]).assign(x=1e6, value=50.0)
    chart = curve_charts.scaling(points, points, "people", is_log=True).to_dict()
    domain = chart["layer"][1]["encoding"]["color"]["scale"]["domain"]
    assert domain == ["SMPLer-X-S", "SMPLer-X-B", "SMPLer-X-L", "SMPLer-X-H", "measured here"]
