"""Protocols and measures: the files that come along, and what a wrong one says."""

from pathlib import Path

import pytest
import yaml

from ehps.benchmark.describe import describe
from ehps.benchmark.measures import Measure, get_measure, lower_is_better, means, measures
from ehps.benchmark.protocol import PROTOCOL_DIR, load_protocol, protocols, published_test_sets
from ehps.cards import card_ids, load_card
from ehps.errors import ProtocolError, UnknownNameError

KNOWN = protocols()
WITH_CARD = [protocol for protocol in KNOWN.values() if protocol.dataset in card_ids()]


@pytest.fixture
def edited(tmp_path):
    """Write the EHF protocol with some fields changed or, where the value is None, left out."""

    def write(**changes) -> Path:
        fields = yaml.safe_load((PROTOCOL_DIR / "ehf.yaml").read_text()) | changes
        path = tmp_path / "ehf.yaml"
        path.write_text(yaml.safe_dump({name: value for name, value in fields.items() if value is not None}))
        return path

    return write


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_the_protocols_that_come_along_are_sound(name):
    protocol = load_protocol(name)
    assert protocol == KNOWN[name]
    assert protocol.citation
    assert [measure.name for measure in protocol.measure_objects] == list(protocol.measures)


def test_a_protocol_is_told_in_plain_words():
    text = describe(load_protocol("bedlam_val"))
    assert "Who: every person of bedlam val." in text
    assert "smplx, neutral, 11 betas" in text
    assert "the headline is PVE" in text
    assert "Boxes come from the ground truth and are enlarged 1.2 times." in text
    assert "People without a prediction are counted" in text
    assert "Who: every person of ehf test." in describe(load_protocol("ehf"))


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_every_protocol_can_be_told(name):
    text = describe(load_protocol(name))
    assert f"({name}, version " in text
    assert "{" not in text
    assert all(line.strip() for line in text.splitlines())


def test_the_habits_of_published_evaluations_are_told():
    words = {
        "pw3d_h36m14": "become SMPL meshes by the matrix of smplx2smpl.pkl",
        "pw3d_lsp14_smplreg": "rows 1, 2, 4, 5, 7, 8, 12, 15 and 16 to 21 of each body's own J_regressor",
        "emdb1": "Motion is measured over neighbouring pictures of a track",
        "agora_val_official": "meet at the midpoint of the hips",
        "ubody_intra": "only those whose truth lies inside the picture are averaged",
        "agora_val": "every person of agora val, without children.",
        "agora_test": "hands and faces of the missed count with an error of zero (the owner's habit)",
        "freihand_eval": "with labels of right_hand",
        "interhand26m_test": "a joint that is not labelled does not count",
        "pw3d_challenge": "Body joints come from SMPL's kinematic tree, all 24, those of a mesh alone from the neutral",
        "agora_val_everyone": "every person of agora val.",
        "rich_test": "all 24 rows of SMPL's J_regressor",
        "pw3d_lsp14_smplx2smpl": "The pelvis of a converted mesh is that of the SMPL-X mesh",
    }
    for name, expected in words.items():
        assert expected in describe(load_protocol(name)), name


@pytest.mark.parametrize("protocol", WITH_CARD, ids=lambda own: own.id)
def test_the_card_names_the_split_exactly_when_its_labels_can_be_had(protocol):
    is_hidden = protocol.ground_truth == "hidden"
    assert (protocol.split in load_card(protocol.dataset).splits) != is_hidden
    assert ("whose labels nobody else has" in describe(protocol)) == is_hidden


def test_the_two_14_joint_variants_of_3dpw_stay_apart():
    known = KNOWN
    ours, theirs = known["pw3d_lsp14_smplreg"], known["pw3d_h36m14"]
    assert (ours.dataset, ours.split) == (theirs.dataset, theirs.split)
    assert ours.regressors != theirs.regressors
    assert published_test_sets(known)["3DPW", "SAM 3D Body"] == "pw3d_h36m14"
    assert published_test_sets(known)["3DPW", "SMPLer-X"] == "pw3d_lsp14_smplreg"
    assert ("3DPW", None) not in published_test_sets(known)


