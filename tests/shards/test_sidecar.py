"""The sidecar says of everyone what the record says, whoever else is in the frame and however rows are collected."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ehps.errors import ShardError
from ehps.shards import sidecar_rows
from ehps.shards.codec import frame_meta
from ehps.shards.jpeg import map_tiles
from ehps.shards.phash import perceptual_hash
from ehps.shards.picture import encode_jpeg, encoded_picture, picture_of
from ehps.shards.reader import ShardReader
from ehps.shards.record import ARRAY_FIELDS, SHAPES, Camera, Frame, Labels, Person, Provenance, numbers_of
from ehps.shards.sidecar import LIST_MEANINGS, read_sidecar, sidecar_columns, write_table
from ehps.shards.sidecar_rows import SidecarRows
from ehps.shards.ustar import Place
from ehps.shards.writer import UnitWriter

K = np.array([[1500.0, 0, 320], [0, 1501, 240], [0, 0, 1]])


def rows_of(frames: Sequence[Frame], row_group: int = 16_384) -> list[dict]:
    """Return the sidecar of some frames without pictures."""
    rows = SidecarRows("a.tar")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sidecar_rows, "ROW_GROUP", row_group)
        for number, frame in enumerate(frames):
            numbers = [numbers_of(person) for person in frame.people]
            meta = frame_meta(frame, None, numbers, dataset="fake", split="val", unit="u", key=f"k{number}")
            rows.add(meta, numbers, None, None, [Place(512, 100 + number, 7), Place(1536, 200, 8)])
        return rows.table().to_pylist()


# Choices only: records are made in the test, because checking their types draws random numbers.
PEOPLE = st.fixed_dictionaries(
    {
        "names": st.frozensets(st.sampled_from(ARRAY_FIELDS)),
        "number": st.integers(0, 1000),
        "width": st.sampled_from([10, 16]),
        "body": st.sampled_from([None, "fitted"]),
        "has_camera": st.booleans(),
        "scalars": st.fixed_dictionaries(
            {
                "body_model": st.sampled_from([None, "smplx"]),
                "kid_weight": st.sampled_from([None, 0.5]),
                "track": st.sampled_from([None, "t"]),
                "quality": st.dictionaries(st.sampled_from(["truncation", "a", "b"]), st.sampled_from([0.5, np.nan])),
            }
        ),
    }
)
CROWDS = st.lists(st.lists(PEOPLE, min_size=1, max_size=3), min_size=1, max_size=4)


def person_of(names, number, width, body, has_camera, scalars) -> Person:
    shapes = {name: [width if size is None else size for size in SHAPES[name]] for name in names}
    return Person(
        provenance=Provenance(file="f", row=str(number)),
        labels=Labels(body=body),
        camera=Camera(K=2 * K, kind="virtual_crop") if has_camera else None,
        **{name: number + np.arange(np.prod(s), dtype=np.float32).reshape(s) for name, s in shapes.items()},
        **scalars,
    )


def frame_of(number: int, crowd) -> Frame:
    everyone = tuple(person_of(**choices) for choices in crowd)
    camera = Camera(K=K, kind="measured")
    return Frame(key=f"f{number}", image=b"", width=640, height=480, people=everyone, camera=camera)


@settings(deadline=None, max_examples=60)
@given(CROWDS, st.integers(1, 5))
def test_everyone_has_a_row_that_says_what_the_record_says(crowds, row_group):
    found = [frame_of(number, crowd) for number, crowd in enumerate(crowds)]
    rows = rows_of(found, row_group)
    everyone = [(number, index, one) for number, frame in enumerate(found) for index, one in enumerate(frame.people)]
    assert [row["person_key"] for row in rows] == [f"k{number}#{index}" for number, index, _ in everyone]
    for row, (number, _, person) in zip(rows, everyone, strict=True):
        check_numbers(row, person)
        fx = 3000.0 if person.camera else 1500.0
        assert (row["fx"], row["has_own_camera"]) == (fx, person.camera is not None)
        assert (row["json_size"], row["image_offset"], row["shard"]) == (100 + number, None, "a.tar")
        assert (row["label_body"], row["kid_weight"], row["track"]) == (
            person.labels.body,
            person.kid_weight,
            person.track,
        )
        for name in ("truncation", "a", "b"):
            value = person.quality.get(name, np.nan)
            assert row.get(f"quality_{name}") == (None if np.isnan(value) else value)


def check_numbers(row: dict, person: Person) -> None:
    for name in ARRAY_FIELDS:
        assert row[f"has_{name}"] == (getattr(person, name) is not None)
    for name in LIST_MEANINGS:
        value = getattr(person, name)
        assert row[name] == (None if value is None else value.ravel().tolist())
    box = person.bbox_xyxy
    assert row["bbox_y1"] == (None if box is None else box[3])
    assert row["box_height_px"] == (None if box is None else box[3] - box[1])
    assert row["num_betas"] == (None if person.betas is None else len(person.betas))


def test_rows_do_not_depend_on_where_a_batch_ends(make):
    frames = [make.frame(number) for number in range(5)]
    frames.append(make.frame(5, (make.person(5, quality={"late": 1.0}),)))
    whole = rows_of(frames)
    assert [rows_of(frames, row_group) for row_group in (1, 3, 4)] == [whole] * 3
    assert [row["quality_late"] for row in whole][-2:] == [None, 1.0]


def test_tiles_and_hashes_are_those_of_the_picture(make, tmp_path):
    pixels = np.random.default_rng(1).integers(0, 255, (70, 90, 3), dtype=np.uint8)
    picture = encoded_picture(encode_jpeg(pixels))
    frame = make.frame(0, (make.person(), make.bare()), width=90, height=70)
    with UnitWriter(tmp_path, "fake", "train", "u", meta={}) as writer:
        writer.write(frame, "fake-train-f", picture)
        folder = writer.commit()
    first, second = pq.read_table(next(folder.glob("fake*.parquet"))).to_pylist()
    tiles = map_tiles(picture.data)
    for name in ("mcu_width", "mcu_height", "restart_mcus", "header_size", "header_crc32"):
        assert first[f"tile_{name}"] == getattr(tiles, name)
    assert first["tile_row_offsets"] == tiles.row_offsets.tolist()
    assert first["tile_row_crc32"] == tiles.row_crc32.tolist()
    assert {value for name, value in second.items() if name.startswith("tile_")} == {None}
    assert first["image_phash"] == second["image_phash"] == perceptual_hash(picture.luma)
    assert first["image_blake3"] == picture.blake3
    with ShardReader(next(folder.glob("*.tar"))) as reader:
        found = reader.person(1).frame.tiles
        assert (found.width, found.height) == (90, 70)
        np.testing.assert_array_equal(found.row_offsets, tiles.row_offsets)


def test_a_png_has_no_tiles(make, tmp_path):
    folder = make.unit(tmp_path, [make.frame(0, ext="png")])
    rows = pq.read_table(next(folder.glob("fake*.parquet"))).to_pylist()
    assert {row["tile_row_offsets"] for row in rows} == {None}


def test_labels_alone_are_a_sample_without_picture(make, tmp_path, assert_same):
    frame = make.frame(3)
    with UnitWriter(tmp_path, "fake", "train", "u", meta={}) as writer:
        writer.write(frame, "fake-train-f", None)
        folder = writer.commit()
    rows = pq.read_table(next(folder.glob("fake*.parquet"))).to_pylist()
    assert {row[name] for row in rows for name in row if name.startswith("image_")} == {None}
    with ShardReader(next(folder.glob("*.tar"))) as reader:
        assert reader.person(0).width == make.width
        np.testing.assert_array_equal(reader.person(0).joints_3d, make.person(3).joints_3d)
        with pytest.raises(ShardError, match="--images none"):
            reader.image_bytes(0)


def test_every_column_says_what_it_means(tree):
    schema = pq.read_schema(next(tree.glob("fake/*/unit_0/fake*.parquet")))
    assert all((field.metadata or {}).get(b"comment") for field in schema)
    assert schema.names == [column.name for column in sidecar_columns(["own_measure"])]


def test_floats_are_split_by_bytes_and_never_a_dictionary(tree):
    group = pq.ParquetFile(next(tree.glob("fake/*/unit_0/fake*.parquet"))).metadata.row_group(0)
    columns = [group.column(i) for i in range(group.num_columns)]
    floats = [column for column in columns if column.physical_type == "FLOAT"]
    assert len(floats) > 30
    assert all("BYTE_STREAM_SPLIT" in column.encodings for column in floats)
    assert not any("RLE_DICTIONARY" in column.encodings for column in floats)


@pytest.mark.parametrize(("version", "advice"), [("1", "convert the unit again"), ("4", "update ehps")])
def test_a_sidecar_of_another_format_is_refused(tmp_path, version, advice):
    path = tmp_path / "a.parquet"
    write_table(path, pa.table({"key": ["k"]}), {"ehps_format": version})
    with pytest.raises(ShardError, match=f"the shard has format {version}.*{advice}"):
        read_sidecar(path)


def test_a_picture_that_was_copied_without_a_look_has_no_perceptual_hash(make, tmp_path):
    folder = make.unit(tmp_path, [make.frame(0)])
    assert picture_of(make.picture(0)).luma is None
    rows = pq.read_table(next(folder.glob("fake*.parquet"))).to_pylist()
    assert {row["image_phash"] for row in rows} == {None}


def test_damage_is_a_sentence_whatever_arrow_raises(tmp_path):
    rng = np.random.default_rng(4)
    sound = pa.table({"person_key": [f"person {n}" for n in range(50)], "fx": np.arange(50, dtype=np.float32)})
    write_table(path := tmp_path / "a.parquet", sound, {"ehps_format": "2"})
    data, refused = path.read_bytes(), 0
    for place in rng.integers(4, len(data), 300).tolist():
        broken = bytearray(data)
        broken[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(broken)
        try:
            read_sidecar(path)
        except ShardError as error:
            refused += str(path) in str(error)
    assert refused > 100
