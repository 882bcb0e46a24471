"""Random changes of training samples, drawn from their positions in the training order.

The numbers are hashes of (seed, position): the same position gets the same change, whichever worker, rank or resumed
run reads the sample. The first four ranges are those of SMPLer-X and SMPLest-X (public repository wqyin/SMPLest-X,
``get_aug_config``); the others are stronger, and off unless a recipe asks for them. What they do to pixels is in
``effects.py``.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from .permutation import keys_of

STREAM = 0x65687073  # keeps these draws apart from other uses of the same seed
OCCLUDERS = 2  # rectangles of one sample, at most
_SCALE, _ROTATION, _COLOUR, _TONE, _BLUR, _JPEG, _OCCLUSION = 0, 2, 6, 10, 14, 16, 18  # columns of the random numbers
_COLUMNS = _OCCLUSION + 1 + 7 * OCCLUDERS


class Occluder(NamedTuple):
    """A rectangle of one colour in front of the person, in shares of the crop's width and height."""

    x0: float
    y0: float
    width: float
    height: float
    red: float  # 0 to 255
    green: float
    blue: float


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """One drawn change of a sample."""

    scale: float = 1.0
    """Of the box: above 1 the person becomes smaller."""
    rotation: float = 0.0
    """Of the box in the picture, degrees clockwise."""
    is_flipped: bool = False
    colour: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Factors of red, green and blue."""
    brightness: float = 1.0
    """Factor of all."""
    contrast: float = 1.0
    """Factor of the distance from mid-grey."""
    saturation: float = 1.0
    """Factor of the distance from grey of the same luma."""
    hue: float = 0.0
    """Turn of the colours about grey, degrees."""
    blur: float = 0.0
    """Deviation of a Gaussian, px of a crop of 256 px height."""
    jpeg_quality: int = 0
    """Quality at which the crop is compressed once more; 0: it is not."""
    occluders: tuple[Occluder, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AugmentationRange:
    """How far samples are changed; the values of the papers."""

    scale: float = 0.25
    """Factor 1 + scale * n, with n normal and held within [-1, 1]."""
    rotation: float = 30.0
    """Degrees * n, with n normal and held within [-2, 2]."""
    rotation_probability: float = 0.6
    colour: float = 0.2
    """Each channel times a uniform factor in [1 - colour, 1 + colour]."""
    flip_probability: float = 0.5
    brightness: float = 0.0
    """A uniform factor in [1 - brightness, 1 + brightness]; contrast and saturation likewise."""
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    """Uniform in [-hue, hue], degrees."""
    blur_probability: float = 0.0
    blur: float = 2.0
    """Largest deviation of the Gaussian, px of a crop of 256 px height; from 0.3 on, uniform."""
    jpeg_probability: float = 0.0
    jpeg_quality: int = 30
    """Lowest quality; up to 95, uniform."""
    occlusion_probability: float = 0.0
    occlusion: float = 0.4
    """Largest side of a rectangle as a share of the crop's; from a tenth on, uniform. One or two rectangles."""


NO_AUGMENTATION = Augmentation()
NO_RANGE = AugmentationRange(scale=0.0, rotation=0.0, rotation_probability=0.0, colour=0.0, flip_probability=0.0)


def draw(seed: int, position: int, ranges: AugmentationRange = AugmentationRange()) -> Augmentation:
    """Return the augmentation of the sample at a position of the training order."""
    return draw_all(seed, np.array([position]), ranges)[0]


