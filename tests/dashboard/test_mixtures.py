"""The mixture builder: drafts, files, plans, and the page that puts them together."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ehps.benchmark.protocol import protocols
from ehps.body.posing import PosingModel
from ehps.dashboard import mixtures, settings
from ehps.errors import RecipeError
from ehps.shards.catalog import build_catalog
from ehps.shards.codec import sample_key
from ehps.shards.picture import picture_of
from ehps.shards.record import Camera, Frame
from ehps.shards.writer import UnitWriter
from ehps.tests.dashboard.conftest import HEIGHT, WIDTH, person, picture
from ehps.tests.dashboard.test_pages import open_page, texts
from ehps.training.mixture_spec import Locality, load_mixture, mixture_names
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
    first = five.members[0]
    more_than_a_table = [
        {"members": (first.model_copy(update={"dataset": "", "sql": "x"}),)},
        {"members": (first, first.model_copy(update={"name": "tall", "where": "box_height_px > 500"}))},
        {"members": (first.model_copy(update={"on_failure": "replace"}),)},
        {"exhaustion": "stop"},
        {"locality": Locality()},
    ]
    assert [mixtures.editable(five.model_copy(update=update)) for update in more_than_a_table] == [None] * 5


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


def test_both_hands_are_the_hands_of_one_person(tmp_path, standin_dir):
    write_hands(tmp_path, PosingModel.load(standin_dir), ("left", "left", "right", "both", "none"))
    for rest in ({}, {"where": "box_height_px > 0"}):  # counted by the source, and by the condition
        mixture = mixtures.mixture_of(draft(BEDLAM | rest))
        table = mixtures.member_table(mixtures.planned(mixture.model_dump_json(), "mine", tmp_path, 1), {})
        row = table.iloc[0]
        assert (row["hands"], row["left_hand"], row["right_hand"]) == (0.2, 0.6, 0.4)


def write_hands(out: Path, model: PosingModel, hands: tuple[str, ...]) -> None:
    """A unit of bedlam with a person a frame, of whom these hands are labelled."""
    rng = np.random.default_rng(0)
    with UnitWriter(out, "bedlam", "train", "hands", meta={"converter_version": 1}) as writer:
        for index, which in enumerate(hands):
            whole = person(model, rng, "synthetic", index)
            absent = {side for side in ("left", "right") if which not in (side, "both")}
            labels = replace(whole.labels, **{f"{side}_hand": None for side in absent})
            one = replace(whole, labels=labels, **{f"{side}_hand_pose": None for side in absent})
            key, K = f"hands/{index}", Camera(K=np.eye(3) * 300, kind="measured")
            frame = Frame(key=key, image=b"", width=WIDTH, height=HEIGHT, people=(one,), camera=K)
            writer.write(frame, sample_key("bedlam", "train", key), picture_of(picture(rng)))
        writer.commit({})
    build_catalog(out)


def test_what_a_mixture_trains_on_and_protocols_measure_is_said(tree):
    mixture = mixtures.mixture_of(draft(BEDLAM, BEDLAM | {"split": "val"}, {"dataset": "ehf", "split": "test"}))
    found = mixtures.planned(mixture.model_dump_json(), "mine", tree.catalog, 1)
    said = mixtures.trained_benchmarks(found, protocols())  # nobody of EHF is here
    assert said == ["the mixture trains on bedlam/val, which BEDLAM val measures"]


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
    assert "Save the mixture first" in texts(app)
    app.button(key="mix_save").click().run()
    assert not app.exception
    assert not app.error
    assert [m.dataset for m in load_mixture(page / "mixtures" / "nice.yaml").members] == ["bedlam", "mscoco"]
    assert f"mixture={page / 'mixtures' / 'nice.yaml'}" in texts(app)
    app.run()
    assert "Save the mixture first" not in texts(app)
    app.number_input(key="mix_seed").set_value(4).run()
    assert "nice.yaml holds another mixture" in texts(app)
    app.button(key="mix_save").click().run()
    assert "holds another mixture; choose another name" in app.error[0].value


@pytest.fixture
def kept(page):
    """Mixture files that somebody wrote: a sound one, one with sources that are not here, a broken one."""
    folder = page / "mixtures"
    folder.mkdir(parents=True)
    members = "  - {dataset: bedlam, weight: 3}\n  - {dataset: bedlm}\n  - {dataset: agora}\n"
    (folder / "odd.yaml").write_text(f"about: a\nstrategy: weighted\nmembers:\n{members}", encoding="utf-8")
    test = "  - {dataset: bedlam, split: val}\n"
    (folder / "test.yaml").write_text(f"about: a\nstrategy: concat\nmembers:\n{test}", encoding="utf-8")
    (folder / "twice.yaml").write_text(
        "about: a\nstrategy: concat\nmembers:\n  - {dataset: bedlam}\n  - {dataset: bedlam, name: b}\n",
        encoding="utf-8",
    )
    (folder / "broken.yaml").write_text("about: a\nstrategy: [", encoding="utf-8")
    (folder / ".half.yaml.tmp").write_text("about", encoding="utf-8")
    return folder


def test_saved_mixtures_can_be_opened_again(kept):
    options = open_page("mixture").selectbox(key="mix_start").options
    assert options[:5] == ["my own", "broken.yaml", "odd.yaml", "test.yaml", "twice.yaml"]
    app = open_page("mixture", mix_start="odd.yaml", mix_tab="What speaks against it")
    assert not app.exception
    assert not app.error
    said = texts(app)
    assert "there is no source called 'bedlm'; did you mean bedlam?" in said
    assert "missing\\: nobody of agora" in said
    assert "3 notes on members" in said
    assert {metric.label: metric.value for metric in app.metric}["People"] == "12"
    command = texts(open_page("mixture", mix_start="odd.yaml", mix_tab="File and command"))
    assert f"mixture={kept / 'odd.yaml'}" in command


def test_a_broken_mixture_file_is_one_sentence_and_the_choice_stays(kept):
    app = open_page("mixture", mix_start="broken.yaml")
    assert not app.exception
    assert "not valid YAML" in app.error[0].value
    app.selectbox(key="mix_start").set_value("test.yaml").run()
    assert not app.error
    assert "1 test set is trained on" in texts(app)


def test_a_copy_says_what_it_leaves_out(kept):
    app = open_page("mixture")
    app.pills(key="mix_has").set_value(["face"])
    app.number_input(key="mix_box").set_value(90).run()
    app.selectbox(key="mix_start").set_value("odd.yaml").run()
    app.button[0].click().run()
    assert not app.exception
    assert "left out of the copy\\: bedlm/train, agora/train" in texts(app)
    assert (app.selectbox(key="mix_start").value, app.multiselect(key="mix_sources").value) == (
        "my own",
        ["bedlam/train"],
    )
    assert (app.pills(key="mix_has").value, app.number_input(key="mix_box").value) == ([], 0)
    assert "left out of the copy" not in texts(app.run())
    app = open_page("mixture", mix_start="twice.yaml")
    app.button[0].click().run()
    assert app.selectbox(key="mix_start").value == "twice.yaml"
    assert "more than this table can hold" in texts(app)


def test_a_mixture_that_is_gone_gives_way(kept):
    app = open_page("mixture", mix_start="odd.yaml")
    (kept / "odd.yaml").unlink()
    app.run()
    assert not app.exception
    assert app.selectbox(key="mix_start").value == "my own"


def test_every_control_of_the_builder_changes_the_plan(page):
    app = open_page("mixture", mix_epoch="50", mix_seed="3", mix_epochs="2", mix_tab="File and command")
    assert {metric.label: metric.value for metric in app.metric}["Epoch"] == "50"
    said = texts(app)
    assert "epoch_length: 50" in said
    assert "seed: 3" in said
    app.number_input(key="mix_epochs").set_value(4)
    app.segmented_control(key="mix_network").set_value("SMPLer-X")
    app.segmented_control(key="mix_size").set_value("H").run()
    assert "ehps train smplerx_h32" in texts(app)
    assert "steps=4 " in texts(app)
    app.segmented_control(key="mix_strategy").set_value("temperature").run()
    app.number_input(key="mix_temperature").set_value(1.0).run()
    assert "temperature: 1.0" in texts(app)
    app.multiselect(key="mix_sources").set_value([]).run()
    assert "Choose at least one source" in texts(app)
    assert not app.exception
