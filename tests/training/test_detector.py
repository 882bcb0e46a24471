"""YOLOX's answers as boxes: a stand-in for ONNX Runtime answers what the exported network would."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from ehps.errors import MissingExtraError, RawFileError
from ehps.tests.training._yolox import SIDE, Session
from ehps.training.detector import STRIDES, YoloxDetector


def found(session, picture=None, **options):
    picture = np.zeros((SIDE, SIDE, 3), np.uint8) if picture is None else picture
    return YoloxDetector("yolox.onnx", session=session, **options)(picture)


def test_boxes_of_every_stride_come_out_where_they_are():
    boxes = [[3.0, 5, 11, 30], [20.0, 21, 50, 60], [40.0, 2, 60, 40]]
    session = Session(
        [(box, stride, (0.9, 0.9 - i / 10, 0)) for i, (box, stride) in enumerate(zip(boxes, STRIDES, strict=True))]
    )
    people = found(session)
    np.testing.assert_allclose([one.bbox_xyxy for one in people], boxes, atol=1e-4)
    np.testing.assert_allclose([one.score for one in people], [0.81, 0.72, 0.63], atol=1e-6)


def test_boxes_are_those_of_the_picture_before_it_was_fitted():
    picture = np.zeros((128, 256, 3), np.uint8)
    people = found(Session([([10.0, 5, 30, 30], 8, (1, 1, 0))]), picture)
    np.testing.assert_allclose(people[0].bbox_xyxy, [40, 20, 120, 120], atol=1e-4)


def test_the_network_reads_bgr_in_the_upper_left_corner_on_gray():
    picture = np.zeros((32, 64, 3), np.uint8) + np.array([10, 20, 30], np.uint8)
    session = Session()
    assert found(session, picture) == []
    assert session.seen.shape == (1, 3, SIDE, SIDE)
    assert session.seen.dtype == np.float32
    np.testing.assert_array_equal(session.seen[0, :, 0, 0], [30, 20, 10])
    np.testing.assert_array_equal(session.seen[0, :, 31, 63], [30, 20, 10])
    np.testing.assert_array_equal(session.seen[0, :, 32, 0], [114, 114, 114])


def test_unsure_boxes_other_classes_and_doubles_are_left_out():
    session = Session(
        [
            ([3.0, 5, 11, 30], 8, (0.9, 0.9, 0)),
            ([3.5, 5, 11, 30], 16, (0.9, 0.8, 0)),  # the same person once more
            ([40.0, 5, 50, 30], 8, (0.5, 0.5, 0)),
            ([40.0, 40, 50, 60], 8, (0.9, 0.1, 0.9)),  # a bicycle
        ]
    )
    assert len(found(session)) == 1
    assert len(found(session, min_score=0.2)) == 2


def test_a_network_of_another_kind_is_refused():
    with pytest.raises(RawFileError, match="should take 1 x 3 x height x width"):
        found(Session(shape=(1, 3, "height", "width")))
    with pytest.raises(RawFileError, match=r"should answer 1 x 84 x 85, answers 1 x 84 x 7"):
        found(Session(columns=7))


def test_without_onnx_runtime_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'ehps\[detect\]'"):
        YoloxDetector(tmp_path / "yolox_x.onnx")


def test_the_file_is_opened_on_the_gpu_where_there_is_one(tmp_path, monkeypatch):
    opened = []

    def open_session(path, providers):
        opened.append(providers)
        return Session()

    providers = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    runtime = SimpleNamespace(InferenceSession=open_session, get_available_providers=lambda: providers)
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    with pytest.raises(RawFileError, match="there is no such detector"):
        YoloxDetector(tmp_path / "yolox_x.onnx")
    (tmp_path / "yolox_x.onnx").write_bytes(b"x")
    YoloxDetector(tmp_path / "yolox_x.onnx")
    assert opened == [["CUDAExecutionProvider", "CPUExecutionProvider"]]


def test_a_file_that_onnx_runtime_refuses_is_named(tmp_path, monkeypatch):
    def refuse(path, providers):
        raise RuntimeError("INVALID_PROTOBUF\nmore")

    runtime = SimpleNamespace(InferenceSession=refuse, get_available_providers=lambda: ["CPUExecutionProvider"])
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    (tmp_path / "a.onnx").write_bytes(b"x")
    with pytest.raises(RawFileError, match=r"cannot be opened as ONNX \(INVALID_PROTOBUF\)"):
        YoloxDetector(tmp_path / "a.onnx")
