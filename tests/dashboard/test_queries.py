"""What the dashboard asks the catalog, and the tables that it makes of cards, results and log files."""

import json
import os

import duckdb
import numpy as np
import pandas as pd
import pytest

from ehps.benchmark.protocol import protocols
from ehps.benchmark.results import load_results
from ehps.cards import card_ids, the_forty
from ehps.dashboard import board, facets, health, inventory, people, queries
from ehps.dashboard.lookup import Lookup
from ehps.dashboard.plaintext import plain
from ehps.shards.catalog import open_catalog, partitions_of


@pytest.fixture(scope="module")
def cursor(tree):
    with open_catalog(tree.catalog) as connection:
        yield connection.cursor()


def test_totals_and_splits_agree(cursor):
    total = queries.totals(cursor).iloc[0]
    assert (total["datasets"], total["units"], total["frames"]) == (2, 3, 19)
    assert (total["people"], total["rejected"]) == (28, 15)
    rows = queries.by_dataset(cursor).set_index("dataset")
    assert rows["people"].sum() == total["people"]
    assert list(rows.loc["bedlam", "done_splits"]) == ["train", "val"]
    splits = queries.by_split(cursor, "bedlam").set_index("split")
    assert splits.loc["train", "frames"] == 8
    assert splits.loc["val", "people"] == 9
    assert (splits["sequences"] == 1).all()


def test_the_catalog_cannot_be_written(cursor):
    with pytest.raises(duckdb.Error, match=r"(?i)read-only"):
        cursor.execute("DELETE FROM ehps.shards")


def test_labels_are_shares_of_people(cursor):
    shares = queries.label_shares(cursor, "mscoco").set_index("part")
    assert shares.loc["body", "origin"] == "pseudo"
    assert shares.loc["keypoints_2d", "origin"] == "measured"
    assert (shares["share"] == 1).all()
    assert "face" not in shares.index


def test_rejects_are_counted_by_reason_and_named(cursor):
    reasons = queries.rejects_by_reason(cursor, "bedlam").set_index("reason")
    assert reasons["people"].to_dict() == {"missing_image": 6, "empty_box": 4}
    examples = queries.reject_examples(cursor, "bedlam", "empty_box", 3)
    assert len(examples) == 3
    assert set(examples["provenance_file"]) == {"labels.npz"}


def test_a_seed_draws_the_same_frames_and_another_seed_draws_others(cursor):
    first = queries.sample_frames(cursor, "bedlam", 0, 6)["key"].tolist()
    assert first == queries.sample_frames(cursor, "bedlam", 0, 6)["key"].tolist()
    assert set(first) != set(queries.sample_frames(cursor, "bedlam", 1, 6)["key"])
    assert all(key.startswith("bedlam-") for key in first)


def test_drawn_people_are_people_of_their_source(cursor):
    rows = queries.sample_people(cursor, "bedlam", 0, 100)
    known = cursor.sql("SELECT person_key FROM people WHERE dataset = 'bedlam'").df()["person_key"]
    assert len(rows) == 21
    assert set(rows["person_key"]) == set(known)


def test_unknown_people_are_not_found(tree, cursor):
    known = queries.sample_people(cursor, "mscoco", 0, 1)["person_key"].iloc[0]
    lookup = Lookup(tree.catalog)
    found = lookup.find(known)
    assert found is not None
    assert (found.person.person_key, found.shard.dataset) == (known, "mscoco")
    assert lookup.find("nobody#0") is None
    assert lookup.find("nobody") is None
    assert [person.person_key for person in lookup.people((known, "nobody#0"))] == [known]


def test_everyone_is_found_in_the_shard_they_lie_in(tree, cursor):
    lookup = Lookup(tree.catalog)
    for key, shard in cursor.sql("SELECT person_key, shard FROM people").fetchall():
        found = lookup.find(key)
        assert found is not None
        assert found.person.person_key == key
        assert found.shard.path.endswith(shard)


def test_a_person_costs_the_bytes_of_the_picture_and_the_labels(cursor):
    found = queries.person_bytes(cursor).set_index(["dataset", "split"])["bytes"]
    frames = cursor.sql("SELECT split, num_people, image_size + rows_size AS size FROM frames").df()
    mine = frames.loc[frames["split"] == "val"]
    assert len(found) == 3
    assert found["bedlam", "val"] == pytest.approx(np.average(mine["size"], weights=mine["num_people"]))


def test_people_are_found_by_the_partitions_that_a_connection_reads(tree, cursor):
    partitions = partitions_of(cursor, tree.catalog)
    assert [(p.dataset, p.split, p.people) for p in partitions] == [
        ("bedlam", "train", 12), ("bedlam", "val", 9), ("mscoco", "train", 7),
    ]  # fmt: skip
    assert Lookup(tree.catalog, partitions[2:]).find("bedlam-val-scene_b-000001#0") is None
    found = Lookup(tree.catalog, partitions[1:]).find("bedlam-val-scene_b-000001#0")
    assert found is not None
    assert found.person.person_key == "bedlam-val-scene_b-000001#0"


