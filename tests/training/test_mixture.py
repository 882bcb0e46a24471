"""Mixtures: files, plans and the order that they give."""

import numpy as np
import pytest
import yaml

from ehps.errors import CardError, QueryError, RecipeError, UnknownNameError
from ehps.training.mixture import Member, Mixture, load_mixture, mix, mixture_names, plan
from ehps.training.order import ReleasedBalance

BEDLAM, EHF = Member(dataset="bedlam"), Member(dataset="ehf", split="test")
AGORA = Member(dataset="agora")


def mixture(*members, strategy="concat", **options):
    return Mixture(name="m", about="test", strategy=strategy, members=members or (BEDLAM, EHF), **options)


def write(tmp_path, **content):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"about": "a", "strategy": "concat"} | content))
    return path


@pytest.mark.parametrize("name", mixture_names())
def test_every_mixture_of_ehps_is_valid(name):
    assert load_mixture(name).name == name


def test_a_wrong_name_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean five"):
        load_mixture("fiv")


def test_a_file_of_the_user_is_read_by_its_path(tmp_path):
    read = load_mixture(write(tmp_path, members=[{"dataset": "bedlam", "stride": 5}]))
    assert (read.name, read.members[0].stride, read.members[0].split) == ("mine", 5, "train")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({"members": []}, "members"),
        ({"members": [{"dataset": "a"}, {"dataset": "a"}]}, "two members are called 'a'"),
        ({"members": [{"dataset": "a", "weight": 2}]}, "weights belong to the strategy 'weighted'"),
        ({"members": [{"dataset": "a"}], "temperature": 2}, "temperature belongs to"),
        ({"members": [{"dataset": "a", "wieght": 2}]}, "members.0.wieght"),
        ({"members": [{"dataset": "a", "split": "training"}]}, "members.0.split"),
    ],
)
def test_an_impossible_mixture_names_what_is_wrong(tmp_path, content, complaint):
    with pytest.raises(CardError, match=complaint):
        load_mixture(write(tmp_path, **content))


def test_a_plan_counts_people_shares_and_labels(converted):
    found = plan(mixture(epoch_length=340), converted)
    bedlam, ehf = found.members
    assert (bedlam.people, ehf.people, ehf.num_without_box) == (12, 5, 1)
    assert (bedlam.people_per_epoch, ehf.people_per_epoch) == (240, 100)
    assert bedlam.passes_per_epoch == ehf.passes_per_epoch == 20
    assert (bedlam.num_labelled["left_hand"], ehf.num_labelled["left_hand"]) == (12, 0)
    assert ehf.num_labelled["body"] == 5
    assert bedlam.is_commercial is False
    assert any("1 people of ehf have no box" in problem for problem in found.problems)


def test_strategies_give_their_shares(converted):
    def shares(**options):
        return [round(row.share, 4) for row in plan(mixture(**options), converted).members]

    assert shares(strategy="concat") == [round(12 / 17, 4), round(5 / 17, 4)]
    assert shares(strategy="balance") == [0.5, 0.5]
    root = 12**0.5 / (12**0.5 + 5**0.5)
    assert shares(strategy="temperature", temperature=2.0) == [round(root, 4), round(1 - root, 4)]
    weighted = mixture(BEDLAM, Member(dataset="ehf", split="test", weight=3), strategy="weighted")
    assert [row.share for row in plan(weighted, converted).members] == [0.25, 0.75]


def test_conditions_and_strides_choose_people(converted):
    half = Member(dataset="bedlam", where="frame_key < '0006'")
    third = Member(dataset="bedlam", name="third", stride=3)
    rows = plan(mixture(half, third), converted).members
    assert [row.people for row in rows] == [6, 4]
    mixed = mix(mixture(third), converted)
    assert np.diff(mixed.person_ids[0]).tolist() == [3, 3, 3]


def test_a_condition_that_is_no_sql_says_so(converted):
    with pytest.raises(QueryError, match="hight"):
        plan(mixture(Member(dataset="bedlam", where="hight > 3")), converted)


def test_a_missing_source_is_said_clearly_when_planned(converted):
    found = plan(load_mixture("five"), converted)
    missing = [row.dataset for row in found.members if row.is_missing]
    assert missing == ["mscoco", "agora", "spec", "gta_human2"]
    assert "missing: nobody of agora (agora, train) is in the converted tree; run: ehps convert agora" in found.problems


def test_training_on_a_missing_source_needs_consent(converted):
    incomplete = mixture(BEDLAM, AGORA, strategy="balance")
    with pytest.raises(RecipeError, match="missing: nobody of agora"):
        mix(incomplete, converted)
    mixed = mix(incomplete, converted, allow_missing=True)
    assert mixed.names == ("bedlam",)


def test_a_share_below_one_person_is_refused(converted):
    small = Member(dataset="ehf", split="test", weight=0.001)
    with pytest.raises(RecipeError, match="share too small: ehf"):
        mix(mixture(BEDLAM, small, strategy="weighted", epoch_length=100), converted)


def test_licences_that_pull_apart_are_told(converted, monkeypatch):
    verdicts = {"bedlam": ("strict", False), "ehf": ("free", True)}
    monkeypatch.setattr("ehps.training.mixture._licence", verdicts.get)
    problems = plan(mixture(), converted).problems
    assert any("ehf may be used commercially, a network trained together with bedlam may not" in p for p in problems)


def test_the_order_visits_every_person_once_an_epoch(converted):
    mixed = mix(mixture(), converted)
    assert mixed.epoch_length == 17
    for epoch in range(3):
        assert len(set(mixed.at(np.arange(17 * epoch, 17 * epoch + 17)))) == 17


def test_the_fingerprint_tells_orders_apart(converted):
    prints = {mix(mixture(seed=seed), converted).fingerprint for seed in (0, 1)}
    assert len(prints) == 2
    assert mix(mixture(), converted).fingerprint in prints


def test_the_released_balance_is_taken_in_compatibility_mode_only(converted):
    balanced = mixture(strategy="balance")
    assert isinstance(mix(balanced, converted, released_balance=True).order, ReleasedBalance)
    assert not isinstance(mix(balanced, converted).order, ReleasedBalance)
