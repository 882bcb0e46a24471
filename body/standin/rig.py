"""How the stand-in moves: skinning weights, joint regressors and pose-dependent corrections.

Weights start on the pelvis and are handed down the tree: each child takes a smooth share of its parent's weight
across a plane near the joint, so that they sum to one by construction.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from scipy.optimize import nnls

from ..joints import FINGERS, SMPLX_PARENTS
from .head import MOUTH_HALF, ORIGIN, mouth_elevation
from .skeleton import JOINTS, joint_positions

Vertices = Float[np.ndarray, "vertices 3"]
Parts = np.ndarray  # the name of the part of each vertex
SIDES = (("left", 1.0), ("right", -1.0))
INDEX = {name: i for i, name in enumerate(JOINTS)}


def smooth_step(value: np.ndarray, width: float | np.ndarray) -> np.ndarray:
    """Return 0 below -width/2, 1 above width/2 and a smooth rise between."""
    share = np.clip(value / width + 0.5, 0, 1)
    return share * share * (3 - 2 * share)


def is_part(parts: Parts, *endings: str) -> np.ndarray:
    """Return which vertices belong to parts with one of these endings."""
    return np.logical_or.reduce([np.char.endswith(parts, ending) for ending in endings])


def is_hand(parts: Parts, side: str) -> np.ndarray:
    """Return which vertices belong to the hand of a side."""
    return np.isin(parts, [f"{side}_{name}" for name in ("palm", *FINGERS)])


def skinning_weights(vertices: Vertices, parts: Parts) -> Float[np.ndarray, "vertices 55"]:
    """Return the weight of each of the 55 joints on each vertex, at most four a vertex."""
    weights = np.zeros((len(vertices), len(JOINTS)))
    weights[:, 0] = 1

    def hand_down(child: str, share: np.ndarray) -> None:
        moved = weights[:, SMPLX_PARENTS[INDEX[child]]] * share
        weights[:, INDEX[child]] += moved
        weights[:, SMPLX_PARENTS[INDEX[child]]] -= moved

    skin_legs(vertices, parts, hand_down)
    skin_trunk(vertices, parts, hand_down)
    skin_face(vertices, parts, hand_down)
    for side, _ in SIDES:
        skin_fingers(vertices, parts, side, hand_down)
    least = np.sort(weights, axis=1)[:, -4]
    weights[weights < np.maximum(least, 1e-3)[:, None]] = 0
    return weights / weights.sum(axis=1, keepdims=True)


HandDown = Callable[[str, np.ndarray], None]


def skin_legs(vertices: Vertices, parts: Parts, hand_down: HandDown) -> None:
    """Hand weight down from the pelvis to hips, knees, ankles and feet."""
    places = joint_positions()
    x, y, z = vertices.T
    for side, sign in SIDES:
        own = np.where(is_part(parts, "_leg"), parts == f"{side}_leg", smooth_step(sign * x, 0.05))
        groin = np.array([0.45 * sign, -0.89, 0])
        hand_down(f"{side}_hip", own * smooth_step((vertices - places[f"{side}_hip"]) @ groin, 0.13))
        hand_down(f"{side}_knee", smooth_step(places[f"{side}_knee"][1] - y, 0.10))
        hand_down(f"{side}_ankle", smooth_step(places[f"{side}_ankle"][1] - y, 0.06))
        hand_down(f"{side}_foot", smooth_step(z - places[f"{side}_foot"][2] + 0.005, 0.05))


def skin_trunk(vertices: Vertices, parts: Parts, hand_down: HandDown) -> None:
    """Hand weight up the spine and out along the arms to the wrists."""
    places = joint_positions()
    x, y, _ = vertices.T
    for name, width in (("spine1", 0.13), ("spine2", 0.12), ("spine3", 0.07)):
        hand_down(name, smooth_step(y - places[name][1], width))
    for side, sign in SIDES:
        outer = is_part(parts, "_arm") | is_hand(parts, side)
        own = np.where(outer, sign * x > 0, smooth_step(sign * x - 0.055, 0.07) * smooth_step(y - 0.03, 0.12))
        hand_down(f"{side}_collar", np.where(is_part(parts, "head", "_eye"), 0, own))
        down = np.array([sign * 0.98, -0.18, 0])
        hand_down(f"{side}_shoulder", smooth_step((vertices - places[f"{side}_shoulder"]) @ down, 0.12))
        hand_down(f"{side}_elbow", smooth_step(sign * (x - places[f"{side}_elbow"][0]), 0.07))
        before = places[f"{side}_wrist"][0] - sign * 0.020
        hand_down(f"{side}_wrist", np.where(is_hand(parts, side), 1, smooth_step(sign * (x - before), 0.036)))
    neck = np.where(parts == "trunk", smooth_step(0.085 - np.abs(x), 0.05), is_part(parts, "head", "_eye"))
    hand_down("neck", neck * smooth_step((vertices - places["neck"]) @ np.array([0, 0.95, 0.31]), 0.07))


def mouth_line_distance(vertices: Vertices) -> np.ndarray:
    """Return how far points lie below the cone on which the lips meet, metres."""
    flat = np.hypot(vertices[:, 0], vertices[:, 2] - ORIGIN[2])
    return 0.1 * (mouth_elevation() - np.arctan2(vertices[:, 1] - ORIGIN[1], flat))


def skin_face(vertices: Vertices, parts: Parts, hand_down: HandDown) -> None:
    """Hand weight from the neck to the head, the jaw and the eyes; the lips part along the mouth's line."""
    places = joint_positions()
    x, y, z = vertices.T
    chin = (vertices - places["head"]) @ np.array([0, 0.6, 0.8])
    hand_down("head", np.maximum(smooth_step(np.maximum(y - 0.215, chin), 0.06), is_part(parts, "_eye")))
    width = 1e-4 + np.clip(1.2 * (np.abs(x) - MOUTH_HALF), 0, 0.03)
    jaw = smooth_step(mouth_line_distance(vertices) + 5e-5, width) * smooth_step(z - 0.020, 0.04)
    hand_down("jaw", np.where(is_part(parts, "head"), jaw, 0))
    for side, _ in SIDES:
        hand_down(f"{side}_eye", parts == f"{side}_eye")


