"""What a plan says before training runs."""

import numpy as np
import pytest

from ehps.errors import QueryError
from ehps.training.mixture import Member, Mixture, Schedule, load_mixture, mix
from ehps.training.mixture_plan import plan

BEDLAM, EHF = Member(dataset="bedlam"), Member(dataset="ehf", split="test")


def mixture(*members, strategy="concat", **options):
    return Mixture(name="m", about="test", strategy=strategy, members=members or (BEDLAM, EHF), **options)


def test_a_plan_counts_people_shares_and_labels(converted):
    found = plan(mixture(epoch_length=340), converted)
    bedlam, ehf = found.members
    assert (bedlam.people, ehf.people, ehf.num_without_box) == (12, 5, 1)
    assert (bedlam.people_per_epoch, ehf.people_per_epoch) == (240, 100)
    assert bedlam.passes_per_epoch == ehf.passes_per_epoch == 20
    assert bedlam.unique == ehf.unique == 1 / 20
    assert (bedlam.num_labelled["left_hand"], ehf.num_labelled["left_hand"]) == (12, 0)
    assert ehf.num_labelled["body"] == 5
    assert (bedlam.num_labelled["hands"], ehf.num_labelled["hands"]) == (12, 0)
    assert bedlam.is_commercial is False
    assert bedlam.sources == (("bedlam", "train"),)
    assert 1000 * 240 < (bedlam.bytes_per_epoch or 0) < 1_000_000 * 240
    assert any("1 people of ehf have no box" in problem for problem in found.problems)


def test_three_epochs_visit_everyone_the_planned_number_of_times(converted):
    uneven = mixture(
        Member(dataset="bedlam", schedule=Schedule(points=((0, 1), (0.7, 3)))), EHF, strategy="balance", epoch_length=40
    )
    found = plan(uneven, converted, epochs=3)
    drawn = mix(uneven, converted, total=120).draw(np.arange(120))
    for number, row in enumerate(found.members):
        assert row.turns == (drawn.source == number).sum()
        visits = np.unique(drawn.person_id[drawn.source == number], return_counts=True)[1]
        assert len(visits) == row.people
        assert visits.max() - visits.min() <= 1
        assert visits.sum() == row.turns
        assert row.reached == 1


def test_a_plan_says_who_is_not_reached(converted):
    found = plan(mixture(epoch_length=8), converted, epochs=1)
    assert [row.people_per_epoch for row in found.members] == [6, 2]
    assert [row.reached for row in found.members] == pytest.approx([0.5, 0.4])
    assert [row.unique for row in found.members] == [1, 1]
    assert "not all reached: 50.0% of bedlam come within 1 epoch" in found.problems
    assert not any(
        "not all reached" in problem for problem in plan(mixture(epoch_length=8), converted, epochs=3).problems
    )


def test_a_share_below_one_person_is_said(converted):
    small = Member(dataset="ehf", split="test", weight=0.001)
    found = plan(mixture(BEDLAM, small, strategy="weighted", epoch_length=100), converted)
    assert any("share too small: ehf" in problem for problem in found.problems)


def test_a_missing_source_is_said(converted):
    found = plan(load_mixture("five"), converted)
    missing = [row.name for row in found.members if row.is_missing]
    assert missing == ["mscoco", "agora", "spec", "gta_human2"]
    assert "missing: nobody of agora (agora, train) is in the converted tree; run: ehps convert agora" in found.problems
    assert [row.share for row in found.members if not row.is_missing] == [1]


def test_a_mixture_of_nobody_is_planned_too(converted):
    found = plan(mixture(Member(dataset="agora")), converted)
    assert (found.members[0].people, found.quality) == (0, ())


def test_what_is_uncertain_about_a_mixture_is_said(converted):
    problems = plan(load_mixture("forty"), converted).problems
    assert any(problem.startswith("inferred: The paper's table") for problem in problems)


def test_a_query_is_planned_with_the_sources_that_it_takes_from(converted):
    sql = "SELECT person_id, 1 + (dataset = 'ehf')::INT AS weight FROM people WHERE frame_key < '0003'"
    (row,) = plan(mixture(Member(name="some", sql=sql), epoch_length=60), converted).members
    assert row.sources == (("bedlam", "train"), ("ehf", "test"))
    assert (row.people, row.num_without_box) == (5, 1)
    assert (row.num_labelled["body"], row.num_labelled["left_hand"]) == (5, 3)


def test_a_schedule_is_shown_at_its_points_and_between(converted):
    rising = Member(dataset="bedlam", schedule=Schedule(points=((0, 1), (1, 3))))
    found = plan(mixture(rising, EHF, strategy="balance", epoch_length=50), converted, epochs=2)
    assert [(at.position, round(at.shares["bedlam"], 3)) for at in found.schedule] == [
        (0, 0.5),
        (50, 0.667),
        (100, 0.75),
    ]
    assert plan(mixture(), converted).schedule == ()


def test_a_finite_order_says_where_it_ends(converted):
    assert plan(mixture(exhaustion="renormalise"), converted).length == 17
    assert plan(mixture(), converted).length is None


def test_licences_that_pull_apart_are_told(converted, monkeypatch):
    verdicts = {"bedlam": ("strict", False), "ehf": ("free", True)}
    monkeypatch.setattr("ehps.training.mixture_plan._licence", verdicts.get)
    problems = plan(mixture(), converted).problems
    assert any("ehf may be used commercially, a network trained together with bedlam may not" in p for p in problems)


def test_a_condition_that_is_no_sql_says_so(converted):
    with pytest.raises(QueryError, match="hight"):
        plan(mixture(Member(dataset="bedlam", where="hight > 3")), converted)
