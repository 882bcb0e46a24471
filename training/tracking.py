"""The same number for the same person throughout a video: boxes are joined from frame to frame by their overlap.

Each track foretells its box by moving the last one on at its speed; Hungarian assignment gives the boxes of a frame to
the tracks with the largest total overlap. A track that finds no box goes on for a while, so that a person who was
missed or hidden keeps the number. The method is SORT's (Bewley et al., ICIP 2016) with a speed that is averaged rather
than filtered: people's boxes have no need of more at the rate of a video.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment

from .boxes import Box, BoxRow, pairwise_iou

MIN_OVERLAP = 0.2  # of a box with the foretold one
MOST_MISSED = 30  # frames that a track goes on without a box
NEW_SPEED = 0.5  # weight of the last step in the speed


@dataclass(eq=False)
class _Track:
    """One person on the way through a video."""

    number: int
    bbox_xyxy: BoxRow
    speed: Float[np.ndarray, "2"] | None = None  # px of the centre a frame
    missed: int = 0

    def foretold(self) -> BoxRow:
        """Return where the person should stand in the next frame."""
        if self.speed is None:
            return self.bbox_xyxy
        return self.bbox_xyxy + np.tile(self.speed * (self.missed + 1), 2)

    def take(self, bbox_xyxy: BoxRow) -> None:
        """Go on with the box of this frame."""
        step = (_centre(bbox_xyxy) - _centre(self.bbox_xyxy)) / (self.missed + 1)
        self.speed = step if self.speed is None else (1 - NEW_SPEED) * self.speed + NEW_SPEED * step
        self.bbox_xyxy, self.missed = bbox_xyxy, 0


class Tracker:
    """Numbers the people of one video; frames come in order."""

    def __init__(self, min_overlap: float = MIN_OVERLAP, most_missed: int = MOST_MISSED) -> None:
        self.min_overlap, self.most_missed = min_overlap, most_missed
        self._tracks: list[_Track] = []
        self._next = 0

    def number(self, boxes: Sequence[Box]) -> list[Box]:
        """Return the boxes of the next frame with their tracks, in the same order."""
        chosen = self._assigned(boxes)
        for track in self._tracks:
            track.missed += 1
        for i, box in enumerate(boxes):
            if i in chosen:
                chosen[i].missed -= 1
                chosen[i].take(box.bbox_xyxy)
            else:
                chosen[i] = _Track(self._next, box.bbox_xyxy)
                self._tracks.append(chosen[i])
                self._next += 1
        self._tracks = [track for track in self._tracks if track.missed <= self.most_missed]
        return [box._replace(track=chosen[i].number) for i, box in enumerate(boxes)]

    def _assigned(self, boxes: Sequence[Box]) -> dict[int, _Track]:
        """Return which track each box of a frame goes on with, by its place."""
        if not boxes or not self._tracks:
            return {}
        foretold = np.stack([track.foretold() for track in self._tracks])
        overlap = pairwise_iou(foretold, np.stack([box.bbox_xyxy for box in boxes]))
        # What overlaps too little must not pull the others about.
        worth = np.where(overlap >= self.min_overlap, overlap, 0.0)
        rows, columns = linear_sum_assignment(worth, maximize=True)
        pairs = zip(rows.tolist(), columns.tolist(), strict=True)
        return {column: self._tracks[row] for row, column in pairs if worth[row, column] > 0}


def _centre(bbox_xyxy: BoxRow) -> Float[np.ndarray, "2"]:
    """Return the middle of a box."""
    return (bbox_xyxy[:2] + bbox_xyxy[2:]) / 2