def finger_membership(vertices: Vertices, parts: Parts, side: str) -> Float[np.ndarray, "vertices 5"]:
    """Return how much each vertex of a hand follows each finger: its own, or the nearest ones in the palm."""
    places = joint_positions()
    distance = np.empty((len(vertices), len(FINGERS)))
    for number, finger in enumerate(FINGERS):
        start, end = places[f"{side}_{finger}1"], places[f"{side}_{finger}2"]
        axis = end - start
        along = np.clip((vertices - start) @ axis / (axis @ axis), 0 if finger == "thumb" else -0.6, 1)
        distance[:, number] = np.linalg.norm(vertices - start - along[:, None] * axis, axis=1)
    near = np.exp(-(distance - distance.min(axis=1, keepdims=True)) / 0.0035)
    near /= near.sum(axis=1, keepdims=True)
    for number, finger in enumerate(FINGERS):
        near[parts == f"{side}_{finger}"] = np.eye(len(FINGERS))[number]
    return near


def skin_fingers(vertices: Vertices, parts: Parts, side: str, hand_down: HandDown) -> None:
    """Hand weight from a wrist to its fifteen finger joints."""
    places = joint_positions()
    hand = is_hand(parts, side)
    membership = finger_membership(vertices, parts, side) * hand[:, None]
    taken = np.zeros(len(vertices))
    for number, finger in enumerate(FINGERS):
        chain = [places[f"{side}_{finger}{i}"] for i in (1, 2, 3, 4)]
        for i in range(3):
            along = (chain[i + 1] - chain[i]) / np.linalg.norm(chain[i + 1] - chain[i])
            width = (0.030 if finger == "thumb" else 0.020) if i == 0 else 0.011
            share = smooth_step((vertices - chain[i]) @ along, width)
            if i == 0:
                share = share * membership[:, number]
                total, share = share, share / np.maximum(1 - taken, 1e-9)
                taken = taken + total
            hand_down(f"{side}_{finger}{i + 1}", np.clip(share, 0, 1))


