"""A stand-in for ONNX Runtime's session on a YOLOX file."""

from types import SimpleNamespace

import numpy as np

from ehps.training.detector import STRIDES

SIDE = 64  # px of the input


class Session:
    """Answers people at known boxes of its input, in the layout of an exported YOLOX."""

    def __init__(self, people=(), shape=(1, 3, SIDE, SIDE), columns=85):
        self.people, self.shape, self.columns = people, list(shape), columns

    def get_inputs(self):
        return [SimpleNamespace(name="images", shape=self.shape)]

    def run(self, outputs, feeds):
        assert outputs is None
        (self.seen,) = feeds.values()
        assert list(feeds) == ["images"]
        return [self._answer()]

    def _answer(self):
        counts = [(SIDE // stride) ** 2 for stride in STRIDES]
        answer = np.zeros((1, sum(counts), self.columns), np.float32)
        for box, stride, scores in self.people:
            centre = (np.array(box[:2]) + box[2:]) / 2 / stride
            column, row = np.floor(centre).astype(int)
            cell = sum(counts[: STRIDES.index(stride)]) + row * (SIDE // stride) + column
            size = np.log((np.array(box[2:]) - box[:2]) / stride)
            answer[0, cell, :7] = [*(centre - [column, row]), *size, *scores]
        return answer