def test_penalties_and_detectors_are_told_too(edited):
    protocol = load_protocol(
        edited(
            boxes={"source": "detector", "detector": "yolo_x", "padding": 1.1},
            missing={"rule": "penalise", "max_error": {"all": 400, "body": 300, "hands": 200, "face": 100}},
        )
    )
    text = describe(protocol)
    assert "the detector yolo_x" in text
    assert "count with an error of 400 mm (all), 300 mm (body), 200 mm (hands), 100 mm (face)." in text


def test_a_missing_person_costs_by_the_part_of_the_measure():
    costs = load_protocol("ehf").missing.max_error
    assert [costs.of(get_measure(name)) for name in ("PVE", "MPJPE@body", "PVE@left_hand", "PA-PVE@face")] == [
        *(500, 500, 200, 200)
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"primary": "PVE@hands", "measures": ["PVE"]}, "primary PVE@hands is not among the measures PVE"),
        ({"measures": ["PVE", "PVE"]}, "measures names one twice"),
        ({"measures": ["PVE", "PVE@hand"]}, "no measure called 'PVE@hand'; did you mean PVE@hands"),
        ({"stride": 0}, "stride: input should be greater than 0, found 0"),
        ({"split": "validation"}, "split: input should be 'train', 'val' or 'test', found 'validation'"),
        ({"version": None}, "version: field required"),
        ({"colour": "red"}, "colour: extra inputs are not permitted, found 'red'"),
        ({"ground_truth": "parameters"}, "gendering is none exactly when the ground truth is not posed"),
        ({"measures": ["PVE", "ACC"], "stride": 2}, "measures of motion need every picture, found stride 2"),
        ({"measures": ["PVE", "MPJAE"]}, "measures of angles need a posed truth (parameters), found vertices"),
        ({"regressors": {"body": "kinematic_24"}}, "kinematic_24 needs a posed truth of SMPL"),
        ({"regressors": {"converted_root": "smplx"}}, "converted_root is for meshes that are converted"),
        ({"ground_truth": "hidden"}, "a hidden ground truth needs a submission format"),
        ({"boxes": {"source": "detector", "padding": 1}}, "detector must be named exactly when source is detector"),
        ({"id": "other"}, "the id should be 'ehf' as the file, found 'other'"),
    ],
)
def test_a_wrong_protocol_names_file_field_and_value(edited, changes, message):
    path = edited(**changes)
    with pytest.raises(ProtocolError) as caught:
        load_protocol(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_an_unknown_protocol_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean bedlam_val"):
        load_protocol("bedlam-val")


def test_an_absent_or_broken_file_says_so(tmp_path):
    with pytest.raises(ProtocolError, match="cannot be read"):
        load_protocol(tmp_path / "no.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("id: [")
    with pytest.raises(ProtocolError, match="is not YAML"):
        load_protocol(str(broken))


def test_papers_names_of_test_sets_lead_to_protocols():
    found = published_test_sets(KNOWN)
    assert found["EHF", None] == "ehf"
    assert found["BEDLAM-val", None] == "bedlam_val"


def test_names_and_meanings_of_measures_are_unique():
    for field in ("name", "display_name", "description"):
        values = [getattr(measure, field) for measure in measures().values()]
        assert len(set(values)) == len(values)


def test_a_measures_name_follows_from_what_it_is():
    for measure in (own for own in measures().values() if own.family == "distance"):
        assert measure.name.startswith("PA-") == (measure.alignment in ("similarity", "freihand"))
        assert ("PVE" in measure.name) == ("vertices" in measure.points)
        assert measure.part in measure.name or measure.part == "all"
        assert lower_is_better(measure.name)


def test_a_malformed_measure_is_refused():
    fields = get_measure("PVE").model_dump()
    with pytest.raises(ValueError, match="pattern"):
        Measure(**(fields | {"name": "PVE hands"}))


def test_the_mean_primary_error_is_over_five_benchmarks_and_ours_is_one_of_them():
    mean = means()["MPE"]
    assert len(mean.protocols) == 5
    assert "ehf" in mean.protocols
    assert lower_is_better("MPE")
