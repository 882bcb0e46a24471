"""Large JSON files item by item: the same values as all at once, and their very bytes."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ehps.converters.formats import json_stream
from ehps.converters.formats.json_stream import read_stretch, stream_json
from ehps.converters.raw import compact_numbers
from ehps.errors import RawFileError, RawSchemaError

NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(max_size=4)
ITEMS = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(TEXT, ITEMS, max_size=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("json")


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def expected(content):
    for name, value in content.items():
        yield from ((name, item) for item in value) if isinstance(value, list) else [(name, value)]


@settings(max_examples=40, deadline=None)
@given(
    content=st.dictionaries(TEXT, ITEMS, max_size=4),
    chunk=st.integers(1, 40),
    indent=st.sampled_from([None, 1]),
    ascii_=st.booleans(),
)
def test_any_object_is_read_as_a_whole_reader_reads_it(folder, content, chunk, indent, ascii_):
    path = write(folder / "any.json", json.dumps(content, indent=indent, ensure_ascii=ascii_))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "_CHUNK", chunk)
        assert [(item.name, item.value) for item in stream_json(path)] == list(expected(content))


@settings(max_examples=40, deadline=None)
@given(items=st.lists(OBJECTS, min_size=1, max_size=6), chunk=st.integers(1, 40), data=st.data())
def test_a_stretch_holds_the_items_between_its_bytes(folder, items, chunk, data):
    first = data.draw(st.integers(0, len(items) - 1))
    last = data.draw(st.integers(first, len(items) - 1))
    in_list = write(folder / "list.json", json.dumps({"a": [1], "items": items, "z": {}}, ensure_ascii=False))
    members = write(folder / "members.json", json.dumps({str(i): item for i, item in enumerate(items)}))
    for path, names in ((in_list, [""] * len(items)), (members, [str(i) for i in range(len(items))])):
        found = [item for item in stream_json(path) if path == members or item.name == "items"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(json_stream, "_CHUNK", chunk)
            again = list(read_stretch(path, found[first].start, found[last].stop))
        assert [(item.name, item.value) for item in again] == list(zip(names, items, strict=True))[first : last + 1]
        assert [(item.start, item.stop) for item in again] == [(i.start, i.stop) for i in found[first : last + 1]]


def test_numbers_become_arrays_where_a_hook_makes_them(folder):
    path = write(folder / "hook.json", '{"items": [{"bbox": [1, 2.5], "name": "\u00e9"}]}')
    (item,) = stream_json(path, compact_numbers)
    assert item.value["name"] == "\u00e9"
    np.testing.assert_array_equal(item.value["bbox"], [1, 2.5])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"items": [{"a": 1}, {"b": 2', "at byte"),
        ('{"items": [{"a": 1} {"b": 2}]}', r"expected one of ,\] at byte 20, found {"),
        ('{"items" 3}', "expected one of : at byte 9"),
        ('[{"a": 1}]', "expected one of { at byte 0, found \\["),
        ("", "found the end of the file"),
        ('{"items": [nothing]}', "Expecting value at byte 11"),
    ],
)
def test_what_is_no_json_is_named_with_its_byte(folder, text, problem):
    path = write(folder / "broken.json", text)
    with pytest.raises(RawFileError, match=rf"broken.json: is not JSON \(.*{problem}"):
        list(stream_json(path))


def test_a_missing_member_is_named_and_an_empty_list_is_none_missing(folder):
    path = write(folder / "members.json", '{"images": [], "info": {}}')
    assert [item.name for item in stream_json(path, members=("images",))] == ["info"]
    with pytest.raises(RawSchemaError, match="field 'annotations' should be present, found only images, info"):
        list(stream_json(path, members=("images", "annotations")))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RawFileError, match=r"gone.json: no such file"):
        list(stream_json(tmp_path / "gone.json"))


def test_memory_holds_a_few_chunks_and_not_the_file(folder, monkeypatch):
    path: Path = folder / "large.json"
    line = json.dumps({"id": 1, "name": "a" * 900})
    path.write_text('{"annotations": [' + ", ".join([line] * 1500) + "]}")
    monkeypatch.setattr(json_stream, "_CHUNK", 1 << 16)
    tracemalloc.start()
    count = sum(1 for _ in stream_json(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 1500
    assert path.stat().st_size > 1.3e6
    assert peak < 400e3  # what is left, what comes, and both as one