def joint_regressor(vertices: Vertices, parts: Parts, names: tuple[str, ...]) -> Float[np.ndarray, "joints vertices"]:
    """Return rows of non-negative weights that give the joints as means of the vertices around them."""
    places = joint_positions()
    rows = np.zeros((len(names), len(vertices)))
    for row, name in zip(rows, names, strict=True):
        allowed = np.flatnonzero(regressor_vertices(parts, name))
        offset = vertices[allowed] - places[name]
        order = np.argsort(np.round(np.linalg.norm(offset, axis=1), 7), kind="stable")
        for count in (32, 64, 128, 256, 512):
            chosen = order[:count]
            weights, error = surrounding_weights(offset[chosen])
            if error < 2e-4:
                break
        row[allowed[chosen]] = weights
    return rows


def regressor_vertices(parts: Parts, name: str) -> np.ndarray:
    """Return which vertices may define a joint."""
    side, _, rest = name.partition("_")
    if rest == "eye":
        return parts == name
    if rest == "wrist" or rest[:-1] in FINGERS:
        return is_hand(parts, side)
    return ~is_part(parts, "_eye", "palm", *FINGERS)


def surrounding_weights(offsets: Float[np.ndarray, "points 3"]) -> tuple[np.ndarray, float]:
    """Return even non-negative weights of sum one whose mean offset is zero, and the error left (metres)."""
    count = len(offsets)
    stiff = 300.0
    system = np.vstack([offsets.T * 100 * stiff, np.full((1, count), stiff), np.eye(count)])
    wanted = np.concatenate([[0, 0, 0, stiff], np.zeros(count)])
    weights = nnls(system, wanted)[0]
    weights /= weights.sum()
    return weights, float(np.linalg.norm(weights @ offsets))


# How the nine entries of a joint's rotation minus identity push the flesh around it outwards, per unit.
BULGE = np.array([[-0.50, 0.22, -0.18], [-0.26, -0.40, 0.15], [0.20, -0.12, -0.45]])
BULGE_SIZE = {
    "body": (0.006, 0.100),
    "hand": (0.0018, 0.022),
    "eye": (0.0015, 0.040),
    "jaw": (0.0020, 0.100),
}  # height, reach (m)


def pose_directions(
    vertices: Vertices, normals: Vertices, weights: Float[np.ndarray, "vertices joints"], parts: Parts
) -> Float[np.ndarray, "vertices 3 486"]:
    """Return the pose corrections: flesh swells around a bent joint, metres per entry of R - I."""
    places = joint_positions()
    fingers = is_part(parts, "palm", *FINGERS)
    directions = np.zeros((len(vertices), 3, 9 * (len(JOINTS) - 1)), np.float32)
    for joint, name in enumerate(JOINTS[1:], start=1):
        rest = name.partition("_")[2]
        kind = "hand" if rest[:-1] in FINGERS else "eye" if rest == "eye" else "jaw" if name == "jaw" else "body"
        height, reach = BULGE_SIZE[kind]
        near = np.exp(-(np.linalg.norm(vertices - places[name], axis=1) ** 2) / (2 * (reach / 2) ** 2))
        near = near * np.sqrt(weights[:, joint] + weights[:, SMPLX_PARENTS[joint]]) * (fingers == (kind == "hand"))
        near[near < 0.02] = 0
        push = height * near[:, None, None] * normals[:, :, None] * BULGE.reshape(1, 1, 9)
        directions[:, :, 9 * (joint - 1) : 9 * joint] = push
    return directions
