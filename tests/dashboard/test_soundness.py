"""What the engine measured, told so that labels can be judged: which end is odd, what was left out for it."""

import numpy as np
import pandas as pd
import pytest

from ehps.cards import load_card
from ehps.dashboard import queries, soundness
from ehps.shards.catalog import open_catalog


@pytest.fixture(scope="module")
def cursor(tree):
    with open_catalog(tree.catalog) as connection:
        yield connection.cursor()


def spread_of(**measures: list[float]) -> pd.DataFrame:
    """The table of ``queries.measures`` over one split."""
    rows = []
    for name, values in measures.items():
        low, p05, median, p95, high = np.quantile(values, [0, 0.05, 0.5, 0.95, 1])
        facts = {"measure": name, "split": "val", "people": len(values), "low": low, "p05": p05}
        rows.append(facts | {"median": median, "p95": p95, "high": high})
    return pd.DataFrame(rows)


def test_the_spread_is_that_of_the_people(cursor):
    table = queries.measures(cursor, "bedlam", ("reprojection_px", "min_depth_m")).set_index(["measure", "split"])
    own = "SELECT quality_reprojection_px AS x FROM people WHERE dataset = 'bedlam' AND split = 'train'"
    exact = cursor.sql(own).df()["x"]
    found = table.loc[("reprojection_px", "train")]
    assert found["people"] == len(exact) == 12
    assert found[["low", "median", "high"]].tolist() == pytest.approx([exact.min(), exact.median(), exact.max()])
    assert found["p95"] == pytest.approx(exact.quantile(0.95))
    assert set(table.index.get_level_values("split")) == {"train", "val"}


def test_the_odd_end_is_low_where_small_numbers_are_suspicious():
    values = list(range(101))
    far, near = soundness.rows(spread_of(box_coverage=values, reprojection_px=values), {}, {}, None)
    assert (far.measure, far.odd, far.worst, far.low_is_odd) == ("reprojection_px", 95, 100, False)
    assert (near.measure, near.odd, near.worst, near.low_is_odd) == ("box_coverage", 5, 0, True)


def test_bounds_and_rejects_stand_beside_the_measure_they_are_about():
    card = load_card("bedlam")
    spread = spread_of(reprojection_px=[1.0], min_depth_m=[1.0], swap_gain=[0.0])
    found = {row.measure: row for row in soundness.rows(spread, {}, {"reprojection": 7, "nan_pose": 9}, card)}
    assert found["reprojection_px"].bound == card.checks.max_reprojection_px
    assert [found[name].left_out for name in ("reprojection_px", "min_depth_m", "swap_gain")] == [7, 0, None]


@pytest.mark.parametrize(
    ("measure", "title"),
    [("min_depth_m", "min depth (m)"), ("reprojection_px", "reprojection (px)"), ("swap_gain", "swap gain")],
)
def test_units_stand_in_brackets(measure, title):
    [row] = soundness.rows(spread_of(**{measure: [1.0]}), {}, {}, None)
    assert row.title == title


def test_what_says_nothing_on_labels_is_no_check():
    columns = {"quality_distance_m": "", "quality_swap_gain": "", "box_height_px": "", "quality_own_thing": ""}
    assert soundness.names_of(columns) == ("own_thing", "swap_gain")


def test_hands_are_counted_by_how_they_read(cursor):
    found = queries.hand_verdicts(cursor, "bedlam")
    assert found.to_dict("records") == [
        {"split": split, "kind": "2d", "verdict": "as_stored", "units": 1, "people": 7} for split in ("train", "val")
    ]
    assert soundness.reading("swapped") == "as if left and right were swapped"


def test_a_picture_in_two_splits_is_found(cursor):
    assert queries.repeated_pictures(cursor, "bedlam")["pictures"].tolist() == [0]
    frames = "(VALUES ('a', 'd', 'train'), ('a', 'd', 'val'), ('b', 'd', 'val'), ('b', 'd', 'val'), (NULL, 'd', 'val'))"
    cursor.execute(f"CREATE TEMP VIEW frames AS FROM {frames} v(image_blake3, dataset, split)")
    assert queries.repeated_pictures(cursor, "d")["pictures"].tolist() == [1]
