"""Mixture files and the model that they are read into."""

from itertools import pairwise

import numpy as np
import pytest
import yaml

from ehps.cards import card_ids, load_card
from ehps.errors import CardError, RecipeError, UnknownNameError
from ehps.training.mixture_spec import Member, Mixture, Schedule, leaves, load_mixture, mixture_names

# Ids of all sources that the papers name, whether they have a card already or not.
KNOWN = """agora arctic bedlam behave blurhand chi3d crowdpose dna_rendering dna_rendering_hires egobody_egocentric
    egobody_kinect fit3d freihand gta_human2 hanco hi4d human36m humansc3d instavariety interhand26m lspet moyo
    mpi_inf_3dhp mpii mscoco mtp muco_3dhp ochuman posetrack prox pw3d rich spec ssp3d synbody synhand talkshow ubody
    up3d whac_a_mole""".split()
PAPER = {"five": 5, "ten": 10, "twenty": 20, "thirty_two": 32, "forty": 40}
FINETUNING = ["agora", "arctic", "dna_rendering", "egobody", "pw3d", "ubody"]


def write(tmp_path, name="mine", **content):
    path = tmp_path / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"about": "a", "strategy": "concat"} | content))
    return path


@pytest.mark.parametrize("name", mixture_names())
def test_every_mixture_of_ehps_is_valid_and_names_known_sources(name):
    mixture = load_mixture(name)
    assert mixture.name == name
    for _, member in leaves(mixture):
        assert member.dataset in {*KNOWN, *card_ids()}
        if member.dataset in card_ids():
            assert member.split in load_card(member.dataset).splits


def test_the_mixtures_of_the_papers_grow_by_their_sources():
    datasets = {name: {member.dataset for _, member in leaves(load_mixture(name))} for name in PAPER}
    assert {name: len(found) for name, found in datasets.items()} == PAPER
    steps = list(datasets.values())
    assert all(smaller < larger for smaller, larger in pairwise(steps))
    assert datasets["forty"] == set(KNOWN)
    assert {load_mixture(name).epoch_length for name in PAPER} == {750_000, 1_500_000, 3_000_000, 4_500_000, 7_500_000}


def test_cards_and_mixtures_agree_on_the_smallest_mixture_of_a_source():
    for dataset in card_ids():
        sizes = [PAPER[n] for n in PAPER if dataset in {m.dataset for _, m in leaves(load_mixture(n))}]
        assert load_card(dataset).paper_mix == min(sizes, default=None)


@pytest.mark.parametrize("name", FINETUNING)
def test_the_finetuning_sets_have_their_target_and_a_million_people(name):
    mixture = load_mixture(f"finetune_{name}")
    assert len(mixture.members) == 5
    assert mixture.epoch_length == 1_000_000
    assert mixture.members[0].dataset.startswith(name)


def test_what_the_papers_do_not_list_is_marked():
    forty = load_mixture("forty")
    assert sum(member.note.startswith("inferred") for member in forty.members) == 8
    assert {doubt.confidence for doubt in forty.uncertain} == {"inferred"}


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
        ({"members": [{"dataset": "a", "has": ["hand"]}]}, "members.0.has.0"),
        ({"members": [{"name": "a"}]}, "a member is a dataset, an sql or a mixture, found none"),
        ({"members": [{"dataset": "a", "sql": "select 1"}]}, "found dataset and sql"),
        ({"members": [{"sql": "select 1"}]}, "an sql member needs a name"),
        ({"members": [{"name": "a", "sql": "select 1", "stride": 2}]}, "stride belongs to a member with a dataset"),
        ({"members": [{"dataset": "a", "per_epoch": 5}]}, "per_epoch belongs to the strategy 'explicit'"),
        ({"members": [{"dataset": "a"}], "strategy": "explicit"}, "needs it of every member"),
        (
            {"members": [{"dataset": "a", "per_epoch": 5}], "strategy": "explicit", "epoch_length": 9},
            "leave out epoch_length",
        ),
        ({"members": [{"dataset": "a", "schedule": {"points": [[0, 1], [0, 2]]}}]}, "should rise from 0"),
        ({"members": [{"dataset": "a", "schedule": {"points": [[0, -1]]}}]}, "cannot be negative"),
        ({"members": [{"dataset": "a"}], "locality": {"run": 1}}, "locality.run"),
    ],
)
def test_an_impossible_mixture_names_what_is_wrong(tmp_path, content, complaint):
    with pytest.raises(CardError, match=complaint):
        load_mixture(write(tmp_path, **content))


