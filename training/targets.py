"""From the labels of a person to what the losses compare with: targets and, for each, whether it is real.

Three steps. ``labels_of`` reads a stored person into fixed arrays (hands as **deviations** from the mean hand, as the
networks have them) with a validity for every joint of every person: what a source does not label stays masked.
``augmented`` mirrors and turns them with the picture. ``training_rows`` makes the rows of ``losses.Targets`` and
``losses.Validity``. Pixels reach the 12 x 16 grid of the losses through the same affine map that cuts the crop.

Where labels come from, joint by joint: 3D joints are the record's ``joints_3d``, else the source's 3D keypoints of the
same (or an accepted neighbouring) name; 2D joints are the 3D ones projected when camera and place are known, else the
source's 2D keypoints. Shape is supervised only by neutral SMPL-X betas: the networks know no other shape space. Betas
beyond the tenth are left out (components are ordered by how much they explain); betas beyond 3 standard deviations,
mostly failed fits, are not supervised, as in the released code. The facts are those of SMPLest-X's data loader.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, reduce
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

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
from ..body.keypoints import mapping
from ..body.rotations import axis_angle_to_matrix, compose, matrix_to_axis_angle
from ..shards.columns import Columns
from ..shards.record import Camera
from .compat import GRID_DEPTH, GRID_HEIGHT, GRID_WIDTH, PAPER, Quirks, target_joint_index, truncation_mask
from .crops import move_points
from .part_boxes import MIRRORED, boxes_in_crop, given_boxes

NUM_JOINTS, NUM_POSES, NUM_BETAS, NUM_EXPRESSION = len(SUPERVISION_JOINTS), len(POSE_JOINTS), 10, 10
NUM_VOLUME_JOINTS = SUPERVISION_PARTS["right_hand"].stop  # body and hands, which SMPLer-X also finds in volumes
MAX_BETA = 3.0
DEPTH_SPAN = 2.0  # metres across the 16 cells of depth
MIN_DEPTH = 0.1  # m; a body that reaches nearer has no place in camera space, or a wrong one
PART_ORIGINS = {
    "body": SUPERVISION_PELVIS,
    "left_hand": SUPERVISION_LEFT_WRIST,
    "right_hand": SUPERVISION_RIGHT_WRIST,
    "face": SUPERVISION_NECK,
}
WRISTS = [POSE_JOINTS.index(f"{side}_wrist") for side in ("left", "right")]
THUMBS = [POSE_JOINTS.index(f"{side}_thumb_1") for side in ("left", "right")]
# Which rotations each field of a record holds.
POSE_SLICES = {
    "global_orient": slice(0, 1),
    "body_pose": slice(1, POSE_PARTS["body"].stop),
    "left_hand_pose": POSE_PARTS["left_hand"],
    "right_hand_pose": POSE_PARTS["right_hand"],
    "jaw_pose": POSE_PARTS["face"],
}
MIRROR_VECTOR = np.array([1.0, -1.0, -1.0])  # an axis-angle vector seen in a mirror

Joints3d = Float[np.ndarray, "people 137 3"]
Known = Bool[np.ndarray, "people 137"]


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
    """What is known about people, in the networks' joint orders; where ``has_*`` is False the value is zero."""

    joints_2d: Float[np.ndarray, "*people 137 2"]  # px of the stored picture
    has_2d: Bool[np.ndarray, "*people 137"]
    is_positive: Bool[np.ndarray, "*people 137"]  # under the quirk: the pixel lies right of and below zero
    joints_3d: Float[np.ndarray, "*people 137 3"]  # camera space, m
    has_3d: Bool[np.ndarray, "*people 137"]
    pose: Float[np.ndarray, "*people 53 3"]  # hands are deviations
    has_pose: Bool[np.ndarray, "*people 53"]
    betas: Float[np.ndarray, "*people 10"]
    has_betas: Bool[np.ndarray, "*people"]
    expression: Float[np.ndarray, "*people 10"]
    has_expression: Bool[np.ndarray, "*people"]
    hand_orients: Float[np.ndarray, "*people 2 3"]  # left, right, camera space
    part_boxes: Float[np.ndarray, "*people 3 4"]  # left hand, right hand, face as the source has them; px
    has_part_boxes: Bool[np.ndarray, "*people 3"]


