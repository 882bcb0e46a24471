"""Checked access to raw files: every failure names the file, what was expected and what to do."""

import numpy as np
import pytest

from ehps.converters.pictures import assemble
from ehps.converters.raw import (
    are_intrinsics,
    compact_numbers,
    first_dir,
    first_file,
    group_rows,
    list_files,
    load_columns,
    load_json,
    natural_key,
)
from ehps.converters.source import Source, slug
from ehps.errors import RawFileError, RawSchemaError
from ehps.shards.record import Frame, Labels, Person, Provenance, Reject

HERE = Provenance(file="labels.npz", row="0")


@pytest.fixture
def person():
    return Person(provenance=HERE, labels=Labels())


def refused(name: str) -> Reject:
    return Reject(key=name, reason="nan_pose", detail="a NaN in the pose", provenance=HERE)


def write_png(path, width=8, height=6):
    import cv2

    cv2.imwrite(str(path), np.zeros((height, width, 3), np.uint8))


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_intrinsics_of_any_number_of_cameras_are_judged(shape):
    K = np.broadcast_to(np.diag([500.0, 510, 1]), (*shape, 3, 3)).copy()
    assert are_intrinsics(K).shape == shape
    assert are_intrinsics(K).all()
    K[..., 1, 1] = 0
    assert not are_intrinsics(K).any()
    K[..., 1, 1] = np.inf
    assert not are_intrinsics(K).any()


def test_numbers_in_names_sort_as_numbers(tmp_path):
    for name in ("100_a.ply", "02_a.ply", "10_a.ply"):
        (tmp_path / name).touch()
    assert [path.name for path in list_files(tmp_path, "*.ply")] == ["02_a.ply", "10_a.ply", "100_a.ply"]
    assert sorted(["b10", "b9", "a"], key=natural_key) == ["a", "b9", "b10"]


def test_a_pattern_without_files_says_whether_the_folder_is_there(tmp_path):
    with pytest.raises(RawFileError, match=r"\*\.npz: no such file; unpack"):
        list_files(tmp_path, "*.npz")
    with pytest.raises(RawFileError, match="no such folder"):
        list_files(tmp_path / "labels", "*.npz")


def test_the_first_candidate_that_exists_is_taken(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "c").mkdir()
    (tmp_path / "x.json").touch()
    assert first_dir(tmp_path, "a", "b", "c").name == "b"
    assert first_file(tmp_path, "y.json", "x.json").name == "x.json"
    with pytest.raises(RawFileError, match="none of the folders d, e"):
        first_dir(tmp_path, "d", "e")
    with pytest.raises(RawFileError, match=r"none of the files z\.json"):
        first_file(tmp_path, "z.json")


def test_rows_are_grouped_in_first_seen_order():
    assert group_rows(["b", "a", "b"]) == {"b": [0, 2], "a": [1]}


def test_columns_are_loaded_by_name(tmp_path):
    np.savez(tmp_path / "x.npz", pose=np.ones((4, 3)), name=np.array(list("abcd")), unused=np.zeros(7))
    columns = load_columns(tmp_path / "x.npz", {"pose": (3,), "name": ()}, optional={"hands": (None, 3)})
    assert set(columns) == {"pose", "name"}


def test_a_misshapen_column_names_itself(tmp_path):
    np.savez(tmp_path / "x.npz", pose=np.ones((4, 156)))
    with pytest.raises(RawSchemaError, match=r"x\.npz: column 'pose' should be .* \(n, 165\), found \(4, 156\); re"):
        load_columns(tmp_path / "x.npz", {"pose": (165,)}, hint="read the card")


def test_a_missing_column_lists_those_that_are_there(tmp_path):
    np.savez(tmp_path / "x.npz", pose=np.ones((4, 3)))
    with pytest.raises(RawSchemaError, match="'shape' should be present, found only pose"):
        load_columns(tmp_path / "x.npz", {"shape": (11,)})


