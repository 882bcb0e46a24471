"""The matrix and what is printed of it."""

import io

import cv2
import numpy as np
import pandas as pd
import pytest

from ehps.benchmark.heatmap import badness, write_heatmap
from ehps.benchmark.measures import MeanOfPrimaries
from ehps.benchmark.render import (
    escape_latex,
    frame_to_markdown,
    frame_to_text,
    to_csv,
    to_latex,
    to_markdown,
    to_text,
)
from ehps.benchmark.tables import (
    HOLE,
    add_mean,
    build_matrix,
    published_block,
    ranks,
    reproduction_gap,
    sort_rows,
)

MEAN = MeanOfPrimaries(name="MPE", display_name="MPE", description="both", protocols=("ehf", "bedlam_val"))
PRIMARIES = {"ehf": "PVE", "bedlam_val": "PVE"}


def cell(model, protocol, mean, measure="PVE", **fields):
    return {"model": model, "protocol": protocol, "measure": measure, "mean": mean} | fields


@pytest.fixture
def matrix(result_rows):
    """Three models: one with both protocols, one trained on BEDLAM, one without BEDLAM and with people missing."""
    return build_matrix(
        result_rows(
            cell("small", "ehf", 80.04),
            cell("small", "bedlam_val", 90.0),
            cell("large", "ehf", 60.06, box_source="ground_truth"),
            cell("large", "bedlam_val", 70.0, is_trained_on=True, is_finetuned_on=True),
            cell("odd_one", "ehf", 70.0, missing=3),
        )
    )


def test_rows_are_models_and_columns_are_protocol_and_measure(matrix):
    assert list(matrix.values.columns) == [("bedlam_val", "PVE"), ("ehf", "PVE")]
    assert list(matrix.values.index) == ["small", "large", "odd_one"]
    assert matrix.values.loc["large", ("ehf", "PVE")] == 60.06
    assert np.isnan(matrix.values.loc["odd_one", ("bedlam_val", "PVE")])
    assert matrix.holes.loc["odd_one", ("bedlam_val", "PVE")] == HOLE


def test_marks_say_what_makes_a_cell_special(matrix):
    assert matrix.marks["ehf", "PVE"].tolist() == ["", "b", "m"]
    assert matrix.marks["bedlam_val", "PVE"].tolist() == ["", "tf", ""]


def test_only_the_asked_columns_come_in_the_asked_order(result_rows):
    rows = result_rows(cell("a", "ehf", 1.0), cell("a", "ehf", 2.0, measure="PVE@hands", is_primary=False))
    columns = [("ehf", "PVE@hands"), ("ubody", "PVE"), ("ehf", "PVE")]
    matrix = build_matrix(rows, columns)
    assert list(matrix.values.columns) == columns
    assert matrix.values.loc["a"].tolist()[::2] == [2.0, 1.0]
    assert np.isnan(matrix.values.loc["a", ("ubody", "PVE")])


def test_a_model_with_two_revisions_has_two_rows(result_rows):
    rows = result_rows(
        cell("a", "ehf", 1.0, revision="v1"), cell("a", "ehf", 2.0, revision="v2"), cell("b", "ehf", 3.0)
    )
    assert list(build_matrix(rows).values.index) == ["a (v1)", "a (v2)", "b"]


def test_results_of_an_older_protocol_version_do_not_enter(result_rows):
    rows = result_rows(cell("a", "ehf", 1.0), cell("b", "ehf", 2.0, protocol_version=2))
    assert list(build_matrix(rows).values.index) == ["b"]


def test_the_rule_penalise_shows_the_penalised_mean(result_rows):
    rows = result_rows(cell("a", "ehf", 1.0, penalised_mean=9.0, missing=2, missing_rule="penalise"))
    matrix = build_matrix(rows)
    assert matrix.values.loc["a", ("ehf", "PVE")] == 9.0
    assert matrix.marks.loc["a", ("ehf", "PVE")] == "m"


def test_a_mean_exists_only_where_all_of_it_was_measured(matrix):
    wider = add_mean(matrix, MEAN, PRIMARIES)
    assert wider.values["MPE", "MPE"].tolist()[:2] == pytest.approx([85.02, 65.03])
    assert np.isnan(wider.values.loc["odd_one", ("MPE", "MPE")])
    assert wider.holes.loc["odd_one", ("MPE", "MPE")] == "1/2"
    assert wider.marks.loc["large", ("MPE", "MPE")] == "tfb"
    assert ("MPE", "MPE") not in matrix.values.columns


def test_a_mean_over_a_protocol_that_nobody_has_is_never_shown(matrix):
    five = MEAN.model_copy(update={"protocols": ("ehf", "bedlam_val", "agora_val")})
    wider = add_mean(matrix, five, PRIMARIES)
    assert wider.values["MPE", "MPE"].isna().all()
    assert wider.holes["MPE", "MPE"].tolist() == ["2/3", "2/3", "1/3"]


