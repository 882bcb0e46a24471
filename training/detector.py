"""A detector of people: YOLOX as its owners export it, run by ONNX Runtime.

Both are permissively licensed: ONNX Runtime is MIT and comes from PyPI (``pip install 'ehps[detect]'``), YOLOX and its
weights are Apache-2.0. The weights are one file that the user downloads from the owner's release page, ``yolox_x.onnx``
(51.1 AP on COCO, 378 MB) down to ``yolox_tiny.onnx`` (20 MB): ehps downloads nothing. Any other detector serves as
well through a file of boxes (``boxes.read_boxes``) or, in Python, as a callable from a picture to boxes.

Facts of the exported network (public repository Megvii-BaseDetection/YOLOX, release 0.1.1rc0, demo/ONNXRuntime): one
picture of 1 x 3 x height x width, float32, BGR, 0 to 255; the picture lies scaled in the upper left corner, the rest is
114. It answers 1 x cells x 85 over grids of stride 8, 16 and 32, row by row: the centre as an offset from the cell and
the logarithm of width and height, both in strides; then the scores of "an object" and of COCO's 80 classes, of which
person is the first.
"""

import warnings
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

from ..errors import MissingExtraError, RawFileError
from .boxes import Box, pairwise_iou

MIN_SCORE = 0.3
MOST_OVERLAP = 0.45  # of two boxes of different people
STRIDES = (8, 16, 32)
_GROUND = 114
_CENTRE, _SIZE, _OBJECT, _PERSON = slice(0, 2), slice(2, 4), 4, 5
_COLUMNS = 85
WEIGHTS = "https://github.com/Megvii-BaseDetection/YOLOX/tree/main/demo/ONNXRuntime"


class YoloxDetector:
    """People in pictures, found by a YOLOX file; call it with a picture."""

    def __init__(self, path: Path | str, min_score: float = MIN_SCORE, session: Any = None) -> None:
        """``session`` may stand in for ONNX Runtime's; without it the file is opened, on a GPU where one can be used.

        MissingExtraError without ONNX Runtime, RawFileError where the file is no YOLOX network.
        """
        self.path, self.min_score = Path(path), min_score
        self._session = session or _session(self.path)
        given = self._session.get_inputs()[0]
        self._input, shape = given.name, list(given.shape)
        if len(shape) != 4 or shape[1] != 3 or not all(isinstance(side, int) for side in shape[2:]):
            raise RawFileError(path, f"should take 1 x 3 x height x width, takes {shape}", f"YOLOX is at {WEIGHTS}")
        self.height, self.width = shape[2:]

    def __call__(self, picture: UInt8[np.ndarray, "height width 3"]) -> list[Box]:
        """Return the people of an RGB picture, the surest first."""
        fitted, scale = _fitted(picture, self.width, self.height)
        answer = self._session.run(None, {self._input: fitted})[0]
        cells = _cells(self.width, self.height)
        if answer.shape != (1, len(cells.stride), _COLUMNS):
            found = " x ".join(map(str, answer.shape))
            hint = f"export it as its owners do, or download it: {WEIGHTS}"
            raise RawFileError(self.path, f"should answer 1 x {len(cells.stride)} x {_COLUMNS}, answers {found}", hint)
        boxes, scores = _people(answer[0], cells)
        return _distinct(boxes / scale, scores, self.min_score)


def _session(path: Path) -> Any:
    """Return a YOLOX file opened by ONNX Runtime."""
    try:
        runtime = import_module("onnxruntime")
    except ImportError as error:
        raise MissingExtraError("onnxruntime", "detect") from error
    if not path.is_file():
        raise RawFileError(path, "there is no such detector", f"download yolox_x.onnx (Apache-2.0) from {WEIGHTS}")
    wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")
    providers = [name for name in wanted if name in runtime.get_available_providers()]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a provider that cannot start here gives way to the next
            return runtime.InferenceSession(str(path), providers=providers)
    except Exception as error:
        reason = str(error).strip().split("\n")[0]
        raise RawFileError(path, f"cannot be opened as ONNX ({reason})", f"download it again from {WEIGHTS}") from error


def _fitted(
    picture: UInt8[np.ndarray, "height width 3"], width: int, height: int
) -> tuple[Float32[np.ndarray, "1 3 rows columns"], float]:
    """Return the picture as the network reads it, and by how much it was scaled."""
    scale = min(width / picture.shape[1], height / picture.shape[0])
    size = max(int(picture.shape[1] * scale), 1), max(int(picture.shape[0] * scale), 1)
    ground = np.full((height, width, 3), _GROUND, np.uint8)
    ground[: size[1], : size[0]] = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(ground[None, :, :, ::-1].transpose(0, 3, 1, 2), np.float32), scale


class _Cells(NamedTuple):
    """Where the network looks."""

    corner: Float[np.ndarray, "cells 2"]  # x, y, in strides
    stride: Float[np.ndarray, " cells"]  # px


def _cells(width: int, height: int) -> _Cells:
    """Return the cells of an input, in the order of the answer."""
    corners, strides = [], []
    for stride in STRIDES:
        rows, columns = np.mgrid[: height // stride, : width // stride]
        corners.append(np.stack([columns.ravel(), rows.ravel()], axis=1))
        strides.append(np.full(rows.size, float(stride)))
    return _Cells(np.concatenate(corners).astype(np.float64), np.concatenate(strides))


def _people(
    answer: Float[np.ndarray, "cells 85"], cells: _Cells
) -> tuple[Float[np.ndarray, "cells 4"], Float[np.ndarray, " cells"]]:
    """Return the boxes (xyxy, px of the input) and the scores of a person in each cell."""
    answer = answer.astype(np.float64)
    centre = (answer[:, _CENTRE] + cells.corner) * cells.stride[:, None]
    half = np.exp(answer[:, _SIZE]) * cells.stride[:, None] / 2
    return np.concatenate([centre - half, centre + half], axis=1), answer[:, _OBJECT] * answer[:, _PERSON]


def _distinct(boxes: Float[np.ndarray, "cells 4"], scores: Float[np.ndarray, " cells"], min_score: float) -> list[Box]:
    """Return the boxes of different people, the surest first: each drops those that overlap it too much."""
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] >= min_score]
    out = []
    while len(order):
        first, order = order[0], order[1:]
        out.append(Box(boxes[first], float(scores[first])))
        order = order[pairwise_iou(boxes[first][None], boxes[order])[0] <= MOST_OVERLAP]
    return out
