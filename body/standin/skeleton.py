"""Where the joints of the stand-in body are: our own round numbers for an adult of about 1.7 m.

Metres, T-pose, y up, x to the person's left, facing +z, the mid-plane at x = 0. Joint order and parents are
those of the `smplx` package (55 joints); the positions are no one's data.
"""

import re

import numpy as np
from jaxtyping import Float

from ..joints import NUM_KINEMATIC_JOINTS, SMPLX_JOINTS

SPINE = {
    "pelvis": (0.0, -0.350, 0.012),
    "spine1": (0.0, -0.240, -0.008),
    "spine2": (0.0, -0.115, -0.018),
    "spine3": (0.0, -0.055, -0.012),
    "neck": (0.0, 0.145, -0.028),
    "head": (0.0, 0.230, -0.004),
    "jaw": (0.0, 0.243, 0.012),
}
LEFT_SIDE = {
    "hip": (0.088, -0.435, 0.004),
    "knee": (0.100, -0.845, 0.010),
    "ankle": (0.104, -1.235, -0.026),
    "foot": (0.118, -1.290, 0.100),
    "collar": (0.050, 0.080, -0.010),
    "shoulder": (0.168, 0.098, -0.022),
    "elbow": (0.432, 0.094, -0.038),
    "wrist": (0.688, 0.094, -0.030),
    "eye": (0.0315, 0.2800, 0.0730),
}
# Relative to the left wrist: the three joints of a finger and its tip. Flat hand, palm down, thumb forwards.
LEFT_FINGERS = {
    "index": ((0.092, -0.001, 0.025), (0.132, -0.003, 0.029), (0.156, -0.004, 0.031), (0.178, -0.006, 0.033)),
    "middle": ((0.094, 0.002, 0.002), (0.138, 0.001, 0.002), (0.166, 0.000, 0.002), (0.190, -0.002, 0.002)),
    "ring": ((0.088, 0.000, -0.019), (0.128, -0.001, -0.022), (0.154, -0.002, -0.024), (0.177, -0.004, -0.026)),
    "pinky": ((0.078, -0.004, -0.038), (0.108, -0.006, -0.044), (0.127, -0.007, -0.048), (0.146, -0.009, -0.052)),
    "thumb": ((0.024, -0.010, 0.022), (0.060, -0.018, 0.048), (0.087, -0.021, 0.064), (0.112, -0.024, 0.078)),
}
# The 55 joints of smplx under shorter names: `left_index1`, `spine1`, `left_eye`.
JOINTS = tuple(re.sub(r"_(\d)$", r"\1", name).replace("eyeball", "eye") for name in SMPLX_JOINTS[:NUM_KINEMATIC_JOINTS])


def hand_parents(wrist: int, first: int) -> tuple[int, ...]:
    """Return the parents of a hand's fifteen joints whose first has index `first`."""
    return tuple(wrist if i % 3 == 0 else first + i - 1 for i in range(15))


def mirrored(point: Float[np.ndarray, "*shape 3"]) -> Float[np.ndarray, "*shape 3"]:
    """Return points reflected in the mid-plane x = 0."""
    return point * np.array([-1.0, 1.0, 1.0])


def joint_positions() -> dict[str, np.ndarray]:
    """Return the rest position of every joint and fingertip (`left_index4`) by name, metres."""
    places = {name: np.array(place) for name, place in SPINE.items()}
    left = {name: np.array(place) for name, place in LEFT_SIDE.items()}
    for finger, chain in LEFT_FINGERS.items():
        left |= {f"{finger}{i + 1}": left["wrist"] + np.array(place) for i, place in enumerate(chain)}
    for name, place in left.items():
        places[f"left_{name}"], places[f"right_{name}"] = place, mirrored(place)
    return places
