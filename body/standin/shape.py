"""How stand-ins differ: sixteen shape directions, ten expressions, three genders and a kid, metres per unit."""

import numpy as np
from jaxtyping import Float

from .rig import Parts, is_hand, is_part, mouth_line_distance, smooth_step
from .skeleton import joint_positions

Field = Float[np.ndarray, "vertices 3"]
NUM_SHAPE, NUM_EXPRESSION = 300, 100


class Anatomy:
    """A template with what the fields ask about: coordinates, normals, parts, joints."""

    def __init__(self, vertices: Field, normals: Field, parts: Parts) -> None:
        self.vertices, self.normals, self.parts = vertices, normals, parts
        self.x, self.y, self.z = vertices.T
        self.side, self.out = np.sign(self.x), np.abs(self.x)
        self.places = joint_positions()
        self.head = is_part(parts, "head", "_eye")
        self.arm = is_part(parts, "_arm")
        self.leg = is_part(parts, "_leg")
        self.left_hand, self.right_hand = is_hand(parts, "left"), is_hand(parts, "right")
        self.hand = self.left_hand | self.right_hand

    def bump(self, coordinate: np.ndarray, middle: float, width: float) -> np.ndarray:
        """Return a Gaussian bump along one coordinate, metres."""
        return np.exp(-(((coordinate - middle) / width) ** 2))

    def spot(self, x: float, y: float, z: float, width: float, both: bool = True) -> np.ndarray:
        """Return a Gaussian spot on the head around a point (and its mirror image), metres."""
        across = np.abs(self.x) if both else self.x
        gap = (across - x) ** 2 + (self.y - y) ** 2 + ((self.z - z) / 1.5) ** 2
        return np.exp(-gap / width**2) * is_part(self.parts, "head")


def axis(values: np.ndarray, which: int) -> Field:
    """Return a field along one coordinate axis."""
    field = np.zeros((len(values), 3))
    field[:, which] = values
    return field


def shape_fields(body: Anatomy) -> list[Field]:
    """Return the shape directions: stature, girth, then single proportions."""
    return [
        0.030 * (body.vertices - body.places["pelvis"]),
        girth(body, 0.012 * stoutness(body)),
        axis(0.035 * np.minimum(body.y - body.places["left_hip"][1], 0), 1),
        arm_length(body),
        axis(0.012 * body.side * across_shoulders(body), 0),
        axis(0.012 * body.side * across_hips(body), 0),
        axis(0.020 * smooth_step(body.z, 0.12) * body.bump(body.y, -0.21, 0.12) * ~(body.arm | body.hand), 2),
        axis(0.014 * smooth_step(body.z, 0.12) * body.bump(body.y, 0.02, 0.08) * (body.parts == "trunk"), 2),
        0.05 * above_neck(body)[:, None] * (body.vertices - body.places["neck"]),
        hand_size(body),
        foot_length(body),
        axis(0.010 * above_neck(body), 1),
        girth(body, 0.010 * body.leg * smooth_step(body.y + 0.80, 0.2)),
        girth(body, 0.008 * body.arm * smooth_step(0.47 - body.out, 0.1)),
        girth(body, 0.007 * (body.leg * lower_leg(body) + body.arm * smooth_step(body.out - 0.44, 0.06))),
        axis(0.06 * body.x * body.head, 0),
    ]


def stoutness(body: Anatomy) -> np.ndarray:
    """Return how much of a person's girth each part takes: the belly all, wrists and ankles little."""
    arm = np.interp(body.out, [0.15, 0.43, 0.52, 0.66, 0.70], [0.75, 0.45, 0.42, 0.12, 0.06])
    leg = np.interp(-body.y, [0.45, 0.85, 0.96, 1.20, 1.28], [1.0, 0.55, 0.55, 0.20, 0.08])
    return np.where(body.hand, 0.06, np.where(body.head, 0.2, np.where(body.arm, arm, np.where(body.leg, leg, 1))))


def girth(body: Anatomy, amount: np.ndarray) -> Field:
    """Return a swelling along the normals, without soles and crown growing."""
    flat = body.normals.copy()
    flat[body.head | body.leg | (body.parts == "trunk"), 1] *= 0.15
    return amount[:, None] * flat


def lower_leg(body: Anatomy) -> np.ndarray:
    """Return 1 on the calves, 0 on thighs and feet."""
    return smooth_step(-0.88 - body.y, 0.1) * smooth_step(body.y + 1.20, 0.08)


def across_shoulders(body: Anatomy) -> np.ndarray:
    """Return 1 on arms and hands and a ramp across the chest, 0 below it and on the head."""
    ramp = np.clip(body.out / 0.168, 0, 1) * smooth_step(body.y + 0.06, 0.20)
    return np.where(body.arm | body.hand, 1, np.where(body.head, 0, ramp))


