"""Tools that know nothing of ehps read its shards and sidecars.

Heavy packages are opt-in: the tests skip where they are not installed. ``wids`` comes with webdataset up to 0.2.
"""

import io
import json
import shutil
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import webdataset

FRAMES, PEOPLE = 6, 12  # of the unit that these tests read, in two tars
JPEGS_ONLY = "fake/train/unit_0"


@pytest.fixture
def unit(tree) -> Path:
    return tree / JPEGS_ONLY


def tars(unit: Path) -> list[str]:
    return [str(path) for path in sorted(unit.glob("*.tar"))]


def transl(rows: bytes) -> np.ndarray:
    return np.load(io.BytesIO(rows), allow_pickle=False)["transl"][0]


def test_webdataset(make, unit):
    read = [webdataset.WebDataset(tar, shardshuffle=False).decode("rgb8") for tar in tars(unit)]  # pyright: ignore[reportAttributeAccessIssue]
    samples = [sample for samples in read for sample in samples]
    assert [sample["json"]["frame_index"] for sample in samples] == list(range(FRAMES))
    assert {sample["jpg"].shape for sample in samples} == {(make.height, make.width, 3)}
    for number, sample in enumerate(samples):
        np.testing.assert_array_equal(transl(sample["rows"]), make.person(number).transl)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_wids(make, unit, tmp_path):
    wids = pytest.importorskip("wids")
    counts = json.loads((unit / "unit.json").read_text())["shards"]
    shards = [{"url": str(unit / shard["file"]), "nsamples": shard["frames"]} for shard in counts]
    index = {"__kind__": "wids-shard-index-v1", "wids_version": 1, "name": "fake", "shardlist": shards}
    (tmp_path / "index.json").write_text(json.dumps(index))
    samples = wids.ShardListDataset(str(tmp_path / "index.json"), keep=True, cache_dir=str(tmp_path / "cache"))
    assert len(samples) == FRAMES
    assert samples[5][".json"]["people"][0]["track"] == "person 5"
    assert samples[4][".jpg"].size == (make.width, make.height)
    np.testing.assert_array_equal(transl(samples[3][".rows"].read()), make.person(3).transl)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("is_streamed", [True, False])
def test_hugging_face(make, unit, tmp_path, monkeypatch, is_streamed):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    files = {"train": tars(unit)}
    options = {"streaming": True} if is_streamed else {"cache_dir": str(tmp_path / "cache")}
    samples = list(datasets.load_dataset("webdataset", data_files=files, split="train", **options))
    assert [sample["__key__"] for sample in samples] == [
        f"fake-train-sequence-cam_1-{number:05d}_jpg" for number in range(FRAMES)
    ]
    assert samples[2]["jpg"].size == (make.width, make.height)
    assert samples[2]["json"]["people"][0]["quality"]["reprojection_px"] == 3.5
    np.testing.assert_array_equal(transl(samples[2]["rows"]), make.person(2).transl)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_energon(unit, tmp_path):
    energon = pytest.importorskip("megatron.energon")
    from megatron.energon.flavors import BaseWebdatasetFactory  # pyright: ignore[reportMissingImports]

    root = tmp_path / "energon"
    shutil.copytree(unit, root)
    found = BaseWebdatasetFactory.prepare_dataset(
        root,
        [path.name for path in sorted(root.glob("*.tar"))],
        split_parts_ratio=[("train", 1), ("val", 0), ("test", 0)],
        split_parts_patterns=None,
        progress_fn=lambda elements, *_: elements,
        tar_index_only=False,
        shuffle_seed=None,
        workers=1,
    )
    assert found == {"jpg", "json", "rows"}
    (root / ".nv-meta/dataset.yaml").write_text("__module__: megatron.energon\n__class__: CrudeWebdataset\n")
    assert sorted(_energon_indices(energon, root)) == list(range(FRAMES))


def _energon_indices(energon, root: Path) -> list[int]:
    """Return the frame numbers that an Energon loader yields."""

    class Whole(energon.DefaultTaskEncoder):
        decoder = None
        cookers = (energon.Cooker(energon.stateless(lambda sample: sample)),)

        @energon.stateless
        def encode_sample(self, sample):
            return sample

        def batch(self, samples):
            return samples

    samples = energon.get_train_dataset(
        root,
        worker_config=energon.WorkerConfig(rank=0, world_size=1, num_workers=0),
        batch_size=FRAMES,
        shuffle_buffer_size=None,
        max_samples_per_sequence=None,
        task_encoder=Whole(),
        repeat=False,
    )
    return [json.loads(sample["json"])["frame_index"] for batch in energon.get_loader(samples) for sample in batch]


def sidecars(unit: Path) -> list[Path]:
    return sorted(unit.glob("fake-*.parquet"))


def test_pandas_and_pyarrow_open_the_sidecars(unit):
    people = pd.concat([pd.read_parquet(path) for path in sidecars(unit)])
    assert len(people) == PEOPLE == sum(pq.read_table(path).num_rows for path in sidecars(unit))
    assert people["body_pose"].dropna().map(len).tolist() == [63] * (PEOPLE // 2)
    assert people["image_offset"].is_monotonic_increasing is False  # of two tars
    assert set(people["body_model"].dropna()) == {"smplx"}


def test_duckdb_opens_the_sidecars(unit):
    sql = f"select count(*), sum(len(body_pose)), count(distinct key), max(width) from '{unit}/fake-*.parquet'"
    assert duckdb.connect().execute(sql).fetchall() == [(PEOPLE, 63 * PEOPLE // 2, FRAMES, 40)]


@pytest.mark.slow
def test_polars_opens_the_sidecars(unit):
    polars = pytest.importorskip("polars")
    people = polars.read_parquet(f"{unit}/fake-*.parquet")
    assert people.height == PEOPLE
    assert people["body_pose"].list.len().drop_nulls().to_list() == [63] * (PEOPLE // 2)
    assert people["image_crc32"].dtype == polars.UInt32
