"""The mixture builder: drafts, files, plans, and the page that puts them together."""

from pathlib import Path

import pytest

from ehps.dashboard import mixtures, settings
from ehps.errors import RecipeError
from ehps.tests.dashboard.test_pages import open_page, texts
from ehps.training.mixture_spec import load_mixture, mixture_names
from ehps.training.recipes import RECIPES, get_recipe

BEDLAM = {"dataset": "bedlam", "split": "train"}
COCO = {"dataset": "mscoco", "split": "train"}


def draft(*members, strategy="balance", **more) -> mixtures.Draft:
    return mixtures.Draft("mine", strategy, members or (BEDLAM, COCO), **more)


def test_a_draft_keeps_only_what_its_strategy_needs():
    rows = [BEDLAM | {"weight": 3.0, "per_epoch": 9, "stride": 2}, COCO | {"weight": float("nan"), "stride": 1}]
    weighted = mixtures.mixture_of(draft(*rows, strategy="weighted", temperature=5.0))
    assert [(m.weight, m.per_epoch, m.stride) for m in weighted.members] == [(3, None, 2), (1, None, 1)]
    assert weighted.temperature is None
    assert mixtures.mixture_of(draft(*rows)).members[0].weight == 1
    assert mixtures.mixture_of(draft(*rows, strategy="temperature", temperature=5.0)).temperature == 5


def test_filters_for_all_join_those_of_a_member():
    found = mixtures.mixture_of(
        draft(BEDLAM | {"where": "a OR b", "has": ["shape"]}, COCO, has=("body",), min_box_px=40)
    )
    assert found.members[0].where == "(a OR b) AND (box_height_px >= 40)"
    assert found.members[1].where == "box_height_px >= 40"
    assert [m.has for m in found.members] == [("body", "shape"), ("body",)]


def test_splits_of_one_source_get_names():
    found = mixtures.mixture_of(draft(BEDLAM, BEDLAM | {"split": "val"}))
    assert [member.label for member in found.members] == ["bedlam train", "bedlam val"]


def test_what_is_wrong_is_said_in_a_sentence():
    with pytest.raises(RecipeError, match="per_epoch belongs to the strategy 'explicit', which needs it of every"):
        mixtures.mixture_of(draft(strategy="explicit"))


def test_a_saved_file_is_the_mixture_and_is_not_replaced_by_another(tmp_path):
    mixture = mixtures.mixture_of(draft(BEDLAM | {"where": "fx > 1", "has": ["body"]}, COCO, epoch_length=70, seed=3))
    path = mixtures.save(mixture, tmp_path / "mixtures")
    assert load_mixture(path) == mixture
    assert mixtures.save(mixture, tmp_path / "mixtures") == path
    with pytest.raises(RecipeError, match="holds another mixture"):
        mixtures.save(mixture.model_copy(update={"seed": 4}), tmp_path / "mixtures")
    with pytest.raises(RecipeError, match="cannot name a file"):
        mixtures.save(mixture.model_copy(update={"name": "../up"}), tmp_path)


@pytest.mark.parametrize("name", mixture_names())
def test_mixtures_of_ehps_survive_as_text(name, tmp_path):
    path = tmp_path / f"{name}.yaml"
    path.write_text(mixtures.yaml_text(load_mixture(name)), encoding="utf-8")
    assert load_mixture(path) == load_mixture(name)


def test_a_copy_of_a_mixture_is_the_mixture():
    five = load_mixture("five")
    rows = mixtures.editable(five)
    assert rows is not None
    again = mixtures.mixture_of(mixtures.Draft("five", five.strategy, rows, epoch_length=five.epoch_length))
    assert again.members == five.members
    nested = five.model_copy(update={"members": (five.members[0].model_copy(update={"dataset": "", "sql": "x"}),)})
    assert mixtures.editable(nested) is None


def test_the_plan_counts_people_labels_and_licences(tree):
    mixture = mixtures.mixture_of(draft())
    found = mixtures.planned(mixture.model_dump_json(), "mine", tree.catalog, 2)
    sizes = {("bedlam", "train"): 1e3, ("mscoco", "train"): 2e3}
    table = mixtures.member_table(found, sizes).set_index("member")
    assert table["people"].to_dict() == {"bedlam": 12, "mscoco": 7}
    assert table["share"].tolist() == [0.5, 0.5]
    assert table["bytes"].tolist() == [1e3 * table["per_epoch"].iloc[0], 2e3 * table["per_epoch"].iloc[1]]
    assert table["share_of_people"].tolist() == pytest.approx([12 / 19, 7 / 19])
    assert table["commercial"].tolist() == ["no", "no"]
    covered = mixtures.coverage(table.reset_index())
    assert (covered["hands"], covered["face"]) == (1, 0)