@pytest.mark.parametrize("text", ["[1, 2]", "about: [", "- a"])
def test_a_file_that_is_no_mapping_is_named(tmp_path, text):
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(CardError, match=r"broken\.yaml"):
        load_mixture(path)


def test_mixtures_lie_in_one_another_by_name_by_path_and_inline(tmp_path):
    write(tmp_path, "inner", members=[{"dataset": "agora"}, {"dataset": "spec"}])
    inline = {"about": "b", "strategy": "balance", "members": [{"dataset": "bedlam"}]}
    members = [{"mixture": "inner.yaml"}, {"mixture": "demo"}, {"mixture": inline, "name": "rendered"}]
    mixture = load_mixture(write(tmp_path, "outer", members=members))
    labels = [label for label, _ in leaves(mixture)]
    assert labels == ["inner/agora", "inner/spec", "demo/bedlam", "demo/mscoco", "rendered/bedlam"]


def test_a_mixture_that_contains_itself_is_refused(tmp_path):
    write(tmp_path, "first", members=[{"mixture": "second.yaml"}])
    path = write(tmp_path, "second", members=[{"mixture": "first.yaml"}])
    with pytest.raises(CardError, match="contains itself"):
        load_mixture(path)


def test_a_mixture_nests_in_python_as_well():
    inner = Mixture(name="inner", about="a", strategy="concat", members=(Member(dataset="agora"),))
    outer = Mixture(name="o", about="a", strategy="concat", members=(Member(mixture=inner), Member(mixture="demo")))
    assert [label for label, _ in leaves(outer)] == ["inner/agora", "demo/bedlam", "demo/mscoco"]


def test_one_member_of_a_mixture_is_a_mixture_by_name_or_by_file(tmp_path):
    alone = load_mixture("forty/bedlam")
    assert [(member.dataset, member.stride) for member in alone.members] == [("bedlam", 5)]
    assert (alone.name, alone.seed, alone.epoch_length) == ("bedlam", 2023, None)
    schedule = {"points": [[0, 1]]}
    members = [
        {"dataset": "ehf", "name": "rare", "per_epoch": 3, "schedule": schedule},
        {"mixture": "demo", "per_epoch": 2},
    ]
    path = write(tmp_path, strategy="explicit", members=members, seed=4)
    rare = load_mixture(f"{path}/rare")
    assert (rare.seed, rare.members[0].per_epoch, rare.members[0].schedule) == (4, None, None)
    assert load_mixture(f"{path}/demo/mscoco").members[0].where == "has_body_pose"
    with pytest.raises(UnknownNameError, match="member of the mixture forty called 'bedlan'; did you mean bedlam"):
        load_mixture("forty/bedlan")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("linear", [1, 1, 2, 3, 3]), ("step", [1, 1, 1, 3, 3]), ("cosine", [1, 1, 2, 3, 3])],
)
def test_a_schedule_goes_from_point_to_point(kind, expected):
    schedule = Schedule(kind=kind, unit="people", points=((100, 1), (300, 3)))
    assert schedule.factors(np.array([0.0, 100, 200, 300, 900]), None).tolist() == pytest.approx(expected)
    quarter = schedule.factors(np.array([150.0]), None)[0]
    assert quarter == pytest.approx({"linear": 1.5, "step": 1, "cosine": 2 - 0.5**0.5}[kind])


def test_a_schedule_in_shares_needs_the_length_of_the_training():
    schedule = Schedule(points=((0, 1), (0.5, 3)))
    assert schedule.factors(np.array([0.0, 250, 500, 999]), 1000).tolist() == [1, 2, 3, 3]
    with pytest.raises(RecipeError, match="needs its length"):
        schedule.factors(np.array([0.0]), None)
