"""From the labels of a person to what the losses compare with: targets and, for each, whether it is real.

Three steps. ``labels_of`` reads a stored person into fixed arrays (hands as **deviations** from the mean hand, as the
networks have them) with a validity for every joint of every person: what a source does not label stays masked.
``augmented`` mirrors and turns them with the picture. ``training_rows`` makes the rows of ``losses.Targets`` and
``losses.Validity``. Pixels reach the 12 x 16 grid of the losses through the same affine map that cuts the crop.

Where labels come from, joint by joint: 3D joints are the record's ``joints_3d``, else the source's 3D keypoints of the
same (or an accepted neighbouring) name; 2D joints are the 3D ones projected when camera and place are known, else the
source's 2D keypoints. A person with any 3D joint is supervised on those only, in 3D and in 2D; a person without any,
on its 2D joints. Shape is supervised only by neutral SMPL-X betas: the networks know no other shape space. Betas beyond
the tenth are left out (components are ordered by how much they explain); betas beyond 3 standard deviations, mostly
failed fits, are not supervised, as in the released code. The facts are those of SMPLest-X's data loader.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from ..body.cameras import project
from ..body.hands import to_deviation
from ..body.joints import (
    POSE_FLIP_PAIRS,
    POSE_JOINTS,
    POSE_PARTS,
    SMPLX_JOINTS,
    SMPLX_PARENTS,
    SUPERVISION_FLIP_PAIRS,
    SUPERVISION_JOINTS,
    SUPERVISION_LEFT_WRIST,
    SUPERVISION_NECK,
    SUPERVISION_PARTS,
    SUPERVISION_PELVIS,
    SUPERVISION_RIGHT_WRIST,
)
from ..body.keypoints import convert_keypoints
from ..body.rotations import axis_angle_to_matrix, compose, matrix_to_axis_angle
from .augment import Augmentation
from .compat import GRID_DEPTH, GRID_HEIGHT, GRID_WIDTH, PAPER, Quirks, target_joint_index, truncation_mask
from .crops import move_points

NUM_JOINTS, NUM_POSES, NUM_BETAS, NUM_EXPRESSION = len(SUPERVISION_JOINTS), len(POSE_JOINTS), 10, 10
MAX_BETA = 3.0
DEPTH_SPAN = 2.0  # metres across the 16 cells of depth
MIN_DEPTH = 0.1  # m; a body that reaches nearer has no place in camera space, or a wrong one
PART_ORIGINS = {
    "body": SUPERVISION_PELVIS,
    "left_hand": SUPERVISION_LEFT_WRIST,
    "right_hand": SUPERVISION_RIGHT_WRIST,
    "face": SUPERVISION_NECK,
}
MIRROR_VECTOR = np.array([1.0, -1.0, -1.0])  # an axis-angle vector seen in a mirror


def _chain_to(joint: int) -> list[int]:
    """Return the body joints from the root to a joint."""
    chain = [joint]
    while (joint := SMPLX_PARENTS[joint]) >= 0:
        chain.append(joint)
    return chain[::-1]


WRIST_CHAINS = tuple(_chain_to(POSE_JOINTS.index(name)) for name in ("left_wrist", "right_wrist"))


def _swapped(size: int, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    """Return the index that exchanges left and right."""
    index = np.arange(size)
    for left, right in pairs:
        index[left], index[right] = right, left
    return index


MIRRORED_JOINTS = _swapped(NUM_JOINTS, SUPERVISION_FLIP_PAIRS)
MIRRORED_POSES = _swapped(NUM_POSES, POSE_FLIP_PAIRS)


@dataclass(frozen=True, kw_only=True, eq=False)
class PersonLabels:
    """What is known about one person, in the networks' joint orders; where ``has_*`` is False the value is zero."""

    joints_2d: Float[np.ndarray, "137 2"]  # px of the stored picture
    has_2d: Bool[np.ndarray, "137"]
    joints_3d: Float[np.ndarray, "137 3"]  # camera space, m
    has_3d: Bool[np.ndarray, "137"]
    pose: Float[np.ndarray, "53 3"]  # hands are deviations
    has_pose: Bool[np.ndarray, "53"]
    betas: Float[np.ndarray, "10"]
    has_betas: bool
    expression: Float[np.ndarray, "10"]
    has_expression: bool
    hand_orients: Float[np.ndarray, "2 3"]  # left, right, camera space


def labels_of(person: Any, quirks: Quirks = PAPER) -> PersonLabels:
    """Return the labels of a stored person (``shards.reader.StoredPerson``) before any augmentation."""
    joints_3d, has_3d = _joints_3d(person, quirks)
    joints_2d, has_2d = _joints_2d(person, joints_3d, has_3d, quirks)
    pose, has_pose = _pose(person)
    betas, has_betas = _betas(person)
    expression = _first_ten(person.expression)
    hand_orients, has_orients = _hand_orients(person, pose, has_pose)
    for side, known in zip(("left", "right"), has_orients, strict=True):
        # The losses take the thumb's base as the sign of a labelled hand; without an orientation it may not be.
        has_pose[POSE_JOINTS.index(f"{side}_thumb_1")] &= known
    return PersonLabels(
        joints_2d=joints_2d,
        has_2d=has_2d,
        joints_3d=joints_3d,
        has_3d=has_3d,
        pose=pose,
        has_pose=has_pose,
        betas=betas,
        has_betas=has_betas,
        expression=expression,
        has_expression=person.expression is not None,
        hand_orients=hand_orients,
    )