@pytest.mark.parametrize("variable", queries.VARIABLES)
def test_a_histogram_gives_shares_of_this_source_and_of_all_others_in_the_same_bins(cursor, variable):
    bins = queries.histogram(cursor, "bedlam", variable)
    assert bins.groupby("is_this")["share"].sum().to_dict() == pytest.approx({True: 1, False: 1})
    assert bins.groupby("is_this")["people"].sum().to_dict() == {True: 21, False: 7}
    widths = bins["high"] - bins["low"]
    assert widths.to_numpy() == pytest.approx(widths.iloc[0])


def test_the_fingerprint_of_a_file_changes_when_it_is_replaced(tmp_path):
    path = tmp_path / "catalog.duckdb"
    assert queries.file_fingerprint([path]) == ""
    path.write_text("a", encoding="utf-8")
    first = queries.file_fingerprint([path])
    other = tmp_path / "other"
    other.write_text("b", encoding="utf-8")
    os.utime(other, ns=(path.stat().st_mtime_ns, path.stat().st_mtime_ns))
    other.replace(path)
    assert queries.file_fingerprint([path]) not in ("", first)


def test_a_source_with_a_newer_converter_is_stale_and_one_with_a_split_to_come_is_partly_converted(cursor, monkeypatch):
    cards, counts = inventory.card_table(), queries.by_dataset(cursor)
    states = inventory.join_catalog(cards, counts).set_index("id")["state"]
    assert (states["bedlam"], states["mscoco"], states["ehf"]) == ("converted", "partly", "absent")
    monkeypatch.setattr(inventory, "converter_version", lambda _: 99)
    assert inventory.join_catalog(cards, counts).set_index("id")["state"]["bedlam"] == "stale"


def test_a_source_without_a_card_is_listed(cursor):
    counts = queries.by_dataset(cursor).replace({"dataset": {"mscoco": "my_own"}})
    table = inventory.join_catalog(inventory.card_table(), counts).set_index("id")
    assert table.loc["my_own", "people"] == 7
    assert not table.loc["my_own", "is_commercial"]


def test_the_version_of_a_converter_is_read_from_its_file():
    from ehps.converters import get_converter

    assert inventory.converter_version("mscoco") == get_converter("mscoco").VERSION
    assert inventory.converter_version("nothing") is None


def sources() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "state": ["absent", "converted", "absent", "stale"],
            "kind": ["mocap", "mocap", "pseudo", "scan"],
            "scene": ["indoor", "studio", "indoor", "indoor"],
            "body_model": ["smplx"] * 4,
            "search_text": ["alpha cat", "beta cat", "gamma dog", "delta"],
            "mix": ["5", "", "40", ""],
            **{name: [True, False, True, False] for f in facets.FACETS if f.column is None for name in f.options},
        }
    )


def test_options_of_a_facet_widen_and_facets_narrow():
    table = sources()
    assert facets.keep(table, {"kind": ["mocap", "pseudo"]}).tolist() == [True, True, True, False]
    assert facets.keep(table, {"kind": ["mocap", "pseudo"], "has_face": ["has_face"]}).tolist() == [
        True,
        False,
        True,
        False,
    ]


def test_a_count_says_what_remains_if_that_option_alone_is_chosen():
    counts = facets.count(sources(), {"kind": ["mocap"]})
    assert (counts["kind", "mocap"], counts["kind", "pseudo"], counts["kind", "synthetic"]) == (2, 1, 0)
    assert (counts["scene", "indoor"], counts["scene", "studio"]) == (1, 1)


def test_every_word_of_a_search_must_occur():
    assert facets.search(sources(), "CAT beta").tolist() == [False, True, False, False]


def test_the_sources_of_the_paper_without_a_card_are_planned():
    table = inventory.with_planned(inventory.join_catalog(inventory.card_table(), inventory.no_counts()))
    planned = table.loc[table["state"] == inventory.PLANNED]
    assert set(planned["id"]) == set(the_forty()) - set(card_ids())
    assert table["id"].is_unique
    assert set(table["mix"]) <= {"", "5", "10", "20", "32", "40"}
    kept = facets.keep(table, {"state": [inventory.PLANNED], "mix": ["40"]})
    assert set(table.loc[kept, "id"]) == {m.id for m in the_forty().values() if m.mix == 40} - set(card_ids())


def write_state(out, dataset, unit, state, updated, error=""):
    folder = out / ".log" / f"{dataset}-train"
    folder.mkdir(parents=True, exist_ok=True)
    values = {"state": state, "frames": 5, "people": 7, "rejected": 0, "updated": updated, "error": error}
    (folder / f"{unit}.json").write_text(json.dumps(values), encoding="utf-8")


