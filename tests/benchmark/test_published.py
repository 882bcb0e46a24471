"""Published numbers: every one has a source, and those that are ours to compare lead to a protocol and a measure."""

import pytest

from ehps.benchmark.measures import measures
from ehps.benchmark.protocol import protocols
from ehps.benchmark.published import PUBLISHED_PATH, load_published, our_measure, read_published
from ehps.errors import ProtocolError


def test_every_number_has_a_source_a_table_and_a_method():
    numbers = read_published()
    assert len(numbers) > 700
    for number in numbers:
        assert number.source.strip()
        assert number.table.strip()
        assert number.method.strip()


def test_no_number_is_there_twice():
    table = load_published()
    assert not table.duplicated(["paper", "table", "method", "train_set", "test_set", "metric", "part"]).any()


def test_the_file_is_small_and_plain():
    data = PUBLISHED_PATH.read_bytes()
    assert len(data) < 512 * 1024
    assert data.isascii()
    assert b"\r" not in data


def test_distances_are_in_millimetres_and_shares_have_no_unit():
    table = load_published()
    assert set(table["unit"]) == {"mm", ""}
    assert (table.loc[table["metric"] == "F1", "unit"] == "").all()
    assert (table.loc[table["metric"] == "PVE", "unit"] == "mm").all()


def test_a_number_of_ehf_leads_to_our_protocol_and_measure():
    table = load_published()
    found = table[(table["method"] == "AiOS") & (table["test_set"] == "EHF") & (table["metric"] == "PVE")]
    assert set(found["protocol"]) == {"ehf"}
    assert dict(zip(found["part"], found["measure"], strict=True)) == {
        "all": "PVE",
        "hands": "PVE@hands",
        "face": "PVE@face",
    }
    assert found.loc[found["part"] == "all", "value"].tolist() == [45.4]


def test_columns_of_agora_for_parts_are_not_its_columns_for_whole_bodies():
    table = load_published()
    found = table[(table["method"] == "AiOS") & (table["protocol"] == "agora_test") & (table["metric"] == "NMVE")]
    assert dict(zip(found["part"], found["measure"].fillna(""), strict=True)) == {"all": "NMVE", "body": ""}
    named = table.dropna(subset=["protocol", "measure"])
    columns = ["method", "paper", "table", "train_set", "protocol", "measure", "source"]
    assert not named.duplicated(columns).any()


def test_only_known_protocols_and_measures_are_named():
    table = load_published()
    assert set(table["protocol"].dropna()) <= set(protocols())
    assert set(table["measure"].dropna()) <= set(measures())
    assert set(table.loc[table["test_set"] == "AGORA-test", "protocol"]) == {"agora_test"}
    # MPJPE of 3DPW is of the 14 joints that a paper means, and of nobody knows which in others.
    pw3d = (
        table[table["test_set"] == "3DPW"].groupby("paper")["protocol"].agg(lambda own: own.dropna().unique().tolist())
    )
    assert pw3d["SAM 3D Body"] == ["pw3d_h36m14"]
    assert pw3d["SMPLer-X"] == ["pw3d_lsp14_smplreg"]
    assert pw3d["PEAR"] == []


def test_numbers_of_agora_val_belong_to_whoever_was_asked_and_matched():
    """AiOS publishes the owner's evaluation, of 22 joints of matched people; Hand4Whole++ keeps children."""
    table = load_published()
    aios = table[(table["paper"] == "AiOS") & (table["test_set"] == "AGORA-val")]
    assert set(aios["protocol"]) == {"agora_val_official"}
    named = aios.dropna(subset=["measure"])
    assert dict(zip(named["measure"], named["value"], strict=True)) == {"PVE@body": 60.9, "MPJPE@body22": 58.9}
    assert set(table.loc[table["protocol"] == "agora_val_everyone", "paper"]) == {"Hand4Whole++"}
    assert "agora_val" not in set(table["protocol"])
    # Another truth, other cameras, or an alignment of its own.
    elsewhere = table[table["test_set"].isin(["ARCTIC", "InterHand2.6M"])]
    assert elsewhere["protocol"].isna().all()


def test_a_measure_is_one_of_the_protocols_own():
    table, known = load_published(), protocols()
    for row in table.dropna(subset=["protocol", "measure"]).to_dict("records"):
        assert row["measure"] in known[row["protocol"]].measures, row
    found = table[(table["test_set"] == "FreiHAND") & (table["metric"] == "PA-MPJPE")]
    assert set(found["measure"]) == {"PA-MPJPE@right_hand21-freihand"}
    found = table[(table["test_set"] == "RICH") & (table["metric"] == "MPJPE")]
    assert set(found["measure"]) == {"MPJPE@body24"}


def test_a_users_rerun_is_not_a_published_value():
    table = load_published()
    reruns = table[table["kind"] == "reproduction"]
    assert len(reruns) == 12
    assert reruns["note"].str.contains("NOT a published value").all()


@pytest.mark.parametrize(
    ("metric", "part", "name"),
    [
        ("MPVPE", "all", "PVE"),
        ("PA-PVE", "lhand", "PA-PVE@left_hand"),
        ("PA-MPJPE", "hands", "PA-MPJPE@hands21"),
        ("PA-MPJPE", "body", "PA-MPJPE@body"),
        ("NMVE", "body", None),
        ("Accel", "body", None),
    ],
)
def test_a_metric_of_the_papers_has_one_name_here(metric, part, name):
    assert our_measure(metric, part) == name


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("A,T1,M,,,EHF,PVE,all,x,,s", "line 2: value_mm: input should be a valid number.*found 'x'"),
        ("A,T1,M,,,EHF,PVE,toes,1,,s", "line 2: part: input should be .*found 'toes'"),
        ("A,T1,M,,,EHF,PVE,all,1,,", "line 2: source: string should have at least 1 character"),
        ("A,T1,M,,,EHF,PVE,all,-1,,s", "line 2: value_mm: input should be greater than or equal to 0"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, line, message):
    path = tmp_path / "published.csv"
    header = "paper,table,method,backbone,train_set,test_set,metric,part,value_mm,note,source"
    path.write_text(f"{header}\n{line}\n")
    with pytest.raises(ProtocolError, match=message):
        read_published(path)
