"""The people of a mixture and the order that they come in."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ehps.errors import QueryError, RecipeError
from ehps.training.mixture import Locality, Member, Mixture, Schedule, load_mixture, mix, order_of
from ehps.training.order import ReleasedBalance
from ehps.training.selection import Runs, Selection, compact, count_different, interrupted_range, select_all
from ehps.training.shares import borders_of, shares_of, shares_over

BEDLAM, EHF = Member(dataset="bedlam"), Member(dataset="ehf", split="test")
AGORA = Member(dataset="agora")


def mixture(*members, strategy="concat", **options):
    return Mixture(name="m", about="test", strategy=strategy, members=members or (BEDLAM, EHF), **options)


def chosen(member, out):
    """Return the person_ids of a member."""
    (selection,) = select_all(mixture(member), out)
    return selection.person_ids(np.arange(len(selection))).tolist()


def plain_selections(sizes, mixed):
    """Return selections of so many people, beside one another."""
    firsts = np.cumsum([0, *sizes])
    members = [member for _, member in zip(sizes, mixed.members, strict=False)]
    return [
        Selection(member.label, member, interrupted_range(int(first), size, 1, np.zeros(0, int)), None, 0)
        for member, first, size in zip(members, firsts, sizes, strict=False)
    ]


def test_who_is_in_several_members_is_one_person(converted):
    twice = mixture(BEDLAM, Member(dataset="bedlam", stride=2, name="half"), EHF)
    found = select_all(twice, converted)
    assert [len(selection) for selection in found] == [12, 6, 5]
    assert count_different(found) == mix(twice, converted).num_people == 17
    assert count_different(found[1:2]) == 6
    assert count_different([]) == 0


def test_strategies_give_their_shares():
    def shares(*members, **options):
        return np.round(shares_of(mixture(*members, **options), [12, 5]), 4).tolist()

    assert shares(strategy="concat") == [0.7059, 0.2941]
    assert shares(strategy="balance") == [0.5, 0.5]
    assert shares(strategy="temperature", temperature=2.0) == [0.6077, 0.3923]  # as the square roots
    assert shares(BEDLAM, Member(dataset="ehf", weight=3), strategy="weighted") == [0.25, 0.75]
    counted = [Member(dataset="bedlam", per_epoch=90), Member(dataset="ehf", per_epoch=10)]
    assert shares(*counted, strategy="explicit") == [0.9, 0.1]


def test_a_nested_mixture_divides_its_own_share():
    inner = mixture(BEDLAM, EHF, strategy="balance")
    outer = mixture(AGORA, Member(mixture=inner, weight=3), strategy="weighted")
    assert shares_of(outer, [10, 70, 700]) == pytest.approx([0.25, 0.375, 0.375])
    assert shares_of(outer, [10, 0, 700]) == pytest.approx([0.25, 0, 0.75])
    assert shares_of(outer, [10, 0, 0]) == pytest.approx([1, 0, 0])
    whole = mixture(AGORA, Member(mixture=inner), strategy="concat")
    assert shares_of(whole, [20, 30, 50]) == pytest.approx([0.2, 0.4, 0.4])


def test_when_a_nested_source_ends_its_siblings_take_over():
    inner = mixture(BEDLAM, EHF, strategy="balance")
    outer = mixture(AGORA, Member(mixture=inner), strategy="balance", exhaustion="renormalise")
    sizes = [400, 50, 400]
    order = order_of(outer, plain_selections(sizes, mixture(AGORA, BEDLAM, EHF)))
    source = order.turns(np.arange(order.length)).source
    assert np.bincount(source).tolist() == sizes
    assert np.bincount(source[:196], minlength=3).tolist() == pytest.approx([98, 49, 49], abs=2)
    assert np.bincount(source[204:604], minlength=3).tolist() == pytest.approx([200, 0, 200], abs=3)


@settings(max_examples=12, deadline=None)
@given(
    kind=st.sampled_from(["linear", "step", "cosine"]),
    factors=st.lists(st.sampled_from([0, 0.01, 0.7, 1, 5]), min_size=3, max_size=3),
    length=st.integers(3000, 20_000),
)
def test_the_integral_of_a_schedule_is_what_comes(kind, factors, length):
    schedule = Schedule(kind=kind, points=tuple(zip((0.0, 0.3, 1.0), factors, strict=True)))
    mixed = mixture(Member(dataset="bedlam", schedule=schedule), AGORA, EHF, strategy="balance", epoch_length=1000)
    order = order_of(mixed, plain_selections([500, 4000, 70], mixed), total=length)
    shares = shares_over(mixed, np.array([500, 4000, 70]), length)
    integral = np.cumsum(shares(np.arange(length) + 0.5, np.ones(3, bool)), axis=0)
    counts = np.cumsum(order.turns(np.arange(length)).source[:, None] == np.arange(3), axis=0)
    assert np.abs(counts - integral).max() < 10  # within a cell the share is constant
    ends = borders_of(mixed, length)[1:] - 1
    assert np.abs(counts[ends] - integral[ends]).max() < 1.5
    asked = np.random.default_rng(0).permutation(length)[:50]
    assert (order.at(asked).person == order.at(np.arange(length)).person[asked]).all()


def test_a_schedule_that_leaves_nobody_a_share_is_refused(converted):
    fading = Schedule(unit="people", points=((0, 1), (100, 0)))
    gone = mixture(Member(dataset="bedlam", schedule=fading))
    with pytest.raises(RecipeError, match="leave nobody a share at position 100"):
        mix(gone, converted)


def test_a_schedule_in_shares_of_the_training_needs_its_length(converted):
    growing = mixture(Member(dataset="bedlam", schedule=Schedule(points=((0, 1), (1, 2)))), EHF)
    with pytest.raises(RecipeError, match="needs its length in people"):
        mix(growing, converted)
    prints = {mix(growing, converted, total=total).fingerprint for total in (1000, 2000)}
    assert len(prints) == 2


def test_conditions_labels_and_strides_choose_people(converted):
    everyone = chosen(BEDLAM, converted)
    assert chosen(Member(dataset="bedlam", where="frame_key < '0006'"), converted) == everyone[:6]
    assert chosen(Member(dataset="bedlam", stride=3), converted) == everyone[::3]
    assert chosen(Member(dataset="bedlam", where="person_id >= 0", stride=3), converted) == everyone[::3]
    assert chosen(Member(dataset="bedlam", has=("left_hand",)), converted) == everyone
    assert chosen(Member(dataset="ehf", split="test", has=("left_hand",)), converted) == []
    assert len(chosen(Member(dataset="ehf", split="test", has=("body",)), converted)) == 5


def test_people_without_a_box_are_left_out_and_counted(converted):
    for where in ("true", "person_id >= 0"):
        (selection,) = select_all(mixture(Member(dataset="ehf", split="test", where=where)), converted)
        assert (len(selection), selection.num_without_box) == (5, 1)
    (selection,) = select_all(mixture(Member(dataset="ehf", split="test", stride=2)), converted)
    assert (len(selection), selection.num_without_box) == (2, 1)


def test_a_query_chooses_people_of_any_source(converted):
    sql = "SELECT person_id FROM people WHERE frame_key IN ('0001', '0003');"
    mixed = mix(mixture(Member(name="some", sql=sql)), converted)
    assert mixed.names == ("some",)
    assert mixed.datasets == ("bedlam", "ehf")
    assert len(set(mixed.at(np.arange(4)))) == 4


def test_people_come_in_proportion_to_their_weights(converted):
    sql = "SELECT person_id, person_id + 1 AS weight FROM people WHERE dataset = 'bedlam'"
    mixed = mix(mixture(Member(name="some", sql=sql)), converted)
    ids = chosen(BEDLAM, converted)
    weights = np.array(ids) + 1.0
    passes = 50
    drawn = mixed.draw(np.arange(len(ids) * passes)).person_id
    visits = np.array([(drawn == person_id).sum() for person_id in ids])
    assert np.abs(visits - weights / weights.mean() * passes).max() < 3
    for start in range(0, len(drawn), len(ids)):
        part = drawn[start : start + len(ids)]
        often = np.array([(part == person_id).sum() for person_id in ids])
        assert np.abs(often - weights / weights.mean()).max() < 1


@pytest.mark.parametrize(
    ("sql", "complaint"),
    [
        ("SELECT key FROM people", "it should yield person_id, found key"),
        ("SELECT person_id, -1 AS weight FROM people", "should be a number from 0 on, found -1"),
        ("SELECT person_id, NULL AS weight FROM people", "should be a number from 0 on, found nan"),
        ("SELECT person_id FROM people UNION ALL SELECT person_id FROM people", "more than once"),
        ("SELECT person_id FROM people ORDER BY random() LIMIT 3", "the same people each time"),
        ("DROP TABLE people", "only SELECT"),
        ("SELECT 1000 AS person_id", "person_id should be from 0 to 17, found 1000"),
        ("SELECT person_id FROM peple", "peple"),
    ],
)
def test_a_query_that_cannot_choose_says_why(converted, sql, complaint):
    with pytest.raises(QueryError, match=complaint):
        mix(mixture(Member(name="some", sql=sql)), converted)


def test_a_query_in_which_nobody_weighs_anything_is_refused(converted):
    with pytest.raises(RecipeError, match="gives everyone the weight 0"):
        mix(mixture(Member(name="some", sql="SELECT person_id, 0 AS weight FROM people")), converted)


def test_a_condition_that_is_no_sql_says_so(converted):
    with pytest.raises(QueryError, match="hight"):
        mix(mixture(Member(dataset="bedlam", where="hight > 3")), converted)


def test_long_lists_are_mapped_from_the_cache(converted, tmp_path, monkeypatch):
    monkeypatch.setenv("EHPS_CACHE", str(tmp_path))
    monkeypatch.setattr("ehps.training.selection.LONG", 4)
    sql = "SELECT person_id, 1 + person_id % 3 AS weight FROM people WHERE person_id % 3 < 2"
    members = mixture(
        Member(name="some", sql=sql), Member(dataset="bedlam", where="person_id % 2 = 0"), strategy="balance"
    )
    asked = mix(members, converted)
    assert len(list(tmp_path.rglob("*.npy"))) == 4
    monkeypatch.setattr("ehps.training.selection._ask_query", None)
    monkeypatch.setattr("ehps.training.selection._ask_condition", None)
    again = mix(members, converted)
    assert isinstance(again.selections[0].ids, np.memmap)
    assert again.fingerprint == asked.fingerprint
    positions = np.arange(200)
    assert again.at(positions) == asked.at(positions)


@settings(max_examples=60, deadline=None)
@given(
    first=st.integers(0, 50),
    count=st.integers(1, 60),
    step=st.integers(1, 7),
    without=st.sets(st.integers(0, 59)),
)
def test_an_interrupted_range_is_a_range_without_some(first, count, step, without):
    numbers = first + np.arange(count) * step
    left_out = np.array(sorted(first + number * step for number in without if number < count), int)
    ids = interrupted_range(first, count, step, left_out)
    assert ids[np.arange(len(ids))].tolist() == [n for n in numbers.tolist() if n not in set(left_out.tolist())]


@settings(max_examples=60, deadline=None)
@given(numbers=st.sets(st.integers(0, 300), min_size=0, max_size=200))
def test_a_compact_list_holds_the_same_people(numbers):
    found = compact(np.array(sorted(numbers), np.int64))
    assert found[np.arange(len(found))].tolist() == sorted(numbers)


def test_a_source_with_few_holes_takes_few_bytes():
    ids = compact(np.delete(np.arange(10**6), np.arange(0, 10**6, 1000)))
    assert isinstance(ids, Runs)
    assert ids.starts.nbytes + ids.firsts.nbytes < 20_000


def test_training_on_a_missing_source_needs_consent(converted):
    incomplete = mixture(BEDLAM, AGORA, strategy="balance")
    with pytest.raises(RecipeError, match="missing: nobody of agora"):
        mix(incomplete, converted)
    assert mix(incomplete, converted, allow_missing=True).names == ("bedlam",)


def test_an_empty_choice_is_said_to_be_one(converted):
    with pytest.raises(RecipeError, match="bedlam chooses nobody of the converted tree; look at its conditions"):
        mix(mixture(Member(dataset="bedlam", where="person_id < 0")), converted)


def test_the_order_visits_every_person_once_an_epoch(converted):
    mixed = mix(mixture(), converted)
    assert mixed.epoch_length == 17
    for epoch in range(3):
        assert len(set(mixed.at(np.arange(17 * epoch, 17 * epoch + 17)))) == 17


def test_a_mixture_in_runs_reaches_everyone_too(converted):
    mixed = mix(mixture(locality=Locality(run=2, lanes=2)), converted)
    for epoch in range(3):
        assert len(set(mixed.at(np.arange(17 * epoch, 17 * epoch + 17)))) == 17
    assert mixed.fingerprint != mix(mixture(), converted).fingerprint


def test_explicit_numbers_make_the_epoch(converted):
    counted = [Member(dataset="bedlam", per_epoch=30), Member(dataset="ehf", split="test", per_epoch=10)]
    mixed = mix(mixture(*counted, strategy="explicit"), converted)
    assert mixed.epoch_length == 40
    assert mixed.order.turns_before(40).tolist() == [30, 10]


def test_the_fingerprint_tells_orders_apart(converted):
    prints = {mix(mixture(seed=seed), converted).fingerprint for seed in (0, 1)}
    assert len(prints) == 2
    assert mix(mixture(), converted, total=5).fingerprint in prints


def test_the_released_balance_is_taken_in_compatibility_mode_only(converted):
    balanced = mixture(strategy="balance")
    assert isinstance(mix(balanced, converted, released_balance=True).order, ReleasedBalance)
    assert not isinstance(mix(balanced, converted).order, ReleasedBalance)


def test_the_reader_learns_who_stands_in_for_whom(converted):
    lenient = Member(dataset="ehf", split="test", on_failure="replace")
    mixed = mix(mixture(BEDLAM, lenient), converted)
    assert mixed.replaces == (False, True)
    ids = chosen(lenient, converted)
    assert [mixed.next_person(1, 3, attempt) for attempt in (1, 2, 3)] == [ids[4], ids[0], ids[1]]


def test_ranks_share_the_batches_of_a_mixture(converted):
    mixed = mix(mixture(), converted)
    parts = [mixed.rank_positions(16, 8, rank, 3) for rank in range(3)]
    assert sorted(np.concatenate(parts).tolist()) == list(range(16, 24))


def test_a_mixture_travels_to_other_processes(converted):
    mixed = mix(mixture(), converted)
    assert pickle.loads(pickle.dumps(mixed)).at(np.arange(40)) == mixed.at(np.arange(40))


def test_a_mixture_of_ehps_without_its_data_names_what_to_convert(converted):
    with pytest.raises(RecipeError, match="run: ehps convert agora"):
        mix(load_mixture("five"), converted)
