"""What studies find out: ranks, MPE where it is complete, errors by size, gains of finetuning."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ehps.benchmark.measures import means
from ehps.benchmark.protocol import load_protocol
from ehps.benchmark.results import RunFacts, make_result, write_result
from ehps.studies.declaration import ScalingStudy
from ehps.studies.printing import printed
from ehps.studies.runs import Run
from ehps.studies.standing import Standing
from ehps.studies.tables import gains, ranked_by, size_tables, study_matrix

FIVE = means()["MPE"].protocols


def write(results, model, protocol_name, error, **facts):
    """Write the result of one person with one error in every measure."""
    protocol = load_protocol(protocol_name)
    row = {"person_key": "p", "sequence": "s", "answered": True, "box_height": 100.0}
    row |= {f"has_{part}": True for part in ("body", "left_hand", "right_hand", "face")}
    people = pd.DataFrame([row | dict.fromkeys(protocol.measures, error)])
    said = RunFacts(model=model, revision="step-1", shard_fingerprint="f", study="s", **facts)
    write_result(make_result(people, protocol, said), people, results)


def standing(name, scored):
    """A run that is scored under some protocols."""
    run = Run(name=name, model=f"s-{name}", revision="step-1", checkpoint=Path("x"))
    return Standing(run=run, path=Path(name), step=0, people=None, scored=tuple(scored))


@pytest.fixture
def study(tmp_path):
    return ScalingStudy(name="s", catalog="d", results=tmp_path, protocols=FIVE, recipe="demo")


def test_rank_is_mpe_and_who_lacks_a_protocol_has_none(study, tmp_path):
    for number, protocol in enumerate(FIVE):
        write(tmp_path, "s-middling", protocol, 100.0 + number)
        write(tmp_path, "s-good", protocol, 50.0 + number)
        if number:
            write(tmp_path, "s-partly", protocol, 10.0)
    write(tmp_path, "s-stranger", "ehf", 1.0)
    runs = [standing("middling", FIVE), standing("partly", FIVE[1:]), standing("good", FIVE)]
    matrix = study_matrix(study, runs)
    assert list(matrix.values.index) == ["good", "middling", "partly"]
    assert list(matrix.values["MPE", "MPE"].iloc[:2]) == [52.0, 102.0]
    assert np.isnan(matrix.values.loc["partly", ("MPE", "MPE")])
    assert matrix.holes.loc["partly", ("MPE", "MPE")] == "4/5"
    assert ranked_by(matrix) == "ranked by MPE"


def test_without_any_mpe_rows_go_by_the_mean_of_what_all_have(study, tmp_path):
    for name, error in (("worse", 90.0), ("better", 80.0)):
        for protocol in ("ehf", "agora_val"):
            write(tmp_path, f"s-{name}", protocol, error)
    two = study.model_copy(update={"protocols": ("ehf", "agora_val")})
    runs = [standing(name, two.protocols) for name in ("worse", "better")]
    matrix = study_matrix(two, runs)
    assert list(matrix.values.index) == ["better", "worse"]
    assert ranked_by(matrix).startswith("ranked by the mean over ehf, agora_val; nobody")
    for form, sign in {
        "text": "better  ",
        "markdown": "| better |",
        "csv": "better,80.0",
        "latex": "better & ",
    }.items():
        assert sign in printed(two, runs, form)
    assert printed(two, runs, "json").count("\n") == 2 * sum(
        len(load_protocol(name).measures) for name in two.protocols
    )


def test_a_result_that_does_not_stand_is_not_shown(study, tmp_path):
    write(tmp_path, "s-old", "ehf", 5.0)
    assert printed(study, [standing("old", ())]) == "nothing is scored yet\n"


def test_errors_by_size_have_a_table_a_protocol_and_one_of_mpe(study, tmp_path):
    sizes = {"small": (1000, 50.0), "large": (9000, 40.0)}
    for name, (parameters, error) in sizes.items():
        for protocol in FIVE:
            write(tmp_path, f"s-{name}", protocol, error, network_parameters=parameters, training_people=70)
    tables = size_tables(study, [standing(name, FIVE) for name in sizes])
    assert list(tables) == ["agora_val PVE", *(key for key in tables if key not in ("agora_val PVE", "MPE")), "MPE"]
    assert tables["MPE"].to_dict() == {70: {1000: 50.0, 9000: 40.0}}
    text = printed(study, [standing(name, FIVE) for name in sizes])
    assert "MPE\n\nparameters" in text
    assert "70 people" in text


def test_gains_are_after_minus_before_where_both_are_measured(study, tmp_path):
    write(tmp_path, "s-generalist", "ehf", 70.0)
    write(tmp_path, "s-agora", "ehf", 64.5)
    write(tmp_path, "s-agora", "agora_val", 1.0)
    runs = [standing("generalist", ["ehf"]), standing("agora", ["ehf", "agora_val"])]
    (row,) = gains(study_matrix(study, runs)).to_dict("records")
    words = {"target": "agora", "protocol": "ehf", "measure": "PVE"}
    assert row == words | {"before": 70.0, "after": 64.5, "change": -5.5}
