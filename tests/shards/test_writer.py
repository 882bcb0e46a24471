"""A unit appears whole, with the same bytes every time, or not at all."""

import json
import os
import subprocess
import sys
import tarfile
import zlib
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ehps.errors import RecordError, UnitExistsError
from ehps.shards import ustar
from ehps.shards.codec import sample_key
from ehps.shards.digest import digest
from ehps.shards.picture import picture_of
from ehps.shards.record import ARRAY_FIELDS
from ehps.shards.tree import read_unit, sweep_leftovers
from ehps.shards.writer import UnitWriter


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def visible(out: Path) -> list[str]:
    return sorted(name for name in contents(out) if not name.startswith(".tmp")) if out.exists() else []


def put(writer: UnitWriter, frame, key: str | None = None) -> None:
    writer.write(frame, key or sample_key("fake", "train", frame.key), picture_of(frame.image))


def test_the_same_frames_give_the_same_bytes(make, tmp_path):
    first = make.unit(tmp_path / "a", [make.frame(number) for number in range(5)], max_shard_bytes=60_000)
    second = make.unit(tmp_path / "b", [make.frame(number) for number in range(5)], max_shard_bytes=60_000)
    assert contents(first) == contents(second)
    assert len(list(first.glob("*.tar"))) > 1


def test_plain_tarfile_reads_a_strict_ustar_archive(tree):
    tars = sorted(tree.rglob("*.tar"))
    assert len(tars) >= 4
    for path in tars:
        with tarfile.open(path) as archive:
            members = archive.getmembers()
        names = [member.name for member in members]
        assert [name.rpartition(".")[0] for name in names[::3]] == [name.rpartition(".")[0] for name in names[2::3]]
        assert {(m.mtime, m.uid, m.gid, m.mode, m.uname, m.type) for m in members} == {(0, 0, 0, 0o644, "", b"0")}
        assert path.stat().st_size % 512 == 0
        for header in (path.read_bytes()[m.offset : m.offset_data] for m in members):
            assert len(header) == 512
            assert header[257:265] == b"ustar\x0000"


def test_the_sidecar_points_at_the_right_bytes(make, tree):
    path = tree / "fake/train/unit_1/fake-train-unit_1-00000.tar"
    data = path.read_bytes()
    rows = pq.read_table(path.with_suffix(".parquet")).to_pylist()
    assert len(rows) == 6
    for row in rows:
        number = 6 + rows.index(row) // 2
        image = data[row["image_offset"] : row["image_offset"] + row["image_size"]]
        assert image == make.picture(number, "png")
        assert row["image_blake3"] == digest(image)
        assert json.loads(data[row["json_offset"] : row["json_offset"] + row["json_size"]])["frame_index"] == number
        assert data[row["rows_offset"] :].startswith(b"\x93NUMPY")


def test_the_sidecar_holds_the_scalars_and_the_small_labels(make, tree):
    path = tree / "fake/train/unit_0/fake-train-unit_0-00000.parquet"
    full, bare = pq.read_table(path).to_pylist()[2:4]
    person = make.person(1)
    assert full["person_key"] == "fake-train-sequence-cam_1-00001_jpg#0"
    assert (full["label_body"], full["label_face"], full["label_keypoints_2d"]) == ("measured", "synthetic", None)
    assert (full["fx"], full["cy"], full["num_betas"], full["quality_own_measure"]) == (1000.5, 11.5, 11, 0.125)
    assert full["box_height_px"] == full["bbox_y1"] - full["bbox_y0"] == 2
    np.testing.assert_array_equal(full["body_pose"], person.body_pose.ravel())
    assert all(full[f"has_{name}"] and not bare[f"has_{name}"] for name in ARRAY_FIELDS)
    assert (bare["body_pose"], bare["bbox_x0"], bare["gender"]) == (None, None, None)
    assert "joints_3d" not in full


def test_a_person_with_an_own_camera_has_its_numbers_in_the_sidecar(make, tmp_path):
    own = make.camera()
    own.K[0, 0] = 4321.0
    folder = make.unit(tmp_path, [make.frame(people=(make.person(1, camera=own), make.person(2)))])
    rows = pq.read_table(next(folder.glob("*-00000.parquet"))).to_pylist()
    assert [(row["fx"], row["has_own_camera"]) for row in rows] == [(4321.0, True), (1000.5, False)]


def test_the_sidecar_knows_its_tar(tree):
    path = tree / "other/test/only/other-test-only-00000.tar"
    facts = pq.read_schema(path.with_suffix(".parquet")).metadata
    assert facts[b"ehps_tar_blake3"].decode() == digest(path.read_bytes())
    assert int(facts[b"ehps_tar_size"]) == path.stat().st_size


def test_duckdb_reads_the_sidecars_and_the_rejects(tree):
    people = duckdb.sql(f"select sum(len(body_pose)) from read_parquet('{tree}/fake/*/*/fake-*.parquet')").fetchall()
    rejects = duckdb.sql(f"select reason, sum(people) from '{tree}/*/*/*/rejects.parquet' group by 1").fetchall()
    assert people == [(9 * 63,)]
    assert rejects == [("nan_pose", 6)]


def test_unit_json_says_what_the_unit_holds(tree):
    unit = read_unit(tree / "fake/train/unit_0")
    assert (unit["frames"], unit["people"], unit["rejected_people"], unit["rejects"]) == (6, 12, 2, {"nan_pose": 2})
    assert unit["conversion"] == {"converter_version": 3, "options": {"a": "b"}}
    assert unit["checks"] == {"median_reprojection_px": 1.5}
    assert [shard["frames"] for shard in unit["shards"]] == [4, 2]