def labels_of(
    people: Sequence[Any], quirks: Quirks = PAPER, hands_of_last: Bool[np.ndarray, "people 2"] | None = None
) -> PersonLabels:
    """Return the labels of stored people (``shards.reader.StoredPerson``) before any augmentation.

    ``hands_of_last`` says which hands (left, right) the last person of each one's source has: ``shared_hand_masks``.
    """
    columns = Columns(people)
    joints_3d, has_3d = _joints_3d(people, columns, quirks)
    joints_2d, has_2d = _joints_2d(people, columns, joints_3d, has_3d, quirks)
    if hands_of_last is not None:
        has_2d, has_3d = (_with_hands_of(hands_of_last, known) for known in (has_2d, has_3d))
    pose, has_pose = _pose(columns, len(people))
    betas, has_betas = _betas(people, columns)
    has_expression = columns.has("expression", len(people))
    hand_orients, has_orients = _hand_orients(columns, pose, has_pose)
    part_boxes, has_part_boxes = given_boxes(columns, len(people))
    # The losses take the thumb's base as the sign of a labelled hand, and the wrist as that of an arm labelled from the
    # root on; without the orientation that is compared then, they may not be.
    has_arms = _has_arms(has_pose)
    has_pose[:, THUMBS] &= has_orients
    has_pose[:, WRISTS] &= has_arms
    if quirks.zeros_are_absent:
        has_pose, has_betas = _not_zero(pose, has_pose), has_betas & betas.any(axis=1)
    if quirks.jaw_needs_expression:
        has_pose[:, POSE_PARTS["face"]] &= has_expression[:, None]
    return PersonLabels(
        joints_2d=joints_2d,
        has_2d=has_2d,
        is_positive=joints_2d.min(axis=-1) > (0 if quirks.positive_pixels_only else -np.inf),
        joints_3d=joints_3d,
        has_3d=has_3d,
        pose=pose,
        has_pose=has_pose,
        betas=betas,
        has_betas=has_betas,
        expression=_first_ten(columns, "expression", len(people)),
        has_expression=has_expression,
        hand_orients=hand_orients,
        part_boxes=part_boxes,
        has_part_boxes=has_part_boxes,
    )


def labelled_hands(person: Any, quirks: Quirks) -> Bool[np.ndarray, "2"]:
    """Return whether a stored person's left and right hand poses are labelled."""
    pose, known = _pose(Columns([person]), 1)
    known = _not_zero(pose, known) if quirks.zeros_are_absent else known
    return np.array([known[0, POSE_PARTS[f"{side}_hand"]].all() for side in ("left", "right")])


def _with_hands_of(hands: Bool[np.ndarray, "people 2"], known: Known) -> Known:
    """Return which joints are known where hands and wrists count as those of others do; nobody without joints gains."""
    known, is_anyone = known.copy(), known.any(axis=1)
    for side, part in enumerate(("left_hand", "right_hand")):
        mine = (hands[:, side] & is_anyone)[:, None]
        known[:, SUPERVISION_PARTS[part]] = mine
        known[:, PART_ORIGINS[part], None] = mine
    return known


def _not_zero(
    pose: Float[np.ndarray, "people 53 3"], known: Bool[np.ndarray, "people 53"]
) -> Bool[np.ndarray, "people 53"]:
    """Return which rotations are labelled where zeros of a body pose or of a hand count as absent."""
    parts = {"body": slice(1, POSE_PARTS["body"].stop)} | {
        name: POSE_PARTS[name] for name in ("left_hand", "right_hand")
    }
    known = known.copy()
    for name, where in parts.items():
        # Poses are stored in float32, and a mean hand comes back as a deviation that is zero up to its rounding.
        is_posed = np.asarray((np.abs(pose[:, where]) > 1e-6).any(axis=(1, 2)))
        known[:, POSE_PARTS[name]] &= is_posed[:, None]
    return known


def _joints_3d(people: Sequence[Any], columns: Columns, quirks: Quirks) -> tuple[Joints3d, Known]:
    """Return the 3D joints (camera space, m) and which of them are known."""
    joints = np.full((len(people), NUM_JOINTS, 3), np.nan)
    for mine, given in columns.given("keypoints_3d"):
        _fill_marked(joints, mine, given, [people[i].keypoints_3d_convention for i in mine.tolist()], quirks)
    index = np.array(target_joint_index(quirks))
    for mine, given in columns.given("joints_3d"):
        joints[mine] = given[:, index]
    return _zeroed(joints)


