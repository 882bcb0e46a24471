"""Boxes of people, and the files that list them."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ehps.errors import RawFileError, RawSchemaError
from ehps.training.boxes import pairwise_iou, read_boxes, whole_picture


def written(tmp_path, content):
    path = tmp_path / "boxes.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def numbers(boxes):
    return None if boxes is None else [[*box.bbox_xyxy.tolist(), box.score] for box in boxes]


def test_the_plain_form_maps_names_and_frames_to_boxes(tmp_path):
    boxes = read_boxes(
        written(
            tmp_path, {"sub/a.jpg": [[1, 2, 3, 4.5]], "b": [[1, 2, 30, 40, 0.5], [0, 0, 1, 1]], "7": [], "c.png": []}
        )
    )
    assert len(boxes) == 4
    assert numbers(boxes.boxes_of("sub/a.jpg")) == [[1, 2, 3, 4.5, None]]
    assert numbers(boxes.boxes_of("b.png")) == [[1, 2, 30, 40, 0.5], [0, 0, 1, 1, None]]
    assert numbers(boxes.boxes_of("any.mp4", 7)) == []
    assert boxes.boxes_of("any.mp4", 8) is None
    assert boxes.boxes_of("d.png") is None


def test_frames_of_several_videos_stand_under_the_names_of_the_videos(tmp_path):
    boxes = read_boxes(written(tmp_path, {"u.mp4": {"0": [[1, 2, 3, 4]]}, "v": {"0": [[5, 6, 7, 8]]}}))
    assert numbers(boxes.boxes_of("u.mp4", 0)) == [[1, 2, 3, 4, None]]
    assert numbers(boxes.boxes_of("v.mp4", 0)) == [[5, 6, 7, 8, None]]
    assert boxes.boxes_of("w.mp4", 0) is None


def test_coco_detections_go_by_the_number_in_a_name_and_only_people_count(tmp_path):
    person = {"image_id": 139, "category_id": 1, "bbox": [10, 20, 30, 40], "score": 0.75}
    boxes = read_boxes(written(tmp_path, [person, {**person, "category_id": 18}, {**person, "image_id": 5}]))
    assert numbers(boxes.boxes_of("000000000139.jpg")) == [[10, 20, 40, 60, 0.75]]
    assert numbers(boxes.boxes_of("COCO_val2014_000000000139.jpg")) == [[10, 20, 40, 60, 0.75]]
    assert numbers(boxes.boxes_of("v.mp4", 5)) == [[10, 20, 40, 60, 0.75]]


def test_coco_annotations_go_by_file_name_and_an_image_without_any_holds_nobody(tmp_path):
    images = [{"id": 3, "file_name": "x.jpg"}, {"id": 4, "file_name": "y.jpg"}]
    boxes = read_boxes(written(tmp_path, {"images": images, "annotations": [{"image_id": 3, "bbox": [0, 0, 2, 3]}]}))
    assert numbers(boxes.boxes_of("x.jpg")) == [[0, 0, 2, 3, None]]
    assert numbers(boxes.boxes_of("y.jpg")) == []
    assert boxes.boxes_of("z.jpg") is None


def test_a_file_may_number_people_differently(tmp_path):
    kinds, images = [{"id": 0, "name": "person"}, {"id": 1, "name": "bicycle"}], [{"id": 3, "file_name": "x.jpg"}]
    rows = [{"image_id": 3, "category_id": kind, "bbox": [kind, 0, 2, 3]} for kind in (0, 1)]
    boxes = read_boxes(written(tmp_path, {"images": images, "annotations": rows, "categories": kinds}))
    assert numbers(boxes.boxes_of("x.jpg")) == [[0, 0, 2, 3, None]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"a": [[1, 2, 3]]}, "box 0 of 'a' should be four numbers"),
        ({"a": [[1, 2, 3, "4"]]}, "box 0 of 'a' should be four numbers"),
        ({"a": [[0, 0, 1, 1], [5, 0, 1, 1]]}, "box 1 of 'a' should be x0, y0, x1, y1 with x1 > x0"),
        ({"a": 3}, "'a' should be a list of boxes"),
        ({"a": {"0": {"1": []}}}, "'a/0' should be a list of boxes"),
        ([{"image_id": 1, "category_id": 0, "bbox": [0, 0, 1, 1]}], "category_id should be 1 (a person) in some entry"),
        ([{"image_id": 1}], "entry 0 should be a dict with image_id and bbox"),
        ([{"image_id": 1, "bbox": [0, 0, 0, 1]}], "bbox of entry 0 should be four numbers x, y, width, height"),
        ({"annotations": [], "images": 3}, "images should be a list of dicts with an id"),
        ("3", "the file should be"),
        ('{"a": [[NaN, 0, 1, 1]]}', "box 0 of 'a' should be four numbers"),
    ],
)
def test_what_is_no_box_is_refused_with_its_place(tmp_path, content, said):
    with pytest.raises(RawSchemaError, match=r"boxes\.json") as caught:
        read_boxes(written(tmp_path, content))
    assert said in str(caught.value)


@pytest.mark.parametrize("content", [None, "{", ""])
def test_what_is_no_json_is_refused(tmp_path, content):
    path = tmp_path / "boxes.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(RawFileError, match="cannot be read as JSON"):
        read_boxes(path)


corner, side = st.floats(-100, 100), st.floats(0.5, 100)
box = st.tuples(corner, corner, side, side).map(lambda b: np.array([b[0], b[1], b[0] + b[2], b[1] + b[3]]))


@given(a=box, b=box, shift=st.floats(-50, 50))
def test_overlap_is_symmetric_whole_with_itself_and_the_same_elsewhere(a, b, shift):
    overlap = pairwise_iou(np.stack([a, b]), np.stack([a, b]))
    np.testing.assert_allclose(overlap, overlap.T)
    np.testing.assert_allclose(np.diag(overlap), 1, atol=1e-9)
    np.testing.assert_allclose(overlap, pairwise_iou(np.stack([a, b]) + shift, np.stack([a, b]) + shift), atol=1e-6)


def test_overlap_of_halves_is_a_third():
    found = pairwise_iou(np.array([[0.0, 0, 2, 1]]), np.array([[1.0, 0, 3, 1], [2.0, 0, 3, 1]]))
    np.testing.assert_allclose(found, [[1 / 3, 0]])


def test_the_whole_picture_ends_at_its_last_pixel():
    np.testing.assert_array_equal(whole_picture(320, 240).bbox_xyxy, [0, 0, 319, 239])