def draw_all(seed: int, positions: Int[np.ndarray, " n"], ranges: AugmentationRange) -> list[Augmentation]:
    """Return the augmentations of the samples at some positions."""
    table = (len(positions), _COLUMNS)
    keys = keys_of(STREAM, seed, np.repeat(positions, _COLUMNS), np.tile(np.arange(_COLUMNS), len(positions)))
    uniform = (keys >> np.uint64(11)).reshape(table) / 2.0**53
    columns = {
        "scale": 1 + ranges.scale * np.clip(_normal(uniform, _SCALE), -1, 1),
        "rotation": _turns(uniform, ranges),
        "is_flipped": uniform[:, _ROTATION + 3] < ranges.flip_probability,
        "colour": [tuple(row) for row in _around(uniform[:, _COLOUR : _COLOUR + 3], ranges.colour).tolist()],
        "brightness": _around(uniform[:, _TONE], ranges.brightness),
        "contrast": _around(uniform[:, _TONE + 1], ranges.contrast),
        "saturation": _around(uniform[:, _TONE + 2], ranges.saturation),
        "hue": ranges.hue * (2 * uniform[:, _TONE + 3] - 1),
        "blur": _sometimes(uniform[:, _BLUR:], ranges.blur_probability)
        * _between(uniform[:, _BLUR + 1], 0.3, ranges.blur),
        "jpeg_quality": _qualities(uniform, ranges),
        "occluders": _occluders(uniform, ranges),
    }
    lists = [column.tolist() if isinstance(column, np.ndarray) else column for column in columns.values()]
    return [Augmentation(**dict(zip(columns, row, strict=True))) for row in zip(*lists, strict=True)]


def _normal(uniform: Float64[np.ndarray, "n columns"], column: int) -> Float64[np.ndarray, " n"]:
    """Return normal numbers from two columns (Box and Muller), rounded to what every processor agrees upon."""
    radius = np.sqrt(-2 * np.log1p(-uniform[:, column]))
    return (radius * np.cos(2 * np.pi * uniform[:, column + 1])).astype(np.float32).astype(np.float64)


def _turns(uniform: Float64[np.ndarray, "n columns"], ranges: AugmentationRange) -> Float64[np.ndarray, " n"]:
    """Return rotations, degrees."""
    turns = ranges.rotation * np.clip(_normal(uniform, _ROTATION), -2, 2)
    return np.where(uniform[:, _ROTATION + 2] < ranges.rotation_probability, turns, 0.0)


def _around(uniform: Float64[np.ndarray, "*n"], reach: float) -> Float64[np.ndarray, "*n"]:
    """Return uniform factors about 1."""
    return 1 + reach * (2 * uniform - 1)


def _between(uniform: Float64[np.ndarray, "*n"], low: float, high: float) -> Float64[np.ndarray, "*n"]:
    """Return uniform numbers between two."""
    return low + (high - low) * uniform


def _sometimes(uniform: Float64[np.ndarray, "n columns"], probability: float) -> Bool[np.ndarray, " n"]:
    """Return for which samples something happens, by the first column."""
    return uniform[:, 0] < probability


def _qualities(uniform: Float64[np.ndarray, "n columns"], ranges: AugmentationRange) -> Int[np.ndarray, " n"]:
    """Return qualities of compression, 0 for none."""
    quality = _between(uniform[:, _JPEG + 1], ranges.jpeg_quality, 95.999).astype(np.int64)
    return quality * _sometimes(uniform[:, _JPEG:], ranges.jpeg_probability)


def _occluders(uniform: Float64[np.ndarray, "n columns"], ranges: AugmentationRange) -> list[tuple[Occluder, ...]]:
    """Return the rectangles of each sample; the second is there in half of the samples that have one."""
    found: list[tuple[Occluder, ...]] = [()] * len(uniform)
    for row in np.flatnonzero(uniform[:, _OCCLUSION] < ranges.occlusion_probability).tolist():
        numbers = uniform[row, _OCCLUSION + 1 :].reshape(OCCLUDERS, 7)
        count = 1 + int(uniform[row, _OCCLUSION] < ranges.occlusion_probability / 2)
        found[row] = tuple(_occluder(numbers[i], ranges.occlusion) for i in range(count))
    return found


def _occluder(numbers: Float[np.ndarray, "7"], most: float) -> Occluder:
    """Return a rectangle somewhere in the crop."""
    width, height = _between(numbers[2:4], min(0.1, most), most).tolist()
    x, y = (numbers[:2] * (1 - np.array([width, height]))).tolist()
    return Occluder(x, y, width, height, *(255 * numbers[4:]).tolist())