def _joints_3d(person: Any, quirks: Quirks) -> tuple[Float[np.ndarray, "137 3"], Bool[np.ndarray, "137"]]:
    """Return the 3D joints (camera space, m) and which of them are known."""
    joints = np.full((NUM_JOINTS, 3), np.nan)
    index = list(target_joint_index(quirks))
    if person.joints_3d is not None:
        joints = person.joints_3d[index].astype(np.float64)
    elif person.keypoints_3d is not None:
        names = tuple(SMPLX_JOINTS[i] for i in index)
        found = convert_keypoints(person.keypoints_3d, person.keypoints_3d_convention, names, approximate=True)
        joints = np.where(found[:, 3:] > 0, found[:, :3].astype(np.float64), np.nan)
    return _zeroed(joints)


def _joints_2d(
    person: Any, joints_3d: Float[np.ndarray, "137 3"], has_3d: Bool[np.ndarray, "137"], quirks: Quirks
) -> tuple[Float[np.ndarray, "137 2"], Bool[np.ndarray, "137"]]:
    """Return the 2D joints (px of the stored picture) and which of them are known."""
    joints = np.full((NUM_JOINTS, 2), np.nan)
    camera = person.camera
    if camera.K is not None and has_3d.any() and joints_3d[has_3d, 2].min() > MIN_DEPTH:
        distortion = None if camera.is_undistorted else camera.distortion
        projected = project(joints_3d, camera.K.astype(np.float64), distortion)
        joints = np.where(has_3d[:, None], projected, np.nan)
    if person.keypoints_2d is not None:
        names = tuple(SMPLX_JOINTS[i] for i in target_joint_index(quirks))
        found = convert_keypoints(person.keypoints_2d, person.keypoints_2d_convention, names, approximate=True)
        marked = np.where(found[:, 2:] > 0, found[:, :2].astype(np.float64), np.nan)
        joints = np.where(np.isfinite(joints), joints, marked)
    return _zeroed(joints)


def _zeroed(joints: Float[np.ndarray, "137 d"]) -> tuple[Float[np.ndarray, "137 d"], Bool[np.ndarray, "137"]]:
    """Return joints with zeros where a coordinate is not finite, and which joints are whole."""
    known = np.asarray(np.isfinite(joints).all(axis=1))
    return np.where(known[:, None], joints, 0.0), known


def _pose(person: Any) -> tuple[Float[np.ndarray, "53 3"], Bool[np.ndarray, "53"]]:
    """Return the local rotations (hands as deviations) and which of them are labelled."""
    pose, known = np.zeros((NUM_POSES, 3)), np.zeros(NUM_POSES, bool)
    body = POSE_PARTS["body"].stop
    parts = [
        (slice(0, 1), person.global_orient),
        # SMPL's two hand joints behind the 21 shared ones have no counterpart.
        (slice(1, body), None if person.body_pose is None else person.body_pose[: body - 1]),
        (POSE_PARTS["left_hand"], _deviation(person.left_hand_pose, "left")),
        (POSE_PARTS["right_hand"], _deviation(person.right_hand_pose, "right")),
        (POSE_PARTS["face"], person.jaw_pose),
    ]
    for where, value in parts:
        if value is not None:
            pose[where], known[where] = value, True
    return pose, known


def _deviation(pose: np.ndarray | None, side: Any) -> np.ndarray | None:
    """Return a stored (absolute) hand pose as the networks have it."""
    return None if pose is None else to_deviation(pose.astype(np.float64), side)


def _betas(person: Any) -> tuple[Float[np.ndarray, "10"], bool]:
    """Return the first ten betas and whether the networks' shape space (SMPL-X, neutral, adult) is theirs."""
    betas = _first_ten(person.betas)
    is_theirs = person.body_model == "smplx" and person.gender == "neutral" and not person.kid_weight
    known = person.betas is not None and is_theirs and bool(np.abs(betas).max() <= MAX_BETA)
    return (betas if known else np.zeros(NUM_BETAS)), known


def _first_ten(values: np.ndarray | None) -> Float[np.ndarray, "10"]:
    """Return the first ten components, zeros behind a shorter vector."""
    out = np.zeros(NUM_BETAS)
    if values is not None:
        out[: min(len(values), NUM_BETAS)] = values[:NUM_BETAS]
    return out