def _joints_2d(
    people: Sequence[Any], columns: Columns, joints_3d: Joints3d, has_3d: Known, quirks: Quirks
) -> tuple[Float[np.ndarray, "people 137 2"], Known]:
    """Return the 2D joints (px of the stored picture) and which of them are known."""
    nearest = np.where(has_3d, joints_3d[..., 2], np.inf).min(axis=1)
    joints = _projected([person.camera for person in people], joints_3d)
    joints[~has_3d | (nearest <= MIN_DEPTH)[:, None]] = np.nan
    marked = np.full_like(joints, np.nan)
    for mine, given in columns.given("keypoints_2d"):
        _fill_marked(marked, mine, given, [people[i].keypoints_2d_convention for i in mine.tolist()], quirks)
    return _zeroed(np.where(np.isfinite(joints), joints, marked))


def _projected(cameras: Sequence[Camera], joints: Joints3d) -> Float[np.ndarray, "people 137 2"]:
    """Return the pixels of joints, NaN where a camera does not have K."""
    unknown = np.full((3, 3), np.nan)
    K = np.stack([unknown if camera.K is None else camera.K.astype(np.float64) for camera in cameras])
    pixels = project(joints, K)
    for i, camera in enumerate(cameras):
        if camera.distortion is not None and not camera.is_undistorted:
            pixels[i] = project(joints[i], K[i], camera.distortion)
    return pixels


@lru_cache(maxsize=256)
def _places(convention: str, quirks: Quirks) -> Int[np.ndarray, "2 pairs"]:
    """Return which target joints a convention of keypoints has, and where."""
    names = tuple(SMPLX_JOINTS[i] for i in target_joint_index(quirks))
    return np.array(mapping(convention, names, approximate=True), np.int64).reshape(-1, 2).T


def _fill_marked(
    joints: Float[np.ndarray, "people 137 d"],
    mine: Int[np.ndarray, " some"],
    keypoints: Float[np.ndarray, "some points d_and_1"],
    conventions: Sequence[str],
    quirks: Quirks,
) -> None:
    """Set the joints of some people that are marked (confidence above zero) among keypoints."""
    for convention in dict.fromkeys(conventions):
        chosen = np.array([other == convention for other in conventions])
        to, origin = _places(convention, quirks)
        found = keypoints[chosen][:, origin]
        person, pair = np.nonzero(found[..., -1] > 0)
        joints[mine[chosen][person], to[pair]] = found[person, pair, :-1]


def _zeroed(joints: Float[np.ndarray, "people 137 d"]) -> tuple[Float[np.ndarray, "people 137 d"], Known]:
    """Return joints with zeros where a coordinate is not finite, and which joints are whole."""
    known = np.asarray(np.isfinite(joints).all(axis=-1))
    return np.where(known[..., None], joints, 0.0), known


def _pose(columns: Columns, count: int) -> tuple[Float[np.ndarray, "people 53 3"], Bool[np.ndarray, "people 53"]]:
    """Return the local rotations (hands as deviations) and which of them are labelled."""
    pose, known = np.zeros((count, NUM_POSES, 3)), np.zeros((count, NUM_POSES), bool)
    for name, where in POSE_SLICES.items():
        for mine, given in columns.given(name):
            # SMPL's two hand joints behind the 21 shared ones of the body have no counterpart.
            pose[mine, where] = given.reshape(len(given), -1, 3)[:, : where.stop - where.start]
            known[mine, where] = True
    for side in ("left", "right"):
        hand = POSE_PARTS[f"{side}_hand"]
        pose[:, hand] = np.where(known[:, hand, None], to_deviation(pose[:, hand], side), 0.0)
    return pose, known


