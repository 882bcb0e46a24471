"""What a choice of people says in SQL, what leaves the page, and how two fits are compared."""

import duckdb
import numpy as np
import pandas as pd
import pytest
import yaml

from ehps.dashboard import browse, facets, fits, posed, queries, solid
from ehps.dashboard.browse import CATALOG_ORDER, Order, Selection, Wanted
from ehps.dashboard.lookup import Lookup
from ehps.dashboard.views.person_facts import overlapping
from ehps.errors import QueryError
from ehps.shards.catalog import open_catalog, query
from ehps.training.mixture_spec import Mixture
from ehps.training.selection import select_all


@pytest.fixture(scope="module")
def cursor(tree):
    with open_catalog(tree.catalog) as connection:
        yield connection.cursor()


def page(cursor, selection=None, order=None, number=1):
    return cursor.sql(browse.page_sql(selection or Selection(), order or Order(), number)).df()


def test_the_profile_counts_everyone_once(cursor):
    profile = cursor.sql(browse.profile_sql(Wanted())).df()
    assert profile["people"].sum() == 28
    assert profile.groupby("source")["people"].sum().to_dict() == {"bedlam": 21, "mscoco": 7}
    assert set(profile["origin"]) == {"synthetic", "pseudo"}
    assert not profile["has_face"].any()


def test_what_the_build_counted_is_what_a_look_at_everyone_counts(cursor):
    counted, scanned = (
        cursor.sql(browse.profile_sql(wanted)).df().sort_values([*browse.ANSWERS]).reset_index(drop=True)
        for wanted in (Wanted(), Wanted(condition="true"))
    )
    assert "label_counts" in browse.profile_sql(Wanted())
    assert "label_counts" not in browse.profile_sql(Wanted(condition="true"))
    pd.testing.assert_frame_equal(counted, scanned)


def test_facets_of_people_are_counted_by_people(cursor):
    profile = cursor.sql(browse.profile_sql(Wanted())).df()
    known = browse.facets_of(["bedlam", "mscoco"])
    counts = facets.count(profile, {"split": ["val"]}, known, "people")
    assert counts["split", "train"] == 19
    assert (counts["source", "bedlam"], counts["source", "mscoco"]) == (9, 0)
    assert counts["has_hands", "has_hands"] == 9


@pytest.mark.parametrize(
    ("choice", "people"),
    [
        ({}, 28),
        ({"source": ["bedlam"]}, 21),
        ({"source": ["bedlam"], "split": ["val"]}, 9),
        ({"split": ["train", "val"], "origin": ["pseudo"]}, 7),
        ({"has_hands": ["has_hands"], "source": ["mscoco", "bedlam"]}, 28),
        ({"has_face": ["has_face"]}, 0),
    ],
)
def test_the_page_shows_whom_the_facets_count(cursor, choice, people):
    assert len(page(cursor, Selection.of(Wanted(), choice))) == people


def test_bounds_and_conditions_hold(cursor):
    wanted = Wanted((("height", 120.0), ("reprojection", 3.0)), "sequence = 'scene_a'")
    rows = page(cursor, Selection(wanted), Order("box_height_px"))
    exact = cursor.sql(
        "SELECT box_height_px FROM people WHERE box_height_px >= 120 AND quality_reprojection_px <= 3 "
        "AND sequence = 'scene_a' ORDER BY 1 DESC"
    ).df()
    assert 0 < len(rows) < 12
    assert rows["value"].tolist() == exact["box_height_px"].tolist()


def test_a_query_may_stand_where_a_condition_stands(cursor):
    wanted = Wanted((), "select person_key from people order by box_height_px desc limit 3 -- the largest\n;")
    assert len(page(cursor, Selection(wanted))) == 3
    assert len(page(cursor, Selection(Wanted((), "split = 'val' -- a remark")))) == 9


def test_orders_are_whole_and_repeatable(cursor):
    keys = cursor.sql("SELECT person_key FROM people").df()["person_key"].tolist()
    first, again, other = (page(cursor, order=Order(seed=seed))["person_key"].tolist() for seed in (1, 1, 2))
    assert first == again != other
    assert sorted(first) == sorted(other) == sorted(keys)
    assert page(cursor, order=Order(CATALOG_ORDER))["person_key"].tolist() == keys
    low = page(cursor, order=Order("quality_distance_m", is_descending=False))["value"]
    assert low.is_monotonic_increasing


def test_errors_of_a_result_choose_and_sort_people(tree):
    with open_catalog(tree.catalog) as connection:
        keys = connection.sql("SELECT person_key FROM people WHERE split = 'val' LIMIT 3").df()["person_key"].tolist()
    table = queries.errors_table(pd.DataFrame({"person_key": keys, "PVE": [5.0, np.nan, 9.0]}), "PVE")
    wanted = Wanted(error="PVE")
    sql = browse.page_sql(Selection(wanted), Order("error"), 1)
    rows = query(tree.catalog, sql, tables={"person_results": table})
    assert wanted.is_free
    assert rows["person_key"].tolist() == [keys[2], keys[0], keys[1]]
    assert rows["value"].tolist()[:2] == [9.0, 5.0]


