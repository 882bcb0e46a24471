"""Image features: whom they are of, what they are, and that what is current is not made twice."""

import numpy as np
import pytest
import torch

from ehps.errors import ShardError
from ehps.shards.analyses.feature_files import feature_states, read_features
from ehps.shards.analyses.samples import groups_of
from ehps.shards.analyses.tables import Question, answer
from ehps.shards.catalog import build_catalog
from ehps.shards.catalog_files import read_state
from ehps.shards.reader import PeopleIndex
from ehps.shards.writer import UnitWriter
from ehps.studies.features import draw_people, make_features
from ehps.tests.shards.conftest import full_person, make_frame
from ehps.tests.training.conftest import write_source
from ehps.training.augment import NO_AUGMENTATION
from ehps.training.batches import collate, float_images
from ehps.training.checkpoint import network_entries, save_checkpoint
from ehps.training.network_size import NetworkSize
from ehps.training.samples import SampleSettings, make_sample
from ehps.training.smplestx import SmplestX

SIZE = NetworkSize(embed_dim=16, depth=1, num_heads=2, drop_path_rate=0.0, dim_out=8, decoder_depth=1)


@pytest.fixture(scope="module")
def tree(tmp_path_factory, standin_dir):
    """A source of two splits, one of whose people has no box, and one without pictures."""
    out = tmp_path_factory.mktemp("seen")
    write_source(out, "bedlam", 9, seed=1, num_without_box=1)
    write_source(out, "bedlam", 3, seed=2, split="val")
    with UnitWriter(out, "blind", "train", "all", meta={"converter_version": 1}) as writer:
        someone = full_person(bbox_xyxy=np.array([1, 1, 30, 20], np.float32))
        writer.write(make_frame(0, (someone,), image=b""), "blind-train-0", None)
        writer.commit({})
    build_catalog(out)
    return out


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(3)
    return SmplestX(SIZE).eval()


@pytest.fixture(scope="module")
def checkpoint(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "small.pt"
    save_checkpoint(path, network_entries(network))
    return path


@pytest.fixture(scope="module")
def features(tree, checkpoint):
    """What the first call gave."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EHPS_BODY_MODELS", "standin")
        return list(make_features(tree, checkpoint, people=16, device="cpu", threads=2))


@pytest.fixture(autouse=True)
def standin(monkeypatch):
    monkeypatch.setenv("EHPS_BODY_MODELS", "standin")


def test_everyone_who_can_be_seen_has_features(features):
    found = {(made.dataset, made.split): (made.people, made.state) for made in features}
    expected = {
        ("bedlam", "train"): (8, "made"),
        ("bedlam", "val"): (3, "made"),
        ("blind", "train"): (0, "no pictures"),
    }
    assert found == expected


def test_features_are_the_mean_over_the_patches_of_the_crop_that_the_network_reads(features, tree, network):
    found = read_features(features[0].path)
    index = PeopleIndex.open(tree)
    people = [index.load(index.find(key)) for key in found.keys]
    settings = SampleSettings(quirks=network.quirks)
    batch = collate([make_sample(person, NO_AUGMENTATION, settings) for person in people])
    with torch.inference_mode():
        patches, _ = network.encoder(network.prepare(float_images(batch.crops)))
    assert found.numbers == pytest.approx(patches.flatten(2).mean(2).numpy(), abs=1e-5)
    assert len(np.unique(found.numbers.round(4), axis=0)) == 8


def test_what_is_current_is_kept_and_what_is_not_is_made_again(features, tree, checkpoint, tmp_path):
    again = list(make_features(tree, checkpoint, people=16, device="cpu"))
    assert [made.state for made in again] == ["kept", "kept", "no pictures"]
    assert [made.people for made in again] == [8, 3, 0]
    before = features[0].path.read_bytes()
    fewer = list(make_features(tree, checkpoint, people=4, datasets=["bedlam"], device="cpu"))
    assert [(made.people, made.state) for made in fewer] == [(4, "made"), (3, "made")]
    list(make_features(tree, checkpoint, people=16, device="cpu"))
    assert features[0].path.read_bytes() == before  # and making them again gives the same bytes


def test_the_facts_name_shards_and_checkpoint(features, tree):
    facts = read_features(features[0].path).facts
    partitions = read_state(tree).partitions
    assert (facts.model, facts.revision, facts.people) == ("small", "released", 8)
    assert facts.shards == next(p.fingerprint for p in partitions if p.split == "train" and p.dataset == "bedlam")
    assert features[0].path.parts[-3] == facts.name
    assert set(feature_states(tree, facts.name, partitions)["state"]) == {"current", "absent"}


def test_people_are_drawn_with_a_fixed_seed(tree):
    index = PeopleIndex.open(tree)
    few, all_of_them = (draw_people(index, "bedlam", "train", count) for count in (4, 100))
    assert (len(few), len(all_of_them)) == (4, 8)
    assert set(few) <= set(all_of_them)
    assert few.tolist() == sorted(few) == draw_people(index, "bedlam", "train", 4).tolist()


def test_unknown_sources_are_refused(tree, checkpoint):
    with pytest.raises(ShardError, match="has no source 'nobody'; it has bedlam, blind"):
        list(make_features(tree, checkpoint, datasets=["nobody"]))
    with pytest.raises(ShardError, match="run ehps catalog"):
        list(make_features(tree.parent, checkpoint))


def test_analyses_ask_for_features_where_there_are_none(tree, features, tmp_path):
    assert answer(tree, Question(by="features", by_split=True)).empty  # fewer than are compared
    assert [group.name for group in groups_of(tree)] == ["bedlam", "blind"]
    with pytest.raises(ShardError, match="has no image features other; it has small-released"):
        answer(tree, Question(by="features", features="other"))
