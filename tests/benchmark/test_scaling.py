"""Points and curves of scaling: what a published or measured number tells about how it was trained."""

import numpy as np
import pandas as pd
import pytest

from ehps.benchmark import scaling
from ehps.benchmark.measures import means
from ehps.benchmark.protocol import load_protocol, protocols
from ehps.benchmark.published import load_published
from ehps.benchmark.results import Result, RunFacts, make_result

EPOCHS = {32: 4_500_000, 40: 7_500_000}


@pytest.fixture(scope="module")
def points():
    return scaling.published_points(load_published(), protocols(), EPOCHS)


def result(error: float, version: int | None = None, **facts) -> Result:
    """A result of two people under EHF."""
    protocol = load_protocol("ehf")
    rows = pd.DataFrame({"person_key": ["a#0", "b#0"], "sequence": ["s", "t"], "answered": True, "box_height": 100.0})
    for part in ("body", "left_hand", "right_hand", "face"):
        rows[f"has_{part}"] = True
    for measure in protocol.measures:
        rows[measure] = error
    own = make_result(rows, protocol, RunFacts(model="m", revision="r", shard_fingerprint="0", **facts), hardware="x")
    return own.model_copy(update={"protocol_version": version or own.protocol_version})


def test_a_name_tells_sources_size_and_people(points):
    row = points.loc[(points["method"] == "SMPLer-X-L32") & (points["curve"] == scaling.MPE)].iloc[0]
    assert (row["sources"], row["people"], row["value"], row["parameters"]) == (32, 4.5e6, 66.2, 327e6)
    assert not points["method"].str.contains("finetuned").any()


def test_people_of_published_networks_are_those_of_the_number_of_sources_unless_the_paper_says_so(points):
    by_sources = points.loc[points["sources"] == 40, "people"]
    assert set(by_sources) == {7.5e6}
    without = scaling.published_points(load_published(), protocols(), {})
    assert without.loc[without["sources"] == 40, "people"].isna().all()
    assert 4.5e6 in set(without["people"])  # the read-me names the instances


def test_along_the_size_a_line_is_one_set_of_data_and_along_data_it_is_one_size(points):
    by_size = scaling.along(points, scaling.MPE, "parameters")
    line = by_size.loc[(by_size["line"] == "SMPLer-X, 32 sets") & by_size["where"].str.contains("README")]
    assert line["method"].str[9].tolist()[:3] == ["S", "B", "L"]
    assert line["x"].is_monotonic_increasing
    by_people = scaling.along(points, scaling.MPE, "people")
    assert set(by_people.loc[by_people["line"] == "SMPLer-X-L", "x"]) == {4.5e6, 7.5e6}


def test_a_line_runs_through_the_best_of_each_place():
    table = pd.DataFrame({"line": ["a", "a", "a"], "x": [2.0, 1.0, 2.0], "value": [5.0, 9.0, 4.0]})
    assert scaling.line_through(table)["value"].tolist() == [9, 4]


@pytest.mark.parametrize("axis", scaling.AXES)
def test_mpe_comes_first(points, axis):
    assert scaling.curves_along(points, axis)[0] == scaling.MPE


def test_measured_networks_stand_where_their_results_say():
    own = result(61.0, network_parameters=7, training_people=5, trained_on=("bedlam", "agora"))
    table = scaling.measured_points([own, result(50.0)], protocols())
    pve = table.loc[table["curve"] == "EHF PVE"]
    assert pve["value"].tolist() == [61, 50]
    assert pve.iloc[0][["people", "parameters", "sources", "note"]].tolist() == [5, 7, 2, "bedlam, agora"]
    assert pve.iloc[1][["people", "parameters", "sources"]].isna().all()


def test_results_of_an_older_protocol_do_not_enter():
    table = scaling.measured_points([result(61.0), result(50.0, version=99)], protocols())
    assert set(table["value"]) == {50}


def test_the_table_is_the_best_by_size_and_people_and_leaves_out_who_does_not_tell():
    sizes = ((10, 100, 90.0), (10, 1000, 80.0), (10, 1000, 70.0), (90, 1000, 60.0), (None, 1000, 1.0))
    results = [result(error, network_parameters=size, training_people=people) for size, people, error in sizes]
    points = scaling.measured_points(results, protocols())
    table = scaling.scaling_table(points, scaling.curve_name("ehf", "PVE", protocols()))
    assert (table.index.tolist(), table.columns.tolist()) == ([10, 90], [100, 1000])
    np.testing.assert_array_equal(table.to_numpy(), [[90, 70], [np.nan, 60]])


def test_a_mean_is_measured_where_all_of_its_protocols_are():
    names = means()["MPE"].protocols
    errors = dict(zip(names, (50.0, 60.0, 70.0, 80.0, 100.0), strict=True))
    primary = load_protocol("ehf").primary

    def of(model: str, protocol: str) -> Result:
        own = result(errors[protocol], training_people=7000, network_parameters=10**6)
        measured = {load_protocol(protocol).primary: own.measures[primary]}
        return own.model_copy(
            update={"model": model, "protocol": protocol, "primary": next(iter(measured)), "measures": measured}
        )

    results = [of("whole", name) for name in names] + [of("holes", name) for name in names[:-1]]
    points = scaling.measured_points(results, protocols())
    (row,) = points.loc[points["curve"] == scaling.MPE].to_dict("records")
    assert (row["method"], row["value"], row["people"], row["parameters"]) == ("whole (r)", 72.0, 7000, 10**6)