def test_leakage_and_benchmarks_come_from_the_tree(tree):
    mixture = mixtures.mixture_of(draft(BEDLAM | {"split": "val"}))
    found = mixtures.planned(mixture.model_dump_json(), "mine", tree.catalog, 1)
    assert mixtures.leakage(found, [("bedlam", "val")], tree.catalog)[0] == "the mixture trains on bedlam/val itself"


def test_wanted_shares_are_means_over_the_schedule(tree):
    path = tree.catalog.parent / "falling.yaml"
    path.write_text(
        "about: a\nstrategy: balance\nmembers:\n  - {dataset: mscoco}\n"
        "  - {dataset: bedlam, schedule: {kind: linear, points: [[0, 1], [1, 0]]}}\n",
        encoding="utf-8",
    )
    wanted = mixtures.wanted_shares(str(path), tree.catalog, [0, 1000], 1000)
    assert wanted == pytest.approx({"mscoco": 0.75, "bedlam": 0.25}, abs=0.01)


@pytest.mark.parametrize("network", mixtures.NETWORKS.values())
@pytest.mark.parametrize("size", mixtures.SIZES)
def test_commands_name_recipes_that_exist(network, size):
    command = mixtures.train_command(network, size, "five", 9, Path("D"), Path("R"))
    recipe = command.split()[2]
    assert recipe in RECIPES
    assert get_recipe(recipe).batch_size == mixtures.BATCH_SIZES[network][size]
    assert get_recipe(recipe, ["mixture=five", "steps=9"]).steps == 9


def test_a_query_may_take_people_from_everywhere(tmp_path):
    path = tmp_path / "asked.yaml"
    members = "  - {dataset: agora}\n  - {name: q, sql: SELECT person_id FROM people}\n"
    path.write_text(f"about: a\nstrategy: balance\nmembers:\n{members}", encoding="utf-8")
    assert mixtures.sources_in(str(path), ["bedlam"]) == ["agora", "bedlam"]
    assert mixtures.sources_in("demo", ["ehf"]) == ["bedlam", "mscoco"]


def test_steps_are_whole_batches():
    assert mixtures.steps_of(3, 257, 256) == 6


@pytest.fixture
def page(tree, tmp_path, monkeypatch):
    for name, value in settings.environment(tree.catalog, tree.results, tmp_path / "runs").items():
        monkeypatch.setenv(name, value)
    return tmp_path / "runs"


def test_without_a_catalog_the_page_says_what_to_run(empty):
    app = open_page("mixture")
    assert not app.exception
    assert "ehps convert" in texts(app)


@pytest.mark.parametrize("strategy", mixtures.STRATEGIES)
def test_every_strategy_can_be_chosen(strategy, page):
    app = open_page("mixture", mix_strategy=strategy)
    assert not app.exception
    assert not app.error
    assert {metric.label: metric.value for metric in app.metric}["People"] == "19"


def test_filters_in_the_address_are_applied(page):
    app = open_page("mixture", mix_has="face", mix_tab="File and command")
    assert not app.exception
    assert "has: [face]" in texts(app)
    assert {metric.label: metric.value for metric in app.metric}["People"] == "0"
    app = open_page("mixture", mix_box="3999")
    assert {metric.label: metric.value for metric in app.metric}["People"] == "0"


def test_leakage_is_looked_for_when_asked(page):
    app = open_page("mixture", mix_tab="What speaks against it")
    assert "Choose benchmarks" in texts(app)
    app = open_page("mixture", mix_tab="What speaks against it", mix_leak="BEDLAM val")
    assert not app.exception
    assert "no picture is shared" in texts(app) or "have no hash" in texts(app)


def test_a_mixture_of_ehps_is_planned_and_copied(page):
    app = open_page("mixture", mix_start="demo")
    assert not app.exception
    app.button[0].click().run()
    assert not app.exception
    assert app.selectbox(key="mix_start").value == "my own"
    assert set(app.multiselect(key="mix_sources").value) == {"bedlam/train", "mscoco/train"}


def test_save_writes_the_file_that_the_command_names(page):
    app = open_page("mixture", mix_tab="File and command", mix_name="nice")
    app.button(key="mix_save").click().run()
    assert not app.exception
    assert not app.error
    assert [m.dataset for m in load_mixture(page / "mixtures" / "nice.yaml").members] == ["bedlam", "mscoco"]
    assert f"mixture={page / 'mixtures' / 'nice.yaml'}" in texts(app)
