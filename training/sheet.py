"""The first batch as a picture: what the network is about to see, with the labels that it will be held against."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from ..body.draw import contact_sheet, draw_skeleton
from ..body.joints import SUPERVISION_JOINTS
from ..shards.picture import encode_png
from .batches import Batch, float_images
from .compat import GRID_HEIGHT, GRID_WIDTH

MOST_TILES = 24


def first_batch_sheet(batch: Batch, columns: int = 6) -> UInt8[np.ndarray, "height width 3"]:
    """Return the crops of a batch as the network sees them, colour jitter included, their supervised joints drawn in.

    The caption of each says its key and which parts are labelled: pose, betas, 3D.
    """
    images = (float_images(batch.crops, batch.colour) * 255).byte().permute(0, 2, 3, 1).cpu().numpy()
    grids, seen = batch.targets.joints_grid.cpu().numpy(), batch.validity.joints.cpu().numpy()
    tiles = []
    for i, image in enumerate(images[:MOST_TILES]):
        size = np.array([image.shape[1] / GRID_WIDTH, image.shape[0] / GRID_HEIGHT], np.float32)
        drawn = draw_skeleton(np.ascontiguousarray(image), grids[i] * size, SUPERVISION_JOINTS, confidence=seen[i])
        tiles.append((drawn, _caption(batch, i)))
    return contact_sheet(tiles, columns)


def _caption(batch: Batch, i: int) -> str:
    """Return the key of a sample and its labelled parts."""
    marks = {"p": batch.validity.pose[i].any(), "b": batch.validity.betas[i], "3": batch.validity.joints_3d[i].any()}
    return "".join(mark for mark, on in marks.items() if on) + " " + batch.keys[i][-30:]


def write_first_batch(path: Path, batch: Batch) -> None:
    """Write the sheet as PNG."""
    path.write_bytes(encode_png(first_batch_sheet(batch)))
