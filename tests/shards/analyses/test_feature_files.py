"""Files of image features: what is written is read, and what does not fit the shards is not used."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ehps.errors import ShardError
from ehps.shards.analyses import feature_files
from ehps.shards.analyses.feature_files import (
    FeatureFacts,
    Features,
    feature_sets,
    feature_states,
    group_features,
    read_facts,
    read_features,
    write_features,
)
from ehps.shards.analyses.samples import Group
from ehps.shards.catalog_files import Partition


def partition(split="train", people=100, fingerprint="abc") -> Partition:
    return Partition("fake", split, None, fingerprint, people, people, False)


def made(split="train", count=20, shards="abc", start=0.0) -> Features:
    facts = FeatureFacts(
        model="smplest-x b", revision="step/3", checkpoint="0123456789", dataset="fake", split=split, shards=shards,
        asked=50, people=count,
    )  # fmt: skip
    numbers = np.arange(start, start + 3 * count, dtype=np.float32).reshape(count, 3)
    return Features([f"{split}#{i}" for i in range(count)], numbers, facts)


NAME = "smplest-x-b-step-3-01234567"


def test_what_is_written_is_read(tmp_path):
    features = made()
    path = write_features(tmp_path, features)
    assert path == tmp_path / "features" / NAME / "fake" / "train.parquet"
    found = read_features(path)
    assert (found.keys, found.facts) == (features.keys, features.facts)
    assert found.numbers.tolist() == features.numbers.tolist()
    assert feature_sets(tmp_path) == [NAME]
    assert not list((tmp_path / ".tmp").iterdir())


def test_the_same_features_are_the_same_bytes(tmp_path):
    first = write_features(tmp_path / "a", made()).read_bytes()
    assert write_features(tmp_path / "b", made()).read_bytes() == first


def test_a_write_that_fails_leaves_the_older_file(tmp_path, monkeypatch):
    path = write_features(tmp_path, made())
    before = path.read_bytes()

    def fails(*_):
        raise OSError("disk full")

    monkeypatch.setattr(feature_files, "publish", fails)
    with pytest.raises(OSError, match="disk full"):
        write_features(tmp_path, made(start=9))
    assert path.read_bytes() == before
    assert not list((tmp_path / ".tmp").iterdir())


@pytest.mark.parametrize(
    ("shards", "form", "state"), [("abc", 1, "current"), ("other", 1, "stale"), ("abc", 0, "stale")]
)
def test_features_of_other_shards_are_stale(tmp_path, shards, form, state):
    features = made(shards=shards)
    write_features(tmp_path, Features(features.keys, features.numbers, replace(features.facts, format=form)))
    states = feature_states(tmp_path, NAME, [partition(), partition("val")])
    assert states["state"].tolist() == [state, "absent"]
    assert bool(states["why"].iloc[0]) == (state == "stale")


def test_splits_come_in_proportion_to_their_people(tmp_path):
    write_features(tmp_path, made("train", 40))
    write_features(tmp_path, made("val", 40, start=1000))
    write_features(tmp_path, made("test", 40, shards="old", start=5000))
    group = Group("fake", (partition(people=300), partition("val", people=100), partition("test", people=100)))
    numbers, states = group_features(tmp_path, NAME, group)
    assert numbers is not None
    is_val = numbers[:, 0] >= 1000
    assert (is_val.sum(), (~is_val).sum()) == (13, 40)
    assert numbers.max() < 5000
    assert states.set_index("split")["state"].to_dict() == {"train": "current", "val": "current", "test": "stale"}
    assert group_features(tmp_path, NAME, group)[0].tolist() == numbers.tolist()
    assert group_features(tmp_path, "none", group)[0] is None


def test_other_files_are_refused_by_name(tmp_path):
    path = tmp_path / "train.parquet"
    path.write_bytes(b"PAR1 and nothing else")
    with pytest.raises(ShardError, match=r"train\.parquet.*no file of image features"):
        read_facts(path)
    pq.write_table(pa.table({"person_key": ["a"]}), path)
    with pytest.raises(ShardError, match="no file of image features"):
        read_features(path)