def test_best_and_second_share_their_rank_when_equal():
    columns = pd.MultiIndex.from_tuples([("ehf", "PVE"), ("ehf", "PVE@hands")])
    values = pd.DataFrame([[3.0, np.nan], [1.0, 5.0], [2.0, 4.0], [1.0, np.nan]], columns=columns)
    assert ranks(values).to_numpy().tolist() == [[0, 0], [1, 2], [2, 1], [1, 0]]


def test_the_best_row_comes_first_and_holes_last(matrix):
    assert list(sort_rows(matrix, ("bedlam_val", "PVE")).values.index) == ["large", "small", "odd_one"]
    assert list(sort_rows(matrix, ("ehf", "PVE")).marks.index) == ["large", "odd_one", "small"]


def test_text_is_aligned_and_explains_its_marks(matrix):
    assert to_text(matrix).splitlines() == [
        "model    bedlam_val PVE \N{DOWNWARDS ARROW}  ehf PVE \N{DOWNWARDS ARROW}",
        "-------  ----------------  ---------",
        "small                90.0       80.0",
        "large             70.0*\N{BLACK CIRCLE}\N{BLACK UP-POINTING TRIANGLE}     60.1*\N{BLACK DIAMOND}",
        "odd_one                 \N{EN DASH}      70.0\N{DAGGER}",
        "* best of its column",
        "\N{BLACK CIRCLE} trained on this data set",
        "\N{BLACK UP-POINTING TRIANGLE} fine-tuned on this data set",
        "\N{BLACK DIAMOND} ground-truth boxes",
        "\N{DAGGER} predictions are missing",
    ]


def test_markdown_has_the_best_bold_and_the_second_underlined(matrix):
    lines = to_markdown(matrix).splitlines()
    assert lines[1] == "| --- | ---: | ---: |"
    assert lines[2] == "| small | <u>90.0</u> | 80.0 |"
    assert lines[3].startswith("| large | **70.0**")
    assert lines[-1].startswith("\N{BLACK CIRCLE} trained on this data set; ")


def test_latex_is_exactly_this(matrix):
    wider = add_mean(matrix, MEAN, PRIMARIES)
    assert to_latex(wider, names={"ehf": "EHF", "bedlam_val": "BEDLAM val"}).splitlines() == [
        r"\begin{tabular}{lrrr}",
        r"\toprule",
        r"& \multicolumn{1}{c}{BEDLAM val} & \multicolumn{1}{c}{EHF} & \multicolumn{1}{c}{MPE} \\",
        r"\cmidrule(lr){2-2} \cmidrule(lr){3-3} \cmidrule(lr){4-4}",
        r"Model & PVE $\downarrow$ & PVE $\downarrow$ & MPE $\downarrow$ \\",
        r"\midrule",
        r"small & \underline{90.0} & 80.0 & \underline{85.0} \\",
        (
            r"large & \textbf{70.0}$^{\bullet\triangle}$ & \textbf{60.1}$^{\diamond}$ & "
            r"\textbf{65.0}$^{\bullet\triangle\diamond}$ \\"
        ),
        r"odd\_one & -- & \underline{70.0}$^{\dagger}$ & 1/2 \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"% \bullet trained on this data set",
        r"% \triangle fine-tuned on this data set",
        r"% \diamond ground-truth boxes",
        r"% \dagger predictions are missing",
    ]


def test_latex_spans_the_measures_of_one_protocol(result_rows):
    rows = result_rows(cell("a", "ehf", 1.0), cell("a", "ehf", 2.0, measure="PA-PVE@hands"))
    text = to_latex(build_matrix(rows, [("ehf", "PVE"), ("ehf", "PA-PVE@hands")]), decimals=2)
    assert r"& \multicolumn{2}{c}{ehf} \\" in text
    assert r"\cmidrule(lr){2-3}" in text
    assert r"a & \textbf{1.00} & \textbf{2.00} \\" in text


def test_csv_comes_back_with_every_digit_and_mark(matrix):
    back = pd.read_csv(io.StringIO(to_csv(matrix)), index_col="model", keep_default_na=False)
    for protocol, measure in matrix.values.columns:
        numbers = pd.to_numeric(back[f"{protocol}/{measure}"], errors="coerce")
        np.testing.assert_array_equal(numbers, matrix.values[protocol, measure])
        assert back[f"{protocol}/{measure} marks"].tolist() == matrix.marks[protocol, measure].tolist()


@pytest.mark.parametrize("render", [to_text, to_markdown, to_csv, to_latex])
def test_no_results_give_an_empty_table(result_rows, render):
    matrix = build_matrix(result_rows())
    assert matrix.values.shape == (0, 0)
    assert "model" in render(matrix).lower()


def test_latex_escapes_what_would_break_a_table():
    assert escape_latex("a_b & 50% {x} \\ ^") == r"a\_b \& 50\% \{x\} \textbackslash{} \^{}"


def test_shares_have_more_digits_than_millimetres(result_rows):
    rows = result_rows(cell("a", "p", 0.6971, measure="PCK@0.05"), cell("a", "ehf", 80.04))
    matrix = build_matrix(rows, [("p", "PCK@0.05"), ("ehf", "PVE")])
    assert r"a & \textbf{0.697} & \textbf{80.0} \\" in to_latex(matrix)
    assert r"a & \textbf{0.69710} & \textbf{80.040} \\" in to_latex(matrix, decimals=3)