def _betas(
    people: Sequence[Any], columns: Columns
) -> tuple[Float[np.ndarray, "people 10"], Bool[np.ndarray, " people"]]:
    """Return the first ten betas and whether the networks' shape space (SMPL-X, neutral, adult) is theirs.

    Those of the gendered models count as what they are of the neutral one, where a conversion could tell.
    """
    count = len(people)
    is_adult = np.array([person.body_model == "smplx" and not person.kid_weight for person in people], bool)
    is_neutral = np.array([person.gender == "neutral" for person in people], bool)
    names = {"betas": is_neutral, "betas_neutral": ~is_neutral}
    betas, known = np.zeros((count, NUM_BETAS)), np.zeros(count, bool)
    for name, mine in names.items():
        betas = np.where(mine[:, None], _first_ten(columns, name, count), betas)
        known = np.where(mine, columns.has(name, count), known)
    known = known & is_adult & (np.abs(betas).max(axis=1) <= MAX_BETA)
    return betas * known[:, None], known


def _first_ten(columns: Columns, name: str, count: int) -> Float[np.ndarray, "people 10"]:
    """Return the first ten components of everyone's vector, zeros behind a shorter one."""
    out = np.zeros((count, NUM_BETAS))
    for mine, given in columns.given(name):
        size = min(given.shape[1], NUM_BETAS)
        out[mine, :size] = given[:, :size]
    return out


def _hand_orients(
    columns: Columns, pose: Float[np.ndarray, "people 53 3"], has_pose: Bool[np.ndarray, "people 53"]
) -> tuple[Float[np.ndarray, "people 2 3"], Bool[np.ndarray, "people 2"]]:
    """Return the hands' camera-space orientation and whether each is known: labelled, or through the labelled body."""
    rotations = axis_angle_to_matrix(pose[:, POSE_PARTS["body"]])
    chains = [reduce(np.matmul, np.moveaxis(rotations[:, chain], 1, 0)) for chain in WRIST_CHAINS]
    orients = matrix_to_axis_angle(np.stack(chains, axis=1))
    known = _has_arms(has_pose)
    for side, name in enumerate(("left_hand_orient", "right_hand_orient")):
        for mine, given in columns.given(name):
            orients[mine, side], known[mine, side] = given, True
    return np.where(known[..., None], orients, 0.0), known


def _has_arms(has_pose: Bool[np.ndarray, "people 53"]) -> Bool[np.ndarray, "people 2"]:
    """Return whether every rotation from the root to the left and to the right wrist is labelled."""
    return np.stack([has_pose[:, chain].all(axis=1) for chain in WRIST_CHAINS], axis=1)


def augmented(
    labels: PersonLabels,
    is_flipped: Bool[np.ndarray, " people"],
    rotation: Float[np.ndarray, " people"],
    quirks: Quirks = PAPER,
) -> PersonLabels:
    """Return the labels of people, mirrored and turned (degrees) with their pictures.

    2D joints change sides but keep their pixels, since the crop's affine map moves them. Shape and expression stay.
    """
    if is_flipped.any():
        labels = _chosen(is_flipped, _mirrored(labels, quirks), labels)
    is_turned = rotation != 0
    return _chosen(is_turned, _turned(labels, rotation, quirks), labels) if is_turned.any() else labels


def _chosen(which: Bool[np.ndarray, " people"], these: PersonLabels, others: PersonLabels) -> PersonLabels:
    """Return the labels of ``these`` for some people and of ``others`` for the rest."""
    arrays = {}
    for name, other in vars(others).items():
        mine = getattr(these, name)
        where = which.reshape(which.shape + (1,) * (other.ndim - which.ndim))
        arrays[name] = other if mine is other else np.where(where, mine, other)
    return PersonLabels(**arrays)


def _mirrored(labels: PersonLabels, quirks: Quirks) -> PersonLabels:
    """Return the labels seen in a mirror: sides exchanged, x and the axes of rotation reversed."""
    orients = labels.hand_orients if quirks.unflipped_hand_roots else labels.hand_orients[..., ::-1, :] * MIRROR_VECTOR
    return replace(
        labels,
        joints_2d=labels.joints_2d[..., MIRRORED_JOINTS, :],
        has_2d=labels.has_2d[..., MIRRORED_JOINTS],
        joints_3d=labels.joints_3d[..., MIRRORED_JOINTS, :] * np.array([-1.0, 1.0, 1.0]),
        has_3d=labels.has_3d[..., MIRRORED_JOINTS],
        pose=labels.pose[..., MIRRORED_POSES, :] * MIRROR_VECTOR,
        has_pose=labels.has_pose[..., MIRRORED_POSES],
        hand_orients=orients,
        part_boxes=labels.part_boxes[..., MIRRORED, :],
        has_part_boxes=labels.has_part_boxes[..., MIRRORED],
    )