def test_columns_of_different_length_are_refused(tmp_path):
    np.savez(tmp_path / "x.npz", pose=np.ones((4, 3)), shape=np.ones((3, 11)))
    with pytest.raises(RawSchemaError, match="'shape' should be of 4 rows like 'pose', found 3 rows"):
        load_columns(tmp_path / "x.npz", {"pose": (3,), "shape": (11,)})


def test_a_column_of_words_where_numbers_belong_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz", pose=np.array([["a", "b", "c"]]))
    with pytest.raises(RawSchemaError, match="'pose' should be numbers, found values of type <U1"):
        load_columns(tmp_path / "x.npz", {"pose": (3,)})


def test_pickled_columns_are_refused(tmp_path):
    np.savez(tmp_path / "x.npz", pose=np.array([{"a": 1}], dtype=object))
    with pytest.raises(RawFileError, match="cannot be read as plain arrays"):
        load_columns(tmp_path / "x.npz", {"pose": ()})


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off"])
def test_a_damaged_npz_is_an_error_about_the_file(tmp_path, content):
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(RawFileError, match="cannot be read"):
        load_columns(tmp_path / "x.npz", {"pose": ()})
    with pytest.raises(RawFileError, match="no such file"):
        load_columns(tmp_path / "y.npz", {"pose": ()})


def test_json_that_is_cut_off_is_an_error_about_the_file(tmp_path):
    (tmp_path / "x.json").write_text('{"images": [')
    with pytest.raises(RawFileError, match="is not JSON"):
        load_json(tmp_path / "x.json")
    with pytest.raises(RawFileError, match="no such file"):
        load_json(tmp_path / "y.json")


def test_lists_of_numbers_become_arrays_and_nothing_else_does():
    record = {"a": [1, 2.5], "b": ["x"], "c": [[1]], "d": [], "e": 3, "f": [1, [2]], "g": [1, None], "h": [True]}
    out = compact_numbers(record, drop=frozenset({"e"}))
    assert isinstance(out.pop("a"), np.ndarray)
    assert out == {name: record[name] for name in "bcdfgh"}


def test_unit_names_are_slugs(tmp_path):
    assert slug("20221020-3-8_250_Bmi.hand zoom") == "20221020-3-8_250_bmi-hand-zoom"
    with pytest.raises(AssertionError, match="use slug"):
        Source("Scene A", root=tmp_path, split="train")


def test_everyone_who_goes_into_a_frame_comes_out(tmp_path, person):
    image = tmp_path / "a.png"
    write_png(image)
    reject, frame = assemble("a", image, [person, refused("a/1"), person], HERE)
    assert isinstance(reject, Reject)
    assert isinstance(frame, Frame)
    assert (len(frame.people), frame.width, frame.height) == (2, 8, 6)


def test_a_picture_that_shows_only_rejected_people_makes_no_frame(tmp_path):
    assert list(assemble("a", tmp_path / "none.png", [refused("a/1")], HERE)) == [refused("a/1")]


def test_a_missing_picture_rejects_its_people_together(tmp_path, person):
    (reject,) = assemble("a", tmp_path / "none.png", [person, person], HERE)
    assert (reject.reason, reject.people) == ("missing_image", 2)
    assert "none.png" in reject.detail


def test_a_picture_that_is_cut_off_rejects_its_people(tmp_path, person):
    write_png(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:-9])
    (reject,) = assemble("a", tmp_path / "a.png", [person], HERE)
    assert reject.reason == "damaged_image"


def test_a_picture_of_another_size_rejects_its_people(tmp_path, person):
    write_png(tmp_path / "a.png", 8, 6)
    (reject,) = assemble("a", tmp_path / "a.png", [person], HERE, expected_size=(60, 80), quarter_turns=1)
    assert reject.reason == "image_size"
    assert "6 x 8 pixels, but its labels belong to 60 x 80" in reject.detail
    (frame,) = assemble("a", tmp_path / "a.png", [person], HERE, expected_size=(6, 8), quarter_turns=1)
    assert (frame.width, frame.height) == (6, 8)
