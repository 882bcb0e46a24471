"""The verbs that look after converted trees: verify, gc, stats, diff, leakage, on trees written here."""

import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from ehps.cli.main import app
from ehps.errors import EhpsError, ShardError
from ehps.shards.catalog import build_catalog
from ehps.shards.codec import sample_key
from ehps.shards.picture import encoded_picture
from ehps.shards.record import Frame, Labels, Person, Provenance
from ehps.shards.statistics_file import read_statistics
from ehps.shards.writer import UnitWriter

WIDTH, HEIGHT = 480, 320


def ehps(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def rows(result: Result) -> list[dict]:
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    return [json.loads(line) for line in result.stdout.splitlines()]


def scene(seed: int) -> np.ndarray:
    """A picture with large shapes, of which a hash says something."""
    coarse = np.random.default_rng(seed).integers(20, 230, (5, 7, 3), dtype=np.uint8)
    return cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).astype(np.uint8)


def jpeg(seed: int, quality: int = 90, side: float = 1.0) -> bytes:
    pixels = cv2.resize(scene(seed), None, fx=side, fy=side)
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def write(out: Path, dataset: str, split: str, pictures: dict[str, bytes | None], height: float = 50) -> Path:
    with UnitWriter(out, dataset, split, "unit", meta={"converter_version": 1}) as writer:
        for number, (name, data) in enumerate(pictures.items()):
            picture = None if data is None else encoded_picture(data)
            size = (WIDTH, HEIGHT) if picture is None else (picture.width, picture.height)
            person = Person(
                provenance=Provenance(file="a.json", row=str(number)),
                labels=Labels(body="fitted"),
                bbox_xyxy=np.array([1, 2, 30, 2 + height], np.float32),
            )
            frame = Frame(key=name, image=data or b"", width=size[0], height=size[1], people=(person,))
            writer.write(frame, sample_key(dataset, split, name), picture)
        writer.commit()
    return out


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A training set that holds two pictures of a benchmark, one of them recompressed at half the size."""
    out = tmp_path_factory.mktemp("verbs") / "data"
    write(out, "mscoco", "train", {f"train/{n:012d}.jpg": jpeg(n) for n in range(6)})
    test = {
        "test/exact.jpg": jpeg(2),
        "test/near.jpg": jpeg(4, 40, 0.5),
        "test/other.jpg": jpeg(77),
        "test/no.jpg": None,
    }
    write(out, "ehf", "test", test)
    build_catalog(out)
    return out


def test_verify_says_which_byte_is_wrong_and_ends_with_one(data, tmp_path):
    out = Path(shutil.copytree(data, tmp_path / "copy"))
    sound = ehps("verify", "-c", out, "--jobs", 2)
    assert (sound.exit_code, sound.stdout) == (0, "")
    assert "all sound" in sound.stderr
    tar = next(out.rglob("mscoco-*.tar"))
    content = bytearray(tar.read_bytes())
    content[700] ^= 8
    tar.write_bytes(content)
    assert ehps("verify", "-c", out, "--fast").exit_code == 0
    result = ehps("verify", "-c", out, "--json")
    (problem,) = rows(result)
    assert (result.exit_code, problem["path"]) == (1, str(tar))
    assert "train-000000000000_jpg's image" in problem["problem"]
    assert ehps("verify", "-c", out, "-d", "ehf").exit_code == 0
    assert isinstance(ehps("verify", "-c", out, "-d", "bedlam").exception, ShardError)


def test_gc_lists_and_removes_only_when_asked(data, tmp_path):
    out = Path(shutil.copytree(data, tmp_path / "copy"))
    assert ehps("gc", "-c", out, "--json").stdout == ""
    (out / "people-00.npy").write_bytes(b"old index")
    listed = ehps("gc", "-c", out)
    assert "an index of an earlier version" in listed.stdout
    assert "1 leftovers, 9 bytes; ehps gc --delete removes them" in listed.stderr
    assert (out / "people-00.npy").exists()
    (row,) = rows(ehps("gc", "-c", out, "--delete", "--json"))
    assert (row["bytes"], row["removed"]) == (9, True)
    assert not (out / "people-00.npy").exists()


def test_stats_writes_a_file_for_each_source_and_the_card_shows_it(data, tmp_path, monkeypatch):
    out = Path(shutil.copytree(data, tmp_path / "copy"))
    cards = tmp_path / "cards"
    (cards / "ehf").mkdir(parents=True)
    monkeypatch.setattr("ehps.shards.statistics_file.DATASETS_DIR", cards)
    found = rows(ehps("stats", "-c", out, "--json"))
    assert [(row["dataset"], row["split"], row["people"]) for row in found] == [
        ("ehf", "all", 4),
        ("ehf", "test", 4),
        ("mscoco", "all", 6),
        ("mscoco", "train", 6),
    ]
    statistics = read_statistics(out / "ehf" / "stats.json")
    assert statistics is not None
    assert statistics.total.pictures_stored == {"none": 1, "tiled": 3}
    assert "Converted" not in ehps("card", "ehf").stdout
    table = ehps("stats", "ehf", "-c", out, "--card")
    assert "50" in table.stdout
    assert (cards / "ehf/stats.json").read_bytes() == (out / "ehf/stats.json").read_bytes()
    assert "test: 4 people in 4 frames, 0 rejected (0.0%)" in ehps("card", "ehf").stdout
    assert json.loads(ehps("card", "ehf", "--json").stdout)["statistics"]["total"]["people"] == 4
    assert isinstance(ehps("stats", "-c", tmp_path / "gone").exception, EhpsError)


def test_diff_says_what_changed_and_ends_with_one(data, tmp_path):
    other = write(tmp_path / "b", "mscoco", "train", {f"train/{n:012d}.jpg": jpeg(n) for n in range(6)}, height=50.25)
    assert ehps("diff", data, data).exit_code == 0
    result = ehps("diff", data, other, "-d", "mscoco", "--json")
    assert result.exit_code == 1
    assert {row["what"]: (row["count"], row["largest"], row["unit"]) for row in rows(result)} == {
        "bbox_y1": (6, 0.25, "px"),
        "box_height_px": (6, 0.25, "px"),
    }
    assert "they differ" in result.stderr
    assert "bbox_y1" in ehps("diff", data, other, "-d", "mscoco").stdout
    assert ehps("diff", data, other, "-d", "mscoco", "--tolerance", "px=0.25").exit_code == 0
    assert ehps("diff", data, other, "--tolerance", "px=wide").exit_code == 2
    assert isinstance(ehps("diff", data, other, "-d", "bedlam").exception, ShardError)


def test_leakage_lists_exact_and_near_pictures(data, tmp_path):
    arguments = ["leakage", "-c", data, "--train", "mscoco/train", "--test", "ehf"]
    result = ehps(*arguments, "--json", "--out", tmp_path / "pairs.csv", "--sheet", tmp_path / "sheet.png", "--fail")
    assert result.exit_code == 1
    found = {row["kind"]: row for row in rows(result) if "kind" in row}
    assert {kind: (row["test_pictures"], row["test_share"]) for kind, row in found.items()} == {
        "exact": (1, 0.25),
        "near": (1, 0.25),
    }
    assert [(row["unjudged"], row["without_hash"]) for row in rows(result) if "unjudged" in row] == [
        ("test", 1),
        ("train", 0),
    ]
    pairs = list(csv.DictReader((tmp_path / "pairs.csv").open()))
    assert [(row["train_key"], row["test_key"]) for row in pairs] == [
        ("mscoco-train-train-000000000002_jpg", "ehf-test-test-exact_jpg"),
        ("mscoco-train-train-000000000004_jpg", "ehf-test-test-near_jpg"),
    ]
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
    assert "of 4 pictures 1 without BLAKE3, 1 without hash: not fully judged" in result.stderr
    assert ehps(*arguments, "--out", tmp_path / "pairs.parquet").exit_code == 0
    assert pq.read_table(tmp_path / "pairs.parquet").num_rows == 2
    assert len(rows_of(ehps(*arguments, "--out", tmp_path / "pairs.json"), tmp_path / "pairs.json")) == 2
    assert ehps(*arguments, "--out", tmp_path / "pairs.txt").exit_code == 2


def rows_of(result: Result, path: Path) -> list[dict]:
    assert result.exit_code == 0
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_leakage_of_other_folders_and_of_mixtures(data, tmp_path):
    clean = write(tmp_path / "clean", "ehf", "test", {"a.jpg": jpeg(500), "b.jpg": jpeg(501)})
    result = ehps("leakage", "--train", data, "--test", f"{clean}:ehf/test", "--fail")
    assert result.exit_code == 0
    assert "none is shared" in result.stderr
    both = rows(ehps("leakage", "--train", f"{data}:mscoco", "--test", data, "--json"))
    assert {(row["train"], row["test"]) for row in both if "kind" in row} == {
        ("mscoco/train", "ehf/test"),
        ("mscoco/train", "mscoco/train"),
    }
    mixed = ehps("leakage", "-c", data, "--mixture", "five", "--test", "ehf/test", "--json")
    assert {row["kind"] for row in rows(mixed) if "kind" in row} == {"exact", "near"}
    assert "is not converted: not judged" in mixed.stderr


def test_leakage_needs_both_sides_and_names_what_is_missing(data):
    assert ehps("leakage", "-c", data, "--test", "ehf").exit_code == 2
    assert ehps("leakage", "--train", "mscoco", "--test", "ehf").exit_code == 2
    gone = ehps("leakage", "-c", data, "--train", "bedlam", "--test", "ehf").exception
    assert "holds nobody of bedlam" in str(gone)