@pytest.mark.parametrize("condition", ["heigth > 3", "true) or", "1; copy people to '/tmp/x'", "select 1"])
def test_a_condition_that_is_none_is_refused(tree, condition):
    with pytest.raises(QueryError):
        query(tree.catalog, browse.page_sql(Selection(Wanted((), condition)), Order(), 1))


def test_a_selection_becomes_a_mixture_of_the_same_people(tree, cursor):
    wanted = Wanted((("height", 120.0),), "quality_distance_m < 5")
    selection = Selection.of(wanted, {"origin": ["synthetic"], "source": ["bedlam"]})
    known = browse.facets_of(["bedlam", "mscoco"])
    profile = cursor.sql(browse.profile_sql(wanted)).df()
    passing = profile.loc[facets.keep(profile, dict(selection.choice), among=known)]
    mixture = Mixture.model_validate(yaml.safe_load(browse.mixture_yaml("mine", selection, passing)))
    chosen = select_all(mixture, tree.catalog)
    assert {member.split for member in mixture.members} == {"train", "val"}
    assert sum(len(part) for part in chosen) == len(page(cursor, selection)) == passing["people"].sum() > 0


def test_an_export_holds_what_the_page_shows(cursor):
    selection = Selection.of(Wanted(), {"split": ["val"]})
    table = cursor.sql(browse.table_sql(selection, Order("box_height_px"), ["quality_distance_m"])).df()
    assert table["person_key"].tolist() == page(cursor, selection, Order("box_height_px"))["person_key"].tolist()
    assert {"provenance_file", "provenance_row", "quality_distance_m"} <= set(table.columns)


@pytest.fixture(scope="module")
def pair(tree, cursor):
    """Two people as the figures take them."""
    keys = tuple(cursor.sql("SELECT person_key FROM people LIMIT 2").df()["person_key"])
    people = Lookup(tree.catalog).people(keys)
    made = posed.bodies(people)
    return [solid.Shown.of(person, made[person.person_key], "a") for person in people]


def moved(person: solid.Shown, shift: np.ndarray) -> solid.Shown:
    body = posed.Body(person.body.kind, person.body.vertices + shift, person.body.triangles, is_recorded=False)
    return solid.Shown(person.name, body, person.joints + shift)


def test_distances_are_those_of_the_same_vertices(pair):
    other = moved(pair[0], np.array([0.03, 0.0, 0.04]))
    assert fits.difference(pair[0], other, "as they are").distances == pytest.approx(50, abs=1e-6)
    assert fits.difference(pair[0], other, "at the root").distances == pytest.approx(0, abs=1e-6)
    assert fits.difference(pair[0], other, "Procrustes").distances == pytest.approx(0, abs=1e-6)
    near, far = (fits.difference(*pair, alignment).distances.mean() for alignment in ("Procrustes", "as they are"))
    assert near < far


def test_joints_are_compared_where_bodies_differ_in_kind(pair):
    body = posed.Body("smpl", pair[1].body.vertices[:6890], pair[1].body.triangles[:10], is_recorded=False)
    made = fits.difference(pair[0], solid.Shown("b", body, pair[0].joints), "as they are")
    assert made.points == "joints"
    assert made.distances == pytest.approx(0)
    assert fits.difference(solid.Shown("a", None), solid.Shown("b", None), "as they are") is None


@pytest.mark.parametrize(("top", "limit"), [(0.2, 1.0), (9.0, 10.0), (31.0, 40.0), (140.0, 150.0)])
def test_the_scale_ends_at_a_round_number(top, limit):
    assert fits.limit_of(np.full(9, top)) == pytest.approx(limit)


def test_the_ends_of_the_scale_are_those_of_viridis():
    assert solid.paint(np.array([-1.0, 0.0, 10.0, 99.0]), 10.0) * 255 == pytest.approx(
        np.array([[68, 1, 84], [68, 1, 84], [253, 231, 37], [253, 231, 37]])
    )


def test_frames_that_look_alike_are_found_by_their_hash():
    connection = duckdb.connect()
    connection.sql(
        "CREATE TABLE frames AS FROM (VALUES ('a', 's', 7), ('b', 't', 7), ('c', 't', 8)) v(key, shard, image_phash)"
    )
    connection.sql(
        "CREATE TABLE people AS SELECT key || '#0' AS person_key, 'd' AS dataset, 'val' AS split, key, shard, "
        "10 AS width, 20 AS height, 1.0 AS bbox_x0, 2.0 AS bbox_y0, 5.0 AS bbox_x1, 10.0 AS bbox_y1 FROM frames"
    )
    found = queries.same_picture(connection, "a", 7, 10)
    assert found.iloc[0].tolist() == ["b#0", "d", "val", 0.1, 0.1, 0.5, 0.5]
    assert len(found) == 1


def test_the_same_person_elsewhere_is_whose_box_overlaps_most():
    boxes = {"far": [0.6, 0.6, 0.9, 0.9], "near": [0.1, 0.1, 0.5, 0.52], "same": [0.1, 0.1, 0.5, 0.5]}
    alike = pd.DataFrame([[key, *box] for key, box in boxes.items()], columns=["person_key", "x0", "y0", "x1", "y1"])
    assert overlapping(alike, [0.1, 0.1, 0.5, 0.5]) == ["same", "near"]
    assert overlapping(alike.head(0), [0, 0, 1, 1]) == []
