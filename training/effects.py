"""What an augmentation does to the pixels of a crop: occlusion, blur and compression on bytes, colour on floats.

Bytes are changed where a sample is read, by functions that give the same bits on every processor. Colour is one
affine map of red, green and blue a sample (factors of the papers; brightness, contrast about mid-grey, saturation and
hue about the grey of the same luma), so it costs one pass on the device that trains.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float32, Float64, UInt8

from .augment import Augmentation

MID_GREY = 127.5
LUMA = np.array([0.299, 0.587, 0.114])  # BT.601, of JPEG pictures
# Luma and the two axes of colour of BT.601, in which hue is an angle and saturation a length.
_TO_CHROMA = np.array([LUMA, [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
_FROM_CHROMA = np.linalg.inv(_TO_CHROMA)
_HEIGHT = 256  # px of the crop that deviations of a blur are said for
_RGB_TO_BGR = (2, 1, 0)


def colour_map(augmentation: Augmentation) -> Float32[np.ndarray, "3 4"]:
    """Return the affine map of colours in 0 to 255 (RGB): a matrix and, in the last column, what is added."""
    return colour_maps([augmentation])[0]


def colour_maps(augmentations: Sequence[Augmentation]) -> Float32[np.ndarray, "samples 3 4"]:
    """Return the maps of colours of several samples."""
    whole = np.zeros((len(augmentations), 3, 4))
    whole[:, [0, 1, 2], [0, 1, 2]] = [augmentation.colour for augmentation in augmentations]
    for map_, augmentation in zip(whole, augmentations, strict=True):
        if augmentation.saturation != 1 or augmentation.hue:
            map_[:, :3] = _chroma_map(augmentation) @ map_[:, :3]
        if augmentation.contrast != 1:
            map_[:, :3] *= augmentation.contrast
            map_[:, 3] = (1 - augmentation.contrast) * MID_GREY
    whole *= np.array([augmentation.brightness for augmentation in augmentations])[:, None, None]
    return whole.astype(np.float32)


def _chroma_map(augmentation: Augmentation) -> Float64[np.ndarray, "3 3"]:
    """Return the matrix that turns and stretches colours about grey and keeps luma."""
    angle = np.deg2rad(augmentation.hue)
    c, s = augmentation.saturation * np.cos(angle), augmentation.saturation * np.sin(angle)
    return _FROM_CHROMA @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ _TO_CHROMA


def apply_effects(planes: UInt8[np.ndarray, "3 height width"], augmentation: Augmentation) -> None:
    """Change the pixels of a crop in place: first what stands in front, then the lens, then the file."""
    for occluder in augmentation.occluders:
        height, width = planes.shape[1:]
        x0, y0 = round(occluder.x0 * width), round(occluder.y0 * height)
        x1, y1 = x0 + round(occluder.width * width), y0 + round(occluder.height * height)
        planes[:, y0:y1, x0:x1] = np.array(occluder[4:]).astype(np.uint8)[:, None, None]
    if augmentation.blur:
        deviation = augmentation.blur * planes.shape[1] / _HEIGHT
        for plane in planes:
            cv2.GaussianBlur(plane, (0, 0), deviation, dst=plane)
    if augmentation.jpeg_quality:
        _compress(planes, augmentation.jpeg_quality)


def _compress(planes: UInt8[np.ndarray, "3 height width"], quality: int) -> None:
    """Write and read a crop as a JPEG, in place."""
    picture = cv2.merge([planes[channel] for channel in _RGB_TO_BGR])
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    found = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if found is None:
        raise ValueError("a crop that was just encoded cannot be decoded")
    for place, channel in enumerate(_RGB_TO_BGR):
        planes[channel] = found[..., place]