def _hand_orients(
    person: Any, pose: Float[np.ndarray, "53 3"], has_pose: Bool[np.ndarray, "53"]
) -> tuple[Float[np.ndarray, "2 3"], tuple[bool, ...]]:
    """Return the hands' camera-space orientation and whether each is known: labelled, or through the labelled body."""
    rotations = axis_angle_to_matrix(pose[POSE_PARTS["body"]])
    orients = matrix_to_axis_angle(np.stack([reduce(np.matmul, rotations[chain]) for chain in WRIST_CHAINS]))
    known = [bool(has_pose[chain].all()) for chain in WRIST_CHAINS]
    for side, given in enumerate((person.left_hand_orient, person.right_hand_orient)):
        if given is not None:
            orients[side], known[side] = given, True
    return orients * np.array(known)[:, None], tuple(known)


def augmented(labels: PersonLabels, augmentation: Augmentation, quirks: Quirks = PAPER) -> PersonLabels:
    """Return the labels of the mirrored and turned person.

    2D joints change sides but keep their pixels, since the crop's affine map moves them. Shape and expression stay.
    """
    if augmentation.is_flipped:
        labels = _mirrored(labels, quirks)
    return _turned(labels, augmentation.rotation, quirks) if augmentation.rotation else labels


def _mirrored(labels: PersonLabels, quirks: Quirks) -> PersonLabels:
    """Return the labels seen in a mirror: sides exchanged, x and the axes of rotation reversed."""
    orients = labels.hand_orients if quirks.unflipped_hand_roots else labels.hand_orients[::-1] * MIRROR_VECTOR
    return replace(
        labels,
        joints_2d=labels.joints_2d[MIRRORED_JOINTS],
        has_2d=labels.has_2d[MIRRORED_JOINTS],
        joints_3d=labels.joints_3d[MIRRORED_JOINTS] * np.array([-1.0, 1.0, 1.0]),
        has_3d=labels.has_3d[MIRRORED_JOINTS],
        pose=labels.pose[MIRRORED_POSES] * MIRROR_VECTOR,
        has_pose=labels.has_pose[MIRRORED_POSES],
        hand_orients=orients,
    )


def _turned(labels: PersonLabels, degrees: float, quirks: Quirks) -> PersonLabels:
    """Return the labels of a person whose crop is turned by that much clockwise, so the person turns the other way."""
    turn = np.array([0.0, 0.0, -np.deg2rad(degrees)])
    turned = compose(turn, np.concatenate([labels.pose[:1], labels.hand_orients]))
    pose = np.concatenate([turned[:1], labels.pose[1:]])
    orients = labels.hand_orients if quirks.unflipped_hand_roots else turned[1:]
    joints = labels.joints_3d @ axis_angle_to_matrix(turn).T
    return replace(labels, pose=pose, joints_3d=joints, hand_orients=orients)


def training_rows(
    labels: PersonLabels, affine: Float[np.ndarray, "2 3"], size: tuple[int, int], quirks: Quirks = PAPER
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return one row of ``losses.Targets`` and of ``losses.Validity``, float32.

    ``affine`` maps pixels of the stored picture to the crop of ``size`` (width, height).
    """
    root = labels.joints_3d - labels.joints_3d[SUPERVISION_PELVIS]
    cells = np.array([GRID_WIDTH, GRID_HEIGHT]) / np.array(size)
    grid = move_points(affine, labels.joints_2d) * cells
    # Depth counts from the pelvis; where that is unknown, nothing is too near or too far.
    from_pelvis = root[:, 2:] * labels.has_3d[SUPERVISION_PELVIS]
    depth = (from_pelvis / (DEPTH_SPAN / 2) + 1) / 2 * GRID_DEPTH
    is_inside = np.asarray(truncation_mask(np.concatenate([grid, depth], axis=1), quirks), bool)
    targets = {
        "pose": labels.pose,
        "betas": labels.betas,
        "expression": labels.expression,
        "joints_root": root,
        "joints_part": part_relative(labels.joints_3d),
        "joints_grid": grid,
        "hand_orients": labels.hand_orients,
    }
    validity = {
        "pose": labels.has_pose,
        "betas": np.array(labels.has_betas),
        "expression": np.array(labels.has_expression),
        "joints": supervised_joints(labels) & labels.has_2d & is_inside,
        "has_3d": labels.has_3d.any(),
    }
    return _as_float32(targets), _as_float32(validity)


def part_relative(joints: Float[np.ndarray, "137 3"]) -> Float[np.ndarray, "137 3"]:
    """Return joints relative to the origin of their part: pelvis, wrists, neck."""
    out = np.empty_like(joints)
    for part, origin in PART_ORIGINS.items():
        where = SUPERVISION_PARTS[part]
        out[where] = joints[where] - joints[origin]
    return out


def supervised_joints(labels: PersonLabels) -> Bool[np.ndarray, "137"]:
    """Return which joints may be compared: the 3D ones whose part has its origin, or the 2D ones of 2D-only people."""
    if not labels.has_3d.any():
        return labels.has_2d
    valid = labels.has_3d.copy()
    for part, origin in PART_ORIGINS.items():
        valid[SUPERVISION_PARTS[part]] &= labels.has_3d[origin]
    return valid


def _as_float32(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays in the precision of training."""
    return {name: np.ascontiguousarray(value, np.float32) for name, value in rows.items()}
