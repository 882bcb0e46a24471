"""From a person's box to the affine map of the crop that a network sees; ``shards/cutting.py`` makes its pixels.

A tight box is enlarged, clipped to the picture, widened to the aspect of the network's input (3 : 4) and mapped onto
the crop by an affine map that also carries the augmentation. Pixels stay ``uint8`` up to the tensor. The released code
samples the whole picture, which passes over most pixels of a large person: that is the cut's mode ``exact``.

Facts: ``process_bbox`` and ``generate_patch_image`` of the public repository wqyin/SMPLest-X, whose boxes and maps
these reproduce to float precision (pixels to one grey level: OpenCV 4 and 5 interpolate differently).
"""

import math

import numpy as np
from jaxtyping import Float

from .augment import Augmentation

FULL_SIZE, HALF_SIZE = (384, 512), (192, 256)  # width, height
ASPECT = 384 / 512
TIGHT_BOX_PADDING = 1.2  # HumanData's boxes, which the released ratio counts on, are this much larger than the person
BOX_RATIO = 1.2 * 0.833


def padded_box(bbox_xyxy: Float[np.ndarray, "4"], padding: float = TIGHT_BOX_PADDING) -> Float[np.ndarray, "4"]:
    """Return an xyxy box enlarged about its centre."""
    x0, y0, x1, y1 = bbox_xyxy.tolist()
    more_x, more_y = (x1 - x0) / 2 * (padding - 1), (y1 - y0) / 2 * (padding - 1)
    return np.array([x0 - more_x, y0 - more_y, x1 + more_x, y1 + more_y])


def crop_box(
    bbox_xyxy: Float[np.ndarray, "4"], width: int, height: int, ratio: float = BOX_RATIO
) -> Float[np.ndarray, "4"] | None:
    """Return the xywh box to cut: clipped to the picture, widened to the crop's aspect, times ``ratio``; px.

    None where nothing of the box lies in the picture. The result itself may reach beyond the picture.
    """
    left, top, right, bottom = bbox_xyxy.tolist()
    x0, y0 = max(left, 0.0), max(top, 0.0)
    # A box of width w covers the pixels x to x + w - 1.
    x1 = min(width - 1.0, x0 + max(0.0, right - left - 1))
    y1 = min(height - 1.0, y0 + max(0.0, bottom - top - 1))
    if not (x1 > x0 and y1 > y0):
        return None
    box_width = max(x1 - x0, (y1 - y0) * ASPECT) * ratio
    box_height = max(y1 - y0, (x1 - x0) / ASPECT) * ratio
    return np.array([(x0 + x1 - box_width) / 2, (y0 + y1 - box_height) / 2, box_width, box_height])


def crop_affine(
    box_xywh: Float[np.ndarray, "4"], size: tuple[int, int], augmentation: Augmentation, width: int
) -> Float[np.ndarray, "2 3"]:
    """Return the affine map from pixels of the picture to pixels of the crop of ``size`` (width, height).

    The box is scaled and turned about its centre; a flip mirrors the picture (of ``width`` px) first.
    """
    x, y, box_width, box_height = box_xywh.tolist()
    centre_x, centre_y = x + box_width / 2, y + box_height / 2
    if augmentation.is_flipped:
        centre_x = width - 1 - centre_x
    angle = math.radians(augmentation.rotation)
    across, down = (
        side / (edge * augmentation.scale) for side, edge in zip(size, (box_width, box_height), strict=True)
    )
    a, b = across * math.cos(angle), across * math.sin(angle)
    c, d = -down * math.sin(angle), down * math.cos(angle)
    left, top = size[0] / 2 - a * centre_x - b * centre_y, size[1] / 2 - c * centre_x - d * centre_y
    if augmentation.is_flipped:  # a pixel at x lies at width - 1 - x of the mirrored picture
        left, top, a, c = left + a * (width - 1), top + c * (width - 1), -a, -c
    return np.array([[a, b, left], [c, d, top]])


def move_points(
    affine: Float[np.ndarray, "*maps 2 3"], points: Float[np.ndarray, "*maps n 2"]
) -> Float[np.ndarray, "*maps n 2"]:
    """Return points under affine maps, each with its own points."""
    return points @ np.swapaxes(affine[..., :2], -1, -2) + affine[..., None, :, 2]
