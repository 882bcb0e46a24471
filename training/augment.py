"""Random changes of a training sample, drawn from its position in the training order.

The numbers come from Philox, a generator that can be asked for any place of its sequence: the same seed and position
give the same augmentation, whichever worker, rank or resumed run reads the sample. Ranges are those of SMPLer-X and
SMPLest-X (public repository wqyin/SMPLest-X, ``get_aug_config``).
"""

from dataclasses import dataclass

import numpy as np

STREAM = 0x65687073  # keeps these draws apart from other uses of the same seed


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """One drawn change of a sample."""

    scale: float = 1.0
    """Of the box: above 1 the person becomes smaller."""
    rotation: float = 0.0
    """Of the box in the picture, degrees clockwise."""
    colour: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Factors of red, green and blue."""
    is_flipped: bool = False


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


NO_AUGMENTATION = Augmentation()
NO_RANGE = AugmentationRange(scale=0.0, rotation=0.0, rotation_probability=0.0, colour=0.0, flip_probability=0.0)


def draw(seed: int, position: int, ranges: AugmentationRange = AugmentationRange()) -> Augmentation:
    """Return the augmentation of the sample at a position of the training order."""
    bits = np.random.Philox(key=np.array([seed, STREAM], np.uint64), counter=np.array([0, 0, position, 0], np.uint64))
    generator = np.random.Generator(bits)
    normal, uniform = generator.standard_normal(2), generator.random(5)
    is_turned = uniform[0] < ranges.rotation_probability
    return Augmentation(
        scale=float(1 + ranges.scale * np.clip(normal[0], -1, 1)),
        rotation=float(ranges.rotation * np.clip(normal[1], -2, 2)) if is_turned else 0.0,
        colour=tuple((1 + ranges.colour * (2 * uniform[1:4] - 1)).tolist()),
        is_flipped=bool(uniform[4] < ranges.flip_probability),
    )
