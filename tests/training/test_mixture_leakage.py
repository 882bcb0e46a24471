"""Pictures that a mixture shares with a benchmark."""

import pyarrow as pa
import pytest

from ehps.errors import ShardError
from ehps.shards.leakage import picture_table
from ehps.training.mixture_leakage import mixture_leakage

HASHES = {"a": 0x123456789ABCDEF0, "b": 0x0FEDCBA987654321, "c": 0x5A5AC3C3F00F9966}


def tree(**sources):
    """Return what reads the pictures of sources given as letters of their bytes; a capital is nearly the same."""

    def read(_out, dataset, split):
        letters = sources.get(f"{dataset}_{split}", "")
        if not letters:
            return
        columns = {
            "key": [f"{dataset}-{number}" for number in range(len(letters))],
            "frame_key": [str(number) for number in range(len(letters))],
            "image_blake3": [None if letter == "?" else letter * 64 for letter in letters],
            "image_phash": pa.array([_hash(letter) for letter in letters], pa.uint64()),
        }
        yield picture_table(dataset, split, pa.table(columns))

    return read


def _hash(letter):
    return None if letter == "?" else HASHES[letter.lower()] ^ letter.isupper()


def test_shared_pictures_are_counted_by_source_and_kind(monkeypatch, tmp_path):
    read = tree(agora_train="abA", bedlam_train="c", ehf_test="abbc")
    monkeypatch.setattr("ehps.training.mixture_leakage.read_pictures", read)
    sources = [("agora", "train"), ("bedlam", "train")]
    said = mixture_leakage(sources, [("ehf", "test")], tmp_path)
    assert "leakage: 3 pictures (75.0%) of ehf/test are in agora/train, the same files" in said
    assert "leakage: 1 pictures (25.0%) of ehf/test are in bedlam/train, the same files" in said
    near = mixture_leakage([("mscoco", "train")], [("ehf", "test")], tmp_path)
    assert near == ["leakage: no picture is shared with the benchmarks"]
    monkeypatch.setattr("ehps.training.mixture_leakage.read_pictures", tree(agora_train="A", ehf_test="ac"))
    assert mixture_leakage(sources, [("ehf", "test")], tmp_path) == [
        "leakage: 1 pictures (50.0%) of ehf/test are in agora/train, nearly the same"
    ]


def test_training_on_the_benchmark_itself_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr("ehps.training.mixture_leakage.read_pictures", tree(ehf_test="ab"))
    said = mixture_leakage([("ehf", "test")], [("ehf", "test")], tmp_path)
    assert said[0] == "leakage: the mixture trains on ehf/test itself"


def test_what_cannot_be_judged_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr("ehps.training.mixture_leakage.read_pictures", tree(agora_train="a??", ehf_test="b"))
    said = mixture_leakage([("agora", "train")], [("ehf", "test")], tmp_path)
    assert said == ["leakage: not judged: 2 of 3 pictures of agora/train have no hash"]


def test_a_benchmark_that_is_not_there_is_named(converted):
    with pytest.raises(ShardError, match="run ehps convert agora --split test"):
        mixture_leakage([("bedlam", "train")], [("agora", "test")], converted)


def test_a_converted_tree_is_compared(converted):
    said = mixture_leakage([("bedlam", "train")], [("ehf", "test")], converted)
    assert not any("the same files" in sentence for sentence in said)