def _turned(labels: PersonLabels, degrees: Float[np.ndarray, " people"], quirks: Quirks) -> PersonLabels:
    """Return the labels of people whose crops are turned by that much clockwise, so they turn the other way."""
    turn = np.zeros((*degrees.shape, 3))
    turn[..., 2] = -np.deg2rad(degrees)
    turned = compose(turn[..., None, :], np.concatenate([labels.pose[..., :1, :], labels.hand_orients], axis=-2))
    pose = np.concatenate([turned[..., :1, :], labels.pose[..., 1:, :]], axis=-2)
    orients = labels.hand_orients if quirks.unflipped_hand_roots else turned[..., 1:, :]
    joints = labels.joints_3d @ np.swapaxes(axis_angle_to_matrix(turn), -1, -2)
    return replace(labels, pose=pose, joints_3d=joints, hand_orients=orients)


def training_rows(
    labels: PersonLabels,
    affine: Float[np.ndarray, "people 2 3"],
    size: tuple[int, int],
    quirks: Quirks = PAPER,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return rows of ``losses.Targets`` and of ``losses.Validity``, float32.

    ``affine`` maps pixels of the stored picture to the crop of ``size`` (width, height).
    """
    root = labels.joints_3d - labels.joints_3d[..., SUPERVISION_PELVIS : SUPERVISION_PELVIS + 1, :]
    cells = np.array([GRID_WIDTH, GRID_HEIGHT]) / np.array(size)
    grid = move_points(affine, labels.joints_2d) * cells
    # Depth counts from the pelvis; where either is unknown, nothing is too near or too far.
    has_depth = labels.has_3d & labels.has_3d[..., SUPERVISION_PELVIS, None]
    from_pelvis = root[..., 2:] * has_depth[..., None]
    depth = (from_pelvis / (DEPTH_SPAN / 2) + 1) / 2 * GRID_DEPTH
    is_inside = np.asarray(truncation_mask(np.concatenate([grid, depth], axis=-1), quirks), bool)
    boxes, has_boxes = boxes_in_crop(
        labels.part_boxes, labels.has_part_boxes, labels.joints_2d, labels.has_2d, affine, size
    )
    targets = {
        "pose": labels.pose,
        "betas": labels.betas,
        "expression": labels.expression,
        "joints_root": root,
        "joints_part": part_relative(labels.joints_3d),
        "joints_grid": grid,
        "hand_orients": labels.hand_orients,
        "depth": depth[..., :NUM_VOLUME_JOINTS, 0],
        "box_centres": (boxes[..., :2] + boxes[..., 2:]) / 2 * cells,
        "box_sizes": (boxes[..., 2:] - boxes[..., :2]) * cells,
    }
    in_3d = comparable_joints(labels)
    in_2d = labels.has_2d
    if quirks.one_joint_mask:
        in_2d = in_2d & np.where(labels.has_3d.any(axis=-1, keepdims=True), in_3d, True)
    validity = {
        "pose": labels.has_pose,
        "betas": labels.has_betas,
        "expression": labels.has_expression,
        "joints": in_2d & is_inside & labels.is_positive,
        "joints_3d": in_3d,
        "boxes": has_boxes,
    }
    return _as_float32(targets), _as_float32(validity)


def part_relative(joints: Float[np.ndarray, "*people 137 3"]) -> Float[np.ndarray, "*people 137 3"]:
    """Return joints relative to the origin of their part: pelvis, wrists, neck."""
    out = np.empty_like(joints)
    for part, origin in PART_ORIGINS.items():
        where = SUPERVISION_PARTS[part]
        out[..., where, :] = joints[..., where, :] - joints[..., origin : origin + 1, :]
    return out


def comparable_joints(labels: PersonLabels) -> Bool[np.ndarray, "people 137"]:
    """Return which 3D joints may be compared: those whose part has its origin."""
    valid = labels.has_3d.copy()
    for part, origin in PART_ORIGINS.items():
        valid[..., SUPERVISION_PARTS[part]] &= labels.has_3d[..., origin, None]
    return valid


def _as_float32(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays in the precision of training."""
    return {name: np.ascontiguousarray(value, np.float32) for name, value in rows.items()}