def test_a_model_that_diverged_does_not_make_all_others_alike(result_rows):
    rows = result_rows(
        *(cell(name, "ehf", value) for name, value in zip("abcde", (60.0, 65.0, 70.0, 80.0, 900.0), strict=True))
    )
    assert badness(build_matrix(rows))[:, 0].tolist() == pytest.approx([0, 1 / 6, 1 / 3, 2 / 3, 1])
    same = result_rows(*(cell(name, "ehf", value) for name, value in zip("abc", (60.0, 60.0, 90.0), strict=True)))
    assert badness(build_matrix(same))[:, 0].tolist() == [0, 0, 1]


def test_other_frames_print_the_same_way():
    table = pd.DataFrame({"name": ["a", "bc|d"], "value": ["1.0", "22.0"]})
    assert frame_to_text(table).splitlines() == ["name  value", "----  -----", "a       1.0", "bc|d   22.0"]
    assert frame_to_markdown(table).splitlines()[-1] == r"| bc\|d | 22.0 |"


def test_words_stand_left_and_numbers_right():
    table = pd.DataFrame(
        {"a": ["x"], "paper": ["Some Paper"], "mm": ["**4.0**"], "of": ["1/5"], "hole": ["\N{EN DASH}"]}
    )
    assert frame_to_markdown(table).splitlines()[1] == "| --- | --- | ---: | ---: | ---: |"
    assert frame_to_text(pd.DataFrame({"a": ["x", "y"], "of": ["b", "a longer one"]})).splitlines()[2] == "x  b"


@pytest.fixture
def published():
    """Two papers on one method, a re-run of it, and another method."""
    defaults = {"protocol": "ehf", "measure": "PVE", "unit": "mm", "kind": "published", "note": "", "table": "T1"}
    defaults |= {"train_set": ""}
    rows = [
        {"method": "Large", "value": 62.0, "paper": "A", "source": "paper A"},
        {"method": "Large", "value": 64.0, "paper": "B", "source": "paper B"},
        {"method": "Large", "value": 70.0, "paper": "issue", "source": "a user", "kind": "reproduction"},
        {"method": "Other", "value": 50.0, "paper": "C", "source": "paper C", "protocol": None},
        {"method": "Other", "value": 51.0, "paper": "C", "source": "paper C"},
    ]
    return pd.DataFrame([defaults | row for row in rows])


def test_published_numbers_are_a_block_of_their_own_with_source_and_table(published):
    block = published_block(published, [("ehf", "PVE")])
    assert block["value"].tolist() == [51.0, 62.0, 64.0]
    assert block["source"].tolist() == ["paper C", "paper A", "paper B"]
    assert set(block["table"]) == {"T1"}
    assert published_block(published, [("ehf", "PVE")], kind="reproduction")["source"].tolist() == ["a user"]
    assert len(published_block(published, [("bedlam_val", "PVE")])) == 0


def test_the_gap_to_each_published_number_is_measured_minus_published(published, result_rows):
    rows = result_rows(cell("large", "ehf", 63.0, missing=1), cell("nameless", "ehf", 10.0))
    gaps = reproduction_gap(rows, published, {"large": "Large"})
    assert gaps["model"].tolist() == ["large", "large"]
    assert gaps["gap"].tolist() == [1.0, -1.0]
    assert gaps["gap_share"].tolist() == [1 / 62, -1 / 64]
    assert gaps["has_missing"].all()
    assert gaps["source"].tolist() == ["paper A", "paper B"]


def test_a_model_that_nobody_published_has_no_gap(published, result_rows):
    assert len(reproduction_gap(result_rows(cell("a", "ehf", 1.0)), published, {})) == 0


def test_a_mean_of_a_measure_looks_at_that_measure(result_rows):
    rows = result_rows(
        cell("a", "ehf", 50.0), cell("a", "ehf", 40.0, "PVE@hands"), cell("a", "bedlam_val", 30.0, "PVE@hands")
    )
    matrix = build_matrix(rows, [("ehf", "PVE"), ("ehf", "PVE@hands"), ("bedlam_val", "PVE@hands")])
    hands = MEAN.model_copy(update={"name": "MPE-hands", "measure": "PVE@hands"})
    assert add_mean(matrix, hands, PRIMARIES).values.loc["a", ("MPE-hands", "MPE-hands")] == 35


def test_a_heatmap_is_a_picture_of_the_matrix(matrix, tmp_path):
    path = write_heatmap(add_mean(matrix, MEAN, PRIMARIES), tmp_path / "matrix.png")
    image = cv2.imread(str(path))
    assert image is not None
    assert image.shape[1] > 400
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 20
    again = write_heatmap(add_mean(matrix, MEAN, PRIMARIES), tmp_path / "again.png")
    assert again.read_bytes() == path.read_bytes()


def test_a_heatmap_goes_from_the_best_to_the_worst_of_each_column(matrix):
    np.testing.assert_allclose(badness(matrix), [[1, 1], [0, 0], [np.nan, (70 - 60.06) / (80.04 - 60.06)]])
