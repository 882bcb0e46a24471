"""Which triangle is seen at each pixel: a depth-buffered rasteriser in NumPy.

Camera space is OpenCV's (x right, y down, z forward, metres), pixel centres lie at integers. Every face spreads over
the pixels of its own bounding box, so the cost follows the covered area, not the number of faces.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

NEAREST = 0.05  # metres; faces with a corner nearer than this are not drawn

Fragments = tuple[
    Int[np.ndarray, "fragments 3"],
    Float[np.ndarray, "fragments 3"],
    Int[np.ndarray, " fragments"],
    Int[np.ndarray, " fragments"],
]


def fragments(
    vertices: Float[np.ndarray, "vertices 3"],
    faces: Int[np.ndarray, "faces 3"],
    K: Float[np.ndarray, "3 3"],
    size: tuple[int, int],
) -> Fragments:
    """Return what is seen at each covered pixel: the face's corners, the share of each, the row and the column."""
    height, width = size
    pixels = vertices[:, :2] / np.maximum(vertices[:, 2:], NEAREST) @ K[:2, :2].T.astype(np.float32)
    pixels += K[:2, 2].astype(np.float32)
    faces = faces[facing(vertices, pixels, faces, size)]
    corner = pixels[faces]
    low = np.maximum(np.ceil(corner.min(axis=1)), 0).astype(np.int32)
    high = np.minimum(np.floor(corner.max(axis=1)), [width - 1, height - 1]).astype(np.int32)
    spans = np.maximum(high - low + 1, 0)
    face, column, row = boxes_to_pixels(low, spans)
    share = barycentric(corner, face, column, row)
    inside = (share[:, 0] >= 0) & (share[:, 1] >= 0) & (share[:, 2] >= 0)
    face, column, row, share = face[inside], column[inside], row[inside], share[inside]
    nearness = np.einsum("fc,fc->f", share, 1 / vertices[:, 2][faces][face])
    place = row * width + column
    best = np.zeros(height * width, np.float32)
    np.maximum.at(best, place, nearness)
    seen = np.flatnonzero(best[place] == nearness)
    return faces[face[seen]], share[seen], row[seen], column[seen]


def facing(
    vertices: np.ndarray, pixels: np.ndarray, faces: np.ndarray, size: tuple[int, int]
) -> Bool[np.ndarray, "faces"]:
    """Return which faces are in front of the camera, turned towards it and at least partly in the picture."""
    a, b, c = (pixels[faces[:, i]] for i in range(3))
    turn = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    outside = np.stack([pixels < 0, pixels > np.array(size[::-1]) - 1], axis=1).reshape(-1, 4)
    lost = (outside[faces[:, 0]] & outside[faces[:, 1]] & outside[faces[:, 2]]).any(axis=1)
    ahead = vertices[:, 2] > NEAREST
    return (turn < 0) & ~lost & ahead[faces].all(axis=1)


def boxes_to_pixels(low: np.ndarray, spans: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return every pixel of every box: the box's number, the column and the row."""
    counts = spans[:, 0] * spans[:, 1]
    box = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    inner = np.arange(len(box), dtype=np.int32) - np.repeat(np.cumsum(counts) - counts, counts).astype(np.int32)
    row, column = np.divmod(inner, spans[:, 0][box])
    return box, column + low[:, 0][box], row + low[:, 1][box]


def barycentric(corner: np.ndarray, face: np.ndarray, column: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Return the share of each corner of a face at pixels, negative outside (fragments, 3)."""
    (ax, ay), (bx, by), (cx, cy) = (corner[:, i].T for i in range(3))
    area = (by - cy) * (ax - cx) + (cx - bx) * (ay - cy)
    scale = 1 / np.where(np.abs(area) < 1e-9, np.inf, area)
    x, y = column - cx[face], row - cy[face]
    first = ((by - cy) * scale)[face] * x + ((cx - bx) * scale)[face] * y
    second = ((cy - ay) * scale)[face] * x + ((ax - cx) * scale)[face] * y
    share = np.empty((len(face), 3), np.float32)
    share[:, 0], share[:, 1], share[:, 2] = first, second, 1 - first - second
    return share
