"""From a person's box to the pixels that a network sees: the box, its affine map, and one bilinear warp.

A tight box is enlarged, clipped to the picture, widened to the aspect of the network's input (3 : 4) and mapped onto
the crop by an affine map that also carries the augmentation. Pixels stay ``uint8`` up to the tensor. The released code
samples the whole picture, which passes over most pixels of a large person. With a ``reduction`` the picture is first
shrunk by the power of two that still leaves a pixel for each pixel of the crop (JPEG does it while decoding): faster
and nearer to an ideal resampling.

Facts: ``process_bbox`` and ``generate_patch_image`` of the public repository wqyin/SMPLest-X, whose boxes and maps
these reproduce to float precision (pixels to one grey level: OpenCV 4 and 5 interpolate differently).
"""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from ..body.cameras import intrinsics_after_scale
from .augment import NO_AUGMENTATION, Augmentation

FULL_SIZE, HALF_SIZE = (384, 512), (192, 256)  # width, height
ASPECT = 384 / 512
TIGHT_BOX_PADDING = 1.2  # HumanData's boxes, which the released ratio counts on, are this much larger than the person
BOX_RATIO = 1.2 * 0.833
MAX_REDUCTION = 8  # of a JPEG while it is decoded

Picture = UInt8[np.ndarray, "height width 3"]


def padded_box(bbox_xyxy: Float[np.ndarray, "4"], padding: float = TIGHT_BOX_PADDING) -> Float[np.ndarray, "4"]:
    """Return an xyxy box enlarged about its centre."""
    centre, half = (bbox_xyxy[:2] + bbox_xyxy[2:]) / 2, (bbox_xyxy[2:] - bbox_xyxy[:2]) / 2
    return np.concatenate([centre - half * padding, centre + half * padding])


def crop_box(
    bbox_xyxy: Float[np.ndarray, "4"], width: int, height: int, ratio: float = BOX_RATIO
) -> Float[np.ndarray, "4"] | None:
    """Return the xywh box to cut: clipped to the picture, widened to the crop's aspect, times ``ratio``; px.

    None where nothing of the box lies in the picture. The result itself may reach beyond the picture.
    """
    x0, y0 = np.maximum(bbox_xyxy[:2], 0.0)
    # A box of width w covers the pixels x to x + w - 1.
    x1 = min(width - 1.0, x0 + max(0.0, bbox_xyxy[2] - bbox_xyxy[0] - 1))
    y1 = min(height - 1.0, y0 + max(0.0, bbox_xyxy[3] - bbox_xyxy[1] - 1))
    if x1 <= x0 or y1 <= y0:
        return None
    centre = np.array([x0 + x1, y0 + y1]) / 2
    grown = np.array([max(x1 - x0, (y1 - y0) * ASPECT), max(y1 - y0, (x1 - x0) / ASPECT)]) * ratio
    return np.concatenate([centre - grown / 2, grown])


def crop_affine(
    box_xywh: Float[np.ndarray, "4"], size: tuple[int, int], augmentation: Augmentation, width: int
) -> Float[np.ndarray, "2 3"]:
    """Return the affine map from pixels of the picture to pixels of the crop of ``size`` (width, height).

    The box is scaled and turned about its centre; a flip mirrors the picture (of ``width`` px) first.
    """
    half = box_xywh[2:] / 2 * augmentation.scale
    centre = box_xywh[:2] + box_xywh[2:] / 2
    if augmentation.is_flipped:
        centre = np.array([width - 1 - centre[0], centre[1]])
    angle = np.deg2rad(augmentation.rotation)
    right = np.array([np.cos(angle), np.sin(angle)]) * half[0]
    down = np.array([-np.sin(angle), np.cos(angle)]) * half[1]
    out = np.array(size) / 2
    picture_points = np.array([centre, centre + down, centre + right], np.float32)
    crop_points = np.array([out, out + [0, out[1]], out + [out[0], 0]], np.float32)
    affine = cv2.getAffineTransform(picture_points, crop_points)
    return affine @ _mirror(width) if augmentation.is_flipped else affine


def _mirror(width: int) -> Float[np.ndarray, "3 3"]:
    """Return the map from a picture's pixels to those of its mirror image."""
    return np.array([[-1.0, 0.0, width - 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


def move_points(affine: Float[np.ndarray, "2 3"], points: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n 2"]:
    """Return points under an affine map."""
    return points @ affine[:, :2].T + affine[:, 2]


def reduction_for(
    box_xywh: Float[np.ndarray, "4"], size: tuple[int, int], augmentation: Augmentation = NO_AUGMENTATION
) -> int:
    """Return the power of two by which the picture may shrink with a pixel left for each pixel of the crop."""
    pixels_per_pixel = float(np.max(box_xywh[2:] / np.array(size))) * augmentation.scale
    reduction = 1
    while reduction < MAX_REDUCTION and pixels_per_pixel >= 2 * reduction:
        reduction *= 2
    return reduction


def cut(
    picture: Picture, affine: Float[np.ndarray, "2 3"], size: tuple[int, int], shrunk: tuple[float, float] = (1.0, 1.0)
) -> UInt8[np.ndarray, "crop_height crop_width 3"]:
    """Return the crop of ``size`` (width, height) by bilinear sampling; black outside the picture.

    ``affine`` belongs to the stored picture, of which ``picture`` is a copy smaller by the factors ``shrunk``.
    """
    if shrunk != (1.0, 1.0):
        # The same change of pixels as for a camera: edges stay edges, so centres move by half a pixel.
        affine = affine @ intrinsics_after_scale(np.eye(3), *shrunk)
    return cv2.warpAffine(picture, affine, size, flags=cv2.INTER_LINEAR)


def shrunk(picture: Picture, reduction: int) -> UInt8[np.ndarray, "rows columns 3"]:
    """Return a decoded picture smaller by a whole factor, its pixels averaged; 1 returns the picture itself."""
    if reduction == 1:
        return picture
    height, width = picture.shape[:2]
    return cv2.resize(picture, (width // reduction, height // reduction), interpolation=cv2.INTER_AREA)


def shrunk_by(picture: Picture, width: int, height: int, reduction: int) -> tuple[float, float]:
    """Return the factors by which a picture of width x height became smaller when decoded with a reduction.

    JPEG decoders keep the factor and round the size up; OpenCV rounds that of other formats down and stretches.
    """
    rows, columns = picture.shape[:2]
    if (columns, rows) == (-(-width // reduction), -(-height // reduction)):
        return float(reduction), float(reduction)
    return width / columns, height / rows
