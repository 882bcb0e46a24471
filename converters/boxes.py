"""Boxes around people, hands and faces: computed where the source has none, judged where it has one.

A box is (x1, y1, x2, y2) in pixels of the stored picture, pixel centres at integers, so a box clipped to a picture of
width w lies within 0 and w - 1. NaN rows mean that there is no box. A body box is tight around what is known of the
body; hand and face boxes carry a margin because joints lie inside the flesh.
"""

import numpy as np
from jaxtyping import Bool, Float

# A box thinner than this holds no picture: released loaders drop people whose clipped box is empty.
MIN_BOX_PX = 2.0
# MMHuman3D's converters grow keypoint boxes of hands and faces by this factor; finger joints lie inside the fingers.
PART_MARGIN = 1.2
# Fewer points than this say too little about the extent of a hand or a face.
MIN_PART_POINTS = 4
# Margin within which a body joint counts as held by its box: boxes of owners are tight or padded by up to this factor.
COVERAGE_MARGIN = 1.2


def tight_boxes(points: Float[np.ndarray, "people points 2"]) -> Float[np.ndarray, "people 4"]:
    """Return the smallest box around the finite points of each person; NaN for a person without any."""
    xy = np.ascontiguousarray(np.moveaxis(points, -1, 0))  # numpy is slow where the last axis is as short as two
    known = np.isfinite(xy[0]) & np.isfinite(xy[1])
    low = np.where(known, xy, np.inf).min(axis=2, initial=np.inf)
    high = np.where(known, xy, -np.inf).max(axis=2, initial=-np.inf)
    boxes = np.concatenate([low, high]).T
    return np.where(known.any(axis=1)[:, None], boxes, np.nan)


def clip_boxes(
    boxes: Float[np.ndarray, "people 4"], sizes: Float[np.ndarray, "people 2"]
) -> Float[np.ndarray, "people 4"]:
    """Return boxes cut to their pictures, given as (width, height); a box outside becomes a line or a point."""
    limits = np.concatenate([sizes, sizes], axis=1) - 1
    return np.minimum(np.maximum(boxes, 0), limits)


def scale_boxes(boxes: Float[np.ndarray, "people 4"], factor: float) -> Float[np.ndarray, "people 4"]:
    """Return boxes grown about their centres."""
    centre, half = (boxes[:, 2:] + boxes[:, :2]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    return np.concatenate([centre - factor * half, centre + factor * half], axis=1)


def box_sides(boxes: Float[np.ndarray, "people 4"]) -> Float[np.ndarray, "people 2"]:
    """Return width and height of each box in pixels."""
    return boxes[:, 2:] - boxes[:, :2]


def is_degenerate(
    boxes: Float[np.ndarray, "people 4"], sizes: Float[np.ndarray, "people 2"]
) -> Bool[np.ndarray, " people"]:
    """Return whether a box shows less than two pixels of the picture; False where there is no box."""
    return np.any(box_sides(clip_boxes(boxes, sizes)) < MIN_BOX_PX, axis=1)


def part_boxes(
    points: Float[np.ndarray, "people points 2"], sizes: Float[np.ndarray, "people 2"]
) -> Float[np.ndarray, "people 4"]:
    """Return boxes around hands or faces with their margin, cut to the picture; NaN where too little is visible."""
    boxes = clip_boxes(scale_boxes(tight_boxes(points), PART_MARGIN), sizes)
    enough = (np.isfinite(points[..., 0]) & np.isfinite(points[..., 1])).sum(axis=1) >= MIN_PART_POINTS
    visible = np.all(box_sides(boxes) >= MIN_BOX_PX, axis=1)
    return np.where((enough & visible)[:, None], boxes, np.nan)


def inside(
    points: Float[np.ndarray, "people points 2"], boxes: Float[np.ndarray, "people 4"]
) -> Bool[np.ndarray, "people points"]:
    """Return which points lie in the box of their person; unknown points and boxes hold nothing."""
    held = (points >= boxes[:, None, :2]) & (points <= boxes[:, None, 2:])
    return held[..., 0] & held[..., 1]


def picture_boxes(sizes: Float[np.ndarray, "people 2"]) -> Float[np.ndarray, "people 4"]:
    """Return the box of the whole picture, edge to edge."""
    return np.concatenate([np.full_like(sizes, -0.5), sizes - 0.5], axis=1)


def coverage(
    points: Float[np.ndarray, "people points 2"],
    boxes: Float[np.ndarray, "people 4"],
    sizes: Float[np.ndarray, "people 2"],
) -> Float[np.ndarray, " people"]:
    """Return the share of the visible points that a box with some margin holds; NaN where none is visible."""
    visible = inside(points, picture_boxes(sizes))
    held = visible & inside(points, scale_boxes(boxes, COVERAGE_MARGIN))
    measured = visible.any(axis=1) & np.isfinite(boxes).all(axis=1)
    return np.where(measured, held.sum(axis=1) / np.maximum(visible.sum(axis=1), 1), np.nan)
