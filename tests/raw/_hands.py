"""Hands for fake raw trees of MANO sources, and how far converted ones are from them.

A hand is posed by the stand-in's MANO of its side and placed by its wrist, which is where MANO's root turns.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from ehps.body.draw import render_mesh
from ehps.body.hands import Side, mirrored
from ehps.body.joints import LEFT_HAND_21, RIGHT_HAND_21, SMPLX_JOINTS
from ehps.body.keypoints import convert_keypoints
from ehps.body.posing import PosingModel
from ehps.body.rotations import matrix_to_axis_angle
from ehps.shards.record import Person
from ehps.tests.raw._people import Parameters, TruePerson, body_model, random_hand, rotation

HAND_21: dict[Side, tuple[int, ...]] = {"left": LEFT_HAND_21, "right": RIGHT_HAND_21}
# MANO's joints, its tips behind them, in the order wrist, thumb to pinky, base to tip.
_THUMB_FIRST = [0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20]
_EVERY = 7  # these of the 778 vertices tell as much as all


def mano(side: Side) -> PosingModel:
    """Return the stand-in's MANO."""
    return body_model("mano", side, 10)


@dataclass(frozen=True, eq=False)
class Hand:
    """One hand in some space: absolute pose, orientation of the root, shape, place of the wrist (m)."""

    side: Side
    pose: np.ndarray
    orient: np.ndarray
    betas: np.ndarray
    wrist: np.ndarray

    @property
    def transl(self) -> np.ndarray:
        """Return MANO's translation, which is the wrist's place less its rest."""
        return self.wrist - mano(self.side).pelvis_offset(self.betas[None])[0]

    def _parameters(self) -> Parameters:
        own = {"global_orient": self.orient, "hand_pose": self.pose, "betas": self.betas, "transl": self.transl}
        return {name: value[None] for name, value in own.items()}

    def joints(self) -> np.ndarray:
        """Return the 21 joints: wrist, thumb to pinky, base to tip (m)."""
        return mano(self.side).joints(self._parameters())[0, _THUMB_FIRST]

    def vertices(self) -> np.ndarray:
        """Return the mesh (m)."""
        return mano(self.side).vertices(self._parameters())[0]


def random_mano(rng: np.random.Generator, side: Side, middle: np.ndarray) -> Hand:
    """Return a hand about a point that turns any way; left hands are no mirrored right ones."""
    pose = random_hand(rng) if side == "left" else mirrored(random_hand(rng))
    orient = matrix_to_axis_angle(rotation(*rng.uniform(-1.2, 1.2, 3)) @ rotation(x=np.pi / 2))
    hand = Hand(side, pose, orient, np.clip(rng.normal(0, 1, 10), -2, 2), np.zeros(3))
    return replace(hand, wrist=middle - hand.joints().mean(axis=0))


@dataclass(frozen=True, eq=False)
class TrueHands(TruePerson):
    """What a converter must find out about the hands of one person; ``parameters`` are made of ``hands``."""

    hands: tuple[Hand, ...] = field(default=(), kw_only=True)

    def joints(self) -> np.ndarray:
        """Return the 144 joints in camera space (m); NaN for all but those of the hands."""
        out = np.full((144, 3), np.nan)
        for hand in self.hands:
            out[list(HAND_21[hand.side])] = hand.joints()
        return out

    def told(self) -> np.ndarray:
        """Return the points that a perfect converter would make of what the source tells."""
        return hand_points({name: self.parameters[name] for name in self.labelled}, self.joints())


def true_hands(hands: Iterable[Hand], fitted: Iterable[Side], K: np.ndarray, size: tuple[int, int]) -> TrueHands:
    """Return the truth about hands in camera space, some of which come with parameters."""
    hands, fitted = tuple(hands), tuple(fitted)
    known = [hand for hand in hands if hand.side in fitted]
    parameters = {f"{hand.side}_hand_pose": hand.pose for hand in known}
    parameters |= {f"{hand.side}_hand_orient": hand.orient for hand in known}
    if len(known) == 1:  # a record has one set of betas
        parameters["betas"] = known[0].betas
    return TrueHands(parameters, frozenset(parameters), K, size, body_model="mano", hands=hands)


def found_hands(person: Person, carried: Iterable[str]) -> np.ndarray:
    """Return the points of a converted person's hands, in the order of ``TrueHands.told``."""
    assert person.keypoints_3d is not None
    assert person.keypoints_3d_convention is not None
    points = convert_keypoints(person.keypoints_3d.astype(np.float64), person.keypoints_3d_convention, SMPLX_JOINTS)
    joints = np.where(points[:, 3:] > 0, points[:, :3], np.nan)
    return hand_points({name: getattr(person, name).astype(np.float64) for name in carried}, joints)


def hand_points(parameters: Mapping[str, np.ndarray], joints: np.ndarray) -> np.ndarray:
    """Return vertices of both hands, hung on their wrists, then their 21 joints; NaN for what is not known."""
    out = [joints[list(HAND_21["left"] + HAND_21["right"])]]
    for side, places in HAND_21.items():
        mesh = np.full((len(mano(side).template), 3), np.nan)
        pose, orient = parameters.get(f"{side}_hand_pose"), parameters.get(f"{side}_hand_orient")
        if pose is not None and orient is not None:
            mesh = Hand(side, pose, orient, parameters.get("betas", np.zeros(10)), joints[places[0]]).vertices()
        out.append(mesh[::_EVERY])
    return np.concatenate(out)


def draw_hands(picture: np.ndarray, hands: Iterable[Hand], K: np.ndarray) -> np.ndarray:
    """Return the picture with hands drawn into it."""
    for hand in hands:
        color = (0.85, 0.6, 0.5) if hand.side == "right" else (0.7, 0.45, 0.35)
        picture = render_mesh(picture, hand.vertices().astype(np.float32), mano(hand.side).triangles, K, color=color)
    return picture