def test_units_that_failed_run_or_stopped_are_told_apart(tmp_path):
    write_state(tmp_path, "a", "one", "failed", 1000.0, "the file is not there")
    write_state(tmp_path, "b", "one", "done", 1000.0)
    write_state(tmp_path, "b", "two", "running", 1000.0)
    write_state(tmp_path, "c", "one", "queued", 0.0)
    live = health.live_units(tmp_path)
    none = inventory.join_catalog(inventory.card_table(), inventory.no_counts())
    found = {finding.dataset: finding for finding in health.findings(none, live, tmp_path, 0, now=1010.0)}
    assert found["a"].level == "error"
    assert "the file is not there" in found["a"].text
    assert (found["b"].level, found["b"].text) == ("running", "train: 1 of 2 units done, 14 people so far")
    assert found["c"].level == "warning"
    assert health.unfinished_datasets(live) == {"a", "b", "c"}


def test_units_on_the_disk_that_the_catalog_lacks_are_noticed(tree):
    assert health.uncatalogued_units(tree.catalog, 3) == 0
    assert health.uncatalogued_units(tree.catalog, 2) == 1


def test_a_curve_of_errors_counts_the_missing_and_so_stays_below_one():
    curve = people.error_curve(pd.DataFrame({"PVE": [30.0, np.nan, 10.0, 20.0]}), "PVE", asked=4)
    assert curve["error"].tolist() == [10, 20, 30]
    assert curve["share"].tolist() == [0.25, 0.5, 0.75]
    assert people.error_curve(pd.DataFrame({"PVE": [np.nan]}), "PVE", asked=1).empty


def test_the_worst_people_come_first_and_the_missing_not_at_all():
    table = pd.DataFrame({"person_key": ["a", "b", "c"], "PVE": [1.0, np.nan, 3.0]})
    assert people.worst_people(table, "PVE", 5)["person_key"].tolist() == ["c", "a"]


def test_errors_over_a_factor_fall_into_bins_of_equal_size():
    table = pd.DataFrame({"PVE": np.arange(100.0), "box_height": np.arange(100.0)})
    bins = people.error_by_factor(table, "PVE", "box_height", bins=4)
    assert bins["people"].tolist() == [25] * 4
    assert bins["median"].is_monotonic_increasing
    assert people.error_by_factor(table.assign(box_height=1.0), "PVE", "box_height").empty


@pytest.fixture
def results(tree):
    return load_results(tree.results)


def test_headings_of_the_matrix_are_unique_though_measures_repeat(results):
    face = board.face_of(board.matrix_of(results, "PVE", None, protocols()), "absolute", protocols())
    lower = [heading for _, heading in face.numbers.columns]
    assert len(set(lower)) == len(lower) == len(face.columns)
    assert {measure.partition("@")[0] for _, measure in face.columns.values()} >= {"PVE", "MPE-hands"}


def test_the_best_is_bold_the_second_underlined_and_marks_follow(results):
    face = board.face_of(board.matrix_of(results, board.PRIMARY, None, protocols()), "absolute", protocols())
    ehf = next(column for column in face.texts.columns if column[0] == "EHF")
    assert "font-weight: 700" in face.styles.loc["alpha", ehf]
    assert "0,114,178" in face.styles.loc["alpha", ehf]
    assert "213,94,0" in face.styles.loc["beta", ehf]
    assert "\N{COMBINING LOW LINE}" in face.texts.loc["beta", ehf]
    assert face.texts.loc["beta", ehf].endswith("\N{DAGGER}")


def test_numbers_may_be_shown_relative_to_the_best():
    values = pd.DataFrame({("p", "PVE"): [50.0, 40.0, np.nan]}, index=["a", "b", "c"])
    values.columns = pd.MultiIndex.from_tuples(values.columns)
    assert board.relative(values, "difference").iloc[:2, 0].tolist() == [10, 0]
    assert board.relative(values, "% of best").iloc[:2, 0].tolist() == [125, 100]
    assert board.relative(values, "rank").iloc[:2, 0].tolist() == [2, 1]


def test_the_best_models_stand_beside_the_best_published_number(results):
    published = pd.DataFrame(
        {
            "protocol": ["ehf", "ehf", "ehf"],
            "measure": ["PVE", "PVE", "PVE@hands"],
            "kind": ["published", "reproduction", "published"],
            "method": ["X", "Y", "Z"],
            "paper": ["P", "Q", "R"],
            "value": [50.0, 40.0, 1.0],
        }
    )
    row = board.best_by_protocol(results, published, protocols()).set_index("protocol").loc["EHF"]
    assert (row["best"], row["models"]) == ("alpha", 2)
    assert (row["published"], row["method"]) == (50.0, "X (P)")


def test_published_names_are_found_despite_case_and_punctuation():
    assert board.published_names(["smplest_x_h", "mine"], ["SMPLest-X-H", "Other"]) == {"smplest_x_h": "SMPLest-X-H"}


def test_other_peoples_words_stay_words():
    assert plain("a_b *c* [x](y) :red[z] $1$") == r"a\_b \*c\* \[x\](y) \:red\[z\] \$1\$"
    assert plain("see https://a.b/c_d (e_f)") == r"see https://a.b/c_d (e\_f)"
