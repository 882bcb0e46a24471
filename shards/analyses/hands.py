"""How far hands are from the relaxed hand: the geodesic angle of each joint's rotation from that of MANO's mean pose.

A left hand is compared with the left mean hand, a right hand with the right one, which mirrors it; a hand and its
mirror image are therefore equally complex.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float

from ...body.hands import HAND_MEANS, Side
from ...body.joints import FINGERS
from ...body.rotations import axis_angle_to_quaternion
from .samples import PoseSample

JOINT_NAMES = tuple(f"{finger} {number}" for finger in FINGERS for number in (1, 2, 3))  # of every 15-joint hand pose
LEVELS = {"p05": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95}
SIDES = ("both", "left", "right")
AT_REST = 0.01  # rad a joint; hands that are nearer to a default were not looked at when they were labelled


def angles_between(
    a: Float[np.ndarray, "*rotations 3"], b: Float[np.ndarray, "*others 3"]
) -> Float[np.ndarray, "*rotations"]:
    """Return the angles (rad, 0 to pi) of the rotations that lead from ``a`` to ``b``, axis-angle vectors."""
    p, q = axis_angle_to_quaternion(a), axis_angle_to_quaternion(b)
    apart, together = (np.linalg.norm(found, axis=-1) for found in (p - q, p + q))
    # Exact near zero, where the arc cosine of the product is not; q and -q are one rotation.
    return np.asarray(4 * np.arctan2(np.minimum(apart, together), np.maximum(apart, together)))


def joint_angles(hands: Float[np.ndarray, "hands 15 3"], side: Side) -> Float[np.ndarray, "hands 15"]:
    """Return how far each joint of absolute hand poses is turned from the relaxed hand of that side, rad."""
    return angles_between(hands, HAND_MEANS[side])


def complexity(hands: Float[np.ndarray, "hands 15 3"], side: Side) -> Float[np.ndarray, " hands"]:
    """Return the mean over the 15 joints of the angle from the relaxed hand, rad: 0 for that hand itself."""
    return joint_angles(hands, side).mean(axis=1)


def hand_table(samples: Mapping[str, PoseSample], side: str = "both") -> pd.DataFrame:
    """Return one row a group with hands, the most complex first.

    Columns: ``name``, ``hands`` looked at, quantiles of the complexity ``p05`` ... ``p95`` (rad), and the shares of
    hands that are the ``relaxed`` or the ``flat`` hand itself.
    """
    rows = []
    for name, sample in samples.items():
        hands = _of_sides(sample, side)
        if sum(map(len, hands.values())):
            found = np.concatenate([complexity(own, which) for which, own in hands.items()])
            flat = np.concatenate([np.linalg.norm(own, axis=-1).mean(1) for own in hands.values()])
            quantiles = dict(zip(LEVELS, np.quantile(found, list(LEVELS.values())).tolist(), strict=True))
            shares = {"relaxed": float((found < AT_REST).mean()), "flat": float((flat < AT_REST).mean())}
            rows.append({"name": name, "hands": len(found), **quantiles, **shares})
    table = pd.DataFrame(rows, columns=["name", "hands", *LEVELS, "relaxed", "flat"])
    return table.sort_values(by=["median", "name"], ascending=[False, True], ignore_index=True)


def finger_table(samples: Mapping[str, PoseSample], side: str = "both") -> pd.DataFrame:
    """Return the mean angle of each joint from the relaxed hand: ``name``, ``joint``, ``angle`` (rad)."""
    rows = []
    for name, sample in samples.items():
        hands = _of_sides(sample, side)
        if sum(map(len, hands.values())):
            found = np.concatenate([joint_angles(own, which) for which, own in hands.items()]).mean(0)
            rows += [(name, joint, angle) for joint, angle in zip(JOINT_NAMES, found.tolist(), strict=True)]
    return pd.DataFrame(rows, columns=["name", "joint", "angle"])


def _of_sides(sample: PoseSample, side: str) -> dict[Side, np.ndarray]:
    """Return the hands of a side, or those of both."""
    hands: dict[Side, np.ndarray] = {"left": sample.left_hands, "right": sample.right_hands}
    return {which: own for which, own in hands.items() if side in ("both", which)}