def test_nothing_is_visible_before_the_commit_and_nothing_stays_after_a_failure(make, tmp_path):
    out = tmp_path / "out"

    def fail_halfway() -> None:
        with UnitWriter(out, "fake", "train", "u", meta={}) as writer:
            put(writer, make.frame())
            assert visible(out) == []
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        fail_halfway()
    assert contents(out) == {}


def test_what_a_killed_writer_left_is_swept_and_a_living_one_is_left_alone(make, tmp_path):
    out = tmp_path / "out"
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom ehps.shards.writer import UnitWriter\n"
        "writer = UnitWriter(Path(sys.argv[1]), 'fake', 'train', 'dead', meta={}).__enter__()\nos._exit(9)"
    )
    process = subprocess.run([sys.executable, "-c", script, str(out)], check=False)
    assert process.returncode == 9
    with UnitWriter(out, "fake", "train", "alive", meta={}) as writer:
        put(writer, make.frame())
        removed = sweep_leftovers(out)
        assert [path.name.split("-")[2] for path in removed] == ["dead"]
        writer.commit()
    assert read_unit(out / "fake/train/alive")["frames"] == 1


def test_of_two_writers_of_a_unit_the_later_one_is_told(make, tmp_path):
    with UnitWriter(tmp_path, "fake", "train", "u", meta={}) as slow:
        put(slow, make.frame(1))
        kept = contents(make.unit(tmp_path, [make.frame(2)], "u"))
        with pytest.raises(UnitExistsError, match="already there and complete"):
            slow.commit()
    assert contents(tmp_path / "fake/train/u") == kept
    with pytest.raises(UnitExistsError):
        make.unit(tmp_path, [make.frame(3)], "u")


def test_a_unit_is_replaced_when_asked(make, tmp_path):
    make.unit(tmp_path, [make.frame(1), make.frame(2)])
    folder = make.unit(tmp_path, [make.frame(3)], replace=True)
    assert read_unit(folder)["frames"] == 1
    assert os.listdir(tmp_path / ".tmp") == []  # noqa: PTH208 - hidden names count


def test_a_unit_of_rejects_only_is_a_unit(make, tmp_path):
    folder = make.unit(tmp_path, [])
    assert sorted(contents(folder)) == ["rejects.parquet", "unit.json"]


def test_two_frames_under_one_key_are_refused(make, tmp_path):
    with UnitWriter(tmp_path, "fake", "train", "u", meta={}) as writer:
        put(writer, make.frame(key="a/b.c"))
        with pytest.raises(RecordError, match=r"'a/b\.c' and 'a/b_c'"):
            put(writer, make.frame(key="a/b_c"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"people": ()}, "people should be at least one person"),
        ({"width": 41}, r"\(width, height\) should be \(40, 24\)"),
    ],
)
def test_a_frame_out_of_contract_is_refused(make, tmp_path, changes, message):
    with UnitWriter(tmp_path, "fake", "train", "u", meta={}) as writer, pytest.raises(RecordError, match=message):
        put(writer, make.frame(**changes))


def test_a_person_out_of_contract_is_refused(make, tmp_path):
    frame = make.frame(people=(make.person(transl=np.full(3, np.nan, np.float32)),))
    with UnitWriter(tmp_path, "fake", "train", "u", meta={}) as writer, pytest.raises(RecordError, match="transl"):
        put(writer, frame)


def test_a_name_that_cannot_be_a_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="unit 'a/b'"):
        UnitWriter(tmp_path, "fake", "train", "a/b", meta={})


def test_a_full_disk_is_an_error_and_leaves_nothing(make, tmp_path, monkeypatch):
    def full(*_) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ustar, "_PORTION", 10_000)
    monkeypatch.setattr(os, "writev", full)

    def write() -> None:
        with UnitWriter(tmp_path, "fake", "train", "u", meta={}) as writer:
            for number in range(40):
                put(writer, make.frame(number))
            writer.commit()

    with pytest.raises(OSError, match="No space left"):
        write()
    assert contents(tmp_path) == {}


def test_a_tar_is_the_same_when_the_system_takes_a_few_bytes_at_a_time(make, tmp_path, monkeypatch):
    frames = [make.frame(number) for number in range(3)]
    whole = contents(make.unit(tmp_path / "a", frames))
    monkeypatch.setattr(os, "writev", lambda descriptor, parts: os.write(descriptor, b"".join(parts)[:1000]))
    monkeypatch.setattr(ustar, "_FLUSH", 2000)
    assert contents(make.unit(tmp_path / "b", frames)) == whole


@settings(deadline=None)
@given(st.integers(0, 5000), st.integers(0, 2**32 - 1))
def test_the_checksum_is_that_of_zlib(size, seed):
    data = np.random.default_rng(seed).bytes(size)
    assert ustar.crc32(data) == zlib.crc32(data)


@given(st.text("ab_-1", min_size=1, max_size=95), st.integers(0, 8**11 - 1))
def test_a_header_is_that_of_tarfile(key, size):
    info = tarfile.TarInfo(f"{key}.json")
    info.size = size
    found = ustar.tar_header(info.name, size)
    assert found == info.tobuf(tarfile.USTAR_FORMAT)


def test_a_shard_of_labels_alone_keeps_its_size(make, tmp_path):
    with UnitWriter(tmp_path, "fake", "train", "u", meta={}, max_shard_bytes=50_000) as writer:
        for number in range(20):
            frame = make.frame(number)
            writer.write(frame, sample_key("fake", "train", frame.key), None)
        tars = sorted(writer.commit().glob("*.tar"))
    assert len(tars) > 2
    assert all(tar.stat().st_size <= 50_000 + 1024 for tar in tars)
    with tarfile.open(tars[0]) as archive:
        assert {name.rpartition(".")[2] for name in archive.getnames()} == {"json", "rows"}