def across_hips(body: Anatomy) -> np.ndarray:
    """Return a ramp across the hips that the legs follow in part."""
    ramp = np.clip(body.out / 0.15, 0, 1.2) * body.bump(body.y, -0.42, 0.13)
    legs = 0.55 * smooth_step(-0.50 - body.y, 0.2)
    return np.where(body.arm | body.hand | body.head, 0, np.maximum(ramp, legs * np.abs(body.side)))


def arm_length(body: Anatomy) -> Field:
    """Return arms that grow from the shoulders; hands move along undistorted."""
    wrist = body.places["left_wrist"][0] - body.places["left_shoulder"][0]
    beyond = np.clip(body.out - body.places["left_shoulder"][0], 0, wrist)
    return axis(0.04 * body.side * np.where(body.arm | body.hand, beyond, 0), 0)


def hand_size(body: Anatomy) -> Field:
    """Return hands that grow from the wrists."""
    left = body.left_hand[:, None] * (body.vertices - body.places["left_wrist"])
    return 0.05 * (left + body.right_hand[:, None] * (body.vertices - body.places["right_wrist"]))


def foot_length(body: Anatomy) -> Field:
    """Return feet that grow forwards from the ankles."""
    low = smooth_step(-1.24 - body.y, 0.06) * body.leg
    return axis(0.06 * low * (body.z - body.places["left_ankle"][2]), 2)


def above_neck(body: Anatomy) -> np.ndarray:
    """Return 0 on the shoulders, 1 on the head, smooth along the neck."""
    neck = smooth_step(body.y - 0.165, 0.05) * smooth_step(0.09 - body.out, 0.05)
    return np.where(body.head, 1, np.where(body.parts == "trunk", neck, 0)) * smooth_step(body.y - 0.155, 0.06)


def expression_fields(body: Anatomy) -> list[Field]:
    """Return the expressions: drop of the lower lip, smile, brows, lids, pucker, cheeks, nose, one-sided mouth."""
    lower = (mouth_line_distance(body.vertices) > -2e-5) * is_part(body.parts, "head")
    mouth = body.spot(0, 0.206, 0.095, 0.026)
    corner = body.spot(0.0225, 0.207, 0.085, 0.013)
    brow, inner = body.spot(0.032, 0.300, 0.075, 0.016), body.spot(0.012, 0.299, 0.083, 0.011)
    lid = body.bump(body.out, 0.0315, 0.014) * body.bump(body.y, 0.287, 0.007) * (body.parts == "head") * (body.z > 0)
    lips = body.spot(0, 0.206, 0.098, 0.016)
    one_side = body.spot(0.0225, 0.207, 0.085, 0.016, both=False)
    return [
        axis(-0.0060 * mouth * lower, 1),
        axis(0.0040 * corner, 1) + axis(0.0035 * body.side * corner, 0),
        axis(0.0045 * brow, 1),
        axis(-0.0035 * inner, 1) + axis(-0.0030 * body.side * inner, 0),
        axis(-0.0040 * lid, 1) + axis(0.0012 * lid, 2),
        axis(-0.22 * body.x * mouth, 0) + axis(0.0035 * lips, 2),
        body.spot(0.042, 0.225, 0.06, 0.022)[:, None] * 0.0050 * body.normals,
        axis(0.0040 * mouth * ~lower, 1),
        axis(0.0030 * body.spot(0.011, 0.247, 0.095, 0.012), 1),
        axis(0.0050 * one_side, 1) + axis(0.0020 * one_side, 0),
    ]


def stacked(fields: list[Field], width: int) -> Float[np.ndarray, "vertices 3 width"]:
    """Return fields as the last axis, padded with zeros to a width."""
    out = np.zeros((*fields[0].shape, width), np.float32)
    for number, field in enumerate(fields):
        out[:, :, number] = field
    return out


# What a gender adds to the neutral body, in units of the shape directions above.
GENDERS: dict[str, dict[int, float]] = {
    "neutral": {},
    "male": {0: 0.9, 4: 1.2, 5: -0.4, 8: 0.2, 9: 0.4, 13: 0.8, 15: 0.3},
    "female": {0: -1.0, 4: -1.1, 5: 1.2, 7: 1.4, 9: -0.4, 12: 0.6, 13: -0.5, 15: -0.3},
}


def gendered(vertices: Field, fields: list[Field], gender: str) -> Field:
    """Return the template of a gender."""
    return vertices + sum((amount * fields[i] for i, amount in GENDERS[gender].items()), np.zeros_like(vertices))


def kid_template(body: Anatomy, fields: list[Field]) -> Field:
    """Return a small child of about 0.8 m: short limbs, a large head."""
    amounts: dict[int, float] = {0: -16.0, 2: -3.0, 3: -2.0, 8: 3.0, 6: 0.4}
    return body.vertices + sum((amount * fields[i] for i, amount in amounts.items()), np.zeros_like(body.vertices))
